"""The domain of one hyperparameter in space.yaml: `low` and `high`, or `choices`, and how values are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sweep import yamlfile
from sweep.records.same import as_helm_sees
from sweep.spaces.domain import EXACT, Choices, Parameter, Range, When, is_number
from sweep.yamlfile import Document, Key

TAILS = 6
"""Standard deviations at which a normal without bounds is cut: two draws in a billion lie beyond."""
LISTED = ("choices", "ordered", "weights")
RANGE = ("low", "high", "log", "step", "normal", "base", "count")
TOO_SMALL, TOO_LARGE = Decimal("1e-300"), Decimal(2**53)
FAR = 700
"""An exponent that is none of a number between the two."""


def read(doc: Document, path: tuple[Key, ...], name: str, raw: dict[str, Any], when: When) -> Parameter:
    """The domain of `name`, which `path` declares as `raw`; raises BadInput with the line."""
    kind = raw["type"]
    listed = "choices" in raw or kind == "choice"
    _check_keys(doc, path, raw, ("weights",) if kind == "bool" else LISTED if listed else RANGE)
    if kind == "bool":
        return Choices(name, (False, True), when=when, weights=_weights(doc, path, raw, 2))
    if listed:
        return _choice(doc, path, name, raw, when)
    missing = [key for key in ("low", "high") if key not in raw]
    if missing and not isinstance(raw.get("normal"), dict):
        raise doc.bad(path, f"{missing[0]} is missing; write `low:` and `high:`, or `choices: […]`")
    return _range(doc, path, name, raw, when)


def _check_keys(doc: Document, path: tuple[Key, ...], raw: dict[str, Any], allowed: tuple[str, ...]) -> None:
    """Raise BadInput for a key that is none of these, and for choices that are not there."""
    for key in raw:
        if key not in ("type", "when", *allowed):
            other = "choices" if "choices" in allowed and "choices" in raw else f"type: {raw['type']}"
            raise doc.bad((*path, key), f"has no effect with `{other}`; remove it")
    if "choices" in allowed and "choices" not in raw:
        raise doc.bad(path, "choices is missing; write `choices: [a, b]`")


def _choice(doc: Document, path: tuple[Key, ...], name: str, raw: dict[str, Any], when: When) -> Choices:
    seen: dict[str, int] = {}
    kind, choices = raw["type"], raw["choices"]
    for index, value in enumerate(choices):
        place = (*path, "choices", index)
        if kind != "choice" and not is_number(value, kind):
            raise doc.bad(
                place, f"expected a number of `type: {kind}`, got {yamlfile.plain(value)}; write one, or `type: choice`"
            )
        first = seen.setdefault(as_helm_sees(value), index)
        if first != index:
            problem = f"{yamlfile.plain(value)} is a duplicate of choices[{first}]"
            raise doc.bad(place, f"{problem}; remove one, and add `weights` if it was to be drawn more often")
    numbers = all(is_number(value, "float") for value in choices)
    rising = numbers and choices in (sorted(choices), sorted(choices, reverse=True))
    values = tuple({"int": int, "float": float}[kind](value) if kind != "choice" else value for value in choices)
    assumed = rising and kind == "choice" and "ordered" not in raw
    weights = _weights(doc, path, raw, len(values))
    return Choices(name, values, raw.get("ordered", rising), when, assumed, weights)


def _weights(doc: Document, path: tuple[Key, ...], raw: dict[str, Any], due: int) -> tuple[Fraction, ...]:
    weights = tuple(Fraction(str(weight)) for weight in raw.get("weights", ()))
    if weights and len(weights) != due:
        what = "false and true" if raw["type"] == "bool" else f"{due} choices"
        raise doc.bad((*path, "weights"), f"{len(weights)} weights for {what}; write one for each")
    return weights


def _range(doc: Document, path: tuple[Key, ...], name: str, raw: dict[str, Any], when: When) -> Parameter:
    _check_range(doc, path, raw)
    kind, log, step = raw["type"], raw.get("log", False), raw.get("step")
    if "base" in raw:
        return _powers(doc, path, name, raw, when)
    stride = Decimal(str(step)) if step is not None else Decimal(1) if kind == "int" else None
    mirrored, whole = log == "reverse", kind == "int"
    drawn = Range(name, whole, Decimal(0), Decimal(1) / 2, bool(log), stride, when, mirrored)
    low, high, bell = _ends(doc, path, raw, drawn)
    drawn = Range(name, whole, low, high, bool(log), stride, when, mirrored, bell)
    _check_ends(doc, path, raw, drawn)
    if "count" in raw:
        return Choices(name, _spaced(doc, path, raw["count"], drawn), ordered=True, when=when)
    if stride is not None and stride > high - low:
        raise doc.bad((*path, "step"), f"step {step} leaves one value; write at most high - low")
    return drawn


def _check_range(doc: Document, path: tuple[Key, ...], raw: dict[str, Any]) -> None:
    """Raise BadInput for keys that exclude each other, and for a number that is not whole where it must be."""
    for key, others in (("count", ("step", "normal")), ("base", ("log", "normal"))):
        for other in others:
            if key in raw and raw.get(other):
                why = {"log": "powers are on a log scale already"}.get(
                    other, f"`{other}` and `{key}` exclude each other"
                )
                raise doc.bad((*path, other), f"{why}; remove one of the two")
    for key in ("low", "high", "step"):
        if raw["type"] == "int" and key in raw and not is_number(raw[key], "int"):
            raise doc.bad((*path, key), f"{raw[key]} is not a whole number; write one, or `type: float`")


def _ends(
    doc: Document, path: tuple[Key, ...], raw: dict[str, Any], scale: Range
) -> tuple[Decimal, Decimal, tuple[Decimal, Decimal] | None]:
    """(low, high, mean and standard deviation), the latter None for what is drawn evenly."""
    given = raw.get("normal", False)
    if not isinstance(given, dict):
        low, high = (Decimal(str(raw[key])) for key in ("low", "high"))
        return low, high, _in_the_middle(scale, low, high) if given else None
    if scale.mirrored:
        raise doc.bad((*path, "normal"), "mean and sd are unclear beside `log: reverse`; write `normal: true`")
    mean, deviation = Decimal(str(given["mean"])), Decimal(str(given["sd"]))
    low, high = (
        Decimal(str(raw[key])) if key in raw else _cut(doc, path, scale, mean + side * deviation)
        for side, key in ((-TAILS, "low"), (TAILS, "high"))
    )
    return low, high, (mean, deviation)


def _in_the_middle(scale: Range, low: Decimal, high: Decimal) -> tuple[Decimal, Decimal] | None:
    """(mean, standard deviation) of a normal with low and high three of these away; None for ends that are refused."""
    if low >= high or (scale.mirrored and high >= 1) or (scale.log and not scale.mirrored and low <= 0):
        return None
    first, last = (scale.on_scale(bound) for bound in (low, high))
    return (first + last) / 2, (last - first) / 6


def _cut(doc: Document, path: tuple[Key, ...], scale: Range, place: Decimal) -> Decimal:
    """Where a normal without that bound is cut: a number of few digits, or a multiple of the step."""
    exact = scale.off_scale(place) if abs(place) < 1000 else TOO_LARGE + 1
    if scale.step:
        exact = scale.step * (exact / scale.step).to_integral_value()
        exact = max(exact, scale.step) if scale.log else exact
    if abs(exact) > TOO_LARGE:
        raise doc.bad((*path, "normal"), "it reaches beyond 2^53, where numbers lose digits; write `low:` and `high:`")
    return exact if scale.step else Decimal(str(float(f"{exact:.6g}")))


def _check_ends(doc: Document, path: tuple[Key, ...], raw: dict[str, Any], drawn: Range) -> None:
    """Raise BadInput where there is nothing between them, or nothing that is ever drawn."""
    low, high = (raw.get(key, bound) for key, bound in (("low", drawn.low), ("high", drawn.high)))
    if low >= high:
        raise doc.bad((*path, "low"), f"low {low} is not below high {high}; swap or change them")
    if drawn.mirrored and high >= 1:
        problem = f"expected a number below 1 with `log: reverse`, got {high}"
        raise doc.bad((*path, "high"), f"{problem}; write one, or `log: true`")
    if drawn.log and not drawn.mirrored and low <= 0:
        raise doc.bad(
            (*path, "low"), f"expected a number above 0 on a log scale, got {low}; write one, or remove `log`"
        )
    if drawn.bell:
        mean, deviation = drawn.bell
        if any(side * (end - mean) > TAILS * deviation for side, end in zip((1, -1), drawn.ends, strict=True)):
            raise doc.bad((*path, "normal"), f"nothing of it lies between {low} and {high}; change the mean, or these")


def _spaced(doc: Document, path: tuple[Key, ...], count: int, ends: Range) -> tuple[Any, ...]:
    """`count` values from end to end, as evenly on the scale as their digits allow."""
    first, last = (ends.on_scale(bound) for bound in (ends.low, ends.high))
    step = EXACT.divide(EXACT.subtract(last, first), Decimal(count - 1))
    free = Range(ends.name, ends.whole, ends.low, ends.high, ends.log, Decimal(1) if ends.whole else None)
    free = Range(free.name, free.whole, free.low, free.high, free.log, free.step, (), ends.mirrored)
    inner = (free.near(free.off_scale(EXACT.add(first, EXACT.multiply(step, Decimal(k))))) for k in range(1, count - 1))
    values = (free.plain(ends.low), *inner, free.plain(ends.high))
    if len(set(values)) < count:
        raise doc.bad((*path, "count"), f"there are no {count} different values between the two; write fewer")
    return values


# ---- powers ----


def _powers(doc: Document, path: tuple[Key, ...], name: str, raw: dict[str, Any], when: When) -> Parameter:
    """`base: 2`: low, high and step are exponents. Whole ones of an int, or of a float with a step."""
    whole, base = raw["type"] == "int", raw["base"]
    low, high = (Decimal(str(raw[key])) for key in ("low", "high"))
    _check_powers(doc, path, raw)
    if "count" in raw:
        exponents = [low + (high - low) * k / (int(raw["count"]) - 1) for k in range(int(raw["count"]))]
    elif whole or "step" in raw:
        exponents = list(_steps(low, high, Decimal(str(raw.get("step", 1)))))
    else:
        return Range(name, False, _digits(_power(base, low)), _digits(_power(base, high)), log=True, when=when)
    if len(exponents) == 1:
        raise doc.bad((*path, "step"), f"step {raw['step']} leaves one value; write at most high - low")
    powers = [_power(base, exponent) for exponent in exponents]
    if whole and any(power != power.to_integral_value() for power in powers):
        raise doc.bad((*path, "count"), "not all of these powers are whole numbers; write another, or `type: float`")
    return Choices(name, tuple(int(power) if whole else float(_digits(power)) for power in powers), True, when)


def _check_powers(doc: Document, path: tuple[Key, ...], raw: dict[str, Any]) -> None:
    """Raise BadInput for exponents of which there is no number, or no whole one where it must be."""
    low, high, base = (raw[key] for key in ("low", "high", "base"))
    if low >= high:
        raise doc.bad((*path, "low"), f"low {low} is not below high {high}; swap or change them")
    if raw["type"] == "int" and low < 0:
        raise doc.bad((*path, "low"), f"{base} to the {low} is not a whole number; write `type: float`")
    if raw["type"] == "int" and not is_number(base, "int"):
        raise doc.bad((*path, "base"), f"{base} is not a whole number; write one, or `type: float`")
    for key in ("low", "high"):
        exponent = Decimal(str(raw[key]))
        if abs(exponent) > FAR or not TOO_SMALL < _power(base, exponent) <= TOO_LARGE:
            raise doc.bad((*path, key), f"{base} to the {raw[key]} is out of bounds; low and high are exponents")


def _steps(low: Decimal, high: Decimal, step: Decimal) -> Iterator[Decimal]:
    return (low + step * k for k in range(int((high - low) / step) + 1))


def _power(base: Any, exponent: Decimal) -> Decimal:
    if base == "e":
        return EXACT.exp(exponent)
    return EXACT.power(Decimal(str(base)), exponent)


def _digits(number: Decimal) -> Decimal:
    """As many as a sampled value has."""
    return Decimal(str(float(f"{number:.6g}")))
