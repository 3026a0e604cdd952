"""Recompute every round of a sweep from the results.csv in Git that it names, and every verdict of a stop rule.

Exits with 1 if a round differs (its trials were edited, or other versions of libraries sample other points), or if a
verdict does not follow from its evidence.
"""

from __future__ import annotations

import guard

import dataclasses

import cli
from sweep.audit import stops, storage
from sweep.audit.stops import Judged
from sweep.layout import Clone
from sweep.records import results
from sweep.spaces import replaying
from sweep.spaces.replaying import Again
from sweep.words import counted


def show_rounds(sweep: str, replayed: list[Again]) -> bool:
    """Whether all are as they were."""
    for again in replayed:
        same = "equal" if not again.difference else "differs"
        cli.say(f"{sweep}: {again.what}: {same} ({counted(again.trials, 'trial')}{again.source})")
        if again.difference and again.versions:
            cli.say(f"  made by {again.versions[0]}, here are {again.versions[1]}")
        for line in again.difference:
            cli.say(f"  {line}")
    return not any(again.difference for again in replayed)


def show_verdicts(sweep: str, verdicts: list[Judged]) -> bool:
    """Whether all hold."""
    unsound = [verdict for verdict in verdicts if verdict.flaw]
    holding = f"{len(unsound)} of them {'does' if len(unsound) == 1 else 'do'} not hold" if unsound else "all hold"
    if verdicts:
        cli.say(f"{sweep}: {counted(len(verdicts), 'verdict')} of stop rules judged again: {holding}")
    for verdict in unsound:
        cli.say(f"  {verdict.trial}: {verdict.finding}")
    return not unsound


def main(argv: list[str] | None = None, clone: Clone | None = None) -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--json", action="store_true", help="print the rounds and verdicts as JSON")
    args = parser.parse_args(argv)
    clone = cli.project(clone)
    files = clone.sweep(args.sweep)
    verdicts = stops.judge(storage.folders(clone), [row.id for row in results.read(files.results)])
    replayed = replaying.replay(files) if replaying.is_expanded(files) or not verdicts else []
    shown = show_rounds(args.sweep, replayed), show_verdicts(args.sweep, verdicts)
    if args.json:
        rounds = [{"what": again.what, "trials": again.trials, "difference": again.difference} for again in replayed]
        cli.put({"rounds": rounds, "verdicts": [dataclasses.asdict(verdict) for verdict in verdicts]})
    return int(not all(shown))


if __name__ == "__main__":
    guard.run(main)
