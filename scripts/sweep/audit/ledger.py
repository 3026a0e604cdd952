"""Who used how much for what, over every result store and all of Git's history: the attempts' records are the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sweep import git, plan, prices
from sweep.audit import storage, tables
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.prices import Money
from sweep.records import booking, results, store
from sweep.records.attempt import Attempt
from sweep.records.results import Row
from sweep.records.store import FINAL, Stored

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
    flavor: str
    """The kind of GPU, as the trial's row names it of the one attempt that it tells of."""
    attempts: int
    milliseconds: int
    """That passed, whatever GPUs it had."""
    gpu_milliseconds: int
    money: Money
    """What the GPUs cost, where their price is known."""
    recorded: bool
    """False: no store has it any more, a results.csv remembers it."""


@dataclass
class Account:
    """A sum of entries."""

    trials: set[str] = field(default_factory=set)
    attempts: int = 0
    milliseconds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(booking.CAUSES, 0))
    """Cause -> that passed, whatever GPUs it had."""
    gpu_milliseconds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(booking.CAUSES, 0))
    """Cause -> GPUs x milliseconds."""
    money: Money = field(default_factory=dict)
    unpriced_gpu_milliseconds: int = 0
    """Of which nobody knows what they cost."""

    def add(self, entry: Entry) -> None:
        self.trials.add(entry.trial)
        self.attempts += entry.attempts
        self.milliseconds[entry.cause] += entry.milliseconds
        self.gpu_milliseconds[entry.cause] += entry.gpu_milliseconds
        self.money = prices.total((self.money, entry.money))
        self.unpriced_gpu_milliseconds += 0 if entry.money else entry.gpu_milliseconds

    def data(self) -> dict[str, Any]:
        """As JSON, in hours."""
        trial_hours, gpu_hours = (
            {cause: milliseconds / 3_600_000 for cause, milliseconds in {"all": sum(spent.values()), **spent}.items()}
            for spent in (self.milliseconds, self.gpu_milliseconds)
        )
        counts = {"trials": len(self.trials), "attempts": self.attempts}
        unpriced = self.unpriced_gpu_milliseconds / 3_600_000
        cost = {"cost": prices.by_currency(self.money), "unpriced_gpu_hours": unpriced}
        return counts | {"trial_hours": trial_hours, "gpu_hours": gpu_hours} | (cost if self.money else {})


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
        accounts: dict[str, Account] = {}
        for entry in self.entries:
            accounts.setdefault(str(getattr(entry, name)), Account()).add(entry)
        return dict(sorted(accounts.items(), key=lambda item: _size(item[1]), reverse=True))

    def total(self, which: Callable[[Entry], bool] = lambda _: True) -> Account:
        account = Account()
        for entry in filter(which, self.entries):
            account.add(entry)
        return account


def _size(account: Account) -> tuple[int, int]:
    return sum(account.gpu_milliseconds.values()), sum(account.milliseconds.values())


def read(clone: Clone) -> Ledger:
    """Everything there is. Nothing is fatal: what cannot be read is named."""
    known, problems, folders = _stores(clone)
    rows, first, unread = _rows(clone)
    authors = _authors(clone)
    entries: list[Entry] = []
    for trial in {**known, **dict.fromkeys(first)}:
        stored, sweep = known.get(trial, Stored()), first.get(trial, UNKNOWN)
        newest = stored.attempts[-1].text("sweep") if stored.attempts else ""
        entries += _entries(trial, stored, rows.get((newest, trial)) or rows.get((sweep, trial)), sweep, authors)
    recorded: dict[str, int] = {}
    for entry in entries:
        if entry.recorded:
            recorded[entry.trial] = recorded.get(entry.trial, 0) + entry.gpu_milliseconds
    agree, differences = 0, []
    for (sweep, trial), row in rows.items():
        if trial in recorded:
            remembered = round((row.gpu_seconds or 0) * 1000)
            if remembered == recorded[trial]:
                agree += 1
            else:
                differences.append(Difference(sweep, trial, remembered / 1000, recorded[trial] / 1000))
    return Ledger(entries, agree, differences, problems + unread, [str(folder) for folder in folders])


