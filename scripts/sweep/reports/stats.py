"""Which point is best, and how sure is that: replicates pooled, intervals, the probability of being the best.

A point is everything that a trial's identity says but the seed. All formulas, with their sources and what they assume,
are in docs/results.md; a test holds the stated probabilities against simulated sweeps whose truth is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sweep.records import same
from sweep.records.results import Objective, Row

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
POWER = 0.8
DRAWS = 10_000
LEAST_CONTENDERS, CONTENDERS = 6, 0.25
"""The best quarter of the points, at least six, may be the best; the rest is left out of that question."""
LEAST_QUIET, QUIET = 8, 0.5
"""Noise is measured among the better half: bad points (a learning rate on the brink) are often noisier."""


@dataclass(frozen=True)
class Point:
    """A point and its replicates that have an objective, by seed."""

    hyperparameters: dict[str, Any]
    rows: tuple[Row, ...]
    values: dict[int, float]
    diverged: int = 0
    """Seeds at which it diverged: those have no objective, so such a point is ranked behind all that never did."""

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return fmean(self.values.values())

    @property
    def trial(self) -> Row:
        """The trial that stands for the point: the one with the lowest seed, so that luck does not choose it."""
        return self.rows[0]


@dataclass(frozen=True)
class Noise:
    """Standard deviation between seeds of one point, pooled over points, and its degrees of freedom."""

    sd: float
    df: int

    def half_width(self, n: float) -> float:
        """Half of the t interval of a mean of `n` seeds: t(0.975, df) sd / sqrt(n)."""
        return float(stdtrit(self.df, (1 + CONFIDENCE) / 2)) * self.sd / math.sqrt(n)


@dataclass(frozen=True)
class Choice:
    """The ranking, best first, and what can be said about its top. What is unknown without replicates is None."""

    objective: Objective
    points: tuple[Point, ...]
    noise: Noise | None = None
    """Of a point's seeds: what intervals are made of."""
    paired: Noise | None = None
    """Of differences between points, once what a seed does to all points alike is taken out."""
    p_best: tuple[float, ...] = ()
    """Probability of being the best, for the first len(p_best) points."""
    expected: float | None = None
    """What the winner should give with fresh seeds: its mean less the luck that made it win."""
    more: int | None = None
    """Further seeds each that the best two points need to be told apart."""

    @property
    def gap(self) -> float | None:
        """By how much the winner's mean leads; negative where the second leads with fewer seeds."""
        if len(self.points) < 2:
            return None
        return self.objective.sign * (self.points[0].mean - self.points[1].mean)


def points(rows: Iterable[Row], objective: Objective, engine: str) -> list[Point]:
    """Pool the replicates of one engine's rows, best point first; points without a value of the objective are left out.

    Only succeeded trials count: a pruned one has its objective from an earlier epoch.
    """
    pooled: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.engine == engine and row.status in ("succeeded", "diverged"):
            pooled.setdefault(same.configuration(row), []).append(row)
    made = []
    for group in pooled.values():
        good = sorted(
            (row for row in group if row.status == "succeeded" and objective.metric in row.metrics),
            key=lambda row: (row.seed, row.id),
        )
        if good:
            values = {row.seed: float(row.metrics[objective.metric]) for row in good}
            diverged = sum(row.status == "diverged" for row in group)
            made.append(Point(good[0].hyperparameters, tuple(good), values, diverged))
    return sorted(made, key=lambda point: (point.diverged > 0, -objective.sign * point.mean, point.trial.id))


def choose(rows: Iterable[Row], objective: Objective, engine: str) -> Choice:
    """Rank the points, and say how sure the winner is as far as replicates allow."""
    ranked = points(rows, objective, engine)
    noise = noise_within(ranked)
    choice = Choice(objective, tuple(ranked), noise)
    least = max(1e-100, *(1e-12 * abs(point.mean) for point in ranked)) if ranked else 0.0  # less is rounding
    if not noise or len(ranked) < 2 or noise.sd < least:
        return choice
    paired = noise_paired(ranked)
    paired = paired if paired and paired.sd >= least else noise
    steady = [point for point in ranked if not point.diverged] or ranked
    count = min(len(steady), max(LEAST_CONTENDERS, math.ceil(CONTENDERS * len(steady))))
    means = np.array([objective.sign * point.mean for point in steady[:count]])
    p_best, expected = simulate(means, np.array([point.n for point in steady[:count]]), paired)
    # By what each should give again: a mean of one lucky seed does not stand above one of five.
    order = sorted(range(count), key=lambda place: -expected[place])
    ranked[:count] = [steady[place] for place in order]
    needed = replicates_needed(abs(ranked[0].mean - ranked[1].mean), paired.sd)
    return Choice(
        objective,
        tuple(ranked),
        noise,
        paired,
        tuple(float(p_best[place]) for place in order),
        objective.sign * float(expected[order[0]]),
        None if needed is None else max(0, needed - min(ranked[0].n, ranked[1].n)),
    )


