"""Sweeps in a real Kueue's queues: what waits and why, another queue, preemption, a queue that is held, a restart."""

from __future__ import annotations

import json

import pytest

from sweep.engines.kueue import PRIORITY, QUEUE
from tests.cluster.cluster import NODE
from tests.cluster.kubernetes import is_true, until
from tests.cluster.kueue import Kueue, Queues
from tests.cluster.sweeps import ClusterSweep

pytestmark = pytest.mark.one_helm
GROUP = "kueue.x-k8s.io"


def reasons(sweep: ClusterSweep) -> list[str]:
    """Why each trial waits that does, as `make status` says it."""
    return sorted(row["reason"] for row in sweep.rows().values() if row["reason"])


def labels(sweep: ClusterSweep, label: str) -> dict[int, str]:
    """x -> a label of its Job."""
    jobs = sweep.jobs()
    return {x: jobs[trial]["metadata"]["labels"].get(label, "") for x, trial in sweep.ids().items()}


def held(sweep: ClusterSweep, count: int) -> None:
    """Wait until Kueue holds so many Jobs of the sweep, has judged each, and all others train."""
    until(
        lambda: sum("wait in LocalQueue" in reason for reason in reasons(sweep)) == count == len(reasons(sweep)),
        lambda: sweep.run("status", "toy") + sweep.kubectl("get", f"jobs,workloads.{GROUP}", "--output=yaml"),
    )


def test_what_is_above_the_quota_waits_and_says_for_what(sweep: ClusterSweep, queues: Queues) -> None:
    sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, queue="team")
    sweep.run("submit", "toy")
    held(sweep, 2)
    waiting = sorted(reasons(sweep), key=lambda reason: reason.partition(" of 2 that")[0][-1])
    for place, reason in enumerate(waiting, 1):
        assert "insufficient unused quota for cpu in flavor any-" in reason
        assert "50m more needed" in reason
        assert f"{place} of 2 that wait in LocalQueue team" in reason
    sweep.open_gate()
    assert "4 succeeded" in sweep.run("drive", "toy")
    assert sorted(sweep.events("start")) == ["1", "2", "3", "4"]
    sweep.run("uninstall", "toy", "--yes")
    until(lambda: not queues.workloads(), lambda: sweep.kubectl("get", f"workloads.{GROUP}"))


def test_another_queue_takes_what_waits_and_leaves_what_runs(sweep: ClusterSweep, queues: Queues) -> None:
    queues.cluster_queue("more", {"any": 2})
    queues.local_queue("other", "more")
    sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, queue="team")
    sweep.run("submit", "toy")
    held(sweep, 2)
    until(lambda: len(sweep.events("start")) == 2, lambda: sweep.kubectl("describe", "jobs,pods"))
    before, running = sweep.uids(), {int(x) for x in sweep.events("start")}
    sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, {"x": 5}, queue="other", backoffLimit=3)
    output = sweep.run("submit", "toy")
    assert "2 Jobs keep the queue or priority" in output
    assert before.items() <= sweep.uids().items()
    assert labels(sweep, QUEUE) == {x: "team" if x in running else "other" for x in range(1, 6)}
    assert {job["spec"]["backoffLimit"] for job in sweep.jobs().values()} == {3}  # nothing else of the edit is lost
    sweep.started(1, 2, 3, 4)
    sweep.open_gate()
    assert "5 succeeded" in sweep.run("drive", "toy")
    uids = sweep.uids()
    sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, {"x": 5}, backoffLimit=3)  # and out of any queue
    assert "5 already done" in sweep.run("drive", "toy")
    assert sweep.uids() == uids


def test_a_queue_that_is_not_there_or_held_is_told_before_anything_waits(sweep: ClusterSweep, queues: Queues) -> None:
    sweep.edit({"x": 1}, queue="tema")
    for verb in ("plan", "submit"):
        refused = sweep.run(verb, "toy", code=2)
        assert f"queue: there is no LocalQueue tema in namespace {sweep.kubectl.namespace}; there are team" in refused
    assert not sweep.jobs()
    queues.patch("localqueue", "team", {"stopPolicy": "Hold"})
    until(lambda: inactive(sweep, "team"), lambda: sweep.kubectl("get", f"localqueue.{GROUP}", "--output=yaml"))
    sweep.edit({"x": 1}, queue="team")
    for verb in ("plan", "submit"):
        assert "queue team: lets nothing start now: LocalQueue is stopped" in sweep.run(verb, "toy")
    until(lambda: "LocalQueue team is inactive" in str(reasons(sweep)), lambda: sweep.run("status", "toy"))
    queues.patch("localqueue", "team", {"stopPolicy": "None"})
    sweep.started(1)
    queues.patch("localqueue", "team", {"stopPolicy": "HoldAndDrain"})  # ends what runs
    until(lambda: not sweep.kubectl.any("pods"), lambda: sweep.kubectl("describe", "pods"))
    assert "LocalQueue" in str(reasons(sweep))
    queues.patch("clusterqueue", "two", {"stopPolicy": "HoldAndDrain"})
    queues.patch("localqueue", "team", {"stopPolicy": "None"})
    until(lambda: "ClusterQueue two-" in str(reasons(sweep)), lambda: sweep.run("status", "toy"))
    assert "is inactive" in str(reasons(sweep))
    queues.patch("clusterqueue", "two", {"stopPolicy": "None"})
    sweep.open_gate()
    assert "1 succeeded" in sweep.run("drive", "toy")
    assert sweep.events("start") == ["1", "1"]


