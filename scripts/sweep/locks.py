"""Git's lock files: waited for while their holder lives, removed once it is dead, and taken as git takes them.

A lock is a file whose existence forbids everybody else to write what it guards (`index.lock` guards `index`); git
leaves it behind when it is killed, and then refuses until somebody removes it. Nobody's lock is removed while a process
has it open, or a git that was at work in the repository when we first saw the lock still lives: a `git commit` that
waits for its editor holds `index.lock` with no file open.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from sweep import leftovers
from sweep.errors import BadInput, naming
from sweep.words import Say

Identity = tuple[int, int, int]

WAIT_SECONDS = 600.0
"""How long a living holder is waited for: an editor that is open for a commit message, say."""
STALE_SECONDS = 20.0
"""How long a lock without a holder is watched (by a clock that nobody sets) before it is removed: its holder may live
where we cannot see it, in another container or on another machine."""
MARK = b"helm-sweep "
"""How a lock of ours begins; it is held by flock too, which the kernel ends with the process."""
DEAD = "nobody"
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, 524)  # the last is what NFSv3 says, and has no name here
"""What file systems say that have no hard links."""
READERS = frozenset(("blame", "cat-file", "diff", "grep", "log", "ls-files", "reflog", "rev-list", "shortlog", "show"))
"""What git may do for hours, in a pager or for an IDE, without ever holding a lock."""


@dataclass
class LockPatience:
    """How long somebody is waited for, and that it is said once."""

    say: Say
    deadline: float = field(default_factory=lambda: time.monotonic() + WAIT_SECONDS)
    pause: float = 0.01
    waited_for: str = ""

    def wait(self, what: Path | str, who: str) -> None:
        """Wait a little for `who` to be done with `what`. Raises BadInput at the deadline."""
        if time.monotonic() > self.deadline:
            raise BadInput(
                f"git: {what}: {who} has not ended in {_spell(WAIT_SECONDS)}; end it, then run the same again"
            )
        if self.waited_for != who and self.pause > 0.2:
            self.say(f"git: {what}: waits for {who}, {_spell(WAIT_SECONDS)} at most")
            self.waited_for = who
        time.sleep(self.pause)
        self.pause = min(1.0, self.pause * 1.5)


def _spell(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:g} seconds"


def holders(folders: Sequence[Path], path: Path | None = None, verbs: Sequence[str] = ()) -> dict[tuple[int, str], str]:
    """The processes that may hold the lock `path`: (id, start) -> how people call it.

    Those that have it open, and every git that is at work in one of `folders` (on one of `verbs`, where they are
    given); ours, and those of the user whose file or repository it is.
    """
    owners = {os.getuid(), (path or folders[0]).stat().st_uid}
    seen = {}
    if not Path("/proc").is_dir():
        return {(0, ""): "a process that this system does not show"} if path and path.exists() else {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):  # it has ended meanwhile
                if entry.stat().st_uid in owners and (who := _holds(entry, folders, path, verbs)):
                    started = (entry / "stat").read_text().rpartition(")")[2].split()[19]
                    seen[int(entry.name), started] = who
    return seen


def _holds(process: Path, folders: Sequence[Path], path: Path | None, verbs: Sequence[str]) -> str:
    """How people call the process, where it may hold the lock; else "". Raises OSError where it has ended."""
    name = (process / "comm").read_text().strip()
    shown = f"{name} (process {process.name})"
    if path and any(_links_to(handle, path) for handle in (process / "fd").iterdir()):
        return shown
    if name != "git" and not name.startswith("git-"):
        return ""
    verb = _verb((process / "cmdline").read_bytes().decode(errors="replace").split("\0")[1:])
    if verb in READERS or verb.endswith("daemon") or (verbs and verb not in verbs):
        return ""
    place = (process / "cwd").readlink()
    return f"`git {verb}` (process {process.name})" if any(map(place.is_relative_to, folders)) else ""


def _verb(words: Sequence[str]) -> str:
    """What git is called to do; "" where it does nothing."""
    return next((word for last, word in pairwise(["", *words]) if word[:1] not in "-" and last not in ("-c", "-C")), "")


def _links_to(handle: Path, path: Path) -> bool:
    with suppress(OSError):
        return handle.readlink() == path
    return False


def _identity(path: Path) -> Identity | None:
    """What tells this lock from the next one of the same name; None where there is none."""
    try:
        about = path.lstat()
    except FileNotFoundError:
        return None
    return about.st_dev, about.st_ino, about.st_mtime_ns


def wait_gone(path: Path, folders: Sequence[Path], patience: LockPatience) -> None:
    """Return once the lock is gone, removing it where its holder is dead. Raises BadInput for one that stays."""
    watched, suspects, since = None, dict[tuple[int, str], str](), 0.0
    while seen := _identity(path):
        if ours := _our_holder(path):
            if ours == DEAD and _remove(path, seen):
                continue
            patience.wait(path, ours)
            continue
        with suppress(FileNotFoundError):
            alive = holders(folders, path)
            suspects = {key: who for key, who in alive.items() if watched != seen or key in suspects}
        if watched != seen or suspects:
            watched, since = seen, time.monotonic()
        if not suspects and time.monotonic() - since >= STALE_SECONDS:
            if _remove(path, seen):
                patience.say(f"git: removed {path}, which a git that has ended left behind")
            continue
        who = next(iter(suspects.values()), "a git that is not to be seen on this machine")
        patience.wait(path, who)


def clear(folder: Path) -> None:
    """Remove what dead ones of ours have left in git's folder of a work tree, `folder` or above: the lock of the index,
    and what is private. As far as it can be removed; raises nothing, and asks no git."""
    with suppress(OSError, UnicodeDecodeError):
        top = next(place for place in (folder, *folder.parents, None) if not place or (place / ".git").exists())
        if not top:
            return
        own = top / ".git"
        if own.is_file():  # of another work tree, or a submodule
            own = top / own.read_text().removeprefix("gitdir: ").rstrip("\n")
        leftovers.clear(own)
        lock = own / "index.lock"
        if (seen := _identity(lock)) and _our_holder(lock) == DEAD:
            _remove(lock, seen)


def _our_holder(path: Path) -> str:
    """Who of us holds the lock, DEAD if that one has ended; "" if the lock is none of ours."""
    try:
        with path.open("rb") as opened:
            text = opened.read(64)
            if not text.startswith(MARK):
                return ""
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return DEAD
    except BlockingIOError:
        return f"another sweep (process {text.removeprefix(MARK).decode(errors='replace').strip()})"
    except OSError:
        return ""


def _remove(path: Path, seen: Identity) -> bool:
    """Remove the lock that was `seen`, and no later one that somebody has taken since."""
    try:
        with path.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of several that want to remove it, one
            about = os.fstat(opened.fileno())
            if _identity(path) != seen or (about.st_dev, about.st_ino) != seen[:2]:
                return False
            path.unlink()
            return True
    except (FileNotFoundError, BlockingIOError):
        return False


@contextmanager
def taken(path: Path, folders: Sequence[Path], patience: LockPatience) -> Iterator[None]:
    """Hold a lock, as any git would. Raises BadInput where it is not to be had within the patience."""
    with _signals_interrupt():
        handle = _create(path, folders, patience)
        try:
            yield
        finally:
            try:
                path.unlink(missing_ok=True)
            finally:
                with suppress(OSError):  # what closing it may say matters to nobody
                    os.close(handle)


def _create(path: Path, folders: Sequence[Path], patience: LockPatience) -> int:
    """Make a lock that can be seen to be ours from its first moment on: it is written aside, and linked to its name."""
    draft = path.with_name(f"{leftovers.prefix(leftovers.STEM)}{os.urandom(4).hex()}")
    handle = _written(draft)
    try:
        while True:
            wait_gone(path, folders, patience)
            with suppress(FileExistsError):
                return _named(draft, path, handle)
    except BaseException:
        os.close(handle)
        raise
    finally:
        with suppress(OSError):  # the next of us removes it
            draft.unlink()


def _written(path: Path) -> int:
    """A handle of a new file that says, and shows, that it is ours."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    leftovers.hold(handle)  # a file system without flock: then our open file tells that we live
    with naming(path):
        os.write(handle, MARK + b"%d\n" % os.getpid())
    return handle


def _named(draft: Path, path: Path, handle: int) -> int:
    """The handle of the lock, which has its name now. Raises FileExistsError where another has that."""
    try:
        os.link(draft, path)
    except FileExistsError:
        if os.fstat(handle).st_nlink < 2:  # else the answer to our own was lost, as on NFS
            raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        other = _written(path)
        os.close(handle)
        return other
    return handle


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Have a request to end, and a terminal that is closed, take our locks along, as git does with its own."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        wanted = (number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL)
        before = {number: signal.signal(number, signal.default_int_handler) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
