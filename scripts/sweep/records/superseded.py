"""Rows of trials whose code the sweep no longer has: results.csv keeps them, marked, and nothing is decided by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from sweep.errors import BadInput
from sweep.records import results, same
from sweep.records.columns import Row
from sweep.records.store import FINAL
from sweep.render import Trial
from sweep.words import counted

MARK = "code"
"""In the column `superseded`: what the sweep has another of now."""


def older_than(trials: Sequence[Trial]) -> Callable[[Row], bool]:
    """Whether a row is of other code than these trials have; where one of the two is not known, what the row says."""
    now = {same.program(trial.identity["code"], trial.identity["image"]) for trial in trials}

    def is_older(row: Row) -> bool:
        program = same.program(row.code, row.image)
        return program not in now if program and now else bool(row.superseded)

    return is_older


def kept(old: Iterable[Row], trials: Sequence[Trial], rows: Iterable[Row]) -> list[Row]:
    """What of the `old` table stays beside `rows`, the table of these trials: how those of other code ended."""
    there, is_older = {row.id for row in rows}, older_than(trials)
    ended = (row for row in old if row.id not in there and row.status in (*FINAL, "failed"))
    return [replace(row, superseded=MARK) for row in ended if is_older(row)]


def to_csv(rows: Sequence[Row], older: Sequence[Row], first: Sequence[str] = ()) -> tuple[bytes, str]:
    """The table of `rows` and, where they cost it no column, of the `older` ones too; and what it has no room for.

    Raises BadInput as results.to_csv does.
    """
    if older:
        with suppress(BadInput):
            whole = results.to_csv([*rows, *older], first)
            if not results.left_out([*rows, *older], whole):
                return whole, ""
    table = results.to_csv(rows, first)
    no_room = f"has no room for {counted(len(older), 'row')} of earlier code; Git has them" if older else ""
    return table, "; ".join(filter(None, [results.left_out(rows, table), no_room]))
