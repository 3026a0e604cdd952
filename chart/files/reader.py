"""Print what the result store has of some trials, as far as the one who asks does not know it yet. Read-only.

    python3 -I -S -c "$(cat reader.py)" STORE BYTES ID:FINGERPRINT ...

One line a trial that has changed: base64 of zlib of JSON {"trial", "attempts": [name], "files": {path: {"mtime_ns",
"size", "data"}}}, where `data` is base64 of the file; where `size` is larger, of its end, or empty. The last line is
JSON {"left": how many ids were not looked at because BYTES were reached, "unread": [what could not be read, and why],
"now": seconds of the epoch at the start, "lines", "sha256": of all lines before}: a log that the kubelet has rotated,
or cut, is told by it. Standard library only, Python 3.9.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import heapq
import json
import os
import re
import stat
import sys
import time
import zlib
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # typing takes as long to import as all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")

HISTORY_BYTES = 262_144
LOG_BYTES = 16_384
RECORD_BYTES = 4 * 1024 * 1024
TRIAL_BYTES = 4 * 1024 * 1024  # of all files: its line, after BYTES of others, stays below a kubelet's 10 MiB
MOST_ATTEMPTS, MOST_VERDICTS = 1000, 8
STALE_RETRIES = 5
MOST_UNREAD = 20
VERDICT_NAME = re.compile(r"stopped-[0-9a-f]{4,64}\.json")
ATTEMPT_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def enter(above: int, path: str) -> int:
    """A handle of the folder at `path` below the handle `above`: each opened in the one above, and through no link."""
    handle = os.dup(above)
    for part in path.split("/"):
        upper = handle
        try:
            handle = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=upper)
        except NotADirectoryError:
            if stat.S_ISLNK(os.stat(part, dir_fd=upper, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, f"{part} is a link, and nothing is read through one; remove it") from None
            raise
        finally:
            os.close(upper)
    return handle


@contextmanager
def opened(store: str, trial: str) -> Iterator[int | None]:
    """A handle of a trial's folder, None where there is none. An OSError in here names the whole path."""
    folder, handle = f"trials/{trial[:2]}/{trial}", None
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            top = os.open(store, FOLDER)
            try:
                handle = enter(top, folder)
            finally:
                os.close(top)
        yield handle
    except OSError as error:
        error.filename = "/".join([store, folder, *([error.filename] if error.filename else [])])
        raise
    finally:
        if handle is not None:
            os.close(handle)


def there(look: Callable[..., T], trial: int | None, path: str, *more: object) -> T | None:
    """look(handle of the folder that holds `path`, its name, *more), None where nothing is there. `trial`: see opened.

    Every other error is one: what cannot be read is not gone. On NFS a file that another client replaced while it was
    open gives ESTALE: open it again.
    """
    above, _, name = path.rpartition("/")
    left = STALE_RETRIES
    while trial is not None:
        try:
            folder = enter(trial, above or ".")
            try:
                return look(folder, name, *more)
            finally:
                os.close(folder)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            error.filename = path
            if error.errno != errno.ESTALE or not left:
                raise
            left -= 1
    return None


