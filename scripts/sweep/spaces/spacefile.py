"""space.yaml, read and checked by its schema and by the rules that a schema cannot say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sweep import secrets, yamlfile
from sweep.layout import Kit, SweepFiles
from sweep.records.same import ASKED, settings
from sweep.schema import check
from sweep.spaces import asking, hyperparameters, warmstart
from sweep.spaces.constraint import Constraint
from sweep.spaces.constraint import parse as parse_constraint
from sweep.spaces.domain import OUTSIDE, Parameter
from sweep.spaces.evaluation import Unclear
from sweep.spaces.outline import fitted, with_copies
from sweep.spaces.sampler import Sampler, TakenSampler
from sweep.spaces.samplers import SAMPLERS
from sweep.spaces.space import MAX_TRIALS, Point, Rule, Space, is_active, is_among, too_many
from sweep.spaces.warmstart import Past
from sweep.yamlfile import Document, Key


def load(files: SweepFiles) -> Space:
    """Read values/<sweep>/space.yaml; raises BadInput with file, line, key and advice."""
    shown = files.clone.relative(files.space)
    text = yamlfile.read_text(files.space, shown, files.clone.values)
    doc = yamlfile.parse(text, shown, helm=False)
    secrets.check(doc, text)
    domains = doc.data.get("space")
    for name, raw in domains.items() if isinstance(domains, dict) else ():
        if isinstance(raw, dict) and any(secrets.find({name: raw.get("choices")})):
            raise doc.bad(("space", name), f"{secrets.NAMED}; {secrets.WAY_NAME}")
    schema = json.loads((Kit.here().schemas / "space.schema.json").read_text())
    return read(doc, schema, warmstart.of(files.clone.root))


def read(doc: Document, schema: dict[str, Any], past: Past = warmstart.NOTHING) -> Space:
    """The space in `doc`, checked by the schema and by the rules that a schema cannot say; `past` for `warm_start`."""
    if isinstance(doc.data.get("space"), dict):
        doc = replace(doc, data={**doc.data, "space": with_copies(doc.data["space"])})
    check(doc, schema)
    data = doc.data
    fixed: dict[str, Any] = doc.value("hyperparameters") or {}
    searched: dict[str, Any] = doc.value("space") or {}
    sampler = SAMPLERS[data["sampler"]["name"]]
    if "space" not in data and sampler.takes_space:
        raise doc.bad((), "space is missing; write `space: {lr: {type: float, low: 0.01, high: 1.0, log: true}}`")
    _check_metrics(doc)
    parsed = hyperparameters.read(doc, searched, fixed)
    _check_names(doc, fixed, parsed.places)
    rules = (*_constraints(doc, [*fixed, *parsed.places]), *_exclusions(doc, parsed.parameters))
    options, replicates = _options(doc, sampler), int(data["sampler"].get("replicates", 1))
    space = Space(
        objective=data["objective"],
        sampler=sampler.name,
        options=options,
        replicates=replicates,
        hyperparameters=fixed,
        parameters=parsed.domains,
        computed=parsed.formulas,
        requests=asking.read(doc, [*fixed, *parsed.places]),
        order=tuple(parsed.places),
        digest=_digest(data, data["sampler"]),
        doc=doc,
        rules=rules,
        budget=str(data.get("budget", "")),
        stop=data.get("stop"),
        sets_budget=sampler.sets_budget,
        sampled=sampler.describe(options, replicates),
    )
    if sampler.take:
        space, sampler = _taken(space, sampler.take(space))
    sampler.check(space)
    _check_size(space, sampler)
    space = replace(space, points=tuple(_points(space)))
    return replace(space, points=(*space.points, *_warm(space, past)))


def _digest(data: Mapping[str, Any], sampler: Mapping[str, Any]) -> str:
    """Of what the points of a space follow from."""
    meaning = {name: value for name, value in data.items() if name != "stop"}
    meaning["sampler"] = {key: value for key, value in sampler.items() if key != "rounds"}
    return hashlib.sha256(json.dumps(meaning, separators=(",", ":")).encode()).hexdigest()[:16]


def _taken(space: Space, taken: TakenSampler) -> tuple[Space, Sampler]:
    """The space as if the sampler that is taken had been written there."""
    sampler = SAMPLERS[taken.name]
    data = space.doc.data
    repeated = {"replicates": data["sampler"]["replicates"]} if "replicates" in data["sampler"] else {}
    return replace(
        space,
        sampler=sampler.name,
        options={key: taken.options.get(key, option.default) for key, option in sampler.options.items()},
        digest=_digest(data, {"name": taken.name, **taken.options, **repeated}),
        sets_budget=sampler.sets_budget,
        sampled=f"{sampler.describe(taken.options, space.replicates)}, by auto: {taken.why}",
    ), sampler


def _check_names(doc: Document, fixed: Collection[str], searched: Mapping[str, tuple[Key, ...]]) -> None:
    """Raise BadInput for a hyperparameter that is called like something else, or set twice."""
    for name, path in {**{name: ("hyperparameters", name) for name in fixed}, **searched}.items():
        if name == "seed":
            raise doc.bad(path, "reserved for the seed of a trial; remove it, `replicates` repeats trials")
        if name in ASKED:
            raise doc.bad(path, f"reserved for the {name} of a trial; write `{name}:` beside `space:`, or rename it")
    for name, path in searched.items():
        if name in fixed:
            line = doc.where("hyperparameters", name)
            raise doc.bad(path, f"also set in `hyperparameters` ({line}); remove one of them")


def _check_metrics(doc: Document) -> None:
    """Raise BadInput where two of several objectives are the same metric."""
    objective = doc.data["objective"]
    metrics = [each["metric"] for each in objective] if isinstance(objective, list) else []
    for index, metric in enumerate(metrics):
        if metric in metrics[:index]:
            raise doc.bad(
                ("objective", index, "metric"), f"duplicate of objective[{metrics.index(metric)}].metric; remove one"
            )


def _options(doc: Document, sampler: Sampler) -> dict[str, Any]:
    """The sampler's options in its own order; raises BadInput for one it does not take, or cannot do without."""
    given = {key: value for key, value in doc.data["sampler"].items() if key not in ("name", "replicates")}
    for key in given:
        if key not in sampler.options:
            takers = ", ".join(other.name for other in SAMPLERS.values() if key in other.options)
            raise doc.bad(("sampler", key), f"not an option of {sampler.name}, only of {takers}; remove it")
    for key, option in sampler.options.items():
        if option.default is None and key not in given:
            what = f", the number of points for {sampler.name}" if key == "n" else f"; {sampler.name} needs it"
            raise doc.bad(("sampler",), f"{key} is missing; write `{key}: {option.example}`{what}")
    return {key: _value(given.get(key, option.default)) for key, option in sampler.options.items()}


