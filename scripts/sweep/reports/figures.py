"""What some charts of the report draw beyond its trials: importance, Pareto front, rungs; as values for JSON.

Points go by their place in the ranking; configurations at shorter budgets come after it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sweep.ranking.pareto import Front
from sweep.ranking.stats import Choice, MeasuredPoint
from sweep.records.results import Row
from sweep.records.same import settings
from sweep.records.store import Snapshot
from sweep.reports import importance as forest
from sweep.reports.importance import Share

LEAST_WHOLE = 10
"""Trials with a curve to their end, below which a threshold would be one trial's."""
DIGITS = 3
"""Significant ones of a threshold, rounded to the side that stops fewer."""


def percent(share: float) -> str:
    """`41 %`."""
    return f"{100 * share:.0f} %".replace("-0 %", "0 %")


def importance(choice: Choice, names: Sequence[str]) -> dict[str, Any] | None:
    """{points, budget, explained: [mean, low, high], shares: [[name, mean, low, high], …]}; None for nothing learnt.

    Of a sweep whose trials differ in their budget: among those of one budget, the one that most points have.
    """
    everyone = [*choice.points, *choice.outgrown]
    sizes = Counter(point.budget for point in everyone)
    common = max(sizes, key=lambda budget: (sizes[budget], budget), default=None)
    points = [point for point in everyone if point.budget == common]
    learnt = forest.importance([point.hyperparameters for point in points], [point.adjusted for point in points], names)
    if not learnt:
        return None
    shares = [[name, *_digits(share)] for name, share in learnt.shares.items()]
    budget = points[0].hyperparameters.get(choice.budget) if choice.budget else None
    return {"points": learnt.points, "budget": budget, "explained": _digits(learnt.explained), "shares": shares}


def _digits(share: Share) -> list[float]:
    return [round(value, 4) for value in (share.mean, share.low, share.high)]


def front(choice: Choice, shown: Front | None) -> dict[str, Any] | None:
    """{metrics, values: a list a point or null, on: places of the front's points}; None with a single objective."""
    if not shown or not shown.points:
        return None
    members = {best.point.trial.id for best in shown.points}
    return {
        "metrics": [{"metric": objective.metric, "sign": objective.sign} for objective in shown.objectives],
        "values": [[*shown.values_of(point)] or None for point in choice.points],
        "on": [place for place, point in enumerate(choice.points) if point.trial.id in members],
    }


def rungs(rows: Sequence[Row], choice: Choice, engine: str, budget: str) -> dict[str, Any] | None:
    """{budget, rungs, lines}: a line is what differs in the budget alone, its points by rung or null.

    A point goes on if the next rung has it too, whatever became of it there. None unless the budget varies.
    """
    own = [row for row in rows if row.engine == engine and isinstance(row.hyperparameters.get(budget), (int, float))]
    steps = sorted({row.hyperparameters[budget] for row in own})
    if len(steps) < 2:
        return None
    there = [{settings(row.hyperparameters, budget) for row in own if row.hyperparameters[budget] == s} for s in steps]
    points = [*choice.points, *choice.outgrown]
    lines = _lines(points, budget, steps)
    rungs = []
    for rung, (step, lived, next_lived) in enumerate(zip(steps, there, [*there[1:], set()], strict=True)):
        places = [line[rung] for line in lines]
        means = [points[place].mean for place in places if place is not None]
        best = max(means, key=lambda mean: choice.objective.sign * mean, default=None)
        survivors = len(lived & next_lived)
        rungs.append({"budget": step, "points": len(lived), "ended": len(means), "survivors": survivors, "best": best})
    return {"budget": budget, "rungs": rungs, "lines": lines}


def _lines(points: Sequence[MeasuredPoint], budget: str, steps: Sequence[float]) -> list[list[int | None]]:
    """The places of points that differ in the budget alone, by step."""
    lines: dict[str, list[int | None]] = {}
    for place, point in enumerate(points):
        if point.hyperparameters.get(budget) in steps:
            line = lines.setdefault(settings(point.hyperparameters, budget), [None] * len(steps))
            line[steps.index(point.hyperparameters[budget])] = place
    return list(lines.values())


def thresholds(curves: dict[str, Any], succeeded: Collection[int], metric: str, sign: int) -> dict[str, Any] | None:
    """{best, at: {rung: value}}: what each of the best tenth had at the rungs 1, 3, 9, … of its curve, at the least.

    `curves` as the report embeds them, the best trial first; `succeeded`: places of the trials that ended whole. None
    for fewer than LEAST_WHOLE, and for curves that have no rung before their end.
    """
    whole = [(x, values[0]) for place, x, *values in curves["trials"] if place in succeeded and values]
    if metric not in curves["metrics"][:1] or len(whole) < LEAST_WHOLE:
        return None
    best = whole[: math.ceil(len(whole) / 10)]
    at, rung, last = {}, 1, min(max(filter(None, x), default=0) for x, _ in best)
    while rung < last:
        values = [_reached(x, curve, rung) for x, curve in best]
        if any(value is None for value in values):
            return None
        at[str(rung)] = _lenient(sign * min(sign * value for value in values if value is not None), sign)
        rung *= 3
    return {"best": len(best), "at": at} if at else None


def _reached(x: Sequence[float | None], values: Sequence[float | None], rung: int) -> float | None:
    """The value at the first step that is not before a rung."""
    return next((value for step, value in zip(x, values, strict=True) if step is not None and step >= rung), None)


def _lenient(value: float, sign: int) -> float:
    """Rounded away from what would be better."""
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - DIGITS)
    return float(f"{sign * math.floor(sign * value / unit + 1e-9) * unit:.{DIGITS}g}")


def progress(
    choice: Choice, snapshot: Snapshot, rounds: Mapping[str, int], index: Mapping[str, int]
) -> list[list[Any]]:
    """[trial-hours spent when it ended, trial, round or 0] of each that is ranked, as they ended; [] where none says.

    What failed counts with the hours of its attempts, and is no entry.
    """
    ended = sorted(
        (last.text("finished_at") or last.text("started_at"), id, sum(attempt.seconds for attempt in stored.attempts))
        for id, stored in snapshot.trials.items()
        if stored.attempts and id in index
        for last in stored.attempts[-1:]
    )
    ranked = {row.id for point in [*choice.points, *choice.outgrown] for row in point.rows}
    entries, spent = [], 0.0
    for _, id, seconds in ended:
        spent += seconds / 3600
        if id in ranked:
            entries.append([float(f"{spent:.6g}"), index[id], rounds.get(id, 0)])
    return entries
