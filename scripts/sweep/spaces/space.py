"""The search space of a sweep, frozen: its hyperparameters, which of its points are allowed, and how they are taken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from sweep.errors import BadInput
from sweep.records.same import as_helm_sees
from sweep.spaces.asking import Request, asked
from sweep.spaces.computed import Computed
from sweep.spaces.domain import OUTSIDE, Parameter
from sweep.spaces.expression import Absent
from sweep.yamlfile import Document

Point = dict[str, Any]
"""What a trial sets of a space: the hyperparameters that are active in it (`when`), in the file's order."""
Line = dict[str, Any]
"""A trial as `trials:` lists it: a point with what is computed from it, its seed, and what it asks of the cluster."""
MAX_TRIALS = 100_000
VISITS = 2_000_000  # points and beginnings of points, about ten seconds' worth
TRIED = 10_000  # points that are looked at to say why there are too few


@dataclass(frozen=True)
class Rule:
    """A constraint or an exclusion: `breaks` tells whether a point breaks it."""

    text: str
    names: frozenset[str]
    breaks: Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Space:
    """One space.yaml. `digest` is of what its points follow from: a comment, another spelling, more rounds or a
    stop rule do not change it."""

    objective: Any  # {metric, direction}, or a list of them
    sampler: str
    """Its name; the record is samplers.SAMPLERS[name]."""
    options: Mapping[str, Any]
    """The sampler's own, those that were not given at their defaults."""
    replicates: int
    """Trials per point, each point with the same seeds."""
    hyperparameters: dict[str, Any]
    parameters: tuple[Parameter, ...]
    digest: str
    doc: Document = field(repr=False, compare=False)
    rules: tuple[Rule, ...] = ()
    computed: tuple[Computed, ...] = ()
    """What a trial has beside its point: values computed from others, and constants that not every trial has."""
    requests: tuple[Request, ...] = ()
    """What a trial asks for itself by its hyperparameters."""
    order: tuple[str, ...] = ()
    """All names that a trial may set, in the file's order."""
    points: tuple[Point, ...] = ()  # the explicit ones
    budget: str = ""
    """The hyperparameter that says how long a trial trains."""
    stop: Mapping[str, Any] | None = None
    """The rule that ends trials early; no point depends on it."""
    sets_budget: bool = False
    """Whether the sampler gives every trial its budget, which then is no part of a point."""
    sampled: str = ""
    """`random, n=8, seed=0`: sampler and options, as a commit message says them."""

    @property
    def objectives(self) -> list[dict[str, str]]:
        return self.objective if isinstance(self.objective, list) else [self.objective]

    @cached_property
    def size(self) -> int | None:
        """How many points there are, without regard to constraints; None if a parameter is continuous."""
        return _size(self.parameters, 0, {}, {})

    def build(self, value: Callable[[Parameter], Any]) -> Point:
        """The point that has `value(parameter)` for every parameter that is active in it."""
        point: Point = {}
        for parameter in self.parameters:
            if is_active(parameter, point):
                point[parameter.name] = value(parameter)
        return point

    def line(self, point: Point) -> Line:
        """What a trial of this point sets: with what is computed from it, in the file's order."""
        if not self.computed:
            return point
        values = {**self.hyperparameters, **point}
        own = set(point)
        for computed in self.computed:
            if is_active(computed, values):
                with suppress(Absent):
                    values[computed.name] = computed.value(values)
                    own.add(computed.name)
        rest = [name for name in point if name not in self.order]
        return {name: values[name] for name in (*self.order, *rest) if name in own}

    def asked(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """What a trial that sets `own` asks for itself, {} where the space says nothing of it."""
        return asked(self.requests, {**self.hyperparameters, **own}) if self.requests else {}

    def objection(self, point: Point, index: int | None = None) -> str:
        """The rule that forbids the point, "" for none; with `index`, of those that this parameter decides."""
        whole = {**self.hyperparameters, **self.line(point)}
        for rule in self.rules if index is None else self._decided[index]:
            if rule.breaks(whole):
                return rule.text
        return ""

    def fit(self, values: Mapping[str, Any]) -> Point | None:
        """`values` as a point of this space; None if they are none, or forbidden.

        What is computed from others need not be among them; where it is, it must be that value.
        """
        point: Point = {}
        for parameter in self.parameters:
            if is_active(parameter, point):
                value = parameter.fit(values.get(parameter.name))  # null is none, in a table too
                if value is OUTSIDE:
                    return None
                point[parameter.name] = value
        if not values.keys() <= point.keys():
            whole = self.line(point)
            if any(name not in whole or as_helm_sees(whole[name]) != as_helm_sees(values[name]) for name in values):
                return None
        return None if self.objection(point) else point

    def every(self) -> Iterator[Point]:
        """All allowed points of a finite space, the last parameter varying fastest."""
        visits = iter(range(VISITS))

        def grown(index: int, point: Point) -> Iterator[Point]:
            if index == len(self.parameters):
                yield point
                return
            parameter = self.parameters[index]
            if not is_active(parameter, point):
                yield from grown(index + 1, point)
                return
            for place in range(parameter.size or 0):
                if next(visits, None) is None:
                    problem = f"{VISITS:,} points were tried and there are more; make the space smaller"
                    raise self.doc.bad(("space",), problem)
                longer = {**point, parameter.name: parameter.value(place)}
                if not self.objection(longer, index):
                    yield from grown(index + 1, longer)

        return grown(0, {})

    def why_few(self, drawn: Iterator[Point]) -> str:
        """`: of 12 points 9 break `a * b <= 512``, over some points as they come, allowed or not."""
        tried = list(islice(drawn, TRIED))
        broken = Counter(filter(None, map(self.objection, tried))).most_common(3)
        reasons = ", ".join(f"{count:,} break `{text}`" for text, count in broken)
        return f": of {len(tried):,} points tried {reasons}" if reasons else ""

    @cached_property
    def _decided(self) -> list[list[Rule]]:
        """For every parameter the rules that name it, and none further down."""
        order = {parameter.name: index for index, parameter in enumerate(self.parameters)}
        for computed in self.computed:
            needed = (*computed.needs, *_asked(computed))
            decided = max((order[name] for name in needed if name in order), default=0)
            order[computed.name] = max(decided, order.get(computed.name, 0))
        last = [(max((order[name] for name in rule.names if name in order), default=0), rule) for rule in self.rules]
        return [[rule for index, rule in last if index == place] for place in range(len(self.parameters))]


def is_active(parameter: Parameter | Computed, point: Mapping[str, Any]) -> bool:
    """Whether the parameters above, as far as `point` has them, let this one be there."""
    return all(name in point and is_among(point[name], values) for name, values in parameter.when) and all(
        condition.is_met(point) for condition in parameter.only
    )


def _asked(parameter: Parameter | Computed) -> set[str]:
    """The hyperparameters that decide whether it is there."""
    return {name for name, _ in parameter.when}.union(*(condition.names for condition in parameter.only))


def is_among(value: Any, values: tuple[Any, ...]) -> bool:
    """Whether it is one of `values`; true is not 1."""
    return any(value == other and type(value) is type(other) for other in values)


def _size(parameters: tuple[Parameter, ...], index: int, given: Point, known: dict[str, int | None]) -> int | None:
    """Points that continue `given`, the values of parameters that others depend on; `known` remembers."""
    if index == len(parameters):
        return 1
    parents = set().union(*map(_asked, parameters[index:]))
    memory = json.dumps([index, {name: value for name, value in given.items() if name in parents}])
    if memory not in known:
        known[memory] = _size_with(parameters, index, given, known, parents)
    return known[memory]


def _size_with(
    parameters: tuple[Parameter, ...], index: int, given: Point, known: dict[str, int | None], parents: set[str]
) -> int | None:
    """The same, of a parameter that is there; the later ones depend on `parents`."""
    parameter = parameters[index]
    if not is_active(parameter, given):
        return _size(parameters, index + 1, given, known)
    if parameter.size is None:
        return None
    if parameter.name not in parents:
        rest = _size(parameters, index + 1, given, known)
        return None if rest is None else parameter.size * rest
    values = [{**given, parameter.name: parameter.value(place)} for place in range(parameter.size)]
    sizes = [_size(parameters, index + 1, longer, known) for longer in values]
    return None if None in sizes else sum(size or 0 for size in sizes)


def too_many(space: Space, trials: int) -> BadInput:
    problem = f"{trials:,} trials, but a sweep has at most {MAX_TRIALS:,}; make the space smaller"
    return space.doc.bad(("sampler",), problem)
