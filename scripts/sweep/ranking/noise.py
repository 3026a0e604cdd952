"""Noise between seeds: of one point, and of differences between points, once what a seed does to all alike is out.

Any finite values will do: sums and squares are taken of values scaled by a power of two, which costs no digit.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = Mapping[int, float]
"""What a point gave, by seed."""

CONFIDENCE = 0.95
ROUNDING = 1e-12
"""Deviations from a point's mean that are smaller than this share of its values are rounding, and count as none."""
MOST_SEEDS = 64
"""Seeds whose effects are told apart: those that most points have."""
LEAST_FREEDOM = 2
"""Degrees of freedom without which an effect of the seeds is not believed."""


@dataclass(frozen=True)
class Noise:
    """Standard deviation between seeds of one point, pooled over points, and its degrees of freedom."""

    sd: float
    df: int

    def half_width(self, n: float) -> float:
        """Half of the t interval of a mean of `n` seeds: t(0.975, df) sd / sqrt(n)."""
        return bounded(t_quantile(self.df) * (self.sd / math.sqrt(n)))


@dataclass(frozen=True)
class Layout:
    """The two-way layout value = point + seed + rest, fitted to whatever seeds each point has.

    Seeds are taken as drawn (random effects), points as they are.
    """

    noise: Noise | None = None
    """The rest; None where too little is there to tell it from what the seeds do."""
    common: float = 0.0
    """Standard deviation of what a seed does to all points alike; 0 where nothing shows that it does anything."""
    effects: dict[int, float] = field(default_factory=dict)
    """That, by seed."""
    spread: Floats = field(default_factory=lambda: np.zeros((0, 0)), compare=False)
    """A root of the covariance of `effects`, as far as they are not known: rows in their order."""
    rank: float = 0.0
    """Degrees of freedom that the effects took."""

    def drawn(self, seeds: Sequence[int], draw: np.random.Generator, draws: int, power: int) -> Floats:
        """(draws, seeds) over 2^power: what each of `seeds` may do to all points alike, by what is known of it."""
        if not self.common or self.noise is None:
            return np.zeros((draws, len(seeds)))
        blur = np.sqrt(self.noise.df / draw.chisquare(self.noise.df, (draws, 1)))
        known = draw.standard_normal((draws, len(self.spread))) @ np.ldexp(self.spread, -power).T * blur
        known += np.array([scaled(effect, -power) for effect in self.effects.values()])
        place = {seed: column for column, seed in enumerate(self.effects)}
        common = scaled(self.common, -power)
        columns = [known[:, place[s]] if s in place else common * draw.standard_normal(draws) for s in seeds]
        return np.column_stack(columns)

    def adjusted(self, values: Values) -> float:
        """The mean of `values` less what their seeds do to all points alike; the mean itself where nothing is known."""
        return difference(mean(values.values()), mean(self.effects.get(seed, 0.0) for seed in values))


def t_quantile(df: int) -> float:
    """t(0.975, df): what a standard deviation of a mean is multiplied by for half of its interval."""
    from scipy.special import stdtrit  # takes half a second to import, and only replicates need it

    return float(stdtrit(df, (1 + CONFIDENCE) / 2))


def mean(values: Iterable[float]) -> float:
    """The mean of any finite numbers, exactly that of equal ones, and never outside of what they span."""
    listed = list(values)
    low, high = min(listed), max(listed)
    if max(-low, high) < sys.float_info.max / len(listed):
        return min(max(fmean(listed), low), high)
    parts = 1 << len(listed).bit_length()
    return min(max(bounded(fmean(value / parts for value in listed) * parts), low), high)


def difference(first: float, second: float) -> float:
    """`one` less `other`, the largest number in place of an infinite one."""
    return bounded(first - second)


def bounded(number: float) -> float:
    """The number, or the largest there is in place of an infinite one."""
    return min(max(number, -sys.float_info.max), sys.float_info.max)


def exponent(numbers: Iterable[float]) -> int:
    """The power of two that scales `numbers` to below a half; 0 for zeros."""
    largest = max(map(abs, numbers), default=0.0)
    return math.frexp(largest)[1] + 1 if largest else 0


def scaled(number: float, power: int) -> float:
    """`number` times 2^power, as near as a float comes."""
    try:
        return math.ldexp(number, power)
    except OverflowError:
        return math.copysign(sys.float_info.max, number)


def pooled(points: Sequence[Values]) -> Noise | None:
    """Variance within points, sum (y - mean)^2 / sum (n - 1); None without replicates."""
    df = sum(len(values) - 1 for values in points)
    if not df:
        return None
    power = exponent(value for values in points for value in values.values())
    rest = [value for values in points for value in _deviations(values, power).values()]
    finer = exponent(rest)
    squares = math.fsum(scaled(value, -finer) ** 2 for value in rest)
    return Noise(scaled(math.sqrt(squares / df), power + finer), df)


