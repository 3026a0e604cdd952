"""A hyperparameter that is null is none, wherever it stands: to the chart, to the scripts, in a shard, in best.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep import render
from sweep.engines import release
from sweep.records import same
from sweep.reports import best
from sweep.settings import laid
from tests.chart.minimal import CHART
from tests.chart.test_chart import with_values
from tests.unit.stores import row

ALL = "{hyperparameters}"
values = st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, 1, False, "", "x"]), max_size=3)


def identity(folder: Path, *heads: dict[str, Any], trial: dict[str, Any], command: list[str]) -> render.Trial:
    """Of the only trial, below values files of which a later one lies over an earlier one."""
    files = [folder / f"{number}.yaml" for number in range(len(heads) + 1)]
    base = with_values(command=command, trials=[trial], hyperparameters={})
    for file, document in zip(files, [base, *({"hyperparameters": head} for head in heads)], strict=True):
        file.write_text(json.dumps(document))
    (rendered,) = render.render(CHART, "demo", files).trials
    return rendered


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lower=values, upper=values, line=values)
def test_null_is_as_if_nothing_were_there(tmp_path: Path, lower: Any, upper: Any, line: Any) -> None:
    trial = identity(tmp_path, lower, upper, trial=line, command=["p", ALL])
    whole = {name: value for name, value in {**lower, **upper, **line}.items() if value is not None}
    assert trial.identity["hyperparameters"] == whole
    assert trial.id == identity(tmp_path, trial=whole, command=["p", ALL]).id
    assert same.of_line(laid(lower, upper), line) == same.trial(whole, 0)


def test_a_word_that_names_it_is_none_and_a_shard_and_best_have_the_same_trial(tmp_path: Path) -> None:
    line = {"lr": 1, "clip": None}
    command = ["p", "--lr={lr}", "--clip", "{clip}"]
    trial = identity(tmp_path, {"clip": 2, "z": 3}, trial=line, command=command)
    assert trial.identity["hyperparameters"] == {"lr": 1, "z": 3}
    ((shard,),) = release.shard_lines([trial], [line], 1)
    assert identity(tmp_path, {"clip": 2, "z": 3}, trial=shard, command=command).id == trial.id
    head = with_values(command=command, hyperparameters={"clip": 2, "z": 3})
    winner = row(trial.identity["hyperparameters"], 0, 0.9, id=trial.id)
    (tmp_path / "best.yaml").write_text(best.values(head, [winner], [], unseen={trial.id: {"clip": None}}))
    assert [sample.id for sample in render.render(CHART, "demo", [tmp_path / "best.yaml"]).trials] == [trial.id]


def test_a_command_is_passed_something_where_all_that_it_names_is_null(tmp_path: Path) -> None:
    assert identity(tmp_path, trial={"a": 1, "x": None}, command=["p", "--x={x}"]).identity["passing"] == {}
    assert "passing" not in identity(tmp_path, trial={"a": 1}, command=["p", "--x={x}"]).identity


def check_nulls(folder: Path) -> None:
    """By the helm that HELM names."""
    heads = {"a": 1, "b": 2, "c": None}, {"b": None, "d": None}
    lines: list[dict[str, Any]] = [{"x": None}, {"a": None, "x": 0}, {"a": 3, "b": 4, "c": 5}]
    trials = [identity(folder, *heads, trial=line, command=["p", ALL, "{x?}"]) for line in lines]
    expected = [{"a": 1}, {"x": 0}, {"a": 3, "b": 4, "c": 5}]
    assert [trial.identity["hyperparameters"] for trial in trials] == expected
    assert [trial.id for trial in trials] == ["9cbf538b2335", "44690ca2397a", "57f030fbf184"]


def test_null_has_one_meaning_to_every_helm(tmp_path: Path) -> None:
    check_nulls(tmp_path)