def inactive(sweep: ClusterSweep, name: str) -> bool:
    """Whether Kueue has seen that the queue is held."""
    queue = sweep.kubectl.json("get", f"localqueue.{GROUP}", name)
    return not is_true(queue, "Active")


def test_a_more_urgent_sweep_goes_first_and_what_it_took_from_goes_on(sweep: ClusterSweep, queues: Queues) -> None:
    for name, value in (("low", 1), ("high", 10)):
        queues.create("WorkloadPriorityClass", name, value=value)
    queues.patch("clusterqueue", "two", {"preemption": {"withinClusterQueue": "LowerPriority"}})
    trials = ({"x": 1}, {"x": 2}, {"x": 3})
    sweep.edit(*trials, queue="team", priority=queues.name("low"))
    sweep.run("submit", "toy")
    held(sweep, 1)
    sweep.copy("toy", "rush", {"x": 9}, priority=queues.name("high"))
    sweep.run("submit", "rush")
    sweep.started(9)
    until(lambda: "Preempted to accommodate a workload" in str(reasons(sweep)), lambda: sweep.run("status", "toy"))
    sweep.open_gate(9)
    assert "1 succeeded" in sweep.run("drive", "rush")
    until(lambda: len(sweep.events("start")) == 4, lambda: sweep.run("status", "toy"))  # 1, 2 or so, 9, and one again
    sweep.open_gate()
    assert "3 succeeded" in sweep.run("drive", "toy")
    assert not sweep.events("again")
    assert sorted(sweep.events("end")) == ["1", "2", "3", "9"]


def test_a_priority_changes_what_waits_and_is_never_taken_away(sweep: ClusterSweep, queues: Queues) -> None:
    for name, value in (("low", 1), ("high", 10)):
        queues.create("WorkloadPriorityClass", name, value=value)
    queues.patch("clusterqueue", "two", {"stopPolicy": "Hold"})
    low, high = queues.name("low"), queues.name("high")
    sweep.edit({"x": 1}, {"x": 2}, queue="team", priority=low)
    sweep.run("submit", "toy")
    before = sweep.uids()
    sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, queue="team", priority=high)
    sweep.run("submit", "toy")
    assert set(labels(sweep, PRIORITY).values()) == {high}
    until(lambda: {item["spec"]["priority"] for item in queues.workloads()} == {10}, lambda: queues.workloads())
    sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, queue="team")
    assert "3 Jobs keep the queue or priority" in sweep.run("submit", "toy")
    assert labels(sweep, PRIORITY) == {1: high, 2: high, 3: high, 4: ""}
    assert before.items() <= sweep.uids().items()


@pytest.mark.usefixtures("queues")
def test_kueue_that_is_away_for_a_while_loses_nothing(sweep: ClusterSweep, kueue: Kueue) -> None:
    sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, queue="team")
    sweep.run("submit", "toy")
    held(sweep, 1)
    kueue.stop()
    try:
        sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, queue="team")
        launcher = sweep.start("submit", "toy")
        assert launcher.stderr
        met = next(line for line in launcher.stderr if "failed calling webhook" in line)
        assert "trying again for" in met
        sweep.open_gate()  # what runs ends without it
        until(lambda: len(sweep.events("end")) == 2, lambda: sweep.kubectl("describe", "pods"))
    finally:
        kueue.start()
    _, output = launcher.communicate(timeout=300)
    assert launcher.returncode == 0, output
    assert "4 succeeded" in sweep.run("drive", "toy")
    assert sorted(sweep.events("end")) == ["1", "2", "3", "4"]


