"""What a trial leaves in OUTPUT_DIR: listed file by file, with sizes and hashes, so that whoever fetches it can tell.

Beside trial.py, which imports it once a command has ended. And the program of a Pod that scripts fetch outputs through:

    python3 -I -S -c "$(cat outputs.py)" STORE

answers requests, a line of JSON each, until its standard input ends: {"read": path, "offset": bytes} by the rest of a
file in lines of base64, {"remove": path of an attempt's outputs or of their list} by removing it; then a line `.`, or
`!` and why not. Standard library only, Python >= 3.9.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import stat
import sys
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

MOST_FILES, DEEPEST = 10_000, 32
CHUNK_BYTES, LINE_BYTES = 1 << 20, 48 << 10
OF_AN_ATTEMPT = re.compile(
    "(trials/[0-9a-f]{2}/[0-9a-f]{4,64}/attempts/[A-Za-z0-9][A-Za-z0-9._-]{0,254})/(outputs|outputs[.]json)"
)
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class TooMuch(ValueError):
    """There is more than is kept, in words."""


def quantity(text: str) -> int:
    """Bytes, as Kubernetes spells them: 2Gi, 500M. Raises ValueError."""
    size = re.fullmatch("([0-9]+)([kMGT]|[KMGT]i|)", text)
    if not size:
        raise ValueError(f"expected a size such as 2Gi, got {text!r}")
    return int(size[1]) * UNITS[size[2]]


def listed(folder: int, most: int, beat: Callable[[], None]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """({path: {bytes, sha256}}, what is no file and so not kept) of all below the handle `folder`, flushed to disk.

    `beat` is called now and then. Raises TooMuch above `most` bytes or MOST_FILES files, and OSError.
    """
    files: dict[str, dict[str, Any]] = {}
    other: list[str] = []
    sizes = [size for _, _, _, mode, size in walk(folder) if stat.S_ISREG(mode)]
    total = sum(sizes)
    if len(sizes) > MOST_FILES or total > most:
        raise TooMuch(f"{total} bytes in {len(sizes)} files, of which at most {most} bytes in {MOST_FILES} are kept")
    for path, above, name, mode, _ in walk(folder):
        if not stat.S_ISREG(mode):
            other.append(path)
            continue
        digest, size = hashlib.sha256(), 0
        with opened(above, name) as handle:
            while chunk := os.read(handle, CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                beat()
            with suppress(OSError):  # a file system that syncs nothing through a handle for reading
                os.fsync(handle)
        files[path] = {"bytes": size, "sha256": digest.hexdigest()}
    return files, other


def digest_of(files: dict[str, dict[str, Any]]) -> str:
    """One hash for all of a list of files."""
    return hashlib.sha256(json.dumps(files, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def walk(folder: int, above: str = "", depth: int = 0) -> Iterator[tuple[str, int, str, int, int]]:
    """(path, handle of the folder it lies in, name, mode, bytes) of all but folders, in order and through no link."""
    if depth > DEEPEST:
        raise TooMuch(f"folders more than {DEEPEST} deep, at {above[:100]}")
    for name in sorted(os.listdir(folder)):
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(about.st_mode):
            yield f"{above}{name}", folder, name, about.st_mode, about.st_size
            continue
        with entered(folder, name) as below:
            yield from walk(below, f"{above}{name}/", depth + 1)


@contextmanager
def opened(folder: int, name: str) -> Iterator[int]:
    handle = os.open(name, FILE, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def entered(above: int, path: str) -> Iterator[int]:
    """A handle of the folder at `path`, each opened in the one above and through no link."""
    handle = os.dup(above)
    try:
        for part in path.split("/"):
            below = os.open(part, FOLDER, dir_fd=handle)
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def saved(names: Iterable[str]) -> list[str]:
    """Those of checkpoints that are not being written."""
    return [name for name in names if name[0] != "." and "tmp" not in name]


def epochs_of(names: Iterable[str]) -> dict[str, int]:
    """The epoch of each checkpoint that is saved and numbered: the first number in its name."""
    numbers = {name: re.search("[0-9]+", name) for name in saved(names)}
    return {name: int(number[0]) for name, number in numbers.items() if number}


def newest_checkpoint(folder: int, budget: float | None) -> str | None:
    """Name of what is newest in a folder of checkpoints: that of the highest epoch, or written last where none is
    numbered. Where trials of several budgets share them, only numbered ones within the own `budget`.
    """
    names = os.listdir(folder)
    epochs = epochs_of(names)
    numbered = [(epoch, name) for name, epoch in epochs.items() if budget is None or epoch <= budget]
    if numbered or budget is not None:
        return max(numbered)[1] if numbered else None
    plain = [(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime, name) for name in saved(names)]
    return max(plain)[1] if plain else None


def check_size(source: int, name: str, most: int) -> None:
    """Raise TooMuch where a file, or all files of a folder, have more than `most` bytes: before any is copied."""
    about = os.stat(name, dir_fd=source, follow_symlinks=False)
    total = about.st_size
    if stat.S_ISDIR(about.st_mode):
        with entered(source, name) as folder:
            total = sum(size for _, _, _, _, size in walk(folder))
    if total > most:
        raise TooMuch(f"a checkpoint of {total} bytes, of which at most {most} are kept")


def copy(source: int, name: str, target: int, beat: Callable[[], None]) -> None:
    """Copy a file, or the files of a folder, from the handle `source` into the empty folder of the handle `target`.

    Raises OSError.
    """
    mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
    if stat.S_ISREG(mode):
        copy_file(source, name, target, beat)
    elif stat.S_ISDIR(mode):
        os.mkdir(name, dir_fd=target)
        with entered(source, name) as inner, entered(target, name) as below:
            for each in os.listdir(inner):
                copy(inner, each, below, beat)


def copy_file(source: int, name: str, target: int, beat: Callable[[], None]) -> None:
    out = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=target)
    try:
        with opened(source, name) as handle:
            while chunk := os.read(handle, CHUNK_BYTES):
                while chunk:
                    chunk = chunk[os.write(out, chunk) :]
                beat()
    finally:
        os.close(out)


# ---- as the program of a Pod -----------------------------------------------------------------------------------------


def serve(store: str) -> None:
    """Answer requests until there are no more."""
    top = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for line in sys.stdin.buffer:
        wanted = json.loads(line)
        try:
            if "remove" in wanted:
                if remove(top, wanted["remove"]):
                    answer(base64.b64encode(b"removed"))
            else:
                send(top, wanted["read"], wanted["offset"])
            answer(b".")
        except OSError as error:
            answer(f"!{error.strerror}".encode())


def answer(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def send(top: int, path: str, offset: int) -> None:
    """The rest of a plain file. Raises OSError."""
    above, _, name = path.rpartition("/")
    with entered(top, above) as folder, opened(folder, name) as handle:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "is no file")
        os.lseek(handle, offset, os.SEEK_SET)
        while chunk := os.read(handle, LINE_BYTES):
            answer(base64.b64encode(chunk))


def remove(top: int, path: str) -> bool:
    """Remove the outputs of an attempt or their list; False where they are gone. Raises OSError for any other path."""
    parts = OF_AN_ATTEMPT.fullmatch(path)
    if not parts:
        raise OSError(errno.EINVAL, "is no outputs of an attempt; nothing else is removed")
    try:
        with entered(top, parts[1]) as folder:
            remove_all(folder, parts[2])
    except FileNotFoundError:
        return False
    return True


def remove_all(folder: int, name: str) -> None:
    """A file, or a folder with all that is in it; of a link the link alone."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=folder)
        return
    with entered(folder, name) as below:
        for inner in os.listdir(below):
            remove_all(below, inner)
    os.rmdir(name, dir_fd=folder)


if __name__ == "__main__":
    serve(sys.argv[1])
