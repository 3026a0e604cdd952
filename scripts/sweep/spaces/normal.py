"""The normal distribution in decimal arithmetic, so that a draw has the same digits on every machine."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from statistics import NormalDist

FAR = 9
"""Standard deviations beyond which nothing is told apart: 1e-19 of all draws."""
_EXACT = Context(prec=42, rounding=ROUND_HALF_EVEN)
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582")
_ROOT = _EXACT.sqrt(_EXACT.multiply(2, _PI))
_STEPS = 2
"""Newton's steps from a double: each squares the error, and what another machine's last digit was is gone."""


def share_below(z: Decimal) -> Decimal:
    """The share of a standard normal below `z`, by its Taylor series: phi(z) (z + z^3/3 + z^5/15 + …) + 1/2."""
    z = min(max(z, Decimal(-FAR)), Decimal(FAR))
    term = total = z
    square, odd = _EXACT.multiply(z, z), 1
    while term and term.adjusted() > total.adjusted() - 42:
        odd += 2
        term = _EXACT.divide(_EXACT.multiply(term, square), odd)
        total = _EXACT.add(total, term)
    return _EXACT.add(Decimal("0.5"), _EXACT.multiply(_density(z), total))


@lru_cache(maxsize=1 << 14)
def quantile(share: Decimal) -> Decimal:
    """The number below which that share of a standard normal is, for 0 < share < 1."""
    if share > Decimal("0.5"):
        return quantile(_EXACT.subtract(1, share)).copy_negate()
    z = Decimal(NormalDist().inv_cdf(float(share)))
    for _ in range(_STEPS):
        z = _EXACT.subtract(z, _EXACT.divide(_EXACT.subtract(share_below(z), share), _density(z)))
    return z


def _density(z: Decimal) -> Decimal:
    return _EXACT.divide(_EXACT.exp(_EXACT.divide(_EXACT.multiply(z, z), -2)), _ROOT)
