"""The domain of one hyperparameter: which values it may take, and how a sampler reaches them.

Every domain maps a 53-bit number to a value (`at`), and a finite one has a `size` and values by index (`value`,
`index`): a sampler needs no more. Arithmetic is decimal, which gives the same digits on every machine (libm does not).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from functools import cached_property
from typing import Any

from sweep import yamlfile
from sweep.records.same import as_helm_sees
from sweep.yamlfile import Document

BITS = 53
DIGITS = 6  # significant digits of a sampled float: a line stays short, and finer steps change no training
EXACT = Context(prec=28, rounding=ROUND_HALF_EVEN)

When = tuple[tuple[str, tuple[Any, ...]], ...]
"""(hyperparameter, its values) pairs that must all hold for another hyperparameter to be there."""


@dataclass(frozen=True)
class Choice:
    """A list of values, taken evenly; `ordered`: neighbours in the list are alike."""

    name: str
    values: tuple[Any, ...]
    ordered: bool = False
    when: When = ()
    assumed: bool = False
    """Whether it is ordered only because its numbers are, of `type: choice`: the rules of a search 1 did not see it."""

    @property
    def size(self) -> int:
        return len(self.values)

    def value(self, index: int) -> Any:
        return self.values[index]

    def at(self, u: int) -> Any:
        return self.values[u * self.size >> BITS]

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {as_helm_sees(value): index for index, value in enumerate(self.values)}

    def index(self, value: Any) -> int | None:
        """Where `value` stands in the list; None if it does not."""
        return self._indices.get(as_helm_sees(value))

    def fit(self, value: Any) -> Any:
        """`value` as this domain spells it (1.0 for 1); None if it is not in here."""
        index = self.index(value)
        return None if index is None else self.values[index]

    def around(self, value: Any, shrink: float) -> Choice:
        """The neighbours of `value`, a share `shrink` of the list; of unordered values that one alone."""
        index = self.index(value)
        assert index is not None
        count = max(1, math.ceil(self.size * shrink)) if self.ordered else 1
        first = min(max(0, index - (count - 1) // 2), self.size - count)
        return replace(self, values=self.values[first : first + count])


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included; whole ones if `whole`, and only low + k step if there is a step."""

    name: str
    whole: bool
    low: Decimal
    high: Decimal
    log: bool = False
    step: Decimal | None = None
    when: When = ()

    @cached_property
    def size(self) -> int | None:
        """How many values there are; None for a continuous range."""
        return None if self.step is None else int((self.high - self.low) / self.step) + 1

    def value(self, index: int) -> Any:
        assert self.step is not None
        return self._plain(self.low + self.step * index)

    def index(self, value: Any) -> int | None:
        """Which step of the range `value` is; None if it is none."""
        if self.step is None or not is_number(value, "float"):
            return None
        steps = (Decimal(str(value)) - self.low) / self.step
        return (
            int(steps) if steps == steps.to_integral_value() and self.low <= Decimal(str(value)) <= self.high else None
        )

    def at(self, u: int) -> Any:
        """The value at u / 2^53 of the range; floats rounded to 6 significant digits (more in a narrow range)."""
        if self.log:
            first, last = self._logarithms
            exact = EXACT.exp(EXACT.add(first, EXACT.multiply(self._unit(u), EXACT.subtract(last, first))))
        elif self.size is not None:
            return self.value(u * self.size >> BITS)
        else:
            exact = EXACT.add(self.low, EXACT.multiply(self._unit(u), EXACT.subtract(self.high, self.low)))
        return self.near(exact)

    def near(self, exact: Decimal) -> Any:
        """The value of a range without steps that is nearest to `exact`, with as many digits as are kept."""
        if self.whole:
            rounded = exact.quantize(Decimal(1), ROUND_HALF_UP, EXACT)
        else:
            # A range far narrower than its values keeps 10,000 steps at least.
            finest = min(exact.adjusted() - DIGITS + 1, (self.high - self.low).adjusted() - 4)
            rounded = exact.quantize(Decimal(1).scaleb(finest), ROUND_HALF_EVEN, EXACT)
        return self._plain(min(max(rounded, self.low), self.high))

    def fit(self, value: Any) -> Any:
        """`value` as this domain spells it (1.0 for 1); None if it is not in here."""
        if not is_number(value, "float") or not self.low <= Decimal(str(value)) <= self.high:
            return None
        if (self.whole and value != int(value)) or (self.step is not None and self.index(value) is None):
            return None
        return int(value) if self.whole else float(value)

    def around(self, value: Any, shrink: float) -> Range | Choice:
        """A share `shrink` of the range, with `value` in its middle as far as bounds allow; steps stay."""
        centre, share = Decimal(str(value)), Decimal(str(shrink))
        if self.log:
            first, last = self._logarithms
            half = EXACT.multiply(EXACT.subtract(last, first), share) / 2
            low, high = (EXACT.exp(EXACT.add(EXACT.ln(centre), side)) for side in (-half, half))
        else:
            half = (self.high - self.low) * share / 2
            low, high = centre - half, centre + half
        if self.step is not None:
            low = self.low + self.step * max(0, math.ceil((low - self.low) / self.step))
            high = self.low + self.step * min((self.size or 1) - 1, math.floor((high - self.low) / self.step))
        else:
            low, high = (Decimal(str(self.near(bound))) for bound in (low, high))
        low, high = max(low, self.low), min(high, self.high)
        return replace(self, low=low, high=high) if low < high else Choice(self.name, (value,), when=self.when)

    @cached_property
    def _logarithms(self) -> tuple[Decimal, Decimal]:
        edge = Decimal("0.5") if self.whole else Decimal(0)  # the first and the last whole number get a full share
        return EXACT.ln(self.low - edge), EXACT.ln(self.high + edge)

    @staticmethod
    def _unit(u: int) -> Decimal:
        return EXACT.divide(Decimal(u), Decimal(2**BITS))

    def _plain(self, number: Decimal) -> int | float:
        return int(number) if self.whole else float(number)


