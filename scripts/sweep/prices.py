"""What GPU time costs: the price that a release's provenance names, and sums of money, spot and on demand apart.

The chart looks the price up (values `prices`, by the labels of `nodeSelector`) and the runner copies it into each
attempt's record: what was paid stays what it was, whatever base.yaml says later.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.words import figure

CURRENCY = re.compile(r"[^\W\d_]{3}")
"""Three letters, as in EUR."""
HIGHEST = 1e6
"""Of a GPU-hour: an attempt's record, which the trial could write, that says more is not believed."""

Money = Mapping[tuple[str, bool], float]
"""(currency, whether on spot nodes) -> how much. Empty: nothing that has a price."""


@dataclass(frozen=True)
class Price:
    """Of an hour of one GPU."""

    gpu_hour: float
    currency: str
    spot: bool = False
    """Whether on nodes that may be taken away at any time."""

    def of(self, gpu_hours: float) -> Money:
        return {(self.currency, self.spot): self.gpu_hour * gpu_hours}


def read(given: Any) -> Price | None:
    """The price in the JSON of a provenance; None where there is none, or none that can be one."""
    if not isinstance(given, dict):
        return None
    hour, currency = given.get("gpu_hour"), given.get("currency")
    if not isinstance(currency, str) or not CURRENCY.fullmatch(currency):
        return None
    if not isinstance(hour, int | float) or isinstance(hour, bool) or not 0 <= hour <= HIGHEST:
        return None
    return Price(float(hour), currency, given.get("spot") is True)


def total(amounts: Iterable[Money]) -> dict[tuple[str, bool], float]:
    """The sum of each kind, to the last digit the same in whatever order they come."""
    parts: dict[tuple[str, bool], list[float]] = {}
    for money in amounts:
        for kind, amount in money.items():
            parts.setdefault(kind, []).append(amount)
    return {kind: math.fsum(parts[kind]) for kind in sorted(parts)}


def by_currency(money: Money) -> dict[str, dict[str, float]]:
    """Currency -> {all, spot, on_demand}."""
    sums: dict[str, dict[str, float]] = {}
    for (currency, spot), amount in sorted(money.items()):
        known = sums.setdefault(currency, {"all": 0.0, "spot": 0.0, "on_demand": 0.0})
        known["all"] += amount
        known["spot" if spot else "on_demand"] += amount
    return sums


def amount(money: Money) -> str:
    """`13.20 EUR`, of several currencies each."""
    return " + ".join(f"{_figure(sums['all'])} {currency}" for currency, sums in by_currency(money).items())


def text(money: Money) -> str:
    """`13.20 EUR (9.20 spot, 4.00 on demand)`; where all of it is of one kind, that kind alone."""
    return " + ".join(f"{_figure(sums['all'])} {name} ({_kinds(sums)})" for name, sums in by_currency(money).items())


def _kinds(sums: Mapping[str, float]) -> str:
    if not sums["spot"] or not sums["on_demand"]:
        return "spot" if sums["spot"] else "on demand"
    return f"{_figure(sums['spot'])} spot, {_figure(sums['on_demand'])} on demand"


def _figure(value: float) -> str:
    """To the hundredth, below one to two digits."""
    return f"{value:,.2f}" if value >= 1 else figure(value)
