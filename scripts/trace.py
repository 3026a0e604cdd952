"""Show everything a result came from: its line in a values file, commit, space, code, image, data, node, attempts."""

from __future__ import annotations

import guard

import dataclasses
from collections.abc import Iterator

import cli
from sweep.audit import tracing
from sweep.layout import Clone
from sweep.records.results import Row
from sweep.words import short


def facts(made: tracing.Trace) -> Iterator[tuple[str, str]]:
    """(what, its value), in the order of the way back."""
    row, source, code = made.row, made.source, made.code
    if row:
        yield "table", f"{made.table}{f' of {made.table_commit[:12]}' if made.table_commit else ' (not committed)'}"
        yield "point", f"{short(row.hyperparameters)} seed={row.seed}"
        for name, value in row.metrics.items():
            yield name, repr(value)
    yield "commit", f"{made.commit[:12]} by {made.author}" if made.commit else "not recorded: submitted by plain helm"
    if made.dirty:
        yield "", "and uncommitted changes: what ran may differ from what the commit holds"
    if source:
        shown = "" if source.commit == made.commit else f" of {source.commit[:12]}"
        yield "line", f"{source.path}:{source.line}{shown} ({source.now} since)"
        yield "", source.text
        yield "made", f"{source.made}{f' from {source.space} sha256:{source.space_digest}' if source.space else ''}"
    else:
        yield "line", "in no values file that this clone has; `git fetch` its history"
    if made.round:
        yield "round", str(made.round)
    if len(made.sweeps) > 1:
        yield "also in", " ".join(name for name in made.sweeps if not source or name != source.sweep)
    if code:
        yield "code", f"{code.told}{f' of {code.commit[:12]}' if code.commit else ''} {code.hash[:19]}".strip()
    yield from _where(row, made.store)


def _where(row: Row | None, store: str) -> Iterator[tuple[str, str]]:
    if row:
        told = {"image": row.image, "pulled": row.image_id, "data": row.data, "node": row.node, "gpu": row.gpu}
        yield from ((what, value) for what, value in told.items() if value)
    yield "store", store or "none that this machine sees has it"


def show(made: tracing.Trace) -> None:
    row = made.row
    objective = f": {row.objective!r}" if row and row.objective is not None else ""
    cli.show(f"{made.id}  {f'{row.status} on {row.engine}{objective}' if row else 'never collected'}")
    for what, value in facts(made):
        cli.show(f"  {what:9} {value}")
    for one in made.attempts:
        node = f" on {one['node']}" if one["node"] else ""
        cli.show(f"  attempt   {one['attempt']}: {one['status']}, {one['seconds']:g} s{node}; {one['cause']}")
        if one["reason"]:
            cli.show(f"            {one['reason']}")
    width = max((len(command) for command in made.commands.values()), default=0)
    for what, command in made.commands.items():
        cli.show(f"  {command:{width}}  # {what}")


def main() -> int:
    parser = cli.parser(__doc__, sweep=False)
    cli.trial_argument(parser)
    parser.add_argument("--sweep", default="", help="look only there; default: everywhere, then in Git's history")
    parser.add_argument("--json", action="store_true", help="all of it as JSON on stdout")
    args = parser.parse_args()
    made = tracing.of(Clone.here(), args.trial, args.sweep)
    if args.json:
        cli.put(dataclasses.asdict(made) | {"commands": made.commands})
    else:
        show(made)
    for problem in made.problems:
        cli.say(f"set aside: {problem}")
    return 0


if __name__ == "__main__":
    guard.run(main)
