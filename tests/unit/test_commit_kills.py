"""A commit of ours, killed at every point at which git or we change a file: the same commit goes on, nothing is lost.

The points are enumerated, not sampled: those of git by strace, which kills git at the n-th call of a kind, and those of
our own by Python's audit events.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sweep import commits, locks

OURS = ["changed", "new", "removed"]
CALLS = "openat,write,pwrite64,rename,link,unlink,mkdir,rmdir,ftruncate,fsync,chmod"
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "subprocess.Popen"}
READING = {"rev-parse", "symbolic-ref", "ls-tree", "ls-files", "check-ignore", "var", "rev-list", "status", "diff-tree"}
EVERY = bool(os.environ.get("EVERY_POINT"))
"""Also those that differ only in what a file that nobody will read again holds: a draft of an index or an object."""
WRAPPER = """#!/bin/sh
# Counts the calls of git; runs the one that is wanted under strace, and dies with all the others of our process.
read n <"$POINTS/count"; n=$((n + 1)); echo $n >"$POINTS/count"
[ "$n" = "${KILL_AT_ONCE-}" ] && kill -KILL $$
if [ -n "${TRACE-}" ]; then
  exec strace -y -qq -o "$POINTS/trace.$n" -e trace=CALLS -e signal=none GIT "$@"
elif [ "$n" = "${KILL_GIT-}" ]; then
  strace -qq -o /dev/null -e trace=$KILL_CALL -e signal=none -e inject=$KILL_CALL:signal=SIGKILL:when=$KILL_AT GIT "$@"
  code=$?
  [ $code = 137 ] && [ -n "${KILL_US-}" ] && kill -KILL $PPID
  exit $code
elif [ "$n" = "${REFUSE_GIT-}" ]; then
  exec strace -qq -o /dev/null -e trace=$KILL_CALL -e signal=none \
    -e inject=$KILL_CALL:error=$REFUSE_BY:when=$KILL_AT GIT "$@"
fi
exec GIT "$@"
"""


def call(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout


def write(path: Path, text: str, seconds: int) -> None:
    """A file of long ago: one that is as young as the index is read by git once more, or not, as the clock has it."""
    path.write_text(text)
    os.utime(path, (seconds, seconds))


@pytest.fixture
def pristine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with something of ours to commit, and work of a person beside it."""
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n name = Ada\n email = ada@example.org\n[init]\n defaultBranch = main\n")
    points = tmp_path / "points"
    points.mkdir()
    variables = {"GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_NOSYSTEM": 1, "HOME": tmp_path, "POINTS": points}
    # Each run makes the same commit: with another hash its object may need a folder of its own, and a call more.
    variables |= dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-01-01T00:00:00Z")
    for key, value in variables.items():
        monkeypatch.setenv(key, str(value))
    root = tmp_path / "pristine"
    (root / "d").mkdir(parents=True)
    call(root, "init", "--quiet")
    for name in ("changed", "removed", "d/staged", "edited"):
        write(root / name, f"{name}\n", 1_000_000_000)
    call(root, "add", "--all")
    call(root, "commit", "--quiet", "--message=first")
    for name in ("changed", "new", "d/staged", "d/added", "edited", "unknown"):
        write(root / name, f"{name}, and more\n", 1_100_000_000)
    (root / "removed").unlink()
    call(root, "add", "d/staged", "d/added")
    call(root, "status")
    git, wrapper = shutil.which("git"), points / "bin" / "git"
    assert git
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER.replace('GIT "', f'{git} "').replace("trace=CALLS", f"trace={CALLS}"))
    wrapper.chmod(0o755)
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.0)
    return root


def attempt(root: Path, kill_event: int = 0, **env: str) -> int:
    """Commit in a process of its own; returns how that ended, 0 for well. `kill_event`: at which of EVENTS it dies."""
    (Path(os.environ["POINTS"]) / "count").write_text("0\n")
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        if env:
            os.environ.update(env, PATH=f"{os.environ['POINTS']}/bin:{os.environ['PATH']}")
        if kill_event:
            _die_at(kill_event)
        commits.commit(root, OURS, "ours", lambda _: None)
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{error}\n".encode())
        os._exit(getattr(error, "exit_code", 70))


