"""What the local engine remembers of its Jobs: a small file each. Any call may be killed; the next goes on."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType

from sweep.errors import naming
from sweep.files import read as read_file
from sweep.files import write_atomic

LARGEST_STATE = 1 << 20
"""Bytes of a state file, of which one has some hundred."""
CONDITIONS = ("Pending", "Running", "Complete", "Failed")
KINDS = {"str": (str,), "int": (int,), "float | None": (int, float, NoneType)}
"""Annotation of a field -> what JSON may have for it."""


@dataclass
class JobState:
    """A Job as this engine remembers it; the local counterpart of `status` in the Kubernetes API."""

    name: str
    trial: str
    condition: str = "Pending"
    """One of CONDITIONS."""
    reason: str = ""
    failed: int = 0
    """Pods that count against backoffLimit."""
    attempts: int = 0
    queued_s: float | None = None
    """Seconds that it waited for its first start, in the launcher that started it."""

    @property
    def finished(self) -> bool:
        return self.condition in ("Complete", "Failed")

    # What only a Job on a cluster has or can be.
    node = image_id = cause = message = ""
    pods = ()
    stuck = False


def write(folder: Path, state: JobState) -> None:
    write_atomic(folder / f"{state.name}.json", json.dumps(asdict(state)) + "\n")


def parse(data: bytes) -> JobState:
    """The state in a file. Raises ValueError for what is none, as an empty file, or one that a newer version wrote."""
    try:
        told = dict(json.loads(data))
        told.pop("submitted_at", None)  # of an older version
        state = JobState(**told)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"no state: {error}") from None
    wrong = [one.name for one in fields(state) if not isinstance(getattr(state, one.name), KINDS[str(one.type)])]
    if wrong or state.condition not in CONDITIONS:
        raise ValueError(f"no state: {', '.join(wrong) or 'condition'}")
    return state


def read(folder: Path) -> dict[str, JobState]:
    """Job name -> state, of all Jobs the engine was ever given here. What was cut off counts as pending.

    A file that holds no state is as none: at worst its trial is looked at once more.
    """
    states = {}
    for path in sorted(folder.glob("*.json")):
        with suppress(ValueError, FileNotFoundError), naming(path):
            state = parse(read_file(path, LARGEST_STATE))
            if not state.finished:
                state.condition = "Pending"
            states[path.stem] = state
    return states
