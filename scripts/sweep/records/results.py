"""The one table: a row per trial, written to values/<sweep>/results.csv and read back. docs/results.md describes it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweep import files, prices, secrets, words
from sweep.errors import BadInput
from sweep.files import check_merged
from sweep.jobs import JobState
from sweep.records import booking, cells, same
from sweep.records.attempt import Attempt
from sweep.records.booking import Booked
from sweep.records.columns import (
    BEFORE,
    COSTS,
    CSV_VERSION,
    GPU_SECONDS,
    LARGEST_BYTES,
    LONGEST_ROW,
    MOST_HYPERPARAMETERS,
    MOST_METRICS,
    MOST_ROWS,
    MOST_VALUES,
    NUMBERS,
    TEXTS,
    Lines,
    columns,
    columns_of,
    row_of,
)
from sweep.records.columns import STATUSES as STATUSES
from sweep.records.columns import Row as Row
from sweep.records.store import FINAL, Snapshot, Stored
from sweep.render import Trial

FITS = ((MOST_METRICS, 300), (500, 300), (200, 300), (100, 300), (50, 100), (20, 100), (10, 100), (0, 20))
"""What is tried until a table is small enough: how many metrics have a column, how long a reason may be."""
LONGEST_REASON = 300
NO_JOB = JobState("", "", condition="")
"""The state of a trial that has no Job, as far as is known."""


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


def objectives(trials: Sequence[Trial]) -> list[Objective]:
    """The sweep's objectives, the one that ranks first. Raises BadInput when there is no trial."""
    if not trials:
        raise BadInput("trials: the sweep has none; run `make sweep`, or add one to its values.yaml")
    given = trials[0].objective
    each = given if isinstance(given, list) else [given]
    return [Objective(objective["metric"], objective["direction"]) for objective in each]


def objective_metrics(trials: Sequence[Trial]) -> list[str]:
    """Their names; none when there is no trial."""
    return [objective.metric for objective in objectives(trials)] if trials else []


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
    known = {row.id: replace(row, superseded="") for row in old}
    rows = []
    for trial in trials:
        stored = snapshot.trials.get(trial.id, Stored())
        before = known.pop(trial.id, None) or Row(trial.id, "missing", {})
        row = _row(trial, stored, before, states.get(trial.id, NO_JOB), engine)
        rows.append(_with_gpu_seconds(row, stored, trial.gpus))
    points = {same.anywhere(row) for row in rows}
    elsewhere = [
        row
        for row in known.values()
        if row.engine != engine and row.status in (*FINAL, "failed") and same.anywhere(row) in points
    ]
    return sorted(rows + elsewhere, key=lambda row: row.id)


def _row(trial: Trial, stored: Stored, old: Row, job: JobState, engine: str) -> Row:
    """`old`: the row that the table had, or an empty one."""
    identity = trial.identity
    row = Row(
        id=trial.id,
        status="missing",
        hyperparameters=identity["hyperparameters"],
        seed=identity["seed"],
        engine=engine,
        attempts=max(len(stored.attempts), job.attempts) or old.attempts,
        queued_s=old.queued_s if job.queued_s is None else job.queued_s,
        code=identity["code"],
        image=identity["image"],
        image_id=_text(job.image_id or old.image_id),
        data=identity["data"],
        flavor=_text(_flavor(stored, job, old)),
        more=old.more,
    )
    row = replace(row, **{name: getattr(old, name) for name in (*GPU_SECONDS, *COSTS, "currency")})
    if stored.result:
        return _with_result(row, stored.result, stored.attempts, trial)
    if old.status in FINAL and counts_for(old, trial):
        value = old.metrics.get(objectives([trial])[0].metric)
        return replace(old, store="missing", objective=value, queued_s=row.queued_s)
    if old.status == "failed" and not job.condition and not stored.attempts:
        return old
    last = stored.attempts[-1].record if stored.attempts else {}
    node = _text(last.get("node")) or _text(job.node)
    status, reason = _standing(last, job)
    return replace(row, status=status, reason=reason, node=node, commit=_commit(last) if last else "")


def _flavor(stored: Stored, job: JobState, old: Row) -> str:
    """Where the attempt of the result ran, without one the newest; once no Pod tells, what the row remembers."""
    named = stored.result["attempt"] if stored.result else stored.attempts[-1].name if stored.attempts else ""
    pod = next((attempt.record.get("pod") for attempt in stored.attempts if attempt.name == named), "")
    return job.flavors.get(str(pod), old.flavor)


def with_reason(rows: Iterable[Row], reason: str) -> list[Row]:
    """The rows, with a reason at the trials that wait without one."""
    waits = ("pending", "missing")
    return [replace(row, reason=reason) if row.status in waits and not row.reason else row for row in rows]


def counts_for(row: Row, trial: Trial) -> bool:
    """Whether what a row tells is told of this trial: that a rule stopped it counts only where that rule still is."""
    return row.stop in ("", trial.group)


