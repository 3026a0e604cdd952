"""The attempts of a trial in the store: the one that runs, its record and its signs of life, and those before it."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from datetime import datetime, timezone

from checks import is_finite, strict_object
from ending import say
from folders import LARGEST_RECORD_BYTES, create, read_bytes
from identity import FINAL, SCHEMA_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from arguments import Options
    from folders import Folder


HEARTBEAT_SECONDS = 10
ALIVE_SECONDS = 60  # without a heartbeat for this long an attempt is dead
ATTEMPT_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,254}"


class Attempt:
    """The folder of this attempt in the store, and the attempt.json in it."""

    def __init__(self, trial_folder: Folder, options: Options, trial: dict[str, Any]) -> None:
        """Raises OSError when the store cannot be written; nothing half-made is left then."""
        self.began = time.monotonic()
        now, environ, host = time.time(), os.environ, os.uname().nodename
        self.siblings = trial_folder.below("attempts")
        pod = environ.get("POD_NAME") or host
        stamp, pod_name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)), re.sub("[^A-Za-z0-9.-]", "-", pod)
        with self.siblings.handle(make=True) as handle:
            name = f"a{next_number(os.listdir(handle)):06}-{stamp}-{pod_name}"
            self.name = next(new for new in (name, *(f"{name}-{n}" for n in range(2, 99))) if is_new(new, handle))
        self.folder = self.siblings.below(self.name)
        self.history: tuple[int, ...] | None = ()  # what tells that history.jsonl is ours; None: it is the command's
        self.history_text = b""  # what is in it
        self.taken: dict[str, Any] | None = None  # what is in taken.json
        self.variables: dict[str, str] = {}  # by which the command finds the other nodes
        self.record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION, "id": trial["id"], "attempt": self.name, "sweep": trial.get("sweep", ""),
            "status": "running", "exit_code": None, "reason": "", "started_at": utc(now), "finished_at": None,
            "used_s": 0.0,
            "engine": environ.get("SWEEP_ENGINE") or "cluster", "node": environ.get("NODE_NAME") or host,
            "pod": pod, "pod_uid": environ.get("POD_UID") or os.urandom(16).hex(), "gpus": options.gpus * options.nodes,
            "limit_seconds": trial["limit_seconds"], "provenance": read_provenance(options.provenance),
            **({"peers": [], "master": ""} if options.nodes > 1 else {}),
        }  # fmt: skip
        try:
            self.folder.write_atomic("attempt.json", self.record, lasting=False)
        except OSError:
            self.siblings.remove(self.name)
            raise

    def settle(self) -> None:
        """Have its record on disk: not before the command starts, which would wait for that, but before any result."""
        with suppress(OSError, ValueError):  # as a heartbeat
            self.folder.sync("attempt.json")

    def used_s(self) -> float:
        """Seconds since it began, by a clock that nobody sets and that stands still while the machine sleeps."""
        return round(time.monotonic() - self.began, 3)

    def heartbeat(self) -> None:
        """A sign of life, and how long it has run: that of an attempt that is killed counts up to here."""
        self.record["used_s"] = self.used_s()
        with suppress(OSError):  # a beat less costs nothing; a store that is really gone shows at the next write
            self.folder.write_atomic("attempt.json", self.record)

    def keep_alive(self) -> None:
        """A heartbeat, where one is due."""
        if self.used_s() - self.record["used_s"] >= HEARTBEAT_SECONDS:
            self.heartbeat()

    def finish(self, status: str, exit_code: int | None, reason: str, kept: dict[str, Any] | None = None) -> None:
        self.record.update(status=status, exit_code=exit_code, reason=reason, finished_at=utc(time.time()))
        self.record.pop("ending", None)
        self.record["used_s"] = self.used_s()
        self.record.update({"kept": kept} if kept else {})
        self.folder.write_atomic("attempt.json", self.record)

    def keep(self, name: str, data: bytes) -> None:
        """Keep a file beside attempt.json for people to look at, as far as it can be."""
        with suppress(OSError), self.folder.handle() as handle, open(create(name, handle), "wb") as opened:
            opened.write(data)

    def keep_history(self, data: bytes) -> None:
        """Have the learning curve so far in history.jsonl, unless the command writes that itself."""
        name = "history.jsonl"

        def sign() -> tuple[int, ...]:
            try:
                with self.folder.handle() as handle:
                    status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            except FileNotFoundError:
                return ()
            return status.st_ino, status.st_size, status.st_mtime_ns

        with suppress(OSError):
            self.history = self.history if sign() == self.history else None
            if data != self.history_text and self.history is not None:
                self.folder.write_atomic(name, data)
                self.history, self.history_text = sign(), data

    def keep_taken(self, record: dict[str, Any] | None) -> None:
        """Have what was read of the metrics in taken.json, for an attempt that goes on from this one."""
        if record is not None and record != self.taken:
            with suppress(OSError):
                self.folder.write_atomic(
                    "taken.json", record, lasting=False
                )  # the next trial waits for what is lasting
                self.taken = record

    def since_result(self) -> list[tuple[dict[str, Any], float]]:
        """(attempt.json, time of the last sign of life) of the attempts before this one, oldest first: those since a
        result. If that was invalid or deleted, the trial begins anew too."""
        since: list[tuple[dict[str, Any], float]] = []
        for record, alive_at in attempts_in(self.siblings, but=self.name):
            ended = record.get("status") in (*FINAL, "duplicate")
            since = [] if ended else [*since, (record, alive_at)]
        return since

    def before(self) -> list[Folder]:
        """Folders of the attempts that this one may go on from, the newest first."""
        names = [str(record.get("attempt")) for record, _ in self.since_result()]
        return [self.siblings.below(name) for name in reversed(names) if re.fullmatch(ATTEMPT_NAME, name)]

    def used_before(self, grace: float) -> tuple[float, int]:
        """Seconds that earlier attempts ran since a result, and how many they were; one without an end ran to its last
        sign of life. `grace`: seconds that an attempt may have had after its limit.
        """
        spans = [used_by(record, alive_at, grace) for record, alive_at in self.since_result()]
        known = [span for span in spans if span is not None]
        return sum(known, 0.0), len(known)


def used_by(record: dict[str, Any], alive_at: float, grace: float) -> float | None:
    """Seconds that an attempt ran; None where its record does not tell.

    Runners before used_s left only wall times. Where those are further apart than its limit allows, and that was not
    why it ended, a clock was set in between, or the store hung: it did not train for so long, and counts nothing.
    """
    used: Any = record.get("used_s")
    if is_finite(used) and used >= 0:
        return float(used)
    try:
        start, end = (
            datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
            for stamp in (record["started_at"], record["finished_at"] or utc(alive_at))
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        return None
    limit: Any = record.get("limit_seconds")
    if is_finite(limit) and end - start > limit + grace + ALIVE_SECONDS and record.get("reason") != "limit":
        return None
    return max(0.0, end - start)


def is_new(name: str, folder: int) -> bool:
    """Make a folder that was not there: a Pod's second start within one second needs another name."""
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
        return True
    return False


