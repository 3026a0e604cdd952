"""What only a real API server, or a real node, can judge of the chart: claims, code from Git, the dataset Job."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep import render
from tests.cluster.cluster import NODE
from tests.cluster.image import GIT_IMAGE, TRIAL_IMAGE
from tests.cluster.kubernetes import Kubectl, Object, is_true, until
from tests.cluster.node import ON_REAL_NODE, Node
from tests.cluster.release import MINIMAL, Release
from tests.cluster.test_chart_on_cluster import lost, pod_of
from tests.cluster.test_real_node import end_of
from tests.unit import git_server
from tests.unit.git_server import GitServer

SMALL: dict[str, Any] = {
    "image": TRIAL_IMAGE,
    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}},
    "sharedMemory": "16Mi",
    "gpu": {"count": 0},
    **ON_REAL_NODE,
}
CLAIM = {"deviceClassName": "gpu.example.org", "selector": "device.attributes['gpu.example.org'].memory_gb >= 40"}

# ---- GPUs ----


def test_the_api_takes_claims_and_keeps_what_was_sent(release: Release, kubectl: Kubectl) -> None:
    trials = [{"lr": 0.1}, {"lr": 0.2, "gpu": {"count": 2}}, {"lr": 0.3, "gpu": {"count": 0}}]
    manifest = release.install(trials, gpu={"claim": CLAIM})
    sent = {item["metadata"]["name"]: item for item in manifest.objects if item["kind"] == "ResourceClaimTemplate"}
    kept = {item["metadata"]["name"]: item for item in kubectl.items("resourceclaimtemplates.v1.resource.k8s.io")}
    assert set(sent) == set(kept)
    assert len(sent) == 2
    for name, item in sent.items():
        assert lost(item["spec"], kept[name]["spec"]) == []
    for job in manifest.jobs:
        kubectl.create(pod_of(job, kubectl), dry_run=True)
    before = release.uids()
    release.install([*trials, {"lr": 0.4}], gpu={"claim": CLAIM})
    assert before.items() <= release.uids().items()
    release.uninstall()
    until(lambda: not kubectl.items("resourceclaimtemplates"), lambda: kubectl("get", "resourceclaimtemplates"))


def test_a_bad_selector_is_refused_by_the_api(release: Release, kubectl: Kubectl) -> None:
    release.values.write_text(json.dumps(MINIMAL | {"trials": [{}], "gpu": {"claim": CLAIM | {"selector": "1 +"}}}))
    manifest = release.helm("template", "demo", str(release.chart), "--values", str(release.values))
    (claim,) = (item for item in render.read_manifest(manifest) if item["kind"] == "ResourceClaimTemplate")
    with pytest.raises(Exception, match="expression"):
        kubectl.create(claim, dry_run=True)


def test_resources_of_one_trial_replace_its_job_alone(release: Release) -> None:
    first, second = release.install([{"lr": 0.1}, {"lr": 0.2}], queue="team").trials
    before = release.uids()
    big = {"gpu": {"count": 4}, "resources": {"limits": {"memory": "64Gi"}}}
    changed = release.install([{"lr": 0.1}, {"lr": 0.2} | big], queue="team")
    assert [trial.id for trial in changed.trials] == [first.id, second.id]
    after = release.uids()
    assert after[first.job] == before[first.job]
    assert second.job not in after
    kept = {job["metadata"]["name"]: job for job in release.jobs()}
    for job in changed.jobs:
        assert lost(job, kept[job["metadata"]["name"]]) == []
        assert not kept[job["metadata"]["name"]]["spec"]["suspend"]


# ---- code from Git ----


@pytest.fixture
def server(real_node: Node, tmp_path: Path) -> Iterator[GitServer]:
    """A git daemon that Pods reach."""
    assert real_node.ready()
    serving = git_server.serve(tmp_path, real_node.address)
    yield serving
    serving.stop()


def from_git(server: GitServer, **changes: str) -> dict[str, Any]:
    """Values of a sweep whose code the real node fetches."""
    code = {"source": "git", "url": server.url, "commit": server.first, "tree": server.tree, "path": "trainer"}
    return {**SMALL, "command": ["python3", "train.py"], "code": {**code, "image": GIT_IMAGE, **changes}}


def test_a_pod_fetches_its_code_from_git(release: Release, kubectl: Kubectl, store: Path, server: GitServer) -> None:
    """With a deploy key, which this server does not ask for: uid 1000 without fsGroup must be able to read it."""
    key = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "deploy"}, "stringData": {"ssh-privatekey": "x"}}
    kubectl.create(key)
    (trial,) = release.install([{"lr": 1}], **from_git(server, secret="deploy")).trials
    assert is_true(end_of(release, trial.id), "Complete")
    assert trial.identity["code"] == f"git-tree:{server.tree}"
    assert (store / "trials" / trial.id[:2] / trial.id / "result.json").exists()
    assert "secret of git" in kubectl("logs", f"job/{trial.job}")


@pytest.mark.parametrize(("wrong", "words"), [("tree", "tree of trainer at commit"), ("commit", "is not there; push")])
def test_the_pod_says_why_there_is_no_code(
    release: Release, kubectl: Kubectl, store: Path, server: GitServer, wrong: str, words: str
) -> None:
    (trial,) = release.install([{"lr": 1}], **from_git(server, **{wrong: "1" * 40})).trials
    job = end_of(release, trial.id)
    (failed,) = (condition for condition in job["status"]["conditions"] if condition["type"] == "Failed")
    assert failed["reason"] == "PodFailurePolicy"
    (pod,) = kubectl.items("pods")
    (ended,) = (
        container["state"]["terminated"]
        for container in pod["status"]["initContainerStatuses"]
        if container["name"] == "code"
    )
    assert ended["exitCode"] == 65
    assert ended["message"].startswith(f"code: {server.url}: ")
    assert words in ended["message"]
    assert not list(store.glob("trials/*/*/*"))


# ---- the data volume ----

PREPARE = """
import os, pathlib, shutil, sys
target = pathlib.Path(os.environ["DATA_DIR"], "data.bin")
if target.exists():
    sys.exit("already there")
