"""What each attempt's time is booked as, and that the causes of a trial add up to its total."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.records import booking, results, store
from sweep.records.store import Attempt, Stored
from tests.unit.stores import result, trial

BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STATUSES = ("running", "succeeded", "diverged", "pruned", "failed", "preempted", "duplicate")


def attempt(name: str, status: str = "succeeded", seconds: float = 60, gpus: Any = 1) -> Attempt:
    told = {"status": status, "started_at": BEGIN.isoformat(), "gpus": gpus}
    end = BEGIN + timedelta(seconds=seconds)
    if status == "running":
        return Attempt(name, told | {"finished_at": None}, end.timestamp())
    return Attempt(name, told | {"finished_at": end.isoformat()})


@pytest.mark.parametrize(
    ("status", "made", "alive", "cause"),
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
        ("running", "other", False, "failed"),
    ],
)
def test_every_end_has_its_cause(status: str, made: str, alive: bool, cause: str) -> None:
    assert booking.cause(attempt("me", status), made, alive) == cause


def test_an_attempt_that_nobody_can_read_is_a_failure_without_seconds() -> None:
    spent = booking.milliseconds(Stored(None, (Attempt("a", {}),)), True, lambda one: one.gpu_seconds)
    assert spent == dict.fromkeys(booking.CAUSES, 0)


def test_only_the_newest_attempt_of_a_running_job_may_be_under_way() -> None:
    stored = Stored(None, (attempt("a", "running"), attempt("b", "running")))
    assert [booked for _, booked in booking.causes(stored, True)] == ["failed", "useful"]


attempts = st.builds(
    attempt,
    st.sampled_from("abcdef"),
    st.sampled_from(STATUSES),
    st.floats(0, 1e6) | st.sampled_from([0.1, 0.2, 0.0005, 1 / 3]),
    st.integers(0, 64) | st.none(),
)


@given(st.lists(attempts, max_size=6), st.sampled_from(["", *"abcdef"]), st.booleans())
def test_the_causes_in_the_table_add_up_to_the_total_to_the_digit(
    made: list[Attempt], named: str, running: bool
) -> None:
    one = trial(gpus=3)
    found = Stored(result(one, attempt=named) if named else None, tuple(made))
    state = type("Job", (), {"condition": "Running" if running else "Failed", "queued_s": None, "attempts": 0})
    state.node = state.image_id = state.reason = ""  # type: ignore[attr-defined]
    merged = results.merge([], [one], store.Snapshot({one.id: found}, [], True), {one.id: state}, "local")  # type: ignore[dict-item]
    header, cells = csv.reader(io.StringIO(results.to_csv(merged).decode()))
    row = dict(zip(header, cells, strict=True))
    total, *parts = (row[name] for name in results.GPU_SECONDS)
    if made or named:
        assert sum(map(Decimal, parts)) == Decimal(total)
    else:
        assert {total, *parts} == {""}
