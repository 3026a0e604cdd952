"""Everything that may go wrong, on the real control plane and node: no result is lost, none is made twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.cluster import NODE, Cluster
from tests.cluster.kubernetes import until
from tests.cluster.node import GPUS, Node
from tests.cluster.sweeps import ClusterSweep, processes

MANY = 400
"""Trials of a submission that takes helm some seconds."""


def training(sweep: ClusterSweep, **head: object) -> str:
    """Submit one trial and wait until it trains; returns its id."""
    sweep.edit({"x": 1}, **head)
    sweep.run("submit", "toy")
    sweep.started(1)
    return sweep.ids()[1]


def finish(sweep: ClusterSweep, succeeded: int = 1) -> dict[str, str]:
    """Let everything end; the row of the first trial."""
    sweep.open_gate()
    output = sweep.run("drive", "toy")
    assert f"{succeeded} succeeded" in output
    assert not sweep.events("again"), "training began after a valid result stood"
    return sweep.table()[0]


def line_with(launcher: subprocess.Popen[str], words: str) -> str:
    """Read what a verb says until a line holds `words`."""
    assert launcher.stderr
    lines = []
    for line in launcher.stderr:
        lines.append(line)
        if words in line:
            return line
    raise AssertionError(f"it ended without saying {words!r}:\n{''.join(lines)}")


def ended(launcher: subprocess.Popen[str], code: int = 0) -> str:
    out, err = launcher.communicate(timeout=300)
    assert launcher.returncode == code, out + err
    return out + err


# ---- Pods and nodes ----


@pytest.mark.one_helm
def test_pod_deleted_in_training(sweep: ClusterSweep) -> None:
    training(sweep)
    sweep.kubectl("delete", "pods", "--all", "--wait=false")
    until(lambda: len(sweep.events("start")) == 2, lambda: sweep.kubectl("describe", "jobs,pods"))
    assert finish(sweep)["attempts"] == "2"


@pytest.mark.one_helm
def test_kubelet_restarted(sweep: ClusterSweep, real_node: Node) -> None:
    training(sweep)
    real_node.kubelet.stop(signal.SIGKILL)
    real_node.kubelet.start()
    assert finish(sweep)["attempts"] == "1"


@pytest.fixture
def node_again(sweep: ClusterSweep, real_node: Node) -> Iterator[Callable[[], None]]:
    """Call it to have the node register anew; it does so in any case, for the tests to come."""

    def back() -> None:
        real_node.kubelet.stop(signal.SIGKILL)
        real_node.kubelet.start()
        until(real_node.ready, lambda: sweep.kubectl("describe", "nodes"))
        patch = {"status": {part: {"nvidia.com/gpu": str(GPUS)} for part in ("capacity", "allocatable")}}
        sweep.kubectl("patch", "node", NODE, "--subresource=status", "--type=merge", "--patch", json.dumps(patch))

    yield back
    if not sweep.kubectl.items("nodes", "-l", f"helm-sweep.test/node={NODE}"):
        back()


@pytest.mark.one_helm
def test_node_removed(sweep: ClusterSweep, real_node: Node, node_again: Callable[[], None]) -> None:
    training(sweep, backoffLimit=0)
    real_node.kubelet.stop(signal.SIGKILL)
    sweep.kubectl("delete", "node", NODE)
    # The controller gives Pods of a lost node up after a minute or two; the trial then waits for a node.
    until(
        lambda: "unschedulable: " in sweep.run("status", "toy"),
        lambda: sweep.kubectl("describe", "jobs,pods"),
        300,
        slowest=10,
    )
    node_again()
    finish(sweep)


@pytest.mark.one_helm
def test_eviction_does_not_use_up_retries(sweep: ClusterSweep) -> None:
    training(sweep, backoffLimit=0)
    (pod,) = sweep.kubectl.items("pods")
    about = {"name": pod["metadata"]["name"], "namespace": sweep.kubectl.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about}
    path = f"/api/v1/namespaces/{about['namespace']}/pods/{about['name']}/eviction"
    sweep.kubectl("create", "--raw", path, "--filename", "-", stdin=json.dumps(eviction))
    until(lambda: len(sweep.events("start")) == 2, lambda: sweep.kubectl("describe", "jobs,pods"))
    assert finish(sweep)["attempts"] == "2"


EATER = """
import json, os
eaten = bytearray(os.urandom(1_000_000)) * 400
json.dump({"score": len(eaten)}, open(os.environ["METRICS_FILE"], "w"))
"""


@pytest.mark.one_helm
def test_out_of_memory_is_said(sweep: ClusterSweep) -> None:
    (sweep.root / "toy" / "train.py").write_text(EATER)
    sweep.commit("another trainer")
    sweep.edit({"x": 1}, backoffLimit=0, resources={"requests": {"memory": "32Mi"}, "limits": {"memory": "64Mi"}})
    output = sweep.run("drive", "toy", code=1)
    assert "1 of 1 trials failed" in output
    assert "memory" in sweep.table()[0]["reason"], sweep.table()[0]


@pytest.mark.one_helm
def test_time_limit_ends_a_trial_for_good(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, limit_seconds=3)
    output = sweep.run("drive", "toy", code=1)
    assert "limit: the 3 s of all attempts are used up" in output
    assert sweep.table()[0]["attempts"] == "1"
    assert "raise limit_seconds" in sweep.table()[0]["reason"]


# ---- the control plane ----


@pytest.mark.one_helm
def test_api_server_away_before_submit_in_watch_and_in_collect(sweep: ClusterSweep, control_plane: Cluster) -> None:
    sweep.edit({"x": 1}, {"x": 2})
    with control_plane.without("kube-apiserver"):
        submit = sweep.start("submit", "toy")
        line_with(submit, "trying again")
    assert "cluster: answers again" in ended(submit)
    sweep.started(1, 2)
    watch = sweep.start("watch", "toy")
    line_with(watch, "watching 2 trials")
    sweep.open_gate(1)
    line_with(watch, "score=")
    with control_plane.without("kube-apiserver"):
        line_with(watch, "trying again")
    sweep.open_gate()
    assert "2/2" in ended(watch)
    collect = sweep.start("collect", "toy")
    until(lambda: sweep.kubectl.items("pods", "-l", "helm-sweep/part=reader"), lambda: "no reader")
    with control_plane.without("kube-apiserver"):
        line_with(collect, "trying again")
    assert "2 succeeded" in ended(collect)
    finish(sweep, 2)


def submitting(sweep: ClusterSweep) -> tuple[subprocess.Popen[str], int]:
    """A submission of many trials, and the pid of its helm, which is halted in the middle of them."""
    sweep.edit(*({"x": x} for x in range(MANY)), suspend=True)
    submit = sweep.start("submit", "toy")
    line_with(submit, "helm upgrade --install")
    until(lambda: sweep.kubectl.any("jobs"), lambda: "no Job", slowest=0.1)
    (helm,) = processes(f"--namespace {sweep.kubectl.namespace} --labels")
    os.kill(helm, signal.SIGSTOP)
    return submit, helm


def test_api_server_away_in_the_middle_of_an_install(sweep: ClusterSweep, control_plane: Cluster) -> None:
    submit, helm = submitting(sweep)
    with control_plane.without("kube-apiserver"):
        os.kill(helm, signal.SIGCONT)
        line_with(submit, "trying again")
    ended(submit)
    assert len(sweep.jobs()) == MANY
    releases = sweep.kubectl.items("secrets", "-l", "owner=helm")
    assert releases[-1]["metadata"]["labels"]["status"] == "deployed"


def test_submit_killed_with_its_helm_is_finished_by_the_same_command(sweep: ClusterSweep) -> None:
    submit, helm = submitting(sweep)
    submit.kill()
    os.kill(helm, signal.SIGKILL)
    submit.communicate()
    before = sweep.uids()
    assert 0 < len(before) < MANY
    output = sweep.run("submit", "toy")
    assert "toy: an earlier helm was cut off; going on from there" in output
    after = sweep.uids()
    assert len(after) == MANY
    assert {trial: after[trial] for trial in before} == before


def test_of_two_submissions_one_wins_and_the_other_says_who_holds_it(sweep: ClusterSweep) -> None:
    first, helm = submitting(sweep)
    output = sweep.run("submit", "toy", code=2)
    assert f"toy: is being submitted or removed by process {helm} of this machine" in output
    os.kill(helm, signal.SIGCONT)
    ended(first)
    assert len(sweep.jobs()) == MANY


@pytest.mark.one_helm
def test_controller_manager_away(sweep: ClusterSweep, control_plane: Cluster) -> None:
    sweep.edit({"x": 1})
    with control_plane.without("kube-controller-manager"):
        sweep.run("submit", "toy")
        assert "starting" in sweep.run("status", "toy")
        assert not sweep.kubectl.any("pods")
    assert finish(sweep)["attempts"] == "1"


@pytest.mark.one_helm
def test_a_stuck_job_is_retried(sweep: ClusterSweep, control_plane: Cluster) -> None:
    sweep.edit({"x": 1})
    with control_plane.without("kube-controller-manager"):
        sweep.run("submit", "toy")
        status = partial(sweep.run, "status", "toy")
        until(lambda: "stuck: no Pod for a minute" in status(), status, slowest=10)
        assert "1 to retry" in sweep.run("retry", "toy")
    sweep.run("submit", "toy", "--yes")  # by now the old Job may have its Pod
    finish(sweep)
    assert sweep.jobs().popitem()[1]["metadata"]["name"].endswith("-r1")


# ---- the launcher, and people ----


@pytest.mark.one_helm
def test_launcher_killed_in_watch_and_in_collect(sweep: ClusterSweep) -> None:
    training(sweep)
    drive = sweep.start("drive", "toy")
    line_with(drive, "helm upgrade --install")
    line_with(drive, ": watching ")
    drive.kill()
    drive.communicate()
    sweep.open_gate()
    sweep.run("watch", "toy")
    collect = sweep.start("collect", "toy")
    until(lambda: sweep.kubectl.items("pods", "-l", "helm-sweep/part=reader"), lambda: "no reader")
    collect.kill()
    collect.communicate()
    finish(sweep)


def test_a_job_deleted_by_hand_comes_back(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": 2})
    sweep.run("submit", "toy")
    sweep.started(1, 2)
    job = sweep.jobs()[sweep.ids()[2]]["metadata"]["name"]
    sweep.kubectl("delete", "job", job)
    sweep.open_gate()
    assert "1 of 2 Jobs are not there; `make sweep SWEEP=toy` puts them back" in sweep.run("watch", "toy", code=1)
    finish(sweep, 2)


def test_submit_waits_for_what_is_still_being_deleted(sweep: ClusterSweep) -> None:
    training(sweep)
    (job,) = sweep.kubectl.items("jobs")
    name = job["metadata"]["name"]
    hold = {"metadata": {"finalizers": ["helm-sweep.test/hold"]}}
    sweep.kubectl("patch", "job", name, "--type=merge", "--patch", json.dumps(hold))
    sweep.kubectl("delete", "job", name, "--wait=false")
    submit = sweep.start("submit", "toy")
    line_with(submit, "waiting for")
    sweep.kubectl("patch", "job", name, "--type=merge", "--patch", json.dumps({"metadata": {"finalizers": None}}))
    ended(submit)
    finish(sweep)


# ---- what cannot work says why ----


@pytest.mark.one_helm
def test_an_image_that_does_not_exist(sweep: ClusterSweep) -> None:
    image = {"repository": "helm-sweep.test/nothing", "tag": "1", "pullPolicy": "IfNotPresent"}
    sweep.edit({"x": 1}, image=image)
    sweep.run("submit", "toy")
    output = sweep.run("watch", "toy", "--give-up=2", code=1)
    assert "1 of 1 trials cannot start" in output
    assert "image: " in output
    assert "helm-sweep.test/nothing:1" in output


@pytest.mark.one_helm
def test_no_gpu_anywhere_waits_and_says_so(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, gpu={"count": GPUS + 1})
    sweep.run("submit", "toy")
    words = "Insufficient nvidia.com/gpu"
    until(lambda: words in sweep.run("status", "toy"), lambda: sweep.run("status", "toy"))
    watch = sweep.start("watch", "toy", "--give-up=0")
    assert "queued: " in line_with(watch, words)
    sweep.edit({"x": 1}, gpu={"count": 1})
    sweep.run("submit", "toy")
    finish(sweep)
    watch.kill()


@pytest.fixture
def volume(store: Path) -> Iterator[Path]:
    """The store on a file system of its own, of 4 MB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", str(store)], check=True)
    yield store
    subprocess.run(["umount", "--lazy", str(store)], check=True)


