"""Where a trial stands and why, from objects as a real Kubernetes writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engines import flavors as flavors_of_pods
from sweep.engines import states
from sweep.engines.cluster import Cluster
from sweep.jobs import JobState
from sweep.render import Object
from tests.unit.kube_objects import (
    NAME,
    NOW,
    SCHEDULED,
    TRIAL,
    disrupted,
    ended,
    event,
    job,
    pod,
    running,
    unschedulable,
    waiting,
)

QUOTA = (
    'Error creating: pods "x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, '
    "used: requests.nvidia.com/gpu=2, limited: requests.nvidia.com/gpu=2"
)
PSA = 'Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest": restricted volume types'
FAILED = ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")


def state(item: Object, *pods: Object, events: Sequence[Object] = (), now: float = NOW) -> JobState:
    (only,) = states.read([item], pods, events, now).values()
    return only


def shown(item: Object, *pods: Object, events: Sequence[Object] = ()) -> tuple[str, str, str]:
    seen = state(item, *pods, events=events)
    return seen.condition, seen.cause, seen.reason


ENDS: dict[str, tuple[Object, str, str]] = {
    "own words": (
        pod("Failed", ended(1, "trial: failed: lr must not be negative")),
        "exit 1",
        "lr must not be negative",
    ),
    "last line of a log": (pod("Failed", ended(1, "Traceback\n  ...\nKeyError: 'lr'\n")), "exit 1", "KeyError: 'lr'"),
    "no words": (pod("Failed", ended(137)), "exit 137", ""),
    "bad input": (pod("Failed", ended(64, "x: failed: lr is a string")), "bad input", "lr is a string"),
    "bad data": (pod("Failed", ended(65, "x: failed: no data")), "bad data", "no data"),
    "time limit": (pod("Failed", ended(66, "x: failed: 600 s")), "limit", "600 s"),
    "GPU memory": (pod("Failed", ended(67, "x: failed: batch")), "OOM", "batch"),
    "try again": (pod("Failed", ended(75, "x: failed: no GPU")), "try again", "no GPU"),
    "SIGTERM": (pod("Failed", ended(143, "x: failed: asked to end")), "ended", "asked to end"),
    "memory": (
        pod("Failed", ended(137, reason="OOMKilled"), node="n1"),
        "OOM",
        "killed for memory on n1; raise resources.limits.memory",
    ),
    "evicted by the kubelet": (
        pod(
            "Failed",
            ended(137, reason="ContainerStatusUnknown"),
            disrupted("TerminationByKubelet", "The node was low on resource"),
            reason="Evicted",
            message="The node was low on resource: memory.",
            node="n1",
        ),
        "evicted",
        "The node was low on resource: memory. on n1",
    ),
    "preempted": (
        pod("Failed", ended(143), disrupted("PreemptionByScheduler", "default-scheduler: preempting"), node="n1"),
        "evicted",
        "default-scheduler: preempting on n1",
    ),
    "node gone": (
        pod("Failed", running(), disrupted("DeletionByPodGC", "PodGC: node no longer exists"), node="n1"),
        "evicted",
        "PodGC: node no longer exists on n1",
    ),
    "deadline of the Pod": (
        pod(
            "Failed", ended(143, "x: failed: asked to end"), reason="DeadlineExceeded", message="longer than specified"
        ),
        "limit",
        "longer than specified",
    ),
    "deadline before it ran": (
        pod("Failed", None, reason="DeadlineExceeded", message="longer than specified"),
        "limit",
        "longer than specified",
    ),
    "init container": (
        pod("Failed", waiting("PodInitializing"), init=ended(1, "code: failed: commit not found")),
        "exit 1",
        "commit not found",
    ),
    "store": (
        pod("Failed", waiting("PodInitializing"), init=ended(75, "failed: result store /s: not writable by 1:1")),
        "try again",
        "result store /s: not writable by 1:1",
    ),
    "after its init container": (
        pod("Failed", ended(1, "x: failed: later"), init=ended(0)),
        "exit 1",
        "later",
    ),
    "refused by its node": (
        pod("Failed", None, reason="OutOfcpu", message="Node didn't have enough resource", node="n1"),
        "OutOfcpu",
        "Node didn't have enough resource on n1",
    ),
}


@pytest.mark.parametrize("kind", ENDS)
def test_failed_job_tells_how_its_last_pod_ended(kind: str) -> None:
    last, cause, reason = ENDS[kind]
    before = pod("Failed", ended(1, "an earlier attempt"), age=299, name="p-")
    for conditions in (
        [FAILED],
        [("FailureTarget", "PodFailurePolicy", "…")],
        [("FailureTarget", *FAILED[1:]), FAILED],
    ):
        seen = state(job(*conditions, failed=2), last, before)
        assert (seen.condition, seen.cause) == ("Failed", cause)
        assert seen.reason == (f"{cause}: {reason}" if reason else cause)
        assert seen.finished
        assert seen.attempts == 2


def test_failed_job_whose_pods_are_gone_has_the_conditions_words() -> None:
    assert shown(job(FAILED, failed=3)) == (
        "Failed",
        "BackoffLimitExceeded",
        "BackoffLimitExceeded: Job has reached the specified backoff limit",
    )
    assert state(job(FAILED, failed=3)).attempts == 3


@pytest.mark.parametrize("kind", ENDS)
def test_a_job_between_two_attempts_says_why_the_first_failed(kind: str) -> None:
    last, cause, reason = ENDS[kind]
    assert shown(job(failed=1), last) == (
        "Pending",
        "retrying",
        f"retrying: after {cause}" + (f": {reason}" if reason else ""),
    )


@pytest.mark.parametrize("kind", ENDS)
def test_the_newest_failure_that_counts_stays_known_while_the_next_attempt_runs(kind: str) -> None:
    last, cause, reason = ENDS[kind]
    earlier = pod("Failed", ended(1, "failed: exit 1: earlier"), SCHEDULED, age=299, name="earlier")
    seen = state(job(active=1, failed=2), earlier, last, pod("Running", running(), SCHEDULED, age=1, name="next"))
    own = f"{cause}: {reason}" if reason else cause
    assert (seen.condition, seen.reason) == ("Running", "")
    assert seen.failure == ("exit 1: earlier" if cause == "evicted" else own)
    assert seen.failed_s in (80, None)  # no status tells of some
    assert state(job(active=1), pod("Running", running())).failure == ""


def test_a_failure_says_how_long_its_container_ran() -> None:
    by_init = pod("Failed", None, SCHEDULED, init=ended(65, "failed: no such commit"))
    for last in (pod("Failed", ended(1), SCHEDULED), by_init):
        assert state(job(failed=1), last).failed_s == 80
    assert state(job(failed=1), pod("Failed", None, reason="DeadlineExceeded")).failed_s is None


@pytest.mark.parametrize("kind", ["SuccessCriteriaMet", "Complete"])
def test_complete_as_soon_as_success_is_certain(kind: str) -> None:
    done = pod("Succeeded", ended(0, '{"metrics": {}}'), SCHEDULED, node="n1")
    seen = state(job((kind, "CompletionsReached", "…"), succeeded=1), done)
    assert (seen.condition, seen.cause, seen.reason, seen.finished) == ("Complete", "", "", True)
    assert (seen.message, seen.node, seen.pods, seen.attempts) == ('{"metrics": {}}', "n1", ("p0",), 1)
    assert seen.image_id == "docker.io/library/python@sha256:abc"


@pytest.mark.parametrize(
    ("flavors", "sent_to", "known"),
    [
        ('{"a100": {"gpu": "a100"}, "h100": {"gpu": "h100"}}', {"gpu": "h100", "zone": "a"}, {"p0": "h100"}),
        (
            '{"any": {"gpu": "a100"}, "big": {"gpu": "a100", "size": "80"}}',
            {"gpu": "a100", "size": "80"},
            {"p0": "big"},
        ),
        ('{"a100": {"gpu": "a100"}, "h100": {"gpu": "h100"}}', {}, {}),
        ('{"a100": {"gpu": "a100"}}', {}, {"p0": "a100"}),
        ("{}", {"gpu": "a100"}, {}),
        ("my own", {}, {}),
        ("[1]", {}, {}),
    ],
    ids=["kueue's", "the most exact", "nothing tells", "the only one", "none", "no JSON", "no map"],
)
def test_the_kind_of_gpu_is_the_one_that_the_pod_was_sent_to(flavors: str, sent_to: Object, known: Object) -> None:
    sent = pod("Succeeded", ended(0, ""), SCHEDULED, node="n1")
    sent["metadata"]["annotations"] = {flavors_of_pods.FLAVORS: flavors}
    sent["spec"]["nodeSelector"] = sent_to
    assert state(job(), sent).flavors == known


def test_conditions_that_do_not_hold_say_nothing() -> None:
    task = job(("Suspended", "JobResumed", ""), ("Failed", "", ""), active=1)
    for condition in task["status"]["conditions"]:
        condition["status"] = "False"
    assert shown(task, pod("Running", running())) == ("Running", "", "")


def test_running_since_its_container_started() -> None:
    seen = state(job(active=1), pod("Running", running(100), SCHEDULED, node="n1"))
    assert (seen.condition, seen.since, seen.queued_s, seen.node) == ("Running", NOW - 100, 200, "n1")


def of_node(rank: int, pod_of: Object) -> Object:
    """A Pod of an Indexed Job."""
    pod_of["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] = str(rank)
    return pod_of


def test_of_several_nodes_the_one_that_waits_says_why_and_the_first_speaks_for_all() -> None:
    gang = job(active=2)
    gang["spec"]["parallelism"] = 2
    first = of_node(0, pod("Running", running(100), name="p0", node="n0"))
    waits = of_node(1, pod("Pending", None, unschedulable("no room"), name="p1"))
    runs = of_node(1, pod("Running", running(90), name="p1", node="n1"))
    both = state(gang, first, runs)
    assert (both.condition, both.since, both.pods, both.node, both.attempts) == ("Running", NOW - 100, ("p0",), "n0", 1)
    assert shown(gang, first, waits) == ("Pending", "unschedulable", "unschedulable: node 1: no room")
    assert shown(gang, first, events=[event("FailedCreate", QUOTA)])[1] == "quota"


def test_the_failure_of_a_node_is_told_and_not_that_others_ended_because_of_it() -> None:
    gang = job(FAILED, failed=1)
    gang["spec"]["parallelism"] = 2
    first = of_node(0, pod("Failed", ended(3, "x: failed: node 1 (p1): exit 3: no such file"), name="p0"))
    other = of_node(1, pod("Failed", ended(69, "x: node 1: failed: exit 3"), name="p1", age=280))
    assert shown(gang, first, other) == ("Failed", "exit 3", "exit 3: node 1 (p1): exit 3: no such file")


def test_queue_time_ends_with_the_first_start_of_any_attempt() -> None:
    first = pod("Failed", ended(1), age=290)
    first["status"]["containerStatuses"][1]["state"]["terminated"]["startedAt"] = pod("Running", running(250))[
        "status"
    ]["containerStatuses"][1]["state"]["running"]["startedAt"]
    assert state(job(), pod("Running", running(10), age=30, name="p1"), first).queued_s == 50
    assert state(job(), pod("Pending")).queued_s is None


GPU = "0/8 nodes are available: 3 node(s) had untolerated taint(s), 5 Insufficient nvidia.com/gpu."
WAITS: dict[str, tuple[Object, str, str]] = {
    "not looked at": (pod(), "queued", "for the scheduler"),
    "no GPU free": (pod("Pending", None, unschedulable(GPU)), "queued", GPU),
    "no device to claim": (
        pod("Pending", None, unschedulable("0/1 nodes are available: 1 cannot allocate all claims.")),
        "queued",
        "0/1 nodes are available: 1 cannot allocate all claims.",
    ),
    "taint": (
        pod("Pending", None, unschedulable("0/1 nodes are available: 1 node(s) had untolerated taint(s).")),
        "unschedulable",
        "0/1 nodes are available: 1 node(s) had untolerated taint(s).",
    ),
    "no claim": (
        pod("Pending", None, unschedulable('persistentvolumeclaim "results" not found')),
        "unschedulable",
        'persistentvolumeclaim "results" not found',
    ),
    "image": (
        pod("Pending", waiting("ImagePullBackOff", 'Back-off pulling image "nope:1"'), SCHEDULED),
        "image",
        'ImagePullBackOff: Back-off pulling image "nope:1"',
    ),
    "signature": (
        pod("Pending", waiting("SignatureValidationFailed"), SCHEDULED),
        "image",
        "SignatureValidationFailed",
    ),
    "image of the init container": (
        pod("Pending", waiting("PodInitializing"), SCHEDULED, init=waiting("ErrImagePull", "not found")),
        "image",
        "ErrImagePull: not found",
    ),
    "secret": (
        pod("Pending", waiting("CreateContainerConfigError", 'secret "key" not found'), SCHEDULED),
        "config",
        'CreateContainerConfigError: secret "key" not found',
    ),
    "part of the store": (
        pod("Pending", waiting("CreateContainerConfigError", "failed to prepare subPath for x"), SCHEDULED),
        "config",
        "CreateContainerConfigError: failed to prepare subPath for x; where root may not enter the folders of the "
        "store, write `results: {isolate: false}`",
    ),
    "no such program": (
        pod("Pending", waiting("RunContainerError"), SCHEDULED),
        "config",
        "RunContainerError",
    ),
    "pulling": (pod("Pending", waiting("ContainerCreating"), SCHEDULED), "starting", ""),
    "init container runs": (pod("Pending", waiting("PodInitializing"), SCHEDULED, init=running()), "starting", ""),
    "kubelet has not seen it": (pod("Pending", None, SCHEDULED), "starting", ""),
    "node lost": (pod("Unknown", None, SCHEDULED, node="n1"), "starting", ""),
    "being deleted": (
        pod("Running", running(), SCHEDULED, node="n1", deleted=True),
        "ending",
        "its Pod on n1 is being deleted",
    ),
    "ended, and its Pod not": (
        pod("Running", ended(0), SCHEDULED),
        "ending",
        "its Pod has ended, and its Job's controller has not booked that yet",
    ),
}


@pytest.mark.parametrize("kind", WAITS)
def test_pending_job_tells_what_its_pod_waits_for(kind: str) -> None:
    waits, cause, reason = WAITS[kind]
    assert shown(job(active=1), waits) == ("Pending", cause, f"{cause}: {reason}" if reason else cause)


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("FailedMount", "mount"),
        ("FailedAttachVolume", "mount"),
        ("FailedMapVolume", "mount"),
        ("FailedCreatePodSandBox", "config"),
    ],
)
@pytest.mark.parametrize("micro", [False, True])
def test_the_newest_event_says_why_a_container_is_not_created(reason: str, cause: str, micro: bool) -> None:
    creating = pod("Pending", waiting("ContainerCreating"), SCHEDULED)
    events = [
        event(reason, 'MountVolume.SetUp failed for volume "results" is denied', of="p0", micro=micro),
        event("FailedMount", "an older one", of="p0", ago=9, micro=not micro),
        event("FailedMount", "of another Pod", of="p1", ago=1),
    ]
    line = f'{cause}: MountVolume.SetUp failed for volume "results" is denied'
    assert shown(job(active=1), creating, events=events) == ("Pending", cause, line)


def test_an_event_of_a_pod_that_runs_is_history() -> None:
    runs = pod("Running", running(), SCHEDULED)
    assert shown(job(active=1), runs, events=[event("FailedMount", "…", of="p0")]) == ("Running", "", "")


def test_quota_and_refusal_are_told_from_the_jobs_event() -> None:
    assert shown(job(), events=[event("FailedCreate", QUOTA)]) == ("Pending", "quota", f"quota: {QUOTA}")
    assert shown(job(), events=[event("FailedCreate", PSA)]) == ("Pending", "refused", f"refused: {PSA}")
    assert "refused" in states.FAILING_TO_START
    assert "quota" not in states.FAILING_TO_START


def test_quota_that_came_between_two_attempts_is_told_and_one_before_the_first_is_not() -> None:
    failed = pod("Failed", ended(1), age=100)
    assert shown(job(failed=1), failed, events=[event("FailedCreate", QUOTA, ago=50)])[1] == "quota"
    assert shown(job(failed=1), failed, events=[event("FailedCreate", QUOTA, ago=200)])[1] == "retrying"


def test_event_of_an_earlier_job_of_the_name_is_not_told() -> None:
    assert shown(job(age=30), events=[event("FailedCreate", QUOTA, ago=200)]) == ("Pending", "starting", "starting")


def test_stuck_after_a_minute_without_a_pod() -> None:
    task = job(age=states.STUCK_SECONDS)
    assert not state(task).stuck
    assert state(task).cause == "starting"
    seen = state(task, now=NOW + 1)
    assert seen.stuck
    assert seen.reason == "stuck: no Pod for a minute; `make retry` gives it a new Job"


def test_a_minute_begins_anew_when_a_job_is_resumed() -> None:
    task = job(age=1000)
    task["status"]["startTime"] = job(age=10)["status"]["startTime"]
    assert state(task).cause == "starting"
    assert state(job(age=1000, suspend=True)).condition == "Suspended"


def test_a_job_that_nobody_has_taken_up_is_stuck_too() -> None:
    task = job(age=61)
    del task["status"]
    assert state(task).stuck


@pytest.mark.parametrize(
    "status", [{"active": 1}, {"uncountedTerminatedPods": {"succeeded": ["u"]}}, {"terminating": 0, "active": 1}]
)
def test_a_job_that_counts_a_pod_is_not_stuck_where_that_was_not_listed(status: dict[str, Any]) -> None:
    assert shown(job(age=1000, **status))[1] == "ending"


def test_a_pod_that_has_succeeded_is_no_failure_while_the_controller_is_behind() -> None:
    seen = state(job(age=1000), pod("Succeeded", ended(0)))
    assert (seen.condition, seen.cause, seen.stuck) == ("Pending", "ending", False)


def test_pods_of_an_earlier_job_of_the_name_are_not_its_attempts() -> None:
    old = pod("Failed", ended(1), deleted=True, job=job(uid="earlier"))
    seen = state(job(age=61), old)
    assert seen.stuck
    assert (seen.attempts, seen.pods) == (0, ())


def test_suspended_whatever_its_pods_do_and_failed_all_the_same() -> None:
    ending = pod("Running", running(), deleted=True)
    assert shown(job(suspend=True), ending) == ("Suspended", "suspended", "suspended")
    assert shown(job(FAILED, suspend=True))[0] == "Failed"


def test_a_reason_is_one_short_line() -> None:
    item = pod("Pending", waiting("ErrImagePull", "a\n b\t" + "x" * 1000), SCHEDULED)
    reason = state(job(), item).reason
    assert reason.startswith("image: ErrImagePull: a b x")
    assert len(reason) == 300


def test_only_jobs_of_trials_have_a_state() -> None:
    other = job(name="toy-dataset")
    del other["metadata"]["labels"]["helm-sweep/trial"]
    assert states.read([other, job()], [], [], NOW).keys() == {NAME}
    assert state(job()).trial == TRIAL


ANY_POD = st.sampled_from([item for item, _, _ in [*ENDS.values(), *WAITS.values()]])
ANY_JOB = st.sampled_from(
    [
        job(),
        job(active=1),
        job(FAILED),
        job(("Complete", "", "")),
        job(suspend=True),
        job(age=1),
        job(ready=1, failed=1),
    ]
)


@given(ANY_JOB, st.lists(ANY_POD, max_size=4), st.randoms())
def test_whatever_is_listed_makes_a_state_and_the_order_does_not_matter(
    item: Object, pods: list[Object], random: Any
) -> None:
    pods = [
        pod | {"metadata": pod["metadata"] | {"name": f"p{n}", "creationTimestamp": f"2026-01-02T03:0{n}:00Z"}}
        for n, pod in enumerate(pods)
    ]
    events = [event("FailedCreate", QUOTA), event("FailedMount", "…", of="p0")]
    seen = state(item, *pods, events=events)
    assert seen.finished == (seen.condition in ("Complete", "Failed"))
    assert bool(seen.cause) == (seen.condition not in ("Complete", "Running"))
    assert seen.pods == tuple(pod["metadata"]["name"] for pod in pods)
    shuffled = random.sample(pods, len(pods))
    assert state(item, *shuffled, events=events[::-1]) == seen


def test_events_are_asked_for_only_where_they_alone_can_tell() -> None:
    asked = []

    class Listing(Cluster):
        def list(self, kind: str, labels: str = "", fields: str = "", *, brief: bool = False) -> list[Object]:
            asked.append((kind, labels, fields, brief))
            return [event("FailedMount", "access denied", of="p0")] if fields == "reason=FailedMount" else []

    cluster = Listing("", "ns")
    clear = pod("Pending", None, unschedulable(GPU))
    assert states.explained(cluster, [job()], [clear])[NAME].cause == "queued"
    assert asked == []
    unclear = pod("Pending", waiting("ContainerCreating"), SCHEDULED)
    assert states.explained(cluster, [job()], [unclear])[NAME].reason == "mount: access denied"
    assert asked == [("Event", "", f"reason={reason}", False) for reason in states.EVENTS]


def test_terminating_objects_by_name() -> None:
    gone = {"metadata": {"name": "b", "deletionTimestamp": "2026-01-02T03:04:05Z"}}
    assert states.terminating([{"metadata": {"name": "a"}}, gone]) == ["b"]


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (ended(1, "reader: /sweep/results: no such folder\n"), "reader: /sweep/results: no such folder"),
        (ended(137, reason="OOMKilled"), "OOMKilled"),
        (None, "it failed"),
    ],
)
def test_the_end_of_a_reader_in_one_line(item: Object | None, line: str) -> None:
    last = pod("Failed", item)
    for container in last["status"].get("containerStatuses", []):
        container["name"] = container["name"].replace("trial", "reader")
    assert states.pod_end(last, "reader") == line
    assert states.pod_end(pod("Failed", None, message="Pod was active too long"), "reader") == "Pod was active too long"


def test_selector_of_a_sweep_and_of_some_trials() -> None:
    assert states.trials_of("toy") == "helm-sweep/sweep=toy,helm-sweep/trial"
    assert states.trials_of("toy", ["a", "b"]) == "helm-sweep/sweep=toy,helm-sweep/trial in (a,b)"


def test_a_mount_that_failed_is_told_by_its_source_and_reason() -> None:
    message = (
        'MountVolume.SetUp failed for volume "results" : mount failed: exit status 32\n'
        "Mounting command: mount\n"
        "Mounting arguments: -t nfs nfs.example.org:/wrong /var/lib/kubelet/pods/0/volumes/kubernetes.io~nfs/results\n"
        "Output: mount.nfs: access denied by server\n"
    )
    pod = {"metadata": {"name": "p"}, "status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}}
    assert states.waiting(pod, {"p": {"reason": "FailedMount", "message": message}}) == (
        "mount",
        'MountVolume.SetUp failed for volume "results" : mount failed: exit status 32 nfs.example.org:/wrong: '
        "mount.nfs: access denied by server",
    )


def test_a_reproduction_is_none_of_its_sweeps_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [NAME, f"{NAME}-r1", f"toy-{TRIAL}-p12"]
    listed = {"Job": [job(name=name, succeeded=1) for name in names]}
    monkeypatch.setattr(Cluster, "list", lambda _, kind, *__: listed.get(kind, []))
    assert set(states.look(Cluster("", "ml"), "toy")) == {NAME, f"{NAME}-r1"}
