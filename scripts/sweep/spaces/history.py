"""What a search knows: the rows of results.csv as points of the space, replicates pooled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sweep.records.results import Row
from sweep.records.same import says, settings
from sweep.records.store import FINAL
from sweep.spaces.space import Point, Space

ENDED = (*FINAL, "failed")


@dataclass(frozen=True)
class Told:
    """A point and how it went. `values` are means over its seeds, one an objective, and empty where there are none."""

    point: Point
    state: str
    """succeeded | pruned | diverged | failed | running; a point that diverged with one seed diverged."""
    values: tuple[float, ...] = ()
    budget: int | None = None
    """Of a sweep that is sampled by halving."""


def own(space: Space, row: Row) -> dict[str, Any]:
    """What the row's trial sets beside (or against) the hyperparameters that are fixed, in the space's order."""
    fixed, given = space.hyperparameters, row.hyperparameters
    order = [parameter.name for parameter in space.parameters if parameter.name in given]
    rest = [name for name in given if name not in order and not says(fixed, name, given[name])]
    return {name: given[name] for name in [*order, *rest]}


def read(space: Space, rows: Iterable[Row], engine: str) -> list[Told]:
    """One engine's rows that are points of the space, in the order of the rows; all others are nothing to a sampler."""
    pooled: dict[tuple[str, int | None], tuple[Point, int | None, list[Row]]] = {}
    for row in rows:
        values = own(space, row)
        budget = values.pop(space.budget, None) if space.sampler.name == "halving" else None
        point = space.fit(values) if row.engine == engine else None
        if point is not None:
            pooled.setdefault((settings(point), budget), (point, budget, []))[2].append(row)
    return [_told(space, *group) for group in pooled.values()]


def _told(space: Space, point: Point, budget: int | None, rows: list[Row]) -> Told:
    metrics = [one["metric"] for one in space.objectives]
    found = {row.status for row in rows}
    for status in ("succeeded", "pruned"):
        good = [row for row in rows if row.status == status and all(metric in row.metrics for metric in metrics)]
        if good and "diverged" not in found:
            values = tuple(fmean(row.metrics[metric] for row in good) for metric in metrics)
            return Told(point, status, values, budget)
    if "diverged" in found:
        return Told(point, "diverged", budget=budget)
    return Told(point, "failed" if found <= set(ENDED) else "running", budget=budget)
