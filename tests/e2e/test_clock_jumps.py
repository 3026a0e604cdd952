"""A whole sweep on the local engine while the wall clock is set, and after one was wrong.

The clock is that of the launcher and of the runners, real processes all, moved by what stands in a file. Nobody sets
the machine's own, so files keep their times, and CLOCK_MONOTONIC goes on: a machine that slept looks like that too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from sweep.records import booking, store
from tests.e2e.support import TestClone
from tests.waiting import until

HOUR = 3600
SHIFTED = """
import sys, time
wall = time.time
time.time = lambda: wall() + float(open({file!r}).read())
"""
RUNNER = """
import runpy, sys
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PYTHON = """#!/bin/sh
case "$3" in
    */trial.py) shift 2; exec {python} -I -S {runner} "$@" ;;
esac
exec {python} "$@"
"""


@pytest.fixture
def clock(tmp_path: Path, clone: TestClone, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says how many seconds all clocks are ahead."""
    folder = tmp_path / "clock"
    folder.mkdir()
    file, runner, python3 = (folder / name for name in ("shift", "runner.py", "python3"))
    file.write_text("0")
    (folder / "sitecustomize.py").write_text(SHIFTED.format(file=str(file)) + f"sys.executable = {str(python3)!r}\n")
    runner.write_text(SHIFTED.format(file=str(file)) + RUNNER)
    python3.write_text(PYTHON.format(python=sys.executable, runner=runner))
    python3.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    clone.edit({"x": 1}, limit_seconds=600, backoffLimit=0)
    clone.run("expand", "toy", "--code", "toy")
    return file


def attempts(clone: TestClone) -> list[Path]:
    """attempt.json of the one trial, oldest first."""
    return sorted(clone.root.glob("results/trials/*/*/attempts/*/attempt.json"))


def booked(clone: TestClone) -> list[float]:
    """Seconds of its attempts."""
    (trial,) = store.ids(clone.root / "results")
    stored = store.read(clone.root / "results", [trial]).trials[trial]
    return [entry.milliseconds / 1000 for entry in booking.book(stored)]


@pytest.mark.parametrize(("before", "after"), [(0, 8 * HOUR), (0, -8 * HOUR), (8 * HOUR, 0)])
def test_a_sweep_goes_on_from_where_it_was_when_the_clock_jumped(
    clone: TestClone, clock: Path, before: int, after: int
) -> None:
    clock.write_text(str(before))
    launcher = clone.start("drive", "toy")
    until(lambda: clone.events("start"), "the trial starts")
    (first,) = attempts(clone)
    clock.write_text(str(after))
    launcher.send_signal(signal.SIGTERM)
    launcher.communicate(timeout=60)
    record = json.loads(first.read_text())
    assert record["status"] == "preempted"
    assert record["started_at"][:13] != record["finished_at"][:13]  # another hour: the clock did jump
    clone.open_gate()
    clone.run("drive", "toy")
    (row,) = clone.rows().values()
    assert (row["status"], row["attempts"]) == ("succeeded", 2)
    assert 0 <= row["queued_s"] < 300
    assert all(0 < seconds < 300 for seconds in booked(clone))
    assert [path.parent.name[:8] for path in attempts(clone)] == ["a000001-", "a000002-"]


@pytest.mark.usefixtures("clock")
def test_retry_gives_back_what_a_wrong_clock_used_up(clone: TestClone) -> None:
    """As a runner left it that knew wall times alone: 8 hours for 5 seconds, and a Job that failed by that."""
    launcher = clone.start("submit", "toy")
    until(lambda: clone.events("start"), "the trial starts")
    launcher.send_signal(signal.SIGTERM)
    launcher.communicate(timeout=60)
    (first,) = attempts(clone)
    record = json.loads(first.read_text())
    del record["used_s"]
    times = {"started_at": "2026-01-02T03:04:05.000Z", "finished_at": "2026-01-02T11:04:10.000Z"}
    first.write_text(json.dumps(record | times))
    (job,) = (clone.root / "out/toy/jobs").glob("*.json")
    job.write_text(json.dumps(json.loads(job.read_text()) | {"condition": "Failed", "reason": "exit 66: limit"}))
    clone.open_gate()
    assert "1 failed before" in clone.run("drive", "toy", code=1)
    clone.run("retry", "toy")
    clone.run("drive", "toy")
    (row,) = clone.rows().values()
    assert (row["status"], row["attempts"]) == ("succeeded", 2)
