"""One attempt of a trial, by its own record: how long it ran, on what, and whether it still does."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

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
        """A field of the record as text, "" where there is none."""
        return str(self.record.get(name) or "")

    @property
    def seconds(self) -> float:
        """Wall-clock seconds it ran; one that did not live to write its end counts up to its last sign of life."""
        end = self.record.get("finished_at") or datetime.fromtimestamp(self.alive_at, UTC).isoformat()
        return seconds_between(self.record.get("started_at"), end)

    @property
    def gpu_seconds(self) -> float:
        """GPUs x seconds."""
        gpus = self.record.get("gpus")
        return self.seconds * float(gpus) if isinstance(gpus, int) else 0.0


def seconds_between(start: Any, end: Any) -> float:
    """Seconds between two ISO 8601 times; 0 if either is missing, malformed, or the clock ran backwards."""
    try:
        return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
