"""What the scripts read of a sweep's values: the values files laid over the chart's defaults, checked, with types.

Helm merges the same files when it renders; the engine must be chosen before that. So this is the one place that
merges them here, and the one that knows what an absent value or null means; tests/unit/test_settings.py holds it to
helm. Everything else is helm's and the chart's to read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from sweep import limits, reading
from sweep import schema as schemas
from sweep.yamlfile import Document, Key

Part = TypeVar("Part")


@dataclass(frozen=True)
class Volume:
    """A volume that is set. `host_path` is its folder on the machine; "" if it is nfs or pvc."""

    host_path: str = ""
    claim: str = ""
    """Name of the PersistentVolumeClaim; "" if it is none."""


@dataclass(frozen=True)
class Code:
    path: str = ""


@dataclass(frozen=True)
class Image:
    repository: str = ""
    tag: str = ""
    digest: str = ""
    pullPolicy: str = ""  # noqa: N815 - as the values have it
    pullSecrets: tuple[str, ...] = ()  # noqa: N815


@dataclass(frozen=True)
class Data:
    id: str = ""
    volume: Volume | None = None
    prepare: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results:
    volume: Volume | None = None


@dataclass(frozen=True)
class Outputs:
    keep: str = "best 1"


@dataclass(frozen=True)
class Gpu:
    count: int = 1
    resource: str = "nvidia.com/gpu"


@dataclass(frozen=True)
class ClusterPlace:
    context: str = ""
    namespace: str = ""
    store: str = ""


@dataclass(frozen=True)
class Local:
    requirements: str = ""


@dataclass(frozen=True)
class Spend:
    gpu_hours: float | None = None
    trial_hours: float | None = None


@dataclass(frozen=True)
class Security:
    runAsUser: int = 1000  # noqa: N815 - as the values have it


@dataclass(frozen=True)
class Settings:
    """Named and nested as in the chart's values, where each is described. What is null there is empty here.

    A field's own default stands for what the chart of an older commit does not know.
    """

    sweep: str = ""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    passing: Mapping[str, Any] | None = None
    env: Mapping[str, Any] = field(default_factory=dict)
    limit_seconds: int = 3600
    shards: int = 1
    budget: str = ""
    budget_gpu_hours: float | None = None
    goal: Mapping[str, float] = field(default_factory=dict)
    spend: Spend = Spend()
    until: str = ""
    prices: Mapping[str, Any] | None = None
    failFast: int = 3  # noqa: N815 - as the values have it
    queue: str = ""
    priority: str = ""
    code: Code = Code()
    image: Image = Image()
    data: Data = Data()
    results: Results = Results()
    outputs: Outputs = Outputs()
    gpu: Gpu = Gpu()
    nodes: int = 1
    security: Security = Security()
    tolerations: tuple[Mapping[str, Any], ...] = ()
    cluster: ClusterPlace = ClusterPlace()
    local: Local = Local()


def read(chart: Path, *documents: Document) -> Settings:
    """The settings by values files, lowest first, over the defaults of `chart`.

    Raises BadInput with the file and line of what the chart's schema refuses. Trials are not looked at: they are many,
    and the chart's to judge.
    """
    schema = json.loads((chart / "values.schema.json").read_text())
    values = laid(defaults(schema), *({**document.data, "trials": []} for document in documents))
    if not schemas.fits(values, schema, schema):
        check(values, schema, documents)
    _check_patterns(values, documents)
    _check_limits(values, documents)
    return of(values)


def of(values: Mapping[str, Any]) -> Settings:
    """The settings in values that the chart's schema accepts."""
    parts: dict[str, Any] = dict(values)
    for name, kind in _PARTS.items():
        part = dict(values.get(name) or {})
        if "volume" in part:
            part["volume"] = _volume(part["volume"])
        for listed in {"prepare", "pullSecrets"} & part.keys():
            part[listed] = tuple(part[listed] or ())
        parts[name] = _filled(kind, part)
    for name in ("command", "tolerations"):
        parts[name] = tuple(values.get(name) or ())
    return _filled(Settings, parts)


def of_trial(given: Settings, line: Mapping[str, Any]) -> Settings:
    """The settings as one trial has them, by what its line asks for itself."""
    limit = int(line["limit_seconds"]) if "limit_seconds" in line else given.limit_seconds
    return replace(given, limit_seconds=limit, gpu=_filled(Gpu, vars(given.gpu) | (line.get("gpu") or {})))