def _standing(last: dict[str, Any], job: JobState) -> tuple[str, str]:
    """(status, reason) of a trial without a result, by its Job and the record of its last attempt."""
    if job.condition == "Failed" or (not job.condition and last.get("status") == "failed"):
        return "failed", _reason(last, job)
    if job.condition == "Complete":
        return "missing", "its Job is complete, but the store has no valid result of it"
    return {"": "missing", "Running": "running"}.get(job.condition, "pending"), ""


def _reason(last: dict[str, Any], job: JobState) -> str:
    """Why a trial failed: what its last attempt wrote down, or what the engine knows where that says more."""
    written, seen = _text(last.get("reason")), _text(job.reason)
    return seen if written in seen else written


def _with_result(row: Row, result: dict[str, Any], attempts: Sequence[Attempt], trial: Trial) -> Row:
    environment = result["environment"]
    metrics = {name: value for name, value in result["metrics"].items() if value is not None}
    record = next((attempt.record for attempt in attempts if attempt.name == result["attempt"]), {})
    verdict = result.get("verdict") or {}
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
        reason=_text(verdict.get("reason")),
        stop=_text(verdict.get("group")),
    )


def booked(row: Row | None, stored: Stored, gpus: int | None = None) -> list[Booked]:
    """What a trial took, from its attempts' records and, as far as they are gone, from what its row remembers.

    `gpus` of the trial, where that is known. A row that saw the Job fail knows that no attempt up to then runs.
    """
    if stored.attempts or (stored.result and (row is None or gpus is not None)):
        over = row is not None and row.status == "failed" and row.attempts >= len(stored.attempts)
        return booking.book(stored, over=over, gpus=gpus or 0)
    return _remembered(row, stored) if row else []


def _remembered(row: Row, stored: Stored) -> list[Booked]:
    """What a row remembers of attempts whose records are gone."""
    spent = {cause: round(1000 * (getattr(row, f"gpu_seconds_{cause}") or 0)) for cause in booking.CAUSES}
    trained = (row.setup_s or 0) + (row.train_s or 0) if row.status in FINAL else 0.0
    took = sum(booked.milliseconds for booked in booking.book(stored)) if stored.result else round(1000 * trained)
    whole = sum(spent.values())
    money = {cause: _cost_of(row, spent[cause] / whole if whole else 0.0) for cause in spent}
    useful = Booked("useful", took, spent.pop("useful"), row.attempts, money=money["useful"])
    rest = ((cause, gpu_milliseconds) for cause, gpu_milliseconds in spent.items() if gpu_milliseconds)
    return [useful, *(Booked(cause, 0, size, 0, money=money[cause]) for cause, size in rest)]


def _cost_of(row: Row, share: float) -> dict[tuple[str, bool], float]:
    """A share of what a row remembers of its cost: by cause it knows the time alone."""
    if not row.currency or not share:
        return {}
    kinds = {(row.currency, True): row.cost_spot, (row.currency, False): row.cost_on_demand}
    return {kind: cost * share for kind, cost in kinds.items() if cost is not None}


def _with_gpu_seconds(row: Row, stored: Stored, gpus: int) -> Row:
    """The columns GPU_SECONDS and what they cost, where there is more than the row remembers."""
    if not stored.attempts and not stored.result:
        return row
    entries = booked(row, stored, gpus)
    spent = booking.by_cause(entries, lambda booked: booked.gpu_milliseconds)
    totals = zip(GPU_SECONDS, (sum(spent.values()), *spent.values()), strict=True)
    columns: dict[str, Any] = {name: milliseconds / 1000 for name, milliseconds in totals}
    return replace(row, **columns, **(_costs(entries) if stored.attempts else {}))


def _costs(entries: Sequence[Booked]) -> dict[str, Any]:
    """The columns of what the attempts cost, in the currency of the newest that has a price."""
    currencies = [currency for entry in entries for currency, _ in entry.money]
    if not currencies:
        return dict.fromkeys(COSTS) | {"currency": ""}
    sums = prices.total(entry.money for entry in entries)
    costs = {name: sums.get((currencies[-1], spot)) for name, spot in zip(COSTS, (True, False), strict=True)}
    return {name: cost and round(cost, 6) for name, cost in costs.items()} | {"currency": currencies[-1]}


def _commit(attempt: dict[str, Any]) -> str:
    return str(booking.provenance(attempt).get("commit") or "unknown")


def _text(value: Any) -> str:
    """What others wrote, as a cell: one line, nothing in it that acts anywhere, no secret."""
    return "" if value is None else words.line(secrets.masked(str(value)[:LONGEST_REASON]))[:LONGEST_REASON]


def to_csv(rows: Iterable[Row], first: Sequence[str] = ()) -> bytes:
    """The table as UTF-8; the same rows give the same bytes, and never more than `from_csv` reads.

    Where the bounds leave no room for all metrics, those named in `first` stay, then those that most trials have.
    Raises BadInput where even the rest is too large.
    """
    rows = sorted(rows, key=lambda row: row.id)
    if len(rows) > MOST_ROWS:
        raise BadInput(f"results.csv: {len(rows):,} trials, more than {MOST_ROWS:,}; split the sweep in several")
    names = sorted({name for row in rows for name in row.hyperparameters})
    if len(names) > MOST_HYPERPARAMETERS:
        raise BadInput(
            f"results.csv: the trials have {len(names):,} different hyperparameters together, more than "
            f"{MOST_HYPERPARAMETERS:,}; split the sweep in several"
        )
    ranked = _ranked_metrics(rows, first)
    for most, longest in FITS:
        metrics = sorted(ranked[: max(most, len(first))])
        if data := _table(rows, metrics, names, longest):
            return data
    raise BadInput(f"results.csv: more than {LARGEST_BYTES >> 20} MiB even without metrics; split the sweep in several")