def names(folder: int, name: str) -> list[str]:
    """Names of the attempts in a folder, oldest first; of very many the newest. A link is none."""
    handle = enter(folder, name)
    try:
        with os.scandir(handle) as entries:
            folders = (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            return sorted(heapq.nlargest(MOST_ATTEMPTS, filter(ATTEMPT_NAME.fullmatch, folders)))
    finally:
        os.close(handle)


def attempts(trial: int | None) -> list[str]:
    return there(names, trial, "attempts") or []


def verdict_names(folder: int, name: str) -> list[str]:
    handle = enter(folder, name)
    try:
        return sorted(filter(VERDICT_NAME.fullmatch, os.listdir(handle)))[:MOST_VERDICTS]
    finally:
        os.close(handle)


def verdicts(trial: int | None) -> list[str]:
    """Files of the rules that stopped a trial."""
    return there(verdict_names, trial, ".") or []


def plain(status: os.stat_result) -> os.stat_result:
    """The stat of a plain file. Raises OSError for that of anything else."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"is not a file but a {stat.filemode(status.st_mode)}; remove it")
    return status


def sign(folder: int, name: str) -> str:
    """Size and time of a file, in words."""
    status = plain(os.stat(name, dir_fd=folder, follow_symlinks=False))
    return f"{status.st_size} {status.st_mtime_ns}"


def fingerprint(store: str, trial: str) -> str:
    """12 hex digits over the names, sizes and times of a trial's result and attempts: what changes when they do."""
    with opened(store, trial) as folder:
        paths = ["result.json", *(f"attempts/{name}/attempt.json" for name in attempts(folder)), *verdicts(folder)]
        signs = [f"{path} {there(sign, folder, path) or '-'}" for path in paths]
    return hashlib.sha256("\n".join(signs).encode()).hexdigest()[:12]


def read(folder: int, name: str, most: int, whole: bool = False) -> dict[str, Any]:
    """A file as the record of it. Of one that is larger than `most` the data is the end, or with `whole` nothing."""
    plain(os.stat(name, dir_fd=folder, follow_symlinks=False))  # what else there is is not even opened
    with open(os.open(name, FILE, dir_fd=folder), "rb") as file:
        status = plain(os.fstat(file.fileno()))
        size = 0 if whole and status.st_size > most else min(most, status.st_size)
        file.seek(status.st_size - size)
        data = file.read(size)
    return {"mtime_ns": status.st_mtime_ns, "size": status.st_size, "data": base64.b64encode(data).decode()}


def read_output(folder: int, name: str, most: int) -> dict[str, Any] | None:
    """As `read`; None for what is no plain file. A command may have put anything there, and no result hangs on it."""
    try:
        return read(folder, name, most)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ELOOP, errno.ENXIO):
            raise
        return None


def record(store: str, trial: str) -> dict[str, Any]:
    """All that is told of a trial; the log of its newest attempt only, and histories, newest first, as far as there is
    room.

    A trial writes what an attempt.json or a result.json sums up before it; so those are read first, to be no newer. And
    the result before its attempts are listed: the one that backs it must be among them.
    """
    with opened(store, trial) as folder:
        names = ["result.json", *verdicts(folder)]
        files = {name: there(read, folder, name, RECORD_BYTES, True) for name in names}
        listed = attempts(folder)
        left = TRIAL_BYTES - sum(map(weight, files.values()))
        for name in reversed(listed):
            path = f"attempts/{name}/attempt.json"
            files[path] = there(read, folder, path, RECORD_BYTES, True)
            left -= weight(files[path])
            if left < 0:
                what = f"its result.json and attempt.json have more than {TRIAL_BYTES} bytes; remove what is no record"
                raise OSError(errno.EFBIG, what)
        outputs = [(f"attempts/{name}/output.log", LOG_BYTES) for name in listed[-1:]]
        outputs += [(f"attempts/{name}/history.jsonl", HISTORY_BYTES) for name in reversed(listed)]
        for path, most in outputs:
            if left > 0:
                files[path] = there(read_output, folder, path, min(most, left))
                left -= weight(files[path])
    return {"trial": trial, "attempts": listed, "files": {path: content for path, content in files.items() if content}}


def weight(content: dict[str, Any] | None) -> int:
    """Bytes of the data of a file's record."""
    return len(content["data"]) * 3 // 4 if content else 0


def main(store: str, most: str, known: list[str]) -> None:
    if not os.path.isdir(store):
        sys.exit(f"reader: {store}: no such folder; the volume is not mounted")
    now, printed, lines, digest = time.time(), 0, 0, hashlib.sha256()
    unread: list[str] = []
    for at, listed in enumerate(known):
        trial, _, before = listed.partition(":")
        try:
            if fingerprint(store, trial) == before:
                continue
            answer = record(store, trial)
        except OSError as error:
            unread.append(f"{error.filename or trial}: {error.strerror}")
            continue
        line = base64.b64encode(zlib.compress(json.dumps(answer).encode())) + b"\n"
        sys.stdout.buffer.write(line)
        digest.update(line)
        printed, lines = printed + len(line), lines + 1
        if printed >= int(most):
            left = len(known) - at - 1
            break
    else:
        left = 0
    end = {"left": left, "unread": unread[:MOST_UNREAD], "now": now, "lines": lines, "sha256": digest.hexdigest()}
    print(json.dumps(end), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
