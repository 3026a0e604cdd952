"""All hyperparameters of `space:`, in order: what is searched, what is computed from it, and when each is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sweep import yamlfile
from sweep.spaces import cases, constraint, domainspec, expression, outline
from sweep.spaces.computed import Computed
from sweep.spaces.constraint import Constraint
from sweep.spaces.domain import Parameter, When
from sweep.spaces.evaluation import Unclear
from sweep.spaces.outline import Around, Hyperparameter
from sweep.yamlfile import Document, KeyPath

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")


@dataclass
class Hyperparameters:
    """Those that were read so far."""

    parameters: dict[str, list[Parameter]] = field(default_factory=dict)
    """A name has several domains where only one of them can be there at once."""
    computed: dict[str, list[Computed]] = field(default_factory=dict)
    places: dict[str, KeyPath] = field(default_factory=dict)
    """Where a name was declared, in the order of the file."""

    @property
    def domains(self) -> tuple[Parameter, ...]:
        """In the order in which they are drawn."""
        listed = [domain for domains in self.parameters.values() for domain in domains]
        return tuple(sorted(listed, key=lambda domain: domain.place))

    @property
    def formulas(self) -> tuple[Computed, ...]:
        return tuple(formula for formulas in self.computed.values() for formula in formulas)


def read(doc: Document, raw: Mapping[str, Any], fixed: Mapping[str, Any]) -> Hyperparameters:
    """All that `space:` declares; raises BadInput with the line."""
    parsed = Hyperparameters()
    for place, entry in enumerate(outline.entries(doc, raw, parsed.parameters, Around(("space",)))):
        if not NAME.fullmatch(entry.name):
            raise doc.bad(
                entry.path, f"{entry.name} is not a valid name; use at most 63 letters, digits, '_', '.' and '-'"
            )
        when, only = _conditions(doc, entry, parsed)
        _check_alone(doc, entry, parsed, when)
        if isinstance(entry.raw, str):
            computed = _computed(doc, entry, parsed, fixed)
            parsed.computed.setdefault(entry.name, []).append(replace(computed, when=when, only=only))
        elif "value" in entry.raw:
            computed = _constant(doc, entry, {*fixed, *parsed.parameters, *parsed.computed})
            parsed.computed.setdefault(entry.name, []).append(replace(computed, when=when, only=only))
        else:
            if "type" not in entry.raw:
                kind = "choice" if "choices" in entry.raw else "float"
                raise doc.bad(entry.path, f"type is missing; write `type: {kind}`")
            domain = domainspec.read(doc, entry.path, entry.name, entry.raw, when)
            same = parsed.parameters.setdefault(entry.name, [])
            same.append(replace(domain, only=only, place=place, twin=len(same)))
        parsed.places.setdefault(entry.name, entry.path)
    return parsed


def _conditions(doc: Document, entry: Hyperparameter, parsed: Hyperparameters) -> tuple[When, tuple[Constraint, ...]]:
    """(the pairs, the expressions) that must all hold for an entry to be there."""
    pairs, only = list(entry.around.pairs), []
    for condition in entry.around.conditions:
        if isinstance(condition.when, dict):
            pairs += outline.pairs_of(doc, condition, parsed.parameters, entry.name)
        else:
            try:
                known = outline.known(list(parsed.parameters), condition.groups)
                only.append(constraint.parse(condition.when, known))
            except Unclear as error:
                raise doc.bad(condition.path, str(error)) from None
    return tuple(pairs), tuple(replace(each, where=_refusal(doc, entry)) for each in only)


def _refusal(doc: Document, entry: Hyperparameter) -> Callable[[str], Exception]:
    return lambda problem: doc.bad((*entry.path, "when"), problem)


def _check_alone(doc: Document, entry: Hyperparameter, parsed: Hyperparameters, when: When) -> None:
    """Raise BadInput for a name that two entries may set at once."""
    for other in (*parsed.parameters.get(entry.name, ()), *parsed.computed.get(entry.name, ())):
        if not any(_apart(*mine, *theirs) for mine in when for theirs in other.when):
            line = doc.where(*parsed.places[entry.name])
            raise doc.bad(entry.path, f"{entry.name} is already defined ({line}), and both can be active; rename one")


def _apart(name: str, values: tuple[Any, ...], other: str, others: tuple[Any, ...]) -> bool:
    return name == other and not {yamlfile.flow(value) for value in values} & {yamlfile.flow(value) for value in others}


def _computed(doc: Document, entry: Hyperparameter, parsed: Hyperparameters, fixed: Mapping[str, Any]) -> Computed:
    names = [
        *fixed,
        *parsed.parameters,
        *(name for name in parsed.computed if name not in parsed.parameters),
    ]
    assert isinstance(entry.raw, str)
    try:
        read = expression.parse_text(entry.raw, outline.known(names, entry.around.groups))
    except Unclear as error:
        aside = (
            ". A constant stands in `hyperparameters`, or as `value:`"
            if "is not a hyperparameter" in str(error)
            else ""
        )
        raise doc.bad(entry.path, f"{error}{aside}") from None

    def value(point: Mapping[str, Any]) -> Any:
        try:
            return read.computed(point)
        except Unclear as error:
            raise doc.bad(entry.path, str(error)) from None

    return Computed(entry.name, value, read.names)


def _constant(doc: Document, entry: Hyperparameter, names: set[str]) -> Computed:
    """`value: …`, as it stands there or by conditions; text that would be taken for an expression is refused."""
    assert isinstance(entry.raw, dict)
    for key in entry.raw:
        if key not in ("value", "when"):
            raise doc.bad((*entry.path, key), "has no effect with `value`; remove it")
    known = outline.known(sorted(names), entry.around.groups)

    def leaf(path: KeyPath, given: Any) -> cases.Value:
        if isinstance(given, str):
            try:
                asks = expression.parse_text(given, known).names
            except Unclear:
                asks = frozenset()
            if asks:
                raise doc.bad(path, f"it would be this text; write `{entry.name}: {given}` to compute it")
        return lambda _point: given

    value, needs = cases.read(doc, (*entry.path, "value"), entry.raw["value"], known, leaf)
    return Computed(entry.name, value, needs)
