"""Holding back a sweep whose first trials all fail alike, as a typo makes them: the rule, and its words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from sweep.jobs import JobState
from sweep.words import counted

SOON_SECONDS = 300
"""What is wrong with all trials shows within these: an attempt that ran longer had begun to train."""
_OWN = re.compile(r"[-+]?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?\b|\w*\d\w*", re.IGNORECASE)
"""What differs between failures of one kind: numbers, and words with a digit in them, as ids and names of folders."""


def shared(ended: Collection[JobState], needed: int) -> str:
    """Why the first trials fail, one and all, as one of them says it; "" where nothing is to be held back.

    `ended`: the Jobs of which an attempt has ended while somebody looked. At least `needed` trials must have failed
    (0: never), all of them soon and alike; an attempt of which is not known how long it ran counts as short.
    """
    if not 0 < needed <= len({state.trial for state in ended}):
        return ""
    if any(state.condition == "Complete" or (state.failed_s or 0) > SOON_SECONDS for state in ended):
        return ""
    kinds = {_kind(state) for state in ended}
    return next(iter(ended)).failure if len(kinds) == 1 else ""


def _kind(state: JobState) -> tuple[str, str]:
    """The class of a failure, and its words without what is this trial's own."""
    cause, _, message = state.failure.partition(": ")
    return cause, _OWN.sub("#", re.sub(rf"\b{re.escape(state.trial)}\b", "#", message))


class Ended:
    """The Jobs of which an attempt has ended, with a failure that counts or well, since the first look at them."""

    def __init__(self) -> None:
        self.first: Mapping[str, JobState] | None = None

    def __call__(self, known: Mapping[str, JobState]) -> list[JobState]:
        first = self.first = dict(known) if self.first is None else self.first
        return [state for name, state in known.items() if _ended_since(first.get(name), state)]


def failures(ended: Collection[JobState]) -> list[JobState]:
    """Those of them that failed, for good or to be tried again."""
    return [state for state in ended if state.condition != "Complete"]


def _ended_since(before: JobState | None, now: JobState) -> bool:
    before = before or JobState(now.name, now.trial)
    return (now.finished and not before.finished) or now.failed > before.failed


def not_running(known: Mapping[str, JobState]) -> list[str]:
    """Names of the Jobs that wait for a start, their first or another."""
    return [name for name, state in known.items() if state.condition == "Pending" and state.cause != "ending"]


def alike(failed: int, reason: str) -> str:
    """So much of it as is always said."""
    return f"{counted(failed, 'trial')} failed alike at once: {reason}"


def message(sweep: str, known: Mapping[str, JobState], ended: Collection[JobState], reason: str, cure: str) -> str:
    """The one line that a held sweep ends with; `cure`: the commands by which it goes on."""
    failed = {state.name for state in ended}
    left = sum(not state.finished and state.name not in failed for state in known.values())
    held = f"{left} {'is' if left == 1 else 'are'} held back" if left else "none is tried again"
    log = f"`make logs SWEEP={sweep} TRIAL={next(iter(ended)).trial}`"
    return (
        f"{len(failed)} of {counted(len(known), 'trial')} failed alike at once, and {held}: {reason}; "
        f"see {log}, mend it, then {cure} (`failFast: 0` lets all run)"
    )
