"""best.yaml renders to the very trial it was made of."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep import render, yamlfile
from sweep.errors import BadInput, TrialsFailed
from sweep.layout import Clone
from sweep.ranking import stats
from sweep.records.results import Objective, Row
from sweep.reports import best
from tests.unit.stores import row

CHART = Clone.here().chart
HEAD: dict[str, Any] = {
    "sweep": "demo",
    "objective": {"metric": "val_accuracy", "direction": "maximize"},
    "hyperparameters": {"epochs": 3, "one": 1.0, "off": False, "name": ""},
    "command": ["python", "train.py", "$(HOME)", "a b"],
    "env": {"MODE": "fast"},
    "gpu": {"count": 0},
    "image": {"repository": "local", "digest": "sha256:" + "0" * 64},
    "data": {"id": "sha256:" + "1" * 64, "volume": {"hostPath": {"path": "/data"}}},
    "results": {"volume": {"hostPath": {"path": "/results"}}},
    "retries": {},
    "budget_gpu_hours": None,
}


def ids(folder: Path, text: str) -> list[render.Trial]:
    (folder / "values.yaml").write_text(text)
    return render.render(CHART, "demo", [folder / "values.yaml"]).trials


def rows_of(trials: list[render.Trial]) -> list[Row]:
    """Rows as collect would make them."""
    return [
        row(trial.identity["hyperparameters"], trial.identity["seed"], 0.9 + n / 1000, id=trial.id)
        for n, trial in enumerate(trials)
    ]


scalars = (
    st.sampled_from(
        [
            True,
            False,
            0,
            1,
            1.0,
            "",
            "on",
            "1e-4",
            "$(X) $$ ${y}",
            "é😀",
            "\"'\\",
            "a\nb",
            "{{ .x }}",
            "# x",
            "x" * 300,
            5e-05,
            2**53,
        ]
    )
    | st.floats(-1e9, 1e9)
    | st.integers(-(2**53), 2**53)
)
trials = st.fixed_dictionaries(
    {"lr": scalars},
    optional={
        "one": scalars,
        "off": scalars,
        "name": scalars,
        "list": st.lists(scalars, max_size=3),
        "seed": st.integers(0, 9),
    },
)


@settings(max_examples=25, deadline=None)
@given(st.lists(trials, min_size=1, max_size=5, unique_by=yamlfile.flow))
def test_the_id_is_that_in_the_sweep(listed: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join(f"{key}: {yamlfile.flow(value)}" for key, value in (HEAD | {"trials": listed}).items())
        try:
            rows = rows_of(ids(Path(folder), text))
        except BadInput as error:
            assert "repeats" in str(error)  # noqa: PT017 - two spellings of one trial
            return
        for row in rows:
            again = ids(Path(folder), best.values(HEAD, [row], ["Best: it is."]))
            best.check(again, [row])
        best.check(ids(Path(folder), best.values(HEAD, rows, [])), rows)


def test_the_head_is_kept_and_only_own_hyperparameters_are_listed() -> None:
    text = best.values(HEAD, [row({"epochs": 3, "one": 1, "off": False, "name": "", "lr": 5e-05}, seed=2)], ["Why."])
    data = yamlfile.parse(text, "best.yaml").data
    assert {key: data[key] for key in HEAD if key != "retries"} == {key: HEAD[key] for key in HEAD if key != "retries"}
    assert "retries" not in data
    assert data["trials"] == [{"lr": 5e-05, "seed": 2}]
    assert "# Why.\n" in text
    assert "5.0e-05" in text


def test_what_a_trial_asks_for_itself_goes_with_it(tmp_path: Path) -> None:
    asked = {"limit_seconds": 60, "image": {"repository": "other", "tag": "2"}}
    rows = rows_of(ids(tmp_path, json.dumps(HEAD | {"trials": [{"lr": 1} | asked]})))
    best.check(ids(tmp_path, best.values(HEAD, rows, [], unseen={rows[0].id: asked})), rows)


def test_a_head_that_changed_since_is_refused(tmp_path: Path) -> None:
    rows = rows_of(ids(tmp_path, json.dumps(HEAD | {"trials": [{"lr": 1}]})))
    changed = HEAD | {"command": ["python", "other.py"]}
    with pytest.raises(BadInput, match=r"best\.yaml: renders to [0-9a-f]{12}, not to"):
        best.check(ids(tmp_path, best.values(changed, rows, [])), rows)


def chosen(rows: list[Row], **options: Any) -> list[int]:
    choice = stats.choose(rows, Objective("val_accuracy", "maximize"), "local")
    return [point.hyperparameters["lr"] for point in best.winners(choice, **options)]


def test_top_and_cost() -> None:
    rows = [row({"lr": n}, value=n / 10, train_s=n * 10.0) for n in range(1, 6)] + [
        row({"lr": 9}, value=0.8, train_s=None)
    ]
    assert chosen(rows) == [9]
    assert chosen(rows, top=3) == [9, 5, 4]
    assert chosen(rows, top=99, max_seconds=30) == [3, 2, 1]
    with pytest.raises(BadInput, match="--max-cost 5: the cheapest point trains for 10 s"):
        chosen(rows, max_seconds=5)
    with pytest.raises(TrialsFailed, match="no trial has a val_accuracy yet"):
        chosen([])
