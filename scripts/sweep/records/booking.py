"""What each attempt's time was good for. docs/results.md has the rules for people.

`book` is the one judge: results.csv, the report, the ledger and trace all show what it says. Milliseconds are whole
numbers, so that the causes of a trial add up to its total exactly, in whatever order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep import prices, words
from sweep.prices import Money
from sweep.records.attempt import Attempt, seconds_of
from sweep.records.store import FINAL, Stored

CAUSES: tuple[str, ...] = ("useful", "failed", "preempted", "duplicate")
"""Every attempt is booked under exactly one."""


PROGRAM = ("url", "commit", "path")
"""Of code that was fetched by Git."""
LONGEST_AUTHOR = 200


@dataclass(frozen=True)
class Booked:
    """Time under one cause: of an attempt, or of what is remembered of attempts whose records are gone."""

    cause: str
    milliseconds: int
    gpu_milliseconds: int
    """GPUs x milliseconds."""
    attempts: int = 1
    attempt: Attempt | None = None
    money: Money = field(default_factory=dict)
    """What the GPUs cost, where their price is known."""


def book(stored: Stored, *, over: bool = False, gpus: int = 0) -> list[Booked]:
    """The attempts of a trial with their causes, oldest first.

    `over`: its Job is known to have ended, so none is under way, whatever its last sign of life. Where only the result
    is left, its time is useful, on `gpus`.
    """
    standing = _standing(stored, over)
    if not stored.attempts and stored.result:
        seconds = seconds_of(stored.result, stored.result.get("finished_at"))
        return [Booked("useful", round(seconds * 1000), round(seconds * gpus * 1000))]
    return [_booked(attempt, _cause(attempt, standing)) for attempt in stored.attempts]


def _booked(attempt: Attempt, cause: str) -> Booked:
    gpu_milliseconds = round(attempt.gpu_seconds * 1000)
    price = prices.read(provenance(attempt.record).get("price"))
    money = price.of(gpu_milliseconds / 3_600_000) if price and gpu_milliseconds else {}
    return Booked(cause, round(attempt.seconds * 1000), gpu_milliseconds, attempt=attempt, money=money)


def unpriced(booked: Iterable[Booked]) -> int:
    """GPU-milliseconds of which nobody knows what they cost."""
    return sum(entry.gpu_milliseconds for entry in booked if not entry.money)


def _standing(stored: Stored, over: bool) -> str:
    """The one attempt that is useful, "" for none: that of the result; else the newest under way, which may get there;
    else the newest that had a result, which has been lost since.
    """
    if stored.result:
        return str(stored.result.get("attempt") or "")
    alive = [attempt.name for attempt in stored.attempts if attempt.alive and not over]
    lost = [attempt.name for attempt in stored.attempts if attempt.status in FINAL]
    return (alive or lost or [""])[-1]


def _cause(attempt: Attempt, standing: str) -> str:
    """One of CAUSES. What has no end was killed, or its machine died: nobody asked it to go, so that is a failure."""
    if attempt.name == standing:
        return "useful"
    if attempt.status in (*FINAL, "duplicate"):
        return "duplicate"
    return "preempted" if attempt.status == "preempted" else "failed"


def by_cause(booked: Iterable[Booked], of: Callable[[Booked], int]) -> dict[str, int]:
    """Cause -> sum of `of`, for all CAUSES."""
    spent = dict.fromkeys(CAUSES, 0)
    for entry in booked:
        spent[entry.cause] += of(entry)
    return spent


def provenance(record: Mapping[str, Any]) -> dict[str, Any]:
    """What an attempt.json, which the trial could write, says of its submission; what cannot be true is left out."""
    given = record.get("provenance")
    if not isinstance(given, dict):
        return {}
    commit, author, number = given.get("commit"), given.get("author"), given.get("round")
    checked: dict[str, Any] = {"dirty": given.get("dirty") is True}
    if isinstance(commit, str):
        checked["commit"] = commit if words.COMMIT.fullmatch(commit) else "unknown"
    if isinstance(author, str):
        checked["author"] = words.line(author)[:LONGEST_AUTHOR]
    for name in ("repository", "chart"):
        if isinstance(given.get(name), str):
            checked[name] = words.line(given[name])[:LONGEST_AUTHOR]
    code = given.get("code")
    if isinstance(code, dict) and all(isinstance(code.get(name), str) for name in PROGRAM):
        checked["code"] = {name: words.line(code[name])[:LONGEST_AUTHOR] for name in PROGRAM}
    if price := prices.read(given.get("price")):
        checked["price"] = dataclasses.asdict(price)
    if type(number) is int:
        checked["round"] = number
    return checked
