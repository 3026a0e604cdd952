"""What a clock that is set, or a machine that sleeps, does to limits and books: nothing.

The runner here is the real one in a process of its own, but for its wall clock, which is off by what stands in a file,
so that it can be set while a command runs. To a runner a machine that sleeps is the same thing: while CLOCK_MONOTONIC
stands still, the wall clock jumps. Times of files are the kernel's, which nobody here can set.
"""

from __future__ import annotations

import ast
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep import chartfiles
from sweep.files import Tree
from sweep.records import booking, store
from sweep.records.attempt import Attempt
from tests.unit.trial_support import REPOSITORY, WRITE_METRICS, Bench, Fifo, Running, make_trial, wait_until

HOUR = 3600
READER = chartfiles.module(REPOSITORY / "chart" / "files" / "reader.py")
SHIFTED = """
wall = time.time
time.time = lambda: wall() + float(open("shift").read())
attempts.HEARTBEAT_SECONDS = 0.01
"""
JUMPS = {
    "ahead": (0, 8 * HOUR),
    "back": (0, -8 * HOUR),
    "from 1973 to now": (-53 * 365 * 24 * HOUR, 0),
    "far ahead, and set right": (30 * 365 * 24 * HOUR, 0),
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    (tmp_path / "shift").write_text("0")
    yield bench
    bench.close()


def wall(bench: Bench, seconds: float) -> None:
    """Set the wall clock of all runners so far ahead."""
    with (bench.root / "shift.new").open("w") as new:
        new.write(str(seconds))
    (bench.root / "shift.new").rename(bench.root / "shift")


def booked(bench: Bench, trial: dict[str, Any]) -> list[float]:
    """Seconds of each attempt, oldest first, as results.csv, the report, the ledger and trace have them."""
    stored = store.read(bench.results, [trial["id"]]).trials[trial["id"]]
    return [entry.milliseconds / 1000 for entry in booking.book(stored)]


def kill(running: Running) -> None:
    running.child.kill()


def terminate(running: Running) -> None:
    running.child.terminate()


def interrupt(running: Running) -> None:
    running.child.send_signal(signal.SIGINT)


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("end", [kill, terminate, interrupt])
def test_a_jump_of_the_clock_uses_up_no_limit(
    bench: Bench, fifo: Callable[[str], Fifo], jump: str, end: Callable[[Running], None]
) -> None:
    up, hang = fifo("up"), fifo("hang")
    trial = make_trial(f"[ -e done ] && {WRITE_METRICS} || {{ echo up > {up}; exec cat {hang}; }}", limit_seconds=600)
    before, after = JUMPS[jump]
    wall(bench, before)
    running = bench.start(trial, patch=SHIFTED)
    up.line()
    wall(bench, after)
    beaten = bench.attempt(trial)["used_s"]
    wait_until(lambda: bench.attempt(trial)["used_s"] > beaten, "no heartbeat after the jump")
    end(running)
    running.end()
    (seconds,) = booked(bench, trial)
    assert 0 < seconds < 60
    (bench.root / "done").touch()
    assert bench.run(trial, patch=SHIFTED).code == 0


@pytest.mark.parametrize("jump", JUMPS)
def test_a_trial_that_finishes_across_a_jump_is_booked_with_what_it_took(
    bench: Bench, fifo: Callable[[str], Fifo], jump: str
) -> None:
    up, go = fifo("up"), fifo("go")
    trial = make_trial(f"echo up > {up}; read go < {go}; {WRITE_METRICS}", limit_seconds=600)
    before, after = JUMPS[jump]
    wall(bench, before)
    running = bench.start(trial, patch=SHIFTED)
    up.line()
    wall(bench, after)
    go.say("")
    assert running.end().code == 0
    attempt, result = bench.attempt(trial), bench.result(trial)
    assert 0 < result["used_s"] <= attempt["used_s"] < 60
    assert booked(bench, trial) == [attempt["used_s"]]
    stored = store.Stored(result)
    assert [entry.milliseconds / 1000 for entry in booking.book(stored)] == [result["used_s"]]


def test_the_limit_is_enforced_whatever_the_clock_says(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    """Also one that is set back again and again."""
    trial = make_trial(f"echo $$ > /dev/null; exec cat {fifo('hang')}", limit_seconds=0.5)
    back = "import itertools\nback = itertools.count()\ntime.time = lambda: wall() - 3600 * next(back)\n"
    assert bench.run(trial, patch=SHIFTED + back).code == 66
    assert bench.attempt(trial)["reason"] == "limit"
    assert 0.5 <= bench.attempt(trial)["used_s"] < 30


# ---- records of runners that knew wall times alone ----

STARTED = "2026-01-02T03:04:05.000Z"
OLD = {"limit_seconds": 600, "started_at": STARTED, "status": "preempted", "finished_at": "2026-01-02T11:04:05.000Z"}


@pytest.mark.parametrize(
    ("record", "counted"),
    [
        ({}, 0),
        ({"status": "running", "finished_at": None}, 0),
        ({"status": "failed", "reason": "exit 1: x"}, 0),
        ({"started_at": "1973-01-02T03:04:05.000Z"}, 0),
        ({"finished_at": "2026-01-02T03:14:40.000Z"}, 635),  # the grace period
        ({"finished_at": "2026-01-02T03:09:05.000Z"}, 300),
        ({"status": "failed", "reason": "limit"}, 8 * HOUR),
        ({"limit_seconds": 8 * HOUR}, 8 * HOUR),  # as it may well have been
        ({"limit_seconds": None}, 8 * HOUR),
        ({"used_s": 5}, 5),
        ({"used_s": 5, "finished_at": STARTED}, 5),
        ({"used_s": -5}, 0),
        ({"used_s": "5"}, 0),
    ],
)
def test_no_attempt_counts_more_than_its_limit_lets_it_run(bench: Bench, record: dict[str, Any], counted: int) -> None:
    trial = make_trial(WRITE_METRICS, limit_seconds=5)
    bench.put_attempt(trial, "20260102T030405Z-a", alive_at=1767323045 + 8 * HOUR, **(OLD | record))
    ended = bench.run(trial, grace=30)
    assert ended.code == (66 if counted else 0)
    assert f"limit: earlier attempts (1) used {counted} s" in ended.line or not counted


def test_what_no_attempt_can_have_run_is_not_booked(tmp_path: Path) -> None:
    """And no number that a trial writes ends a verb of ours."""
    bench = Bench(tmp_path)
    trial = make_trial("true")
    old = {"id": trial["id"], "status": "preempted", "started_at": STARTED, "finished_at": "2026-01-02T03:05:05.000Z"}
    for number, used in enumerate([1e300, 10**400, -1, True, "9", None, [], 7.5]):
        bench.put_attempt(trial, f"2026010{number}T030405Z-a", alive_at=0, **old, gpus=10**400, used_s=used)
    assert booked(bench, trial) == [60.0] * 7 + [7.5]
    stored = store.read(bench.results, [trial["id"]]).trials[trial["id"]]
    assert {entry.gpu_milliseconds for entry in booking.book(stored)} == {0}


def test_a_file_from_the_end_of_time_has_no_seconds() -> None:
    attempt = Attempt("a", {"status": "running", "started_at": STARTED, "finished_at": None}, 1e18, 1e18)
    assert attempt.seconds == 0.0


# ---- which attempt is the newest ----


def test_attempts_stand_in_the_order_in_which_they_began(bench: Bench) -> None:
    """By whatever clocks, on whatever machines, and after those of runners that wrote no number."""
    trial = make_trial("exit 1")
    bench.put_attempt(trial, "29990102T030405Z-old", alive_at=0, status="failed")
    began = ["29990102T030405Z-old"]
    for shift in (0, 8 * HOUR, -8 * HOUR, -53 * 365 * 24 * HOUR, 0):
        wall(bench, shift)
        bench.run(trial, patch=SHIFTED, env={"POD_NAME": f"pod{-shift}"})
        (new,) = {path.name for path in (bench.folder(trial) / "attempts").iterdir()} - set(began)
        began.append(new)
    assert [name[:8] for name in began[1:]] == [f"a00000{n}-" for n in range(1, 6)]
    assert store.attempt_names(Tree(bench.results), trial["id"]) == began
    assert store.newest_attempt(bench.results, trial["id"]) == began[-1]
    stored = store.read(bench.results, [trial["id"]]).trials[trial["id"]]
    assert [attempt.name for attempt in stored.attempts] == began
    record = READER.record(str(bench.results), trial["id"])
    files = record["files"]
    assert record["attempts"] == began
    assert [name for name in files if name.endswith("/output.log")] == [f"attempts/{began[-1]}/output.log"]


def test_what_came_before_a_lost_result_counts_nothing_though_its_clock_was_ahead(bench: Bench) -> None:
    trial = make_trial(f"[ -e done ] && {WRITE_METRICS}", limit_seconds=60)
    patch = SHIFTED + "used = trial.Attempt.used_s\ntrial.Attempt.used_s = lambda self: 50 + used(self)\n"
    wall(bench, 8 * HOUR)
    assert bench.run(trial, patch=patch).code == 1
    wall(bench, 0)
    (bench.root / "done").touch()
    assert bench.run(trial).code == 0
    (bench.folder(trial) / "result.json").unlink()
    (bench.root / "done").unlink()
    assert bench.run(trial, patch=patch).code == 1
    assert "limit" not in bench.attempts(trial)[-1]["reason"]
    assert bench.run(trial, patch=patch).code == 1
    assert "limit: earlier attempts (2) used 10" in bench.run(trial).line


# ---- who lives, by the clock of the store, whatever this machine's says ----


@pytest.mark.parametrize("shift", [0, 8 * HOUR, -8 * HOUR])
@pytest.mark.parametrize(("silent", "stays"), [(5, True), (HOUR, False)])
def test_the_runner_knows_a_living_attempt_by_the_clock_of_the_store(
    bench: Bench, shift: int, silent: int, stays: bool
) -> None:
    trial = make_trial(WRITE_METRICS)
    bench.put_attempt(trial, "20260102T030405Z-b", alive_at=time.time() - silent, used_s=1)
    wall(bench, shift)
    assert bench.run(trial, patch=SHIFTED).code == 0
    assert bench.checkpoints(trial).exists() == stays
    assert not [name for name in bench.names() if ".now" in name]


@pytest.mark.parametrize("shift", [0, 8 * HOUR, -8 * HOUR])
@pytest.mark.parametrize("silent", [5, HOUR])
def test_a_reader_of_the_store_knows_it_by_that_clock_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, shift: int, silent: int
) -> None:
    trial, real = make_trial("true"), time.time
    bench.put_attempt(trial, "20260102T030405Z-b", alive_at=real() - silent)
    monkeypatch.setattr(store.time, "time", lambda: real() + shift)
    before = bench.names()
    (attempt,) = store.read(bench.results, [trial["id"]]).trials[trial["id"]].attempts
    assert attempt.alive == (silent == 5)
    assert bench.names() == before


def test_a_store_that_cannot_be_written_is_read_by_our_own_clock(tmp_path: Path) -> None:
    assert abs(store.now(tmp_path / "none") - time.time()) < 60


# ---- every look at a clock that can be set ----

ALLOWED = {
    "chart/files/outputs.py newest_checkpoint st_mtime": "which of several was written last, by the clock that gave it",
    "chart/files/reader.py main time.time": "told to the one who asks: when the store was looked at",
    "chart/files/reader.py sign st_mtime_ns": "equal or not",
    "chart/files/reader.py read st_mtime_ns": "carried to the mirror",
    "chart/files/written.py __init__ st_mtime_ns": "equal or not; which was written last, by the clock that gave it",
    "chart/files/attempts.py sign st_mtime_ns": "equal or not",
    "chart/files/folders.py read_file st_mtime": "a sign of life, compared with the clock that gave it",
    "chart/files/folders.py now st_mtime": "that clock",
    "chart/files/folders.py now time.time": "where there is no better one",
    "chart/files/attempts.py utc datetime.fromtimestamp": "spells a stamp",
    "chart/files/attempts.py __init__ time.time": "a stamp",
    "chart/files/attempts.py __init__ time.strftime": "a stamp in a name",
    "chart/files/attempts.py __init__ time.gmtime": "a stamp in a name",
    "chart/files/attempts.py finish time.time": "a stamp",
    "chart/files/stopping.py _publish time.time": "a stamp",
    "chart/files/trial.py train time.time": "a stamp",
    "chart/files/results.py standing_result time.strftime": "a stamp in a name, with random digits",
    "chart/files/results.py standing_result time.gmtime": "a stamp in a name, with random digits",
    "scripts/guard.py keep_traceback time.strftime": "a stamp in a name",
    "scripts/guard.py keep_traceback time.gmtime": "a stamp in a name",
    "scripts/sweep/audit/garbage.py _piece st_mtime": "its age, by the clock that gave it",
    "scripts/sweep/engines/cluster.py now time.time": "where the API has not told its own yet",
    "scripts/sweep/engines/engine.py now time.time": "by which an engine on this machine gives its stamps",
    "scripts/sweep/engines/local.py _start time.time": "a stamp",
    "scripts/sweep/engines/reader.py keep os.utime": "carried from the store",
    "scripts/sweep/engines/reader.py refresh os.utime": "the Pod's clock, kept",
    "scripts/sweep/limits.py _next datetime.now": "the next such moment, told a person to paste",
    "scripts/sweep/locks.py _identity st_mtime_ns": "equal or not",
    "scripts/sweep/readiness.py of_cluster time.time": "told a person beside the API's, which is what it is about",
    "scripts/sweep/records/attempt.py seconds datetime.fromtimestamp": "records of older runners, which had no other",
    "scripts/sweep/records/store.py _file st_mtime_ns": "equal or not; and a sign of life, as above",
    "scripts/sweep/records/store.py _looked_at st_mtime": "the Pod's clock, as kept",
    "scripts/sweep/records/store.py now st_mtime": "the clock of the store",
    "scripts/sweep/records/store.py now time.time": "where there is no better one",
    "scripts/sweep/reports/live.py now time.strftime": "shown to a person",
    "scripts/sweep/reports/live.py now time.time_ns": "equal or not",
    "scripts/sweep/session.py reached time.time": "against `until`, which is a moment of the wall's clock",
}
"""Place -> why a clock that can be set does no harm there. Time that passes is for time.monotonic alone."""
OF_TIME = {"monotonic", "sleep", "process_time"}
"""What of the module `time` no clock that is set moves."""


def clocks(path: Path) -> Iterator[str]:
    """`function name` of every look at such a clock in a file."""

    def visit(node: ast.AST, function: str) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef):
            function = node.name
        if isinstance(node, ast.Attribute):
            of = node.value.id if isinstance(node.value, ast.Name) else ""
            if (
                (of == "time" and node.attr not in OF_TIME)
                or (of in ("datetime", "date") and node.attr in ("now", "utcnow", "today", "fromtimestamp"))
                or node.attr.startswith(("st_mtime", "st_atime", "st_ctime", "st_birthtime", "getmtime"))
                or (of == "os" and node.attr == "utime")
            ):
                yield f"{function} {of + '.' if of and not node.attr.startswith('st_') else ''}{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield f"{function} from time import"
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    return visit(ast.parse(path.read_text()), "")


def test_every_look_at_a_clock_that_can_be_set_was_thought_about() -> None:
    files = [*(REPOSITORY / "scripts").rglob("*.py"), *(REPOSITORY / "chart" / "files").glob("*.py")]
    places = {f"{path.relative_to(REPOSITORY)} {place}" for path in files for place in clocks(path)}
    assert sorted(places) == sorted(ALLOWED)
