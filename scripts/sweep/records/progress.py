"""How far a trial that runs has come, from the records of its newest attempt: since when, epoch, metric, time left."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sweep.records import outputs, store
from sweep.records.attempt import seconds_of
from sweep.records.store import Stored
from sweep.words import number


@dataclass(frozen=True)
class Progress:
    """Of one trial. What its records do not tell is None."""

    seconds: float | None
    """That it has been running for."""
    epoch: Any = None
    metric: Any = None
    left_s: float | None = None
    """What others of the sweep took, less what this one has taken: a guess."""

    def words(self, name: str) -> str:
        """In a few words, with the `name` of the metric: `for 2 min, epoch=3 val_accuracy=0.6100, about 4 min left`."""
        value = f"{name}={number(self.metric, 4)}" if isinstance(self.metric, int | float) else ""
        where = " ".join(filter(None, ["" if self.epoch is None else f"epoch={self.epoch}", value]))
        since = "" if self.seconds is None else f"for {span(self.seconds)}"
        return ", ".join(filter(None, [since, where, f"about {span(self.left_s)} left" if self.left_s else ""]))


def span(seconds: float) -> str:
    """A time in a word or two: `45 s`, `3 min`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def usual_seconds(stored: Iterable[Stored]) -> float | None:
    """What a trial took whose result is there, the middle one of all; None while there is none."""
    took = [seconds_of(trial.result, trial.result.get("finished_at")) for trial in stored if trial.result]
    return median(took) if took else None


def of(folder: Path, trial: str, metric: str, seconds: float | None, usual: float | None) -> Progress:
    """Of a trial in the store `folder` that has been running for `seconds`; a trial `usual`ly takes so long."""
    last: dict[str, Any] = {}
    with suppress(OSError):  # talk
        newest = store.newest_attempt(folder, trial)
        for line in outputs.history(folder, trial, newest) if newest else ():
            last |= {name: line[name] for name in ("epoch", metric) if name in line}
    left = usual - seconds if usual is not None and seconds is not None else None
    return Progress(seconds, last.get("epoch"), last.get(metric), left if left and left > 0 else None)
