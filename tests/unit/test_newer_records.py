"""What a later version wrote: an absent field is unknown, an extra one is kept, and nothing is trained again."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from sweep.records import outputs, results, store
from sweep.render import Trial
from tests.unit.stores import trial
from tests.unit.trial_support import WRITE_METRICS, Bench, load, make_trial, valid_result

STORE = Path(__file__).with_name("newer_store")
"""A store as a version after this one might write it: schema_version 2, with fields gone and others new."""
RESULTS, FOLDERS = load("results"), load("folders")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return copytree(STORE, tmp_path / "store")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written() -> dict[str, Any]:
    (path,) = STORE.glob("trials/*/*/result.json")
    return dict(json.loads(path.read_text()))


def planned() -> Trial:
    record = written()
    return Trial(record["id"], record["id"], record["identity"], record["objective"], 600, 1, f"s-{record['id']}-0")


def test_a_newer_store_is_read_as_far_as_it_is_known(copied: Path) -> None:
    snapshot = store.read(copied, [planned()], copied.parent / "cache.json")
    assert snapshot.problems == []
    assert store.read(copied, [planned()], copied.parent / "cache.json").trials == snapshot.trials
    (row,) = results.merge([], [planned()], snapshot, {}, "local")
    assert (row.status, row.metrics, row.attempts) == ("succeeded", {"val_accuracy": 0.875}, 1)
    assert (row.setup_s, row.train_s, row.gpu) == (None, None, "")
    assert [line.get("val_accuracy") for line in outputs.history(copied, planned().id, written()["attempt"])] == [
        None,
        0.75,
        0.875,
    ]
    assert contents(copied) == contents(STORE)


def test_the_runner_leaves_a_newer_result_to_the_letter(copied: Path) -> None:
    record = written()
    folder = FOLDERS.Folder(str(copied), f"trials/{record['id'][:2]}/{record['id']}")
    assert RESULTS.standing_result(folder, {"id": record["id"], "identity": record["identity"]}) == record
    assert contents(copied) == contents(STORE)


@pytest.mark.parametrize("status", ["succeeded", "diverged", "parked"])
@pytest.mark.parametrize("gone", [(), ("durations",), ("durations", "environment", "objective", "started_at")])
def test_a_trial_with_a_newer_result_is_not_trained_again(bench: Bench, status: str, gone: tuple[str, ...]) -> None:
    planted = make_trial(WRITE_METRICS)
    record = {key: value for key, value in valid_result(planted).items() if key not in gone}
    record |= {"schema_version": 7, "status": status, "new": {"deep": [1]}}
    path = bench.put_result(planted)
    path.write_text(json.dumps(record))
    (attempt,) = bench.folder(planted).glob("attempts/*/attempt.json")
    attempt.write_text(json.dumps(json.loads(attempt.read_text()) | {"status": status}))
    ended = bench.run(planted)
    assert (ended.code, "done already" in ended.line) == (0, True)
    assert json.loads(path.read_text()) == record
    assert len(bench.attempts(planted)) == 1


def test_an_identity_that_does_not_agree_is_none_whatever_the_version(copied: Path) -> None:
    other = trial({"lr": 0.2})
    named = Trial(planned().id, planned().lineage, other.identity, other.objective, 600, 1, planned().job)
    (problem,) = store.read(copied, [named]).problems
    assert problem.what == "its identity is not that of the trial with this id"
