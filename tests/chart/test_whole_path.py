"""One hyperparameter, four readers: values file -> helm -> TRIAL -> the runner -> the file that a trainer reads."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sweep import render, yamlfile
from sweep.layout import Clone
from tests.chart.test_chart import CHART, hyperparameters, with_values

NASTY = {
    "a": "$(X) $$ $",
    "b": False,
    "c": 0,
    "d": "",
    "e": 1e-7,
    "f": 2**53,
    "g": [1e-05, True, "on"],
    "h": "1e-4",
    "i": -(2**53),
    "j": "\u2028😀",
}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"loaded_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


sys.path.append(str(CHART / "files"))  # what a program of the runner imports stands beside it
ENVIRONMENT = load(CHART / "files" / "environment.py")


def through_the_chart(folder: Path, points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each point as the runner finds it in TRIAL, its values file written as expand writes it."""
    path = folder / "values.yaml"
    head = [f"{key}: {yamlfile.flow(value)}" for key, value in with_values().items() if key != "trials"]
    path.write_text("\n".join([*head, "trials:", *(f"  - {yamlfile.flow(point)}" for point in points)]) + "\n")
    jobs = render.render(CHART, "demo", [path]).jobs
    return [json.loads(render.trial_json(job))["identity"]["hyperparameters"] for job in jobs]


def typed(value: Any) -> Any:
    """Values with their kinds, so that True is not 1; YAML knows one kind of number only."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return (isinstance(value, bool), isinstance(value, str), value)


def as_yaml_sees_it(point: dict[str, Any]) -> str:
    return json.dumps(json.loads(json.dumps(point), parse_int=float), sort_keys=True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(hyperparameters, min_size=1, max_size=30, unique_by=as_yaml_sees_it))
@example(points=[NASTY])
def test_every_reader_sees_the_value_that_was_written(tmp_path: Path, points: list[dict[str, Any]]) -> None:
    for point, arrived in zip(points, through_the_chart(tmp_path, points), strict=True):
        text = ENVIRONMENT.hyperparameters_text(arrived)
        for read in (json.loads, yaml.safe_load, YAML(typ="safe", pure=True).load):
            assert typed(read(text)) == typed(point)


def test_the_trainers_own_loader_sees_it(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(Clone.here().trainer))
    train = load(Clone.here().trainer / "train.py")
    point = {"max_learning_rate": 1e-07, "batch_norm": False, "data_aug_cutout_size": 0, "momentum": 0, "epochs": 1}
    (arrived,) = through_the_chart(tmp_path, [point])
    path = tmp_path / "hyperparameters.yaml"
    path.write_text(ENVIRONMENT.hyperparameters_text(arrived))
    read = train.knobs.read(path, train.Hyperparameters)
    assert {name: getattr(read, name) for name in point} == point
    assert read.batch_norm is False
