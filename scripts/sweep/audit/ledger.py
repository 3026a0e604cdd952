"""Who used how much for what, over every result store and all of Git's history: the attempts' records are the truth."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sweep import git, plan
from sweep.audit import storage, tables
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.records import booking, store
from sweep.records.results import Row
from sweep.records.store import FINAL, Attempt, Stored

ALIVE_SECONDS = 60
"""Without a sign of life for so long an attempt is dead; the runner says the same."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Entry:
    """Time of one trial under one cause."""

    trial: str
    """Its id; `<id>/<number>` of a reproduction."""
    sweep: str
    commit: str
    author: str
    status: str
    """Of the trial: that of its result, or failed | running | pending | missing; `reproduction` for one."""
    cause: str
    attempts: int
    seconds: float
    """Wall-clock."""
    gpu_seconds: float
    recorded: bool
    """False: no store has it any more, a results.csv remembers it."""


@dataclass
class Account:
    """A sum of entries."""

    trials: set[str] = field(default_factory=set)
    attempts: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(booking.CAUSES, 0.0))
    """Cause -> wall-clock seconds."""
    gpu_seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(booking.CAUSES, 0.0))
    """Cause -> GPUs x seconds."""

    def add(self, entry: Entry) -> None:
        self.trials.add(entry.trial)
        self.attempts += entry.attempts
        self.seconds[entry.cause] += entry.seconds
        self.gpu_seconds[entry.cause] += entry.gpu_seconds

    def data(self) -> dict[str, Any]:
        """As JSON, in hours."""
        trial_hours, gpu_hours = (
            {"all": sum(spent.values()) / 3600} | {cause: one / 3600 for cause, one in spent.items()}
            for spent in (self.seconds, self.gpu_seconds)
        )
        told = {"trials": len(self.trials), "attempts": self.attempts}
        return told | {"trial_hours": trial_hours, "gpu_hours": gpu_hours}


@dataclass(frozen=True)
class Difference:
    """A results.csv that says something else than the attempts' records."""

    sweep: str
    trial: str
    told: float
    recorded: float
    """GPU-seconds."""


@dataclass(frozen=True)
class Ledger:
    """All entries, and how far the tables agree with them."""

    entries: list[Entry]
    agree: int
    """Trials whose row and records say the same."""
    differences: list[Difference]
    problems: list[str]
    """Files that were set aside, with the reason."""
    stores: list[str]

    def by(self, name: str) -> dict[str, Account]:
        """Value of a field of Entry -> account, the largest first."""
        made: dict[str, Account] = {}
        for entry in self.entries:
            made.setdefault(str(getattr(entry, name)), Account()).add(entry)
        return dict(sorted(made.items(), key=lambda one: _size(one[1]), reverse=True))

    def total(self, which: Callable[[Entry], bool] = lambda _: True) -> Account:
        made = Account()
        for entry in filter(which, self.entries):
            made.add(entry)
        return made


def _size(account: Account) -> tuple[float, float]:
    return sum(account.gpu_seconds.values()), sum(account.seconds.values())


def read(clone: Clone) -> Ledger:
    """Everything there is. Nothing is fatal: what cannot be read is named."""
    known, problems, folders = _stores(clone)
    rows = _rows(clone)
    authors = _authors(clone)
    sweeps = {trial: sweep for sweep, trial in reversed(rows)}
    entries = [
        entry for trial, stored in known.items() for entry in _recorded(trial, stored, sweeps.get(trial, ""), authors)
    ]
    recorded: dict[str, float] = {}
    for entry in entries:
        recorded[entry.trial] = recorded.get(entry.trial, 0) + entry.gpu_seconds
    agree, differences, remembered = 0, [], set()
    for (sweep, trial), row in rows.items():
        if trial in recorded:
            told = row.gpu_seconds or 0.0
            if abs(told - recorded[trial]) < 0.001:
                agree += 1
            else:
                differences.append(Difference(sweep, trial, told, recorded[trial]))
        elif trial not in remembered:
            remembered.add(trial)
            entries += _remembered(row, sweep, authors)
    return Ledger(entries, agree, differences, problems, [str(folder) for folder in folders])


