"""Tells a program of the person's choice how a sweep has ended. Whatever that program does, the sweep has ended so."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from sweep.errors import BadInput

PATIENCE_SECONDS = 30.0
"""What a notifier may take; then it is ended, with all that it started."""


@dataclass(frozen=True)
class Ending:
    """How a sweep has ended, as its notifier is told."""

    sweep: str
    outcome: str
    """done, failed (trials did), error (nothing more could be done), or interrupted."""
    exit_code: int
    message: str = ""
    """The line that says why, where it is not done."""
    trials: Mapping[str, int] = field(default_factory=dict)
    """Status -> number of trials, as results.csv has them."""
    report: str = ""
    """Path of the report, where there is one."""


def parsed(words: str) -> list[str]:
    """The argv of `--notify`, which no shell reads. Raises BadInput for none, and for a program that is not there."""
    try:
        argv = shlex.split(words)
    except ValueError as error:
        raise BadInput(f"--notify {words}: {error}; close the quote") from None
    if not argv:
        raise BadInput("--notify: names no program; write it with its arguments, as in --notify 'notify-send sweep'")
    if not shutil.which(argv[0]):
        raise BadInput(f"--notify {argv[0]}: no such program; write its path, or install it")
    return argv


def send(argv: Sequence[str], ending: Ending, say: Callable[[str], None], seconds: float = PATIENCE_SECONDS) -> None:
    """Run the notifier: facts as HELM_SWEEP_… variables, all as JSON on stdin. Raises nothing for what it does."""
    facts = asdict(ending)
    variables = {
        f"HELM_SWEEP_{name.upper()}": str(facts[name]) for name in ("sweep", "outcome", "exit_code", "message")
    }
    try:
        # A file and no pipe: nobody waits for a notifier that does not read.
        with tempfile.TemporaryFile("w+") as stdin:
            json.dump(facts, stdin)
            stdin.seek(0)
            code = _ended(argv, stdin.fileno(), os.environ | variables, seconds)
    except (OSError, ValueError) as error:
        say(f"--notify {argv[0]}: cannot be started: {error}")
        return
    if code is None:
        say(f"--notify {argv[0]}: did not end within {seconds:g} s, and was ended")
    elif code:
        say(f"--notify {argv[0]}: ended with {code}")


def _ended(argv: Sequence[str], stdin: int, environment: Mapping[str, str], seconds: float) -> int | None:
    """The exit code of a program; None where it took too long."""
    null = subprocess.DEVNULL
    process = subprocess.Popen(argv, stdin=stdin, stdout=null, stderr=null, env=environment, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
