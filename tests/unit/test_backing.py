"""A result is believed where an attempt of its own trial backs it: by one rule, for who reads it and for the runner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweep.records import store
from tests.unit.stores import folder, put_attempt, put_result, result, trial
from tests.unit.trial_support import load

RESULTS, FOLDERS = load("results"), load("folders")
ONE = trial()
NAME = "20260102T030405Z-pod"

Record = dict[str, Any] | str | None
"""What its attempt says beside the usual; the text of its attempt.json; None: there is no such attempt."""

BELIEVED: dict[str, tuple[Record, dict[str, Any]]] = {
    "ended with it": ({"status": "succeeded"}, {}),
    "diverged": ({"status": "diverged"}, {"status": "diverged"}),
    "pruned": ({"status": "pruned"}, {"status": "pruned"}),
    "killed between the result and its end": ({"status": "running", "finished_at": None}, {}),
    "without a status": ({"status": None}, {}),
    "the store failed between the result and its end": ({"status": "failed", "exit_code": None, "reason": "EIO"}, {}),
    "kept its metrics for an objective that is mended": ({"status": "failed", "exit_code": 0, "kept": {}}, {}),
    "did not know its own result": ({"status": "duplicate", "reason": f"attempt {NAME} was first"}, {}),
    "fields of a later version": ({"status": "succeeded", "new": 1}, {}),
}
NOT_BELIEVED: dict[str, tuple[Record, dict[str, Any]]] = {
    "no such attempt": (None, {}),
    "an attempt without a record": ("", {}),
    "a record cut short": ('{"id": "', {}),
    "a record that is none": ("[]", {}),
    "of another trial": ({"id": "feedfeedfeed"}, {}),
    "of no trial": ({"id": None}, {}),
    "the command failed": ({"status": "failed", "exit_code": 1}, {}),
    "preempted": ({"status": "preempted", "exit_code": 143}, {}),
    "ended otherwise": ({"status": "diverged"}, {}),
    "a status that is none": ({"status": ["succeeded"]}, {}),
    "a name that is a path": ({}, {"attempt": f"../attempts/{NAME}"}),
    "a name that leads to another trial": ({}, {"attempt": "../../../be/beefbeefbeef/attempts/x"}),
    "no name": ({}, {"attempt": ""}),
    "the folder of attempts": ({}, {"attempt": "."}),
    "a NUL": ({}, {"attempt": f"{NAME}\0"}),
    "a name too long for any file": ({}, {"attempt": "a" * 5000}),
}


def put(where: Path, record: Record, changes: dict[str, Any]) -> None:
    put_result(where, ONE)
    (folder(where, ONE) / "result.json").write_text(json.dumps(result(ONE, **changes)))
    attempt = put_attempt(where, ONE, NAME, **(record if isinstance(record, dict) else {}))
    if record is None:
        for path in sorted(attempt.iterdir()):
            path.unlink()
        attempt.rmdir()
    elif isinstance(record, str):
        (attempt / "attempt.json").write_text(record)


def by_the_runner(where: Path) -> dict[str, Any] | None:
    of = {"id": ONE.id, "identity": ONE.identity}
    standing: dict[str, Any] | None = RESULTS.standing_result(
        FOLDERS.Folder(str(where), f"trials/{ONE.id[:2]}/{ONE.id}"), of
    )
    return standing


@pytest.mark.parametrize("case", BELIEVED)
def test_whatever_an_attempt_can_have_come_to_its_result_is_believed(tmp_path: Path, case: str) -> None:
    put(tmp_path, *BELIEVED[case])
    snapshot = store.read(tmp_path, [ONE])
    assert snapshot.problems == []
    kept = snapshot.trials[ONE.id].result
    assert kept is not None
    assert by_the_runner(tmp_path) == kept | {"identity": ONE.identity}
    assert store.read(tmp_path, [ONE.id]).trials[ONE.id].result == kept


@pytest.mark.parametrize("case", NOT_BELIEVED)
def test_a_result_that_no_attempt_backs_is_named_and_set_aside(
    tmp_path: Path, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, *NOT_BELIEVED[case])
    snapshot = store.read(tmp_path, [ONE])
    assert snapshot.trials[ONE.id].result is None
    (problem,) = (problem for problem in snapshot.problems if problem.path.endswith("/result.json"))
    assert problem.what.startswith("no attempt of this trial backs it: ")
    assert len(problem.what) < 300
    text = (folder(tmp_path, ONE) / "result.json").read_text()
    assert by_the_runner(tmp_path) is None
    (aside,) = folder(tmp_path, ONE).glob("result.json.invalid-*")
    assert aside.read_text() == text
    assert "its attempt" in capfd.readouterr().err


def test_what_was_read_before_is_judged_anew(tmp_path: Path) -> None:
    """The attempt may go, or change, while the result stays the same file."""
    put(tmp_path, {}, {})
    cache = tmp_path / "cache.json"
    assert store.read(tmp_path, [ONE], cache).trials[ONE.id].result
    put_attempt(tmp_path, ONE, NAME, status="failed", exit_code=1)
    assert store.read(tmp_path, [ONE], cache).trials[ONE.id].result is None
