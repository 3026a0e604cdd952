"""space.yaml: the search space of a sweep, read, checked and frozen.

Every domain maps a 53-bit number to a value (`at`), and a finite one has a `size` and values by index (`value`): a
sampler needs no more. Arithmetic is decimal, which gives the same digits on every machine (libm does not).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from functools import cached_property
from typing import Any

from sweep import yamlfile
from sweep.layout import SweepFiles
from sweep.schema import check
from sweep.yamlfile import Document

BITS = 53
DIGITS = 6  # significant digits of a sampled float: a line stays short, and finer steps change no training
MAX_TRIALS = 100_000
EXACT = Context(prec=28, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Choice:
    """A list of values, taken evenly."""

    name: str
    values: tuple[Any, ...]

    @property
    def size(self) -> int:
        return len(self.values)

    def value(self, index: int) -> Any:
        return self.values[index]

    def at(self, u: int) -> Any:
        return self.values[u * self.size >> BITS]


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included; whole ones if `whole`, and only low + k step if there is a step."""

    name: str
    whole: bool
    low: Decimal
    high: Decimal
    log: bool = False
    step: Decimal | None = None

    @cached_property
    def size(self) -> int | None:
        """How many values there are; None for a continuous range."""
        return None if self.step is None else int((self.high - self.low) / self.step) + 1

    def value(self, index: int) -> Any:
        assert self.step is not None
        return self._plain(self.low + self.step * index)

    def at(self, u: int) -> Any:
        """The value at u / 2^53 of the range; floats rounded to 6 significant digits (more in a narrow range)."""
        if self.log:
            first, last = self._logarithms
            exact = EXACT.exp(EXACT.add(first, EXACT.multiply(self._unit(u), EXACT.subtract(last, first))))
        elif self.size is not None:
            return self.value(u * self.size >> BITS)
        else:
            exact = EXACT.add(self.low, EXACT.multiply(self._unit(u), EXACT.subtract(self.high, self.low)))
        if self.whole:
            rounded = exact.quantize(Decimal(1), ROUND_HALF_UP, EXACT)
        else:
            # A range far narrower than its values keeps 10,000 steps at least.
            finest = min(exact.adjusted() - DIGITS + 1, (self.high - self.low).adjusted() - 4)
            rounded = exact.quantize(Decimal(1).scaleb(finest), ROUND_HALF_EVEN, EXACT)
        return self._plain(min(max(rounded, self.low), self.high))

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


@dataclass(frozen=True)
class Sampler:
    """How points are taken: `n` is None where the sampler takes them all."""

    name: str
    n: int | None
    seed: int
    replicates: int

    def __str__(self) -> str:
        """`random, n=8, seed=0`, as a commit message says it."""
        parts = [self.name] + ([f"n={self.n}", f"seed={self.seed}"] if self.n is not None else [])
        return ", ".join(parts + ([f"replicates={self.replicates}"] if self.replicates > 1 else []))


@dataclass(frozen=True)
class Space:
    """One space.yaml. `digest` is of its meaning: a comment or another spelling does not change it."""

    objective: dict[str, str]
    sampler: Sampler
    hyperparameters: dict[str, Any]
    parameters: tuple[Parameter, ...]
    digest: str
    doc: Document = field(repr=False, compare=False)

    @cached_property
    def size(self) -> int | None:
        """How many points there are; None if a parameter is continuous."""
        product = 1
        for parameter in self.parameters:
            if parameter.size is None:
                return None
            product *= parameter.size
        return product


def load(files: SweepFiles) -> Space:
    """Read values/<sweep>/space.yaml; raises BadInput with file, line, key and advice."""
    doc = yamlfile.load(files.space, files.clone.relative(files.space), helm=False)
    return read(doc, json.loads((files.clone.schemas / "space.schema.json").read_text()))


