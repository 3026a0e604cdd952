"""How hyperparameters are passed, as far as it is the chart's: what is in an identity, and what plain helm refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.chart.minimal import CHART, refusal
from tests.chart.test_chart import ids, rendered, with_values

sys.path.append(str(CHART / "files"))
import passing

ALL = "{hyperparameters}"
PLACES = {"data_dir": "/d", "checkpoint_dir": "/c", "output_dir": "/o", "seed": "0", "trial": "x", "file": None}


def identities(folder: Path, **changes: Any) -> list[dict[str, Any]]:
    return [trial.identity for trial in rendered(folder, with_values(**changes)).trials]


@pytest.mark.parametrize(
    "command",
    [
        ["awk", "{print}"],
        ["sh", "-c", "x=1; echo ${lr} ${x}"],
        ["prog", '{"a": {"b": 1}}', "{seed}", "x{hyperparameters}", "{{lr}}"],
    ],
)
def test_a_command_of_old_means_what_it_meant(tmp_path: Path, command: list[str]) -> None:
    (identity,) = identities(tmp_path, command=command)
    assert "passing" not in identity
    assert identity["command"] == command


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"command": ["p", "{lr}"]}, {}),
        ({"command": ["p", ALL]}, {}),
        ({"passing": {}}, {}),
        ({"passing": {"style": "--name=value", "lists": "json", "dashes": False, "floats": [], "seed": None}}, {}),
        ({"passing": {"environment": "", "file": {"format": "json", "merge": None}}}, None),
    ],
)
def test_what_is_as_by_default_is_not_in_the_identity(tmp_path: Path, changes: Any, expected: Any) -> None:
    (identity,) = identities(tmp_path, **changes)
    assert identity["passing"] == ({"environment": "", "file": {"format": "json"}} if expected is None else expected)


def test_the_pod_has_what_passes_them_where_it_is_needed(tmp_path: Path) -> None:
    for changes in ({"passing": {}}, {"command": ["p", "{lr}"]}, {"command": ["p", ALL]}, {}):
        (files,) = (
            data for data in rendered(tmp_path, with_values(**changes)).config_maps.values() if "trial.py" in data
        )
        assert files.get("passing.py") == ((CHART / "files/passing.py").read_text() if changes else None)


def test_how_a_trial_is_passed_its_hyperparameters_is_its_own(tmp_path: Path) -> None:
    """Its id is the same alone, as in a release of a shard, and beside others."""
    command, trials = ["p", "{lr}", "{momentum?}"], [{"lr": 1}, {"lr": 1, "momentum": 0.9}]
    both = ids(tmp_path, command=command, trials=trials)
    assert both == [ids(tmp_path, command=command, trials=[trial])[0] for trial in trials]
    plain, set_ = (ids(tmp_path, command=["p"], **changes) for changes in ({}, {"passing": {}}))
    assert plain != set_


def test_an_overlay_can_switch_it_off(tmp_path: Path) -> None:
    (identity,) = identities(tmp_path, passing=None)
    assert "passing" not in identity


NEAREST = (
    "command: {learning_rat} in `--lr={learning_rat}` names no hyperparameter of trials[0]; the nearest is "
    "{learning_rate}. {{learning_rat}} is a literal brace, {learning_rat?} leaves the word out where a trial has none"
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"command": ["--lr={learning_rat}", ALL], "trials": [{"learning_rate": 1, "momentum": 2, "lr": 3}]},
            NEAREST,
        ),
        (
            {"command": ["{lr}"], "trials": [{"lr": 1}, {"rl": 1}]},
            "command: {lr} in `{lr}` names no hyperparameter of trials[1]; the nearest is {rl}. "
            "{{lr}} is a literal brace, {lr?} leaves the word out where a trial has none",
        ),
        (
            {"command": ["{lr?}"], "trials": [{"lr": 1}, {"x": 1}]},
            "command: its placeholders name no hyperparameter of trials[1]; "
            "write `passing: {}` to have them all replaced there too",
        ),
        (
            {"command": ["awk", "{print {lr}}"]},
            "command: the word `{print {lr}}` has a placeholder and a single brace; "
            "write {{ and }} for braces that are meant literally",
        ),
        (
            {"command": [ALL, "x{hyperparameters}"]},
            "command: {hyperparameters} in `x{hyperparameters}` stands for several words; make it a word of its own",
        ),
        (
            {"command": [ALL], "trials": [{"hyperparameters": 1}]},
            "command: {hyperparameters} in `{hyperparameters}` is a hyperparameter and has a meaning of its own; "
            "rename the hyperparameter",
        ),
        (
            {"command": ["{trial}", ALL], "hyperparameters": {"trial": 1}},
            "command: {trial} in `{trial}` is a hyperparameter and has a meaning of its own; rename the hyperparameter",
        ),
        (
            {"passing": {"file": {"format": "text"}}},
            "passing.file: `format: text` and `text`, the lines of the file, go together; write both",
        ),
        (
            {"passing": {"file": {"format": "json", "text": "{lr}"}}},
            "passing.file: `format: text` and `text`, the lines of the file, go together; write both",
        ),
        (
            {"passing": {"file": {"format": "text", "text": "{lr}", "path": "a", "merge": "b"}}},
            "passing.file.merge: a text is the whole file; remove one of them",
        ),
        ({"command": ["{file}", ALL]}, "command: {file} is the file of passing.file, which is not set"),
        (
            {"command": ["{data_dir}", ALL]},
            "command: {data_dir} is the data volume, and the sweep has none; set data.volume",
        ),
        (
            {"passing": {"environment": ""}, "trials": [{"data-dir": 1}, {"DATA-DIR": 1}]},
            "passing.environment: the hyperparameter DATA-DIR would be the variable DATA_DIR, which means something "
            "else; set another prefix, as in HP_",
        ),
        (
            {"passing": {"environment": "A_"}, "env": {"A_lr": "x"}},
            "passing.environment: the hyperparameter lr would be the variable A_lr, which means something else; "
            "set another prefix, as in HP_",
        ),
        (
            {"passing": {"floats": ["rl"]}},
            "passing.floats: rl is not a hyperparameter of any trial; correct it, or remove it",
        ),
        ({"passing": {"seed": "lr"}}, "passing.seed: lr is a hyperparameter too; rename one"),
        (
            {"passing": {"file": {"format": "json", "path": "a/../../x"}}},
            'passing.file.path: "a/../../x" leads out of the folder of the code; write a path below it',
        ),
        (
            {"passing": {"file": {"format": "json", "merge": "x.json"}}},
            "passing.file.path: is missing; say where the merged file is written, it may be `merge` itself",
        ),
        (
            {"passing": {"style": "name=value", "booleans": "flag"}},
            "passing.style: name=value has a value in every word; "
            "set `booleans: value` and lists to json, commas or repeat",
        ),
    ],
)
def test_what_cannot_be_passed_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    assert refusal(tmp_path, **changes).endswith(reason)


@pytest.mark.parametrize(
    ("key", "value"), [("styl", "x"), ("style", "-"), ("environment", "1"), ("file", {"path": "x"})]
)
def test_unknown_settings_are_refused(tmp_path: Path, key: str, value: Any) -> None:
    assert "passing" in refusal(tmp_path, passing={key: value})


pieces = st.sampled_from(
    ["{lr}", "{lr?}", "{no}", "{no?}", "{{", "}}", "{", "}", "$", "${x}", "x", "{trial}", "{a.b-c}"]
)
words = st.lists(pieces, min_size=1, max_size=5).map("".join)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.lists(words, min_size=1, max_size=3))
@example(command=["${lr}{lr}"])
def test_chart_and_runner_read_a_word_alike(tmp_path: Path, command: list[str]) -> None:
    """What the chart lets pass can be passed, and what it refuses cannot; names that mean nothing it alone refuses."""
    command = ["p", *command]
    identity = {"command": command, "hyperparameters": {"lr": 0.5}, "seed": 0, "passing": {}}
    refused = refusal(tmp_path, command=command, passing={})
    try:
        passing.argv(identity, PLACES)
    except passing.Refused:
        assert refused
    else:
        assert not refused or "names no hyperparameter of trials[0]" in refused, json.dumps(command)
