"""Which kind of cluster it is, by what its nodes, version and namespace show, and what differs there for a sweep.

docs/cluster.md has the same kinds as a table, with what was tried on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.settings import Settings

UID_RANGE = "openshift.io/sa.scc.uid-range"
"""On a namespace of OpenShift: <first uid>/<how many>, or <first>-<last>."""
IMAGE_OF_THE_NODES = "an image that no registry has is loaded into the nodes: "


@dataclass(frozen=True)
class ClusterKind:
    """`version`, `provider` and `label`: what the Kubernetes version contains, how providerID of a node begins, and how
    one of its labels does; any of them tells, and "" tells nothing."""

    name: str
    version: str
    provider: str
    label: str
    advice: str

    def fits(self, version: str, providers: Sequence[str], labels: Sequence[str]) -> bool:
        return (
            bool(self.version and self.version in version)
            or bool(self.provider and any(provider.startswith(self.provider) for provider in providers))
            or bool(self.label and any(label.startswith(self.label) for label in labels))
        )


KINDS = (  # the first that fits; OpenShift on a cloud shows the cloud's providerID too
    ClusterKind(
        "OpenShift", "", "", "node.openshift.io/", "volumes are claims, and the uid is of the namespace's range"
    ),
    ClusterKind(
        "GKE",
        "-gke.",
        "gce://",
        "cloud.google.com/gke-",
        "the API server adds the toleration of tainted GPUs; a shared store is a Filestore claim or `nfs:`",
    ),
    ClusterKind(
        "EKS",
        "-eks-",
        "aws://",
        "eks.amazonaws.com/",
        "a shared store is an EFS claim; `security: {runAsUser: …}` must be the uid of its access point",
    ),
    ClusterKind(
        "AKS",
        "",
        "azure://",
        "kubernetes.azure.com/",
        "a shared store is an Azure Files claim of protocol NFS (SMB has no links); tainted pools need `tolerations`",
    ),
    ClusterKind(
        "k3s", "+k3s", "k3s://", "", f"{IMAGE_OF_THE_NODES}`k3s ctr images import`; local-path claims are one node's"
    ),
    ClusterKind("kind", "", "kind://", "", f"{IMAGE_OF_THE_NODES}`kind load docker-image`; its claims are one node's"),
)


def kind_of(
    version: str, nodes: Sequence[Mapping[str, Any]], namespace: Mapping[str, Any] | None
) -> ClusterKind | None:
    """The kind of a cluster; None where nothing tells. `nodes` is empty where one's rights do not show them."""
    if namespace and UID_RANGE in noted(namespace):
        return KINDS[0]
    providers = [node.get("spec", {}).get("providerID", "") for node in nodes]
    labels = [label for node in nodes for label in node.get("metadata", {}).get("labels", {})]
    return next((kind for kind in KINDS if kind.fits(version, providers, labels)), None)


def noted(item: Mapping[str, Any]) -> Mapping[str, str]:
    given: Mapping[str, str] = item.get("metadata", {}).get("annotations") or {}
    return given


def uid_range(namespace: Mapping[str, Any]) -> range:
    """The uids that OpenShift lets Pods of a namespace run as; empty where it says none."""
    matched = re.fullmatch(r"(\d+)([/-])(\d+)", noted(namespace).get(UID_RANGE, "").partition(",")[0])
    if not matched:
        return range(0)
    first, last = int(matched[1]), int(matched[3])
    return range(first, first + last) if matched[2] == "/" else range(first, last + 1)


def refused_by_openshift(namespace: Mapping[str, Any], given: Settings) -> str:
    """What to set, where the SCC `restricted-v2` would refuse the Pods; "" where it admits them."""
    allowed = uid_range(namespace)
    if allowed and given.security.runAsUser not in allowed:
        uid = f"set `security: {{runAsUser: {allowed.start}}}`"
        return (
            f"uid {given.security.runAsUser} is none of this namespace's ({allowed.start} to {allowed.stop - 1}): {uid}"
        )
    volumes = [("results", given.results.volume), ("data", given.data.volume)]
    inline = [name for name, volume in volumes if volume and not volume.claim]
    if inline:
        return f"its SCC restricted-v2 admits claims alone: set `{inline[0]}: {{volume: {{pvc: {{claimName: …}}}}}}`"
    return ""


def untolerated(nodes: Sequence[Mapping[str, Any]], given: Settings, kind: ClusterKind | None) -> str:
    """The taint that keeps trials off every node that has what they ask for, as key=value:effect; "" if none does."""
    asked = given.gpu.resource if given.gpu.count else "cpu"
    fit = [node for node in nodes if node.get("status", {}).get("allocatable", {}).get(asked, "0") != "0"]
    admitted = [asked] if kind and kind.name == "GKE" else []  # added there to each Pod that asks for the resource
    taints = [_untolerated_of(node, given, admitted) for node in fit]
    return taints[0] if taints and all(taints) else ""


def _untolerated_of(node: Mapping[str, Any], given: Settings, admitted: Sequence[str]) -> str:
    for taint in node.get("spec", {}).get("taints") or ():
        if taint["effect"] == "PreferNoSchedule" or taint["key"] in admitted:
            continue
        if not any(tolerates(toleration, taint) for toleration in given.tolerations):
            value = f"={taint['value']}" if taint.get("value") else ""
            return f"{taint['key']}{value}:{taint['effect']}"
    return ""


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """As the scheduler judges it."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    key, exists = toleration.get("key") or "", toleration.get("operator") == "Exists"
    if not key:
        return exists
    return bool(key == taint["key"] and (exists or (toleration.get("value") or "") == (taint.get("value") or "")))
