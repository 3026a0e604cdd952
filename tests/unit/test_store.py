"""Reading a result store: validity, files set aside, what is read again, speed."""

from __future__ import annotations

import errno
import json
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sweep.errors import SweepError
from sweep.files import Tree
from sweep.layout import Kit
from sweep.records import outputs, store
from sweep.records.attempt import seconds_between
from tests.unit.stores import START, folder, put_attempt, put_result, result, trial


def test_a_valid_result_is_read_with_its_attempts(tmp_path: Path) -> None:
    sample = trial()
    put_result(tmp_path, sample)
    put_attempt(tmp_path, sample, "20260101T000000Z-first", status="failed")
    put_attempt(tmp_path, sample)
    snapshot = store.read(tmp_path, [sample])
    kept = snapshot.trials[sample.id]
    assert kept.result is not None
    assert kept.result["metrics"] == {"val_accuracy": 0.9}
    assert [(attempt.name, attempt.status, attempt.seconds) for attempt in kept.attempts] == [
        ("20260101T000000Z-first", "failed", 60.0),
        ("20260102T030405Z-pod", "succeeded", 60.0),
    ]
    assert snapshot.problems == []
    assert snapshot.found


def test_a_killed_attempt_counts_up_to_its_last_sign_of_life(tmp_path: Path) -> None:
    sample = trial(gpus=2)
    path = put_attempt(tmp_path, sample, status="running", finished_at=None) / "attempt.json"
    alive = datetime.fromisoformat(START).timestamp() + 12.5
    os.utime(path, (alive, alive))
    for cache in (None, tmp_path / "cache.json", tmp_path / "cache.json"):
        attempt = store.read(tmp_path, [sample], cache).trials[sample.id].attempts[0]
        assert (attempt.status, attempt.seconds, attempt.gpu_seconds) == ("running", 12.5, 25.0)


def test_a_trial_without_anything_in_the_store_is_empty_and_no_problem(tmp_path: Path) -> None:
    sample = trial()
    snapshot = store.read(tmp_path / "not-mounted", [sample])
    assert snapshot.trials == {sample.id: store.Stored()}
    assert snapshot.problems == []
    assert not snapshot.found


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"schema_version": 0}, "schema_version '0', expected a number from 1"),
    "boolean version": ({"schema_version": True}, "schema_version 'True', expected a number from 1"),
    "status of a newer version": (
        {"schema_version": 2, "status": "parked"},
        "status 'parked' is none of succeeded, diverged, pruned; it is of schema_version 2: upgrade helm-sweep",
    ),
    "durations of a newer version": ({"schema_version": 2, "durations": {"x": "1"}}, "durations"),
    "id": ({"id": "0123456789ab"}, "another trial"),
    "status": ({"status": "failed"}, "status 'failed'"),
    "identity": ({"identity": trial({"lr": 0.2}).identity}, "identity"),
    "boolean for a number": ({"identity": trial({"lr": True}).identity}, "identity"),
    "metrics": ({"metrics": {"val_accuracy": "0.9"}}, "metrics"),
    "boolean metric": ({"metrics": {"val_accuracy": True}}, "metrics"),
    "metric beyond a float": ({"metrics": {"val_accuracy": 10**400}}, "metrics"),
    "no metrics": ({"metrics": None}, "metrics"),
    "durations": ({"durations": []}, "durations"),
    "environment": ({"environment": "local"}, "environment"),
    "attempt": ({"attempt": None}, "attempt"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_result_that_does_not_agree_is_set_aside_with_path_and_reason(tmp_path: Path, kind: str) -> None:
    sample = trial({"lr": 1})
    changes, reason = WRONG[kind]
    path = put_result(tmp_path, sample, **changes)
    snapshot = store.read(tmp_path, [sample])
    assert snapshot.trials[sample.id].result is None
    assert [problem.path for problem in snapshot.problems] == [str(path.relative_to(tmp_path))]
    assert reason in snapshot.problems[0].what


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 4096,
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": NaN}',
        b'{"a": 1' * 5,
        b"1" * 9_999,
    ],
    ids=lambda data: repr(data[:8]),
)
@pytest.mark.parametrize("name", ["result.json", "attempts/x/attempt.json"])
def test_no_content_is_fatal(tmp_path: Path, data: bytes, name: str) -> None:
    first, good = trial(), trial({"lr": 0.2})
    put_result(tmp_path, good)
    path = folder(tmp_path, first) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    snapshot = store.read(tmp_path, [first, good])
    assert [problem.path for problem in snapshot.problems] == [str(path.relative_to(tmp_path))]
    assert snapshot.trials[first.id].result is None
    assert snapshot.trials[good.id].result is not None


