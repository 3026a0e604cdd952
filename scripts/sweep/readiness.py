"""What a sweep needs of this machine and of a cluster, looked at in turn: it is there, or what to do about it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sweep import clusterkinds, commits, git, helm, yamlfile
from sweep.basefile import SHARED
from sweep.engines.cluster import Cluster, Refused
from sweep.engines.local import gpus_here
from sweep.errors import SweepError
from sweep.layout import Clone, Kit
from sweep.settings import Image, Settings

if TYPE_CHECKING:
    from sweep.registry import ImageReference, RegistryAnswer

OK, MISSING, UNKNOWN = "ok", "missing", "unknown"
OLDEST = (1, 31)
"""Of Kubernetes, as the chart's kubeVersion says."""
MOST_SECONDS = 60
"""By how much the clocks of this machine and of the API may differ: more makes waits look like hours."""


@dataclass(frozen=True)
class Finding:
    """One line."""

    what: str
    state: str
    """ok | missing | unknown"""
    text: str
    """What was found, or what to do."""


# ---- this machine ----


def of_machine(clone: Clone) -> Iterator[Finding]:
    """Git, helm and GPUs."""
    yield Finding("python", OK, ".".join(map(str, sys.version_info[:3])))
    yield _told("git", lambda: _git(clone))
    yield _told("helm", lambda: helm.run("version", "--short").strip())
    gpus = gpus_here()
    none = "none on this machine; sweeps here need `gpu: {count: 0}`"
    yield Finding("gpu", OK, f"{len(gpus)} on this machine" if gpus else none)


def _git(clone: Clone) -> str:
    version = git.output(clone.root, "--version").strip().removeprefix("git version ")
    name, email = (git.setting(clone.root, f"user.{part}") for part in ("name", "email"))
    if name and email:
        return f"{version}, commits as {name} <{email}>"
    return f"{version}; without user.name and user.email commits are {commits.NAME}'s: `git config --global user.name`"


def _told(what: str, ask: Callable[[], str]) -> Finding:
    """ok with the answer, or missing with the reason."""
    try:
        return Finding(what, OK, ask())
    except SweepError as error:
        return Finding(what, MISSING, str(error))


# ---- the cluster ----


def of_cluster(cluster: Cluster, given: Settings) -> Iterator[Finding]:
    """`given` are those of base.yaml. Ends after the first line where the cluster does not answer."""
    try:
        version = cluster.version()
    except SweepError as error:
        yield Finding("cluster", MISSING, str(error))
        return
    yield _version(cluster, version)
    yield _clock(cluster.now() - time.time())
    yield _rights(cluster)
    yield from _volumes(cluster, given)
    yield _security(cluster, given)
    yield _gpus(cluster, given)
    yield _kind(cluster, version, given)
    yield _looked("image", partial(_image, cluster, given.image))


def _version(cluster: Cluster, version: str) -> Finding:
    number = tuple(int(part) for part in re.findall("[0-9]+", version)[:2])
    where = f"Kubernetes {version}, namespace {cluster.namespace}"
    if number < OLDEST:
        return Finding("cluster", MISSING, f"{where}: {OLDEST[0]}.{OLDEST[1]} or newer is needed")
    return Finding("cluster", OK, where)


def _clock(ahead: float) -> Finding:
    """`ahead`: seconds that the API's clock is before this machine's."""
    if abs(ahead) > MOST_SECONDS:
        return Finding("clock", MISSING, f"{abs(ahead):.0f} s off the cluster's; let this machine set its clock by NTP")
    return Finding("clock", OK, f"{abs(ahead):.0f} s off the cluster's")


