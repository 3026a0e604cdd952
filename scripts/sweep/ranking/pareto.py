"""The Pareto front of several objectives: the points that no other point beats in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sweep.ranking import noise, stats
from sweep.records.results import Objective, Row


@dataclass(frozen=True)
class Best:
    """A point, and its mean over seeds of every objective, in their order, fit to be compared (noise.adjusted)."""

    point: stats.Point
    values: tuple[float, ...]


@dataclass(frozen=True)
class Front:
    """The points of one engine that no other beats, the best by the first objective first."""

    objectives: tuple[Objective, ...]
    points: tuple[Best, ...]
    beaten: tuple[Best, ...] = ()
    """The others that took part."""


def front(rows: Iterable[Row], objectives: Sequence[Objective], engine: str, budget: str = "") -> Front:
    """The Pareto front of the rows of one engine, of a sweep with a `budget` among those trained for the longest.

    A point beats another that is no better in any objective and worse in one; equal points both stay. Replicates are
    pooled; a point that diverged with a seed, or lacks an objective, takes no part.
    """
    found = stats.points(rows, objectives[0], engine, budget)
    parted = []
    for point in (point for point in found if point.budget == found[0].budget and not point.diverged):
        if good := [row for row in point.rows if all(one.metric in row.metrics for one in objectives)]:
            parted.append((point, good))
    if not parted:
        return Front(tuple(objectives), ())
    columns = [
        noise.adjusted([{row.seed: row.metrics[one.metric] for row in good} for _, good in parted])
        for one in objectives
    ]
    scores = np.array([[one.sign * value for value in column] for one, column in zip(objectives, columns, strict=True)])
    scores = scores.T  # (points, objectives), more is better
    kept: list[Best] = []
    beaten: list[Best] = []
    for (point, _), score, *values in zip(parted, scores, *columns, strict=True):
        behind = ((scores >= score).all(1) & (scores > score).any(1)).any()
        (beaten if behind else kept).append(Best(point, tuple(values)))
    return Front(tuple(objectives), tuple(kept), tuple(beaten))
