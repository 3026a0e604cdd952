"""Signals, and the processes below this one."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from folders import LARGEST_RECORD_BYTES, read_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def listen() -> int:
    """From now on signals are bytes in a pipe, whose reading end this returns: they interrupt nothing half-way.

    And SIGTERM counts at all: the kernel drops signals that process 1 of a container does not handle.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reading


def system_call() -> Any:
    """prctl; None where there is none: not Linux, or a Python without ctypes."""
    try:
        import ctypes

        return ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None


def die_with_parent() -> Callable[[], None] | None:
    """For the child, between fork and exec: SIGKILL when this process dies, so that no training outlives its runner."""
    prctl, parent = system_call(), os.getpid()
    if prctl is None:
        return None  # a container takes its processes along anyway

    def arm() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the signal was armed
            os._exit(137)

    return arm


def adopt_orphans() -> bool:
    """What the command's processes leave behind becomes our child, in whatever session it is, as in a container."""
    prctl = system_call()
    return prctl is not None and prctl(PR_SET_CHILD_SUBREAPER, 1) == 0


def children() -> set[int]:
    """Process ids of our children, the dead ones too that were not waited for. Raises OSError without /proc."""
    own = os.getpid()
    return {int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(name) == own}


def parent_of(pid: str) -> int:
    """0 for a process that is gone."""
    with suppress(OSError, ValueError):
        return int(read_bytes(f"/proc/{pid}/stat", LARGEST_RECORD_BYTES).rpartition(b")")[2].split()[1])
    return 0


def end_children() -> None:
    """End all that is below us. Whoever dies hands its own children on to us, so that is done when there are none."""
    others: set[int] = set()
    with suppress(OSError):  # no child left, or no /proc to look into
        while True:
            left = children() - others
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except PermissionError:  # it is another user's by now (sudo): only that user can end it
                    others.add(pid)
            if left <= others:
                return
            os.waitpid(-1, 0)
