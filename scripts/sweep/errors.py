"""Every error a user can meet, as one tree.

SweepError              exit code
├── BadInput            2   a file, a key or an argument is wrong; nothing was changed
├── Unreachable         3   helm or the cluster did not answer
│   └── NotSetUp        3   there is none to ask
├── MachineFault        4   this machine refuses: disk full, read-only, no permission; nothing is half written
└── TrialsFailed        1   everything worked, but some trials did not succeed

Whatever else is raised is a fault of ours: exit code 70, and a file with the traceback (scripts/guard.py).
A message is one line: what is wrong, where (file:line or key), what to do.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager


class SweepError(Exception):
    """Base of all expected failures; `exit_code` is what the script ends with."""

    exit_code = 1


class TrialsFailed(SweepError):
    exit_code = 1


class BadInput(SweepError):
    exit_code = 2


class Unreachable(SweepError):
    exit_code = 3


class NotSetUp(Unreachable):
    """There is no cluster or helm to ask: asking again will not help."""


class MachineFault(SweepError):
    """The operating system refused what it usually grants. Once that is mended, the same command goes on."""

    exit_code = 4


AGAIN = "and run the same command again"
CURES = {
    ("ENOSPC",): f"free space there, {AGAIN}",
    ("EDQUOT",): f"your quota there is used up: free space, {AGAIN}",
    ("EROFS",): f"it is mounted read-only: mount it writable, {AGAIN}",
    ("EACCES", "EPERM"): f"give this user the right to it, {AGAIN}",
    ("EIO", "ENXIO", "ENODEV"): f"its disk or mount is broken: look at `dmesg`, {AGAIN}",
    ("EMFILE", "ENFILE"): f"too many files are open: raise `ulimit -n`, {AGAIN}",
    ("ENOMEM", "EAGAIN"): f"end other programs, or raise `ulimit -u` and `ulimit -v`, {AGAIN}",
    ("ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN"): f"its server is away: see to the mount, {AGAIN}",
    ("ENAMETOOLONG", "ELOOP"): "use a clone with a shorter path, and no link that leads to itself",
    ("EISDIR", "ENOTDIR", "EEXIST"): f"something else has this name: move it away, {AGAIN}",
    ("ENOENT",): "somebody has removed it meanwhile: run the same command again, or `git status`",
    ("EBUSY", "ETXTBSY", "EDEADLK", "ENOLCK"): f"another program holds it: wait for it, {AGAIN}",
}
"""What helps, by the operating system's reason."""


def of_machine(error: BaseException) -> SweepError | None:
    """The error as a user is to see it, with the file and what to do; None for a fault of our own."""
    if isinstance(error, SweepError):
        return error
    if isinstance(error, MemoryError):
        return MachineFault(f"memory: there is no more of it; end other programs, {AGAIN}")
    if not isinstance(error, OSError):
        return None
    if error.filename:
        return _of_system(error, str(error.filename))
    return _without_file(error)


def _without_file(error: OSError) -> SweepError | None:
    """The same of an error that names no file."""
    name = errno.errorcode.get(error.errno or 0, "")
    if isinstance(error, ConnectionError | TimeoutError):
        return Unreachable(f"connection: {error.strerror or error}; look at the network, {AGAIN}")
    if name == "ENOENT" and "temporary directory" in (error.strerror or ""):  # of tempfile
        return MachineFault(f"TMPDIR: {error.strerror}; free space there, or set TMPDIR to a folder that has some")
    return None if name in ("ENOENT", "EEXIST") else _of_system(error, "this machine")


def _of_system(error: OSError, where: str) -> MachineFault | None:
    name = errno.errorcode.get(error.errno or 0, "")
    cure = _cure(name) or f"mend that, {AGAIN}"
    return MachineFault(f"{where}: {error.strerror} ({name}); {cure}") if name else None


def _cure(name: str) -> str:
    return next((cure for names, cure in CURES.items() if name in names), "")


SAID = ("ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EMFILE", "ENFILE", "ENOMEM", "ESTALE")
"""What other programs say of the machine in the system's own words. `Permission denied (publickey)` is a server's."""
UNSAID = re.compile(
    r"(unable to|could not|couldn't) (write|append|close|flush|fsync)|write error|insufficient permission|"
    r"empty commit message|couldn't set 'refs",
    re.IGNORECASE,
)
"""How git begins where it leaves the system's words out. A message of ours is empty where git could not write it."""


def of_program(program: str, output: str) -> MachineFault | None:
    """The error of a program that met this machine's refusal, by its words; None where they are of something else."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        for name in SAID:
            if re.search(rf"{os.strerror(getattr(errno, name))}(?! \()", line, re.IGNORECASE):
                return MachineFault(f"{program}: {line[:300]}; {_cure(name)}")
    for line in filter(UNSAID.search, lines):
        return MachineFault(f"{program}: {line[:300]}; free space, or give this user the right to it, {AGAIN}")
    return None


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """An OSError raised in here names `path`: of a write the operating system says the reason alone, and of what is
    opened in a folder's handle no more than the name."""
    try:
        yield
    except OSError as error:
        if not error.filename or not os.path.isabs(os.fsdecode(error.filename)):  # noqa: PTH117
            error.filename = os.fspath(path)
        raise
