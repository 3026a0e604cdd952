"""Runs rendered Jobs as processes of this machine, by the rules a cluster would follow.

One thread, one loop: start what fits into the slots, wait until a process ends or a deadline passes, decide by the
Job's own podFailurePolicy and backoffLimit. The state of every Job is a small file, so any call may be killed and the
next one goes on. A slot is a set of GPUs and nothing else: every attempt has a folder of its own, that goes when all
that it started has ended, and no attempt begins while another of the same trial lives, whoever started that. A trial
gives its slot back when its command is gone and its numbers are read; to keep them is beside the next trial.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sweep import failfast, limits
from sweep.engines import ending, holding, jobfiles, linux, pod, processes
from sweep.engines.attempt import LocalPod, grace_of
from sweep.errors import BadInput, of_machine
from sweep.jobs import JobState
from sweep.render import Object, Rendered
from sweep.words import counted

HEARTBEAT_SECONDS = 1.0
"""How often `on_tick` is called while nothing else happens."""


def gpus_here() -> list[str]:
    """GPUs of this machine that this process may use, as CUDA_VISIBLE_DEVICES wants them."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name for name in allowed.split(",") if name]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError:
        return []
    return [str(index) for index, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]


def slots_for(gpus_per_trial: int, wanted: int | None = None, nodes: int = 1) -> list[list[str]]:
    """What runs at once: one list of GPUs a slot, empty lists (one core for each node) for trials without GPU.

    Raises BadInput when a trial asks for more GPUs than the machine has.
    """
    if not gpus_per_trial:
        return [[] for _ in range(wanted or max(1, linux.cores() // nodes))]
    gpus = gpus_here()
    slots = [gpus[at : at + gpus_per_trial] for at in range(0, len(gpus) - gpus_per_trial + 1, gpus_per_trial)]
    if not slots:
        raise BadInput(
            f"gpu.count: a trial asks for {gpus_per_trial} and this machine has {len(gpus)}; "
            "set `gpu: {count: 0}` in the sweep's values.yaml, or run it with ENGINE=cluster"
        )
    return slots[:wanted]


class LocalRun:
    """Runs the Jobs of one rendered release.

    `done` are the trials with a valid result: a completed Job whose result is gone starts over, as a deleted one
    would. `slots` from slots_for; `path` is put before the PATH of every trial; `on_tick(states)` is called on every
    change and about once a second. `store` is the result store, whose trials are held while they run; None where
    nobody else can run them. `fail_fast`: how many first trials that fail alike hold back the rest; 0: none. `enough`
    of all states says which limit of the sweep is reached, so that nothing is started; "" while none is, and None for a
    sweep without limits: then a slot goes to the next trial before the result is published, which could reach one.
    `meanwhile` is called once, when the first trials have been started.
    """

    def __init__(
        self,
        rendered: Rendered,
        folder: Path,
        slots: Sequence[Sequence[str]],
        path: Sequence[Path] = (),
        *,
        done: Collection[str],
        on_tick: Callable[[Mapping[str, JobState]], None],
        say: Callable[[str], None] = lambda _: None,
        store: Path | None = None,
        fail_fast: int = 0,
        meanwhile: Callable[[], None] = lambda: None,
        enough: Callable[[Mapping[str, JobState]], str] | None = None,
    ) -> None:
        self.rendered = rendered
        self.folder = folder
        self.slots = slots
        self.on_tick = on_tick
        self.say = say
        self.store = store
        self.fail_fast = fail_fast
        self.meanwhile = meanwhile
        self.enough = enough
        self.host = pod.host_environment(path)
        self.gpus = {trial.job: trial.gpus for trial in rendered.trials}
        self.began = time.monotonic()
        known = jobfiles.read(folder)
        named = {trial.job for trial in rendered.trials}
        for file in folder.glob("*.json"):
            if file.stem not in named:
                file.unlink()  # as helm removes a Job that is no longer rendered
        lost = {name for name, state in known.items() if state.condition == "Complete" and state.trial not in done}
        self.states = {
            trial.job: known[trial.job] if known.keys() - lost >= {trial.job} else JobState(trial.job, trial.id)
            for trial in rendered.trials
        }
        self.waiting = deque(job for job in rendered.jobs if not self.states[job["metadata"]["name"]].finished)
        self.free = list(range(len(slots)))
        self.running: dict[int, LocalPod] = {}
        """By their pidfd."""
        self.announced: set[str] = set()
        """Trials of which was said that others hold them."""
        self.refusal: OSError | None = None
        """What this machine refused: nothing starts any more, and what runs ends by itself."""
        self.ended: dict[str, JobState] = {}
        """Jobs of which an attempt has ended in this run, by name."""
        self.held = ""
        """Why the first trials have all failed: nothing starts while they have, and what runs ends by itself."""
        self.reached = ""
        """Which limit of the sweep is: the same."""

    def run(self) -> dict[str, JobState]:
        """Run until every Job has finished, or the rest is held back.

        On SIGINT, SIGTERM or SIGHUP ends the attempts in order, on a second Ctrl-C at once, and raises
        KeyboardInterrupt. Raises the OSError of a machine that refuses (a full disk) once what runs has ended.
        """
        attempts = self.folder / "attempts"
        grace = max(map(grace_of, self.rendered.jobs), default=0)
        processes.end_left_behind(attempts, self.store or self.folder, grace, self.say)
        shutil.rmtree(attempts, ignore_errors=True)
        with (
            processes.Interrupts() as interrupts,
            processes.adopting() as self.end_orphans,
            selectors.DefaultSelector() as self.selector,
        ):
            self.selector.register(interrupts.handle, selectors.EVENT_READ)
            try:
                self._look()
                self._start_what_can()
                self.on_tick(self.states)
                self.meanwhile()
                while (self.running or (self.waiting and self._may_start)) and not interrupts.count:
                    self._start_what_can()
                    self.on_tick(self.states)
                    over = self._wait(HEARTBEAT_SECONDS)
                    self._start_what_can()  # in slots that were given back: first of all
                    for ended in over:
                        if ended.waiting and ended.child.returncode == 0:  # that was an init container
                            self._spawn_next(ended)
                        elif self._ended(ended) == "retry":
                            self.waiting.append(ended.job)
                    for attempt in self.running.values():
                        attempt.enforce_deadline()
                    self._look()
            finally:
                self._stop(interrupts)
                self.on_tick(self.states)
        if interrupts.count:
            raise KeyboardInterrupt
        if self.refusal:
            raise self.refusal
        return self.states

    @property
    def _may_start(self) -> bool:
        return not (self.refusal or self.held or self.reached)

    def _look(self) -> None:
        """Ask whether the sweep is to end here, while there is something to start."""
        before, self.reached = self.reached, self.enough(self.states) if self.enough and self.waiting else ""
        if self.reached and not before and self.running:
            self.say(limits.notice(self.reached, len(self.running)))

    def _start_what_can(self) -> None:
        """Fill the free slots; a trial that others hold keeps its place."""
        held = []
        while self.waiting and self.free and self._may_start:
            job = self.waiting.popleft()
            try:
                self._start(job)
            except holding.TrialHeld:
                held.append(job)
            except OSError as error:
                held.append(job)
                self._refused(error)
        self.waiting.extendleft(reversed(held))
        trials = {self.states[job["metadata"]["name"]].trial for job in held}
        if trials - self.announced and not self.refusal:
            self.announced |= trials
            named = " ".join(sorted(trials))
            self.say(f"{counted(len(trials), 'trial')} waiting, since another launcher runs the same now: {named}")

    def _start(self, job: Object) -> None:
        """Start an attempt. Raises OSError, and TrialHeld while another of the trial lives: nothing is changed then."""
        before = self.states[job["metadata"]["name"]]
        started = LocalPod.claim(job, before.trial, self.free[0], self.folder, self.store)
        try:
            queued = round(time.monotonic() - self.began, 3) if before.queued_s is None else before.queued_s
            attempts = before.attempts + 1
            now = replace(before, condition="Running", since=time.time(), cause="", reason="")
            self._note(replace(now, attempts=attempts, queued_s=queued))
            of_slot = self.slots[self.free[0]][: self.gpus[before.name]]  # a slot has what the largest trial asks for
            gpus = {"CUDA_VISIBLE_DEVICES": ",".join(of_slot)}
            started.fill(self.rendered.config_maps, self.host | gpus)
            self._spawn(started)
        except BaseException:
            started.release()
            self.states[before.name] = before
            raise
        self.free.pop(0)

    def _spawn(self, attempt: LocalPod) -> None:
        """Start the next container of an attempt, and watch it."""
        attempt.spawn()
        self.running[attempt.pidfd] = attempt
        for handle in filter(None, (attempt.pidfd, attempt.line)):
            self.selector.register(handle, selectors.EVENT_READ, attempt)

    def _spawn_next(self, attempt: LocalPod) -> None:
        """After an init container; where that cannot be, the attempt was none."""
        try:
            self._spawn(attempt)
        except OSError as error:
            attempt.release()
            self._vacate(attempt)
            self.waiting.append(attempt.job)
            self._pending(attempt)
            self._refused(error)

    def _vacate(self, attempt: LocalPod) -> None:
        """Have the slot of an attempt for another one."""
        if attempt.slot is not None:
            self.free.append(attempt.slot)
            attempt.slot = None

    def _refused(self, error: OSError) -> None:
        """Start nothing any more, and say why at once; the error itself comes when all has ended."""
        if not self.refusal:
            self.refusal = error
            if self.running:
                self.say(f"{of_machine(error)}; {counted(len(self.running), 'trial')} may end first, none is started")

    def _wait(self, seconds: float) -> list[LocalPod]:
        """The containers that end within a time, or until a signal comes; with nothing left of what they started."""
        ready = [key for key, _ in self.selector.select(max(0, seconds))]
        for key in ready:
            if key.data is None:
                os.read(key.fd, 4096)  # it only wakes
            elif key.fd == key.data.line:
                self.selector.unregister(key.fd)
                if key.data.gives_back() and not self.enough:
                    self._vacate(key.data)
        ended = [self.running.pop(key.fd) for key in ready if key.fd in self.running]
        for attempt in ended:
            self.selector.unregister(attempt.pidfd)
            if attempt.line is not None:
                self.selector.unregister(attempt.line)
            attempt.reap()
        if ended:
            self.end_orphans([attempt.child.pid for attempt in self.running.values()])
        return ended

    def _ended(self, ended: LocalPod) -> str:
        """Book the end of an attempt as Kubernetes would; "retry" if the Job is to run again."""
        self._vacate(ended)
        ended.release()
        code = ended.child.returncode
        code = 128 - code if code < 0 else code
        state = ending.after(self.states[ended.name], ended, code)
        try:
            self._note(state)
        except OSError as error:  # then the next launcher looks at this trial once more
            self._refused(error)
        if state.failure or state.finished:
            self.ended[state.name] = state
        self._judge()
        return "" if state.finished else "retry"

    def _judge(self) -> None:
        """Hold back what has not started while all that has ended failed alike, until one ends otherwise."""
        before, self.held = self.held, failfast.shared(self.ended.values(), self.fail_fast)
        if self.held and not before and self.running:
            self.say(limits.notice(failfast.alike(len(self.ended), self.held), len(self.running)))

    def _note(self, state: JobState) -> None:
        """Take in the state of a Job, and keep it."""
        self.states[state.name] = state
        jobfiles.write(self.folder, state)

    def _pending(self, attempt: LocalPod) -> None:
        """A Job that waits again, as the next launcher reads its file."""
        self.states[attempt.name] = replace(self.states[attempt.name], condition="Pending")

    def _stop(self, interrupts: processes.Interrupts) -> None:
        """End what still runs: SIGTERM, then SIGKILL after the grace period or a second Ctrl-C."""
        grace = max((attempt.grace for attempt in self.running.values()), default=0)
        if self.running and interrupts.count:
            holding.tell_stopping(self.folder)
            self.say(f"stopping: trials have up to {grace:.0f} s to save; Ctrl-C again ends them at once")
        ended = list(self.running.values())
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, processes.KILL_SECONDS)):
            for attempt in self.running.values():
                attempt.child.send_signal(number)
            until = time.monotonic() + seconds
            while self.running and (left := until - time.monotonic()) > 0:
                if interrupts.urgent and number == signal.SIGTERM:
                    break
                self._wait(left)
        self.end_orphans([attempt.child.pid for attempt in self.running.values()])
        for attempt in ended:
            self._pending(attempt)
            if attempt.pidfd not in self.running:  # else not even SIGKILL has ended it
                attempt.release()
