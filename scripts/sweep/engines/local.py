"""The local engine: runs rendered Jobs as processes of this machine, by the rules a cluster would follow.

One thread, one loop: start what fits into the slots, wait until a process ends or a deadline passes, decide by the
Job's own podFailurePolicy and backoffLimit. The state of every Job is a small file, so any call may be killed and the
next one goes on. Children die with this process (parent-death signal), and the runner takes its command along.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sweep.engines import pod
from sweep.errors import BadInput
from sweep.files import write_atomic
from sweep.render import Object, Rendered, container_of

PR_SET_PDEATHSIG = 1
ACCESS = ("HOME", "SSH_AUTH_SOCK")
"""Variables by which git finds the person's own access to a repository: only init containers get them."""
HEARTBEAT_SECONDS = 1.0
"""How often `on_tick` is called while nothing else happens."""


@dataclass
class JobState:
    """A Job as this engine remembers it; the local counterpart of `status` in the Kubernetes API."""

    name: str
    trial: str
    condition: str = "Pending"
    """Pending | Running | Complete | Failed"""
    reason: str = ""
    failed: int = 0
    """Pods that count against backoffLimit."""
    attempts: int = 0
    queued_s: float | None = None
    """Seconds from the first submission to the first start."""
    submitted_at: float = field(default_factory=time.time)

    @property
    def finished(self) -> bool:
        return self.condition in ("Complete", "Failed")

    # What only a Job on a cluster has or can be.
    node = image_id = cause = message = ""
    pods = ()
    stuck = False


@dataclass
class _Running:
    job: Object
    state: JobState
    waiting: deque[pod.Process]
    """Containers yet to start: init containers, one after the other, and at last the trial's."""
    slot: int
    deadline: float
    """Monotonic time of the Pod's activeDeadlineSeconds."""
    child: subprocess.Popen[bytes] = field(init=False)
    pidfd: int = field(init=False)


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


def slots_for(gpus_per_trial: int, wanted: int | None = None) -> list[list[str]]:
    """What runs at once: one list of GPUs a slot, empty lists (one core each) for trials without GPU.

    Raises BadInput when a trial asks for more GPUs than the machine has.
    """
    if not gpus_per_trial:
        return [[] for _ in range(wanted or len(os.sched_getaffinity(0)))]
    gpus = gpus_here()
    slots = [gpus[at : at + gpus_per_trial] for at in range(0, len(gpus) - gpus_per_trial + 1, gpus_per_trial)]
    if not slots:
        raise BadInput(
            f"gpu.count: a trial asks for {gpus_per_trial} and this machine has {len(gpus)}; "
            "set `gpu: {count: 0}` in the sweep's values.yaml, or run it with ENGINE=cluster"
        )
    return slots[:wanted]


def read_states(folder: Path) -> dict[str, JobState]:
    """Job name -> state, of all Jobs this engine was ever given here. What was cut off counts as pending."""
    states = {}
    for path in sorted(folder.glob("*.json")):
        state = JobState(**json.loads(path.read_text()))
        if not state.finished:
            state.condition = "Pending"
        states[state.name] = state
    return states


