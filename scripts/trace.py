"""Show where a result came from: its line in a values file, commit, space, code, image, data, node and attempts."""

from __future__ import annotations

import guard

import dataclasses
from collections.abc import Iterator

import cli
from sweep.audit import pasting, tracing
from sweep.records.results import Row
from sweep.words import figure, short


def facts(trace: tracing.Trace) -> Iterator[tuple[str, str]]:
    """(what, its value), in the order of the way back."""
    row, code = trace.row, trace.code
    if row:
        yield "table", f"{trace.table}{f' of {trace.table_commit[:12]}' if trace.table_commit else ' (not committed)'}"
        yield "point", f"{short(row.hyperparameters)} seed={row.seed}"
        for name, value in row.metrics.items():
            yield name, repr(value)
    yield (
        "commit",
        f"{trace.commit[:12]} by {trace.author}" if trace.commit else "not recorded: submitted by plain helm",
    )
    if trace.repository:
        yield "repository", trace.repository
    if trace.program:
        program = trace.program
        yield "program", f"{program['url']} {program['commit'][:12]} {program['path']}".rstrip()
    if trace.kit:
        yield "kit", f"chart {trace.kit}"
    if trace.dirty:
        yield "", "and uncommitted changes: what ran may differ from what the commit holds"
    yield from _listed(trace)
    if code:
        yield "code", f"{code.told}{f' of {code.commit[:12]}' if code.commit else ''} {code.hash[:19]}".strip()
    yield from _where(row, trace.store)


def _listed(trace: tracing.Trace) -> Iterator[tuple[str, str]]:
    """The line that lists the trial, and how it came about."""
    source = trace.source
    if source:
        shown = "" if source.commit == trace.commit else f" of {source.commit[:12]}"
        yield "line", f"{source.path}:{source.line}{shown} ({source.now} since)"
        yield "", source.text
        yield "made", f"{source.made}{f' from {source.space} sha256:{source.space_digest}' if source.space else ''}"
    else:
        yield "line", "in no values file that this clone has; `git fetch` its history"
    if trace.round:
        yield "round", str(trace.round)
    if len(trace.sweeps) > 1:
        yield "also in", " ".join(name for name in trace.sweeps if not source or name != source.sweep)


def _where(row: Row | None, store: str) -> Iterator[tuple[str, str]]:
    if row:
        known = {"image": row.image, "pulled": row.image_id, "data": row.data, "node": row.node, "gpu": row.gpu}
        yield from ((what, value) for what, value in known.items() if value)
    yield "store", store or "none that this machine sees has it"


def show(trace: tracing.Trace, commands: dict[str, str]) -> None:
    row = trace.row
    objective = f": {row.objective!r}" if row and row.objective is not None else ""
    cli.show(f"{trace.id}  {f'{row.status} on {row.engine}{objective}' if row else 'never collected'}")
    for what, value in facts(trace):
        cli.show(f"  {what:9} {value}")
    for attempt in trace.attempts:
        node = f" on {attempt['node']}" if attempt["node"] else ""
        cli.show(
            f"  attempt   {attempt['attempt']}: {attempt['status']}, {figure(attempt['seconds'], 6)} s{node}; "
            f"{attempt['cause']}"
        )
        if attempt["reason"]:
            cli.show(f"            {attempt['reason']}")
    for verdict in trace.verdicts:
        cli.show(f"  {'check' if verdict.is_check else 'stopped':9} by {verdict.cause}: {verdict.reason}")
        cli.show(f"            {verdict.finding}")
    width = max((len(command) for command in commands.values()), default=0)
    for what, command in commands.items():
        cli.show(f"  {command:{width}}  # {what}")


def main() -> int:
    parser = cli.parser(__doc__, sweep=False)
    cli.trial_argument(parser)
    parser.add_argument("--sweep", default="", help="search only this sweep; default: all sweeps, then Git's history")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    args = parser.parse_args()
    clone = cli.project()
    trace = tracing.of(clone, args.trial, args.sweep)
    commands = pasting.commands(trace, clone)
    if args.json:
        cli.put(dataclasses.asdict(trace) | {"commands": commands})
    else:
        show(trace, commands)
    for problem in trace.problems:
        cli.say(f"set aside: {problem}")
    return 0


if __name__ == "__main__":
    guard.run(main)
