"""What ends a sweep as a whole: a goal, what it may spend, a time. Past any of them no trial is started.

A pure rule, asked anew at every look and remembering nothing, so that a launcher may be killed and started again, and
a limit that is raised or removed lets the sweep go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sweep.words import counted, figure

EXAMPLE = "2026-12-24 07:00"
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?")


@dataclass(frozen=True)
class Limits:
    """As the values have them, a goal with the direction of each objective."""

    goal: Mapping[str, float] = field(default_factory=dict)
    minimized: frozenset[str] = frozenset()
    """Metrics of the goal of which less is better."""
    gpu_hours: float | None = None
    trial_hours: float | None = None
    until: str = ""

    def __bool__(self) -> bool:
        return bool(self.goal or self.gpu_hours or self.trial_hours or self.until)

    @property
    def lines(self) -> list[str]:
        """What a plan says of them."""
        ends = [f"once a trial has {self.wanted}"] if self.goal else []
        ends += [f"after {figure(self.gpu_hours, 6)} GPU-hours"] if self.gpu_hours else []
        ends += [f"after {figure(self.trial_hours, 6)} trial-hours"] if self.trial_hours else []
        ends += [f"after {self.until}"] if self.until else []
        return [f"starts no trial {end}" for end in ends]

    @property
    def wanted(self) -> str:
        """The goal in words: `val_accuracy >= 0.94`."""
        return " and ".join(
            f"{name} {'<=' if name in self.minimized else '>='} {figure(value, 12)}"
            for name, value in self.goal.items()
        )

    def is_met(self, metrics: Mapping[str, Any]) -> bool:
        """Whether a trial with these metrics has come to the goal."""
        return bool(self.goal) and all(
            isinstance(metrics.get(name), int | float)
            and (metrics[name] <= value if name in self.minimized else metrics[name] >= value)
            for name, value in self.goal.items()
        )


@dataclass(frozen=True)
class Standing:
    """What a trial has come to, and what it took."""

    trial: str
    gpus: int
    seconds: float
    """Of all its attempts so far."""
    metrics: Mapping[str, Any]
    """Of its result; {} while there is none that counts."""


def reached(limits: Limits, standings: Iterable[Standing], now: float) -> str:
    """Which limit is reached and by what, as a line; "" while none is. `now`: seconds of the epoch."""
    standings = list(standings)
    for standing in standings:
        if limits.is_met(standing.metrics):
            shown = " ".join(f"{name}={figure(standing.metrics[name], 6)}" for name in limits.goal)
            return f"goal: {limits.wanted} is reached by trial {standing.trial} ({shown})"
    for unit, most, spent in (
        ("GPU-hours", limits.gpu_hours, sum(standing.gpus * standing.seconds for standing in standings) / 3600),
        ("trial-hours", limits.trial_hours, sum(standing.seconds for standing in standings) / 3600),
    ):
        if most is not None and spent >= most:
            return f"spend: {figure(spent, 4)} of {figure(most, 6)} {unit} are spent"
    if limits.until and now >= moment(limits.until).timestamp():
        return f"until: {limits.until} has passed"
    return ""


def notice(reason: str, running: int) -> str:
    """What is said when the rest begins to be held back, while some still run."""
    return f"{reason}; {running} may end first, none is started"


def held(reason: str, waiting: int, of: int) -> str:
    """What is said when all has ended but what is held back."""
    key = reason.partition(":")[0]
    left = f"{waiting} of {counted(of, 'trial')} {'is' if waiting == 1 else 'are'} not started"
    return f"{reason}; {left}; raise or remove `{key}` to go on"


def moment(text: str) -> datetime:
    """A day and a time of it, here or in the zone that it names. Raises ValueError, OverflowError."""
    if not MOMENT.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text).astimezone()


def flaws(goal: Iterable[str], objectives: Sequence[str], until: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, problem) of what is no limit though the schema takes it: a goal's metrics, and a time ("" for none)."""
    for name in goal:
        if objectives and name not in objectives:
            yield ("goal", name), f"is not an objective of the sweep; write {' or '.join(objectives)}"
    if until:
        try:
            moment(until)
        except (ValueError, OverflowError):
            yield ("until",), f"expected a day and a time, got {until!r}; write {_next(until)}"


def of(values: Any, objectives: Mapping[str, str]) -> Limits:
    """Those of a sweep's settings; `objectives`: metric -> direction."""
    minimized = frozenset(name for name in values.goal if objectives.get(name) == "minimize")
    return Limits(values.goal, minimized, values.spend.gpu_hours, values.spend.trial_hours, values.until)


def _next(text: str) -> str:
    """The next time of the day that `text` is, with its day; of another text an example."""
    now = datetime.now()
    try:
        hour = datetime.strptime(text, "%H:%M")
    except ValueError:
        return f'"{EXAMPLE}"'
    wanted = now.replace(hour=hour.hour, minute=hour.minute, second=0, microsecond=0)
    wanted += timedelta(days=wanted <= now)
    return f'"{wanted:%Y-%m-%d %H:%M}"'
