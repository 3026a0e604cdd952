"""What a trial may write of the store, and what it finds there that others have put: links, pipes, forged results."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit import odd_files
from tests.unit.trial_support import WRITE_METRICS, Bench, make_trial


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# ---- the init container `store` ----

PARTS = ("trials/ab/abcd", "checkpoints/ab/abcd")


def test_the_folders_that_a_trial_mounts_are_made(bench: Bench) -> None:
    for _ in range(2):
        ended = bench.run(None, make=PARTS[0])
        assert (ended.code, ended.out, ended.err) == (0, "", "")
        assert list((bench.results / PARTS[0]).iterdir()) == []
    assert (bench.results / PARTS[0]).stat().st_uid == os.getuid()


def test_a_folder_that_cannot_be_made_ends_in_one_line_and_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    (bench.results / "trials").write_text("in the way")
    ended = bench.run(None, make=PARTS[0], patch=f"ending.TERMINATION_LOG = {str(log)!r}")
    assert ended.code == 75
    assert f"not writable by {os.getuid()}:{os.getgid()} (uid:gid): {bench.results}/{PARTS[0]}" in ended.line
    assert log.read_text() in ended.line
    assert log.read_text()


def test_a_store_that_is_not_mounted_is_not_made_for_its_folders(bench: Bench, tmp_path: Path) -> None:
    ended = bench.run(None, make=PARTS[0], results=tmp_path / "nowhere")
    assert (ended.code, (tmp_path / "nowhere").exists()) == (75, False)


@pytest.mark.parametrize("at", ["trials", "trials/ab", "trials/ab/abcd"])
def test_no_folder_is_made_through_a_link(bench: Bench, tmp_path: Path, at: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = bench.results / at
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere")
    assert bench.run(None, make=PARTS[0]).code == 75
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["EBUSY", "EROFS"])
def test_a_folder_of_checkpoints_that_is_a_mount_stays_empty(bench: Bench, name: str) -> None:
    trial = make_trial(f"touch $CHECKPOINT_DIR/1; {WRITE_METRICS}")
    patch = f"def rmdir(*_, **__):\n    raise OSError(errno.{name}, 'a mount')\nos.rmdir = rmdir"
    ended = bench.run(trial, patch=patch)
    assert (ended.code, ended.line) == (0, f"trial.py: {trial['id']}: succeeded")
    assert [path.name for path in (bench.results / "checkpoints").glob("*/*")] == [trial["id"]]
    assert not list((bench.results / "checkpoints").glob("*/*/*"))


# ---- what others have put there ----

PLACES = (
    "trials",
    "trials/{i}",
    "trials/{i}/{id}",
    "trials/{i}/{id}/result.json",
    "trials/{i}/{id}/attempts",
    "trials/{i}/{id}/attempts/20260101T000000Z-pod",
    "trials/{i}/{id}/attempts/20260101T000000Z-pod/attempt.json",
    "checkpoints",
    "checkpoints/{i}",
    "checkpoints/{i}/{id}",
    "checkpoints/{i}/{id}/1",
    "checkpoints/{i}/{id}/folder",
)


@pytest.mark.parametrize("place", PLACES)
def test_whatever_lies_in_the_store_the_runner_neither_waits_nor_leaves_it(tmp_path: Path, place: str) -> None:
    trial = make_trial(f"touch $CHECKPOINT_DIR/2; {WRITE_METRICS}")
    elsewhere = tmp_path / "elsewhere"
    before = odd_files.make_elsewhere(elsewhere)
    for number, kind in enumerate(odd_files.KINDS):
        (tmp_path / str(number)).mkdir()
        bench = Bench(tmp_path / str(number))
        bench.put_attempt(trial, "20260101T000000Z-pod", alive_at=0)
        (bench.checkpoints(trial) / "folder").mkdir(parents=True)
        odd_files.put(bench.results / place.format(i=trial["id"][:2], id=trial["id"]), kind, elsewhere)
        ended = bench.run(trial)
        assert ended.code in (0, 75), (kind, ended.err)
        assert "Traceback" not in ended.err, kind
        assert odd_files.SECRET not in ended.err, kind
        assert len(ended.err.splitlines()) <= 2, kind
        if ended.code:
            assert f"{bench.results}/" in ended.line, kind
        else:
            assert bench.result(trial)["metrics"] == {"accuracy": 0.5}, kind
            assert not list(bench.checkpoints(trial).glob("*")), kind
        assert odd_files.state(elsewhere) == before, kind


def test_a_link_in_the_place_of_checkpoints_is_named_and_nobody_elses_files_go(bench: Bench, tmp_path: Path) -> None:
    trial = make_trial(WRITE_METRICS)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "1").write_text("precious")
    bench.checkpoints(trial).parent.mkdir(parents=True)
    bench.checkpoints(trial).symlink_to(tmp_path / "precious")
    ended = bench.run(trial)
    assert ended.code == 75
    assert f"{bench.checkpoints(trial)}: {trial['id']}: is a link, and nothing here is read or written" in ended.line
    bench.put_result(trial)
    ended = bench.run(trial)
    assert ended.code == 0
    assert f"checkpoints stay: {bench.checkpoints(trial)}: {trial['id']}: is a link" in ended.err
    assert (tmp_path / "precious" / "1").read_text() == "precious"


def test_deep_folders_among_checkpoints_end_nothing(bench: Bench) -> None:
    deep = "import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')"
    trial = make_trial(f'cd $CHECKPOINT_DIR; {sys.executable} -c "{deep}"; {WRITE_METRICS}')
    ended = bench.run(trial)
    assert (ended.code, ended.err.splitlines()[0]) == (0, f"trial.py: {trial['id']}: succeeded")
    subprocess.run(["rm", "-rf", bench.root], check=True)  # what is too deep for the runner is so for pytest


@pytest.mark.parametrize("depth", [99, 101, 900, 970, 990, 100_000])
def test_deep_records_are_as_none(bench: Bench, depth: int) -> None:
    trial = make_trial(WRITE_METRICS)
    bench.put_result(trial).write_text(f'{{"identity": {"[" * depth}{"]" * depth}}}')
    bench.put_attempt(trial, "20260101T000000Z-pod", alive_at=0, kept="@")
    record = bench.folder(trial) / "attempts" / "20260101T000000Z-pod" / "attempt.json"
    record.write_text(record.read_text().replace('"@"', "[" * depth + "]" * depth))
    assert bench.run(trial).code == 0
    assert bench.result(trial)["metrics"] == {"accuracy": 0.5}


def test_metrics_beyond_the_bound_are_left_out_and_said_and_the_objective_is_kept(bench: Bench) -> None:
    many = "; ".join(["import json, os", "m = {f'm{n}': n for n in range(5000)}", "m['n' * 300] = 1"])
    write = f"{many}; m['accuracy'] = 0.5; json.dump(m, open(os.environ['METRICS_FILE'], 'w'))"
    trial = make_trial([sys.executable, "-c", write])
    ended = bench.run(trial)
    assert ended.code == 0
    assert "METRICS_FILE: has 5002 metrics: the first 1000 are kept" in ended.err
    kept = bench.result(trial)["metrics"]
    assert (len(kept), kept["accuracy"], kept["m998"], "m999" in kept) == (1000, 0.5, 998, False)


# ---- output without an end ----

LOG_BOUNDS = "command.LARGEST_LOG_BYTES, command.LOG_HEAD_BYTES, command.LOG_TAIL_BYTES = 300_000, 100_000, 5_000"


def left_out(text: bytes) -> tuple[bytes, int, bytes]:
    """What comes before the line about it, the bytes it tells, and what comes after."""
    head, rest = text.split(b"\n[trial.py: ")
    count, tail = rest.split(b" bytes of output are left out here: output.log holds at most 300000 bytes]\n")
    return head, int(count), tail


@pytest.mark.parametrize("code", [0, 3])
def test_a_log_that_gets_too_long_keeps_its_head_and_its_newest_part_and_says_so(bench: Bench, code: int) -> None:
    count = 200_000
    trial = make_trial(f"seq {count}; {WRITE_METRICS}; exit {code}")
    ended = bench.run(trial, patch=LOG_BOUNDS)
    assert ended.code == code
    whole = b"".join(b"%d\n" % number for number in range(1, count + 1))
    assert ended.out.encode() == whole  # into a pipe, as of a Pod, all of it
    log = bench.log(trial)
    head, gone, tail = left_out(log)
    assert head == whole[:100_000]
    assert whole.endswith(tail)
    assert len(tail) >= 4_000
    assert tail.split(b"\n")[0].isdigit()
    assert len(head) + gone + len(tail) == len(whole)
    assert len(log) <= 300_000
    if code:
        assert bench.attempt(trial)["reason"] == f"exit 3: {count}"


def test_a_log_of_one_endless_line_is_bounded_too(bench: Bench) -> None:
    trial = make_trial(f"head -c 1000000 /dev/zero; {WRITE_METRICS}")
    with Path(os.devnull).open("wb") as nowhere:
        assert bench.run(trial, patch=LOG_BOUNDS, stdout=nowhere.fileno()).code == 0
    head, gone, tail = left_out(bench.log(trial))
    assert head + bytes(gone) + tail == bytes(1_000_000)


def test_a_log_at_its_bound_is_whole(bench: Bench) -> None:
    trial = make_trial(f"head -c 300000 /dev/zero; {WRITE_METRICS}")
    with Path(os.devnull).open("wb") as nowhere:
        assert bench.run(trial, patch=LOG_BOUNDS, stdout=nowhere.fileno()).code == 0
    assert bench.log(trial) == bytes(300_000)


def test_output_into_a_file_of_this_machine_is_bounded_too(bench: Bench, tmp_path: Path) -> None:
    trial = make_trial(f"seq 200000; {WRITE_METRICS}")
    with (tmp_path / "job.log").open("ab") as log:
        assert bench.run(trial, patch=LOG_BOUNDS, stdout=log.fileno()).code == 0
    text = (tmp_path / "job.log").read_text()
    assert len(text) < 100_000 + 65_536 + 1_000
    assert text.endswith("output.log alone]\n")
