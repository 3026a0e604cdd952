"""Who has what on this machine: a sweep is one launcher's, a trial one attempt's. The kernel frees a dead one's."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweep.engines import linux
from sweep.errors import BadInput, naming
from sweep.files import open_handle

LOCK, STOPPING = ".lock", "stopping"
"""File in the folder of a sweep's Jobs that its launcher holds, and what stands in there after the launcher's pid."""


class TrialHeld(Exception):
    """Another attempt of the trial lives, of another launcher or of one that was killed."""


@contextmanager
def only_one(folder: Path, sweep: str, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the sweep on this machine; the kernel frees a dead process's.

    Raises BadInput when another process does. With `say`, one that is stopping its trials already is waited for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    handle = open_handle(path, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid, _, what = os.pread(handle, 100, 0).decode(errors="replace").strip().partition(" ")
            if what != STOPPING or not say:
                raise BadInput(f"{sweep}: is being run here already, by process {pid or '?'}; wait for it") from error
            say(f"{sweep}: waiting for process {pid}, which ends its trials in order")
            fcntl.flock(handle, fcntl.LOCK_EX)
        with naming(path):
            os.ftruncate(handle, 0)
            os.write(handle, b"%d" % os.getpid())
        yield
    finally:
        let_go(handle)


def is_held(folder: Path) -> bool:
    """Whether a launcher has the sweep now."""
    try:
        handle = open_handle(folder / LOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        let_go(handle)
    return False


def let_go(handle: int | None) -> None:
    """Close a handle, if there is one, of which it matters to nobody what closing it may say."""
    if handle is not None:
        with suppress(OSError):
            os.close(handle)


def tell_stopping(folder: Path) -> None:
    """Let the next process that wants this sweep know that waiting is worth it."""
    with suppress(OSError), os.fdopen(open_handle(folder / LOCK, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as held:
        held.write(f"{os.getpid()} {STOPPING}")


def hold(store: Path, trial: str) -> int | None:
    """Hold a trial of a store until this handle is closed everywhere: by this process and by all that inherit it.

    None where nothing can be held: a store that cannot be written, or no Linux. Raises TrialHeld while others hold it.
    """
    if not linux.HAS_LOCKS:
        return None
    try:
        handle = os.open(
            store / ".running", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666
        )
    except OSError:
        return None
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _of(trial, fcntl.F_WRLCK))
    except OSError as error:
        let_go(handle)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise TrialHeld from error
        return None
    return handle


def lives(store: Path, trial: str) -> bool:
    """Whether an attempt of a trial holds it in a store; asking holds nothing."""
    if not linux.HAS_LOCKS:
        return False
    try:
        handle = os.open(store / ".running", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        answer = fcntl.fcntl(handle, fcntl.F_OFD_GETLK, _of(trial, fcntl.F_WRLCK))
        return bool(struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        let_go(handle)


def _of(trial: str, kind: int) -> bytes:
    """A struct flock of a trial: a byte of one file each, so that no lock needs a file that somebody has to remove."""
    return struct.pack("hhqqi0q", kind, os.SEEK_SET, int(trial[:15], 16), 1, 0)