def _stores(clone: Clone) -> tuple[dict[str, Stored], list[str], list[Path]]:
    """What all stores together hold of each trial; an attempt that two of them have counts once."""
    known: dict[str, Stored] = {}
    problems, folders = [], storage.folders(clone)
    for folder in folders:
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        snapshot = store.read(folder, store.ids(folder), clone.out / "ledger" / f"{name}.json")
        problems += [f"{folder / one.path}: {one.what}" for one in snapshot.problems]
        found = dict(snapshot.trials)
        for trial, number, again in storage.reproductions(folder):
            found[f"{trial}/{number}"] = store.read(again, [trial]).trials[trial]
        for trial, stored in found.items():
            other = known.get(trial, Stored())
            attempts = {attempt.name: attempt for attempt in (*stored.attempts, *other.attempts)}
            known[trial] = Stored(other.result or stored.result, tuple(attempts[name] for name in sorted(attempts)))
    return known, problems, folders


def _rows(clone: Clone) -> dict[tuple[str, str], Row]:
    """(sweep, id) -> its newest row that tells GPU-seconds, from all tables there ever were."""
    found: dict[tuple[str, str], Row] = {}
    for table in tables.everywhere(clone):
        if any((table.sweep, trial) not in found for trial in table.ids):
            for row in table.rows.values():
                if row.gpu_seconds is not None:
                    found.setdefault((table.sweep, row.id), row)
    return found


def _authors(clone: Clone) -> Callable[[str], str]:
    @cache
    def of(commit: str) -> str:
        return git.author(clone.root, commit) if git.has_commit(clone.root, commit) else UNKNOWN

    return lambda commit: of(commit) if commit and commit != UNKNOWN else UNKNOWN


def _recorded(trial: str, stored: Stored, sweep: str, authors: Callable[[str], str]) -> Iterable[Entry]:
    newest = stored.attempts[-1] if stored.attempts else None
    alive = newest is not None and newest.status == "running" and time.time() - newest.alive_at < ALIVE_SECONDS
    status = "reproduction" if "/" in trial else _status(stored, newest, alive)
    for attempt, cause in booking.causes(stored, alive):
        told = booking.provenance(attempt.record)
        commit = str(told.get("commit") or UNKNOWN)
        yield Entry(
            trial=trial,
            sweep=attempt.text("sweep") or sweep or UNKNOWN,
            commit=commit,
            author=str(told.get("author") or authors(commit)),
            status=status,
            cause=cause,
            attempts=1,
            seconds=round(attempt.seconds, 3),
            gpu_seconds=round(attempt.gpu_seconds, 3),
            recorded=True,
        )


def _status(stored: Stored, newest: Attempt | None, alive: bool) -> str:
    if stored.result:
        return str(stored.result["status"])
    if alive:
        return "running"
    # Without its result a trial is as if it had not run; killed or preempted, it waits for its next attempt.
    return "failed" if newest and newest.status == "failed" else "missing" if _ended_well(newest) else "pending"


def _ended_well(newest: Attempt | None) -> bool:
    return newest is not None and newest.status in (*FINAL, "duplicate")


def _remembered(row: Row, sweep: str, authors: Callable[[str], str]) -> Iterable[Entry]:
    """What a row tells of a trial that no store has. Its attempts are booked with the useful time."""
    for cause in booking.CAUSES:
        spent, useful = getattr(row, f"gpu_seconds_{cause}") or 0.0, cause == "useful"
        seconds = (row.setup_s or 0) + (row.train_s or 0) if useful and row.status in FINAL else 0.0
        if spent or useful:
            commit = row.commit or UNKNOWN
            attempts = row.attempts if useful else 0
            author = authors(commit)
            yield Entry(row.id, sweep, commit, author, row.status, cause, attempts, seconds, spent, False)


def ceilings(clone: Clone) -> dict[str, tuple[float, float]]:
    """Sweep -> the most that plan says it may take, as (trial-hours, GPU-hours); of those that can be rendered."""
    found = {}
    for opened in storage.sessions(clone):
        if opened.engine != "local":
            continue
        try:
            trials = opened.rendered.trials
        except BadInput:
            continue  # nothing expanded yet
        made = plan.make(trials, (), {}, 0)
        found[opened.name] = (made.to_run_hours, made.ceiling_gpu_hours)
    return found
