"""What trials printed and wrote down on their way, however much that is."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sweep.errors import naming
from sweep.files import Tree, says_none
from sweep.records.store import path_of
from sweep.records.strict import LONGEST_NAME, MOST_FIELDS, whole_number

HISTORY_BYTES, HISTORY_CHUNKS, HISTORY_LINE, HISTORY_LINES = 16 * 1024 * 1024, 256, 65_536, 1000
"""What is read of a longer history: so many bytes, in chunks from all of it; lines that are longer are left out, and of
what is left at least so many lines are kept, at most twice as many."""

LOG_BYTES, LOG_LINE = 256 << 20, 1 << 20
"""Of a log: what is shown of it, and what is in memory at once."""


def open_log(store: Path, trial: str, attempt: str) -> int | None:
    """A handle of an attempt's output.log; None where there is none. Raises OSError where the machine does not say."""
    return _open(store, f"{path_of(trial)}/attempts/{attempt}/output.log")


def _open(store: Path, path: str) -> int | None:
    """A handle of a file of the store, None where there is none."""
    try:
        with naming(store / path), Tree(store) as tree:
            return tree.open(path)
    except ValueError:
        return None
    except OSError as error:
        if not says_none(error):
            raise
        return None


def has_log(store: Path, trial: str, attempt: str) -> bool:
    handle = open_log(store, trial, attempt)
    if handle is not None:
        os.close(handle)
    return handle is not None


def lines(handle: int) -> Iterator[bytes]:
    """What a log says, of one that is larger than anybody reads the end. Closes the handle."""
    with os.fdopen(handle, "rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_BYTES))
        yield from iter(lambda: log.readline(LOG_LINE), b"")


def log_tail(store: Path, trial: str, attempt: str, lines: int = 20) -> list[str]:
    """The last lines of an attempt's output, [] if there is none. At most 64 KiB are read."""
    handle = open_log(store, trial, attempt)
    if handle is None:
        return []
    with naming(store / path_of(trial)), os.fdopen(handle, "rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 65_536))
        return log.read(65_536).decode(errors="replace").splitlines()[-lines:]


def history(store: Path, trial: str, attempt: str) -> list[dict[str, Any]]:
    """The lines of an attempt's history.jsonl that are objects; a line still being written is not one yet.

    Of a long one evenly spaced lines, and the last. A value may be NaN or infinite, as a diverging trial writes it.
    """
    handle = _open(store, f"{path_of(trial)}/attempts/{attempt}/history.jsonl")
    if handle is None:
        return []
    with naming(store / path_of(trial)), os.fdopen(handle, "rb") as file:
        lines = _thinned_lines(_lines(file, os.fstat(handle).st_size))
    rows = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            entry = _lenient.decode(line.decode())
            if isinstance(entry, dict):
                rows.append(
                    {name: value for name, value in list(entry.items())[:MOST_FIELDS] if len(name) <= LONGEST_NAME}
                )
    return rows


_lenient = json.JSONDecoder(parse_int=whole_number)


def _lines(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The lines of a file; of one that is too large whole lines of chunks from all of it."""
    chunk = HISTORY_BYTES // HISTORY_CHUNKS
    whole = size <= HISTORY_BYTES
    for number in range(1 if whole else HISTORY_CHUNKS):
        left = HISTORY_BYTES if whole else chunk
        if not whole:
            file.seek(number * (size - chunk) // (HISTORY_CHUNKS - 1))
        inside = bool(whole or number == 0)
        while left > 0 and (line := file.readline(min(left, HISTORY_LINE))):
            left -= len(line)
            ended = line.endswith(b"\n") or (left > 0 and len(line) < HISTORY_LINE)
            if inside and ended:
                yield line
            inside = ended


def _thinned_lines(lines: Iterable[bytes]) -> list[bytes]:
    """At most 2 * HISTORY_LINES + 1 of the lines, evenly spaced, and the last one."""
    kept: list[bytes] = []
    step, last = 1, b""
    for number, line in enumerate(lines):
        last = line
        if number % step == 0:
            kept.append(line)
            if len(kept) > 2 * HISTORY_LINES:
                kept, step = kept[::2], step * 2
    return kept if not kept or kept[-1] is last else [*kept, last]