def _quiet(ranked: Sequence[Point]) -> Sequence[Point]:
    return ranked[: max(LEAST_QUIET, math.ceil(QUIET * len(ranked)))]


def noise_pooled(points: Sequence[Mapping[int, float]]) -> Noise | None:
    """Variance within points (seed -> value), sum (y - mean)^2 / sum (n - 1); None without replicates."""
    df = sum(len(values) - 1 for values in points)
    squares = sum((value - fmean(values.values())) ** 2 for values in points for value in values.values())
    return Noise(math.sqrt(squares / df), df) if df else None


def noise_within(ranked: Sequence[Point]) -> Noise | None:
    """Pooled over the better half, or over all points where that has no replicates; None without any."""
    better, everyone = ([point.values for point in chosen] for chosen in (_quiet(ranked), ranked))
    return noise_pooled(better) or noise_pooled(everyone)


def noise_paired(ranked: Sequence[Point]) -> Noise | None:
    """Residual of the two-way layout points x seeds (no interaction), where the better points share all their seeds.

    A seed that shuffles the data alike for all points moves them together; that part does not blur their differences.
    """
    chosen = _quiet(ranked)
    seeds = sorted(chosen[0].values) if chosen else []
    df = (len(chosen) - 1) * (len(seeds) - 1)
    if len(chosen) < 3 or df < 1 or any(sorted(point.values) != seeds for point in chosen):
        return None
    table = np.array([[point.values[seed] for seed in seeds] for point in chosen])
    residual = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
    return Noise(math.sqrt(float((residual**2).sum()) / df), df)


def simulate(means: Floats, n: NDArray[np.int64], noise: Noise, draws: int = DRAWS) -> tuple[Floats, Floats]:
    """Probability of being the best, and the expected true value, of points with these means (more is better).

    Hierarchical normal model: mean_i ~ N(true_i, sd^2 / n_i), true_i ~ N(mu, tau^2), flat priors on mu and tau (Gelman
    2006), sd^2 by its scaled inverse chi-squared posterior. tau on a grid; the rest is drawn. Pulling the points
    towards each other is what takes the winner's curse out (Gelman, Hill and Yajima 2012).
    """
    draw = np.random.default_rng(0)  # the same results give the same report
    count = len(means)
    variance = noise.sd**2 / n
    spread = max(float(means.std()), math.sqrt(float(variance.mean())))
    taus = spread * np.geomspace(0.02, 5, 60)
    total = variance + taus[:, None] ** 2
    precision = (1 / total).sum(1)
    centre = (means / total).sum(1) / precision
    log_weight = -0.5 * (np.log(total).sum(1) + np.log(precision) + ((means - centre[:, None]) ** 2 / total).sum(1))
    weight = np.exp(log_weight - log_weight.max()) * np.gradient(taus)
    chosen = draw.choice(len(taus), draws, p=weight / weight.sum())
    mu = centre[chosen] + draw.standard_normal(draws) / np.sqrt(precision[chosen])
    drawn = (noise.sd**2 * noise.df / draw.chisquare(noise.df, draws))[:, None] / n
    keep = taus[chosen, None] ** 2 / (taus[chosen, None] ** 2 + drawn)
    true = mu[:, None] + keep * (means - mu[:, None])
    expected = true.mean(0)
    true += np.sqrt(keep * drawn) * draw.standard_normal((draws, count))
    return np.bincount(true.argmax(1), minlength=count) / draws, expected


def replicates_needed(gap: float, sd: float, power: float = POWER) -> int | None:
    """Seeds per point that tell two means `gap` apart: 2 (z(0.975) + z(power))^2 (sd / gap)^2.

    At a power of 0.8 that is 15.7 (sd / gap)^2, the usual size by the normal approximation (Lehr 1992). None for a
    gap of 0, which no number tells.
    """
    if gap <= 0:
        return None
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) + NormalDist().inv_cdf(power)
    return max(2, math.ceil(2 * (z * sd / gap) ** 2))


def is_test_metric(name: str) -> bool:
    """Was it measured on the test set, going by its name?"""
    return name.lower().replace("/", "_").replace(".", "_").split("_")[0] == "test"


def test_metrics(point: Point) -> dict[str, float]:
    """Mean of each test metric over the point's seeds."""
    names = sorted({name for row in point.rows for name in row.metrics if is_test_metric(name)})
    return {name: fmean(row.metrics[name] for row in point.rows if name in row.metrics) for name in names}
