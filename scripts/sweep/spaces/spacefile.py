"""space.yaml, read and checked by its schema and by the rules that a schema cannot say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sweep import secrets, yamlfile
from sweep.layout import SweepFiles
from sweep.records.same import settings
from sweep.schema import check
from sweep.spaces import domain
from sweep.spaces.constraint import Constraint, Unclear
from sweep.spaces.constraint import parse as parse_constraint
from sweep.spaces.domain import Parameter
from sweep.spaces.space import MAX_TRIALS, NEEDS, TAKES, Point, Rule, Sampler, Space, is_active, is_among, too_many
from sweep.yamlfile import Document, Key

ADVICE = {"grid": "a grid takes every point", "explicit": "explicit takes `points` and no others"}


def load(files: SweepFiles) -> Space:
    """Read values/<sweep>/space.yaml; raises BadInput with file, line, key and advice."""
    shown = files.clone.relative(files.space)
    text = yamlfile.read_text(files.space, shown)
    doc = yamlfile.parse(text, shown, helm=False)
    secrets.check(doc, text)
    domains = doc.data.get("space")
    for name, raw in domains.items() if isinstance(domains, dict) else ():
        if isinstance(raw, dict) and any(secrets.find({name: raw.get("choices")})):
            raise doc.bad(("space", name), f"{secrets.NAMED}; {secrets.WAY_NAME}")
    return read(doc, json.loads((files.clone.schemas / "space.schema.json").read_text()))


def read(doc: Document, schema: dict[str, Any]) -> Space:
    """The space in `doc`, checked by the schema and by the rules that a schema cannot say."""
    check(doc, schema)
    data = doc.data
    fixed: dict[str, Any] = data.get("hyperparameters", {})
    if "space" not in data and data["sampler"]["name"] != "explicit":
        raise doc.bad((), "space is missing; write `space: {lr: {type: float, low: 0.01, high: 1.0, log: true}}`")
    for section in ("hyperparameters", "space"):
        if "seed" in data.get(section, {}):
            raise doc.bad((section, "seed"), "a seed belongs to a trial; remove it; `replicates` repeats trials")
        for name in ("resources", "gpu"):
            if name in data.get(section, {}):
                raise doc.bad((section, name), "says in a trial what it asks of the cluster; give it another name")
    for name in data.get("space", {}):
        if name in fixed:
            line = doc.where("hyperparameters", name)
            raise doc.bad(("space", name), f"it is fixed as well ({line}); remove one of them")
    parameters: dict[str, Parameter] = {}
    for name, raw in data.get("space", {}).items():
        parameters[name] = domain.read(doc, name, raw, _when(doc, name, raw.get("when", {}), parameters))
    meaning = {**data, "sampler": {key: value for key, value in data["sampler"].items() if key != "rounds"}}
    digest = hashlib.sha256(json.dumps(meaning, separators=(",", ":")).encode()).hexdigest()[:16]
    rules = (*_constraints(doc, {**fixed, **parameters}), *_exclusions(doc, parameters))
    metrics = [one["metric"] for one in data["objective"]] if isinstance(data["objective"], list) else []
    for index, metric in enumerate(metrics):
        if metric in metrics[:index]:
            raise doc.bad(("objective", index, "metric"), f"{metric} stands already above; remove one")
    space = Space(
        data["objective"], _sampler(doc), fixed, tuple(parameters.values()), digest, doc, rules, (), _budget(doc)
    )
    _check_size(space)
    return replace(space, points=tuple(_points(space)))


def _when(doc: Document, name: str, raw: dict[str, Any], above: Mapping[str, Parameter]) -> domain.When:
    made = []
    for other, given in raw.items():
        path = ("space", name, "when", other)
        if other not in above:
            problem = f"it is no hyperparameter above {name}; name one that is, or move it up"
            raise doc.bad(path, problem)
        if above[other].size is None:
            raise doc.bad(path, f"{other} is continuous, and so never exactly that; give it choices or a step")
        values = [above[other].fit(value) for value in (given if isinstance(given, list) else [given])]
        if None in values:
            raise doc.bad(path, f"{other} is never {yamlfile.plain(given)}; write one of its values")
        made.append((other, tuple(values)))
    return tuple(made)


def _sampler(doc: Document) -> Sampler:
    raw = doc.data["sampler"]
    name = raw["name"]
    for key in raw:
        if key not in ("name", "replicates", *NEEDS[name], *TAKES.get(name, [])):
            reason = ADVICE.get(name, f"it means nothing to {name}")
            raise doc.bad(("sampler", key), f"{reason}; remove it" + (", or write `name: random`" * (name in ADVICE)))
    for key, example in NEEDS[name].items():
        if key not in raw:
            what = f", the number of points for {name}" if key == "n" else f"; {name} needs it"
            raise doc.bad(("sampler",), f"{key} is missing; write `{key}: {example}`{what}")
    if name == "halving" and raw["min"] >= raw["max"]:
        raise doc.bad(("sampler", "min"), f"min {raw['min']} is not below max {raw['max']}; change one of them")
    told = {key: raw[key] for key in ("maximin", "rounds", "per_round", "eta", "min", "max") if key in raw}
    return Sampler(name, raw.get("n"), int(raw.get("seed", 0)), int(raw.get("replicates", 1)), **told)


def _budget(doc: Document) -> str:
    """The hyperparameter that says how long a trial trains; halving sets it."""
    data, budget = doc.data, doc.data.get("budget", "")
    if data["sampler"]["name"] != "halving":
        return str(budget)
    if isinstance(data["objective"], list) and len(data["objective"]) > 1:
        raise doc.bad(("objective",), "halving ranks by one objective; name one, or take tpe for several")
    if not budget:
        problem = "budget is missing; name the hyperparameter that halving raises, as in `budget: stop_epoch`"
        raise doc.bad(("sampler",), problem)
    for section in ("space", "hyperparameters"):
        if budget in data.get(section, {}):
            raise doc.bad((section, budget), "halving sets it, from min to max; remove it here")
    return str(budget)


def _constraints(doc: Document, known: dict[str, Any]) -> Iterator[Rule]:
    for index, text in enumerate(doc.data.get("constraints", [])):
        try:
            made = parse_constraint(text, known)
        except Unclear as error:
            raise doc.bad(("constraints", index), str(error)) from None
        yield Rule(made.text, made.names, _breaks(doc, index, made))


def _breaks(doc: Document, index: int, constraint: Constraint) -> Callable[[Mapping[str, Any]], bool]:
    def breaks(point: Mapping[str, Any]) -> bool:
        try:
            return not constraint.holds(point)
        except Unclear as error:
            raise doc.bad(("constraints", index), str(error)) from None

    return breaks


def _exclusions(doc: Document, parameters: Mapping[str, Parameter]) -> Iterator[Rule]:
    for index, raw in enumerate(doc.data.get("exclude", [])):
        parts: dict[str, tuple[Any, ...]] = {}
        for name, given in raw.items():
            path: tuple[Key, ...] = ("exclude", index, name)
            if name not in parameters:
                raise doc.bad(path, f"it is no hyperparameter of the space; known here: {', '.join(parameters)}")
            # A list means any of its values, unless it is itself a value.
            several = isinstance(given, list) and parameters[name].fit(given) is None
            values = [parameters[name].fit(value) for value in (given if several else [given])]
            if None in values:
                raise doc.bad(path, f"{name} is never {yamlfile.plain(given)}; write values that it has")
            parts[name] = tuple(values)
        yield Rule(f"exclude {yamlfile.plain(raw)}", frozenset(parts), _excludes(parts))


def _excludes(parts: Mapping[str, tuple[Any, ...]]) -> Callable[[Mapping[str, Any]], bool]:
    return lambda point: all(name in point and is_among(point[name], values) for name, values in parts.items())


def _points(space: Space) -> Iterator[Point]:
    """The explicit points; those of a sampler that has no others may set hyperparameters that the space lacks."""
    free = space.sampler.name == "explicit" and not space.parameters
    seen: dict[str, int] = {}
    for index, raw in enumerate(space.doc.data.get("points", [])):
        path: tuple[Key, ...] = ("points", index)
        point = raw if free else space.fit(raw)
        if point is None:
            raise space.doc.bad(path, _no_point(space, raw))
        first = seen.setdefault(settings(point), index)
        if first != index:
            raise space.doc.bad(path, f"the same as points[{first}]; remove one")
        yield point


def _no_point(space: Space, raw: Mapping[str, Any]) -> str:
    """Why `raw` is no point of the space, and what to do."""
    point: Point = {}
    for parameter in space.parameters:
        if is_active(parameter, point):
            if parameter.name not in raw:
                return f"{parameter.name} is missing; a point sets every hyperparameter that is active in it"
            value = parameter.fit(raw[parameter.name])
            if value is None:
                return f"{parameter.name} {yamlfile.plain(raw[parameter.name])} is not in its domain; widen it"
            point[parameter.name] = value
    extra = [name for name in raw if name not in point]
    if extra:
        return f"{extra[0]} is not active there or no hyperparameter of the space; remove it"
    return f"it breaks `{space.objection(point)}`; change one of the two"


def _check_size(space: Space) -> None:
    """Refuse more points than exist, a grid without end and a sweep too large to be one, with the numbers."""
    doc, sampler, points = space.doc, space.sampler, space.size
    if sampler.name == "explicit":
        if not doc.data.get("points"):
            raise doc.bad(("sampler", "name"), "explicit needs points; write `points:` with at least one")
        points = 0
    if sampler.name == "grid" and points is None:
        endless = next(parameter.name for parameter in space.parameters if parameter.size is None)
        raise doc.bad(("space", endless), "a grid needs a finite list; write `choices: […]` or a step")
    due = (sampler.rounds or 0) * (sampler.per_round or 0) if sampler.name == "tpe" else sampler.n
    if due is not None:
        if points is not None and due > points:
            key: tuple[Key, ...] = ("sampler", "rounds" if sampler.name == "tpe" else "n")
            raise doc.bad(key, f"{due} points are due, the space has {points}; write at most {points}")
        points = due
    elif space.rules:
        points = 0  # only the points themselves can tell
    total = ((points or 0) + len(doc.data.get("points", []))) * sampler.replicates
    if total > MAX_TRIALS:
        raise too_many(space, total)
