"""Why Kueue holds a Job, and whether the queue that a sweep names is there: the only module that knows Kueue's API.

A Job with a queue waits suspended until Kueue lets it go. Why it waits stands in its Workload's conditions, and its
place in the LocalQueue follows from the Workloads beside it (https://kueue.sigs.k8s.io/docs/concepts/workload/).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from sweep.engines.cluster import PAGE, Cluster, Refused, condition
from sweep.errors import BadInput
from sweep.render import Object

GROUP = "kueue.x-k8s.io"
QUEUE, PRIORITY = f"{GROUP}/queue-name", f"{GROUP}/priority-class"
"""Labels of a Job."""


@dataclass(frozen=True)
class Wait:
    """Of a Job that Kueue holds."""

    reason: str
    since: str = ""
    """An API time; "" where nothing tells."""


def held(job: Object) -> bool:
    """Whether it is Kueue that has such a Job wait."""
    return bool(job["metadata"].get("labels", {}).get(QUEUE) and job["spec"].get("suspend"))


def waits(cluster: Cluster, jobs: Iterable[Object]) -> dict[str, Wait]:
    """Job uid -> why it is held, of those of `jobs` that are; one request, and none where no Job is held."""
    uids = {job["metadata"]["uid"] for job in jobs if held(job)}
    if not uids:
        return {}
    try:
        workloads = list(islice(cluster.pages("Workload"), PAGE))
    except Refused as error:
        if error.status == 403:
            reason = f"held by Kueue; with the right to list workloads.{GROUP} (`make role`) the reason is shown"
        elif error.status == 404:
            reason = "held, and there is no Kueue on this cluster to let it go; take `queue` away"
        else:
            raise
        return {uid: Wait(reason) for uid in uids}
    reasons = read(workloads, complete=len(workloads) < PAGE)
    return {uid: reasons.get(uid, Wait("Kueue has not looked at it yet")) for uid in uids}


def read(workloads: Sequence[Object], *, complete: bool) -> dict[str, Wait]:
    """Job uid -> why its Workload waits. `complete`: these are all of the namespace, so places in a queue are known."""
    pending = [
        workload for workload in workloads if not any(_is(workload, kind) for kind in ("QuotaReserved", "Finished"))
    ]
    place = _places(pending) if complete else {}
    return {
        owner["uid"]: _wait(workload, place.get(workload["metadata"]["uid"], ""))
        for workload in workloads
        for owner in workload["metadata"].get("ownerReferences", ())
        if owner["kind"] == "Job"
    }


def _places(pending: Iterable[Object]) -> dict[str, str]:
    """Workload uid -> its place in its LocalQueue: higher priority first, then the older one, as Kueue orders them."""
    queues: dict[str, list[Object]] = {}
    for workload in pending:
        queues.setdefault(workload["spec"].get("queueName", ""), []).append(workload)
    return {
        workload["metadata"]["uid"]: f"{place} of {len(queue)} that wait in LocalQueue {name}"
        for name, queue in queues.items()
        for place, workload in enumerate(sorted(queue, key=_order), 1)
    }


def _order(workload: Object) -> tuple[int, str, str]:
    about = workload["metadata"]
    return -int(workload["spec"].get("priority") or 0), about["creationTimestamp"], about["uid"]


def _wait(workload: Object, place: str) -> Wait:
    reserved = condition(workload, "QuotaReserved")
    since = str(reserved.get("lastTransitionTime") or workload["metadata"]["creationTimestamp"])
    if reserved.get("status") == "True":
        checks = [check for check in workload["status"].get("admissionChecks", ()) if check.get("state") != "Ready"]
        if checks:
            waiting = "; ".join(f"{check['name']} {check.get('message', '')}".strip() for check in checks)
            return Wait(f"Kueue has quota for it, and waits for its admission checks: {waiting}", since)
        return Wait("Kueue lets it start", since)
    if workload["spec"].get("active") is False:
        return Wait(f"Kueue has deactivated it: {condition(workload, 'Evicted').get('message', '')}", since)
    why = reserved.get("message") or "Kueue has not judged it yet"
    evicted = condition(workload, "Evicted")
    before = evicted.get("message", "") if evicted.get("status") == "True" else ""
    return Wait("; ".join(filter(None, [before if before not in why else "", why, place])), since)


def _is(workload: Object, kind: str) -> bool:
    return condition(workload, kind).get("status") == "True"


# ---- the queue ----


def check(cluster: Cluster, queue: str) -> str:
    """What is to be said of a LocalQueue before Jobs are sent there; "" for nothing.

    Raises BadInput where there is none: its Jobs would wait for ever.
    """
    try:
        there = cluster.get("LocalQueue", queue)
        others = [] if there else sorted(other["metadata"]["name"] for other in cluster.list("LocalQueue", brief=True))
    except Refused as error:
        if error.status == 404:
            raise BadInput(f"queue: there is no Kueue on this cluster; take `queue: {queue}` away") from error
        if error.status == 403:
            return f"queue {queue}: whether it takes Jobs shows with the right to get localqueues.{GROUP} (`make role`)"
        raise
    if not there:
        others_there = f"there are {', '.join(others)}" if others else "an administrator makes one"
        raise BadInput(f"queue: there is no LocalQueue {queue} in namespace {cluster.namespace}; {others_there}")
    active = condition(there, "Active")
    if there["spec"].get("stopPolicy", "None") != "None" or active.get("status") == "False":
        return f"queue {queue}: lets nothing start now: {active.get('message') or 'it is held'}"
    return ""


def kept(jobs: Iterable[Object], queue: str, priority: str) -> dict[str, dict[str, str]]:
    """Job name -> `{queue, priority}` that it has to keep, as the chart's value `admitted` takes them.

    Kueue's webhook for Jobs (0.17) lets the queue change while a Job is suspended, and no more once it has started. A
    priority may be changed at any time, but not taken away, and not given to a Job that has started without one.
    """
    wanted = {"queue": queue, "priority": priority}
    keeping = {}
    for job in jobs:
        labels, started = job["metadata"]["labels"], not job["spec"].get("suspend")
        has = {"queue": labels.get(QUEUE, ""), "priority": labels.get(PRIORITY, "")}
        keeps_priority = not priority if has["priority"] else started
        keeps = {
            "queue": has["queue"] if started else queue,
            "priority": has["priority"] if keeps_priority else priority,
        }
        if keeps != wanted:
            keeping[job["metadata"]["name"]] = {name: value for name, value in keeps.items() if value}
    return keeping


def otherwise(cluster: Cluster, selector: str, queue: str, priority: str) -> list[Object]:
    """The Jobs of a selector whose queue or priority is not the one that is wanted; mostly none."""
    jobs: dict[str, Object] = {}
    for label, wanted in ((QUEUE, queue), (PRIORITY, priority)):
        unlike = f"{label}!={wanted}" if wanted else label
        jobs |= {job["metadata"]["uid"]: job for job in cluster.list("Job", f"{selector},{unlike}")}
    return list(jobs.values())
