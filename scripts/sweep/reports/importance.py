"""How much each hyperparameter matters, with its uncertainty: what is lost when it is shuffled in front of a forest.

A forest of extremely randomized trees (Geurts, Ernst and Wehenkel 2006) learns the ranks of the points by the objective
(ranks, so that a few points that failed altogether do not drown the rest). The error that it gains on points it has not
seen, when one hyperparameter is shuffled among them, is the permutation importance (Breiman 2001); half of it, over
the variance, is the share of the variance that the hyperparameter takes part in, interactions included (Gregorutti,
Michel and Saint-Pierre 2017). All of it is done again for bootstrap samples of the points, which gives the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.ranking.noise import Floats
from sweep.records.strict import is_number
from sweep.yamlfile import plain

Ints = NDArray[np.int64]

LEAST, MOST = 12, 500
"""Points: with fewer nothing can be learnt; of more, an even sample is as good."""
BOOTSTRAPS, TREES, SHUFFLES, LEAF = 40, 12, 2, 2


@dataclass(frozen=True)
class Share:
    """A mean over bootstrap samples, and the middle 90 % of them."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """What a forest learns of a sweep. Where `explained` (R^2 on unseen points) is about 0 the shares mean nothing."""

    points: int
    explained: Share
    shares: dict[str, Share]
    """By hyperparameter, the most important first."""


def importance(points: Sequence[dict[str, Any]], values: Sequence[float], names: Sequence[str]) -> Importance | None:
    """Of the hyperparameters `names` for the `values` of points. None with too few points, or where all are alike."""
    step = max(1, -(-len(points) // MOST))
    points, values = points[::step], values[::step]
    if len(points) < LEAST or not names or len(set(values)) < 2:
        return None
    target = _ranks(values)
    columns = [[point.get(name) for point in points] for name in names]
    words = [_words(column) for column in columns]
    draw = np.random.default_rng(0)  # the same results give the same report
    samples = [once for _ in range(BOOTSTRAPS) if (once := _bootstrap(columns, words, target, draw)) is not None]
    if not samples:
        return None
    explained, shares = np.array([sample[0] for sample in samples]), np.array([sample[1] for sample in samples])
    by_name = {name: _share(shares[:, place]) for place, name in enumerate(names)}
    ordered = dict(sorted(by_name.items(), key=lambda item: (-item[1].mean, item[0])))
    return Importance(len(points), _share(explained), ordered)


def _ranks(values: Sequence[float]) -> Floats:
    """From 0 to 1; equal values share the mean of theirs. (scipy.stats has this, and takes two seconds to import.)"""
    _, place, counts = np.unique(np.array(values, float), return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts + 1) / 2)[place] / (len(values) - 1)
    return ranks


def _share(drawn: Floats) -> Share:
    low, high = np.quantile(drawn, (0.05, 0.95))
    return Share(*(min(1.0, float(value)) for value in (drawn.mean(), low, high)))


def _words(column: Sequence[Any]) -> list[str] | None:
    """The different values of a column that has no order; None for numbers, some of which may be missing."""
    if all(value is None or is_number(value) for value in column):
        return None
    return sorted({plain(value) for value in column})


def _encoded(columns: Sequence[Sequence[Any]], words: Sequence[list[str] | None], draw: np.random.Generator) -> Floats:
    """(points, hyperparameters): numbers by rank, what is missing below all; words in a new random order every time."""
    encoded = []
    for column, known in zip(columns, words, strict=True):
        if known is None:
            numbers = np.array([-np.inf if value is None else float(value) for value in column])
            encoded.append(np.unique(numbers, return_inverse=True)[1].astype(float))
        else:
            place = dict(zip(known, draw.permutation(len(known)), strict=True))
            encoded.append(np.array([float(place[plain(value)]) for value in column]))
    return np.column_stack(encoded)


def _bootstrap(
    columns: Sequence[Sequence[Any]], words: Sequence[list[str] | None], target: Floats, draw: np.random.Generator
) -> tuple[float, Floats] | None:
    """(R^2, shares) on the points that a bootstrap sample leaves out, by a forest that learnt the sample."""
    count = len(target)
    chosen = draw.integers(count, size=count)
    left = np.setdiff1d(np.arange(count), chosen)
    variance = float(target[left].var()) if len(left) > 1 else 0.0
    if not variance:
        return None
    table = _encoded(columns, words, draw)
    forest = Forest.grown(table[chosen], target[chosen], draw)
    error = float(((forest.predict(table[left]) - target[left]) ** 2).mean())
    shares = np.zeros(len(columns))
    for place in range(len(columns)):
        for _ in range(SHUFFLES):
            shuffled = table[left].copy()
            shuffled[:, place] = shuffled[draw.permutation(len(left)), place]
            worse = float(((forest.predict(shuffled) - target[left]) ** 2).mean())
            shares[place] += (worse - error) / (2 * variance) / SHUFFLES
    return 1 - error / variance, shares


@dataclass(frozen=True)
class Forest:
    """Extremely randomized trees in one table of nodes; node t < TREES is the root of tree t."""

    feature: Ints
    """-1 in a leaf."""
    threshold: Floats
    below: Ints
    """The child for values below the threshold; the other child is the next."""
    value: Floats

    @classmethod
    def grown(cls, table: Floats, target: Floats, draw: np.random.Generator) -> Forest:
        """All trees at once, level by level: of one random threshold a feature, a node takes the best."""
        rows = np.tile(np.arange(len(target)), TREES)
        node = np.repeat(np.arange(TREES), len(target))
        levels, first, count = [], 0, TREES
        while count:
            x, y = table[rows], target[rows]
            size = np.bincount(node, minlength=count)
            total = np.bincount(node, y, count)
            low, high = np.full((count, x.shape[1]), np.inf), np.full((count, x.shape[1]), -np.inf)
            np.minimum.at(low, node, x)
            np.maximum.at(high, node, x)
            cut = low + draw.random(low.shape) * (high - low)
            cut = np.where(cut > low, cut, high)
            gain = np.full(low.shape, -np.inf)
            for place in range(x.shape[1]):
                under = x[:, place] < cut[node, place]
                n = np.bincount(node, under, count)
                part = np.bincount(node, y * under, count)
                possible = (n > 0) & (n < size)
                some, rest = np.maximum(n, 1), np.maximum(size - n, 1)
                gain[:, place] = np.where(possible, part**2 / some + (total - part) ** 2 / rest, -np.inf)
            feature = gain.argmax(1)
            parted = (size > LEAF) & (gain.max(1) - total**2 / size > 1e-12)
            threshold = cut[np.arange(count), feature]
            below = first + count + 2 * (np.cumsum(parted) - 1)
            levels.append((np.where(parted, feature, -1), threshold, below, total / size))
            kept = parted[node]
            rows, node = rows[kept], node[kept]
            over = table[rows, feature[node]] >= threshold[node]
            node = below[node] + over - first - count
            first, count = first + count, 2 * int(parted.sum())
        return cls(*(np.concatenate(part) for part in zip(*levels, strict=True)))

    def predict(self, table: Floats) -> Floats:
        """Mean over the trees, for each row."""
        node = np.repeat(np.arange(TREES)[:, None], len(table), 1)
        row = np.arange(len(table))[None, :]
        while (self.feature[node] >= 0).any():
            inner = self.feature[node] >= 0
            over = table[row, self.feature[node]] >= self.threshold[node]
            node = np.where(inner, self.below[node] + over, node)
        means: Floats = self.value[node].mean(0)
        return means
