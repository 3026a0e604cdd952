"""The domain of one hyperparameter: which values it may take, and how a sampler reaches them.

Every domain maps a 53-bit number to a value (`at`), and a finite one has a `size` and values by index (`value`,
`index`): a sampler needs no more. Arithmetic is decimal, which gives the same digits on every machine (libm does not).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

from sweep.records.same import as_helm_sees
from sweep.spaces import normal
from sweep.spaces.constraint import Constraint

BITS = 53
DIGITS = 6  # significant digits of a sampled float: a line stays short, and finer steps change no training
EXACT = Context(prec=28, rounding=ROUND_HALF_EVEN)

When = tuple[tuple[str, tuple[Any, ...]], ...]
"""(hyperparameter, its values) pairs that must all hold for another hyperparameter to be there."""


class _Outside:
    """What `fit` says of a value that a domain does not have; null is a value."""

    def __repr__(self) -> str:
        return "OUTSIDE"


OUTSIDE: Final = _Outside()


class _Named:
    """What all domains have to be told apart by."""

    name: str
    twin: int

    @property
    def key(self) -> str:
        """What tells it apart from all others."""
        return f"{self.name}#{self.twin}" if self.twin else self.name


@dataclass(frozen=True)
class Choices(_Named):
    """A list of values, taken evenly or by weights; `ordered`: neighbours in the list are alike."""

    name: str
    values: tuple[Any, ...]
    ordered: bool = False
    when: When = ()
    assumed: bool = False
    """Whether it is ordered only because its numbers are, of `type: choice`: the rules of a search 1 did not see it."""
    weights: tuple[Fraction, ...] = ()
    """How often each value is drawn, as against the others; () for alike."""
    only: tuple[Constraint, ...] = ()
    """Conditions, beside `when`, that must all hold for it to be there."""
    place: int = 0
    """Where it stands in the file."""
    twin: int = 0
    """Counts the domains of one name, of which only one can be there at once."""

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def uneven(self) -> str:
        """The key that makes some values likelier than others, "" for none."""
        return "weights" if self.weights else ""

    def value(self, index: int) -> Any:
        return self.values[index]

    def at(self, u: int) -> Any:
        return self.values[bisect_right(self._ends, u) if self.weights else u * self.size >> BITS]

    @cached_property
    def _ends(self) -> list[Fraction]:
        """Where the share of each value but the last ends, in 53 bits."""
        total = sum(self.weights)
        return [reached * 2**BITS / total for reached in accumulate(self.weights[:-1])]

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {as_helm_sees(value): index for index, value in enumerate(self.values)}

    def index(self, value: Any) -> int | None:
        """Where `value` stands in the list; None if it does not."""
        return self._indices.get(as_helm_sees(value))

    def fit(self, value: Any) -> Any:
        """`value` as this domain spells it (1.0 for 1); OUTSIDE if it is not in here."""
        index = self.index(value)
        return OUTSIDE if index is None else self.values[index]

    def around(self, value: Any, shrink: float) -> Choices:
        """The neighbours of `value`, a share `shrink` of the list; of unordered values that one alone."""
        index = self.index(value)
        assert index is not None
        count = max(1, math.ceil(self.size * shrink)) if self.ordered else 1
        first = min(max(0, index - (count - 1) // 2), self.size - count)
        near = slice(first, first + count)
        return replace(self, values=self.values[near], weights=self.weights[near])


@dataclass(frozen=True)
class Range(_Named):
    """Numbers from low to high, both included; whole ones if `whole`, and only low + k step if there is a step.

    They are drawn on a scale: as they are, by their logarithm (`log`), or by that of their distance to 1 (`mirrored`).
    """

    name: str
    whole: bool
    low: Decimal
    high: Decimal
    log: bool = False
    step: Decimal | None = None
    when: When = ()
    mirrored: bool = False
    bell: tuple[Decimal, Decimal] | None = None
    """(mean, standard deviation) on the scale, of a normal distribution that is cut at both ends; None: evenly."""
    only: tuple[Constraint, ...] = ()
    place: int = 0
    twin: int = 0

    @cached_property
    def size(self) -> int | None:
        """How many values there are; None for a continuous range."""
        return None if self.step is None else int((self.high - self.low) / self.step) + 1

    @property
    def uneven(self) -> str:
        """The key that makes some values likelier than others, "" for none."""
        return "normal" if self.bell else ""

    def value(self, index: int) -> Any:
        assert self.step is not None
        return self.plain(self.low + self.step * index)

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
        if self.size is not None and not self.log and not self.bell:
            return self.value(u * self.size >> BITS)
        first, last = self._shares if self.bell else self.ends
        place = EXACT.add(first, EXACT.multiply(self._unit(u), EXACT.subtract(last, first)))
        if self.bell:
            mean, deviation = self.bell
            place = EXACT.add(mean, EXACT.multiply(deviation, normal.quantile(place)))
        return self.near(self.off_scale(place))

    def near(self, exact: Decimal) -> Any:
        """The value of the range that is nearest to `exact`, with as many digits as are kept."""
        if self.step is not None and not (self.whole and self.step == 1):
            steps = ((exact - self.low) / self.step).to_integral_value(ROUND_HALF_UP)
            return self.value(min(max(int(steps), 0), (self.size or 1) - 1))
        if self.whole:
            rounded = exact.quantize(Decimal(1), ROUND_HALF_UP, EXACT)
        else:
            # A range far narrower than its values keeps 10,000 steps at least.
            finest = min(exact.adjusted() - DIGITS + 1, (self.high - self.low).adjusted() - 4)
            if self.mirrored:
                finest = min(finest, (1 - exact).adjusted() - DIGITS + 1)
            rounded = exact.quantize(Decimal(1).scaleb(finest), ROUND_HALF_EVEN, EXACT)
        return self.plain(min(max(rounded, self.low), self.high))

    def fit(self, value: Any) -> Any:
        """`value` as this domain spells it (1.0 for 1); OUTSIDE if it is not in here."""
        if not is_number(value, "float") or not self.low <= Decimal(str(value)) <= self.high:
            return OUTSIDE
        if (self.whole and value != int(value)) or (self.step is not None and self.index(value) is None):
            return OUTSIDE
        return int(value) if self.whole else float(value)

    def around(self, value: Any, shrink: float) -> Range | Choices:
        """A share `shrink` of the range, with `value` in its middle as far as bounds allow; steps stay."""
        centre, share = Decimal(str(value)), Decimal(str(shrink))
        first, last = self.ends if self.log else (self.low, self.high)
        half = EXACT.multiply(EXACT.subtract(last, first), share) / 2
        middle = self.on_scale(centre)
        low, high = (self.off_scale(EXACT.add(middle, side)) for side in (-half, half))
        if self.step is not None:
            low = self.low + self.step * max(0, math.ceil((low - self.low) / self.step))
            high = self.low + self.step * min((self.size or 1) - 1, math.floor((high - self.low) / self.step))
        else:
            low, high = (Decimal(str(self.near(bound))) for bound in (low, high))
        low, high = max(low, self.low), min(high, self.high)
        return (
            replace(self, low=low, high=high)
            if low < high
            else Choices(self.name, (value,), when=self.when, twin=self.twin)
        )

    def learnt(self, value: Any) -> float:
        """What a sampler that learns is told for `value`: the distance to 1 where that is what counts."""
        return float(1 - Decimal(str(value))) if self.mirrored else value

    def suggested(self, number: float) -> Any:
        """The value for a number between `learnt(low)` and `learnt(high)`."""
        exact = Decimal(str(number))
        return self.near(1 - exact if self.mirrored else exact)

    def on_scale(self, number: Decimal) -> Decimal:
        if self.mirrored:
            return EXACT.ln(1 - number).copy_negate()
        return EXACT.ln(number) if self.log else number

    def off_scale(self, place: Decimal) -> Decimal:
        if self.mirrored:
            return EXACT.subtract(1, EXACT.exp(place.copy_negate()))
        return EXACT.exp(place) if self.log else place

    @cached_property
    def ends(self) -> tuple[Decimal, Decimal]:
        """On the scale. The first and the last of several steps get a full share."""
        half = (self.step or 0) / Decimal(2)
        low, high = self.low - half, self.high + half
        if self.log and not self.mirrored:
            low = max(low, self.low / 2)
        if self.mirrored:
            high = min(high, (1 + self.high) / 2)
        return self.on_scale(low), self.on_scale(high)

    @cached_property
    def _shares(self) -> tuple[Decimal, Decimal]:
        """What is below either end, of a normal distribution that is not cut."""
        assert self.bell
        mean, deviation = self.bell
        first, last = (normal.share_below((end - mean) / deviation) for end in self.ends)
        return first, last

    @staticmethod
    def _unit(u: int) -> Decimal:
        return EXACT.divide(Decimal(u), Decimal(2**BITS))

    def plain(self, number: Decimal) -> int | float:
        return int(number) if self.whole else float(number)


Parameter = Choices | Range


def is_number(value: Any, kind: str) -> bool:
    """Whether `value` is a number of the kind `int` or `float`; true and false are none, 1e3 is a whole one."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return not isinstance(value, bool) and (whole if kind == "int" else isinstance(value, int | float))


def of_rules_1(parameter: Parameter) -> Parameter:
    """As the rules of a search 1 saw it, which knew no order of a `type: choice` that does not say so."""
    return replace(parameter, ordered=False) if isinstance(parameter, Choices) and parameter.assumed else parameter
