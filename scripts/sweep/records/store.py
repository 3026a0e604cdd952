"""Reading a result store: what trials wrote, checked, and only as far as it is new.

    <store>/trials/<id[:2]>/<id>/result.json
                                 stopped-<group>.json     where a rule stopped it: see verdicts.py
                                 attempts/<number>-<UTC start>-<pod>/{attempt.json,output.log,history.jsonl}

No content is fatal: a file that cannot be believed is set aside with its path and the reason. What this machine refuses
to read (EIO, EACCES, EMFILE) is another matter: no answer is not `there is none`, and a table without that trial would
be a wrong one.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep import files
from sweep.errors import BadInput
from sweep.files import Tree
from sweep.records import verdicts
from sweep.records.attempt import Attempt, doubt
from sweep.records.strict import ATTEMPT, RESULT, is_number, parse_object, slim, thinned
from sweep.render import Trial

SCHEMA_VERSION = 1
"""What is written here; a newer one is read as far as it is known: an absent field is unknown, an extra one kept."""
FINAL = ("succeeded", "diverged", "pruned")
"""The statuses a result.json may have; every other state lives in attempts/ alone."""

ID = re.compile("[0-9a-f]{4,64}")
LARGEST_BYTES = 4 * 1024 * 1024
"""No result or attempt is larger; what is, is not one of ours."""

LARGEST_CACHE = 256 * 1024 * 1024
MOST_ATTEMPTS = 1000
"""Of a trial that are read, the newest."""

LOOKED = ".looked"
"""Its mtime says when a mirror of a store was brought up to date; a store itself is looked at as it is read."""

CACHE_VERSION = 3


@dataclass(frozen=True)
class Problem:
    """A file that was set aside."""

    path: str
    """Relative to the store."""
    what: str


@dataclass(frozen=True)
class Stored:
    """What the store holds of one trial. `result` is a valid result.json that one of the attempts backs, less the
    identity it was checked against; without one, the same of where the sweep's own rule stopped the trial."""

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
    return store / path_of(trial)


def reproduction(store: Path, trial: str, number: int) -> Path:
    """The result store of one reproduction."""
    return store / "reproductions" / trial / str(number)


def path_of(trial: str) -> str:
    """Of its folder, below the store."""
    return f"trials/{trial[:2]}/{trial}"


def _id(trial: Trial | str) -> str:
    return trial if isinstance(trial, str) else trial.id


def ids(store: Path) -> list[str]:
    """The trials that the store has a folder of, sorted."""
    with Tree(store) as tree:
        return sorted(
            name
            for place in tree.folders("trials")
            for name in tree.names(f"trials/{place}")
            if ID.fullmatch(name) and name[:2] == place
        )


def attempt_names(tree: Tree, trial: str) -> list[str]:
    """The trial's attempts, oldest first, since a name begins with a number that counts them; [] if there is none yet.

    Older runners' names begin with the start in UTC: they come first, in the order of their clocks.
    """
    return tree.folders(f"{path_of(trial)}/attempts")


def newest_attempt(store: Path, trial: str) -> str | None:
    """Name of a trial's newest attempt; None if there is none. Raises OSError where the machine does not say."""
    try:
        with Tree(store) as tree:
            return max(attempt_names(tree, trial), default=None)
    except OSError as error:
        if not files.says_none(error):
            raise
        return None


NO_ATTEMPT = "attempt: not the name of an attempt"
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode  # made once: json.dumps makes one a call


def flaw(result: dict[str, Any], trial: Trial | str, file: str = "result.json") -> str:
    """Why `result` is no valid result of `trial`; "" if it is: schema, id and the whole identity agree.

    What is in the `file` of a verdict is one where that follows from its evidence, by the sweep's own rule.

    Of a trial of which no more than the id is known, the identity is believed.

    The same rules as schemas/result.schema.json, which a test holds against this; jsonschema would take 50 times as
    long as reading the file.
    """
    version = result.get("schema_version")
    if type(version) is not int or version < SCHEMA_VERSION:
        return f"schema_version {str(version)[:20]!r}, expected a number from {SCHEMA_VERSION}"
    if result.get("id") != _id(trial):
        return f"is the result of another trial, {result.get('id')!r}"
    if result.get("status") not in FINAL:
        newer = f"; it is of schema_version {version}: upgrade helm-sweep" if version > SCHEMA_VERSION else ""
        return f"status {str(result.get('status'))[:100]!r} is none of {', '.join(FINAL)}{newer}"
    # As text, since 1, 1.0 and True are equal in Python but not the same hyperparameter.
    if not isinstance(trial, str) and _canonical(result.get("identity")) != _canonical(trial.identity):
        return "its identity is not that of the trial with this id"
    unknown: dict[str, Any] | None = {} if version > SCHEMA_VERSION else None
    for name, default in (("metrics", None), ("durations", unknown)):
        if not _are_numbers(result.get(name, default)):
            return f"{name}: not an object of finite numbers and nulls"
    if not isinstance(result.get("environment", unknown), dict):
        return "environment: not an object"
    return _verdict_flaw(result, trial, file) if isinstance(result.get("attempt"), str) else NO_ATTEMPT


