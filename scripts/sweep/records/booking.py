"""What each attempt's time was good for. docs/results.md has the rules for people.

Milliseconds as whole numbers, so that the causes of a trial add up to its total exactly, in whatever order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweep.records.store import FINAL, Attempt, Stored, seconds_between

CAUSES: tuple[str, ...] = ("useful", "failed", "preempted", "duplicate")
"""Every attempt is booked under exactly one."""


def cause(attempt: Attempt, made: str, alive: bool) -> str:
    """One of CAUSES. `made` names the attempt whose result stands, "" for none; `alive`: this one may still get there.

    An attempt without an end was killed, or its machine died: nobody asked it to go, so that is a failure.
    """
    if attempt.name == made:
        return "useful"
    if attempt.status == "duplicate" or (made and attempt.status in FINAL):
        return "duplicate"
    if attempt.status in FINAL or (attempt.status == "running" and alive):
        return "useful"
    return "preempted" if attempt.status == "preempted" else "failed"


def causes(stored: Stored, alive: bool) -> list[tuple[Attempt, str]]:
    """The attempts of a trial with their causes. `alive`: its Job runs, so its newest attempt may be under way."""
    made = str((stored.result or {}).get("attempt") or "")
    newest = stored.attempts[-1:]
    return [(attempt, cause(attempt, made, alive and attempt in newest)) for attempt in stored.attempts]


def milliseconds(stored: Stored, alive: bool, of: Callable[[Attempt], float], without: float = 1) -> dict[str, int]:
    """Cause -> milliseconds of `of(attempt)`. Where only the result is left, that is useful, `without` times over."""
    spent = dict.fromkeys(CAUSES, 0)
    for attempt, booked in causes(stored, alive):
        spent[booked] += round(of(attempt) * 1000)
    if not stored.attempts and stored.result:
        seconds = seconds_between(stored.result.get("started_at"), stored.result.get("finished_at"))
        spent["useful"] = round(seconds * without * 1000)
    return spent


def provenance(record: Mapping[str, Any]) -> dict[str, Any]:
    """What an attempt.json says of its submission; {} where it says nothing that can be read."""
    told = record.get("provenance")
    return told if isinstance(told, dict) else {}
