"""Run the Job of a result once more, from its id alone, and compare: equal, within the spread over seeds, or not."""

from __future__ import annotations

import guard

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cli
from sweep.audit import past, reproducing, tracing
from sweep.layout import Clone
from sweep.session import Target

if TYPE_CHECKING:
    from sweep.audit.comparing import Compared


def run(clone: Clone, trace: tracing.Trace, args: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    """(number of the reproduction, its result)."""
    origin = reproducing.origin(trace)
    if origin.commit != trace.commit:
        cli.say(f"{trace.id}: ran from {trace.commit[:12] or 'an unknown commit'}, rendered from {origin.commit[:12]}")
    target = Target(trace.engine or "local", args.context, args.namespace)
    with past.opened(clone, origin.sweep, origin.commit, target) as session:
        session.write_provenance(reproducing.provenance(clone, origin.commit))
        reproducing.again(session, trace.id, 0)  # refuses before a number is taken
        engine = session.engine
        number = engine.take_number(trace.id)
        made = reproducing.again(session, trace.id, number)
        cli.say(f"{trace.id}: commit {origin.commit[:12]} again, {engine.NAME}: reproductions/{trace.id}/{number}")
        return number, engine.run_once(session, made, number, cli.say)


def show(made: Sequence[Compared]) -> None:
    from rich import box
    from rich.table import Table

    from display import Console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("metric", "then", "now", "another seed (95 %)", ""):
        table.add_column(name, overflow="fold")
    for one in made:
        spread = f"{one.low:.4g} to {one.high:.4g}" if one.low is not None and one.high is not None else "unknown"
        table.add_row(one.metric, f"{one.then!r}", f"{one.now!r}", f"{spread} (n={one.seeds})", one.verdict)
    Console().print(table)


def main() -> int:
    parser = cli.parser(__doc__, sweep=False)
    cli.trial_argument(parser)
    parser.add_argument("--sweep", default="", help="look for the trial only there")
    parser.add_argument("--context", default="", help="kubectl context, for a trial of a cluster")
    parser.add_argument("--namespace", default="", help="namespace, for a trial of a cluster")
    parser.add_argument("--dry-run", action="store_true", help="print the Job as JSON, run nothing")
    parser.add_argument("--json", action="store_true", help="the comparison as JSON on stdout")
    args = parser.parse_args()
    from sweep.audit import comparing  # with scipy, which takes a second to import

    clone = Clone.here()
    trace = tracing.of(clone, args.trial, args.sweep)
    if args.dry_run:
        origin = reproducing.origin(trace)
        target = Target(trace.engine or "local", args.context, args.namespace)
        with past.opened(clone, origin.sweep, origin.commit, target) as session:
            cli.put(reproducing.again(session, trace.id, 1).jobs[0])
        return 0
    number, result = run(clone, trace, args)
    alike = tracing.rows_like(clone, trace.row, trace.source.sweep) if trace.row and trace.source else []
    made = comparing.compare(trace.metrics, result["metrics"], [row.metrics for row in alike])
    worst = next((word for word in comparing.WORST_FIRST if any(one.verdict == word for one in made)), comparing.EQUAL)
    if args.json:
        metrics = [dataclasses.asdict(one) for one in made]
        cli.put({"id": trace.id, "number": number, "verdict": worst, "metrics": metrics})
    else:
        show(made)
        named = ",".join(one.metric for one in made if not one.good)
        cli.show(f"{trace.id}: {worst}{': ' if named else ''}{named}")
    return 0 if all(one.good for one in made) else 1


if __name__ == "__main__":
    guard.run(main)
