"""Null, and a value of the wrong kind, at every key of values.yaml and space.yaml: what helm makes of it, or one line.

tests/cluster holds helm 4 to the same.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as options
from hypothesis import strategies as st
from jsonschema.validators import validator_for

from sweep import helm, render, schema, settings, yamlfile
from sweep.engines.kinds import NAMES
from sweep.errors import BadInput
from sweep.layout import Clone, Kit
from sweep.session import Target, open_sweep
from sweep.spaces import spacefile, valuesfile
from tests.chart import mistakes
from tests.chart.mistakes import CHART, KINDS, NULLABLE, OFF, PLACES, SCHEMA, Path_, put

BASE: dict[str, Any] = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())
BASE |= {"sweep": "demo", "shards": 1, "retries": {}, "provenance": {}}
BASE["passing"] = yaml.safe_load((CHART / "ci" / "passing-values.yaml").read_text())["passing"]
HEAD = {"sweep": "demo", "trials": BASE["trials"]}
LINE = re.compile(r"values/(demo/(values|code|space)|base)\.yaml:\d+: .*[a-z].*")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone of files alone: the chart, and a base.yaml that sets every value."""
    root = tmp_path_factory.mktemp("clone")
    shutil.copytree(CHART, root / "chart")
    (root / "values" / "demo").mkdir(parents=True)
    (root / "values" / "base.yaml").write_text(json.dumps(BASE))
    return Clone(root)


def read(clone: Clone, head: Any) -> settings.Settings:
    """What expand reads before it writes, and every verb at its start."""
    clone.sweep("demo").values.write_text(yamlfile.lines(head) + "\n")
    valuesfile.check(valuesfile.load(clone.sweep("demo")), "demo", SCHEMA)
    session = open_sweep(clone, "demo", Target("local"))
    assert session.code_folder
    for engine in (session.on(name).engine for name in NAMES):
        for name in ("store_folder", "has_store_here", "shards", "namespace", "data_folder", "requirements"):
            getattr(engine, name, None)
    return session.settings


def line_of(error: BadInput) -> str:
    assert LINE.fullmatch(str(error)), str(error)
    return str(error)


@pytest.mark.parametrize("path", NULLABLE, ids=lambda path: ".".join(map(str, path)))
def test_null_is_what_helm_makes_of_it_or_one_line(clone: Clone, tmp_path: Path, path: Path_) -> None:
    head = put(HEAD, path, None)
    try:
        read(clone, head)
        if path[0] not in OFF:
            assert open_sweep(clone, "demo", Target("cluster")).rendered.trials
        refused = ""
    except BadInput as error:
        refused = line_of(error)
    accepted = mistakes.same_as_absent(helm.binary(), tmp_path, BASE | {"trials": HEAD["trials"]}, path)
    assert accepted == (not refused), refused


def test_null_takes_a_request_and_a_key_of_the_pod_away(tmp_path: Path) -> None:
    away = {
        "resources": {"requests": {"cpu": None, "hugepages-2Mi": None}, "limits": {"memory": None}},
        "gpu": {"flavors": None},
    }
    (tmp_path / "base.yaml").write_text(json.dumps(BASE))
    (tmp_path / "null.yaml").write_text(json.dumps(away | {"pod": {"runtimeClassName": None, "affinity": None}}))
    job = render.render(CHART, "demo", [tmp_path / "base.yaml", tmp_path / "null.yaml"]).jobs[0]
    pod, gpus = job["spec"]["template"]["spec"], {BASE["gpu"]["resource"]: BASE["gpu"]["count"]}
    assert not {"runtimeClassName", "affinity"} & set(pod)
    assert pod["containers"][0]["resources"]["requests"] == {"memory": "8Gi"} | gpus
    assert pod["containers"][0]["resources"]["limits"] == gpus


def test_what_may_be_null_is_what_has_an_empty_default() -> None:
    """A null takes a default away, so whatever else has one must be there: for both helms say so only by `required`."""

    def check(schema: dict[str, Any], path: Path_) -> None:
        needed = []
        for name, raw in schema["properties"].items():
            part = SCHEMA["definitions"]["volume"] if "$ref" in raw else raw
            if "default" in part:
                assert ("null" in part["type"]) == (not part["default"]), (*path, name)
                needed += [name] if part["default"] else []
            elif "properties" in part:
                needed.append(name)
                check(part, (*path, name))
        assert schema.get("required", []) == needed, path

    check(SCHEMA, ())


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_a_value_of_the_wrong_kind_ends_in_one_line(clone: Clone, path: Path_) -> None:
    for kind, value in KINDS.items():
        if kind not in PLACES[path]:
            with pytest.raises(BadInput) as raised:
                read(clone, put(HEAD, path, value))
            line_of(raised.value)


