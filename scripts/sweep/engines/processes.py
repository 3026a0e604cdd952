"""Processes of this machine: whose they are, how all of an attempt's are ended, and how a launcher is interrupted.

An attempt's processes carry a mark in their environment. While their launcher lives, what is orphaned becomes its own
child, whatever session it is in (a subreaper); what a killed launcher left behind is found by the mark.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

from sweep import notify
from sweep.engines import linux
from sweep.errors import BadInput

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MARK = "SWEEP_ATTEMPT"
"""Variable in the environment of every process of an attempt."""
KILL_SECONDS = 10
"""How long SIGKILL may take; only a process that hangs in the kernel needs more."""


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it. A number is used again, a number with its start never is."""

    pid: int
    parent: int
    started: int
    """Clock ticks since boot."""

    def send(self, number: signal.Signals) -> None:
        """Signal this process, and none that has got its number meanwhile. One that is gone or not ours gets none."""
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(self.pid)
            try:
                now = look(self.pid)
                if now and now.started == self.started:
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


@dataclass(frozen=True)
class Mark:
    """Whose a process is."""

    launcher: int
    """Process id."""
    started: int
    """When the launcher started, as Process.started."""
    work: str
    """The attempt's own folder."""
    store: str
    """Where its results go."""

    @classmethod
    def own(cls, work: Path, store: Path) -> Mark:
        """That of an attempt which this process starts."""
        own = look(os.getpid()) or Process(os.getpid(), os.getppid(), 0)  # without /proc nobody will look for it
        return cls(own.pid, own.started, str(work.resolve()), str(store.resolve()))

    @property
    def environment(self) -> dict[str, str]:
        return {MARK: json.dumps([self.launcher, self.started, self.work, self.store])}

    @property
    def left_behind(self) -> bool:
        """Whether the launcher that gave it is gone."""
        now = look(self.launcher)
        return now is None or now.started != self.started


def look(pid: int, *, dead: bool = False) -> Process | None:
    """A process that is there; `dead`: or that was not yet waited for."""
    try:
        state, *words = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return Process(pid, int(words[0]), int(words[18])) if dead or state not in "ZX" else None
    except (OSError, ValueError, IndexError):
        return None


def everything(*, dead: bool = False) -> list[Process]:
    """All processes that this one can see; none without /proc."""
    folders = Path("/proc").iterdir() if Path("/proc").is_dir() else []
    processes = (look(int(path.name), dead=dead) for path in folders if path.name.isdigit())
    return [process for process in processes if process]


def mark_of(pid: int) -> Mark | None:
    """The mark of a process, None where it has none that can be read."""
    prefix = f"{MARK}=".encode()
    with contextlib.suppress(OSError, ValueError, TypeError):
        for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if word.startswith(prefix):
                return Mark(*json.loads(word[len(prefix) :]))
    return None


# ---- what this process started ----


def die_with(parent: int) -> Callable[[], None]:
    """For a child before its exec: SIGTERM when this process dies, and what is orphaned below the child is its own."""

    def arm() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # else one that comes before the exec is noted, and lost
        linux.prctl(PR_SET_CHILD_SUBREAPER, 1)
        linux.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the signal was armed
            os._exit(143)

    return arm


@contextmanager
def adopting() -> Iterator[Callable[[Collection[int]], None]]:
    """Become the parent of what dead children leave behind, and yield a function that ends all of that.

    It is given the children that live and are no orphans. A child that was there before is none of ours either, nor is
    a notifier.
    """
    before = _children()
    linux.prctl(PR_SET_CHILD_SUBREAPER, 1)

    def end(but: Collection[int]) -> None:
        # Whoever dies hands its own children on to us, so that is done when there are none.
        while orphans := _children() - before - set(but) - notify.STARTED:
            for pid in orphans:
                try:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                except PermissionError:  # it is another user's by now (sudo): only that user can end it
                    before.add(pid)

    try:
        yield end
    finally:
        linux.prctl(PR_SET_CHILD_SUBREAPER, 0)


