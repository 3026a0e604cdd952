"""The cluster that the tests run on: one of their own, or the disposable one that $TEST_KUBECONFIG names."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.cluster.cluster import FAKE_GPUS, NODE, Cluster, kwok
from tests.cluster.kubernetes import Kubectl, Refused, clear, create_fake_nodes, create_namespace, create_user
from tests.cluster.kueue import Kueue, Queues
from tests.cluster.node import Node, what_lacks
from tests.cluster.release import CHART, Helm, Release, local_claim
from tests.cluster.sweeps import RIGHTS, ClusterSweep, processes
from tests.cluster.tools import helm_program, missing, tool_folder
from tests.e2e.conftest import clone  # noqa: F401 - a fixture
from tests.e2e.support import TestClone

FAKE_NODES = 4


class OneServer(LoadScopeScheduling):
    """One worker gets the tests that stop the NFS server, of which there is one; all others go to any, one by one.

    Each worker has a cluster and a node of its own. xdist's own `loadgroup` does nothing under pytest 9.2: it renames
    items, whose ids have become read-only.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "NFS server" if Path(nodeid.split("::")[0]).name == "test_nfs.py" else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneServer:
    return OneServer(config, log)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of the tests' own, for tests that stop parts of it; others take `admin`."""
    if os.environ.get("TEST_KUBECONFIG"):
        pytest.skip("stops parts of the control plane, and $TEST_KUBECONFIG names a cluster that is not the tests' own")
    tool_folder("kube")
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def admin(request: pytest.FixtureRequest) -> Kubectl:
    """kubectl as an administrator of the cluster under test."""
    named = os.environ.get("TEST_KUBECONFIG")
    if not named:
        cluster: Cluster = request.getfixturevalue("control_plane")
        return cluster.kubectl
    program = shutil.which("kubectl")
    return Kubectl(program or tool_folder("kube") / "kubectl", Path(named).resolve())


@pytest.fixture(scope="session")
def fake_nodes(admin: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nodes of eight GPUs on which every Pod of a Job succeeds at once."""
    tool_folder("kwok")
    daemon = kwok(admin.kubeconfig, tmp_path_factory.mktemp("kwok"))
    daemon.start()
    names = create_fake_nodes(admin, FAKE_NODES, FAKE_GPUS, tainted=True)
    yield
    admin("delete", "nodes", *names)
    daemon.stop()


@pytest.fixture(scope="session")
def real_node(control_plane: Cluster) -> Iterator[Node]:
    """A node that runs Pods for real, with root and containerd."""
    if lacking := what_lacks():
        missing(lacking)
    # A short path for its sockets, on a disk that lasts: a memory disk would hold every image.
    folder = Path(tempfile.mkdtemp(prefix="helm-sweep-node-", dir="/var/tmp"))
    node = Node(control_plane, folder)
    node.start()
    yield node
    node.stop()  # deletes the folder too


@pytest.fixture(scope="session")
def kueue(control_plane: Cluster) -> Iterator[Kueue]:
    """Kueue on the cluster of the tests; what names no queue it lets alone."""
    manager = Kueue(control_plane)
    manager.install()
    yield manager
    manager.stop()


@pytest.fixture
def queues(kueue: Kueue, kubectl: Kubectl) -> Iterator[Queues]:
    """A LocalQueue `team` that lets two trials run at once; a test may make more."""
    assert kueue.daemon.process, "an earlier test has stopped Kueue, and not started it again"
    own = Queues(kubectl)
    own.flavor("any")
    own.cluster_queue("two", {"any": 2})
    own.local_queue("team", "two")
    yield own
    own.delete()


@pytest.fixture
def pod_security() -> str:
    """What Pods of the test's namespace must meet. Restricted, unless a test parametrises it otherwise."""
    return "restricted"


@pytest.fixture
def kubectl(admin: Kubectl, pod_security: str) -> Iterator[Kubectl]:
    """kubectl as administrator in a namespace of this test's own."""
    inside = create_namespace(admin, f"test-{secrets.token_hex(4)}", pod_security)
    yield inside
    with contextlib.suppress(Refused):
        admin("delete", "namespace", inside.namespace, "--wait=false")
        volumes = (f"{claim}-{inside.namespace}" for claim in ("results", "gate", "data", "packages"))
        admin("delete", "persistentvolume", *volumes, "--ignore-not-found", "--wait=false")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each helm in turn; for a test marked `one_helm`, in whose point helm has no part, one of the two by its name."""
    if "helm" in metafunc.fixturenames:
        helms = ["helm3", "helm4"]
        if metafunc.definition.get_closest_marker("one_helm"):
            helms = [helms[zlib.crc32(metafunc.definition.name.encode()) % 2]]
        metafunc.parametrize("helm", helms, indirect=True)


@pytest.fixture
def helm(request: pytest.FixtureRequest, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> Helm:
    """A helm. Scripts that the test calls use the same one: they read $HELM and $KUBECONFIG too."""
    program = Helm(helm_program(request.param), kubectl)
    monkeypatch.setenv("HELM", str(program.program))
    monkeypatch.setenv("KUBECONFIG", str(kubectl.kubeconfig))
    return program


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart as it is now, without what tests leave in it."""
    place = tmp_path_factory.mktemp("chart") / CHART.name
    return Path(shutil.copytree(CHART, place, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def release(helm: Helm, kubectl: Kubectl, tmp_path: Path, chart: Path) -> Release:
    """A release of the chart, not yet installed."""
    return Release("demo", helm, kubectl, tmp_path, chart)


@pytest.fixture
def store(real_node: Node, kubectl: Kubectl) -> Iterator[Path]:
    """The result store on the node's disk, behind the claim `results`; the trial's uid may write it."""
    folder = real_node.folder / kubectl.namespace
    folder.mkdir()
    folder.chmod(0o777)
    kubectl.create(*local_claim(kubectl.namespace, folder, NODE))
    yield folder
    clear(kubectl)  # a volume in use cannot be unmounted


@pytest.fixture
def sweep(
    clone: TestClone,  # noqa: F811
    store: Path,
    kubectl: Kubectl,
    helm: Helm,
    tmp_path: Path,
) -> Iterator[ClusterSweep]:
    """The toy sweep on the real node, by a user who has the rights of deploy/role.yaml and no others."""
    user = create_user(kubectl, "ann", RIGHTS, tmp_path / "ann.kubeconfig")
    opened = ClusterSweep(clone, store, kubectl, user, helm.program)
    kubectl.create(*local_claim(kubectl.namespace, opened.gate, NODE, "gate"))
    yield opened
    opened.open_gate()
    for launcher in opened.launchers:
        if launcher.poll() is None:
            launcher.kill()
            launcher.communicate()
    for helm_of_it in processes(f"--namespace {kubectl.namespace} --labels"):
        os.kill(helm_of_it, signal.SIGKILL)  # one that a test has halted
