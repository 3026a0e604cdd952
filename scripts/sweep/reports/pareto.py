"""The Pareto front of several objectives: the points that no other point beats in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from sweep.records.results import Objective, Row
from sweep.reports import stats


@dataclass(frozen=True)
class Best:
    """A point of the front, and its mean over seeds of every objective, in their order."""

    point: stats.Point
    values: tuple[float, ...]


@dataclass(frozen=True)
class Front:
    """The points of one engine that no other beats, the best by the first objective first."""

    objectives: tuple[Objective, ...]
    points: tuple[Best, ...]


def front(rows: Iterable[Row], objectives: Sequence[Objective], engine: str) -> Front:
    """The Pareto front of the rows of one engine.

    A point beats another that is no better in any objective and worse in one; equal points both stay. Replicates are
    pooled; a point that diverged with a seed, or lacks an objective, takes no part.
    """
    told = []
    for point in stats.points(rows, objectives[0], engine):
        good = [row for row in point.rows if all(one.metric in row.metrics for one in objectives)]
        if good and not point.diverged:
            told.append(Best(point, tuple(fmean(row.metrics[one.metric] for row in good) for one in objectives)))
    if not told:
        return Front(tuple(objectives), ())
    signs = np.array([one.sign for one in objectives])
    scores = np.array([one.values for one in told]) * signs  # (points, objectives), more is better
    kept = []
    for place, score in enumerate(scores):
        beaten = ((scores >= score).all(1) & (scores > score).any(1)).any()
        if not beaten:
            kept.append(told[place])
    return Front(tuple(objectives), tuple(kept))