def _ranked_metrics(rows: Iterable[Row], first: Sequence[str]) -> list[str]:
    having = Counter(name for row in rows for name in row.metrics)
    return sorted(having, key=lambda name: (name not in first, -having[name], name))


def _table(rows: Sequence[Row], metrics: Sequence[str], names: Sequence[str], longest: int) -> bytes:
    """The table with these columns, and reasons of at most `longest` characters; nothing where it is too large."""
    fixed, texts = columns_of(rows, NUMBERS), columns_of(rows, TEXTS)
    header = [*(f"metric.{cells.name(name)}" for name in metrics), *(f"hp.{cells.name(name)}" for name in names)]
    more = sorted({name for row in rows for name in row.more})
    table = io.BytesIO()
    longest_line = table.write(cells.line([*BEFORE, *header, *fixed, *texts, *map(cells.name, more)]).encode())
    values = 0
    for row in rows:
        numbers = [row.objective, *map(row.metrics.get, metrics), *map(row.hyperparameters.get, names)]
        values += len(numbers) - numbers.count(None)
        numbers += [getattr(row, name) for name in fixed]
        about = [getattr(row, name)[: longest if name == "reason" else None] for name in texts]
        before, after = (map(cells.text, some) for some in ([row.id, row.status, row.store, row.engine], about))
        rest = (cells.text(row.more.get(name, "")) for name in more)
        line = cells.line([str(CSV_VERSION), *before, *map(cells.value, numbers), *after, *rest]).encode()
        longest_line = max(longest_line, table.write(line))
        if table.tell() > LARGEST_BYTES or values > MOST_VALUES or longest_line > LONGEST_ROW:
            return b""
    return table.getvalue()


def left_out(rows: Iterable[Row], data: bytes) -> str:
    """What of the rows' metrics a table has no column for, in a line; "" where it has them all."""
    all_of_them = {name for row in rows for name in row.metrics}
    kept = sum(column.startswith("metric.") for column in next(csv.reader(Lines(data)), []))
    if kept >= len(all_of_them):
        return ""
    return (
        f"has {kept:,} of {len(all_of_them):,} metrics, the objective first, then those that most trials have; "
        "the result store has all"
    )


def from_csv(data: bytes, name: str = "results.csv") -> list[Row]:
    """Read the table back, one of an older or newer helm-sweep too. Raises BadInput with `name`:line.

    A column that is not there is unknown, and one that is not known here is kept.
    """
    lines = Lines(data)
    try:
        if len(data) > LARGEST_BYTES:
            raise ValueError(f"more than {LARGEST_BYTES >> 20} MiB")
        check_merged(data, name)
        records = csv.reader(lines)
        header = columns(next(records, []))
        lines.next_row()
        rows: list[Row] = []
        values = 0
        for record in records:
            rows.append(row := row_of(header, record))
            values += len(row.metrics) + len(row.hyperparameters)
            if len(rows) > MOST_ROWS:
                raise ValueError(f"more than {MOST_ROWS:,} rows")
            if values > MOST_VALUES:
                raise ValueError(f"more than {MOST_VALUES:,} metrics and hyperparameters")
            lines.next_row()
        return rows
    except (ValueError, csv.Error) as error:
        hint = "`git checkout` it, or delete it and `make collect` again"
        raise BadInput(f"{name}:{lines.at}: {str(error)[:300]}; {hint}") from error


def read(path: Path) -> list[Row]:
    """The rows of results.csv but those of earlier code, none if there is no such file yet. Raises BadInput."""
    return [row for row in read_whole(path) if not row.superseded]


def read_whole(path: Path) -> list[Row]:
    """All rows of results.csv, for who asks by id or sorts out those of earlier code. Raises BadInput."""
    if not files.exists(path, path.parents[1]):
        return []
    return from_csv(files.read(path, LARGEST_BYTES, path.parents[1]), files.short(path))


def write(path: Path, rows: Iterable[Row], first: Sequence[str] = ()) -> bool:
    """Write results.csv atomically; False if it held exactly that already. Raises BadInput as `to_csv` does."""
    return put(path, to_csv(rows, first))


def put(path: Path, data: bytes) -> bool:
    """The same of a table that was made already."""
    if files.holds(path, data, path.parents[1]):
        return False
    files.write_atomic(path, data, path.parents[1])
    return True


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """Status -> number of trials, in the order of STATUSES, those that occur."""
    statuses = [row.status for row in rows]
    return {status: statuses.count(status) for status in STATUSES if status in statuses}
