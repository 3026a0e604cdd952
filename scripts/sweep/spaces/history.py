"""What a search knows: the rows of results.csv as points of the space, replicates pooled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from sweep.records.results import Row
from sweep.records.same import says, settings
from sweep.records.store import FINAL
from sweep.spaces.space import Point, Space

ENDED = (*FINAL, "failed")


@dataclass(frozen=True)
class Observation:
    """A point and how it went. `values` are those of its objectives, over its seeds, and empty where there are none."""

    point: Point
    state: str
    """succeeded | pruned | diverged | failed | running; a point that diverged with one seed diverged."""
    values: tuple[float, ...] = ()
    budget: int | None = None
    """Of a sweep whose sampler sets it."""
    each: tuple[tuple[float, ...], ...] = field(default=(), compare=False)
    """The same by seed, less what a seed does to all points alike; () of bare means."""


def own(space: Space, row: Row) -> dict[str, Any]:
    """What the row's trial sets beside (or against) the hyperparameters that are fixed, in the space's order."""
    fixed, given = space.hyperparameters, row.hyperparameters
    order = [name for name in space.order if name in given]
    rest = [name for name in given if name not in order and not says(fixed, name, given[name])]
    return {name: given[name] for name in [*order, *rest]}


def read(space: Space, rows: Iterable[Row], engine: str, compared: bool = True) -> list[Observation]:
    """One engine's rows that are points of the space, in the order of the rows; all others are nothing to a sampler.

    `compared`: where points have different seeds, their values are fit to be compared (noise.adjusted), not bare means.
    """
    pooled: dict[tuple[str, int | None], tuple[Point, int | None, list[Row]]] = {}
    for row in rows:
        values = own(space, row)
        budget = values.pop(space.budget, None) if space.sets_budget else None
        point = space.fit(values) if row.engine == engine else None
        if point is not None:
            pooled.setdefault((settings(point), budget), (point, budget, []))[2].append(row)
    observations = []
    values_of: dict[tuple[str, int | None], list[list[Row]]] = {}
    for point, budget, group in pooled.values():
        state, good = _state(space, group)
        observations.append(Observation(point, state, budget=budget))
        values_of.setdefault((state, budget), []).append(good)
    columns = {key: iter(_values(space, groups, compared)) for key, groups in values_of.items()}
    by_seed = {key: iter(_by_seed(space, groups)) for key, groups in values_of.items() if compared}
    return [
        replace(
            observation,
            values=next(columns[observation.state, observation.budget]),
            each=next(by_seed[observation.state, observation.budget]) if compared else (),
        )
        for observation in observations
    ]


def _state(space: Space, rows: Sequence[Row]) -> tuple[str, list[Row]]:
    """How a point went, and the rows that tell its values."""
    metrics = [objective["metric"] for objective in space.objectives]
    statuses = {row.status for row in rows}
    if "diverged" in statuses:
        return "diverged", []
    for status in ("succeeded", "pruned"):
        good = [row for row in rows if row.status == status and all(metric in row.metrics for metric in metrics)]
        if good:
            return status, good
    return ("failed" if statuses <= set(ENDED) else "running"), []


def _values(space: Space, groups: Sequence[Sequence[Row]], compared: bool) -> Iterator[tuple[float, ...]]:
    """For each group of rows, of points in one state and at one budget, its value of every objective."""
    from sweep.ranking import noise  # scipy takes half a second to import

    known = [rows for rows in groups if rows]
    columns = []
    for metric in (objective["metric"] for objective in space.objectives):
        if compared:
            columns.append(noise.adjusted([{row.seed: row.metrics[metric] for row in rows} for rows in known]))
        else:
            columns.append([fmean(row.metrics[metric] for row in rows) for rows in known])
    lines = zip(*columns, strict=True)
    return (next(lines) if rows else () for rows in groups)


def _by_seed(space: Space, groups: Sequence[Sequence[Row]]) -> Iterator[tuple[tuple[float, ...], ...]]:
    """For each group of rows its values of every objective, seed by seed."""
    from sweep.ranking import noise

    known = [rows for rows in groups if rows]
    columns = [
        noise.without_seeds([{row.seed: row.metrics[objective["metric"]] for row in rows} for rows in known])
        for objective in space.objectives
    ]
    lines = zip(*columns, strict=True)
    return (tuple(zip(*next(lines), strict=True)) if rows else () for rows in groups)