def test_the_quick_look_takes_what_the_validator_takes() -> None:
    validator = validator_for(SCHEMA)(SCHEMA)
    base = settings.laid(settings.defaults(SCHEMA), BASE, {"trials": []})
    assert schema.fits(base, SCHEMA, SCHEMA)
    for path in (path for path in PLACES if path[0] != "trials"):
        for value in (*KINDS.values(), None, 0, -1, 5.0, 2**60, "", "\x80", "/x", "n" * 70):
            values = put(base, path, value)
            assert schema.fits(values, SCHEMA, SCHEMA) == validator.is_valid(values), (path, value)


def test_helm_refuses_the_same_kinds(tmp_path: Path) -> None:
    mistakes.check_kinds(helm.binary(), tmp_path, BASE)


def test_a_mistake_in_the_base_is_found_there_and_one_that_is_covered_is_none(clone: Clone) -> None:
    base = clone.base.read_text()
    clone.sweep("demo").values.write_text(yamlfile.lines(HEAD))
    try:
        clone.base.write_text(yamlfile.lines(BASE | {"gpu": {"count": None}}))
        with pytest.raises(
            BadInput, match=r"^values/base\.yaml:\d+: gpu\.count: expected a whole number, got no value \(null\); "
        ):
            open_sweep(clone, "demo")
        clone.sweep("demo").values.write_text(yamlfile.lines(HEAD | {"gpu": {"count": 3}}))
        assert open_sweep(clone, "demo", Target("local")).settings.gpu.count == 3
    finally:
        clone.base.write_text(base)


def test_every_setting_is_a_value_of_the_chart_with_its_default() -> None:
    assert settings.of(settings.defaults(SCHEMA)) == settings.Settings()
    assert settings.defaults(SCHEMA) == yaml.safe_load((CHART / "values.yaml").read_text())


# ---- as helm merges ----

words = st.sampled_from("abc")
documents = st.dictionaries(
    words,
    st.recursive(
        st.one_of(st.none(), st.integers(0, 3), st.lists(st.integers(0, 3), max_size=2)),
        lambda below: st.dictionaries(words, below, max_size=3),
        max_leaves=8,
    ),
)


@options(max_examples=10)
@given(st.lists(st.lists(documents, min_size=3, max_size=3), min_size=5, max_size=20))
def test_files_are_laid_over_each_other_as_by_helm(
    tmp_path_factory: pytest.TempPathFactory, cases: list[list[dict[str, Any]]]
) -> None:
    """Some cases at once, each under a name of its own; for helm removes nothing that its chart does not know."""
    folder = tmp_path_factory.mktemp("laid")
    (folder / "chart" / "templates").mkdir(parents=True)
    (folder / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: laid\nversion: 0.1.0\n")
    (folder / "chart" / "templates" / "all.yaml").write_text("values: {{ toJson .Values }}\n")
    files = [folder / f"{layer}.yaml" for layer in range(3)]
    layers = [{f"case-{number}": case[layer] for number, case in enumerate(cases)} for layer in range(3)]
    for file, values in zip(files, layers, strict=True):
        file.write_text(json.dumps(values))
    printed = helm.run("template", "x", str(folder / "chart"), *(word for file in files for word in ("-f", str(file))))
    assert json.loads(printed.partition("values: ")[2]) == settings.laid({}, *layers)


# ---- space.yaml ----

SPACE_SCHEMA: dict[str, Any] = json.loads((Kit.here().schemas / "space.schema.json").read_text())
SPACE_PLACES = {
    tuple("lr" if part == "name" and path[0] != "space" else part for part in path): right
    for path, right in mistakes.places(SPACE_SCHEMA, SPACE_SCHEMA)
}
SPACE: dict[str, Any] = {
    "objective": {"metric": "m", "direction": "minimize"},
    "sampler": {"name": "random", "n": 2},
    "hyperparameters": {"epochs": 3},
    "space": {
        "first": {"type": "choice", "choices": [1, 2]},
        "name": {"type": "float", "low": 0.1, "high": 1, "when": {"first": 1}},
    },
}


@pytest.mark.parametrize("path", SPACE_PLACES, ids=lambda path: ".".join(map(str, path)))
def test_null_or_another_kind_in_the_space_ends_in_one_line(path: Path_) -> None:
    for kind, value in {**KINDS, "null": None}.items():
        document = yamlfile.parse(yamlfile.lines(put(SPACE, path, value)), "values/demo/space.yaml", helm=False)
        try:
            spacefile.read(document, SPACE_SCHEMA)
        except BadInput as error:
            line_of(error)
        else:
            assert kind in SPACE_PLACES[path], value