def _die_at(number: int) -> None:
    left = number

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if event not in EVENTS:
            return
        if event == "open":
            changes = bool((args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        else:
            changes = event != "subprocess.Popen" or not READING & set(args[1])
        if changes:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def copy(pristine: Path) -> Path:
    root = pristine.parent / "killed"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(pristine, root)
    return root


def check(root: Path, point: object) -> None:
    """Run the same again, and look: ours is committed once, the person's work is as it was, nothing is left behind."""
    assert attempt(root) == 0, point
    assert call(root, "log", "--format=%s").split() == ["ours", "first"], point
    assert call(root, "show", "--name-status", "--format=").splitlines() == ["M\tchanged", "A\tnew", "D\tremoved"], (
        point
    )
    assert call(root, "show", "HEAD:changed", "HEAD:new") == "changed, and more\nnew, and more\n", point
    known = call(root, "status", "--porcelain", "--no-renames").splitlines()
    assert known == ["A  d/added", "M  d/staged", " M edited", "?? unknown"], point
    assert call(root, "show", ":d/staged") == "d/staged, and more\n", point
    git = root / ".git"
    assert not [*git.rglob("*.lock"), *git.glob("helm-sweep*")], point


def git_points(pristine: Path) -> list[tuple[int, str, int]]:
    """(which call of git, kind of system call, its number of that kind) of every change of a file, by a run that is
    watched."""
    root = copy(pristine)
    assert attempt(root, TRACE="1") == 0
    points, seen = [], set()
    for log in sorted(Path(os.environ["POINTS"]).glob("trace.*")):
        numbers: Counter[str] = Counter()
        for line in log.read_text(errors="replace").splitlines():
            kind, _, words = re.sub(r"^\d+ +", "", line).partition("(")
            numbers[kind] += 1
            if (kind == "openat" and "O_CREAT" not in words) or (kind == "write" and re.match("[012]<", words)):
                continue
            draft = next((name for name in ("/helm-sweep.", "/objects/") if name in words), "")
            if EVERY or not draft or (log.name, kind, draft) not in seen:
                points.append((int(log.suffix[1:]), kind, numbers[kind]))
            seen.add((log.name, kind, draft))
    return points


@pytest.mark.parametrize("with_us", [True, False], ids=["and us", "alone"])
def test_git_may_be_killed_at_every_point(pristine: Path, with_us: bool) -> None:
    if not os.environ.get("CI") and not shutil.which("strace"):
        pytest.skip("strace is not installed")
    points = git_points(pristine)
    assert len(points) > 30
    for which, kind, number in points if with_us else points[::4]:
        root = copy(pristine)
        env = {"KILL_GIT": str(which), "KILL_CALL": kind, "KILL_AT": str(number)} | (
            {"KILL_US": "1"} if with_us else {}
        )
        code = attempt(root, **env)
        assert code == -signal.SIGKILL or not with_us, (which, kind, number, code)
        check(root, (which, kind, number))


def test_any_git_may_be_killed_before_it_has_said_anything(pristine: Path) -> None:
    """One that only reads, too: no answer is not `there is none`."""
    for number in range(1, 1000):
        root = copy(pristine)
        code = attempt(root, KILL_AT_ONCE=str(number))
        calls = int((Path(os.environ["POINTS"]) / "count").read_text())
        check(root, number)
        if calls < number:
            assert code == 0
            break
    assert number > 20


def test_git_may_be_refused_by_the_machine_at_every_point(pristine: Path) -> None:
    """A full or broken disk at any call of git's: it is the machine's refusal, or nothing that matters."""
    if not os.environ.get("CI") and not shutil.which("strace"):
        pytest.skip("strace is not installed")
    points = git_points(pristine)
    for place, (which, kind, number) in enumerate(points if EVERY else points[::3]):
        root, error = copy(pristine), ("ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES")[place % 5]
        code = attempt(root, REFUSE_GIT=str(which), KILL_CALL=kind, KILL_AT=str(number), REFUSE_BY=error)
        assert code in (0, 4), (which, kind, number, error)
        check(root, (which, kind, number, error))


def test_we_may_be_killed_at_every_point(pristine: Path) -> None:
    for number in range(1, 1000):
        root = copy(pristine)
        code = attempt(root, kill_event=number)
        check(root, number)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert number > 30
