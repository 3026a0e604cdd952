"""Faults of the machine, put into this process: the n-th call that touches a file below some folders is refused.

It stands before Python's own calls of the system, and Python's files are those that are written in Python (_pyio), so
that no open, write, fsync, rename or link is missed. Standard library only, Python >= 3.9: it goes into the runner too.
"""

from __future__ import annotations

import _pyio  # type: ignore[import-not-found]
import builtins
import errno
import fcntl
import io
import os
import re
from collections import Counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

EVERY = bool(os.environ.get("EVERY_POINT"))
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EMFILE)
CHANGES = ("mkdir", "rename", "replace", "link", "symlink", "unlink", "remove", "rmdir", "chmod", "utime", "truncate")
BY_HANDLE = ("write", "fsync", "ftruncate", "fchmod", "sendfile", "close")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Faults:
    """What is refused: from the call number `at` on (they begin with 1; 0: none), with `number`.

    `lasting`: as long as this process lives, as a disk that is full stays full; else that one call alone. A full disk
    lets go of files and opens those that are there; one that is read-only, broken or forbidden does nothing at all.
    With EMFILE no file is opened.
    """

    def __init__(self, folders: Sequence[str], at: int = 0, number: int = errno.ENOSPC, *, lasting: bool = True):
        self.folders = tuple(os.path.realpath(folder) for folder in folders)
        self.at, self.number, self.lasting = at, number, lasting
        self.calls: list[str] = []
        """`kind path` of every call that was looked at."""

    def install(self) -> None:
        """Stand before the calls of this process, for good."""
        io.open = builtins.open = _pyio.open
        os.open = self._before_open(os.open)
        for name in CHANGES:
            setattr(os, name, self._before_change(name, getattr(os, name)))
        for name in BY_HANDLE:
            setattr(os, name, self._before_handle(name, getattr(os, name)))

    def _before_open(self, call: Callable[..., int]) -> Callable[..., int]:
        def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            place = whole(path, dir_fd)
            kind = "open" if not flags & WRITING else "create" if not os.path.lexists(place) else "rewrite"
            self._look(kind, place, path)
            return call(path, flags, mode, dir_fd=dir_fd)

        return opened

    def _before_change(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def changed(path: Any, *words: Any, **named: Any) -> Any:
            place = whole(path, named.get("dir_fd", named.get("src_dir_fd")))
            # A folder that is there is no change, whoever asks for it.
            if not (kind == "mkdir" and os.path.isdir(place)) and not (kind in REMOVING and not os.path.lexists(place)):
                self._look(kind, place, path)
            return call(path, *words, **named)

        return changed

    def _before_handle(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def done(handle: Any, *words: Any) -> Any:
            number = handle if isinstance(handle, int) else handle.fileno()
            if kind != "close":
                self._look(kind, whole("", number), None)
                return None if kind == "fsync" else call(handle, *words)  # no test cuts the power
            # It says at the end what became of the writes before; the handle is gone all the same.
            place = whole("", number) if written(number) else ""
            call(handle)
            if place:
                self._look(kind, place, None)
            return None

        return done

    def _look(self, kind: str, place: str, path: Any) -> None:
        if not any(place == folder or place.startswith(f"{folder}/") for folder in self.folders):
            return
        self.calls.append(f"{kind} {place}")
        count = len(self.calls)
        if count == self.at or (self.at and self.lasting and count > self.at and self._is_still(kind)):
            raise OSError(self.number, os.strerror(self.number), *([] if path is None else [path]))

    def _is_still(self, kind: str) -> bool:
        """Whether a fault that lasts refuses this too."""
        if self.number not in errors_of(kind):
            return False
        if self.number in (errno.ENOSPC, errno.EDQUOT):
            return kind in ("create", "write", "fsync", "mkdir", "link", "symlink", "sendfile")
        return kind != "open" or self.number == errno.EMFILE


class NothingRemoved(Faults):
    """Every removal is refused, and nothing else."""

    def _look(self, kind: str, place: str, path: Any) -> None:
        super()._look(kind, place, path)
        if kind in REMOVING and self.calls and self.calls[-1] == f"{kind} {place}":
            raise OSError(errno.EIO, os.strerror(errno.EIO), *([] if path is None else [path]))


def errors_of(kind: str) -> tuple[int, ...]:
    """What a kind of call may be refused with."""
    if kind == "close":
        return (errno.ENOSPC, errno.EDQUOT, errno.EIO)
    if kind in ("write", "fsync", "ftruncate", "sendfile"):  # by a handle that was got
        return (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
    if kind == "open":  # to read
        return (errno.EIO, errno.EACCES, errno.EMFILE)
    return ERRORS if kind in ("create", "rewrite") else ERRORS[:-1]


def points(
    calls: Sequence[str], only: str = "", once: str = "", *, reading: bool = False
) -> Iterator[tuple[int, int, bool]]:
    """(number of a call, error, whether it lasts), for every one of these calls, or those `only` that are like this.

    Each gets one of its errors in turn, once or lasting; of those that are like `once`, each kind and name one time.
    Those that open a file to read it are among them if `reading`. With EVERY_POINT=1 in the environment all get all.
    """
    turn: Counter[str] = Counter()
    seen: set[str | tuple[str, str] | None] = set()
    for at, call in enumerate(calls, 1):
        kind = call.partition(" ")[0]
        choices = [(error, lasting) for lasting in (True, False) for error in errors_of(kind)]
        turn[kind] += 1
        same = (kind, call.rpartition("/")[2]) if once and re.search(once, call) else call
        wanted = (reading or kind != "open") and re.search(only, call) and same not in seen
        seen.add(same if same != call else None)
        if EVERY or wanted:
            yield from ((at, *choice) for choice in (choices if EVERY else [choices[turn[kind] % len(choices)]]))


REMOVING = ("unlink", "remove", "rmdir")


def written(handle: int) -> bool:
    """Whether a handle is one to write by."""
    try:
        return fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    except OSError:
        return False


def whole(path: Any, handle: int | None = None) -> str:
    """The absolute path of what a call names, by a path, by a handle, or by a path from a folder's handle."""
    if isinstance(path, int):
        path, handle = "", path
    try:
        base = os.getcwd() if handle is None or handle == AT_FDCWD else os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        base = ""
    if not base.startswith("/"):  # a pipe, or a handle that was closed
        return "/nowhere"
    joined = os.path.join(base, os.fsdecode(path))
    return os.path.join(os.path.realpath(os.path.dirname(joined)), os.path.basename(joined)).rstrip("/")


AT_FDCWD = -100
