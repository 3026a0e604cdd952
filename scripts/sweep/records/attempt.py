"""One attempt of a trial, by its own record: how long it ran, on what, and whether it still does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sweep import secrets

NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
LONGEST_SECONDS = 1e10
"""No attempt runs for 300 years: a record that says so is not believed."""
MOST_GPUS = 1_000_000
ALIVE_SECONDS = 120
"""Without a sign of life for so long an attempt is dead: one is due every 10 s, and NFS may show it a minute late."""


@dataclass(frozen=True)
class Attempt:
    """One attempt of a trial; `record` is its attempt.json, {} where there is none that can be read."""

    name: str
    record: dict[str, Any]
    alive_at: float = 0.0
    """Seconds of the epoch: its last sign of life, which is the mtime of attempt.json."""
    seen_at: float = field(default=0.0, compare=False)
    """When the store was looked at."""

    @property
    def status(self) -> str:
        return self.text("status") or "unknown"

    @property
    def alive(self) -> bool:
        """Whether it was under way when the store was looked at; a sign of life from the future is none."""
        return self.status == "running" and abs(self.seen_at - self.alive_at) < ALIVE_SECONDS

    def text(self, name: str) -> str:
        """A field of the record as text, "" where there is none, `***` where a secret is."""
        return secrets.masked(str(self.record.get(name) or ""))

    @property
    def seconds(self) -> float:
        """Seconds it ran; one that did not live to write its end counts up to its last sign of life."""
        end = self.record.get("finished_at")
        if not end:
            with suppress(ValueError, OverflowError, OSError):  # a file may have any time
                end = datetime.fromtimestamp(self.alive_at, UTC).isoformat()
        return seconds_of(self.record, end)

    @property
    def gpu_seconds(self) -> float:
        """GPUs x seconds."""
        gpus = self.record.get("gpus")
        return self.seconds * gpus if type(gpus) is int and 0 <= gpus <= MOST_GPUS else 0.0


def doubt(result: Mapping[str, Any], attempts: Iterable[Attempt]) -> str:
    """Why none of the trial's `attempts` backs its result, so that it is not believed; "" where one does.

    The one it names must be there, be of the same trial, and have ended with it, or not have lived to write that down.
    The runner judges by the same rule (chart/files/results.py: backed).
    """
    named = str(result.get("attempt"))
    record = next((attempt.record for attempt in attempts if attempt.name == named), None)
    if not record:
        return f"no attempt of this trial backs it: there is no attempts/{named[:100]}/attempt.json that can be read"
    if record.get("id") != result.get("id"):
        return f"no attempt of this trial backs it: attempts/{named}/attempt.json is of another trial"
    status = record.get("status")
    # A store that fails between the result and the attempt's end leaves `failed`, but no exit code of the command; one
    # that kept its metrics for an objective that is mended is `failed` too; and one that did not recognise its own
    # result is a `duplicate` of itself.
    failed = status == "failed" and (record.get("exit_code") is None or isinstance(record.get("kept"), dict))
    if status in (result.get("status"), None, "running", "duplicate") or failed:
        return ""
    return f"no attempt of this trial backs it: attempts/{named}/attempt.json says {str(status)[:100]!r}"


def seconds_of(record: Mapping[str, Any], end: Any) -> float:
    """Seconds that a result or an attempt took, by the runner's monotonic clock; of a runner that did not write that
    down, by the wall times of its start and its `end`.
    """
    used = record.get("used_s")
    if isinstance(used, int | float) and type(used) is not bool and 0 <= used <= LONGEST_SECONDS:
        return float(used)
    return seconds_between(record.get("started_at"), end)


def seconds_between(start: Any, end: Any) -> float:
    """Seconds between two ISO 8601 times; 0 if either is missing, malformed, or the clock ran backwards."""
    try:
        return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
