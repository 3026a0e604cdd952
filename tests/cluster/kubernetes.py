"""Talking to a cluster from tests: kubectl that answers in JSON, waiting with a deadline, and users with few rights."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

Object = dict[str, Any]
"""A Kubernetes object as plain JSON."""
Found = TypeVar("Found")
PATHS = {"jobs": "apis/batch/v1/namespaces/{}/jobs", "pods": "api/v1/namespaces/{}/pods"}


class Refused(Exception):
    """The API, or kubectl, said no; the text is its reason."""


def until(
    condition: Callable[[], Found], state: Callable[[], object], seconds: float = 120, *, slowest: float = 2
) -> Found:
    """Wait for `condition` to return something true, and return that; at the deadline fail with what `state` says.

    It is asked ever less often, at the slowest every `slowest` seconds.
    """
    end, delay = time.monotonic() + seconds, 0.05
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s; now:\n{state()}")
        time.sleep(delay)
        delay = min(slowest, delay * 1.5)  # asking has its price: a LIST of a thousand Jobs is megabytes


@dataclass(frozen=True)
class Kubectl:
    """kubectl on one cluster as one user, in one namespace where one is given."""

    program: Path | str
    kubeconfig: Path
    namespace: str = ""

    def __call__(self, *words: str, stdin: str | None = None, seconds: float = 120) -> str:
        """Run kubectl and return its stdout. Raises Refused with its stderr."""
        at = ["--kubeconfig", str(self.kubeconfig), *(["--namespace", self.namespace] if self.namespace else [])]
        done = subprocess.run(
            [str(self.program), *at, *words], input=stdin, capture_output=True, text=True, check=False, timeout=seconds
        )
        if done.returncode:
            raise Refused(f"kubectl {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def json(self, *words: str) -> Any:
        """The answer of `kubectl WORDS --output json`."""
        return json.loads(self(*words, "--output", "json"))

    def items(self, *words: str) -> list[Object]:
        """The objects that `kubectl get WORDS` lists."""
        listed: list[Object] = self.json("get", *words)["items"]
        return listed

    def any(self, kind: str, **query: str) -> bool:
        """Whether there are Jobs or Pods (`kind`) that meet a query (labelSelector, fieldSelector).

        One of them is sent at most: what is polled must not be a LIST of a thousand.
        """
        path = f"/{PATHS[kind].format(self.namespace)}?{urlencode(query | {'limit': '1'})}"
        return bool(json.loads(self("get", "--raw", path))["items"])

    def create(self, *objects: Object, dry_run: bool = False) -> None:
        """POST objects. With `dry_run` the API server checks them, admission included, and keeps nothing."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self("create", "--filename", "-", *(["--dry-run=server"] if dry_run else []), stdin=text)

    def within(self, namespace: str) -> Kubectl:
        return replace(self, namespace=namespace)


def create_namespace(kubectl: Kubectl, name: str, pod_security: str) -> Kubectl:
    """Make a namespace whose Pods must meet `pod_security` (privileged | baseline | restricted).

    Returns once Pods can be made in it, that is, once it has its default service account.
    """
    labels = {"pod-security.kubernetes.io/enforce": pod_security, "helm-sweep.test/namespace": "true"}
    kubectl.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    inside = kubectl.within(name)
    until(lambda: inside.items("serviceaccounts"), lambda: inside("get", "serviceaccounts,events"))
    return inside


def clear(kubectl: Kubectl) -> None:
    """End all Jobs and Pods of the namespace, by two requests where `kubectl delete --all` sends one for each."""
    for path in PATHS.values():
        how = "propagationPolicy=Background&gracePeriodSeconds=1"
        kubectl("delete", "--raw", f"/{path.format(kubectl.namespace)}?{how}")
    until(lambda: not kubectl.any("pods"), lambda: kubectl("describe", "pods"))


def create_user(kubectl: Kubectl, name: str, rules: Sequence[Object], kubeconfig: Path) -> Kubectl:
    """Make a user who has only `rules` (a Role's) in the namespace of `kubectl`, and write its kubeconfig.

    The user is a service account with a token of an hour, so it works on any cluster.
    """
    about = {"name": name, "namespace": kubectl.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    kubectl.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about},
        {"apiVersion": f"{role['apiGroup']}/v1", "kind": "Role", "metadata": about, "rules": list(rules)},
        {
            "apiVersion": f"{role['apiGroup']}/v1",
            "kind": "RoleBinding",
            "metadata": about,
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **about}],
        },
    )
    view = kubectl.json("config", "view", "--raw", "--minify", "--flatten")
    view["users"] = [{"name": name, "user": {"token": kubectl("create", "token", name, "--duration=1h").strip()}}]
    for context in view["contexts"]:
        context["context"] |= {"user": name, "namespace": kubectl.namespace}
    write_private(kubeconfig, json.dumps(view))
    return replace(kubectl, kubeconfig=kubeconfig)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    path.touch(mode=0o600)
    path.write_text(text)


def create_fake_nodes(kubectl: Kubectl, count: int, resources: dict[str, str], *, tainted: bool) -> list[str]:
    """Make nodes that kwok plays, with `resources` (GPUs, say) beside CPU, memory and Pods; returns their names.

    It returns once all are ready. Tainted, nothing lands on them but what tolerates FAKE_NODE_TAINT: right for a
    cluster that has other nodes.
    """
    capacity = {"cpu": "64", "memory": "512Gi", "pods": "250", "ephemeral-storage": "1Ti"} | resources
    batch = secrets.token_hex(3)
    names = [f"fake-{batch}-{number}" for number in range(count)]
    for name in names:
        about = {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, **FAKE_NODE_LABEL},
            "annotations": {FAKE_NODE_TAINT["key"]: FAKE_NODE_TAINT["value"]},
        }
        spec = {"taints": [FAKE_NODE_TAINT]} if tainted else {}
        status = {"capacity": capacity, "allocatable": capacity}
        kubectl.create({"apiVersion": "v1", "kind": "Node", "metadata": about, "spec": spec, "status": status})
    until(
        lambda: all(is_true(node, "Ready") for node in kubectl.items("nodes") if node["metadata"]["name"] in names),
        lambda: kubectl("describe", "nodes", *names),
    )
    return names


FAKE_NODE_TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
FAKE_NODE_LABEL = {"helm-sweep.test/node": "fake"}


def is_true(item: Object, condition: str) -> bool:
    """Whether an object's status has this condition and it is true."""
    conditions = item.get("status", {}).get("conditions", [])
    return any(entry["type"] == condition and entry["status"] == "True" for entry in conditions)
