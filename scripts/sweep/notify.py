"""Tells a program of the person's choice of a sweep's first failure, and how it has ended, whatever that program does.

While trials run nobody waits for it: it is started, and looked after at the next look or at the end.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from sweep.errors import BadInput

PATIENCE_SECONDS = 30.0
"""What a notifier may take; then it is ended, with all that it started."""
STARTED: set[int] = set()
"""Process ids of the notifiers that run: children of this process that no trial left behind."""


@dataclass(frozen=True)
class Ending:
    """How a sweep has ended, as its notifier is told."""

    sweep: str
    outcome: str
    """done, failed (trials did), error (nothing more could be done), or interrupted; failing, where a first attempt has
    failed, and the sweep goes on."""
    exit_code: int | None
    """None while it goes on."""
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


class Notifier:
    """A notifier of which one call at a time is under way."""

    def __init__(self, argv: Sequence[str], say: Callable[[str], None], seconds: float = PATIENCE_SECONDS) -> None:
        self.argv = argv
        self.say = say
        self.seconds = seconds
        self.process: subprocess.Popen[bytes] | None = None
        self.until = 0.0

    def start(self, ending: Ending) -> None:
        """Start it: facts as HELM_SWEEP_… variables, all as JSON on stdin. Raises nothing for what it does."""
        self.finish()
        null = subprocess.DEVNULL
        try:
            # A file and no pipe: nobody waits for a notifier that does not read.
            with tempfile.TemporaryFile("w+") as stdin:
                json.dump(asdict(ending), stdin)
                stdin.seek(0)
                self.process = subprocess.Popen(
                    self.argv, stdin=stdin, stdout=null, stderr=null, env=_environment(ending), start_new_session=True
                )
        except (OSError, ValueError) as error:
            self.say(f"--notify {self.argv[0]}: cannot be started: {error}")
            return
        STARTED.add(self.process.pid)
        self.until = time.monotonic() + self.seconds

    def look(self) -> None:
        """See to one that was started: to its end, or that it does not take too long."""
        if self.process and (self.process.poll() is not None or time.monotonic() >= self.until):
            self.finish()

    def finish(self) -> None:
        """Wait until one that was started has ended, as long as it may take."""
        process, self.process = self.process, None
        if not process:
            return
        try:
            code = process.wait(max(0.0, self.until - time.monotonic()))
            if code:
                self.say(f"--notify {self.argv[0]}: ended with {code}")
        except subprocess.TimeoutExpired:
            self.say(f"--notify {self.argv[0]}: did not end within {self.seconds:g} s, and was ended")
        finally:
            if process.returncode is None:
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            STARTED.discard(process.pid)


def send(argv: Sequence[str], ending: Ending, say: Callable[[str], None], seconds: float = PATIENCE_SECONDS) -> None:
    """Run the notifier to its end."""
    notifier = Notifier(argv, say, seconds)
    notifier.start(ending)
    notifier.finish()


def _environment(ending: Ending) -> dict[str, str]:
    facts = asdict(ending)
    facts["exit_code"] = "" if ending.exit_code is None else ending.exit_code
    names = ("sweep", "outcome", "exit_code", "message")
    return os.environ | {f"HELM_SWEEP_{name.upper()}": str(facts[name]) for name in names}