def _value(given: Any) -> Any:
    """1.0 is a whole number to the schema, and 1 from here on."""
    return given if isinstance(given, bool) else int(given)


def _constraints(doc: Document, names: Sequence[str]) -> Iterator[Rule]:
    for index, text in enumerate(doc.data.get("constraints", [])):
        try:
            constraint = parse_constraint(text, {name: name for name in names})
        except Unclear as error:
            raise doc.bad(("constraints", index), str(error)) from None
        yield Rule(constraint.text, constraint.names, _breaks(doc, index, constraint))


def _breaks(doc: Document, index: int, constraint: Constraint) -> Callable[[Mapping[str, Any]], bool]:
    def breaks(point: Mapping[str, Any]) -> bool:
        try:
            return not constraint.holds(point)
        except Unclear as error:
            raise doc.bad(("constraints", index), str(error)) from None

    return breaks


def _exclusions(doc: Document, parameters: Mapping[str, Sequence[Parameter]]) -> Iterator[Rule]:
    for index, raw in enumerate(doc.data.get("exclude", [])):
        parts: dict[str, tuple[Any, ...]] = {}
        for name, given in raw.items():
            path: tuple[Key, ...] = ("exclude", index, name)
            if name not in parameters:
                raise doc.bad(path, f"not a hyperparameter of the space; known here: {', '.join(parameters)}")
            # A list means any of its values, unless it is itself a value.
            several = isinstance(given, list) and fitted(parameters[name], given) is OUTSIDE
            values = [fitted(parameters[name], value) for value in (given if several else [given])]
            if OUTSIDE in values:
                raise doc.bad(path, f"{name} is never {yamlfile.plain(given)}; write values that it has")
            parts[name] = tuple(values)
        yield Rule(f"exclude {yamlfile.plain(raw)}", frozenset(parts), _excludes(parts))


