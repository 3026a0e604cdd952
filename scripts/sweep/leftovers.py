"""Temporary files and folders of ours, named and held so that a dead owner's are known: the next command removes them.

Whoever makes one removes it. Where that is refused (a disk that became read-only) or never comes (SIGKILL), it lies
there with its owner's process id in its name, and with no lock on it, for the kernel ends that with the process. Both
are looked at: a process of another container that shares the folder is not to be seen here, but its lock is.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STEM = "helm-sweep."
"""How folders of ours begin in places that are not ours."""
END = ".tmp"
"""How temporary files end."""
OWNER = re.compile(r"(?:\..+\.([0-9]+)-[0-9a-f]{8}\.tmp|helm-sweep\.([0-9]+)-[a-z0-9_]{8})")


def prefix(stem: str) -> str:
    """How the name begins of something that this process makes; eight letters or digits make it unique."""
    return f"{stem}{os.getpid()}-"


def temporary(name: str) -> str:
    """A name for what is to become the file `name`, beside it."""
    return f"{prefix(f'.{name}.')}{os.urandom(4).hex()}{END}"


def hold(handle: int) -> None:
    """Let everybody see that the owner of what was opened lives, for as long as it is open."""
    with suppress(OSError):  # a file system without flock: then the process id alone tells
        fcntl.flock(handle, fcntl.LOCK_EX)


def place() -> str:
    """Where this machine has temporary files. tempfile tries it by making a file, whose removal may be refused too."""
    usual = (os.environ.get("TMPDIR", ""), "/tmp")
    return next((path for path in usual if os.access(path, os.W_OK | os.X_OK)), "") or tempfile.gettempdir()


@contextmanager
def scratch(folder: Path | None = None) -> Iterator[Path]:
    """A temporary folder, in `folder` or where this machine has them. What cannot be removed of it is left."""
    new = tempfile.TemporaryDirectory(prefix=prefix(STEM), dir=folder or place(), ignore_cleanup_errors=True)
    with new as path:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        hold(handle)
        try:
            yield Path(path)
        finally:
            os.close(handle)


def clear(*folders: Path) -> None:
    """Remove what dead ones of ours have left in these folders, as far as it can be removed; raises nothing."""
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if (owner := OWNER.fullmatch(entry.name)) and not _lives(int(owner[1] or owner[2])):
                    with suppress(OSError):
                        _remove(Path(entry.path))


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _remove(path: Path) -> None:
    """Remove a file or a folder of this user's that nobody holds. Raises OSError, BlockingIOError where it is held."""
    status = path.lstat()
    if status.st_uid != os.getuid() or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    finally:
        os.close(handle)
