"""What the trials of a sweep have come to and taken so far, by the result store, the table and the engine's states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep import limits
from sweep.jobs import JobState
from sweep.limits import Limits, Standing
from sweep.records import results, store
from sweep.records.results import Row
from sweep.records.store import Snapshot, Stored
from sweep.records.strict import parse_object
from sweep.render import Trial
from sweep.settings import Settings


@dataclass(frozen=True)
class Taken:
    """What is known of one trial from its records."""

    ended_s: float
    """Seconds of the attempts that have ended."""
    alive_s: float
    """Of the one that was under way when its records were read."""
    metrics: Mapping[str, float]


class Tally:
    """Asked with the states of all Jobs, says which limit of the sweep is reached; "" for none.

    What records a trial has is read again once its Job has changed: it costs nothing while nothing happens.
    """

    def __init__(
        self, settings: Settings, trials: Sequence[Trial], rows: Iterable[Row], snapshot: Snapshot, folder: Path
    ) -> None:
        objectives = results.objectives(trials) if settings.goal else []
        self.limits: Limits = limits.of(settings, {objective.metric: objective.direction for objective in objectives})
        self.folder = folder
        self.trials = {trial.id: trial for trial in trials} if self.limits else {}
        self.rows = {row.id: row for row in rows} if self.limits else {}
        self.taken = {name: self._read(trial, snapshot) for name, trial in self.trials.items()}
        self.seen: dict[str, tuple[str, int, int]] = {}

    def __call__(self, known: Mapping[str, JobState], now: float) -> str:
        if not self.limits:
            return ""
        states = {state.trial: state for state in known.values()}
        for name, state in states.items():
            if name in self.trials and self._is_news(state):
                self.taken[name] = self._read(self.trials[name], store.read(self.folder, [self.trials[name]]), state)
        return limits.reached(self.limits, self._standings(states, now), now)

    def _is_news(self, state: JobState) -> bool:
        """Whether the records of a trial may have changed since they were read."""
        mark = (state.condition, state.attempts, state.failed)
        before, self.seen[state.trial] = self.seen.get(state.trial), mark
        if before is None:
            return state.condition == "Complete" and not self.taken[state.trial].metrics
        return before != mark

    def _standings(self, states: Mapping[str, JobState], now: float) -> Iterator[Standing]:
        for name, trial in self.trials.items():
            taken, state = self.taken[name], states.get(name)
            seconds = max(taken.ended_s, state.ran_s if state else 0.0)
            running = state is not None and state.condition == "Running" and state.since
            seconds += max(0.0, now - state.since) if state and running else taken.alive_s
            yield Standing(name, trial.gpus, seconds, taken.metrics)

    def _read(self, trial: Trial, snapshot: Snapshot, state: JobState | None = None) -> Taken:
        row, stored = self.rows.get(trial.id), snapshot.trials.get(trial.id, Stored())
        booked = results.booked(row, stored, trial.gpus)
        alive = sum(entry.milliseconds for entry in booked if entry.attempt and entry.attempt.alive) / 1000
        ended = sum(entry.milliseconds for entry in booked) / 1000 - alive
        result = stored.result or _last_words(trial, state)
        if result:
            return Taken(ended, alive, result["metrics"] if result["status"] == "succeeded" else {})
        return Taken(ended, alive, row.metrics if row and row.status == "succeeded" else {})


def _last_words(trial: Trial, state: JobState | None) -> dict[str, Any] | None:
    """The result that a Pod left as its last words, where the store is not at hand."""
    if state and state.message.startswith("{"):
        with suppress(ValueError):
            result: dict[str, Any] = parse_object(state.message.encode())
            return None if store.flaw(result, trial) else result
    return None
