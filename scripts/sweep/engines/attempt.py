"""One try of a Job on this machine: its folder, its hold on the trial, and its containers one after the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from sweep.engines import gang, holding, linux, pod, processes
from sweep.errors import naming
from sweep.files import open_handle
from sweep.render import Object, container_of

GPUS = "CUDA_VISIBLE_DEVICES"
OURS = ("python3", "-I", "-S")
"""How the chart starts programs of its own: without any package of the image's."""
SLOT = "SWEEP_SLOT"
"""Variable that tells the runner by which handle it gives its slot back, before all of its work is done."""
ACCESS = ("HOME", "SSH_AUTH_SOCK")
"""Variables by which git finds the person's own access to a repository: only init containers get them."""


@dataclass
class LocalPod:
    """A local Pod. It is claimed, filled, its containers are spawned, and when all of them are gone it is released."""

    job: Object
    slot: int | None
    """Which it has; None when it has given it back: its command is gone then, and all that is left is to keep what came
    of it."""
    store: Path
    """Where its results go, or another place that says whose it is."""
    log: Path
    """What all attempts of the Job have printed: the local `kubectl logs`."""
    work: Path
    """A folder that nobody else has, and nobody had before."""
    lock: int | None
    """Handle that holds the trial in the store, which the processes hold too."""
    deadline: float
    """Monotonic time of the Pod's activeDeadlineSeconds."""
    began: float
    """Monotonic time of its start."""
    waiting: deque[pod.PodProcess] = field(default_factory=deque)
    """Containers yet to start: init containers, and at last the trial's."""
    child: subprocess.Popen[bytes] = field(init=False)
    pidfd: int = field(init=False)
    line: int | None = None
    """Handle of a pipe that can be read once: when the slot is given back, or at the container's end."""

    @classmethod
    def claim(cls, job: Object, trial: str, slot: int, folder: Path, store: Path | None) -> Self:
        """An attempt with nothing in it yet. Raises TrialHeld while another of the same trial lives."""
        lock = holding.hold(store, trial) if store else None
        began = time.monotonic()
        deadline = began + _spec(job).get("activeDeadlineSeconds", float("inf"))
        log = folder / f"{job['metadata']['name']}.log"
        try:
            work = _new_folder(folder / "attempts")
        except OSError:
            holding.let_go(lock)
            raise
        return cls(job, slot, store or folder, log, work, lock, deadline, began)

    @property
    def name(self) -> str:
        """Of the Job."""
        return str(self.job["metadata"]["name"])

    @property
    def grace(self) -> float:
        """Seconds from SIGTERM to SIGKILL."""
        return grace_of(self.job)

    def fill(self, config_maps: Mapping[str, Mapping[str, str]], host: Mapping[str, str]) -> None:
        """Make what its containers find. Raises BadInput for what a local process cannot have."""
        around = self.work.parent
        identity = {
            "metadata.name": f"{self.name}-{self.work.name}",
            "metadata.uid": str(uuid.uuid4()),
            "spec.nodeName": socket.gethostname(),
            "status.podIP": "127.0.0.1",
        }
        own = {name: os.environ[name] for name in ACCESS if name in os.environ}
        mark = processes.Mark.own(self.work, self.store).environment
        count = int(self.job["spec"].get("parallelism", 1))
        nodes = []
        for node, gpus in enumerate(shared_out(host.get(GPUS, ""), count)):
            work = self.work / f"node-{node}" if count > 1 else self.work
            there = {**host, GPUS: gpus}
            trial, *init = (
                at_hand(
                    pod.process(
                        self.job, config_maps, work=work, pod=identity, host=there, container=container, programs=around
                    )
                )
                for container in (container_of(self.job), *_spec(self.job).get("initContainers", []))
            )
            trial.prepare()  # the volumes are the Pod's, for all its containers
            self.waiting.extend(replace(process, env=process.env | own | mark) for process in init)
            nodes.append(replace(trial, env=trial.env | mark))
        self.waiting.append(nodes[0] if count == 1 else together(nodes, self.work))

    def spawn(self) -> None:
        """Start the next container."""
        process = self.waiting.popleft()
        log = open_handle(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.line, writing = os.pipe()
        try:
            self.child = subprocess.Popen(
                process.argv,
                env=process.env | {SLOT: str(writing)},
                cwd=self.work,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C reaches the launcher alone, which then ends the children in order
                pass_fds=(writing,) if self.lock is None else (self.lock, writing),
                preexec_fn=processes.die_with(os.getpid()),
            )
            self.pidfd = self._watched()
        except BaseException:
            self._hang_up()
            raise
        finally:
            os.close(writing)
            holding.let_go(log)  # an error here would leave a child that nobody knows

    def _watched(self) -> int:
        try:
            return linux.handle_of(self.child)
        except OSError:
            self.child.kill()
            self.child.wait()
            raise

    def gives_back(self) -> bool:
        """Whether it is its slot that it gives back, now that `line` can be read."""
        word = os.read(self.line, 1) if self.line is not None else b""
        self._hang_up()
        return word != b""

    def reap(self) -> None:
        """Take in the end of a container that is over."""
        os.close(self.pidfd)
        self._hang_up()
        self.child.wait()

    def _hang_up(self) -> None:
        holding.let_go(self.line)
        self.line = None

    def enforce_deadline(self) -> None:
        """SIGTERM when it is past, SIGKILL a grace period later."""
        late = time.monotonic() - self.deadline
        if late > 0:
            self.child.send_signal(signal.SIGTERM if late < self.grace else signal.SIGKILL)

    def release(self) -> None:
        """Give back what it had, once all its processes are gone."""
        shutil.rmtree(self.work, ignore_errors=True)
        holding.let_go(self.lock)


def at_hand(process: pod.PodProcess) -> pod.PodProcess:
    """The same, its programs of ours run by the Python that runs this one: PATH's may be a script that looks for one
    first (pyenv's shim), and the user's command, which it is for, finds it as ever."""
    if process.argv[: len(OURS)] != [*OURS]:
        return process
    return replace(process, argv=[sys.executable, *process.argv[1:]])


def shared_out(gpus: str, count: int) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each node, out of that of the whole trial."""
    names = gpus.split(",") if gpus else []
    each = len(names) // count
    return [",".join(names[node * each : (node + 1) * each]) for node in range(count)]


def together(nodes: list[pod.PodProcess], work: Path) -> pod.PodProcess:
    """One process that starts those of all nodes, as the Pods of an Indexed Job, and ends with them."""
    listed = [
        {
            "argv": node.argv,
            "env": node.env | {"JOB_COMPLETION_INDEX": str(rank)},
            "log": str(work / f"node-{rank}.log"),
        }
        for rank, node in enumerate(nodes)
    ]
    path = work / "nodes.json"
    with naming(path):
        path.write_text(json.dumps(listed), encoding="utf-8")
    return replace(nodes[0], argv=[sys.executable, "-I", "-S", gang.__file__, str(path)])


def grace_of(job: Object) -> float:
    """Seconds that a Job's Pod has from SIGTERM to SIGKILL."""
    return float(_spec(job)["terminationGracePeriodSeconds"])


def _spec(job: Object) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def _new_folder(below: Path) -> Path:
    """A folder of which there was none. Its name is short, for the path of a socket may lie in it."""
    while True:
        folder = below / uuid.uuid4().hex[:5]
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
