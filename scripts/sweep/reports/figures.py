"""What some charts of the report draw beyond its trials: importance, Pareto front, rungs; as values for JSON.

Points go by their place in the ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from sweep.records.results import Row
from sweep.records.same import settings
from sweep.reports import importance as forest
from sweep.reports.importance import Share
from sweep.reports.pareto import Front
from sweep.reports.stats import Choice


def percent(share: float) -> str:
    """`41 %`."""
    return f"{100 * share:.0f} %".replace("-0 %", "0 %")


def importance(choice: Choice, names: Sequence[str]) -> dict[str, Any] | None:
    """{points, explained: [mean, low, high], shares: [[name, mean, low, high], …]}, or None where nothing is learnt."""
    points = choice.points
    learnt = forest.importance([one.hyperparameters for one in points], [one.mean for one in points], names)
    if not learnt:
        return None
    shares = [[name, *_digits(share)] for name, share in learnt.shares.items()]
    return {"points": learnt.points, "explained": _digits(learnt.explained), "shares": shares}


def _digits(share: Share) -> list[float]:
    return [round(value, 4) for value in (share.mean, share.low, share.high)]


def front(choice: Choice, found: Front | None) -> dict[str, Any] | None:
    """{metrics, values: a list a point or null, on: places of the front's points}; None with a single objective."""
    if not found or not found.points:
        return None
    members = {best.point.trial.id for best in found.points}
    values = []
    for point in choice.points:
        good = [row for row in point.rows if all(one.metric in row.metrics for one in found.objectives)]
        known = good and not point.diverged
        values.append([fmean(row.metrics[one.metric] for row in good) for one in found.objectives] if known else None)
    return {
        "metrics": [{"metric": one.metric, "sign": one.sign} for one in found.objectives],
        "values": values,
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
    seen: list[set[str]] = [
        {settings(row.hyperparameters, budget) for row in own if row.hyperparameters[budget] == step} for step in steps
    ]
    lines: dict[str, list[int | None]] = {}
    for place, point in enumerate(choice.points):
        if point.hyperparameters.get(budget) in steps:
            line = lines.setdefault(settings(point.hyperparameters, budget), [None] * len(steps))
            line[steps.index(point.hyperparameters[budget])] = place
    made = []
    for rung, step in enumerate(steps):
        ranked = [line[rung] for line in lines.values()]
        means = [choice.points[place].mean for place in ranked if place is not None]
        best = max(means, key=lambda mean: choice.objective.sign * mean, default=None)
        went_on = len(seen[rung] & seen[rung + 1]) if rung + 1 < len(steps) else 0
        made.append(
            {"budget": step, "points": len(seen[rung]), "ended": len(means), "survivors": went_on, "best": best}
        )
    return {"budget": budget, "rungs": made, "lines": list(lines.values())}
