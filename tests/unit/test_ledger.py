"""The ledger over several stores and Git's history."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sweep.audit import ledger, storage
from sweep.layout import Clone
from sweep.records import results, store
from tests.unit.stores import put_attempt, put_result, row, trial
from tests.unit.test_tables import call, commit, write

A, B, C = (trial({"lr": lr}, gpus=2) for lr in (0.1, 0.2, 0.3))
NAME = "20260101T000000Z-first"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    root = tmp_path / "clone"
    (root / "values").mkdir(parents=True)
    call(root, "init", "--quiet")
    monkeypatch.setattr(storage, "sessions", lambda _: ())
    return Clone(root)


def hours(account: ledger.Account) -> dict[str, Any]:
    return account.data()["gpu_hours"]


def test_every_attempt_counts_once_under_its_own_sweep_commit_and_author(clone: Clone) -> None:
    ann = {"commit": "a" * 40, "author": "Ann <a@x>"}
    put_result(clone.store, A)
    put_attempt(clone.store, A, NAME, status="failed", sweep="s", provenance=ann)
    put_attempt(clone.store, A, sweep="t")
    put_attempt(clone.store, B, status="preempted", sweep="s", provenance=ann)
    mirror = clone.out / "s" / "store"
    put_attempt(mirror, A, sweep="t")
    put_attempt(mirror, C, sweep="s")
    put_result(mirror, C)
    put_attempt(mirror, C, "20260102T030405Z-lost", status="duplicate", sweep="s", provenance=ann)
    again = clone.store / "reproductions" / A.id / "1"
    put_result(again, A)
    put_attempt(again, A, sweep="s", provenance=ann)
    book = ledger.read(clone)
    total = book.total()
    minute = 2 * 60 / 3600
    assert hours(total) == pytest.approx(
        {"all": 6 * minute, "useful": 3 * minute, "failed": minute, "preempted": minute, "duplicate": minute}
    )
    assert (len(total.trials), total.attempts) == (4, 6)
    for name in ("sweep", "commit", "author", "status"):
        assert sum(hours(account)["all"] for account in book.by(name).values()) == pytest.approx(6 * minute)
    assert {name: account.attempts for name, account in book.by("author").items()} == {"Ann <a@x>": 4, "unknown": 2}
    assert {name: len(account.trials) for name, account in book.by("sweep").items()} == {"s": 4, "t": 1}
    assert set(book.by("status")) == {"succeeded", "pending", "reproduction"}


def test_hours_by_kind_of_gpu_are_those_of_the_attempt_that_a_row_tells_of(clone: Clone) -> None:
    put_result(clone.store, A)
    put_attempt(clone.store, A, "20260102T030000Z-before", status="preempted", sweep="s")
    put_attempt(clone.store, A, sweep="s")
    table = clone.root / "values" / "s" / "results.csv"
    table.parent.mkdir()
    table.write_bytes(results.to_csv([row({}, flavor="h100", id=A.id)]))
    spent = {name: account.milliseconds for name, account in ledger.read(clone).by("flavor").items()}
    assert {name: (of["useful"], of["preempted"]) for name, of in spent.items()} == {
        "h100": (60_000, 0),
        "unknown": (0, 60_000),
    }


def test_a_table_is_held_against_the_records_and_remembers_what_no_store_has(clone: Clone) -> None:
    put_result(clone.store, A)
    put_attempt(clone.store, A, sweep="s")
    put_result(clone.store, B)
    put_attempt(clone.store, B, sweep="s")
    write(clone.root, "s", row({"lr": 0.1}, gpu_seconds=120.0), row({"lr": 0.2}, gpu_seconds=60.0))
    commit(clone.root)
    spent = {"gpu_seconds": 300.0, "gpu_seconds_useful": 200.0, "gpu_seconds_failed": 100.0}
    lost = row({"lr": 0.9}, attempts=2, **spent)
    write(clone.root, "gone", lost)
    first = commit(clone.root)
    call(clone.root, "rm", "-r", "--quiet", "values/gone")
    commit(clone.root)
    book = ledger.read(clone)
    assert book.agree == 1
    (apart,) = book.differences
    assert (apart.sweep, apart.trial, apart.told, apart.recorded) == ("s", B.id, 60.0, 120.0)
    remembered = book.total(lambda entry: not entry.recorded)
    assert (remembered.trials, remembered.attempts) == ({lost.id}, 2)
    assert hours(remembered)["all"] == pytest.approx(300 / 3600)
    assert hours(book.by("sweep")["gone"])["failed"] == pytest.approx(100 / 3600)
    assert len(first) == 40


def test_a_file_that_cannot_be_read_is_named_with_its_store(clone: Clone) -> None:
    put_result(clone.store, A).write_text("{")
    put_attempt(clone.store, A)
    book = ledger.read(clone)
    assert len(book.problems) == 1
    assert book.problems[0].startswith(f"{clone.store}/trials/{A.id[:2]}/{A.id}/result.json: ")
    assert results.GPU_SECONDS[0] == "gpu_seconds"


def test_a_sweep_that_lists_a_trial_with_a_result_spent_nothing_on_it(clone: Clone) -> None:
    put_result(clone.store, A)
    put_attempt(clone.store, A, sweep="first")
    put_attempt(clone.store, B, sweep="a-later-one")
    for name in ("a-later-one", "first"):
        write(clone.root, name, row({"lr": 0.1}, gpu_seconds=120.0))
    book = ledger.read(clone)
    assert {name: account.trials for name, account in book.by("sweep").items()} == {
        "first": {A.id},
        "a-later-one": {B.id},
    }
    assert (book.agree, book.differences) == (2, [])


def test_a_trial_that_only_tables_remember_counts_once_for_the_sweep_that_committed_it_first(clone: Clone) -> None:
    """A mirror that was filled from last words has the result alone, and no sweep."""
    lost, without = row({"lr": 0.9}), row({"lr": 0.1}, gpu_seconds=120.0, gpu_seconds_useful=120.0)
    write(clone.root, "first", lost, without)
    commit(clone.root)
    write(clone.root, "a-later-one", lost, without)
    commit(clone.root)
    write(clone.root, "an-uncommitted-one", lost, without)
    put_result(clone.store, A)
    book = ledger.read(clone)
    assert {name: account.trials for name, account in book.by("sweep").items()} == {"first": {lost.id, A.id}}
    assert hours(book.total())["useful"] == pytest.approx((61 + 120) / 3600)


def test_of_two_looks_at_an_attempt_the_later_one_counts(clone: Clone) -> None:
    early = put_attempt(clone.store, A, NAME, status="running", finished_at=None) / "attempt.json"
    os.utime(early, (0, 0))
    put_attempt(clone.out / "s" / "store", A, NAME)
    assert hours(ledger.read(clone).total())["all"] == pytest.approx(120 / 3600)


def test_whether_an_attempt_of_a_mirror_runs_is_judged_by_when_it_was_brought(clone: Clone) -> None:
    mirror = clone.out / "s" / "store"
    alive = put_attempt(mirror, A, status="running", finished_at=None) / "attempt.json"
    os.utime(alive, (1e9, 1e9))
    assert set(ledger.read(clone).by("cause")) == {"failed"}
    (mirror / store.LOOKED).touch()
    os.utime(mirror / store.LOOKED, (1e9 + 5, 1e9 + 5))
    assert set(ledger.read(clone).by("cause")) == {"useful"}
    assert set(ledger.read(clone).by("status")) == {"running"}
