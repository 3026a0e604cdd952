"""How probable is it that a point is the best, and what will it give again: a hierarchical model, by simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.ranking import noise
from sweep.ranking.noise import Floats, Noise, Values

DRAWS = 10_000
SPREADS = np.geomspace(0.02, 5, 60)
"""Standard deviations between points that are considered, as multiples of the one that is seen."""
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
    points: Sequence[Values], rest: Noise, common: float = 0.0, draws: int = DRAWS
) -> tuple[Floats, list[float]]:
    """Probability of being the best, and the expected true value, of points with these values (more is better).

    value_is ~ N(true_i + seed_s, sd^2), true_i ~ N(mu, tau^2), seed_s ~ N(0, common^2), flat priors on mu and tau
    (Gelman 2006), sd^2 by its scaled inverse chi-squared posterior. tau on a grid; the rest is drawn. All values enter,
    also those by which points were chosen for more seeds, so that being chosen makes nobody look better (Rubin 1976).
    Pulling the points towards each other takes the winner's curse out (Gelman, Hill and Yajima 2012).
    """
    draw = np.random.default_rng(0)  # the same results give the same report
    scale = _Scale.of(points, rest.sd)
    small = [scale.small(values) for values in points]
    n = np.array([len(values) for values in small])
    means = np.array([noise.mean(values.values()) for values in small])
    sd = max(scale.spread(rest.sd), LEAST_NOISE * float(means.std()), 1e-100)
    spread = max(float(means.std()), math.sqrt(float((sd**2 / n).mean())))
    taus = spread * SPREADS
    seeds = noise.shared_seeds(small) if common else []
    there, table = noise.tabulated(small, seeds)
    effect = min(max(scale.spread(common), 1e-3 * sd), 1e5 * sd)
    centres, roots, log_weight = _given_spread(means, n, there, table, sd, effect, taus)
    weight = np.exp(log_weight - log_weight.max()) * np.gradient(taus)
    chosen = draw.choice(len(taus), draws, p=weight / weight.sum())
    normal = np.column_stack(
        [draw.standard_normal(draws), np.random.default_rng(1).standard_normal((draws, len(seeds)))]
    )
    shared = np.empty_like(normal)  # mu, and what each seed does
    for place in np.unique(chosen):
        rows = chosen == place
        shared[rows] = centres[place] + normal[rows] @ roots[place]
    mu = shared[:, :1]
    own = means - shared[:, 1:] @ (there / n[:, None]).T
    drawn = (sd**2 * rest.df / draw.chisquare(rest.df, draws))[:, None] / n
    keep = taus[chosen, None] ** 2 / (taus[chosen, None] ** 2 + drawn)
    true = mu + keep * (own - mu)
    expected = [scale.back(float(value)) for value in true.mean(0)]
    true += np.sqrt(keep * drawn) * draw.standard_normal((draws, len(points)))
    return np.bincount(true.argmax(1), minlength=len(points)) / draws, expected


def _given_spread(
    means: Floats, n: Floats, there: Floats, table: Floats, sd: float, effect: float, taus: Floats
) -> tuple[Floats, Floats, Floats]:
    """For every tau the posterior of (mu, seeds), as mean and root of its covariance, and tau's log likelihood.

    The true values are integrated out: a point's values have the precision (1 - keep 11'/n) / sd^2.
    """
    variance, count, seeds = sd**2, len(taus), there.shape[1]
    total = taus[:, None] ** 2 + variance / n
    keep = taus[:, None] ** 2 / total
    precision, target = np.zeros((count, seeds + 1, seeds + 1)), np.zeros((count, seeds + 1))
    precision[:, 0, 0] = (1 / total).sum(1)
    precision[:, 0, 1:] = precision[:, 1:, 0] = (1 / (n * total)) @ there
    among = np.einsum("ti,is,iu->tsu", keep / n, there, there, optimize=True)
    precision[:, 1:, 1:] = (np.diag(there.sum(0) + variance / effect**2) - among) / variance
    target[:, 0] = (means / total).sum(1)
    target[:, 1:] = (table.sum(0) - (keep * means) @ there) / variance
    scale = 1 / np.sqrt(np.diagonal(precision, axis1=1, axis2=2))  # mu and seeds may be of very different size
    precision, target = precision * scale[:, :, None] * scale[:, None, :], target * scale
    centres = np.linalg.solve(precision, target[..., None])[..., 0]
    lower = np.linalg.cholesky(precision)
    misfit = (means**2 / total).sum(1) - (target * centres).sum(1)
    size = 2 * (np.log(np.diagonal(lower, axis1=1, axis2=2)) - np.log(scale)).sum(1) + np.log(total).sum(1)
    return centres * scale, np.linalg.inv(lower) * scale[:, None, :], -(misfit + size) / 2