def read(doc: Document, schema: dict[str, Any]) -> Space:
    """The space in `doc`, checked by the schema and by the rules that a schema cannot say."""
    check(doc, schema)
    fixed: dict[str, Any] = doc.data.get("hyperparameters", {})
    for section in ("hyperparameters", "space"):
        if "seed" in doc.data.get(section, {}):
            raise doc.bad((section, "seed"), "a seed belongs to a trial; remove it; `replicates` repeats trials")
    for name in doc.data["space"]:
        if name in fixed:
            line = doc.where("hyperparameters", name)
            raise doc.bad(("space", name), f"it is fixed as well ({line}); remove one of them")
    parameters = tuple(_parameter(doc, name, raw) for name, raw in doc.data["space"].items())
    text = json.dumps(doc.data, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    space = Space(doc.data["objective"], _sampler(doc), fixed, parameters, digest, doc)
    _check_size(space)
    return space


def _sampler(doc: Document) -> Sampler:
    raw = doc.data["sampler"]
    if raw["name"] == "grid":
        for key in ("n", "seed"):
            if key in raw:
                raise doc.bad(("sampler", key), "a grid takes every point; remove it, or write `name: random`")
    elif "n" not in raw:
        raise doc.bad(("sampler",), f"n is missing; write `n: 8`, the number of points for {raw['name']}")
    n = int(raw["n"]) if "n" in raw else None
    return Sampler(raw["name"], n, int(raw.get("seed", 0)), int(raw.get("replicates", 1)))


def _check_size(space: Space) -> None:
    """Refuse more points than exist, a grid without end and a sweep too large to be one, with the numbers."""
    doc, sampler, points = space.doc, space.sampler, space.size
    if sampler.n is None and points is None:
        endless = next(parameter.name for parameter in space.parameters if parameter.size is None)
        raise doc.bad(("space", endless), "a grid needs a finite list; write `choices: […]` or a step")
    if sampler.n is not None:
        if points is not None and sampler.n > points:
            problem = f"{sampler.n} points are due, the space has {points}; write at most {points}"
            raise doc.bad(("sampler", "n"), problem)
        points = sampler.n
    total = (points or 0) * sampler.replicates
    if total > MAX_TRIALS:
        raise doc.bad(("sampler",), f"{total:,} trials, at most {MAX_TRIALS:,} are one sweep; make the space smaller")


def _parameter(doc: Document, name: str, raw: dict[str, Any]) -> Parameter:
    path, kind = ("space", name), raw["type"]
    allowed = {"bool": (), "choice": ("choices",)}.get(kind, ("choices",) if "choices" in raw else tuple(raw))
    for key in raw:
        if key != "type" and key not in allowed:
            other = "choices" if "choices" in raw and kind != "bool" else f"type {kind}"
            raise doc.bad((*path, key), f"it means nothing beside {other}; remove it")
    if kind == "bool":
        return Choice(name, (False, True))
    if kind == "choice" or "choices" in raw:
        if "choices" not in raw:
            raise doc.bad(path, "choices is missing; write `choices: [a, b]`")
        return _choice(doc, name, kind, raw["choices"])
    for key in ("low", "high"):
        if key not in raw:
            raise doc.bad(path, f"{key} is missing; write `low:` and `high:`, or `choices: […]`")
    return _range(doc, name, kind, raw)


def _choice(doc: Document, name: str, kind: str, choices: list[Any]) -> Choice:
    seen: dict[str, int] = {}
    for index, value in enumerate(choices):
        path = ("space", name, "choices", index)
        if kind != "choice" and not _is_number(value, kind):
            raise doc.bad(path, f"{yamlfile.plain(value)} is no {kind}; write a number, or `type: choice`")
        first = seen.setdefault(as_helm_sees(value), index)
        if first != index:
            raise doc.bad(path, f"{yamlfile.plain(value)} stands already as choices[{first}]; remove one")
    return Choice(name, tuple(float(value) for value in choices) if kind == "float" else tuple(choices))


def _range(doc: Document, name: str, kind: str, raw: dict[str, Any]) -> Range:
    path, log, step = ("space", name), raw.get("log", False), raw.get("step")
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
    return Range(name, kind == "int", low, high, log, stride)


def _is_number(value: Any, kind: str) -> bool:
    return not isinstance(value, bool) and isinstance(value, int if kind == "int" else int | float)


def as_helm_sees(value: Any) -> str:
    """Text that is equal for values which the chart takes for the same: 1 and 1.0, but not true and 1."""
    if isinstance(value, list):
        return "[" + ",".join(map(as_helm_sees, value)) + "]"
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)
