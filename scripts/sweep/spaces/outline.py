"""What `space:` declares, one entry a hyperparameter: groups are repeated, sub-spaces and short spellings written out.

width: [64, 128]                                     a list is its choices
depth: 1..4                                          whole numbers
ffn: 4 * width                                       text is computed
layer{i}: {repeat: depth, space: {units: 8..64}}     a group: layer0.units … layer3.units, as many as depth says
optimizer: {type: choice, choices: {sgd: {momentum: …}, adam: }}    hyperparameters that one choice brings with it
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweep import yamlfile
from sweep.spaces.domain import OUTSIDE, Parameter, When
from sweep.yamlfile import Document, KeyPath

SPAN = re.compile(r"(-?[0-9]{1,16})\.\.(-?[0-9]{1,16})")
PLACE = re.compile(r"\{i(?: *\+ *([0-9]{1,3}))?\}")
MOST = 1_000
"""Repetitions of a group."""
KEYS = {"type", "choices", "low", "high", "value", "space", "repeat", "when"}
"""Of a map that is no copy of a hyperparameter, though a value is missing."""


@dataclass(frozen=True)
class Condition:
    """A `when`, as it stands there, and the groups around it."""

    path: KeyPath
    when: dict[str, Any] | str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Around:
    """What holds for an entry by where it stands."""

    path: KeyPath
    groups: tuple[str, ...] = ()
    """The beginnings of names in each group around it, `a.` and `a.b.`, which an expression in it may leave out."""
    conditions: tuple[Condition, ...] = ()
    pairs: When = ()
    """Conditions that follow from where it stands: the choice it belongs to, or how many repetitions there are."""

    @property
    def prefix(self) -> str:
        return self.groups[-1] if self.groups else ""


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter."""

    name: str
    raw: dict[str, Any] | str
    """A domain, `value: …`, or an expression."""
    around: Around

    @property
    def path(self) -> KeyPath:
        return self.around.path


def entries(
    doc: Document, raw: Mapping[str, Any], above: Mapping[str, Sequence[Parameter]], around: Around
) -> Iterator[Hyperparameter]:
    """Those of a map of hyperparameters, in its order; `above` has the domains of what came before. Raises BadInput."""
    for key, given in raw.items():
        here = replace(around, path=(*around.path, key))
        value = _written_out(given)
        if isinstance(value, dict) and "space" in value:
            yield from _group(doc, key, value, above, here)
            continue
        name = around.prefix + key
        if isinstance(value, dict) and "when" in value:
            condition = Condition((*here.path, "when"), value["when"], around.groups)
            here = replace(here, conditions=(*here.conditions, condition))
        choices = value.get("choices") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(choices, dict):
            yield Hyperparameter(name, value, here)
            continue
        yield Hyperparameter(name, {**value, "choices": list(choices)}, here)
        for choice, inner in choices.items():
            place = replace(here, path=(*here.path, "choices", choice), pairs=(*here.pairs, (name, (choice,))))
            yield from entries(doc, inner or {}, above, place)


def _written_out(given: Any) -> dict[str, Any] | str:
    """The long spelling of a short one."""
    if isinstance(given, list):
        return {"type": "choice", "choices": given}
    if isinstance(given, str) and (span := SPAN.fullmatch(given)):
        return {"type": "int", "low": int(span[1]), "high": int(span[2])}
    return given  # type: ignore[no-any-return]


def with_copies(space: Any) -> Any:
    """A map of hyperparameters with "`epochs`" for each `{epochs}`, which YAML takes for a map."""
    if not isinstance(space, dict):
        return space
    return {name: _with_copies(given) for name, given in space.items()}