source = pathlib.Path(sys.argv[3]) if sys.argv[1:] else None
target.write_text(os.environ["DATA_ID"] + (source / "a" / "part").read_text() if source else os.environ["DATA_ID"])
"""


def dataset(release: Release, **wanted: Any) -> tuple[Object, Object]:
    """The ConfigMap and the Job that fill the claim `results`, as scripts have them rendered."""
    values = MINIMAL | SMALL | {"trials": [{}], "dataset": {"upload": False, **wanted}}
    values["code"] = {"source": "bundle", "files": {"prepare.py": PREPARE}}
    values["data"] = {"id": "d1", "volume": {"pvc": {"claimName": "results"}}, "prepare": ["python3", "prepare.py"]}
    release.values.write_text(json.dumps(values))
    words = ("template", "demo", str(release.chart), "--values", str(release.values))
    files, job = render.read_manifest(release.helm(*words, "--show-only", "templates/dataset.yaml"))
    return files, job


def test_the_dataset_job_fills_the_volume(release: Release, kubectl: Kubectl, store: Path) -> None:
    files, job = dataset(release)
    kubectl.create(files, job)
    name = f"job/{job['metadata']['name']}"
    kubectl("wait", name, "--for=condition=complete", "--timeout=100s", seconds=120)
    assert (store / "data.bin").read_text() == "d1"
    assert (store / "data.bin").stat().st_uid == 1000
    kubectl("delete", name, f"configmap/{files['metadata']['name']}")


def test_what_is_sent_to_the_dataset_job_fills_the_volume(release: Release, kubectl: Kubectl, store: Path) -> None:
    files, job = dataset(release, upload=True)
    kubectl.create(files, job)
    selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"

    def running() -> str | None:
        pods = [pod for pod in kubectl.items("pods", "--selector", selector) if pod["status"]["phase"] == "Running"]
        return pods[0]["metadata"]["name"] if pods else None

    pod = until(running, lambda: kubectl("describe", "pods"))
    assert pod
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        about = tarfile.TarInfo("a/part")
        about.size = 4
        archive.addfile(about, io.BytesIO(b"sent"))
    kubectl("attach", "--stdin", f"pod/{pod}", "--container=dataset", stdin=buffer.getvalue().decode("ascii"))
    name = f"job/{job['metadata']['name']}"
    kubectl("wait", name, "--for=condition=complete", "--timeout=100s", seconds=120)
    assert (store / "data.bin").read_text() == "d1sent"
    assert kubectl.items("pods", "--selector", selector)[0]["spec"]["nodeName"] == NODE