def hyperparameters(*documents: Document) -> dict[str, Any]:
    """Those that all trials share, by values files of any time, lowest first; nothing else of them is looked at."""
    shared = laid({}, *(document.data for document in documents)).get("hyperparameters")
    return shared if isinstance(shared, dict) else {}


_PARTS: dict[str, type[Any]] = {
    "code": Code,
    "image": Image,
    "data": Data,
    "results": Results,
    "outputs": Outputs,
    "gpu": Gpu,
    "spend": Spend,
    "security": Security,
    "cluster": ClusterPlace,
    "local": Local,
}


def _filled(kind: type[Part], values: Mapping[str, Any]) -> Part:
    """A `kind` of those values that it has a field for; null is the field's default."""
    given = {field.name: values.get(field.name) for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: _whole(value) for name, value in given.items() if value is not None})


def _whole(value: Any) -> Any:
    """2 for 2.0, which is a whole number to a schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _volume(values: Mapping[str, Any] | None) -> Volume | None:
    kinds = {name: given for name, given in (values or {}).items() if given is not None}
    if not kinds:
        return None
    host_path = kinds["hostPath"]["path"] if "hostPath" in kinds else ""
    return Volume(host_path, kinds["pvc"]["claimName"] if "pvc" in kinds else "")


# ---- as helm merges ----


def laid(lower: Mapping[str, Any], *uppers: Mapping[str, Any]) -> dict[str, Any]:
    """Values over values as helm merges files: maps key by key, all else replaced, by null too."""
    both = dict(lower)
    for upper in uppers:
        for key, value in upper.items():
            below = both.get(key)
            both[key] = laid(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The chart's values.yaml, which is made from its schema."""
    return dict(_defaults(schema, schema))


def _defaults(part: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, raw in part["properties"].items():
        below = root["definitions"][raw["$ref"].rpartition("/")[2]] if "$ref" in raw else raw
        if "default" in below:
            yield name, below["default"]
        elif "properties" in below:
            yield name, dict(_defaults(below, root))


# ---- errors ----


def check(values: Mapping[str, Any], schema: dict[str, Any], documents: Sequence[Document]) -> None:
    """Raise BadInput about the first of `values` that the schema refuses, where the uppermost document has it."""
    listed = [(*_place(path, documents), path, problem) for path, problem in schemas.problems(values, schema)]
    if listed:
        document, _, path, problem = min(listed, key=lambda item: (item[0].shown, item[0].line(*item[1])))
        raise document.bad(path, problem)


def _check_patterns(values: Mapping[str, Any], documents: Sequence[Document]) -> None:
    """Raise BadInput about the first pattern for metrics that is none."""
    for place, source in enumerate(values.get("metrics") or ()):
        path, flaw = ("metrics", place, "pattern"), reading.flaw(source)
        if flaw:
            document, _ = _place(path, documents)
            raise document.bad(path, flaw)


def _check_limits(values: Mapping[str, Any], documents: Sequence[Document]) -> None:
    """Raise BadInput about the first limit of the sweep that is none."""
    given = values.get("objective") or []
    objectives = [str(objective.get("metric")) for objective in (given if isinstance(given, list) else [given])]
    for path, problem in limits.flaws(values.get("goal") or {}, objectives, values.get("until") or ""):
        document, known = _place(path, documents)
        raise document.bad(known, problem)


def locate(message: str, documents: Sequence[Document]) -> str:
    """Put `file:line` before a reason of helm's that names a key, where the uppermost document has it."""
    key = re.split(r"[: ]", message, maxsplit=1)[0]
    document, path = _place(re.findall(r"[^.\[\]]+", key), documents)
    return f"{document.where(*path) if path else document.shown}: {message}"


def _place(path: Sequence[Key], documents: Sequence[Document]) -> tuple[Document, tuple[Key, ...]]:
    """The uppermost document that has the most of `path`, and that part of it."""
    known = [(document, _known(document.data, path)) for document in reversed(documents)]
    return max(known, key=lambda item: len(item[1]))


def _known(data: Any, path: Sequence[Key]) -> tuple[Key, ...]:
    """The steps of `path` that lead somewhere in `data`; a word of digits may be a place in a list."""
    steps: list[Key] = []
    for key in path:
        step: Any = int(key) if isinstance(data, list) and str(key).isdigit() else key
        try:
            data = data[step]
        except (LookupError, TypeError):
            break
        steps.append(step)
    return tuple(steps)
