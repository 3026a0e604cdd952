"""The one table: a row per trial, written to values/<sweep>/results.csv and read back. docs/results.md describes it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from sweep import files, secrets, words
from sweep.errors import BadInput
from sweep.files import check_merged
from sweep.records import booking, cells, same
from sweep.records.attempt import Attempt
from sweep.records.booking import Booked
from sweep.records.store import FINAL, ID, Snapshot, Stored
from sweep.records.strict import is_number
from sweep.render import Trial

CSV_VERSION = 1
LARGEST_BYTES = 64 << 20
"""Of a results.csv: some 100,000 trials."""
STATUSES = (*FINAL, "failed", "running", "pending", "missing")
"""In the order in which tables show them."""

BEFORE = ("schema_version", "id", "status", "store", "engine", "objective")
GPU_SECONDS = ("gpu_seconds", *(f"gpu_seconds_{cause}" for cause in booking.CAUSES))
NUMBERS = ("seed", "attempts", "queued_s", "setup_s", "train_s", *GPU_SECONDS)
TEXTS = ("node", "gpu", "reason", "commit", "code", "image", "image_id", "data")
LONGEST_REASON = 300
NEEDED = ("schema_version", "id", "status", "seed")
"""Columns without which a row says nothing. Others that an older helm-sweep did not write are unknown."""


@dataclass(frozen=True)
class Objective:
    """A metric that ranks trials."""

    metric: str
    direction: str
    """maximize | minimize"""

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return -1 if self.direction == "minimize" else 1


@dataclass(frozen=True)
class Row:
    """One trial. Seconds are those that passed; None and "" mean unknown."""

    id: str
    status: str
    hyperparameters: dict[str, Any]
    seed: int = 0
    store: str = ""
    """present: a valid result lies in the store; missing: it did once, and this row remembers it."""
    engine: str = ""
    objective: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    attempts: int = 0
    queued_s: float | None = None
    setup_s: float | None = None
    train_s: float | None = None
    gpu_seconds: float | None = None
    """GPUs x seconds, over all attempts; the next four, by cause, add up to it."""
    gpu_seconds_useful: float | None = None
    gpu_seconds_failed: float | None = None
    gpu_seconds_preempted: float | None = None
    gpu_seconds_duplicate: float | None = None
    node: str = ""
    gpu: str = ""
    reason: str = ""
    commit: str = ""
    code: str = ""
    image: str = ""
    image_id: str = ""
    """What a cluster really pulled for `image`, as `name@sha256:…`."""
    data: str = ""
    more: dict[str, str] = field(default_factory=dict)
    """Columns that a newer helm-sweep wrote, as they stand."""


class JobState(Protocol):
    """What an engine knows of a trial's Job."""

    @property
    def condition(self) -> str: ...  # Pending | Running | Complete | Failed
    @property
    def reason(self) -> str: ...
    @property
    def queued_s(self) -> float | None: ...
    @property
    def attempts(self) -> int: ...
    @property
    def node(self) -> str: ...
    @property
    def image_id(self) -> str: ...


def objectives(trials: Sequence[Trial]) -> list[Objective]:
    """The sweep's objectives, the one that ranks first. Raises BadInput when there is no trial."""
    if not trials:
        raise BadInput("trials: the sweep has none; run `make sweep`, or add one to its values.yaml")
    told = trials[0].objective
    return [Objective(one["metric"], one["direction"]) for one in (told if isinstance(told, list) else [told])]


def merge(
    old: Iterable[Row],
    trials: Sequence[Trial],
    snapshot: Snapshot,
    states: Mapping[str, JobState],
    engine: str,
) -> list[Row]:
    """The table after a look at the store and at the Jobs (`states` by trial id), sorted by id.

    Every listed trial has a row, and a result once seen is never dropped while its trial is listed: without the store
    its row stays, as store=missing. Results that another engine made of the same points stay too.
    """
    known = {row.id: row for row in old}
    rows = []
    for trial in trials:
        stored = snapshot.trials.get(trial.id, Stored())
        row = _row(trial, stored, known.get(trial.id), states.get(trial.id), engine)
        rows.append(_with_gpu_seconds(row, stored, trial.gpus))
    listed = {row.id for row in rows}
    points = {same.anywhere(row) for row in rows}
    elsewhere = [
        row
        for row in known.values()
        if row.id not in listed
        and row.engine != engine
        and row.status in (*FINAL, "failed")
        and same.anywhere(row) in points
    ]
    return sorted(rows + elsewhere, key=lambda row: row.id)


