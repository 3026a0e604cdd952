"""How probable is it that a point is the best, and what will it give again: a hierarchical model, by simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.ranking import noise
from sweep.ranking.noise import Floats, Layout, Values

DRAWS = 3000
SPREADS = np.geomspace(0.03, 5, 16)
"""Standard deviations between points that are considered, as multiples of the one that is seen."""
USUAL, WIDTH = 0.5, 0.7
"""Noise over spread as it usually is where one asks which is best, and how far off that may be (factors of e)."""
SIZES = np.geomspace(0.03, 30, 50)
"""Typical noise of a point that is considered, as multiples of the pooled one."""
RATIOS = np.geomspace(1 / 4, 4, 9)
"""Noise of a point that is considered, as multiples of the typical one."""
UNLIKE = (1.0, 2.0, 4.0)
"""How unlike the noise of points may be: all within a factor of so much of the typical one, evenly on a log scale."""
MOST = 1e100
"""What lies further off than so many times the spread counts as so far."""
LEAST_NOISE = 1e-9
"""Noise below this share of the spread is taken for as much: nothing can be told beyond."""


@dataclass(frozen=True)
class _Scale:
    """What values are taken to before anything is squared, (value / 2^power - centre) / 2^finer, and back."""

    power: int
    centre: float
    finer: int

    @classmethod
    def of(cls, points: Sequence[Values], sd: float) -> _Scale:
        """One by which the points and their noise fit."""
        power = noise.exponent([sd, *(value for values in points for value in values.values())])
        small = [{seed: noise.scaled(value, -power) for seed, value in values.items()} for values in points]
        centre = noise.mean(noise.mean(values.values()) for values in small)
        apart = [value - centre for values in small for value in values.values()]
        return cls(power, centre, noise.exponent([noise.scaled(sd, -power), *apart]))

    def small(self, values: Values) -> dict[int, float]:
        return {
            seed: noise.scaled(noise.scaled(v, -self.power) - self.centre, -self.finer) for seed, v in values.items()
        }

    def spread(self, sd: float) -> float:
        return noise.scaled(sd, -self.power - self.finer)

    def back(self, value: float) -> float:
        return noise.bounded(noise.scaled(self.centre + noise.scaled(value, self.finer), self.power))


def simulate(
    points: Sequence[Values], among: Sequence[Values], fitted: Layout, draws: int = DRAWS
) -> tuple[Floats, list[float]]:
    """Probability of being the best, and the expected true value, of points with these values (more is better).

    value_is ~ N(true_i + seed_s, sd_i^2), true_i ~ N(mu, tau^2), flat priors on mu and tau (Gelman 2006). Each point
    has noise of its own, sd_i = s ratio_i: what its few seeds say is pulled towards the noise of the points `among`
    which it stands, as in Smyth (2004), but with ratios of at most 4, so that a single seed is not thought to be
    anything. s, and how unlike the ratios are, is drawn by what all those show; where that is little, s / tau is taken
    to be of the order of 0.5 (a Cauchy prior on its logarithm). What seeds do to all alike is drawn by what is known
    of it (`fitted`). Every draw is weighed by the likelihood of the means, mu and tau integrated out (importance
    sampling, Geweke 1989). All values enter, also those by which points were chosen for more seeds, so that being
    chosen makes nobody look better (Rubin 1976). Pulling the points towards each other takes the winner's curse out
    (Gelman, Hill and Yajima 2012).
    """
    draw = np.random.default_rng(0)  # the same results give the same report
    scale = _Scale.of(points, fitted.noise.sd if fitted.noise else 0.0)
    n = np.array([len(values) for values in points])
    means, squares = _without_seeds([scale.small(values) for values in points], scale, fitted, draw, draws)
    least = max(LEAST_NOISE * float(means[0].std()), 1e-100)
    typical, allowed = _noise_of_points([scale.small(values) for values in among], scale, fitted, least, draw, draws)
    variance = _of_each_point(typical, allowed, squares, n - 1.0, draw) / n
    spread = max(float(means[0].std()), math.sqrt(float(np.median(variance.mean(1)))))
    weight, tau = _spread_of_points(means, variance, typical, spread * SPREADS, draw)
    total = tau**2 + variance
    precision = (1 / total).sum(1, keepdims=True)
    mu = (means / total).sum(1, keepdims=True) / precision + draw.standard_normal((draws, 1)) / np.sqrt(precision)
    keep = tau**2 / total
    true = mu + keep * (means - mu)
    expected = [scale.back(float(value)) for value in weight @ true]
    true += np.sqrt(keep * variance) * draw.standard_normal(true.shape)
    best: Floats = np.bincount(true.argmax(1), weight, len(points)).astype(np.float64)
    return best, expected


def _without_seeds(
    points: Sequence[Values], scale: _Scale, fitted: Layout, draw: np.random.Generator, draws: int
) -> tuple[Floats, Floats]:
    """(draws, points) twice: means of the points, and sums of squares within, less what seeds may do to all alike."""
    seeds = sorted({seed for values in points for seed in values})
    place = {seed: column for column, seed in enumerate(seeds)}
    effects = fitted.drawn(seeds, draw, draws, scale.power + scale.finer)
    means, squares = np.empty((draws, len(points))), np.empty((draws, len(points)))
    for column, values in enumerate(points):
        rest = np.array([*values.values()]) - effects[:, [place[seed] for seed in values]]
        means[:, column] = rest.mean(1)
        squares[:, column] = rest.var(1) * len(values)
    return means, squares


def _noise_of_points(
    points: Sequence[Values], scale: _Scale, fitted: Layout, least: float, draw: np.random.Generator, draws: int
) -> tuple[Floats, Floats]:
    """Draws of the typical noise s, and of the log prior of the ratios: by the squares within `points`."""
    replicated = [values for values in points if len(values) > 1]
    effects = {seed: noise.scaled(effect, -scale.power - scale.finer) for seed, effect in fitted.effects.items()}
    squares = np.array([_squares(values, effects) for values in replicated])
    free = np.array([len(values) - 1.0 for values in replicated])
    free *= max(0.1, 1 - fitted.rank / free.sum())  # what was spent on effects of seeds
    sizes = max(math.sqrt(squares.sum() / free.sum()), least) * SIZES
    prior = np.log([_evenly(np.abs(np.log(RATIOS)) <= math.log(unlike) + 1e-9) for unlike in UNLIKE])
    each = _log_likelihood(sizes[:, None, None] * RATIOS, squares[:, None], free[:, None])
    log = np.logaddexp.reduce(each[:, None] + prior[:, None], axis=-1).sum(-1)
    weight = np.exp(log - log.max()).ravel()
    chosen = draw.choice(weight.size, draws, p=weight / weight.sum())
    return sizes[chosen // len(UNLIKE)], prior[chosen % len(UNLIKE)]


def _evenly(allowed: NDArray[np.bool_]) -> Floats:
    """Equal weights, next to none where it is not allowed."""
    weight: Floats = np.where(allowed, 1 / allowed.sum(), 1e-300)
    return weight


def _log_likelihood(sd: Floats, squares: Floats, free: Floats) -> Floats:
    """Of noise `sd` by the sum of squares within a point, with `free` degrees of freedom."""
    log: Floats = -free * np.log(sd) - squares / sd**2 / 2
    return log


def _of_each_point(typical: Floats, prior: Floats, squares: Floats, free: Floats, draw: np.random.Generator) -> Floats:
    """(draws, points): a variance for each point, by its own squares within."""
    sd = (typical[:, None] * RATIOS)[:, None]
    log = prior[:, None] + _log_likelihood(sd, squares[..., None], free[:, None])
    reached = np.cumsum(np.exp(log - log.max(-1, keepdims=True)), -1)
    chosen = (reached < draw.random((*squares.shape, 1)) * reached[..., -1:]).sum(-1)
    variance: Floats = (typical[:, None] * RATIOS[chosen]) ** 2
    return variance


def _squares(values: Values, effects: Values) -> float:
    """Sum of squares within a point, less effects of seeds; of what exploded as much as can be squared."""
    rest = np.array([min(max(value, -MOST), MOST) - effects.get(seed, 0.0) for seed, value in values.items()])
    return float(((rest - rest.mean()) ** 2).sum())


def _spread_of_points(
    means: Floats, variance: Floats, typical: Floats, taus: Floats, draw: np.random.Generator
) -> tuple[Floats, Floats]:
    """(weight of each draw, a tau for each), by the likelihood of the means, with mu integrated out."""
    centred = means - means.mean(1, keepdims=True)
    log = np.empty((len(means), len(taus)))
    for column, tau in enumerate(taus):
        total = tau**2 + variance
        precision, target = (1 / total).sum(1), (centred / total).sum(1)
        misfit = (centred**2 / total).sum(1) - target**2 / precision
        log[:, column] = -(misfit + np.log(total).sum(1) + np.log(precision)) / 2
        log[:, column] -= np.log1p((np.log(typical / (USUAL * tau)) / WIDTH) ** 2)  # Cauchy: gives way to what is seen
    likely = np.exp(log - log.max()) * np.gradient(taus)
    reached = np.cumsum(likely, 1)
    chosen = (reached < draw.random((len(means), 1)) * reached[:, -1:]).sum(1)
    return reached[:, -1] / reached[:, -1].sum(), taus[np.minimum(chosen, len(taus) - 1), None]
