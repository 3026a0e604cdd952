"""Every place that a schema knows, and what a person may write there by mistake: null, or another kind of value."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema.validators import validator_for

from sweep import helm, settings
from sweep.layout import Clone

Path_ = tuple[str | int, ...]
KINDS: dict[str, Any] = {"string": "?", "number": 0.5, "boolean": True, "array": ["?", {}], "object": {"?": "?"}}
"""A value of each kind that is hardly ever right."""
NAMES = {"^[0-9a-f]{12}$": "0123456789ab", "^[0-9]{1,15}([.][0-9]{1,15})?$": "3"}
"""A name for a pattern that `name` does not match."""


def places(
    schema: Mapping[str, Any], root: Mapping[str, Any], path: Path_ = (), within: frozenset[str] = frozenset()
) -> Iterator[tuple[Path_, set[str]]]:
    """(path, kinds that are right there) of each value that the schema describes; `name` and 0 stand for any.

    What may hold its like is looked into once: `within` are the definitions that the value is in.
    """
    while "$ref" in schema:
        if schema["$ref"] in within:
            return
        within |= {schema["$ref"]}
        group, name = str(schema["$ref"]).split("/")[1:]
        schema = root[group][name]
    if path:
        known = schema.get("type", list(KINDS))
        yield path, {"number" if kind == "integer" else kind for kind in ([known] if isinstance(known, str) else known)}
    below = dict(schema.get("properties", {}))
    for pattern, part in schema.get("patternProperties", {}).items():
        if "not" not in part:
            below[NAMES.get(pattern, "name")] = part
    if isinstance(schema.get("additionalProperties"), dict):
        below["name"] = schema["additionalProperties"]
    for key, part in below.items():
        yield from places(part, root, (*path, key), within)
    if isinstance(schema.get("items"), dict):
        yield from places(schema["items"], root, (*path, 0), within)


def put(values: Any, path: Path_, value: Any) -> Any:
    """A copy of `values` that has `value` at `path`; what is missing on the way, or of another kind, is made."""
    if not path:
        return value
    key = path[0]
    if isinstance(key, int):
        below = values[0] if isinstance(values, list) and values else None
        return [put(below, path[1:], value)]
    changed = copy.copy(values) if isinstance(values, dict) else {}
    changed[key] = put(changed.get(key), path[1:], value)
    return changed


def without(values: dict[str, Any], path: Path_) -> dict[str, Any]:
    """A copy of `values` that has nothing at `path`."""
    left = dict(values)
    if len(path) == 1:
        left.pop(str(path[0]), None)
    elif isinstance(left.get(str(path[0])), dict):
        left[str(path[0])] = without(left[str(path[0])], path[1:])
    elif len(path) > 2 and path[1] == 0 and left.get(str(path[0])):
        left[str(path[0])] = [without(left[str(path[0])][0], path[2:])]
    return left


# ---- the chart, by plain helm ----

CHART = Clone.here().chart
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
PLACES = {path: right for path, right in places(SCHEMA, SCHEMA) if path[0] != "global"}
NULLABLE = [path for path in PLACES if path != ("hyperparameters", "name")]
"""Where null is as if nothing were there, to the byte. A hyperparameter's takes it away, and the runner is told of it:
tests/chart/test_null.py."""
OFF = {"reader": None, "dataset": None}  # what renders an object of its own, which no release holds


def template(helm: str, files: Sequence[Path]) -> subprocess.CompletedProcess[str]:
    words = [word for file in files for word in ("-f", str(file))]
    return subprocess.run([helm, "template", "demo", str(CHART), *words], capture_output=True, text=True, check=False)


def same_as_absent(helm: str, folder: Path, base: dict[str, Any], path: Path_) -> bool:
    """Whether helm renders with null at `path`, over `base`; if so, it must be as if `base` had nothing there."""
    files = [folder / name for name in ("base.yaml", "null.yaml", "absent.yaml")]
    upper = put(base if 0 in path else {}, path, None)  # a list is replaced as a whole
    documents = [base, upper, without(base, path)]
    for file, document in zip(files, documents, strict=True):
        file.write_text(json.dumps(document))
    given = template(helm, files[:2])
    if given.returncode:
        return False
    assert given.stdout == template(helm, files[2:]).stdout, path
    return True


def refused_by_helm(program: str, file: Path) -> set[str]:
    """Places, with dots, of all that the chart's schema refuses."""
    return {key.removeprefix("(root)") for key, _ in helm.problems(template(program, [file]).stderr)}


def refused_by_scripts(values: dict[str, Any]) -> set[str]:
    """The same of what the scripts' reading of the schema refuses."""
    laid = settings.laid(settings.defaults(SCHEMA), values)
    return {".".join(map(str, error.absolute_path)) for error in validator_for(SCHEMA)(SCHEMA).iter_errors(laid)}


def check_kinds(helm: str, folder: Path, base: dict[str, Any]) -> None:
    """Values of every wrong kind, all places of a depth at once: helm and the scripts must refuse the same of them."""
    file = folder / "values.yaml"
    depths = range(1, 1 + max(map(len, PLACES)))
    for depth, in_list in ((depth, in_list) for depth in depths for in_list in (False, True)):
        there = {path: right for path, right in PLACES.items() if len(path) == depth and (0 in path) == in_list}
        for kind, value in KINDS.items():
            wrong = [path for path, right in there.items() if kind not in right]
            values: Any = base
            for path in wrong:
                values = put(values, path, value)
            file.write_text(json.dumps(values))
            refused = refused_by_scripts(values)
            assert refused >= {".".join(map(str, path)) for path in wrong}, (depth, kind)
            assert refused_by_helm(helm, file) == refused, (depth, kind)