def _row(trial: Trial, stored: Stored, old: Row | None, state: JobState | None, engine: str) -> Row:
    identity = trial.identity
    queued = next((one.queued_s for one in (state, old) if one and one.queued_s is not None), None)
    row = Row(
        id=trial.id,
        status="missing",
        hyperparameters=identity["hyperparameters"],
        seed=identity["seed"],
        engine=engine,
        attempts=max(len(stored.attempts), state.attempts if state else 0) or (old.attempts if old else 0),
        queued_s=queued,
        **_remembered(old),
        code=identity["code"],
        image=identity["image"],
        image_id=next((_text(one.image_id) for one in (state, old) if one and one.image_id), ""),
        data=identity["data"],
        more=old.more if old else {},
    )
    if stored.result:
        return _with_result(row, stored.result, stored.attempts, trial)
    if old and old.status in FINAL:
        value = old.metrics.get(objectives([trial])[0].metric)
        return replace(old, store="missing", objective=value, queued_s=queued)
    if old and old.status == "failed" and not state and not stored.attempts:
        return old
    last = stored.attempts[-1].record if stored.attempts else {}
    row = replace(
        row, node=_text(last.get("node")) or _text(state and state.node), commit=_commit(last) if last else ""
    )
    if state and state.condition == "Complete":
        return replace(row, reason="its Job is complete, but the store has no valid result of it")
    if state and state.condition != "Failed":
        return replace(row, status="running" if state.condition == "Running" else "pending")
    if state or last.get("status") == "failed":
        return replace(row, status="failed", reason=_reason(last, state))
    return row


def _reason(last: dict[str, Any], state: JobState | None) -> str:
    """Why a trial failed: what its last attempt wrote down, or what the engine knows where that says more."""
    written, told = _text(last.get("reason")), _text(state and state.reason)
    return told if written in told else written


def _with_result(row: Row, result: dict[str, Any], attempts: Sequence[Attempt], trial: Trial) -> Row:
    environment = result["environment"]
    metrics = {name: value for name, value in result["metrics"].items() if value is not None}
    record = next((made.record for made in attempts if made.name == result["attempt"]), {})
    return replace(
        row,
        status=result["status"],
        store="present",
        engine=_text(environment.get("engine")) or row.engine,
        objective=metrics.get(objectives([trial])[0].metric),
        metrics=metrics,
        attempts=row.attempts or 1,
        setup_s=result["durations"].get("setup_s"),
        train_s=result["durations"].get("train_s"),
        node=_text(environment.get("node")),
        gpu=_text(environment.get("gpu") or environment.get("device")),
        commit=_commit(record),
    )


def booked(row: Row | None, stored: Stored, gpus: int | None = None) -> list[Booked]:
    """What a trial took, from its attempts' records and, as far as they are gone, from what its row remembers.

    `gpus` of the trial, where that is known. A row that saw the Job fail knows that no attempt up to then runs.
    """
    if stored.attempts or (stored.result and (row is None or gpus is not None)):
        over = row is not None and row.status == "failed" and row.attempts >= len(stored.attempts)
        return booking.book(stored, over=over, gpus=gpus or 0)
    if row is None:
        return []
    spent = {cause: round(1000 * (getattr(row, f"gpu_seconds_{cause}") or 0)) for cause in booking.CAUSES}
    trained = (row.setup_s or 0) + (row.train_s or 0) if row.status in FINAL else 0.0
    took = sum(one.milliseconds for one in booking.book(stored)) if stored.result else round(1000 * trained)
    useful = Booked("useful", took, spent.pop("useful"), row.attempts)
    return [useful, *(Booked(cause, 0, gpu_seconds, 0) for cause, gpu_seconds in spent.items() if gpu_seconds)]


def _remembered(old: Row | None) -> dict[str, Any]:
    """The columns GPU_SECONDS as they were."""
    return {name: getattr(old, name, None) for name in GPU_SECONDS}


def _with_gpu_seconds(row: Row, stored: Stored, gpus: int) -> Row:
    """The columns GPU_SECONDS, where there is more than the row remembers."""
    if not stored.attempts and not stored.result:
        return row
    spent = booking.by_cause(booked(row, stored, gpus), lambda one: one.gpu_milliseconds)
    told = zip(GPU_SECONDS, (sum(spent.values()), *spent.values()), strict=True)
    columns: dict[str, Any] = {name: milliseconds / 1000 for name, milliseconds in told}
    return replace(row, **columns)


def _commit(attempt: dict[str, Any]) -> str:
    return str(booking.provenance(attempt).get("commit") or "unknown")


def _text(value: Any) -> str:
    """What others wrote, as a cell: one line, nothing in it that acts anywhere, no secret."""
    return "" if value is None else words.line(secrets.masked(str(value)[:LONGEST_REASON]))[:LONGEST_REASON]