def needed(rules: list[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """(verb, resource, API group) of every right that deploy/role.yaml gives."""
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield from ((verb, resource, group) for verb in rule["verbs"])


def may(cluster: Cluster, verb: str, resource: str, group: str) -> bool:
    """Whether one has a right in the namespace; of a part of a resource as `pods/log`. Raises Refused, Unreachable."""
    name, _, part = resource.partition("/")
    asked = {"namespace": cluster.namespace, "verb": verb, "group": group, "resource": name, "subresource": part}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    answer = cluster.create(review | {"spec": {"resourceAttributes": asked}})
    return bool(answer["status"]["allowed"])


def _rights(cluster: Cluster) -> Finding:
    path = Kit.here().role
    role = yamlfile.parse(yamlfile.read_text(path, path.name).partition("\n---\n")[0], path.name)
    try:
        refused = [
            f"{verb} {resource}"
            for verb, resource, group in needed(role.data["rules"])
            if not may(cluster, verb, resource, group)
        ]
    except Refused as error:
        return Finding("rights", UNKNOWN, f"the API does not tell: {error}")
    if refused:
        shown = ", ".join(refused[:6]) + (f" and {len(refused) - 6} more" if len(refused) > 6 else "")
        cure = f"`make role NAMESPACE={cluster.namespace} USER=…` prints what an administrator applies"
        return Finding("rights", MISSING, f"you may not {shown}; {cure}")
    return Finding("rights", OK, f"all of deploy/role.yaml in {cluster.namespace}")


def _volumes(cluster: Cluster, given: Settings) -> Iterator[Finding]:
    for name, volume in (("results", given.results.volume), ("data", given.data.volume)):
        if volume and volume.claim:
            yield _looked(name, partial(_claim, cluster, volume.claim))
        elif volume:
            yield Finding(name, UNKNOWN, "whether Pods can mount it shows with the first trial")
        elif name == "results":
            yield Finding(name, MISSING, "no volume; set `results: {volume: …}` in values/base.yaml")


def _claim(cluster: Cluster, name: str) -> tuple[str, str]:
    claim = cluster.get("PersistentVolumeClaim", name)
    if not claim:
        return MISSING, f"there is no claim {name}; make it, or name another in values/base.yaml"
    modes, phase = claim["spec"].get("accessModes", []), claim["status"].get("phase", "")
    if SHARED not in modes:
        return MISSING, f"claim {name} is {', '.join(modes)}: trials on several nodes need {SHARED}"
    return OK, f"claim {name}, {phase}, {', '.join(modes)}"


def _security(cluster: Cluster, given: Settings) -> Finding:
    def look() -> tuple[str, str]:
        namespace = cluster.get("Namespace", cluster.namespace)
        if not namespace:
            return MISSING, f"there is no namespace {cluster.namespace}; `kubectl create namespace {cluster.namespace}`"
        level = namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce", "")
        own = [volume for volume in (given.results.volume, given.data.volume) if volume]
        if level == "restricted" and not all(volume.claim for volume in own):
            return MISSING, "it enforces `restricted`, which admits claims alone: docs/cluster.md has the YAML"
        return OK, f"Pod Security {level or 'enforces nothing'}"

    return _looked("namespace", look)


def _gpus(cluster: Cluster, given: Settings) -> Finding:
    resource = given.gpu.resource

    def look() -> tuple[str, str]:
        nodes = cluster.list("Node")
        total = sum(int(node["status"].get("allocatable", {}).get(resource, 0)) for node in nodes)
        if not total and given.gpu.count:
            others = sorted({name for node in nodes for name in node["status"].get("allocatable", {}) if "/" in name})
            seen = f"; nodes have {', '.join(others)}" if others else ""
            return MISSING, f"no node has {resource}{seen}; set `gpu: {{resource: …}}`, or `gpu: {{count: 0}}`"
        return OK, f"{total} {resource} on {len(nodes)} nodes"

    return _looked("gpus", look)


def _kind(cluster: Cluster, version: str, given: Settings) -> Finding:
    """What differs on this kind of cluster, and the taint that keeps trials off its nodes."""
    nodes, namespace = [], None
    with suppress(Refused):
        namespace = cluster.get("Namespace", cluster.namespace)
    with suppress(Refused):
        nodes = cluster.list("Node")
    kind = clusterkinds.kind_of(version, nodes, namespace)
    name = kind.name if kind else "this cluster"
    taint = clusterkinds.untolerated(nodes, given, kind)
    if namespace and kind is clusterkinds.KINDS[0] and (refused := clusterkinds.refused_by_openshift(namespace, given)):
        return Finding("kind", MISSING, f"{name}: {refused}")
    if taint:
        return Finding(
            "kind", MISSING, f"{name}: every node that fits has the taint {taint}; set `tolerations: [{{…}}]`"
        )
    if not kind:
        return Finding("kind", UNKNOWN, "no kind of cluster that is known; docs/cluster.md has those that are")
    return Finding("kind", OK, f"{name}: {kind.advice}")


def _image(cluster: Cluster, image: Image) -> tuple[str, str]:
    """By the Secrets it is pulled with, and what its registry tells this machine; a node may see another network."""
    from sweep import registry  # HTTP, which --help does without

    if not image.repository or not (image.digest or image.tag):
        return MISSING, "no image; set `image: {repository: …, tag: …}` in values/base.yaml"
    reference = registry.ImageReference.of(image.repository, image.digest or image.tag)
    if image.pullPolicy == "Never":
        return UNKNOWN, f"{reference} is never pulled (image.pullPolicy): each node must have it"
    absent = [name for name in image.pullSecrets if not cluster.get("Secret", name)]
    if absent:
        cure = f"`kubectl -n {cluster.namespace} create secret docker-registry {absent[0]} …`"
        return MISSING, f"there is no Secret {absent[0]} (image.pullSecrets); {cure}"
    return _answered(registry.ask(reference), reference, image.pullSecrets)


def _answered(answer: RegistryAnswer, reference: ImageReference, secrets: Sequence[str]) -> tuple[str, str]:
    from sweep import registry

    login = f"{reference.host} shows {reference.path} to nobody without a login"
    if answer.state == registry.HAS:
        return OK, f"{reference}, anybody may pull it"
    if answer.state == registry.UNKNOWN:
        return UNKNOWN, f"{reference.host}: {answer.reason}; whether nodes can pull shows with the first trial"
    if secrets:  # some registries answer 404 to who is not logged in
        return UNKNOWN, f"{login}; whether Secret {', '.join(secrets)} opens it shows with the first trial"
    if answer.state == registry.LOGIN:
        return UNKNOWN, f"{login}, or has none; set `image: {{pullSecrets: […]}}` where it is private"
    return MISSING, f"{reference.host} has no {reference}; push it, or set `image: {{repository: …, tag: …}}`"


def _looked(what: str, look: Callable[[], tuple[str, str]]) -> Finding:
    """What a look has found; what one's rights do not let one see is unknown."""
    try:
        return Finding(what, *look())
    except Refused as error:
        return Finding(what, UNKNOWN, f"your rights do not show it (HTTP {error.status})")