@pytest.mark.one_helm
@pytest.mark.parametrize("fault", ["full", "read-only", "not ours"])
def test_a_store_that_cannot_be_written(volume: Path, sweep: ClusterSweep, fault: str) -> None:
    sweep.open_gate()
    sweep.edit({"x": 1}, backoffLimit=0)
    if fault == "full":
        with contextlib.suppress(OSError), (volume / "fill").open("wb", buffering=0) as fill:
            while True:
                fill.write(bytes(4096))
    elif fault == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
    else:
        volume.chmod(0o755)
    sweep.run("submit", "toy")
    output = sweep.run("watch", "toy", code=1)
    assert "/sweep/results" in output
    assert {"full": "No space left", "read-only": "Read-only", "not ours": "1000:1000"}[fault] in output
    subprocess.run(["mount", "-o", "remount,rw", str(volume)], check=True)
    volume.chmod(0o777)
    (volume / "fill").unlink(missing_ok=True)
    sweep.run("retry", "toy")
    finish(sweep)


@pytest.mark.one_helm
def test_garbage_in_the_store_is_set_aside(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": 2}, suspend=True)
    sweep.run("submit", "toy")
    of_x = sweep.ids()
    path = sweep.store / "trials" / of_x[1][:2] / of_x[1] / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"status": "succeeded", "metrics": {"score": 1e9}')
    for folder in (sweep.store / "trials", path.parent.parent, path.parent):
        folder.chmod(0o777)
    where = f"out/toy/store/trials/{of_x[1][:2]}/{of_x[1]}/result.json"
    assert f"set aside {where}: not JSON" in sweep.run("collect", "toy")
    sweep.edit({"x": 1}, {"x": 2})
    finish(sweep, 2)
    assert {row["hp.x"]: row["objective"] for row in sweep.table()} == {"1": "-4", "2": "-1"}
    assert list(path.parent.glob("result.json.invalid-*"))
