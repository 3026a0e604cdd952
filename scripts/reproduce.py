"""Run the Job of a result again, found by its id alone, and compare: equal, within the spread over seeds, or not."""

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
        rendered = reproducing.again(session, trace.id, number)
        cli.say(f"{trace.id}: commit {origin.commit[:12]} again, {engine.NAME}: reproductions/{trace.id}/{number}")
        return number, engine.run_once(session, rendered, number, cli.say)


def show(trial: str, metrics: Sequence[Compared], worst: str) -> None:
    from rich import box
    from rich.table import Table

    from display import Console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("metric", "then", "now", "another seed (95 %)", ""):
        table.add_column(name, overflow="fold")
    for each in metrics:
        spread = f"{each.low:.4g} to {each.high:.4g}" if each.low is not None and each.high is not None else "unknown"
        table.add_row(each.metric, f"{each.then!r}", f"{each.now!r}", f"{spread} (n={each.seeds})", each.verdict)
    Console().print(table)
    named = ",".join(each.metric for each in metrics if not each.good)
    cli.show(f"{trial}: {worst}{': ' if named else ''}{named}")


def show_job(clone: Clone, trace: tracing.Trace, args: argparse.Namespace) -> None:
    """What would run, as JSON."""
    origin = reproducing.origin(trace)
    target = Target(trace.engine or "local", args.context, args.namespace)
    with past.opened(clone, origin.sweep, origin.commit, target) as session:
        cli.put(reproducing.again(session, trace.id, 1).jobs[0])


def arguments() -> argparse.Namespace:
    parser = cli.parser(__doc__, sweep=False)
    cli.trial_argument(parser)
    parser.add_argument("--sweep", default="", help="search only this sweep")
    parser.add_argument("--context", default="", help="kubectl context, for a trial of a cluster")
    parser.add_argument("--namespace", default="", help="namespace, for a trial of a cluster")
    parser.add_argument("--dry-run", action="store_true", help="print the Job as JSON, and run nothing")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    from sweep.audit import comparing  # with scipy, which takes a second to import

    clone = cli.project()
    trace = tracing.of(clone, args.trial, args.sweep)
    if args.dry_run:
        show_job(clone, trace, args)
        return 0
    number, result = run(clone, trace, args)
    alike = tracing.rows_like(clone, trace.row, trace.source.sweep) if trace.row and trace.source else []
    metrics = comparing.compare(trace.metrics, result["metrics"], [row.metrics for row in alike])
    verdicts = {each.verdict for each in metrics}
    worst = next((verdict for verdict in comparing.WORST_FIRST if verdict in verdicts), comparing.EQUAL)
    if args.json:
        shown = [dataclasses.asdict(each) for each in metrics]
        cli.put({"id": trace.id, "number": number, "verdict": worst, "metrics": shown})
    else:
        show(trace.id, metrics, worst)
    return 0 if all(each.good for each in metrics) else 1


if __name__ == "__main__":
    guard.run(main)