def _with_copies(given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    if len(given) == 1 and next(iter(given.values())) is None and not given.keys() & KEYS:
        return f"`{next(iter(given))}`"
    choices = given.get("choices")
    inner = {"choices": {key: with_copies(sub) for key, sub in choices.items()}} if isinstance(choices, dict) else {}
    return {**given, **inner, **({"space": with_copies(given["space"])} if "space" in given else {})}


def _group(
    doc: Document, key: str, raw: Mapping[str, Any], above: Mapping[str, Sequence[Parameter]], around: Around
) -> Iterator[Hyperparameter]:
    """The entries of a group, once or as often as it is repeated."""
    for other in raw:
        if other not in ("space", "repeat", "when"):
            raise doc.bad((*around.path, other), "a group has space, repeat and when alone; remove it")
    if "when" in raw:
        condition = Condition((*around.path, "when"), raw["when"], around.groups)
        around = replace(around, conditions=(*around.conditions, condition))
    repeated = PLACE.search(key)
    if bool(repeated) != ("repeat" in raw):
        what = "`{i}` in its name, as in layer{i}" if not repeated else "`repeat:`, as in repeat: 4"
        raise doc.bad(around.path, f"a group that is repeated needs {what}; add it, or remove the other")
    inside = replace(around, path=(*around.path, "space"))
    for place, pairs in enumerate(_repetitions(doc, raw, above, around)) if repeated else ((0, ()),):
        name = PLACE.sub(lambda match: str(place + int(match[1] or 0)), key)  # noqa: B023
        groups = (*around.groups, f"{around.prefix}{name}.")
        yield from entries(doc, raw["space"], above, replace(inside, groups=groups, pairs=(*around.pairs, *pairs)))


def _repetitions(
    doc: Document, raw: Mapping[str, Any], above: Mapping[str, Sequence[Parameter]], around: Around
) -> list[When]:
    """For each repetition the conditions of its own: by a hyperparameter, its values that are large enough."""
    path, given = (*around.path, "repeat"), raw["repeat"]
    if not isinstance(given, str):
        return [()] * int(given)
    name = _full(given, around.groups, above)
    if not name:
        raise doc.bad(path, f"{given} is not a hyperparameter above it; write a whole number, or the name of one")
    counts = [domain.value(k) for domain in above[name] for k in range(min(domain.size or 0, MOST + 1))]
    if not counts or not all(type(count) is int and 0 <= count <= MOST for count in counts):
        raise doc.bad(path, f"{given} is not everywhere a whole number from 0 to {MOST}; name one that is")
    return [((name, tuple(count for count in counts if count > place)),) for place in range(max(counts))]


def _full(name: str, groups: Sequence[str], above: Mapping[str, Sequence[Parameter]]) -> str:
    """The hyperparameter that a name in these groups is; "" for none above."""
    return next((full for full in (f"{group}{name}" for group in (*groups[::-1], "")) if full in above), "")


def pairs_of(
    doc: Document, condition: Condition, above: Mapping[str, Sequence[Parameter]], name: str
) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """The pairs of a `when` that is a map. Raises BadInput."""
    assert isinstance(condition.when, dict)
    pairs = []
    for key, given in condition.when.items():
        path = (*condition.path, key)
        other = _full(key, condition.groups, above)
        if not other:
            raise doc.bad(path, f"not a hyperparameter above {name}; name one that is, or move it up")
        if any(domain.size is None for domain in above[other]):
            raise doc.bad(path, f"{key} is continuous, and so never exactly that; write `when: {key} > 1`, say")
        values = [fitted(above[other], value) for value in (given if isinstance(given, list) else [given])]
        if OUTSIDE in values:
            raise doc.bad(path, f"{key} is never {yamlfile.plain(given)}; write one of its values")
        pairs.append((other, tuple(values)))
    return tuple(pairs)


def fitted(domains: Sequence[Parameter], value: Any) -> Any:
    """`value` as one of the domains of a name spells it; OUTSIDE if none has it."""
    fitted = (domain.fit(value) for domain in domains)
    return next((value for value in fitted if value is not OUTSIDE), OUTSIDE)


def known(names: Sequence[str], groups: Sequence[str]) -> dict[str, str]:
    """Names that an expression may use -> the hyperparameters' own; in a group also without the group's."""
    short = {name: name for name in names}
    for group in groups:
        short |= {name.removeprefix(group): name for name in names if name.startswith(group)}
    return short
