"""How the runner ends: its exit codes, the reason it books, and the line it prints for people."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


BAD_INPUT, TIME_LIMIT, GPU_MEMORY, INTERNAL, TRY_AGAIN, TERMINATED = 64, 66, 67, 70, 75, 143
FAIL_AT_ONCE, PEER_ENDED = (64, 65, 66, 67), 69  # what the Job fails of, and what it does not count
LONGEST_REASON = 500
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO)  # no process is to be had now
TERMINATION_LOG, TERMINATION_LOG_BYTES = "/dev/termination-log", 4096


class Stop(Exception):
    """The end without a result. `reason` goes into attempt.json, `message` to people; `code` is the runner's own.

    `kept`: what was trained all the same, a result but for its objective.
    """

    kept: dict[str, Any] | None = None

    def __init__(self, code: int, reason: str, message: str = "", status: str = "failed", ended: int | None = None):
        self.code, self.status, self.ended, self.reason = code, status, ended, reason[:LONGEST_REASON]
        self.message = message or f"{status}: {self.reason}"


def say(text: str) -> None:
    """One line for people. That nobody listens is no reason to lose a trial."""
    text = " | ".join(text.splitlines())
    with suppress(OSError):
        os.write(2, f"trial.py: {text}\n".encode(errors="replace"))


def last_words(text: str) -> None:
    """What Kubernetes shows as the container's termination message; outside of a container there is no such file."""
    data = text.encode(errors="replace")
    if len(data) < TERMINATION_LOG_BYTES:
        with suppress(OSError), open(os.open(TERMINATION_LOG, os.O_WRONLY | os.O_TRUNC), "wb", 0) as log:
            log.write(data)


def in_words(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, "no errno")
    return f"{error.filename or 'a file'}: {error.strerror or error} ({name})"


def stop_of(error: Exception) -> Stop:
    """How an error ends the runner. One that nobody expects is told in a line, which is all that Kubernetes shows."""
    if isinstance(error, OSError):
        return Stop(TRY_AGAIN, in_words(error))
    fault = f"a fault of the runner: {type(error).__name__}: {error}"
    return error if isinstance(error, Stop) else Stop(INTERNAL, f"{fault}, {where(error)}; please report it")


def where(error: BaseException) -> str:
    """The lines that an error came through, outermost first: a traceback in a few words."""
    lines, frame = [], error.__traceback__
    while frame:
        lines.append(f"{frame.tb_frame.f_code.co_name}:{frame.tb_lineno}")
        frame = frame.tb_next
    return "by way of " + " ".join(lines[:3] + lines[-5:] if len(lines) > 8 else lines)
