"""A row of results.csv: its columns, its bounds, and how it is read from the lines of a file."""

from __future__ import annotations

import codecs
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.records import booking, cells
from sweep.records.store import FINAL, ID
from sweep.records.strict import is_number

CSV_VERSION = 1
STATUSES = (*FINAL, "failed", "running", "pending", "missing")
"""In the order in which tables show them."""
LARGEST_BYTES = 64 << 20
"""Of a results.csv: some 100,000 trials."""
MOST_ROWS = 200_000
"""A sweep has at most 100,000 trials, and a table those of two engines."""
MOST_COLUMNS, MOST_UNKNOWN, MOST_HYPERPARAMETERS, MOST_METRICS = 10_000, 100, 1000, 1000
"""Of columns: that are read at all, that a newer helm-sweep may have added, and that are written."""
MOST_VALUES = 4_000_000
"""Metrics and hyperparameters of all rows together: some 100 bytes of memory each."""
LONGEST_ROW = 8 << 20
"""Bytes. Two thousand names of 200 characters, or a TRIAL, each spelled as `\\U…`, are shorter."""

BEFORE = ("schema_version", "id", "status", "store", "engine", "objective")
GPU_SECONDS = ("gpu_seconds", *(f"gpu_seconds_{cause}" for cause in booking.CAUSES))
COSTS = ("cost_spot", "cost_on_demand")
NUMBERS = ("seed", "attempts", "queued_s", "setup_s", "train_s", *GPU_SECONDS, *COSTS)
TEXTS = (
    "node", "gpu", "flavor", "reason", "commit", "code", "image", "image_id", "data", "currency", "stop", "superseded",
)  # fmt: skip
SELDOM = ("flavor", "currency", "stop", "superseded", *COSTS)
"""Columns that a table has only where a row has something in them."""
TEXT_COLUMNS = ("id", "status", "store", "engine", *TEXTS)
NEEDED = ("schema_version", "id", "status", "seed")
"""Columns without which a row says nothing. Others that an older helm-sweep did not write are unknown."""
KNOWN = {*NEEDED, "objective", *TEXT_COLUMNS, *NUMBERS}


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
    cost_spot: float | None = None
    """Of all attempts that have a price in `currency`, that of the newest of them; the other half is the next."""
    cost_on_demand: float | None = None
    currency: str = ""
    node: str = ""
    gpu: str = ""
    flavor: str = ""
    """The kind of GPU, of `gpu.flavors`, on which its newest attempt ran, or the one that made its result."""
    reason: str = ""
    commit: str = ""
    code: str = ""
    image: str = ""
    image_id: str = ""
    """What a cluster really pulled for `image`, as `name@sha256:…`."""
    data: str = ""
    stop: str = ""
    """The group of the rule that stopped it: its result is one for sweeps with this rule alone."""
    superseded: str = ""
    """`code` where the sweep has other code by now: the row is kept to compare with, and is in no ranking."""
    more: dict[str, str] = field(default_factory=dict)
    """Columns that a newer helm-sweep wrote, as they stand."""


def columns_of(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Those of `names` that the table of these rows has."""
    return [name for name in names if name not in SELDOM or any(getattr(row, name) not in ("", None) for row in rows)]


class Lines:
    """The lines of a table, which rows of some lines are read from, within bounds."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)
        self.number, self.at, self.size = 0, 1, 0
        """`at`: the line to name: that of the row's beginning, or the one that is no text. `size` of the row so far."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.file.readline(LARGEST_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.size += len(line)
        if self.size > LONGEST_ROW:
            raise ValueError(f"a row of more than {LONGEST_ROW >> 20} MiB")
        try:
            if b"\0" in line:
                raise ValueError("a NUL byte, so it is no UTF-8 text")
            if self.number == 1 and line.startswith(codecs.BOM_UTF8):
                raise ValueError("begins with a byte order mark; save it without")
            return line.decode()
        except ValueError:
            self.at = self.number
            raise

    def next_row(self) -> None:
        self.at, self.size = self.number + 1, 0


@dataclass(frozen=True)
class Columns:
    """The columns of a table: what each is called, and where those of no fixed name are."""

    all: list[str]
    metrics: list[tuple[int, str]]
    hyperparameters: list[tuple[int, str]]
    more: list[tuple[int, str]]


def columns(names: list[str]) -> Columns:
    """Raises ValueError."""
    if len(names) > MOST_COLUMNS:
        raise ValueError(f"{len(names):,} columns, more than {MOST_COLUMNS:,}")
    if missing := [column for column in NEEDED if column not in names]:
        raise ValueError(f"the header lacks {', '.join(missing)}")
    if twice := sorted(column for column, count in Counter(names).items() if count > 1):
        raise ValueError(f"the header has {', '.join(twice)} twice")
    named = [(place, name) for place, name in enumerate(names) if name not in KNOWN]
    more = [(place, cells.name_of(name)) for place, name in named if not name.startswith(("metric.", "hp."))]
    if len(more) > MOST_UNKNOWN:
        raise ValueError(f"{len(more):,} columns that are not known here, more than {MOST_UNKNOWN}")
    return Columns(names, _below("metric.", named), _below("hp.", named), more)


def _below(prefix: str, named: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [(place, cells.name_of(name.removeprefix(prefix))) for place, name in named if name.startswith(prefix)]


def row_of(header: Columns, line: list[str]) -> Row:
    if len(line) != len(header.all):
        raise ValueError(f"{len(line)} cells under a header of {len(header.all)}")
    given = dict(zip(header.all, line, strict=True))
    _check(given)
    texts: dict[str, Any] = {name: sys.intern(cells.text_of(given[name])) for name in TEXT_COLUMNS if name in given}
    numbers = {name: cells.value_of(given[name]) for name in ("objective", *NUMBERS) if given.get(name)}
    metrics, hyperparameters = _values(header.metrics, line), _values(header.hyperparameters, line)
    if not all(is_number(value) for value in (*numbers.values(), *metrics.values())):
        raise ValueError("expected a number in a column of numbers")
    more = {name: cells.text_of(line[place]) for place, name in header.more}
    return Row(**texts, **numbers, metrics=metrics, hyperparameters=hyperparameters, more=more)


def _check(given: dict[str, str]) -> None:
    """Raise ValueError for cells that would make no row."""
    version, id, status = given["schema_version"], given["id"], given["status"]
    if not (version.isdecimal() and len(version) < 6 and int(version)):
        raise ValueError(f"schema_version {version[:20]!r}, expected a number from 1")
    if not ID.fullmatch(id):
        raise ValueError(f"id {id[:100]!r} is none")
    if status not in STATUSES:
        newer = f" (it is of a newer helm-sweep, {version})" if int(version) > CSV_VERSION else ""
        raise ValueError(f"status {status[:20]!r} is none of {', '.join(STATUSES)}{newer}")


def _values(columns: list[tuple[int, str]], line: list[str]) -> dict[str, Any]:
    """What a row has of these columns."""
    return {name: cells.value_of(line[place]) for place, name in columns if line[place]}
