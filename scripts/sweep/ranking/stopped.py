"""How often a stop rule was wrong, from the trials that it left to run as a check."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sweep.records.results import Objective, Row
from sweep.records.store import Snapshot, Stored

TOP = 0.1
"""The share of all trials that counts as the top."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Stopped:
    """What a rule has stopped, and what became of those that it would have stopped but for the check."""

    trials: int
    """That the rule was for and that have ended: stopped, left to run or never in question."""
    stopped: int
    rungs: tuple[tuple[float, int], ...]
    """(rung, stopped there) in the order of rungs; trials that a rule without rungs stopped are in none."""
    checked: int
    """Those left to run that have ended."""
    wrong: int
    """Of these, how many are among the best `top`."""
    top: int
    most: float
    """The largest share of wrong stops that goes with this, at 95 %; 1 where nothing was checked."""


def of(rows: Iterable[Row], objective: Objective, snapshot: Snapshot, engine: str) -> Stopped | None:
    """Of the rows of an engine, whose verdicts and checks stand in the store's records."""
    rungs, checks = dict[str, float | None](), set[str]()
    ours = [row for row in rows if row.engine == engine]
    for row in ours:
        stored = snapshot.trials.get(row.id, Stored())
        verdict = (stored.result or {}).get("verdict") or {}
        if row.stop:
            rungs[row.id] = verdict.get("rung")
        elif any(attempt.record.get("audited") for attempt in stored.attempts):
            checks.add(row.id)
    return judge(ours, objective, rungs, checks)


def judge(
    rows: Iterable[Row], objective: Objective, rungs: Mapping[str, float | None], checks: Collection[str]
) -> Stopped | None:
    """None where no rule stopped or would have stopped any trial.

    `rungs`: id -> rung of the trials that were stopped; `checks`: ids of those that were left to run. Each of these
    stands for as many as there are for each (Horvitz and Thompson 1952), so the place of a value among all trials is
    one more than those above it that the rule let through, and that many for each check above it.
    """
    ended = [row for row in rows if row.id in rungs or row.status in ("succeeded", "diverged")]
    whole = [row for row in ended if row.id not in rungs]
    checked = [row for row in whole if row.id in checks]
    if not rungs and not checked:
        return None
    top = max(1, math.ceil(TOP * len(ended)))
    weights = {row.id: 1 + len(rungs) / len(checked) for row in checked}
    wrong = sum(_above(row, whole, objective, weights) < top for row in checked)
    at = Counter(rung for rung in rungs.values() if rung is not None)
    return Stopped(
        len(ended), len(rungs), tuple(sorted(at.items())), len(checked), wrong, top, _most(wrong, len(checked))
    )


def _above(row: Row, whole: Iterable[Row], objective: Objective, weights: Mapping[str, float]) -> float:
    """About how many of all trials are better than one."""
    worth = _worth(row, objective)
    return sum(weights.get(other.id, 1.0) for other in whole if _worth(other, objective) > worth)


def _worth(row: Row, objective: Objective) -> float:
    """More is better; a trial without a value is worst."""
    return -math.inf if row.objective is None or row.status == "diverged" else objective.sign * row.objective


def _most(wrong: int, checked: int) -> float:
    """Upper end of the one-sided interval of Clopper and Pearson (1934)."""
    from scipy.stats import beta

    return 1.0 if wrong >= checked else float(beta.ppf(CONFIDENCE, wrong + 1, checked - wrong))