def test_odd_files_are_set_aside_too(tmp_path: Path) -> None:
    first, second, third = trial(), trial({"lr": 0.2}), trial({"lr": 0.3})
    (folder(tmp_path, first) / "result.json").mkdir(parents=True)
    with put_result(tmp_path, second).open("a") as large:
        large.write(" " * store.LARGEST_BYTES)
    folder(tmp_path, third).parent.mkdir(parents=True, exist_ok=True)
    folder(tmp_path, third).write_text("a file where a folder is due")
    snapshot = store.read(tmp_path, [first, second, third])
    assert {problem.path.split("/")[2] for problem in snapshot.problems} == {first.id, second.id}
    assert snapshot.trials[third.id] == store.Stored()


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.ETIMEDOUT])
@pytest.mark.parametrize("name", ["attempts", "result.json", "attempt.json", "output.log", "history.jsonl"])
def test_what_the_machine_refuses_to_read_is_not_as_if_there_were_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    """Else a table would be committed without a result that is there, and another trial picked."""
    sample = trial()
    put_result(tmp_path, sample, attempt="a")
    put_attempt(tmp_path, sample, "a", log="line", history='{"epoch": 1}')
    open_path = os.open

    def refused(path: Any, *words: Any, **more: Any) -> int:
        if str(path).endswith(name):
            raise OSError(code, os.strerror(code))
        return open_path(path, *words, **more)

    def look() -> None:
        store.read(tmp_path, [sample])
        store.newest_attempt(tmp_path, sample.id)
        outputs.log_tail(tmp_path, sample.id, "a")
        outputs.history(tmp_path, sample.id, "a")

    look()
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(OSError, match=os.strerror(code)) as refusal:
        look()
    assert str(refusal.value.filename).startswith(str(folder(tmp_path, sample)))


def test_a_second_look_opens_only_what_changed(tmp_path: Path) -> None:
    trials = [trial({"lr": lr}) for lr in range(5)]
    cache = tmp_path / "out" / "cache.json"
    for sample in trials:
        put_result(tmp_path, sample)
        put_attempt(tmp_path, sample)
    first = store.read(tmp_path, trials, cache)
    assert first.read == 10
    again = store.read(tmp_path, trials, cache)
    assert (again.read, again.trials, again.problems) == (0, first.trials, [])
    time.sleep(0.01)
    put_result(tmp_path, trials[2], status="diverged")
    put_attempt(tmp_path, trials[2], status="diverged")
    third = store.read(tmp_path, trials, cache)
    assert third.read == 2
    changed = third.trials[trials[2].id].result
    assert changed is not None
    assert changed["status"] == "diverged"


def test_a_corrupt_file_is_reported_every_time(tmp_path: Path) -> None:
    sample = trial()
    put_result(tmp_path, sample).write_text("{")
    cache = tmp_path / "cache.json"
    assert store.read(tmp_path, [sample], cache).problems == store.read(tmp_path, [sample], cache).problems != []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"key": [0, "x"], "files": {}}', '{"key": 1}'])
def test_a_broken_cache_is_no_cache(tmp_path: Path, content: str) -> None:
    sample = trial()
    put_result(tmp_path, sample)
    cache = tmp_path / "cache.json"
    cache.write_text(content)
    assert store.read(tmp_path, [sample], cache).read == 2
    assert store.read(tmp_path, [sample], cache).read == 0


@pytest.mark.parametrize("key", [[store.CACHE_VERSION, "/another/store"], [store.CACHE_VERSION - 1, None]])
def test_the_cache_of_another_store_or_version_is_not_used(tmp_path: Path, key: list[Any]) -> None:
    sample, cache = trial(), tmp_path / "cache.json"
    put_result(tmp_path, sample)
    store.read(tmp_path, [sample], cache)
    other = json.loads(cache.read_text()) | {"key": [key[0], key[1] or str(tmp_path)]}
    cache.write_text(json.dumps(other))
    assert store.read(tmp_path, [sample], cache).read == 2


