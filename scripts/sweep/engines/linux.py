"""What Linux alone has, and how a launcher does without it: macOS can submit, and run trials, with less."""

from __future__ import annotations

import ctypes
import fcntl
import os
import subprocess
from pathlib import Path
from threading import Thread

LACKING = (
    "this is not Linux: what a trial or a killed launcher leaves running is not ended, and nothing keeps two sweeps "
    "from running the same trial at once; see README.md for what is tested"
)
HAS_LOCKS = hasattr(fcntl, "F_OFD_SETLK") and hasattr(os, "pidfd_open")
"""Locks on a part of a file that a child inherits, in the form that is used here."""


def is_here() -> bool:
    """Whether this system has all that the local engine uses."""
    return HAS_LOCKS and hasattr(_libc, "prctl") and Path("/proc/self/stat").exists()


def prctl(option: int, value: int) -> None:
    """Ask the kernel; nothing happens where it has no such call."""
    if call := getattr(_libc, "prctl", None):
        call(option, value)


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def handle_of(child: subprocess.Popen[bytes]) -> int:
    """A handle that can be read once a child has ended; the caller closes it. Raises OSError."""
    if hasattr(os, "pidfd_open"):
        return os.pidfd_open(child.pid)
    reading, writing = os.pipe()

    def wait() -> None:
        child.wait()
        os.close(writing)

    Thread(target=wait, daemon=True).start()
    return reading


_libc = ctypes.CDLL(None, use_errno=True)
