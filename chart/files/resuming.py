"""What earlier attempts of a trial have read: an attempt that goes on from a checkpoint tells only of the rest.

    attempts/<name>/taken.json  {"schema_version": 1, "sources": [{"began", "first", "last", "bests"}, ...]}
        began: the first step, null without one; first, last: metric -> value; bests: [step, row] of each best so far

An attempt has gone on where its first step is above the first of those before it: what they had below that step counts,
and the rest was made again. Else it began anew, and they count nothing. One that ends well and tells of no step had no
training left to do. Where no attempt tells of steps nobody can know, and what this one tells counts, if it is anything.
It is part of the runner, which imports it only for trials that have `metrics`: standard library only, Python >= 3.9.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress

from checks import is_finite, is_number, need, strict_object
from identity import SCHEMA_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from folders import Folder
    from rows import Number, Row, Rows


class Taken:
    """What is taken of the rows of one source, by this attempt and by those before."""

    def __init__(self, began: Number | None, first: Row, last: Row, bests: list[tuple[Number | None, Row]]) -> None:
        self.began, self.first, self.last, self.bests = began, first, last, bests

    @property
    def best(self) -> Row:
        return self.bests[-1][1] if self.bests else {}

    def record(self) -> dict[str, Any]:
        """As taken.json has it: JSON has no number that is not finite, so those are words there."""

        def words(row: Row) -> dict[str, Any]:
            return {name: value if is_finite(value) else str(float(value)) for name, value in row.items()}

        bests = [[step, words(row)] for step, row in self.bests]
        return {"began": self.began, "first": words(self.first), "last": words(self.last), "bests": bests}


def joined(rows: Rows, before: Taken | None) -> Taken:
    """What `rows` of this attempt are together with what was taken before it."""
    own = Taken(rows.began, rows.first, rows.last, rows.bests)
    if before is None or not goes_on(rows, before):
        return own
    first = first_step(rows)
    bests = [best for best in before.bests if best[0] is not None and best[0] < first]
    for step, row in own.bests:
        if rows.better(row, bests[-1][1] if bests else {}):
            bests.append((step, row))
    return Taken(before.began, {**own.first, **before.first}, {**before.last, **own.last}, bests)


def goes_on(rows: Rows, before: Taken) -> bool:
    """Whether rows are the rest of a training that others began; of one that had nothing left to do there are none."""
    return not rows.count or (before.began is not None and first_step(rows) > before.began)


def first_step(rows: Rows) -> float:
    """Infinite for rows without a step."""
    return math.inf if rows.began is None else rows.began


class Earlier:
    """What is known of the attempts before this one: by source, and their learning curve as rows of HISTORY_FILE."""

    def __init__(self, taken: list[Taken], curve: list[dict[str, Any]]) -> None:
        self.taken, self.curve = taken, curve

    def of(self, place: int) -> Taken | None:
        """Of the source at that place."""
        return self.taken[place] if place < len(self.taken) else None

    def curve_before(self, sources: list[Rows], ended: bool) -> list[dict[str, Any]]:
        """Rows that the curve of this attempt begins with; where it has none of its own only once it has `ended`."""
        begun = [(rows, before) for rows, before in zip(sources, self.taken) if rows.count]
        if not (begun or ended) or not all(goes_on(rows, before) for rows, before in begun):
            return []
        first = min((first_step(rows) for rows, _ in begun), default=math.inf)
        return [row for row in self.curve if row["epoch"] < first]


def read(attempts: Iterable[Folder], sources: int) -> Earlier:
    """What the newest of the attempts before has left that has left something; nothing of what cannot be read."""
    for folder in attempts:
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            record = strict_object(folder.look("taken.json")[0])
            taken = [taken_of(source) for source in record["sources"]]
            need(record["schema_version"] == SCHEMA_VERSION and len(taken) == sources, "of another version")
            return Earlier(taken, list(curve_of(folder)))
    return Earlier([], [])


def taken_of(source: dict[str, Any]) -> Taken:
    """Raises ValueError, KeyError, TypeError or AttributeError for what is no record of a source."""

    def row_of(value: dict[str, Any]) -> Row:
        row = {name: float(number) if number in ("nan", "inf", "-inf") else number for name, number in value.items()}
        need(all(map(is_number, row.values())), "a row with what is no number")
        return row

    def step_of(value: Any) -> Number | None:
        need(value is None or is_finite(value), "a step that is no number")
        return value  # type: ignore[no-any-return]

    bests = [(step_of(step), row_of(row)) for step, row in source["bests"]]
    return Taken(step_of(source["began"]), row_of(source["first"]), row_of(source["last"]), bests)


def curve_of(folder: Folder) -> Iterable[dict[str, Any]]:
    """The rows of an attempt's history.jsonl that have a step."""
    with suppress(OSError, ValueError):
        for line in folder.look("history.jsonl")[0].split(b"\n"):
            with suppress(ValueError, RecursionError):
                row = json.loads(line)
                if isinstance(row, dict) and is_finite(row.get("epoch")):
                    yield row
