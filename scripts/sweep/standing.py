"""Where every trial of a sweep stands now: its row, why it waits, how far it is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sweep.engines.patience import Patience
from sweep.errors import BadInput
from sweep.files import read
from sweep.jobs import JobState
from sweep.records import progress, results
from sweep.records.progress import Progress
from sweep.records.results import Row
from sweep.records.store import Snapshot
from sweep.session import Session
from sweep.words import Say
from sweep.yamlfile import MAX_BYTES

LOOK_SECONDS, FETCH_SECONDS, SHOW_SECONDS = 2.0, 60.0, 30.0
"""Between two looks, between two times that a store elsewhere is asked for what is new, and how old a time may look."""
IDLE = 5
"""A look that takes long is followed by a pause so many times as long: a page is not to slow down the trials."""


@dataclass(frozen=True)
class Situation:
    """A sweep at one moment."""

    rows: list[Row]
    """One of each trial, with the reason why it waits."""
    running: dict[str, Progress]
    """Of the trials that run."""
    snapshot: Snapshot

    @property
    def mark(self) -> Any:
        """Another one where a reader would see something new."""
        far = {trial: (state.epoch, state.metric) for trial, state in self.running.items()}
        return self.rows, far, time.monotonic() // SHOW_SECONDS if far else 0


def look(session: Session, jobs: Mapping[str, JobState]) -> Situation:
    """By results.csv, the Jobs and the result store."""
    rows, snapshot = session.look(jobs)
    why = {state.trial: state.reason for state in jobs.values() if not state.finished}
    rows = [dataclasses.replace(row, reason=row.reason or why.get(row.id, "")) for row in rows]
    if session.engine.has_queue():
        rows = [dataclasses.replace(row, status="pending") if row.status == "missing" else row for row in rows]
    return Situation(rows, _under_way(session, jobs, snapshot), snapshot)


def _under_way(session: Session, jobs: Mapping[str, JobState], snapshot: Snapshot) -> dict[str, Progress]:
    metric = results.objectives(session.rendered.trials)[0].metric
    usual = progress.usual_seconds(snapshot.trials.values())
    folder, now = session.engine.store_folder, session.engine.now()
    running = [state for state in jobs.values() if state.condition == "Running"]
    since = {state.trial: max(0.0, now - state.since) if state.since else None for state in running}
    return {trial: progress.of(folder, trial, metric, seconds, usual) for trial, seconds in since.items()}


def looks(opened: Callable[[], Session], say: Say) -> Iterator[tuple[Session, Situation]]:
    """A sweep again and again, without an end; opened anew where values.yaml has changed, as by a round of a search."""
    session, fetched = opened(), float("-inf")
    before = _text(session)
    while True:
        began = time.monotonic()
        if (text := _text(session)) != before:
            before = text
            try:
                session = opened()
            except BadInput as error:  # it is being edited
                say(str(error))
        if not session.engine.has_store_here and began - fetched > FETCH_SECONDS:
            session.engine.fetch(session, lambda _: None)
            fetched = time.monotonic()
        yield session, look(session, Patience(say)(session.engine.states))
        time.sleep(max(LOOK_SECONDS, IDLE * (time.monotonic() - began)))


def _text(session: Session) -> bytes:
    with suppress(OSError, BadInput):
        return read(session.files.values, MAX_BYTES, session.files.clone.values)
    return b""