def _verdict_flaw(result: dict[str, Any], trial: Trial | str, file: str) -> str:
    """Why there is no verdict where one is due, or one where none is."""
    if verdicts.FILE.fullmatch(file):
        return verdicts.flaw(result, _id(trial), None if isinstance(trial, str) else trial.stop)
    return "is the verdict of a rule, and no whole result" if "verdict" in result else ""


def _are_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(number is None or is_number(number) for number in value.values())


def read(store: Path, trials: Iterable[Trial | str], cache: Path | None = None) -> Snapshot:
    """Read what the store holds of `trials`; of those given as an id alone, a result is taken at its word.

    `cache` is a file that remembers what was read, by size and mtime: only new and changed files are opened. It may be
    deleted at any time.
    """
    key = [CACHE_VERSION, str(store)]
    tree = Tree(store)
    reader = _Reader(tree, _looked_at(store), _load_cache(cache, key))
    # Nothing that is read becomes garbage, and looking for some among 10,000 trials takes a third of the time.
    gc.disable()
    try:
        kept = {_id(trial): reader.trial(trial) for trial in trials}
    finally:
        gc.enable()
        tree.close()
    if cache and reader.cache != reader.before:
        with contextlib.suppress(OSError):  # it saves time, and nothing else
            files.write_atomic(cache, json.dumps({"key": key, "files": reader.cache}))
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
        known = json.loads(files.read(cache, LARGEST_CACHE)) if cache else {}
        return dict(known["files"]) if known["key"] == key else {}
    except (OSError, BadInput, ValueError, KeyError, TypeError, RecursionError):
        return {}  # a cache that cannot be read is no cache


@dataclass
class _Reader:
    tree: Tree
    seen_at: float
    before: dict[str, list[Any]]
    """Path in the store -> [mtime_ns, size, inode, record]."""
    cache: dict[str, list[Any]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    opened: int = 0

    def trial(self, trial: Trial | str) -> Stored:
        base = path_of(_id(trial))
        name = "result.json"
        result = self._file(f"{base}/{name}", trial)
        if result is None and not isinstance(trial, str) and trial.group:
            name = verdicts.name_of(trial.group)
            result = self._file(f"{base}/{name}", trial)
        try:
            names = attempt_names(self.tree, _id(trial))
        except OSError as error:
            self._aside(f"{base}/attempts", error)
            names = []
        if len(names) > MOST_ATTEMPTS:
            what = f"{len(names)} attempts, of which the newest {MOST_ATTEMPTS} are read"
            self.problems.append(Problem(f"{base}/attempts", what))
        attempts = tuple(self._attempt(base, name) for name in names[-MOST_ATTEMPTS:])
        if result and (why := doubt(result, attempts)):
            self.problems.append(Problem(f"{base}/{name}", why))
            result = None
        return Stored(result, attempts)

    def _attempt(self, base: str, name: str) -> Attempt:
        key = f"{base}/attempts/{name}/attempt.json"
        record = self._file(key)
        return Attempt(name, {}) if record is None else Attempt(name, record, self.cache[key][0] / 1e9, self.seen_at)

    def _file(self, key: str, trial: Trial | str | None = None) -> dict[str, Any] | None:
        """A checked record, from the cache where the file has not changed; None if missing or set aside."""
        try:
            stat = self.tree.stat(key)
            stamp = [stat.st_mtime_ns, stat.st_size, stat.st_ino]
            known = self.before.get(key)
            if known and known[:3] == stamp:
                self.cache[key] = known
                record: dict[str, Any] = known[3]
                return record
            self.opened += 1
            record = parse_object(self.tree.read(key, LARGEST_BYTES))
            known_problems = len(self.problems)
            if trial:
                if wrong := flaw(record, trial, key.rpartition("/")[2]):
                    raise ValueError(wrong)
                record = self._result(key, record, trial)
            else:
                record = slim(record, ATTEMPT)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            self._aside(key, error)
            return None
        if len(self.problems) == known_problems:  # else it is to be told again
            self.cache[key] = [*stamp, record]
        return record

    def _result(self, key: str, result: dict[str, Any], trial: Trial | str) -> dict[str, Any]:
        """What is kept of a valid result: not the identity, whose hash the id is."""
        objective = result.get("objective") if isinstance(trial, str) else trial.objective
        metrics = thinned(result["metrics"], objective)
        if len(metrics) < len(result["metrics"]):
            what = f"{len(result['metrics'])} metrics, of which {len(metrics)} are read"
            self.problems.append(Problem(key, what))
        verdict = {"verdict": verdicts.brief(result["verdict"])} if "verdict" in result else {}
        return {"durations": {}, "environment": {}} | slim({**result, **verdict}, RESULT) | {"metrics": metrics}

    def _aside(self, key: str, error: Exception) -> None:
        """Set a file aside. Raises what this machine says instead of an answer: the file may be a good one."""
        if isinstance(error, OSError) and not files.says_none(error):
            error.filename = f"{self.tree.root}/{key}"
            raise error
        what = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        self.problems.append(Problem(key, what))