def _stores(clone: Clone) -> tuple[dict[str, Stored], list[str], list[Path]]:
    """What all stores together hold of each trial; an attempt that two of them have counts once."""
    known: dict[str, Stored] = {}
    problems, folders = [], storage.folders(clone)
    for folder in folders:
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        snapshot = store.read(folder, store.ids(folder), clone.out / "ledger" / f"{name}.json")
        problems += [f"{folder / problem.path}: {problem.what}" for problem in snapshot.problems]
        trials = dict(snapshot.trials)
        for trial, number, again in storage.reproductions(folder):
            trials[f"{trial}/{number}"] = store.read(again, [trial]).trials[trial]
        for trial, stored in trials.items():
            other = known.get(trial, Stored())
            attempts = {
                attempt.name: attempt for attempt in sorted((*stored.attempts, *other.attempts), key=_told_last)
            }
            known[trial] = Stored(other.result or stored.result, tuple(attempts[name] for name in sorted(attempts)))
    return known, problems, folders


def _told_last(attempt: Attempt) -> tuple[bool, float]:
    """Of two looks at an attempt, what the later one saw comes last: by then it had ended, or run for longer."""
    return bool(attempt.record.get("finished_at")), attempt.seconds


def _rows(clone: Clone) -> tuple[dict[tuple[str, str], Row], dict[str, str], list[str]]:
    """(sweep, id) -> its newest row that tells GPU-seconds, from all tables there ever were; and id -> the sweep that
    had such a row first: one that lists the trial later found its result, and spent nothing on it. And which tables
    cannot be read.
    """
    problems = []
    rows: dict[tuple[str, str], Row] = {}
    first: dict[str, tuple[int, str]] = {}
    for table in tables.everywhere(clone):
        if not table.ids or any((table.sweep, trial) not in rows for trial in table.ids):
            problems += [table.problem] if table.problem else []
            for row in table.rows.values():
                if row.gpu_seconds is not None:
                    rows.setdefault((table.sweep, row.id), row)
        for trial in table.ids:
            if (table.sweep, trial) in rows and table.age > first.get(trial, (-2, ""))[0]:
                first[trial] = table.age, table.sweep
    return rows, {trial: sweep for trial, (_, sweep) in first.items()}, problems


def _authors(clone: Clone) -> Callable[[str], str]:
    @cache
    def of(commit: str) -> str:
        return git.author(clone.root, commit) if git.has_commit(clone.root, commit) else UNKNOWN

    return lambda commit: of(commit) if commit and commit != UNKNOWN else UNKNOWN


def _entries(trial: str, stored: Stored, row: Row | None, sweep: str, authors: Callable[[str], str]) -> Iterable[Entry]:
    """Every attempt to the sweep that made it; to `sweep`, whose row it is, what no record tells."""
    for booked in results.booked(row, stored):
        record = booked.attempt.record if booked.attempt else {}
        provenance = booking.provenance(record)
        commit = str(provenance.get("commit") or (row.commit if row and not booked.attempt else "") or UNKNOWN)
        yield Entry(
            trial=trial,
            sweep=str(record.get("sweep") or sweep),
            commit=commit,
            author=str(provenance.get("author") or authors(commit)),
            status=_status(trial, stored, row),
            cause=booked.cause,
            flavor=_flavor(booked.attempt, stored, row),
            attempts=booked.attempts,
            milliseconds=booked.milliseconds,
            gpu_milliseconds=booked.gpu_milliseconds,
            money=booked.money,
            recorded=bool(stored.attempts),
        )


def _flavor(attempt: Attempt | None, stored: Stored, row: Row | None) -> str:
    """A row tells of the attempt of the result, or of the newest: of no other is it known where it ran."""
    of_row = stored.result["attempt"] if stored.result else stored.attempts[-1].name if stored.attempts else ""
    known = row is not None and (attempt is None or attempt.name == of_row)
    return (known and row is not None and row.flavor) or UNKNOWN


def _status(trial: str, stored: Stored, row: Row | None) -> str:
    newest = stored.attempts[-1] if stored.attempts else None
    if "/" in trial:
        return "reproduction"
    if stored.result:
        return str(stored.result["status"])
    if newest is None:
        return row.status if row else UNKNOWN
    if newest.alive:
        return "running"
    # Without its result a trial is as if it had not run; killed or preempted, it waits for its next attempt.
    return "failed" if newest.status == "failed" else "missing" if _ended_well(newest) else "pending"


def _ended_well(newest: Attempt) -> bool:
    return newest.status in (*FINAL, "duplicate")


def ceilings(clone: Clone) -> dict[str, tuple[float, float]]:
    """Sweep -> the most that plan says it may take, as (trial-hours, GPU-hours); of those that can be rendered."""
    ceilings = {}
    for opened in storage.sweeps(clone):
        try:
            trials = opened.rendered.trials
        except BadInput:
            continue  # nothing expanded yet
        whole = plan.make(trials, (), {}, 0)
        ceilings[opened.name] = (whole.to_run_hours, whole.ceiling_gpu_hours)
    return ceilings
