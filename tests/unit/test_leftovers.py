"""What a process of ours leaves that was killed, or could not remove it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep import commits, leftovers, locks, worktrees

ROOT = Path(__file__).resolve().parents[2]


def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def left(tmp_path: Path) -> list[Path]:
    """A temporary file and a folder of a dead process of ours."""
    number = ended()
    file, folder = tmp_path / f".values.yaml.{number}-0123abcd.tmp", tmp_path / f"helm-sweep.{number}-ab_cd123"
    file.write_text("half")
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("")
    return [file, folder]


@pytest.mark.usefixtures("left")
def test_what_the_dead_left_goes_and_what_others_have_stays(tmp_path: Path) -> None:
    names = (
        f".values.yaml.{os.getpid()}-0123abcd.tmp",
        ".values.yaml.swp",
        ".notes.tmp",
        "helm-sweep.yaml",
        "values.yaml",
    )
    for name in names:
        (tmp_path / name).write_text("of somebody")
    leftovers.clear(tmp_path, tmp_path / "missing")
    assert {path.name for path in tmp_path.iterdir()} == set(names)


def test_what_is_held_stays_though_its_process_is_not_to_be_seen_here(tmp_path: Path, left: list[Path]) -> None:
    handles = [os.open(path, os.O_RDONLY) for path in left]
    for handle in handles:
        fcntl.flock(handle, fcntl.LOCK_EX)  # as a process of another container does
    leftovers.clear(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(left)
    for handle in handles:
        os.close(handle)
    leftovers.clear(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_link_in_the_place_of_what_the_dead_left_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("of somebody")
    (tmp_path / f"helm-sweep.{ended()}-ab_cd123").symlink_to(tmp_path / "elsewhere")
    leftovers.clear(tmp_path)
    assert (tmp_path / "elsewhere" / "file").read_text() == "of somebody"


def test_a_scratch_folder_is_held_and_goes(tmp_path: Path) -> None:
    with leftovers.scratch(tmp_path) as folder:
        (folder / "file").write_text("")
        leftovers.clear(tmp_path)
        assert leftovers.OWNER.fullmatch(folder.name)
        handle = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal, sys
from pathlib import Path
from sweep import commits, worktrees
repo = Path(sys.argv[1])
if sys.argv[2] == "turn":
    with commits.turn(repo, ["file"], print):
        os.kill(os.getpid(), signal.SIGKILL)
with worktrees.checked_out(repo, "HEAD"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place, temporary = tmp_path / "repo", tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    subprocess.run(["git", "init", "--quiet", place], check=True)
    (place / "file").write_text("content")
    commits.commit(place, ["file"], "start", print)
    return place


def kill_in(repo: Path, what: str) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    assert subprocess.run([sys.executable, "-c", KILLED, repo, what], env=env).returncode == -9


def test_our_lock_of_the_index_is_removed_by_a_command_that_commits_nothing(repo: Path) -> None:
    kill_in(repo, "turn")
    assert (repo / ".git" / "index.lock").exists()
    (repo / "below").mkdir()
    locks.clear(repo / "below")
    assert not [*repo.glob(".git/index.lock"), *repo.glob(".git/helm-sweep*")]


def test_the_lock_of_a_git_or_of_a_living_one_of_ours_stays(repo: Path) -> None:
    lock = repo / ".git" / "index.lock"
    lock.write_text("")
    locks.clear(repo)
    assert lock.exists()
    lock.unlink()
    with commits.turn(repo, ["file"], print):
        locks.clear(repo)
        assert lock.exists()
        assert [path.is_dir() for path in repo.glob(".git/helm-sweep*")] == [True]
    assert not lock.exists()


def test_a_commit_that_a_killed_process_had_checked_out_is_forgotten(repo: Path, tmp_path: Path) -> None:
    kill_in(repo, "checkout")
    assert len(list(repo.glob(".git/worktrees/*"))) == 1
    leftovers.clear(tmp_path / "tmp")
    with worktrees.checked_out(repo, "HEAD") as folder:
        assert (folder / "file").read_text() == "content"
        assert len(list(repo.glob(".git/worktrees/*"))) == 1
    assert not list(repo.glob(".git/worktrees/*"))
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("number", locks.NO_LINKS)
def test_a_lock_is_taken_where_there_are_no_hard_links(
    repo: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    with commits.turn(repo, ["file"], print):
        assert (repo / ".git" / "index.lock").read_bytes().startswith(locks.MARK)
    assert not [*repo.glob(".git/index.lock"), *repo.glob(".git/helm-sweep*")]


def test_a_link_whose_answer_was_lost_is_our_lock(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def lose(source: Path, target: Path) -> None:
        link(source, target)
        raise FileExistsError

    monkeypatch.setattr(os, "link", lose)
    with commits.turn(repo, ["file"], print):
        pass
    assert not (repo / ".git" / "index.lock").exists()
