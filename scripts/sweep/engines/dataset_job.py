"""Filling the data volume of a cluster: a Job runs data.prepare there, with what it downloads or with what is sent."""

from __future__ import annotations

import contextlib
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.engines import states
from sweep.engines.cluster import Cluster, Refused
from sweep.engines.patience import Patience
from sweep.errors import TrialsFailed
from sweep.render import Object

CONTAINER = "dataset"
BLOCK = 1_048_576
"""Bytes a message to the Pod."""


def fill(cluster: Cluster, objects: Sequence[Object], folder: Path | None, say: Callable[[str], None]) -> None:
    """Create the Job and what it needs, see it to its end, and delete them; one that runs already is followed.

    `folder` is what is sent to it, if it was rendered to be sent something. Raises TrialsFailed with the Pod's last
    words, and Unreachable.
    """
    job = next(each["metadata"]["name"] for each in objects if each["kind"] == "Job")
    filling = _Filling(cluster, job, folder, say, Patience(say))
    for each in objects:
        filling.create(each)
    try:
        while not filling.look():
            time.sleep(1)
    finally:
        for each in objects:
            cluster.delete(each["kind"], each["metadata"]["name"])


@dataclass
class _Filling:
    """A Job that fills a volume, and how far it is."""

    cluster: Cluster
    job: str
    folder: Path | None
    """What it is still to be sent."""
    say: Callable[[str], None]
    patient: Patience
    announced: str = ""
    """What was last said to be waited for."""

    def create(self, each: Object) -> None:
        """What is there already, of a run that was cut off, stays."""
        try:
            self.patient(lambda: self.cluster.create(each))
        except Refused as error:
            if error.status != 409:
                raise

    def look(self) -> bool:
        """Do what there is to do now; True at the end. Raises TrialsFailed."""
        pod = self._newest_pod()
        phase = pod["status"].get("phase") if pod else ""
        if pod and self.folder and phase == "Running":
            self._send(pod, self.folder)
        if self._has_ended(pod):
            return True
        if pod and phase == "Pending":
            self._tell_wait(pod)
        return False

    def _newest_pod(self) -> Object | None:
        pods = self.patient(lambda: self.cluster.list("Pod", f"batch.kubernetes.io/job-name={self.job}"))
        pods.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return pods[-1] if pods else None

    def _send(self, pod: Object, folder: Path) -> None:
        """Once, to the first Pod that runs."""
        self.say(f"dataset: sending {folder}")
        self.folder = None
        with self.cluster.attach(pod["metadata"]["name"], CONTAINER) as send:
            stream(folder, send)

    def _has_ended(self, pod: Object | None) -> bool:
        job = self.patient(lambda: self.cluster.get("Job", self.job)) or {}
        conditions = {condition["type"] for condition in job.get("status", {}).get("conditions", [])}
        if "Complete" in conditions:
            for line in _last_lines(self.cluster, pod):
                self.say(f"dataset: {line}")
            return True
        if "Failed" in conditions or not job:
            why = states.pod_end(pod, CONTAINER) if pod else "its Pod was deleted"
            raise TrialsFailed(f"dataset: Job {self.job} failed: {why}; mend it, and type the same again")
        return False

    def _tell_wait(self, pod: Object) -> None:
        events = states.newest(self.patient(lambda: states.telling_events(self.cluster)))
        cause, reason = states.waiting(pod, events)
        wait = f"dataset: {cause}{': ' if reason else ''}{' '.join(reason.split())}"
        if wait != self.announced:
            self.announced = wait
            self.say(wait)


def stream(folder: Path, send: Callable[[bytes], None]) -> None:
    """Send the files of a folder as a tar, block by block."""

    class Pipe:
        def write(self, data: bytes) -> int:
            send(bytes(data))
            return len(data)

    with tarfile.open(fileobj=Pipe(), mode="w|", bufsize=BLOCK) as archive:  # type: ignore[call-overload]
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.add(path, str(path.relative_to(folder)), recursive=False)


def _last_lines(cluster: Cluster, pod: Object | None) -> list[str]:
    """What the Pod said last; nothing where its log is gone, for the data are there."""
    if not pod:
        return []
    with contextlib.suppress(Refused):
        return [line.decode(errors="replace") for line in cluster.log(pod["metadata"]["name"], CONTAINER, tail=2)]
    return []