def test_a_stale_handle_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    failures = [errno.ESTALE, errno.ESTALE]
    real = os.open

    def flaky(*words: Any, **named: Any) -> int:
        if failures:
            code = failures.pop()
            raise OSError(code, os.strerror(code))
        return real(*words, **named)

    monkeypatch.setattr(os, "open", flaky)
    with Tree(tmp_path) as tree:
        assert tree.read("f", 9) == b"x"
        failures += [errno.EIO]
        with pytest.raises(OSError, match="Input/output"):
            tree.read("f", 9)
        failures += [errno.ESTALE] * 99
        with pytest.raises(OSError, match=r"[Ss]tale"):
            tree.read("f", 9)
    failures.clear()


def test_history_skips_the_line_that_is_still_being_written(tmp_path: Path) -> None:
    sample = trial()
    put_attempt(tmp_path, sample, "a", history='{"epoch": 1, "loss": NaN}\n[]\n{"epoch": 2, "lo')
    rows = outputs.history(tmp_path, sample.id, "a")
    assert [entry["epoch"] for entry in rows] == [1]
    assert outputs.history(tmp_path, sample.id, "none") == []


def test_log_tail_is_the_end_of_a_long_log(tmp_path: Path) -> None:
    sample = trial()
    put_attempt(tmp_path, sample, "a", log="".join(f"line {n} \xff\n" for n in range(100_000)))
    assert outputs.log_tail(tmp_path, sample.id, "a", 2) == ["line 99998 \xff", "line 99999 \xff"]
    assert outputs.log_tail(tmp_path, sample.id, "b") == []


def test_the_newest_attempt_is_the_one_that_started_last(tmp_path: Path) -> None:
    sample = trial()
    assert store.newest_attempt(tmp_path, sample.id) is None
    for name in ("20260102T000000Z-a", "20260103T000000Z-a", "20260101T000000Z-z"):
        put_attempt(tmp_path, sample, name)
    assert store.newest_attempt(tmp_path, sample.id) == "20260103T000000Z-a"


@pytest.mark.parametrize(
    ("start", "end"), [(None, "2026-01-01T00:00:00Z"), ("x", "y"), (1, 2), ("2026-01-01", "2026-01-01T00:00:00Z")]
)
def test_times_that_make_no_sense_are_no_time(start: Any, end: Any) -> None:
    assert seconds_between(start, end) == 0


def test_ten_thousand_results_are_all_read(tmp_path: Path) -> None:
    trials = [trial({"lr": n / 7, "momentum": 0.9, "batch_size": 512}) for n in range(10_000)]
    for sample in trials:
        put_result(tmp_path, sample)
        put_attempt(tmp_path, sample)
    snapshot = store.read(tmp_path, trials, tmp_path / "cache.json")
    assert sum(kept.result is not None for kept in snapshot.trials.values()) == 10_000


def test_errors_of_a_store_never_leave_as_exceptions(tmp_path: Path) -> None:
    sample = trial()
    (tmp_path / "trials").write_text("not a folder")
    try:
        snapshot = store.read(tmp_path, [sample])
    except SweepError:
        pytest.fail("nothing here is fatal")
    assert not snapshot.found


SCHEMA = jsonschema.validators.validator_for({})(json.loads((Kit.here().schemas / "result.schema.json").read_text()))


def test_a_valid_result_is_valid_by_the_schema_too() -> None:
    assert store.flaw(result(trial()), trial()) == ""
    SCHEMA.validate(result(trial()))
    nothing_known = result(trial(), metrics={"val_accuracy": None}, durations={})
    assert store.flaw(nothing_known, trial()) == ""
    SCHEMA.validate(nothing_known)


@pytest.mark.parametrize(
    "kind", sorted(WRONG.keys() - {"id", "identity", "boolean for a number", "metric beyond a float"})
)
def test_what_is_refused_here_is_refused_by_the_schema(kind: str) -> None:
    sample = trial({"lr": 1})
    assert store.flaw(result(sample, **WRONG[kind][0]), sample)
    assert not SCHEMA.is_valid(result(sample, **WRONG[kind][0]))