def _excludes(parts: Mapping[str, tuple[Any, ...]]) -> Callable[[Mapping[str, Any]], bool]:
    return lambda point: all(name in point and is_among(point[name], values) for name, values in parts.items())


def _points(space: Space) -> Iterator[Point]:
    """The explicit points; those of a sampler that has no others may set hyperparameters that the space lacks."""
    free = not SAMPLERS[space.sampler].takes_space and not space.parameters
    seen: dict[str, int] = {}
    for index, raw in enumerate(space.doc.data.get("points", [])):
        path: tuple[Key, ...] = ("points", index)
        point = raw if free else space.fit(raw)
        if point is None:
            raise space.doc.bad(path, _no_point(space, raw))
        first = seen.setdefault(settings(point), index)
        if first != index:
            raise space.doc.bad(path, f"duplicate of points[{first}]; remove one")
        yield point


def _warm(space: Space, past: Past) -> Iterator[Point]:
    """The points that were good before, each once, and none that stands in `points`."""
    seen = set(map(settings, space.points))
    names = {parameter.name for parameter in space.parameters}
    for index, row in warmstart.best(space.doc, space.objectives[0], space.budget, past):
        raw = {name: value for name, value in row.items() if name in names}
        point = space.fit(raw)
        if point is None:
            problem = f"{yamlfile.plain(raw)} is not a point of this space: {_no_point(space, raw)}"
            raise space.doc.bad(("warm_start", index), problem)
        if settings(point) not in seen:
            seen.add(settings(point))
            yield point


def _no_point(space: Space, raw: Mapping[str, Any]) -> str:
    """Why `raw` is not a point of the space, and what to do."""
    point: Point = {}
    for parameter in space.parameters:
        if is_active(parameter, point):
            if parameter.name not in raw:
                return f"{parameter.name} is missing; a point sets every hyperparameter that is active in it"
            value = parameter.fit(raw[parameter.name])
            if value is OUTSIDE:
                return f"{parameter.name} {yamlfile.plain(raw[parameter.name])} is outside its domain; widen it"
            point[parameter.name] = value
    extra = [name for name in raw if name not in point]
    if extra:
        return f"{extra[0]} is not active there, or not a hyperparameter of the space; remove it"
    return f"it breaks `{space.objection(point)}`; change one of the two"


def _check_size(space: Space, sampler: Sampler) -> None:
    """Refuse more points than exist, and a sweep too large to be one, with the numbers."""
    doc, points = space.doc, space.size if sampler.takes_space else 0
    due = _due(space, sampler)
    if due:
        key, number = due
        if points is not None and number > points:
            raise doc.bad(
                ("sampler", key), f"{number} points requested, but the space has {points}; write at most {points}"
            )
        points = number
    elif space.rules:
        points = 0  # only the points themselves can tell
    total = ((points or 0) + len(doc.data.get("points", []))) * space.replicates
    if total > MAX_TRIALS:
        raise too_many(space, total)


def _due(space: Space, sampler: Sampler) -> tuple[str, int] | None:
    """The option that says how many different points are due, and how many; None for all there are."""
    if "n" in space.options:
        return "n", space.options["n"]
    return ("rounds", sum(sampler.sizes(space))) if sampler.sizes else None