def _deviations(values: Values, power: int) -> dict[int, float]:
    """By seed the difference to the mean, over 2^power; what is rounding is 0."""
    small = {seed: scaled(value, -power) for seed, value in values.items()}
    centre = mean(small.values())
    rounding = ROUNDING * max(map(abs, small.values()))
    return {seed: value - centre if abs(value - centre) > rounding else 0.0 for seed, value in small.items()}


def layout(points: Sequence[Values]) -> Layout:
    """What the seeds do to all `points` alike, by least squares on what is there; nothing where too little is.

    Effects are shrunk by their own variance, which is estimated from the reduction in squares (Henderson's method 3),
    so that seeds which do nothing, or that few points have, move nobody. Where all points have all seeds the rest is
    the residual of the balanced layout, and no point moves against another.
    """
    seeds = shared_seeds(values for values in points if len(values) > 1)
    replicated = _replicated(points, seeds)
    if len(replicated) < 2:
        return Layout()
    there, table, power = _residuals(replicated, seeds)
    count = there.sum(1, keepdims=True)
    # The normal equations of the seeds, with the points taken out.
    matrix = np.diag(there.sum(0)) - (there / count).T @ there
    sums = table.sum(0)
    sizes, axes = np.linalg.eigh(matrix)
    told_apart = sizes > 1e-9 * max(1.0, float(sizes[-1]))
    sizes, axes = sizes[told_apart], axes[:, told_apart]
    along = axes.T @ sums
    reduction, rank = float((along**2 / sizes).sum()), len(sizes)
    df = int(count.sum()) - len(replicated) - rank
    if df < LEAST_FREEDOM or not rank:
        return Layout()
    variance = max(0.0, float((table**2).sum()) - reduction) / df
    common = max(0.0, (reduction - rank * variance) / float(np.trace(matrix)))
    noise = Noise(scaled(math.sqrt(variance), power), df)
    if not common:
        return Layout(noise)
    kept = sizes / (sizes + variance / common)
    effects = axes @ (along * kept / sizes)
    by_seed = {seed: scaled(float(effect), power) for seed, effect in zip(seeds, effects, strict=True)}
    apart = np.eye(len(seeds)) - axes @ axes.T  # directions in which nothing is known but `common`
    covariance = axes @ np.diag(variance * kept / sizes) @ axes.T + common * apart
    root = np.ldexp(_root(covariance), power)
    return Layout(noise, scaled(math.sqrt(common), power), by_seed, root, float(kept.sum()))


def _root(covariance: Floats) -> Floats:
    sizes, axes = np.linalg.eigh(covariance)
    root: Floats = axes * np.sqrt(np.maximum(sizes, 0.0))
    return root


def _replicated(points: Iterable[Values], seeds: Collection[int]) -> list[Values]:
    """The points that have several of these seeds, with no others."""
    known = set(seeds)
    kept = [{seed: value for seed, value in values.items() if seed in known} for values in points]
    return [values for values in kept if len(values) > 1]


def _residuals(points: Sequence[Values], seeds: Sequence[int]) -> tuple[Floats, Floats, int]:
    """(points, seeds) twice: which there are, and their deviations from the points' means over 2^power; power."""
    power = exponent(value for values in points for value in values.values())
    rest = [_deviations(values, power) for values in points]
    finer = exponent(value for values in rest for value in values.values())
    small = [{seed: scaled(value, -finer) for seed, value in values.items()} for values in rest]
    return *tabulated(small, seeds), power + finer


def shared_seeds(points: Iterable[Values]) -> list[int]:
    """The seeds that most points have, at most 64, in their order."""
    count = Counter(seed for values in points for seed in values)
    return sorted(sorted(count, key=lambda seed: (-count[seed], seed))[:MOST_SEEDS])


def tabulated(points: Sequence[Values], seeds: Collection[int]) -> tuple[Floats, Floats]:
    """(1 where a point has a seed, the value there), of shape (points, seeds); 0 where it has none."""
    place = {seed: column for column, seed in enumerate(seeds)}
    there, table = np.zeros((len(points), len(place))), np.zeros((len(points), len(place)))
    for row, values in enumerate(points):
        for seed, value in values.items():
            if seed in place:
                there[row, place[seed]], table[row, place[seed]] = 1, value
    return there, table


def adjusted(points: Sequence[Values]) -> list[float]:
    """The mean of each point, fit to be compared: where seeds differ, less what they do to all points alike."""
    fitted = layout(points) if unequal(points) else Layout()
    return [fitted.adjusted(values) for values in points]


def without_seeds(points: Sequence[Values]) -> list[list[float]]:
    """The values of each point, less what their seeds do to all points alike."""
    effects = layout(points).effects
    return [[difference(value, effects.get(seed, 0.0)) for seed, value in values.items()] for values in points]


def unequal(points: Sequence[Values]) -> bool:
    """Whether some points have other seeds than others."""
    return any(values.keys() != points[0].keys() for values in points)
