"""What a reader Pod prints, taken apart: nothing of it names a file that is not a trial's own, or has no bound.

The digest in its last record tells an accident. Whoever may change Pods of the namespace can print what they like, and
what they print is checked as anything else that others wrote.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from sweep.errors import Unreachable
from sweep.records import store, strict, verdicts
from sweep.records.attempt import NAME as ATTEMPT

LARGEST_BYTES = 128 * 2**20
"""Of a record, unpacked: 300 attempts with as much history as is sent of each."""
LARGEST_SIZE = 2**40
"""Of a file of which the record holds the end."""
LATEST = 1e11
"""No clock is later: seconds of the epoch in 3,000 years."""
FILES = ("attempt.json", "history.jsonl", "output.log")
"""Of an attempt."""
MOST_VERDICTS = 8
"""Of a trial, which each sweep with another rule may have stopped."""


def parse(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """What a reader printed, record by record; the last has no trial. Raises Unreachable where lines are missing, or
    hold something else.
    """
    digest, count = hashlib.sha256(), 0
    for line in lines:
        try:
            record = json.loads(line if line.startswith(b"{") else _unpacked(line))
            record = of_trial(record) if "trial" in record else _last(record)
        except (ValueError, TypeError, KeyError, RecursionError, zlib.error) as error:
            which = "its last record" if line.startswith(b"{") else "a record"
            raise Unreachable(f"reader: {which} arrived damaged ({_in_words(error)}); try again") from error
        if "trial" not in record:
            if (record["lines"], record["sha256"]) != (count, digest.hexdigest()):
                raise Unreachable(f"reader: {record['lines']} records were sent and {count} arrived whole; try again")
            yield record
            return
        digest.update(line + b"\n")
        count += 1
        yield record
    raise Unreachable(f"reader: its log broke off after {count} records; try again")


def _in_words(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)[:200]


def _unpacked(line: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(line, validate=True), LARGEST_BYTES)
    if not unpacker.eof:
        raise ValueError(f"cut off, or more than {LARGEST_BYTES // 2**20} MiB")
    return data


def of_trial(record: dict[str, Any]) -> dict[str, Any]:
    """The record of a trial, with `data` as bytes; less what no runner would call an attempt or a file of one.

    Raises ValueError, TypeError or KeyError.
    """
    trial, listed, files = record["trial"], record["attempts"], record["files"]
    _need(isinstance(trial, str) and store.ID.fullmatch(trial), "trial: no id")
    _need(isinstance(listed, list), "attempts: no list")
    _need(isinstance(files, dict), "files: no map")
    names = sorted({name for name in listed if isinstance(name, str) and ATTEMPT.fullmatch(name)})
    verdict = sorted(name for name in files if isinstance(name, str) and verdicts.FILE.fullmatch(name))
    paths = ["result.json", *verdict[:MOST_VERDICTS], *(f"attempts/{name}/{file}" for name in names for file in FILES)]
    return {"trial": trial, "attempts": names, "files": {path: _file(files[path]) for path in paths if path in files}}


def _file(entry: dict[str, Any]) -> dict[str, Any]:
    data, size, mtime_ns = base64.b64decode(entry["data"], validate=True), entry["size"], entry["mtime_ns"]
    _need(type(size) is int and len(data) <= size < LARGEST_SIZE, "size: no size")
    _need(type(mtime_ns) is int and abs(mtime_ns) < 2**62, "mtime_ns: no time")
    return {"data": data, "size": size, "mtime_ns": mtime_ns}


def _last(record: dict[str, Any]) -> dict[str, Any]:
    _need(isinstance(record, dict), "no map")
    left, unread, now = record["left"], record["unread"], record["now"]
    _need(type(left) is int and left >= 0, "left: no number")
    _need(isinstance(unread, list) and all(isinstance(path, str) for path in unread), "unread: no list of text")
    _need(strict.is_number(now) and abs(now) <= LATEST, "now: no time")
    return {"left": left, "unread": unread, "now": now, "lines": record["lines"], "sha256": record["sha256"]}


def _need(good: object, what: str) -> None:
    if not good:
        raise ValueError(what)
