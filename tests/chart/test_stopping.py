"""The chart's part of stop rules: what the runner is told, who are peers, and that no identity knows of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweep import render
from tests.chart.minimal import CHART, VALUES, refusal

ASHA = {"rule": "asha", "max": 27}


def rendered(folder: Path, **changes: Any) -> render.Rendered:
    path = folder / "values.yaml"
    path.write_text(json.dumps(VALUES | changes))
    return render.render(CHART, "demo", [path])


def group(folder: Path, **changes: Any) -> str:
    (trial,) = rendered(folder, **{"stop": ASHA} | changes).trials
    return trial.group


def test_the_runner_is_told_the_rule_with_its_defaults(tmp_path: Path) -> None:
    (trial,) = rendered(tmp_path, stop=ASHA).trials
    assert trial.stop
    assert trial.stop["rule"] == ASHA | {
        "metric": "accuracy", "direction": "maximize", "nan": True, "min": 1, "eta": 3, "min_peers": 9,
    }  # fmt: skip


def test_a_sweep_without_a_rule_is_as_if_there_were_none_and_ids_are_the_same(tmp_path: Path) -> None:
    without, given = rendered(tmp_path), rendered(tmp_path, stop=ASHA)
    assert [trial.id for trial in without.trials] == [trial.id for trial in given.trials]
    assert without.trials[0].stop is None
    files = [set().union(*(manifest.config_maps.values())) for manifest in (without, given)]
    assert files[1] - files[0] == {"rules.py", "stopping.py"}


def test_the_rungs_are_a_folder_that_peers_share(tmp_path: Path) -> None:
    (job,) = rendered(tmp_path, stop=ASHA).jobs
    spec = job["spec"]["template"]["spec"]
    folder = f"rungs/{group(tmp_path)}"
    assert folder in [mount.get("subPath") for mount in spec["containers"][0]["volumeMounts"]]
    assert f"--make={folder}" in spec["initContainers"][0]["args"]


@pytest.mark.parametrize(
    "change",
    [
        {"stop": ASHA | {"eta": 4}},
        {"stop": ASHA | {"audit": 0.1}},
        {"objective": {"metric": "accuracy", "direction": "minimize"}},
        {"command": ["python", "other.py"]},
        {"env": {"A": "b"}},
        {"hyperparameters": {"epochs": 9}},
        {"image": {"repository": "pytorch/pytorch", "tag": "2.10"}},
        {"data": {"id": "d"}},
        {"budget": "epochs"},
        {"metrics": [{"from": "output", "format": "json"}]},
    ],
)
def test_another_rule_or_program_makes_other_peers(tmp_path: Path, change: dict[str, Any]) -> None:
    assert group(tmp_path, **change) != group(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"sweep": "other"},
        {"trials": [{"lr": 0.1}]},
        {"stop": ASHA | {"eta": 3, "min": 1, "nan": True, "min_peers": 9}},
        {"limit_seconds": 77},
        {"gpu": {"count": 0}},
    ],
)
def test_another_sweep_point_or_spelling_does_not(tmp_path: Path, change: dict[str, Any]) -> None:
    assert group(tmp_path, **change) == group(tmp_path)


def test_the_budget_is_the_axis_and_no_difference(tmp_path: Path) -> None:
    few, many = ({"budget": "epochs", "hyperparameters": {"epochs": count}} for count in (3, 9))
    assert group(tmp_path, **few) == group(tmp_path, **many)


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ({"rule": "asha", "max": 1}, "stop.max: 1 is not above stop.min, 1"),
        ({"rule": "asha", "metric": "loss"}, "stop.direction: loss is none of the objectives"),
        ({"rule": "threshold"}, "stop.at: is missing"),
        ({"rule": "asha", "at": {"3": 0.5}}, "stop.at: is for `rule: threshold` alone"),
        ({"rule": "threshold", "at": {"3": 0.5}, "eta": 3}, "stop.eta: is for the rules asha and median"),
        ({"max_wall": "2h", "min_peers": 3}, "stop.min_peers: is for the rules asha and median"),
        ({"rule": "fast"}, "stop"),
        ({"stuck": "soon"}, "stop"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, stop: dict[str, Any], message: str) -> None:
    assert message in refusal(tmp_path, stop=stop)
