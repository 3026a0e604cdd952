"""The test cluster itself: what the other tests rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import build
from tests.cluster.cluster import Cluster, running
from tests.cluster.kubernetes import Kubectl, Refused, create_user, until
from tests.cluster.tools import tool_folder

ROOT = build.HERE.parents[1]
START_AND_WAIT = """
import sys
from pathlib import Path
from tests.cluster.cluster import Cluster
Cluster(Path(sys.argv[1])).start()
print("started", flush=True)
sys.stdin.read()
"""


def test_everything_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    tool_folder("kube")
    owner = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout
    assert owner.stdin
    try:
        assert owner.stdout.readline() == b"started\n"
        assert set(running(tmp_path)) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
    until(lambda: not running(tmp_path), lambda: running(tmp_path))


def test_objects_outlive_a_restart_of_the_api_server(control_plane: Cluster, kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "kept", "--from-literal=key=value")
    with control_plane.without("kube-apiserver"), pytest.raises(Refused, match="refused"):
        kubectl("get", "configmap", "kept")
    assert kubectl.json("get", "configmap", "kept")["data"] == {"key": "value"}


@pytest.mark.parametrize("pod_security", ["privileged"])
def test_nothing_acts_on_jobs_while_the_controller_manager_is_away(control_plane: Cluster, kubectl: Kubectl) -> None:
    with control_plane.without("kube-controller-manager"):
        kubectl("create", "job", "waits", "--image=none")
        assert not kubectl.items("pods")
    until(lambda: kubectl.items("pods"), lambda: kubectl("describe", "jobs"))


def test_a_restricted_user_has_the_rights_it_was_given_and_no_others(
    kubectl: Kubectl, admin: Kubectl, tmp_path: Path
) -> None:
    rules = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]}]
    user = create_user(kubectl, "reader", rules, tmp_path / "kubeconfig")
    assert user.items("jobs") == []
    for words in (("secrets",), ("jobs", "--namespace=kube-system"), ("nodes",)):
        with pytest.raises(Refused, match="Forbidden"):
            user.items(*words)
    assert admin.items("nodes") is not None


def command(pid: int) -> bytes:
    """The command line of a process; empty if it has ended, whether or not somebody has asked how."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_up_and_down_as_a_person_types_them(tmp_path: Path) -> None:
    tool_folder("kube")
    tool_folder("kwok")

    def cluster(word: str) -> str:
        words = [sys.executable, "-m", "tests.cluster.cluster", word]
        env = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
        done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    folder = tmp_path / "helm-sweep" / "cluster"
    try:
        printed = cluster("up")
        assert printed == f"export KUBECONFIG={folder}/kubeconfig\n"
        kubectl = Kubectl(build.TOOLS["kube"].folder / "kubectl", folder / "kubeconfig")
        nodes = kubectl.items("nodes")
        assert {node["status"]["allocatable"]["nvidia.com/gpu"] for node in nodes} == {"8"}
        before = running(folder)
        assert cluster("up") == printed
        assert running(folder) == before
    finally:
        cluster("down")
    assert not folder.exists()
    assert not any(str(folder).encode() in command(pid) for pid in before.values())
    cluster("down")  # and once more is no error
