"""Filling the data volume of a cluster: a Job runs data.prepare there, with what it downloads or with what is sent."""

from __future__ import annotations

import contextlib
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sweep.engines import states
from sweep.engines.cluster import Cluster, Patience, Refused
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
    patient = Patience(say)
    job = next(made["metadata"]["name"] for made in objects if made["kind"] == "Job")
    for made in objects:
        try:
            patient(lambda made=made: cluster.create(made))  # type: ignore[misc]
        except Refused as error:
            if error.status != 409:
                raise
    sent = folder is None
    told = ""
    try:
        while True:
            pods = patient(lambda: cluster.list("Pod", f"batch.kubernetes.io/job-name={job}"))
            pods.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
            newest = pods[-1] if pods else None
            if newest and not sent and newest["status"].get("phase") == "Running":
                say(f"dataset: sending {folder}")
                sent = True
                with cluster.attach(newest["metadata"]["name"], CONTAINER) as send:
                    stream(folder or Path(), send)
            found = patient(lambda: cluster.get("Job", job))
            ended = {told["type"] for told in (found or {}).get("status", {}).get("conditions", [])}
            if "Complete" in ended:
                for line in _last_lines(cluster, newest):
                    say(f"dataset: {line}")
                return
            if "Failed" in ended or not found:
                why = states.pod_end(newest, CONTAINER) if newest else "its Pod was deleted"
                raise TrialsFailed(f"dataset: Job {job} failed: {why}; mend it, and type the same again")
            if newest and newest["status"].get("phase") == "Pending":
                said = states.newest(patient(lambda: states.telling_events(cluster)))
                cause, reason = states.waiting(newest, said)
                if f"{cause} {reason}" != told:
                    told = f"{cause} {reason}"
                    say(f"dataset: {cause}{': ' if reason else ''}{' '.join(reason.split())}")
            time.sleep(1)
    finally:
        for made in objects:
            cluster.delete(made["kind"], made["metadata"]["name"])


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