Parameter = Choice | Range


def is_number(value: Any, kind: str) -> bool:
    """Whether `value` is a number of the kind `int` or `float`; true and false are none."""
    return not isinstance(value, bool) and isinstance(value, int if kind == "int" else int | float)


def of_rules_1(parameter: Parameter) -> Parameter:
    """As the rules of a search 1 saw it, which knew no order of a `type: choice` that does not say so."""
    return replace(parameter, ordered=False) if isinstance(parameter, Choice) and parameter.assumed else parameter


# ---- reading ----


def read(doc: Document, name: str, raw: dict[str, Any], when: When) -> Parameter:
    """The domain that space.yaml declares for `name`; raises BadInput with the line."""
    path, kind = ("space", name), raw["type"]
    allowed = {"bool": (), "choice": ("choices", "ordered")}.get(
        kind, ("choices", "ordered") if "choices" in raw else tuple(key for key in raw if key != "ordered")
    )
    for key in raw:
        if key not in ("type", "when", *allowed):
            other = "choices" if "choices" in raw and kind != "bool" else f"type {kind}"
            raise doc.bad((*path, key), f"it means nothing beside {other}; remove it")
    if kind == "bool":
        return Choice(name, (False, True), when=when)
    if kind == "choice" or "choices" in raw:
        if "choices" not in raw:
            raise doc.bad(path, "choices is missing; write `choices: [a, b]`")
        return _choice(doc, name, raw, when)
    for key in ("low", "high"):
        if key not in raw:
            raise doc.bad(path, f"{key} is missing; write `low:` and `high:`, or `choices: […]`")
    return _range(doc, name, raw, when)


def _choice(doc: Document, name: str, raw: dict[str, Any], when: When) -> Choice:
    seen: dict[str, int] = {}
    kind, choices = raw["type"], raw["choices"]
    for index, value in enumerate(choices):
        path = ("space", name, "choices", index)
        if kind != "choice" and not is_number(value, kind):
            raise doc.bad(path, f"{yamlfile.plain(value)} is no {kind}; write a number, or `type: choice`")
        first = seen.setdefault(as_helm_sees(value), index)
        if first != index:
            raise doc.bad(path, f"{yamlfile.plain(value)} stands already as choices[{first}]; remove one")
    numbers = all(is_number(value, "float") for value in choices)
    rising = numbers and choices in (sorted(choices), sorted(choices, reverse=True))
    values = tuple(float(value) for value in choices) if kind == "float" else tuple(choices)
    return Choice(name, values, raw.get("ordered", rising), when, rising and kind == "choice" and "ordered" not in raw)


def _range(doc: Document, name: str, raw: dict[str, Any], when: When) -> Range:
    path, log, step = ("space", name), raw.get("log", False), raw.get("step")
    kind = raw["type"]
    for key in ("low", "high", "step"):
        if kind == "int" and key in raw and not isinstance(raw[key], int):
            raise doc.bad((*path, key), f"{raw[key]} is no whole number; write one, or `type: float`")
    if raw["low"] >= raw["high"]:
        raise doc.bad((*path, "low"), f"low {raw['low']} is not below high {raw['high']}; swap or change them")
    if log and raw["low"] <= 0:
        raise doc.bad((*path, "low"), f"a log scale has no {raw['low']}; write a number above 0, or remove `log`")
    if log and step is not None:
        raise doc.bad((*path, "step"), "it means nothing on a log scale; remove it, or write `choices: […]`")
    low, high = Decimal(str(raw["low"])), Decimal(str(raw["high"]))
    stride = Decimal(str(step)) if step is not None else Decimal(1) if kind == "int" else None
    if stride is not None and stride > high - low:
        raise doc.bad((*path, "step"), f"step {step} leaves one value; write at most high - low")
    return Range(name, kind == "int", low, high, log, stride, when)
