"""Where every trial stands on a cluster, and why: what the API lists of Jobs, Pods and events, in a few words.

Kubernetes tells the reason of one wait in five places (the Job's conditions, the Pod's conditions, a container's
waiting state, its end, and events). This is the only module that knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sweep import secrets
from sweep.engines import flavors, kueue
from sweep.engines.cluster import Cluster, condition
from sweep.jobs import HELD_BACK, JobState
from sweep.records.exits import EXITS
from sweep.render import Object

SWEEP_LABEL = "helm-sweep/sweep"
TRIAL_LABEL = "helm-sweep/trial"
HELD = "helm-sweep/held"
"""Annotation of a Job that waits since a limit of the sweep is reached: which, in words."""
STUCK_SECONDS = 60
"""A Job that could start but has had no Pod for so long has been lost by its controller."""

FAILING_TO_START = frozenset({"image", "config", "mount", "refused"})
"""Causes that somebody has to mend: waiting does not."""
PEER = EXITS[69].word
"""How a Pod ends whose attempt another node has ended."""
NOT_COUNTED = frozenset({"evicted", PEER})
"""How a Pod ends that does not count against its Job."""
EVENTS = ("FailedCreate", "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")
"""Reasons of the events that say what no object's status does."""
_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
    | {"RegistryUnavailable", "SignatureValidationFailed"}
)
_BOOKING = "its Pod has ended, and its Job's controller has not booked that yet"
_SUB_PATH = "; where root may not enter the folders of the store, write `results: {isolate: false}`"
_STARTING = frozenset({"ContainerCreating", "PodInitializing", ""})
REPRODUCTION = "-p"
"""With its number after it, how the name of a reproduction's Job ends; a trial's ends in hex digits or `-r1`."""


def read(
    jobs: Iterable[Object],
    pods: Iterable[Object],
    events: Iterable[Object],
    now: float,
    waits: Mapping[str, kueue.Wait] | None = None,
) -> dict[str, JobState]:
    """Job name -> its state. `pods` and `events` may be those of other Jobs too; `now` is seconds of the epoch;
    `waits` are those of what Kueue holds, by the Job's uid."""
    of_job: dict[str, list[Object]] = {}  # by uid: a Job that was deleted may have had the same name
    for pod in sorted(pods, key=lambda item: item["metadata"]["creationTimestamp"]):
        of_job.setdefault(pod["metadata"]["labels"].get("batch.kubernetes.io/controller-uid", ""), []).append(pod)
    latest = newest(events)
    return {
        job["metadata"]["name"]: _state(job, of_job.get(job["metadata"]["uid"], []), latest, now, waits or {})
        for job in jobs
        if TRIAL_LABEL in job["metadata"].get("labels", {})
    }


def trials_of(sweep: str, trials: Sequence[str] = ()) -> str:
    """The label selector of a sweep's Jobs and their Pods, of all trials or of some."""
    return f"{SWEEP_LABEL}={sweep},{TRIAL_LABEL}" + (f" in ({','.join(trials)})" if trials else "")


def look(cluster: Cluster, sweep: str) -> dict[str, JobState]:
    """All Jobs of a sweep, with what the API knows of their Pods; events only where a Pod or Job waits.

    A reproduction's Job is labelled like its trial's, and is none of the sweep's: nothing submits, stops or ends it.
    """
    label = trials_of(sweep)
    jobs = [job for job in cluster.list("Job", label) if not re.search(rf"{REPRODUCTION}\d+$", job["metadata"]["name"])]
    return explained(cluster, jobs, cluster.list("Pod", label))


def explained(cluster: Cluster, jobs: Sequence[Object], pods: Sequence[Object]) -> dict[str, JobState]:
    """The states of `jobs`; asks for events, or for Kueue's Workloads, where these alone can say why a Job waits."""
    waits = kueue.waits(cluster, jobs)
    known = read(jobs, pods, [], cluster.now(), waits)
    if not any(state.cause in ("starting", "stuck", "retrying") for state in known.values()):
        return known
    return read(jobs, pods, telling_events(cluster), cluster.now(), waits)


def newest(events: Iterable[Object]) -> dict[str, Object]:
    """The newest event of each object, by the object's name."""
    return {event["involvedObject"]["name"]: event for event in sorted(events, key=_time_of_event)}


