"""How metrics are read: what the chart makes of it, what it refuses, and what of it is part of a trial's identity."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from sweep import render, settings, yamlfile
from sweep.errors import BadInput
from sweep.render import Trial
from tests.chart.minimal import CHART, VALUES, refusal

OUTPUT = {"from": "output", "format": "name=value"}
CSV = {"from": "file", "path": "m.csv", "format": "csv"}


def rendered(folder: Path, **changes: Any) -> render.Rendered:
    path = folder / "values.yaml"
    path.write_text(json.dumps(VALUES | changes))
    return render.render(CHART, "demo", [path])


def trial(folder: Path, *sources: dict[str, Any]) -> Trial:
    (rendered_trial,) = rendered(folder, metrics=list(sources)).trials
    return rendered_trial


def variable(folder: Path, *sources: dict[str, Any]) -> dict[str, Any]:
    """The variable TRIAL."""
    (job,) = rendered(folder, metrics=list(sources)).jobs
    (container,) = job["spec"]["template"]["spec"]["containers"]
    record: dict[str, Any] = json.loads(container["env"][0]["value"].replace("$$", "$"))
    return record


def test_what_is_not_set_is_in_no_identity(tmp_path: Path) -> None:
    without = rendered(tmp_path).trials[0]
    assert "metrics" not in without.identity
    for nothing in (None, []):
        manifest = rendered(tmp_path, metrics=nothing)
        assert manifest.trials[0].id == without.id
        assert not any("reading.py" in files for files in manifest.config_maps.values())


def test_what_changes_the_result_is_part_of_the_identity(tmp_path: Path) -> None:
    best = CSV | {"take": {"max": "acc"}}
    sources = [
        [OUTPUT], [OUTPUT | {"format": "json"}], [OUTPUT | {"take": "first"}], [OUTPUT, CSV], [CSV, OUTPUT], [best],
        [best | {"take": {"min": "acc"}}], [best | {"step": "round"}], [OUTPUT | {"names": {"a": "b"}}],
        [{"from": "output", "pattern": "(?P<a>.)$(X)"}], [{"from": "mlflow", "path": "a"}],
        [{"from": "tensorboard", "path": "a"}],
    ]  # fmt: skip
    trials = [trial(tmp_path, *values) for values in sources]
    assert len({sample.id for sample in trials}) == len(sources)
    assert [sample.identity["metrics"] for sample in trials] == sources


def test_what_changes_the_curve_alone_or_nothing_is_none(tmp_path: Path) -> None:
    plain = trial(tmp_path, OUTPUT, CSV)
    for source in (OUTPUT | {"take": "last"}, OUTPUT | {"step": "iteration"}):
        same = trial(tmp_path, source, CSV)
        assert (same.id, same.lineage) == (plain.id, plain.lineage)
    assert "steps" not in variable(tmp_path, OUTPUT, CSV)
    assert variable(tmp_path, OUTPUT, CSV | {"step": "Round"})["steps"] == [None, "Round"]


def runner_files(folder: Path, **changes: Any) -> dict[str, str]:
    """The ConfigMap of the runner."""
    (files,) = (dict(files) for files in rendered(folder, **changes).config_maps.values() if "trial.py" in files)
    return files


def siblings(text: str) -> set[str]:
    """Files of the chart that a program of the runner imports."""
    nodes = list(ast.walk(ast.parse(text)))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {f"{name}.py" for name in modules if (CHART / "files" / f"{name}.py").exists()}


READERS = {"reading.py", "rows.py", "printed.py", "written.py"}
STOPS = {"stopping.py", "rules.py"}
ON_DEMAND = {"passing.py", "events.py", "mlruns.py", "nodes.py", *READERS, *STOPS}
"""What is imported only where the values ask for it."""


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, set()),
        ({"metrics": [OUTPUT, CSV]}, READERS),
        ({"metrics": [{"from": "tensorboard", "path": "a"}]}, {*READERS, "events.py"}),
        ({"metrics": [OUTPUT, {"from": "mlflow", "path": "a"}]}, {*READERS, "mlruns.py"}),
        ({"stop": {"rule": "asha", "max": 9}}, STOPS),
        ({"nodes": 2}, {"nodes.py"}),
    ],
    ids=["none", "output and file", "tensorboard", "mlflow", "a rule that stops", "several nodes"],
)
def test_the_runner_is_shipped_to_the_letter_with_all_that_it_imports(
    tmp_path: Path, changes: dict[str, Any], asked: set[str]
) -> None:
    files = runner_files(tmp_path, **changes)
    assert files == {name: (CHART / "files" / name).read_text() for name in files}
    assert files.keys() & ON_DEMAND == asked
    imported = set().union(*map(siblings, files.values()))
    assert imported - ON_DEMAND | asked | {"trial.py"} == files.keys()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"from": "output"}, "metrics[0]: needs either a pattern or a format, as in"),
        (OUTPUT | {"pattern": "(?P<a>.)"}, "metrics[0]: needs either a pattern or a format, as in"),
        (
            OUTPUT | {"path": "x"},
            "metrics[0].path: is not for `from: output`, which has pattern, format, step, take and",
        ),
        (OUTPUT | {"format": "csv"}, "metrics[0].format: csv is not for `from: output`; write name=value, name: value"),
        (
            CSV | {"format": "name=value"},
            "metrics[0].format: name=value is not for `from: file`; write csv, jsonl, json",
        ),
        ({"from": "file", "path": "x"}, "metrics[0].format: is missing; write csv, jsonl or json"),
        ({"from": "file", "format": "csv"}, "metrics[0].path: is missing; name the file in the working folder"),
        (CSV | {"path": "a/../../x"}, "metrics[0].path: leads out of the working folder; write a path in it"),
        (
            {"from": "mlflow", "path": "x", "step": "a"},
            "metrics[0].step: is not for `from: mlflow`, which has path, take",
        ),
        (CSV | {"take": {}}, "metrics[0].take: needs one of max and min, as in `take: {max: accuracy}`"),
        (CSV | {"take": {"max": "a", "min": "b"}}, "metrics[0].take: needs one of max and min"),
    ],
)
def test_what_makes_no_source_is_refused_by_the_chart(tmp_path: Path, source: dict[str, Any], message: str) -> None:
    assert message in refusal(tmp_path, metrics=[source])


def test_a_name_is_given_once(tmp_path: Path) -> None:
    sources = [OUTPUT | {"names": {"acc": "a"}}, CSV | {"names": {"acc": "b"}}]
    message = "metrics[1].names.acc: metrics[0] names this metric too; take another name"
    assert message in refusal(tmp_path, metrics=sources)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{from: output, pattern: '(?P<a>[0-9+)'}", "pattern: is not a regular expression of Python's: unterminated"),
        (
            "{from: output, pattern: '(?P<a>1)(?P<a>2)'}",
            "pattern: is not a regular expression of Python's: redefinition",
        ),
        (
            "{from: output, pattern: 'acc: (.*)'}",
            "pattern: 'acc: (.*)' does not match [(][?]P<[A-Za-z_]; write \"Accu",
        ),
        ("{from: outputs, format: json}", "from: 'outputs' is not one of output, file, tensorboard, mlflow; did you"),
        ("{from: file, path: /abs, format: csv}", "path: '/abs' does not match ^[^/]; write \"runs"),
        ("{from: mlflow, path: x, take: best}", "take: 'best' does not match ^(last|first)$; write last"),
        ("{form: output}", "form: unknown key; did you mean format?"),
        ("{from: output, regex: '(?P<a>.)'}", "regex: unknown key; it is `pattern` here"),
        ("{from: file, glob: '*.csv', format: csv}", "glob: unknown key; it is `path` here"),
    ],
)
def test_the_scripts_say_it_with_file_and_line(source: str, message: str) -> None:
    text = f"sweep: demo\nmetrics:\n  - {{from: output, format: json}}\n  - {source}\n"
    base = yamlfile.parse(json.dumps(VALUES), "base.yaml")
    with pytest.raises(BadInput) as caught:
        settings.read(CHART, base, yamlfile.parse(text, "values.yaml"))
    assert str(caught.value).startswith(f"values.yaml:4: metrics[1].{message}")
