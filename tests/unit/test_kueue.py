"""What Kueue's Workloads say of the Jobs it holds, and what a Job may no longer change."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engines import kueue, states
from sweep.engines.cluster import Refused
from sweep.errors import BadInput

Object = dict[str, Any]
NOW = 1_800_000_000.0
PENDING = {
    "type": "QuotaReserved",
    "status": "False",
    "reason": "Pending",
    "message": "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor any",
    "lastTransitionTime": "2026-11-28T01:00:00Z",
}
ADMITTED = {"type": "QuotaReserved", "status": "True", "message": "Quota reserved in ClusterQueue two"}


def workload(
    job: str, *conditions: Object, queue: str = "team", priority: int = 0, created: int = 0, **spec: Any
) -> Object:
    return {
        "metadata": {
            "uid": f"w-{job}",
            "creationTimestamp": f"2026-11-28T00:00:{created:02}Z",
            "ownerReferences": [{"kind": "Job", "uid": job}],
        },
        "spec": {"queueName": queue, "priority": priority, **spec},
        "status": {"conditions": list(conditions)},
    }


def job(uid: str = "a", *, queue: str = "team", priority: str = "", suspend: bool = True, **status: Any) -> Object:
    labels = {states.TRIAL_LABEL: uid, kueue.QUEUE: queue, kueue.PRIORITY: priority}
    return {
        "metadata": {
            "name": f"toy-{uid}",
            "uid": uid,
            "creationTimestamp": "2026-11-28T00:00:00Z",
            "labels": {name: value for name, value in labels.items() if value},
        },
        "spec": {"suspend": suspend},
        "status": status,
    }


class Api:
    """A cluster that has these Workloads and LocalQueues, or refuses by a status."""

    namespace = "ml"

    def __init__(self, *workloads: Object, status: int = 0, queues: tuple[Object, ...] = ()) -> None:
        self.workloads, self.status, self.queues = workloads, status, queues
        self.asked: list[str] = []

    def pages(self, kind: str) -> list[Object]:
        self.asked.append(kind)
        if self.status:
            raise Refused(self.status, "no")
        return list(self.workloads)

    def get(self, kind: str, name: str) -> Object | None:
        self.asked.append(kind)
        if self.status:
            raise Refused(self.status, "no")
        return next((queue for queue in self.queues if queue["metadata"]["name"] == name), None)

    def list(self, kind: str, *, brief: bool) -> list[Object]:
        assert brief
        self.asked.append(kind)
        return list(self.queues)


# ---- why it waits ----


def test_a_held_job_waits_for_what_its_workload_says_at_its_place_in_the_queue() -> None:
    waits = kueue.read(
        [
            workload("a", PENDING, created=2),
            workload("b", PENDING, created=1),
            workload("c", PENDING, created=3, priority=5),
            workload("d", PENDING, queue="other"),
            workload("e", ADMITTED),
        ],
        complete=True,
    )
    places = {name: wait.reason.rpartition("; ")[2] for name, wait in waits.items()}
    assert places["c"] == "1 of 3 that wait in LocalQueue team"
    assert places["b"] == "2 of 3 that wait in LocalQueue team"
    assert places["a"] == "3 of 3 that wait in LocalQueue team"
    assert places["d"] == "1 of 1 that wait in LocalQueue other"
    assert waits["a"].reason.startswith(PENDING["message"])
    assert waits["a"].since == PENDING["lastTransitionTime"]
    assert waits["e"].reason == "Kueue lets it start"


def test_no_place_is_told_where_not_all_workloads_were_read() -> None:
    (wait,) = kueue.read([workload("a", PENDING)], complete=False).values()
    assert wait.reason == PENDING["message"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (workload("a"), "Kueue has not judged it yet"),
        (
            workload("a", PENDING, {"type": "Evicted", "status": "True", "message": "Preempted for another"}),
            f"Preempted for another; {PENDING['message']}",
        ),
        (
            workload("a", {"type": "Evicted", "status": "True", "message": "The admission check failed"}, active=False),
            "Kueue has deactivated it: The admission check failed",
        ),
        (
            workload("a", ADMITTED)
            | {"status": {"conditions": [ADMITTED], "admissionChecks": [{"name": "budget", "state": "Pending"}]}},
            "Kueue has quota for it, and waits for its admission checks: budget",
        ),
    ],
)
def test_other_reasons(item: Object, reason: str) -> None:
    assert kueue.read([item], complete=False)["a"].reason == reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "the right to list workloads.kueue.x-k8s.io"), (404, "there is no Kueue on this cluster")],
)
def test_what_the_api_does_not_show_is_told_with_what_to_do(status: int, reason: str) -> None:
    assert reason in kueue.waits(Api(status=status), [job()])["a"].reason  # type: ignore[arg-type]


def test_nothing_is_asked_where_kueue_holds_no_job() -> None:
    api = Api()
    assert kueue.waits(api, [job(suspend=False), job(queue="")]) == {}  # type: ignore[arg-type]
    assert not api.asked


def test_a_held_job_is_pending_in_the_queue_and_a_stopped_one_suspended() -> None:
    held, stopped, done = job("a"), job("b", queue=""), job("c", conditions=[{"type": "Complete", "status": "True"}])
    known = states.read([held, stopped, done], [], [], NOW, {"a": kueue.Wait("for quota", "2026-11-28T01:00:00Z")})
    state = known["toy-a"]
    assert (state.condition, state.cause, state.reason) == ("Pending", "queued", "queued: for quota")
    assert state.since == states.seconds("2026-11-28T01:00:00Z")
    assert known["toy-b"].condition == "Suspended"
    assert known["toy-c"].condition == "Complete"


# ---- the queue ----


def queue(name: str, active: str = "True", **spec: Any) -> Object:
    condition = {"type": "Active", "status": active, "message": "ClusterQueue two is stopped"}
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": [condition]}}


def test_a_queue_is_looked_at_before_jobs_are_sent_there() -> None:
    assert kueue.check(Api(queues=(queue("team"),)), "team") == ""  # type: ignore[arg-type]
    note = kueue.check(Api(queues=(queue("team", "False"),)), "team")  # type: ignore[arg-type]
    assert note == "queue team: lets nothing start now: ClusterQueue two is stopped"
    assert "with the right to get localqueues" in kueue.check(Api(status=403), "team")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"^queue: there is no LocalQueue tema in namespace ml; there are other, team$"):
        kueue.check(Api(queues=(queue("team"), queue("other"))), "tema")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"^queue: there is no Kueue on this cluster; take `queue: team` away$"):
        kueue.check(Api(status=404), "team")  # type: ignore[arg-type]


# ---- what a Job keeps ----

NAMES = ("", "one", "two")


def admits(old: Object, queue: str, priority: str) -> bool:
    """What Kueue 0.17's webhook says of an update: the rules of its pkg/controller/jobframework/validation.go."""
    has, started = old["metadata"]["labels"], not old["spec"]["suspend"]
    if started and queue != has.get(kueue.QUEUE, ""):
        return False
    if started and not has.get(kueue.PRIORITY) and priority:
        return False
    return bool(priority or not has.get(kueue.PRIORITY))


