"""Is a result the same when it is made again? Compared with the old one, and with what seeds make of the point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

from sweep.ranking import noise

EQUAL, WITHIN, OUTSIDE = "equal", "within the seed spread", "outside the seed spread"
UNKNOWN = "differs, and no other seed tells how much that is"
WORST_FIRST = (OUTSIDE, UNKNOWN, WITHIN, EQUAL)

Metrics = Mapping[str, float | None]


@dataclass(frozen=True)
class Compared:
    """One metric, then and now."""

    metric: str
    then: float | None
    now: float | None
    seeds: int
    """How many trials of the point, itself among them, have the metric."""
    low: float | None
    high: float | None
    """What another seed could have made of `then`, at 95 %; None where fewer than two seeds tell it."""
    verdict: str

    @property
    def good(self) -> bool:
        return self.verdict in (EQUAL, WITHIN)


def spread(values: Sequence[float]) -> float | None:
    """How far two trials of a point are apart, in 95 % of cases at most, by these values; None for fewer than two.

    Student's t for the difference of two single values, whose standard deviation is sqrt(2) times that of one.
    """
    n = len(values)
    if n < 2:
        return None
    power = noise.exponent(values)
    sd = noise.scaled(stdev(noise.scaled(value, -power) for value in values), power)
    return noise.bounded(noise.t_quantile(n - 1) * sd * math.sqrt(2))


def compare(then: Metrics, now: Metrics, replicates: Sequence[Metrics]) -> list[Compared]:
    """Every metric of either, by name. `replicates`: the metrics of the point's trials, with whatever seed."""
    compared = []
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)
        values = [value for metrics in replicates if (value := metrics.get(name)) is not None]
        apart = spread(values)
        low, high = (
            (None, None) if apart is None or old is None else (noise.bounded(old - apart), noise.bounded(old + apart))
        )
        if old == new:
            verdict = EQUAL
        elif old is None or new is None:
            verdict = OUTSIDE
        elif apart is None:
            verdict = UNKNOWN
        else:
            verdict = WITHIN if abs(noise.difference(new, old)) <= apart else OUTSIDE
        compared.append(Compared(name, old, new, len(values), low, high, verdict))
    return compared
