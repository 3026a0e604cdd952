"""Kinds of cluster by what they show. The answers are made up after their documents; no such cluster was asked."""

from __future__ import annotations

from typing import Any

import pytest

from sweep import clusterkinds
from sweep.clusterkinds import UID_RANGE, kind_of
from sweep.readiness import MISSING, OK, UNKNOWN
from sweep.settings import Gpu, Results, Security, Settings, Volume
from tests.unit.test_readiness import CLAIM, Api, looked

GPUS = {"status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": "4"}}}
CLAIMED = Settings(results=Results(Volume(claim="results")))


def node(provider: str = "", labels: dict[str, str] | None = None, *taints: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"labels": labels or {}}, "spec": {"providerID": provider, "taints": list(taints)}, **GPUS}


def cluster(*nodes: dict[str, Any], version: str = "v1.33.1", **annotations: str) -> Api:
    namespace = {"metadata": {"annotations": annotations}}
    return Api(
        number=version, objects={"PersistentVolumeClaim/results": CLAIM, "Namespace/ml": namespace, "Node": [*nodes]}
    )


FAKES = {
    "kind": ("v1.34.0", node("kind://docker/kind/kind-worker")),
    "k3s": ("v1.33.4+k3s1", node("k3s://server")),
    "EKS": ("v1.33.3-eks-ace6451", node("aws:///eu-central-1a/i-0abc", {"eks.amazonaws.com/nodegroup": "gpu"})),
    "GKE": ("v1.33.2-gke.1240000", node("gce://p/europe-west4-a/n", {"cloud.google.com/gke-nodepool": "gpu"})),
    "AKS": ("v1.33.2", node("azure:///subscriptions/s", {"kubernetes.azure.com/agentpool": "gpu"})),
    "OpenShift": ("v1.32.5", node("aws:///us-east-1a/i-0abc", {"node.openshift.io/os_id": "rhel"})),
}


@pytest.mark.parametrize("name", [kind.name for kind in clusterkinds.KINDS])
def test_a_kind_is_recognised_and_says_what_differs(name: str) -> None:
    version, of_it = FAKES[name]
    kind = looked(cluster(of_it, version=version), CLAIMED)["kind"]
    assert kind.state == OK
    assert kind.text.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "version"), [(name, version) for name, (version, _) in FAKES.items() if "-" in version]
)
def test_the_version_alone_tells_where_ones_rights_show_no_nodes(name: str, version: str) -> None:
    kind = kind_of(version, [], None)
    assert kind
    assert kind.name == name


def test_a_cluster_that_shows_nothing_is_no_kind() -> None:
    assert looked(cluster(node()), CLAIMED)["kind"].state == UNKNOWN
    assert looked(Api(hidden=("Node", "Namespace")), CLAIMED)["kind"].state == UNKNOWN


@pytest.mark.parametrize("given", ["1000730000/10000", "1000730000-1000739999"])
def test_openshift_names_the_uid_to_set(given: str) -> None:
    api = cluster(**{UID_RANGE: given})
    finding = looked(api, CLAIMED)["kind"]
    assert finding.state == MISSING
    assert "uid 1000 is none of this namespace's (1000730000 to 1000739999)" in finding.text
    assert "security: {runAsUser: 1000730000}" in finding.text
    for uid, state in ((1000730000, OK), (1000739999, OK), (1000740000, MISSING)):
        mended = Settings(results=CLAIMED.results, security=Security(uid))
        assert looked(api, mended)["kind"].state == state
    inline = Settings(results=Results(Volume()), security=Security(1000730000))
    assert "admits claims alone: set `results: " in looked(api, inline)["kind"].text


TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("taints", "tolerations", "state"),
    [
        ([[TAINT], [TAINT]], (), MISSING),
        ([[TAINT], []], (), OK),
        ([[TAINT | {"effect": "PreferNoSchedule"}]], (), OK),
        ([[TAINT]], ({"key": "nvidia.com/gpu", "operator": "Exists"},), OK),
        ([[TAINT]], ({"operator": "Exists"},), OK),
        ([[TAINT]], ({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},), OK),
        ([[TAINT]], ({"key": "nvidia.com/gpu", "value": "absent"},), MISSING),
        ([[TAINT]], ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"},), MISSING),
    ],
)
def test_a_taint_that_keeps_trials_off_every_node_is_named(
    taints: list[list[dict[str, str]]], tolerations: tuple[dict[str, str], ...], state: str
) -> None:
    nodes = [node("azure:///s", None, *given) for given in taints]
    settings = Settings(results=CLAIMED.results, gpu=Gpu(1), tolerations=tolerations)
    finding = looked(cluster(*nodes), settings)["kind"]
    assert finding.state == state
    assert ("nvidia.com/gpu=present:NoSchedule" in finding.text) == (state == MISSING)


def test_gke_tolerates_the_taint_of_the_resource_by_itself() -> None:
    assert looked(cluster(node("gce://p/z/n", None, TAINT)), CLAIMED)["kind"].state == OK
    other = {"key": "team", "value": "a", "effect": "NoSchedule"}
    assert "team=a:NoSchedule" in looked(cluster(node("gce://p/z/n", None, TAINT, other)), CLAIMED)["kind"].text
