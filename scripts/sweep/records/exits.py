"""What the exit code of a trial's container means, said once. A test holds runner, chart, trainer and docs to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Exit:
    """One exit code of the runner, the init containers and the trainer."""

    word: str
    """Of a line of `make status`."""
    meaning: str
    """Of a class of failures in the report, and in docs/trainer.md."""
    follows: str
    """What becomes of the trial."""
    final: bool = False
    """Whether no retry would mend it, so that the Job fails at once."""


EXITS = {
    64: Exit("bad input", "bad hyperparameters", "fails at once", final=True),
    65: Exit("bad data", "bad data", "fails at once", final=True),
    66: Exit("limit", "time limit", "fails at once", final=True),
    67: Exit("OOM", "out of GPU memory", "fails at once; tried again where `gpu.shared`", final=True),
    69: Exit("peer", "another node ended", "goes on with the next attempt of all nodes; not counted"),
    75: Exit("try again", "temporary trouble", "tried again, up to `backoffLimit`"),
    143: Exit("ended", "ended by SIGTERM", "goes on, here or elsewhere"),
}