def next_number(names: list[str]) -> int:
    """The number of an attempt that begins beside these: higher than all it can see.

    So an attempt that begins after another stands after it, by whatever clocks; two that begin at once may have one
    number, and their order means nothing. Names without a number are older runners': digits sort before letters.
    """
    numbers = (re.match("a([0-9]{6})-", name) for name in names)
    return 1 + max((int(number[1]) for number in numbers if number), default=0)


def attempts_in(folder: Folder, but: str = "") -> Iterator[tuple[dict[str, Any], float]]:
    """(attempt.json, time of the last sign of life) of the attempts that can be read, oldest first."""
    for name in folder.names():
        if name != but:
            with suppress(OSError, ValueError):
                data, alive_at = folder.below(name).look("attempt.json")
                yield strict_object(data), alive_at


def another_lives(siblings: Folder, own: str) -> bool:
    """Whether an attempt of the trial other than `own` has shown a sign of life of late."""
    now = siblings.now()
    return any(
        record.get("status") == "running" and now - alive_at < ALIVE_SECONDS
        for record, alive_at in attempts_in(siblings, but=own)
    )


def read_provenance(path: str | None) -> dict[str, Any]:
    """What the chart's provenance ConfigMap says, which is optional."""
    try:
        return {"commit": "unknown", **(strict_object(read_bytes(path, LARGEST_RECORD_BYTES)) if path else {})}
    except (OSError, ValueError) as error:
        if not isinstance(error, FileNotFoundError):
            say(f"{path}: {error}; booked as commit unknown")
        return {"commit": "unknown"}


def utc(seconds: float) -> str:
    """Seconds of the epoch as results spell times: 2026-11-23T22:46:04.123Z."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