def telling_events(cluster: Cluster) -> list[Object]:
    """The events that say what no object's status does."""
    return [event for reason in EVENTS for event in cluster.list("Event", "", f"reason={reason}")]


def terminating(objects: Iterable[Object]) -> list[str]:
    """Names of the objects that are being deleted but are not gone yet."""
    return [item["metadata"]["name"] for item in objects if "deletionTimestamp" in item["metadata"]]


def _state(
    job: Object, pods: Sequence[Object], latest: Mapping[str, Object], now: float, waits: Mapping[str, kueue.Wait]
) -> JobState:
    about, status = job["metadata"], job.get("status", {})
    condition, cause, reason, since = _verdict(job, status, pods, latest, now, waits)
    failure = next((pod for pod in reversed(pods) if _failed(pod)), None)
    pods = [pod for pod in pods if not _rank(pod)]  # of several nodes the first speaks for all
    return JobState(
        name=about["name"],
        trial=about["labels"][TRIAL_LABEL],
        condition=condition,
        cause=cause,
        reason=_said(cause, reason),
        since=since,
        queued_s=_queued(job, pods),
        attempts=max(len(pods), (status.get("failed", 0) + status.get("succeeded", 0)) // _nodes(job)),
        failed=status.get("failed", 0),
        failure=_said(*_end(failure)) if failure else "",
        failed_s=_lasted(failure) if failure else None,
        ran_s=sum(filter(None, map(_ran, pods))),
        pods=tuple(pod["metadata"]["name"] for pod in pods),
        message=last_words(pods[-1]) if pods else "",
        node=pods[-1]["spec"].get("nodeName", "") if pods else "",
        flavors={pod["metadata"]["name"]: flavor for pod in pods if (flavor := flavors.of(pod))},
        image_id=next((image for pod in reversed(pods) if (image := _trial_of(pod).get("imageID"))), ""),
    )


def _verdict(
    job: Object,
    status: Object,
    pods: Sequence[Object],
    latest: Mapping[str, Object],
    now: float,
    waits: Mapping[str, kueue.Wait],
) -> tuple[str, str, str, float]:
    """(condition, cause, reason, since)."""
    ended = {entry["type"]: entry for entry in status.get("conditions", []) if entry["status"] == "True"}
    if "Complete" in ended or "SuccessCriteriaMet" in ended:
        return "Complete", "", "", 0.0
    for kind in ("Failed", "FailureTarget"):
        if kind in ended:
            return "Failed", *_failure(ended[kind], pods), seconds(ended[kind].get("lastTransitionTime"))
    if job["spec"].get("suspend"):
        return _suspended(job, waits)
    return _by_pods(job, pods, latest, now)


def _by_pods(
    job: Object, pods: Sequence[Object], latest: Mapping[str, Object], now: float
) -> tuple[str, str, str, float]:
    """The same of a Job that may run and has not ended: of several nodes the first that does not run says why."""
    gang = sorted(
        {_rank(pod): pod for pod in pods if pod["status"].get("phase") not in ("Failed", "Succeeded")}.items()
    )
    lacking = len(gang) + job.get("status", {}).get("succeeded", 0) < _nodes(job)
    if not gang or (lacking and latest.get(job["metadata"]["name"], {}).get("reason") == "FailedCreate"):
        return _without_pod(job, pods, latest, now)
    verdicts = [(*_of_pod(pod, latest), rank) for rank, pod in gang]
    condition, cause, reason, since, rank = next((entry for entry in verdicts if entry[0] != "Running"), verdicts[0])
    return condition, cause, f"node {rank}: {reason}" if reason and _nodes(job) > 1 else reason, since


def _nodes(job: Object) -> int:
    """Of one trial: how many Pods its Job runs beside each other."""
    return int(job["spec"].get("parallelism", 1))


def _rank(pod: Object) -> int:
    """Which node of its trial a Pod is."""
    return int(pod["metadata"]["labels"].get("batch.kubernetes.io/job-completion-index", 0))


def _of_pod(pod: Object, latest: Mapping[str, Object]) -> tuple[str, str, str, float]:
    """(condition, cause, reason, since) of a Job by a Pod of it that has not ended."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Pending", "ending", f"its Pod{_on(pod)} is being deleted", seconds(pod["metadata"]["deletionTimestamp"])
    state = _trial_of(pod).get("state", {})
    if state.get("running"):
        return "Running", "", "", seconds(state["running"].get("startedAt"))
    if state.get("terminated"):
        return "Pending", "ending", _BOOKING, seconds(state["terminated"].get("finishedAt"))
    since = seconds(pod["metadata"]["creationTimestamp"])
    return "Pending", *waiting(pod, latest), since


def _suspended(job: Object, waits: Mapping[str, kueue.Wait]) -> tuple[str, str, str, float]:
    """By a person, or by Kueue, for which it waits."""
    if not kueue.held(job):
        why = job["metadata"].get("annotations", {}).get(HELD)
        return "Suspended", *((HELD_BACK, why) if why else ("suspended", "")), 0.0
    wait = waits.get(job["metadata"]["uid"], kueue.Wait("for Kueue"))
    return "Pending", "queued", wait.reason, seconds(wait.since or job["metadata"]["creationTimestamp"])


def _without_pod(
    job: Object, pods: Sequence[Object], latest: Mapping[str, Object], now: float
) -> tuple[str, str, str, float]:
    status, event = job.get("status", {}), latest.get(job["metadata"]["name"], {})
    begun = seconds(status.get("startTime") or job["metadata"]["creationTimestamp"])
    newest = seconds(pods[-1]["metadata"]["creationTimestamp"]) if pods else begun
    if event.get("reason") == "FailedCreate" and _time_of_event(event) >= newest:
        message = event.get("message", "")
        return "Pending", "quota" if "exceeded quota" in message else "refused", message, begun
    if pods and pods[-1]["status"]["phase"] == "Failed":  # and the controller backs off before the next
        cause, reason = _end(pods[-1])
        return "Pending", "retrying", f"after {cause}: {reason}" if reason else f"after {cause}", 0.0
    if pods or status.get("active") or any(status.get("uncountedTerminatedPods", {}).values()):
        return "Pending", "ending", _BOOKING, 0.0
    if now - begun > STUCK_SECONDS:
        return "Pending", "stuck", "no Pod for a minute; `make retry` gives it a new Job", begun
    return "Pending", "starting", "", begun


def waiting(pod: Object, latest: Mapping[str, Object]) -> tuple[str, str]:
    """(cause, reason) of a Pod whose containers do not run yet. `latest`: the newest event by its object's name."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "True":
        message = scheduled.get("message", "").partition(" preemption: ")[0]  # which only says it again
        for_a_gpu = not message or "Insufficient" in message or "cannot allocate all claims" in message
        return "queued" if for_a_gpu else "unschedulable", message or "for the scheduler"
    for container in _containers(pod):
        state = container.get("state", {}).get("waiting") or {}
        if state and state.get("reason", "") not in _STARTING:
            return _container_waiting(state["reason"], state.get("message") or "")
    event = latest.get(pod["metadata"]["name"], {})
    if event.get("reason") in ("FailedMount", "FailedAttachVolume", "FailedMapVolume"):
        return "mount", _mount_failure(event.get("message", ""))
    if event.get("reason") == "FailedCreatePodSandBox":
        return "config", event.get("message", "")
    return "starting", ""


def _container_waiting(reason: str, message: str) -> tuple[str, str]:
    advice = _SUB_PATH if "subPath" in message else ""
    return "image" if reason in _IMAGE else "config", ": ".join(filter(None, [reason, message])) + advice


def _containers(pod: Object) -> list[Object]:
    """States of its containers, in the order in which they run."""
    return [*pod["status"].get("initContainerStatuses", []), *pod["status"].get("containerStatuses", [])]


def _mount_failure(message: str) -> str:
    """The kubelet's words without the command line it ran, of which the source alone tells anything."""
    kept = []
    for line in message.splitlines():
        words = line.split()
        if line.startswith("Mounting arguments:") and len(words) > 3:
            kept.append(f"{words[-2]}:")
        elif not line.startswith("Mounting command:"):
            kept.append(line.removeprefix("Output: "))
    return " ".join(kept)


def _failure(condition: Object, pods: Sequence[Object]) -> tuple[str, str]:
    """(cause, reason) of a Job that has failed."""
    ended = [pod for pod in pods if pod["status"].get("phase") == "Failed"]
    if ended:
        return _end(([pod for pod in ended if _end(pod)[0] != PEER] or ended)[-1])
    return condition.get("reason", "failed"), condition.get("message", "")


def _end(pod: Object) -> tuple[str, str]:
    """(cause, reason) of a Pod that has failed, in the runner's own words where it left any."""
    status, disrupted = pod["status"], condition(pod, "DisruptionTarget")
    if status.get("reason") == "Evicted" or disrupted.get("status") == "True":
        why = status.get("message") or disrupted.get("message") or disrupted.get("reason", "")
        return "evicted", f"{why}{_on(pod)}"
    if status.get("reason") == "DeadlineExceeded":
        return "limit", status.get("message", "")
    if ended := _ended_badly(pod):
        return _container_end(ended, _on(pod))
    return status.get("reason", "failed"), f"{status.get('message', '')}{_on(pod)}"


def _ended_badly(pod: Object) -> Object:
    """How the first container of a Pod has ended that did not end well; {} for none."""
    for container in [*pod["status"].get("initContainerStatuses", []), _trial_of(pod)]:
        ended: Object = container.get("state", {}).get("terminated") or {}
        if ended.get("exitCode"):
            return ended
    return {}


def _failed(pod: Object) -> bool:
    """Whether a Pod has failed in a way that counts against its Job."""
    return pod["status"].get("phase") == "Failed" and _end(pod)[0] not in NOT_COUNTED


def _lasted(pod: Object) -> float | None:
    """Seconds that the container ran for which its Pod has failed; None where no status tells."""
    return _between(_ended_badly(pod))


def _ran(pod: Object) -> float | None:
    """Seconds that a Pod's trial ran which has ended."""
    return _between(_trial_of(pod).get("state", {}).get("terminated") or {})


def _between(ended: Object) -> float | None:
    began, end = seconds(ended.get("startedAt")), seconds(ended.get("finishedAt"))
    return max(0.0, end - began) if began and end else None


def _container_end(ended: Object, on: str) -> tuple[str, str]:
    """The same of a container that has."""
    if ended.get("reason") == "OOMKilled":
        return "OOM", f"killed for memory{on}; raise resources.limits.memory"
    code = ended["exitCode"]
    cause = EXITS[code].word if code in EXITS else f"exit {code}"
    last = _last_line(ended).removeprefix("failed: ")
    return cause, (last.partition(": failed: ")[2] or last).removeprefix(f"{cause}: ")


def _last_line(ended: Object) -> str:
    """Of what a container left as its message."""
    return next(reversed((ended.get("message") or "").strip().splitlines()), "")


def pod_end(pod: Object, container: str) -> str:
    """Why a Pod that is none of a trial has failed, in one line: its container's last words, or Kubernetes'."""
    ended = _status_of(pod, container).get("state", {}).get("terminated") or {}
    return _line(_last_line(ended) or pod["status"].get("message") or ended.get("reason") or "it failed")


def _on(pod: Object) -> str:
    node = pod["spec"].get("nodeName")
    return f" on {node}" if node else ""


def last_words(pod: Object) -> str:
    """What the container `trial` left as its message; "" if it left none, or runs."""
    return str((_trial_of(pod).get("state", {}).get("terminated") or {}).get("message", ""))


def _trial_of(pod: Object) -> Object:
    return _status_of(pod, "trial")


def _status_of(pod: Object, container: str) -> Object:
    """Status of a container, {} before the kubelet has written one."""
    statuses: list[Object] = pod["status"].get("containerStatuses", [])
    return next((status for status in statuses if status["name"] == container), {})


def _queued(job: Object, pods: Sequence[Object]) -> float | None:
    starts = []
    for pod in pods:
        state = _trial_of(pod).get("state", {})
        started = (state.get("running") or state.get("terminated") or {}).get("startedAt")
        if started:
            starts.append(seconds(started))
    return max(0.0, min(starts) - seconds(job["metadata"]["creationTimestamp"])) if starts else None


def _time_of_event(event: Object) -> float:
    return seconds(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def seconds(time: Any) -> float:
    """Seconds of the epoch of an API time; 0 where there is none."""
    return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else 0.0


def _said(cause: str, reason: str) -> str:
    """A cause and its reason for people, in one line."""
    return _line(f"{cause}: {reason}" if cause and reason else cause or reason)


def _line(text: str) -> str:
    return secrets.masked(" ".join(text.split())[:1000])[:300]
