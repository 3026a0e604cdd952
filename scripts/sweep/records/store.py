"""Reading a result store: what trials wrote, checked, and only as far as it is new.

    <store>/trials/<id[:2]>/<id>/result.json
                                 attempts/<number>-<UTC start>-<pod>/{attempt.json,output.log,history.jsonl}

Nothing here is fatal: a file that cannot be believed is set aside with its path and the reason.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from sweep.files import write_atomic
from sweep.records.attempt import Attempt, doubt
from sweep.render import Trial

SCHEMA_VERSION = 1
FINAL = ("succeeded", "diverged", "pruned")
"""The statuses a result.json may have; every other state lives in attempts/ alone."""

ID = re.compile("[0-9a-f]{4,64}")
LARGEST_BYTES = 4 * 1024 * 1024
"""No result or attempt is larger; what is, is not one of ours."""

LOOKED = ".looked"
"""Its mtime says when a mirror of a store was brought up to date; a store itself is looked at as it is read."""

STALE_RETRIES = 5
CACHE_VERSION = 1


@dataclass(frozen=True)
class Problem:
    """A file that was set aside."""

    path: str
    """Relative to the store."""
    what: str


@dataclass(frozen=True)
class Stored:
    """What the store holds of one trial. `result` is a valid result.json that one of the attempts backs, less the
    identity it was checked against."""

    result: dict[str, Any] | None = None
    attempts: tuple[Attempt, ...] = ()
    """Oldest first."""


@dataclass(frozen=True)
class Snapshot:
    """What the store held of a list of trials when it was read."""

    trials: dict[str, Stored]
    problems: list[Problem]
    found: bool
    """False when the store itself is not there (not mounted, deleted)."""
    read: int = 0
    """Files opened; the rest had not changed since the last time."""


def folder(store: Path, trial: str) -> Path:
    """Where the store keeps a trial."""
    return store / _key(trial)


def _key(trial: str) -> str:
    return f"trials/{trial[:2]}/{trial}"


def _id(trial: Trial | str) -> str:
    return trial if isinstance(trial, str) else trial.id


def ids(store: Path) -> list[str]:
    """The trials that the store has a folder of, sorted."""
    return sorted(path.name for path in store.glob("trials/??/*") if ID.fullmatch(path.name))


def attempt_names(store: Path, trial: str) -> list[str]:
    """The trial's attempts, oldest first, since a name begins with a number that counts them; [] if there is none yet.

    Older runners' names begin with the start in UTC: they come first, in the order of their clocks.
    """
    try:
        with os.scandir(f"{store}/{_key(trial)}/attempts") as listed:
            return sorted(entry.name for entry in listed if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def newest_attempt(store: Path, trial: str) -> str | None:
    """Name of a trial's newest attempt; None if there is none that can be seen."""
    try:
        return max(attempt_names(store, trial), default=None)
    except OSError:
        return None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


