"""What a trial may write of the store, and what it finds there that others have put: links, pipes, forged results."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.trial_support import WRITE_METRICS, Bench, make_trial


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# ---- the init container `store` ----

PARTS = ("trials/ab/abcd", "checkpoints/ab/abcd")


def test_the_folders_that_a_trial_mounts_are_made(bench: Bench) -> None:
    for _ in range(2):
        made = bench.run(None, make=PARTS[0])
        assert (made.code, made.out, made.err) == (0, "", "")
        assert list((bench.results / PARTS[0]).iterdir()) == []
    assert (bench.results / PARTS[0]).stat().st_uid == os.getuid()


def test_a_folder_that_cannot_be_made_ends_in_one_line_and_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    (bench.results / "trials").write_text("in the way")
    ended = bench.run(None, make=PARTS[0], patch=f"trial.TERMINATION_LOG = {str(log)!r}")
    assert ended.code == 75
    assert f"not writable by {os.getuid()}:{os.getgid()} (uid:gid): {bench.results}/{PARTS[0]}" in ended.said
    assert log.read_text() in ended.said
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
    patch = f"def rmdir(*_, **__):\n    raise OSError(trial.errno.{name}, 'a mount')\nos.rmdir = rmdir"
    ended = bench.run(trial, patch=patch)
    assert (ended.code, ended.said) == (0, f"trial.py: {trial['id']}: succeeded")
    assert [path.name for path in (bench.results / "checkpoints").glob("*/*")] == [trial["id"]]
    assert not list((bench.results / "checkpoints").glob("*/*/*"))