def to_csv(rows: Iterable[Row]) -> bytes:
    """The table as UTF-8; the same rows give the same bytes."""
    rows = sorted(rows, key=lambda row: row.id)
    metrics = sorted({name for row in rows for name in row.metrics})
    names = sorted({name for row in rows for name in row.hyperparameters})
    header = [*(f"metric.{cells.name(name)}" for name in metrics), *(f"hp.{cells.name(name)}" for name in names)]
    more = sorted({name for row in rows for name in row.more})
    lines = [cells.line([*BEFORE, *header, *NUMBERS, *TEXTS, *map(cells.name, more)])]
    for row in rows:
        numbers = [row.objective, *map(row.metrics.get, metrics), *map(row.hyperparameters.get, names)]
        numbers += [getattr(row, name) for name in NUMBERS]
        texts = [row.id, row.status, row.store, row.engine], [getattr(row, name) for name in TEXTS]
        first, last = (map(cells.text, some) for some in texts)
        rest = (cells.text(row.more.get(name, "")) for name in more)
        lines.append(cells.line([str(CSV_VERSION), *first, *map(cells.value, numbers), *last, *rest]))
    return "".join(lines).encode()


def from_csv(data: bytes, name: str = "results.csv") -> list[Row]:
    """Read the table back, one of an older or newer helm-sweep too. Raises BadInput with `name`:line.

    A column that is not there is unknown, and one that is not known here is kept.
    """
    check_merged(data, name)
    lines = None
    try:
        lines = csv.reader(io.StringIO(data.decode(), newline=""))
        header = next(lines, [])
        if missing := [column for column in NEEDED if column not in header]:
            raise ValueError(f"the header lacks {', '.join(missing)}")
        if twice := sorted({column for column in header if header.count(column) > 1}):
            raise ValueError(f"the header has {', '.join(twice)} twice")
        return [_row_of(header, cells) for cells in lines]
    except (ValueError, csv.Error) as error:
        line = lines.line_num if lines else 1
        raise BadInput(f"{name}:{line}: {error}; `git checkout` it, or delete it and `make collect` again") from error


def _row_of(header: list[str], line: list[str]) -> Row:
    if len(line) != len(header):
        raise ValueError(f"{len(line)} cells under a header of {len(header)}")
    given = dict(zip(header, line, strict=True))
    version = given["schema_version"]
    if not (version.isdecimal() and len(version) < 6 and int(version)):
        raise ValueError(f"schema_version {version[:20]!r}, expected a number from 1")
    if not ID.fullmatch(given["id"]):
        raise ValueError(f"id {given['id'][:100]!r} is none")
    if given["status"] not in STATUSES:
        newer = f" (it is of a newer helm-sweep, {version})" if int(version) > CSV_VERSION else ""
        raise ValueError(f"status {given['status'][:20]!r} is none of {', '.join(STATUSES)}{newer}")
    texts = ("id", "status", "store", "engine", *TEXTS)
    made: dict[str, Any] = {name: cells.text_of(given[name]) for name in texts if name in given}
    numbers = {name: json.loads(given[name]) for name in ("objective", *NUMBERS) if given.get(name)}
    metrics = _under("metric.", given)
    if not all(is_number(value) for value in (*numbers.values(), *metrics.values())):
        raise ValueError("a number is due where there is none")
    known = {*NEEDED, "objective", *texts, *NUMBERS}
    named = (name for name in given if name not in known and not name.startswith(("metric.", "hp.")))
    more = {cells.name_of(name): cells.text_of(given[name]) for name in named}
    return Row(**made, **numbers, metrics=metrics, hyperparameters=_under("hp.", given), more=more)


def _under(prefix: str, given: dict[str, str]) -> dict[str, Any]:
    return {
        cells.name_of(name.removeprefix(prefix)): json.loads(cell)
        for name, cell in given.items()
        if cell and name.startswith(prefix)
    }


def read(path: Path) -> list[Row]:
    """The rows of results.csv, none if there is no such file yet. Raises BadInput."""
    if not files.exists(path, path.parents[1]):
        return []
    return from_csv(files.read(path, LARGEST_BYTES, path.parents[1]), files.short(path))


def write(path: Path, rows: Iterable[Row]) -> bool:
    """Write results.csv atomically; False if it held exactly that already."""
    data = to_csv(rows)
    if files.holds(path, data, path.parents[1]):
        return False
    files.write_atomic(path, data, path.parents[1])
    return True


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """Status -> number of trials, in the order of STATUSES, those that occur."""
    found = [row.status for row in rows]
    return {status: found.count(status) for status in STATUSES if status in found}