def _children() -> set[int]:
    """Numbers of this process's children, the dead ones too that were not waited for."""
    own = os.getpid()
    with contextlib.suppress(OSError):  # which some kernels lack; nobody but us takes a child from the list
        listed = [(task / "children").read_text() for task in Path("/proc/self/task").iterdir()]
        return {int(pid) for pids in listed for pid in pids.split()}
    return {process.pid for process in everything(dead=True) if process.parent == own}


# ---- what an earlier launcher started ----


def left_behind(folder: Path, store: Path) -> dict[Process, Mark]:
    """Marked processes of dead launchers whose attempt lies below `folder`, or has its results in `store`."""
    below, there = f"{folder.resolve()}/", str(store.resolve())
    marked = {}
    for process in everything():
        mark = mark_of(process.pid) if process.pid != os.getpid() else None
        if mark and (mark.work.startswith(below) or mark.store == there) and mark.left_behind:
            marked[process] = mark
    return marked


def end_left_behind(folder: Path, store: Path, grace: float, say: Callable[[str], None]) -> None:
    """End what dead launchers left: SIGTERM to those that others came from, SIGKILL to all after `grace` seconds.

    Raises BadInput for a process that even SIGKILL does not end.
    """
    left = left_behind(folder, store)
    if not left:
        return
    works, launchers = {mark.work for mark in left.values()}, sorted({mark.launcher for mark in left.values()})
    trials = "a trial" if len(works) == 1 else f"{len(works)} trials"
    named = ", ".join(map(str, launchers))
    say(f"ending {trials} that a launcher which died (process {named}) left running; up to {grace:.0f} s to save")
    pids = {process.pid for process in left}
    for process in left:
        if process.parent not in pids:
            process.send(signal.SIGTERM)
    until = time.monotonic() + grace
    while left := left_behind(folder, store):
        late = time.monotonic() - until
        if late > KILL_SECONDS:
            pid = min(process.pid for process in left)
            raise BadInput(
                f"process {pid}: of a trial that a dead launcher left, and not even SIGKILL ends it; find out why, or "
                "restart the machine"
            )
        if late >= 0:
            for process in _with_descendants(left):
                process.send(signal.SIGKILL)
        _wait_for_any(left, 0.1 if late >= 0 else -late)


def _with_descendants(some: Collection[Process]) -> list[Process]:
    """These processes and all below them, which need no mark."""
    below: dict[int, list[Process]] = {}
    for process in everything():
        below.setdefault(process.parent, []).append(process)
    family = list(some)
    for process in family:  # grows on the way
        family += [child for child in below.get(process.pid, []) if child not in family]
    return family


def _wait_for_any(some: Collection[Process], seconds: float) -> None:
    """Until one of these has ended, or for so long."""
    poll, handles = select.poll(), []
    try:
        for process in some:
            with contextlib.suppress(ProcessLookupError):
                handles.append(os.pidfd_open(process.pid))
                poll.register(handles[-1], select.POLLIN)
        if len(handles) == len(some):
            poll.poll(seconds * 1000)
    finally:
        for handle in handles:
            os.close(handle)


# ---- being interrupted ----


class Interrupts:
    """SIGINT, SIGTERM and SIGHUP as numbers to look at between two steps, so that no step is cut in half.

    A signal that this process ignores (nohup, a shell's background) stays ignored. `handle` is a pipe that can be read
    when one has come, to wake a select.
    """

    def __init__(self) -> None:
        self.count = 0
        self.urgent = False
        """Ctrl-C, and not for the first time or not as the first signal: end all at once."""

    def __enter__(self) -> Self:
        self.handle, self._writing = os.pipe()
        for handle in (self.handle, self._writing):
            os.set_blocking(handle, False)
        self._wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._before = {
            number: signal.signal(number, self._note)
            for number in numbers
            if signal.getsignal(number) != signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self.handle)
        os.close(self._writing)

    def _note(self, number: int, _: FrameType | None) -> None:
        # A closed terminal may say SIGHUP twice, by its shell and by the kernel: only Ctrl-C can be urgent.
        self.urgent |= number == signal.SIGINT and self.count > 0
        self.count += 1