# Made once: json.loads and json.dumps make a new one for every call with options.
_decoder = json.JSONDecoder(parse_constant=_refuse)
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def parse_object(data: bytes) -> dict[str, Any]:
    """Strict JSON to an object. Raises ValueError with the reason."""
    try:
        made = _decoder.decode(data.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}" if data.strip(b"\0 \n") else "empty") from error
    if not isinstance(made, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind of error for all that is wrong with a file
    return made


def flaw(found: dict[str, Any], trial: Trial | str) -> str:
    """Why `found` is no valid result of `trial`; "" if it is: schema, id and the whole identity agree.

    Of a trial of which no more than the id is known, the identity is believed.

    The same rules as schemas/result.schema.json, which a test holds against this; jsonschema would take 50 times as
    long as reading the file.
    """
    if found.get("schema_version") != SCHEMA_VERSION:
        return f"schema_version {found.get('schema_version')!r}, this helm-sweep reads {SCHEMA_VERSION}"
    if found.get("id") != _id(trial):
        return f"is the result of another trial, {found.get('id')!r}"
    if found.get("status") not in FINAL:
        return f"status {found.get('status')!r} is none of {', '.join(FINAL)}"
    # As text, since 1, 1.0 and True are equal in Python but not the same hyperparameter.
    if not isinstance(trial, str) and _canonical(found.get("identity")) != _canonical(trial.identity):
        return "its identity is not that of the trial with this id"
    for name in ("metrics", "durations"):
        if not _are_numbers(found.get(name)):
            return f"{name}: not an object of finite numbers and nulls"
    if not isinstance(found.get("environment"), dict):
        return "environment: not an object"
    return "" if isinstance(found.get("attempt"), str) else "attempt: not the name of an attempt"


def _are_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(one is None or is_number(one) for one in value.values())


def is_number(value: Any) -> bool:
    """A finite number that a float can hold; booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def read(store: Path, trials: Iterable[Trial | str], cache: Path | None = None) -> Snapshot:
    """Read what the store holds of `trials`; of those given as an id alone, a result is taken at its word.

    `cache` is a file that remembers what was read, by size and mtime: only new and changed files are opened. It may be
    deleted at any time.
    """
    key = [CACHE_VERSION, str(store)]
    reader = _Reader(store, _looked_at(store), _load_cache(cache, key))
    # Nothing that is read becomes garbage, and looking for some among 10,000 trials takes a third of the time.
    gc.disable()
    try:
        kept = {_id(trial): reader.trial(trial) for trial in trials}
    finally:
        gc.enable()
    if cache and reader.cache != reader.before:
        write_atomic(cache, json.dumps({"key": key, "files": reader.cache}))
    return Snapshot(kept, reader.problems, (store / "trials").is_dir(), reader.opened)


def _looked_at(store: Path) -> float:
    """Seconds of the epoch by the clock that gives the store's files their times."""
    with contextlib.suppress(OSError):
        return (store / LOOKED).stat().st_mtime
    return now(store)


def now(folder: Path) -> float:
    """Seconds of the epoch by the clock of whoever serves a folder: machines may differ by hours. By our own where
    nothing can be written there.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            return os.fstat(probe.fileno()).st_mtime
    except OSError:
        return time.time()


def _load_cache(cache: Path | None, key: list[Any]) -> dict[str, list[Any]]:
    try:
        known = json.loads(cache.read_bytes()) if cache else {}
        return dict(known["files"]) if known["key"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # a cache that cannot be read is no cache


@dataclass
class _Reader:
    store: Path
    seen_at: float
    before: dict[str, list[Any]]
    """Path in the store -> [mtime_ns, size, inode, record]."""
    cache: dict[str, list[Any]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    opened: int = 0

    def __post_init__(self) -> None:
        self.root = str(self.store)

    def trial(self, trial: Trial | str) -> Stored:
        base = _key(_id(trial))
        result = self._file(f"{base}/result.json", trial)
        try:
            names = attempt_names(self.store, _id(trial))
        except OSError as error:
            self._aside(f"{base}/attempts", error)
            names = []
        attempts = tuple(self._attempt(base, name) for name in names)
        if result and (why := doubt(result, attempts)):
            self.problems.append(Problem(f"{base}/result.json", why))
            result = None
        return Stored(result, attempts)

    def _attempt(self, base: str, name: str) -> Attempt:
        key = f"{base}/attempts/{name}/attempt.json"
        record = self._file(key)
        return Attempt(name, {}) if record is None else Attempt(name, record, self.cache[key][0] / 1e9, self.seen_at)

    def _file(self, key: str, trial: Trial | str | None = None) -> dict[str, Any] | None:
        """A checked record, from the cache where the file has not changed; None if missing or set aside."""
        path = f"{self.root}/{key}"  # pathlib would take half of the time
        try:
            stat = os.stat(path)  # noqa: PTH116
            stamp = [stat.st_mtime_ns, stat.st_size, stat.st_ino]
            known = self.before.get(key)
            if known and known[:3] == stamp:
                self.cache[key] = known
                record: dict[str, Any] = known[3]
                return record
            if stat.st_size > LARGEST_BYTES:
                raise ValueError(f"{stat.st_size} bytes, more than any result or attempt has")
            self.opened += 1
            record = parse_object(read_bytes(path))
            if trial:
                if wrong := flaw(record, trial):
                    raise ValueError(wrong)
                # The id is the identity's hash, so the cache need not hold it again.
                record.pop("identity", None)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            self._aside(key, error)
            return None
        self.cache[key] = [*stamp, record]
        return record

    def _aside(self, key: str, error: Exception) -> None:
        what = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        self.problems.append(Problem(key, what))


def read_bytes(path: Path | str) -> bytes:
    """The whole file. On NFS a file that another client replaced while it was open gives ESTALE: open it again."""
    for left in reversed(range(STALE_RETRIES + 1)):
        try:
            with open(path, "rb") as opened:  # noqa: PTH123
                return opened.read()
        except OSError as error:
            if error.errno != errno.ESTALE or not left:
                raise
    raise AssertionError("the last round returns or raises")


def log_tail(store: Path, trial: str, attempt: str, lines: int = 20) -> list[str]:
    """The last lines of an attempt's output, [] if there is none. At most 64 KiB are read."""
    try:
        with (folder(store, trial) / "attempts" / attempt / "output.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 65_536))
            return log.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def history(store: Path, trial: str, attempt: str) -> list[dict[str, Any]]:
    """The lines of an attempt's history.jsonl that are objects; a line still being written is not one yet.

    A value may be NaN or infinite here, as a diverging trial writes it.
    """
    try:
        data = read_bytes(folder(store, trial) / "attempts" / attempt / "history.jsonl")
    except OSError:
        return []
    made = []
    for line in data.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            made.append(json.loads(line))
    return [entry for entry in made if isinstance(entry, dict)]
