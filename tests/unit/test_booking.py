"""What each attempt's time is booked as, and that the causes of a trial add up to its total."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sweep import words
from sweep.audit import ledger, storage, tracing
from sweep.layout import Clone
from sweep.records import booking, results, store
from sweep.records.attempt import ALIVE_SECONDS, Attempt
from sweep.records.booking import CAUSES
from sweep.records.store import Stored
from sweep.render import Trial
from sweep.reports import report
from tests.unit.stores import folder as stored_in
from tests.unit.stores import put_attempt, put_result, result, trial
from tests.unit.test_tables import call

BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STATUSES = ("running", "succeeded", "diverged", "pruned", "failed", "preempted", "duplicate")


def attempt(name: str, status: str = "succeeded", seconds: float = 60, gpus: Any = 1, alive: bool = False) -> Attempt:
    record = {"status": status, "started_at": BEGIN.isoformat(), "gpus": gpus}
    end = BEGIN + timedelta(seconds=seconds)
    if status == "running":
        seen = end.timestamp() + (0 if alive else ALIVE_SECONDS)
        return Attempt(name, record | {"finished_at": None}, end.timestamp(), seen)
    return Attempt(name, record | {"finished_at": end.isoformat()})


@pytest.mark.parametrize(
    ("status", "name", "alive", "cause"),
    [
        ("succeeded", "me", False, "useful"),
        ("pruned", "me", False, "useful"),
        ("running", "me", False, "useful"),  # killed between the result and its own end
        ("succeeded", "", False, "useful"),  # the result was lost since
        ("succeeded", "other", False, "duplicate"),  # and made again, or no hard links
        ("duplicate", "other", False, "duplicate"),
        ("duplicate", "", False, "duplicate"),
        ("failed", "other", False, "failed"),
        ("failed", "", True, "failed"),
        ("preempted", "other", True, "preempted"),
        ("running", "", True, "useful"),
        ("running", "", False, "failed"),
        ("running", "other", True, "failed"),
    ],
)
def test_every_end_has_its_cause(status: str, name: str, alive: bool, cause: str) -> None:
    stored = Stored({"attempt": name} if name else None, (attempt("me", status, alive=alive),))
    assert [entry.cause for entry in booking.book(stored)] == [cause]


def test_an_attempt_that_nobody_can_read_is_a_failure_without_seconds() -> None:
    (entry,) = booking.book(Stored(None, (Attempt("a", {}),)))
    assert (entry.cause, entry.milliseconds, entry.gpu_milliseconds) == ("failed", 0, 0)


@pytest.mark.parametrize(
    ("attempts", "over", "causes"),
    [
        ([("running", True), ("running", True)], False, ["failed", "useful"]),
        ([("running", True), ("running", True)], True, ["failed", "failed"]),  # a Job that has ended has none under way
        ([("succeeded", False), ("running", True)], False, ["duplicate", "useful"]),  # lost, and made again just now
        ([("succeeded", False), ("running", True)], True, ["useful", "failed"]),
        ([("succeeded", False), ("succeeded", False)], False, ["duplicate", "useful"]),
    ],
)
def test_one_attempt_of_a_trial_is_useful_at_most(
    attempts: list[tuple[str, bool]], over: bool, causes: list[str]
) -> None:
    stored = Stored(None, tuple(attempt(str(n), status, alive=alive) for n, (status, alive) in enumerate(attempts)))
    assert [entry.cause for entry in booking.book(stored, over=over)] == causes


attempts = st.builds(
    attempt,
    st.sampled_from("abcdef"),
    st.sampled_from(STATUSES),
    st.floats(0, 1e6) | st.sampled_from([0.1, 0.2, 0.0005, 1 / 3]),
    st.integers(0, 64) | st.none(),
)


@given(st.lists(attempts, max_size=6), st.sampled_from(["", *"abcdef"]), st.booleans())
def test_the_causes_in_the_table_add_up_to_the_total_to_the_digit(
    drawn: list[Attempt], named: str, running: bool
) -> None:
    sample = trial(gpus=3)
    stored = Stored(result(sample, attempt=named) if named else None, tuple(drawn))
    state = type("Job", (), {"condition": "Running" if running else "Failed", "queued_s": None, "attempts": 0})
    state.node = state.image_id = state.reason = ""  # type: ignore[attr-defined]
    state.flavors = {}  # type: ignore[attr-defined]
    merged = results.merge([], [sample], store.Snapshot({sample.id: stored}, [], True), {sample.id: state}, "local")  # type: ignore[dict-item]
    header, cells = csv.reader(io.StringIO(results.to_csv(merged).decode()))
    row = dict(zip(header, cells, strict=True))
    total, *parts = (row[name] for name in results.GPU_SECONDS)
    if drawn or named:
        assert sum(map(Decimal, parts)) == Decimal(total)
    else:
        assert {total, *parts} == {""}


@pytest.mark.parametrize("commit", ["--output=/tmp/x", "-x", "HEAD", "main", "a" * 65, "abcd\n--x", "ABCD", "", "a:b"])
def test_a_commit_of_an_attempt_is_a_hash_or_unknown(commit: str) -> None:
    assert booking.provenance({"provenance": {"commit": commit}})["commit"] == "unknown"
    assert booking.provenance({"provenance": {"commit": "0123abcd" * 5}})["commit"] == "0123abcd" * 5


def test_what_an_attempt_says_of_its_submission_has_types_and_bounds() -> None:
    given = {"commit": 1, "author": "A\n\x1b[2J" + "x" * 999, "dirty": "no", "round": True, "more": 1}
    checked = booking.provenance({"provenance": given})
    assert checked.keys() == {"author", "dirty"}
    assert checked["author"].startswith(r"A\n\x1b[2Jxxx")
    assert len(checked["author"]) == booking.LONGEST_AUTHOR
    assert checked["dirty"] is False
    assert booking.provenance({"provenance": [1]}) == {}
    code = {"url": "u\n", "commit": "c", "path": "p" * 999}
    record = booking.provenance({"provenance": {"repository": "r\x1b", "chart": 5, "code": code}})
    assert record == {
        "dirty": False,
        "repository": r"r\x1b",
        "code": {"url": r"u\n", "commit": "c", "path": "p" * booking.LONGEST_AUTHOR},
    }
    assert "code" not in booking.provenance({"provenance": {"code": {"url": "u"}}})


# ---- every consumer, over whatever may have happened to a trial ----


@dataclass(frozen=True)
class History:
    """What happened to one trial."""

    attempts: list[tuple[str, int, int, bool]]
    """(status, milliseconds, GPUs, whether its last sign of life is of now, for one that runs)."""
    result_of: int | None
    """Which of its attempts made the result, if one stands; of a trial without attempts, any number."""
    job: str
    lost: bool
    """Whether the store lost all of it after it was collected."""


histories = st.builds(
    History,
    st.lists(st.tuples(st.sampled_from(STATUSES), st.integers(0, 10**7), st.integers(0, 8), st.booleans()), max_size=5),
    st.none() | st.integers(0, 4),
    st.sampled_from(["", "Pending", "Running", "Complete", "Failed"]),
    st.booleans(),
)


@dataclass(frozen=True)
class Job:
    condition: str
    reason: str = ""
    queued_s: float | None = None
    attempts: int = 0
    node: str = ""
    image_id: str = ""
    flavors: Mapping[str, str] = field(default_factory=dict)


def put(folder: Path, of: Trial, history: History) -> None:
    now, names = datetime.now(UTC), [f"20260102T03040{n}Z-pod" for n in range(5)]
    for name, (status, milliseconds, gpus, alive) in zip(names, history.attempts, strict=False):
        end = now if alive and status == "running" else BEGIN + timedelta(milliseconds=milliseconds)
        begin = end - timedelta(milliseconds=milliseconds)
        fields = {"status": status, "gpus": gpus, "sweep": "s", "started_at": begin.isoformat()}
        ended = None if status == "running" else end.isoformat()
        record = put_attempt(folder, of, name, **fields, finished_at=ended) / "attempt.json"
        os.utime(record, (end.timestamp(), end.timestamp()))
    if history.result_of is not None:
        put_result(folder, of, attempt=names[history.result_of % (len(history.attempts) or 1)])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([History([("running", 9000, 1, True)], None, "Failed", lost=False)])
@example(
    [History([("running", 9000, 1, False), ("succeeded", 5, 1, False), ("pruned", 7, 2, False)], 2, "", lost=False)]
)
@given(st.lists(histories, min_size=1, max_size=8))
def test_the_table_the_report_the_ledger_and_trace_book_every_attempt_alike(
    monkeypatch: pytest.MonkeyPatch, drawn: list[History]
) -> None:
    monkeypatch.setattr(storage, "sessions", lambda _: ())
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder))
        call(clone.root, "init", "--quiet")
        trials = [trial({"lr": n}, gpus=n) for n in range(len(drawn))]
        for sample, history in zip(trials, drawn, strict=True):
            put(clone.store, sample, history)
        states = {sample.id: Job(history.job) for sample, history in zip(trials, drawn, strict=True) if history.job}
        rows = results.merge([], trials, store.read(clone.store, trials), states, "local")
        results.write(clone.root / "values" / "s" / "results.csv", rows)
        rows = results.read(clone.root / "values" / "s" / "results.csv")
        for sample, history in zip(trials, drawn, strict=True):
            if history.lost:
                shutil.rmtree(stored_in(clone.store, sample), ignore_errors=True)
        snapshot, recorded = store.read(clone.store, trials), ledger.read(clone)
        total = recorded.total()
        assert not recorded.differences
        assert total.gpu_milliseconds == {
            name: sum(ms(getattr(row, f"gpu_seconds_{name}")) for row in rows) for name in CAUSES
        }
        assert sum(total.gpu_milliseconds.values()) == sum(ms(row.gpu_seconds) for row in rows)
        spent = report.spent(rows, snapshot)
        assert ms(spent.gpu_seconds) == sum(total.gpu_milliseconds.values())
        assert ms(spent.trial_seconds) == sum(total.milliseconds.values())
        for shown in report.hours_by_cause(rows, snapshot):
            booked = [entry for entry in recorded.entries if entry.cause == shown["cause"]]
            assert shown["attempts"] == sum(entry.attempts for entry in booked)
            assert shown["hours"] == words.hours(sum(entry.milliseconds for entry in booked) / 1000)
            assert shown["gpu_hours"] == words.hours(sum(entry.gpu_milliseconds for entry in booked) / 1000)
        for sample in trials:
            booked = [entry for entry in recorded.entries if entry.trial == sample.id and entry.recorded]
            if booked:
                traced = tracing.of(clone, sample.id).attempts
                assert [(line["cause"], ms(line["seconds"])) for line in traced] == [
                    (entry.cause, entry.milliseconds) for entry in booked
                ]
            assert sum(entry.cause == "useful" for entry in booked) <= 1


def ms(seconds: float | None) -> int:
    return round(1000 * (seconds or 0))
