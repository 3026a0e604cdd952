"""The Pareto front of several objectives: the points that no other point beats in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from sweep.ranking import noise, stats
from sweep.ranking.noise import Floats
from sweep.records.results import Objective, Row


@dataclass(frozen=True)
class Best:
    """A point, and its mean over seeds of every objective, in their order, fit to be compared (noise.adjusted)."""

    point: stats.MeasuredPoint
    values: tuple[float, ...]


@dataclass(frozen=True)
class Front:
    """The points of one engine that no other beats, the best by the first objective first."""

    objectives: tuple[Objective, ...]
    points: tuple[Best, ...]
    beaten: tuple[Best, ...] = ()
    """The others that took part."""

    def values_of(self, point: stats.MeasuredPoint) -> tuple[float, ...]:
        """Of every objective, of a point that took part; () for any other."""
        return self._values.get(point.trial.id, ())

    @cached_property
    def _values(self) -> dict[str, tuple[float, ...]]:
        return {best.point.trial.id: best.values for best in (*self.points, *self.beaten)}


def front(rows: Iterable[Row], objectives: Sequence[Objective], engine: str, budget: str = "") -> Front:
    """The Pareto front of the rows of one engine, of a sweep with a `budget` among those trained for the longest.

    A point beats another that is no better in any objective and worse in one; equal points both stay. Replicates are
    pooled; a point that diverged with a seed, or lacks an objective, takes no part.
    """
    points = stats.points(rows, objectives[0], engine, budget)
    named = [point for point in points if point.budget == points[0].budget and not point.diverged]
    known = [(point, whole) for point in named if (whole := _with_all(point.rows, objectives))]
    if not known:
        return Front(tuple(objectives), ())
    columns = [
        noise.adjusted([{row.seed: row.metrics[objective.metric] for row in whole} for _, whole in known])
        for objective in objectives
    ]
    best = [Best(point, values) for (point, _), values in zip(known, zip(*columns, strict=True), strict=True)]
    beaten = _beaten(np.array(columns).T * [objective.sign for objective in objectives])
    return Front(tuple(objectives), tuple(compress(best, ~beaten)), tuple(compress(best, beaten)))


def _with_all(rows: Iterable[Row], objectives: Sequence[Objective]) -> list[Row]:
    """The rows that have a value of every objective."""
    return [row for row in rows if all(objective.metric in row.metrics for objective in objectives)]


def _beaten(scores: Floats) -> NDArray[np.bool_]:
    """Of each row of (points, objectives), where more is better, whether another beats it."""
    return np.array([((scores >= score).all(1) & (scores > score).any(1)).any() for score in scores])
