"""Jobs, Pods and events as a Kubernetes 1.31 to 1.37 writes them, cut down to what is read."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from sweep.render import Object

NOW = datetime(2026, 1, 2, 3, 10, 0, tzinfo=UTC).timestamp()
TRIAL = "0a1b2c3d4e5f"
NAME = f"toy-{TRIAL}-01234567"


def at(seconds: float) -> str:
    """An API time, so many seconds before NOW."""
    return datetime.fromtimestamp(NOW - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(
    *conditions: tuple[str, str, str],
    name: str = NAME,
    trial: str = TRIAL,
    age: float = 300,
    uid: str = "",
    **status: Any,
) -> Object:
    """A Job with conditions (type, reason, message) that hold; `suspend` is of its spec, all else of its status."""
    suspend = status.pop("suspend", False)
    listed = [
        {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at(10)}
        for kind, reason, message in conditions
    ]
    return {
        "metadata": {
            "name": name,
            "uid": uid or f"uid-of-{name}",
            "creationTimestamp": at(age),
            "labels": {"helm-sweep/sweep": "toy", "helm-sweep/trial": trial},
        },
        "spec": {"suspend": suspend, "backoffLimit": 2},
        "status": {"startTime": at(age), "uncountedTerminatedPods": {}, "conditions": listed} | status,
    }


def pod(
    phase: str = "Pending",
    container: Object | None = None,
    *conditions: Object,
    age: float = 290,
    name: str = "p0",
    job: Object | None = None,
    node: str = "",
    init: Object | None = None,
    deleted: bool = False,
    **status: Any,
) -> Object:
    """A Pod of `job` whose container `trial` is in the state `container`; None before the kubelet has seen it."""
    about: Object = (
        job["metadata"] if job else {"name": NAME, "uid": f"uid-of-{NAME}", "labels": {"helm-sweep/trial": TRIAL}}
    )
    item: Object = {
        "metadata": {
            "name": name,
            "creationTimestamp": at(age),
            "labels": {
                "batch.kubernetes.io/job-name": about["name"],
                "batch.kubernetes.io/controller-uid": about["uid"],
                "helm-sweep/trial": about["labels"]["helm-sweep/trial"],
            },
        },
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": list(conditions)} | status,
    }
    if deleted:
        item["metadata"] |= {"deletionTimestamp": at(1)}
    if container is not None:
        image = "docker.io/library/python@sha256:abc"
        sidecar = {"name": "a-sidecar", "state": {"running": {"startedAt": at(200)}}}
        item["status"]["containerStatuses"] = [sidecar, {"name": "trial", "state": container, "imageID": image}]
    if init is not None:
        item["status"]["initContainerStatuses"] = [{"name": "code", "state": init}]
    return copy.deepcopy(item)


SCHEDULED = {"type": "PodScheduled", "status": "True"}


def unschedulable(message: str) -> Object:
    """The scheduler's condition of a Pod that it has tried to place."""
    return {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}


def disrupted(reason: str, message: str) -> Object:
    """The condition of a Pod that ended for no fault of its own."""
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}


def running(ago: float = 100) -> Object:
    return {"running": {"startedAt": at(ago)}}


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def ended(code: int, message: str = "", reason: str = "") -> Object:
    """The state of a container that has ended."""
    word = reason or ("Error" if code else "Completed")
    state = {"exitCode": code, "reason": word, "startedAt": at(100), "finishedAt": at(20)}
    return {"terminated": state | ({"message": message} if message else {})}


def event(reason: str, message: str, of: str = NAME, ago: float = 5, micro: bool = False) -> Object:
    """An event of the object `of`; `micro`: as the newer events API writes it."""
    times = (
        {"lastTimestamp": None, "eventTime": at(ago).replace("Z", ".123456Z")} if micro else {"lastTimestamp": at(ago)}
    )
    about = {"creationTimestamp": at(ago + 1000)}  # it has happened before
    return {"metadata": about, "reason": reason, "message": message, "involvedObject": {"name": of}} | times