@contextmanager
def only_one(folder: Path, sweep: str) -> Iterator[None]:
    """Hold the sweep on this machine. Raises BadInput when another process does; the kernel frees a dead one's."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held.seek(0)
            raise BadInput(
                f"{sweep}: is being run here already, by process {held.read().strip()}; wait for it"
            ) from error
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        yield


class LocalEngine:
    """Runs the Jobs of one rendered release.

    `done` are the trials with a valid result: a completed Job whose result is gone starts over, as a deleted one
    would. `slots` from slots_for; `path` is put before the PATH of every trial; `on_tick(states)` is called on every
    change and about once a second.
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
    ) -> None:
        self.rendered = rendered
        self.folder = folder
        self.slots = slots
        self.on_tick = on_tick
        self.host = _host_environment(path)
        known = read_states(folder)
        for name in known.keys() - {trial.job for trial in rendered.trials}:
            (folder / f"{name}.json").unlink()  # as helm removes a Job that is no longer rendered
        lost = {name for name, state in known.items() if state.condition == "Complete" and state.trial not in done}
        self.states = {
            trial.job: known[trial.job] if known.keys() - lost >= {trial.job} else JobState(trial.job, trial.id)
            for trial in rendered.trials
        }

    def run(self) -> dict[str, JobState]:
        """Run until every Job has finished. On SIGINT or SIGTERM ends the children and raises KeyboardInterrupt."""
        waiting = deque(job for job in self.rendered.jobs if not self.states[job["metadata"]["name"]].finished)
        free = list(range(len(self.slots)))
        running: dict[int, _Running] = {}
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with selectors.DefaultSelector() as selector:

                def watch(started: _Running) -> None:
                    running[started.pidfd] = started
                    selector.register(started.pidfd, selectors.EVENT_READ)

                while waiting or running:
                    while waiting and free:
                        watch(self._start(waiting.popleft(), free.pop(0)))
                    self.on_tick(self.states)
                    for key, _ in selector.select(HEARTBEAT_SECONDS):
                        ended = running.pop(key.fd)
                        selector.unregister(key.fd)
                        os.close(key.fd)
                        if ended.waiting and ended.child.wait() == 0:  # that was an init container
                            self._spawn(ended)
                            watch(ended)
                            continue
                        free.append(ended.slot)
                        if self._ended(ended) == "retry":
                            waiting.append(ended.job)
                    self._enforce_deadlines(running.values())
        finally:
            self._stop(list(running.values()))
            signal.signal(signal.SIGTERM, before)
            shutil.rmtree(self.folder / "slots", ignore_errors=True)
            self.on_tick(self.states)
        return self.states

    def _start(self, job: Object, slot: int) -> _Running:
        state = self.states[job["metadata"]["name"]]
        state.attempts += 1
        if state.queued_s is None:
            state.queued_s = round(time.time() - state.submitted_at, 3)
        state.condition = "Running"
        self._save(state)
        work = self.folder / "slots" / str(slot)
        work.mkdir(parents=True, exist_ok=True)
        identity = {
            "metadata.name": f"{state.name}-{uuid.uuid4().hex[:5]}",
            "metadata.uid": str(uuid.uuid4()),
            "spec.nodeName": socket.gethostname(),
        }
        host = self.host | ({"CUDA_VISIBLE_DEVICES": ",".join(self.slots[slot])})
        spec = job["spec"]["template"]["spec"]
        trial, *init = (
            pod.process(job, self.rendered.config_maps, work=work, pod=identity, host=host, container=container)
            for container in (container_of(job), *spec.get("initContainers", []))
        )
        trial.prepare()  # the volumes are the Pod's, for all its containers
        own = {name: os.environ[name] for name in ACCESS if name in os.environ}
        processes = deque([*(replace(one, env=one.env | own) for one in init), trial])
        deadline = time.monotonic() + spec.get("activeDeadlineSeconds", float("inf"))
        started = _Running(job, state, processes, slot, deadline)
        self._spawn(started)
        return started

    def _spawn(self, one: _Running) -> None:
        """Start the next container of an attempt."""
        process = one.waiting.popleft()
        with self._log(one.state).open("ab") as log:
            one.child = subprocess.Popen(
                process.argv,
                env=process.env,
                cwd=self.folder / "slots" / str(one.slot),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C reaches this process alone, which then ends the children in order
                preexec_fn=_die_with(os.getpid()),
            )
        one.pidfd = os.pidfd_open(one.child.pid)

    def _ended(self, ended: _Running) -> str:
        """Book the end of an attempt as Kubernetes would; "retry" if the Job is to run again."""
        code = ended.child.wait()
        code = 128 - code if code < 0 else code
        state, spec = ended.state, ended.job["spec"]
        if code == 0:
            state.condition, state.reason = "Complete", ""
        else:
            action = _policy(spec, code)
            if action == "Count":
                state.failed += 1
            if action == "FailJob" or state.failed > spec["backoffLimit"]:
                state.condition = "Failed"
                # The runner's last line says why, in its own words; anything else ended before it could.
                line, own = _last_line(self._log(state)), f"trial.py: {state.trial}: failed: "
                state.reason = line.removeprefix(own) if line.startswith(own) else f"exit {code}: {line}"
            else:
                state.condition = "Pending"
        self._save(state)
        return "" if state.finished else "retry"

    def _enforce_deadlines(self, running: Iterable[_Running]) -> None:
        for one in running:
            if time.monotonic() > one.deadline:
                grace = one.job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
                one.child.send_signal(signal.SIGTERM if time.monotonic() < one.deadline + grace else signal.SIGKILL)

    def _stop(self, running: Sequence[_Running]) -> None:
        """End what still runs: SIGTERM, then SIGKILL after the Job's grace period or a second interrupt."""
        for one in running:
            one.child.send_signal(signal.SIGTERM)
        for one in running:
            try:
                one.child.wait(one.job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                one.child.kill()
                one.child.wait()
            os.close(one.pidfd)
            one.state.condition = "Pending"
            self._save(one.state)

    def _save(self, state: JobState) -> None:
        write_atomic(self.folder / f"{state.name}.json", json.dumps(asdict(state)) + "\n")

    def _log(self, state: JobState) -> Path:
        """What the Job's processes printed: the local `kubectl logs`."""
        return self.folder / f"{state.name}.log"


def _policy(spec: Mapping[str, Any], code: int) -> str:
    """What podFailurePolicy says of an exit code: Ignore, FailJob or Count. No local Pod is ever disrupted."""
    for rule in spec.get("podFailurePolicy", {}).get("rules", []):
        codes = rule.get("onExitCodes")
        if codes and (code in codes["values"]) == (codes["operator"] == "In"):
            return str(rule["action"])
    return "Count"


def _host_environment(path: Sequence[Path]) -> dict[str, str]:
    """Of this machine's environment only what a container would have too, and one thread a trial."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    words = [*map(str, path), os.environ.get("PATH", os.defpath)]
    return kept | threads | {"PATH": os.pathsep.join(words), "SWEEP_ENGINE": "local"}


def _die_with(parent: int) -> Callable[[], None]:
    """For the child before its exec: SIGTERM when this process dies, so that the runner can end its command."""
    libc = ctypes.CDLL(None, use_errno=True)

    def arm() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the signal was armed
            os._exit(143)

    return arm


def _last_line(log: Path) -> str:
    """The last words of a log, at most 200 characters."""
    with log.open("rb") as opened:
        opened.seek(max(0, log.stat().st_size - 4096))
        lines = opened.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else "no output"
