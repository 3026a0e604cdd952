"""What the local engine remembers of its Jobs: a small file each. Any call may be killed; the next goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import NoneType

from sweep.errors import naming
from sweep.files import read as read_file
from sweep.files import write_atomic
from sweep.jobs import CONDITIONS, JobState

LARGEST_STATE = 1 << 20
"""Bytes of a state file, of which one has some hundred."""
FIELDS = {
    **dict.fromkeys(("name", "trial", "condition", "reason"), (str,)),
    **dict.fromkeys(("failed", "attempts"), (int,)),
    "queued_s": (int, float, NoneType),
    "since": (int, float),
}
"""What is kept of a state, and what JSON may have for it."""


def write(folder: Path, state: JobState) -> None:
    """Keep a state. What a power failure takes of it is as none: then that trial is looked at once more."""
    text = json.dumps({name: getattr(state, name) for name in FIELDS}) + "\n"
    write_atomic(folder / f"{state.name}.json", text, lasting=False)


def parse(data: bytes) -> JobState:
    """The state in a file. Raises ValueError for what is none, as an empty file, or one that a newer version wrote."""
    try:
        values = dict(json.loads(data))
        values.pop("submitted_at", None)  # of an older version
        state = JobState(**values)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"no state: {error}") from None
    wrong = [name for name in values if name not in FIELDS or not isinstance(values[name], FIELDS[name])]
    if wrong or state.condition not in CONDITIONS:
        raise ValueError(f"no state: {', '.join(wrong) or 'condition'}")
    return state


def read(folder: Path, lives: Callable[[str], bool] = lambda _: False) -> dict[str, JobState]:
    """Job name -> state, of all Jobs the engine was ever given here. What was cut off counts as pending.

    `lives` tells of a trial whether an attempt of it runs now.

    A file that holds no state is as none: at worst its trial is looked at once more.
    """
    states = {}
    for path in sorted(folder.glob("*.json")):
        with suppress(ValueError, FileNotFoundError), naming(path):
            state = parse(read_file(path, LARGEST_STATE))
            states[path.stem] = state if state.finished or _runs(state, lives) else _waiting(state)
    return states


def _runs(state: JobState, lives: Callable[[str], bool]) -> bool:
    return state.condition == "Running" and lives(state.trial)


def _waiting(state: JobState) -> JobState:
    return replace(state, condition="Pending", since=0.0)
