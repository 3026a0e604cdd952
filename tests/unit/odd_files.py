"""What somebody may have put in the place of a file or folder, and what must then be as it was."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

SECRET = "the words of a private file"

KINDS: dict[str, Callable[[Path, Path], object]] = {
    "link to a private file": lambda path, elsewhere: path.symlink_to(elsewhere / "private"),
    "link to a folder elsewhere": lambda path, elsewhere: path.symlink_to(elsewhere),
    "relative link": lambda path, elsewhere: path.symlink_to(os.path.relpath(elsewhere, path.parent)),
    "dangling link": lambda path, elsewhere: path.symlink_to(elsewhere / "nothing"),
    "link to itself": lambda path, _: path.symlink_to(path),
    "link to a device": lambda path, _: path.symlink_to("/dev/zero"),
    "link to its terminal": lambda path, _: path.symlink_to("/proc/self/fd/0"),
    "fifo": lambda path, _: os.mkfifo(path),
    "socket": lambda path, _: listen(path),
    "folder": lambda path, _: path.mkdir(),
    "folder with a file": lambda path, _: full(path),
    "file of 4 GB": lambda path, _: sparse(path, 4 << 30),
    **({"device": lambda path, _: os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))} if not os.getuid() else {}),
}


def listen(path: Path) -> None:
    """A socket; bound by a short name, for theirs are short."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


def full(path: Path) -> None:
    path.mkdir()
    (path / "1").write_text("1")


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as opened:
        opened.truncate(size)


def put(path: Path, kind: str, elsewhere: Path) -> None:
    """Put it in the place of whatever is at `path`."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](path, elsewhere)


def make_elsewhere(folder: Path) -> dict[str, str]:
    """A folder of somebody else's, with what deleting or writing there would show; see `state`."""
    for name in ("private", "result.json", "attempt.json", "output.log", "values.yaml", "1", "deep/er/2"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET)
    return state(folder)


def state(folder: Path) -> dict[str, str]:
    """Every path below a folder, with its content and times."""
    paths = sorted(folder.rglob("*"))
    return {
        str(path.relative_to(folder)): (path.read_text() if path.is_file() else "") + f" {path.lstat().st_mtime_ns}"
        for path in paths
    }
