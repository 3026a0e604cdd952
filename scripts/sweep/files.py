"""Writing files so that a reader, or a crash, never sees half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from pathlib import Path

from sweep.errors import BadInput, naming

NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What file systems say that sync no folders (NFS, some FUSE ones)."""
CONFLICT = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)


def check_merged(data: bytes, shown: str) -> None:
    """Raise BadInput with the line where git left a conflict of a merge in a file."""
    if marker := CONFLICT.search(data):
        line = data.count(b"\n", 0, marker.start()) + 1
        raise BadInput(f"{shown}:{line}: a conflict of a merge; keep what is right, and remove the marked lines")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace the content of `path`: unique temp file beside it, fsync, rename.

    Text is written as UTF-8, newlines as they are. Makes missing folders; keeps the mode of a file that exists,
    and a symbolic link (its target is replaced). The temp file is gone afterwards, whatever happens.
    An OSError names `path`, and is left to the caller.
    """
    path = path.resolve()
    with naming(path):
        _replace(path, content.encode() if isinstance(content, str) else content)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(_mode(path))
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def _mode(path: Path) -> int:
    """Mode of `path`, or what a plain open() would give a new file (mkstemp's 0600 would hide it from others)."""
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the file system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(handle)