def test_retry_and_uninstall_of_what_is_queued(sweep: ClusterSweep, queues: Queues) -> None:
    sweep.edit({"x": 1}, {"x": 2}, {"x": -1}, queue="team", backoffLimit=0)
    sweep.run("submit", "toy")
    until(lambda: "1" in sweep.events("start"), lambda: sweep.run("status", "toy"))
    sweep.open_gate()
    sweep.run("drive", "toy", code=1)
    queues.patch("clusterqueue", "two", {"stopPolicy": "Hold"})
    sweep.run("retry", "toy")
    sweep.run("submit", "toy")
    until(lambda: any("queued: " in reason for reason in reasons(sweep)), lambda: sweep.run("status", "toy"))
    assert list(labels(sweep, QUEUE).values()) == ["team"] * 3
    sweep.run("uninstall", "toy", "--yes")
    until(lambda: not queues.workloads() and not sweep.jobs(), lambda: sweep.kubectl("get", f"jobs,workloads.{GROUP}"))


def test_teams_share_a_cohort_lend_and_take_back(sweep: ClusterSweep, queues: Queues) -> None:
    queues.create("Cohort", "all", {})
    shared = {"cohortName": queues.name("all")}
    queues.patch("clusterqueue", "two", shared)
    queues.cluster_queue("other", {"any": 1}, preemption={"reclaimWithinCohort": "Any"}, **shared)
    queues.local_queue("other", "other")
    sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}, queue="team")
    sweep.run("submit", "toy")
    held(sweep, 1)  # two of its own, and one that nobody else uses
    sweep.copy("toy", "rush", {"x": 9}, queue="other")
    sweep.run("submit", "rush")
    sweep.started(9)
    until(lambda: "reclamation within the cohort" in str(reasons(sweep)), lambda: sweep.run("status", "toy"))
    sweep.open_gate()
    assert "1 succeeded" in sweep.run("drive", "rush")
    assert "4 succeeded" in sweep.run("drive", "toy")
    assert not sweep.events("again")
    assert sorted(sweep.events("end")) == ["1", "2", "3", "4", "9"]


def test_a_trial_runs_on_a_kind_of_gpu_that_it_may_have_and_the_table_names_it(
    sweep: ClusterSweep, queues: Queues
) -> None:
    kinds = {kind: {f"helm-sweep.test/{kind}": "yes"} for kind in ("a100", "h100", "l4")}
    sweep.kubectl("label", "node", NODE, *(f"helm-sweep.test/{kind}=yes" for kind in kinds), "--overwrite")
    for kind, labels_of_nodes in kinds.items():
        queues.flavor(kind, labels_of_nodes)
    queues.cluster_queue("kinds", {"l4": 5, "a100": 1, "h100": 1})
    queues.local_queue("kinds", "kinds")
    flavors = {kind: kinds[kind] for kind in ("a100", "h100")}
    sweep.edit({"x": 1}, {"x": 2}, {"x": 3}, queue="kinds", gpu={"count": 0, "flavors": flavors})
    sweep.run("submit", "toy")
    held(sweep, 1)
    (waiting,) = reasons(sweep)
    assert all(f"insufficient unused quota for cpu in flavor {kind}-" in waiting for kind in flavors)
    sweep.started(*running(sweep))
    pair = [str(x) for x in running(sweep)]
    sweep.open_gate()
    assert "3 succeeded" in sweep.run("drive", "toy")
    known = {row["hp.x"]: row["flavor"] for row in sweep.table()}
    assert sorted(known[x] for x in pair) == ["a100", "h100"]
    assert set(known.values()) == {"a100", "h100"}
    hours = json.loads(sweep.start("ledger", "--json").communicate(timeout=60)[0])["by"]["flavor"]
    assert set(hours) == {"a100", "h100"}


@pytest.mark.usefixtures("queues")
def test_several_nodes_are_let_in_all_at_once_or_not_at_all(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, queue="team")
    sweep.run("submit", "toy")
    sweep.started(1)
    sweep.copy("toy", "wide", {"x": 8}, nodes=2)  # quota for one of the two is free
    sweep.run("submit", "wide")
    pods = ("pods", "-l", "helm-sweep/sweep=wide")
    until(lambda: "50m more needed" in sweep.run("status", "wide"), lambda: sweep.run("status", "wide"))
    assert not sweep.kubectl.items(*pods)
    sweep.open_gate(1)
    until(lambda: len(sweep.kubectl.items(*pods)) == 2, lambda: sweep.run("status", "wide"))


def running(sweep: ClusterSweep) -> list[int]:
    """x of the trials whose Jobs Kueue has let go."""
    jobs = sweep.jobs()
    return sorted(x for x, trial in sweep.ids().items() if not jobs[trial]["spec"].get("suspend"))