@pytest.mark.parametrize("suspend", [True, False])
@pytest.mark.parametrize(("before", "priority_before", "queue", "priority"), list(product(NAMES, repeat=4)))
def test_a_job_keeps_as_little_as_kueue_lets_it(
    before: str, priority_before: str, queue: str, priority: str, suspend: bool
) -> None:
    old = job(queue=before, priority=priority_before, suspend=suspend)
    kept = kueue.kept([old], queue, priority)
    new = {"queue": queue, "priority": priority} if not kept else {"queue": "", "priority": ""} | kept["toy-a"]
    assert admits(old, **new)
    assert bool(kept) != admits(old, queue, priority)
    if admits(old, queue, new["priority"]):
        assert new["queue"] == queue
    if admits(old, new["queue"], priority):
        assert new["priority"] == priority


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3), st.integers(0, 59)), max_size=8))
def test_every_waiting_workload_has_one_place_in_its_queue(rows: list[tuple[str, int, int]]) -> None:
    workloads = [
        workload(str(number), PENDING, queue=queue, priority=priority, created=created)
        for number, (queue, priority, created) in enumerate(rows)
    ]
    waits = kueue.read(workloads, complete=True)
    for name in NAMES:
        ends = [waits[str(number)].reason for number, row in enumerate(rows) if row[0] == name]
        places = sorted(int(end.rpartition("; ")[2].split()[0]) for end in ends)
        assert places == list(range(1, len(ends) + 1))
