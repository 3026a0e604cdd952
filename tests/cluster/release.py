"""A release of the chart on a cluster, as a person with helm and a values file has it."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep import render
from sweep.layout import Clone
from tests.cluster.kubernetes import FAKE_NODE_LABEL, FAKE_NODE_TAINT, PATHS, Kubectl, Object, is_true, until

CHART = Clone.here().chart
"""For reading; tests install a copy (fixture `chart`), lest an edit of a template in mid-run changes every Job."""
SWEEP = "helm-sweep/sweep"
TRIAL = "helm-sweep/trial"
MINIMAL: dict[str, Any] = {
    "sweep": "demo",
    "objective": {"metric": "accuracy", "direction": "maximize"},
    "command": ["python", "train.py"],
    "image": {"repository": "pytorch/pytorch", "tag": "2.9"},
    "results": {"volume": {"pvc": {"claimName": "results"}}},
}
"""The least a sweep needs, less its trials. Its Pods wait for ever: no test cluster has an untainted node with GPUs."""
ON_FAKE_NODES: dict[str, Any] = {"nodeSelector": FAKE_NODE_LABEL, "tolerations": [FAKE_NODE_TAINT]}


def bound_claim(namespace: str) -> tuple[Object, Object]:
    """The claim `results` and the volume it is bound to, as an administrator would make them for an NFS export."""
    return claim_on(namespace, {"nfs": {"server": "nfs.example.org", "path": "/results"}})


def local_claim(namespace: str, folder: Path, node: str, name: str = "results") -> tuple[Object, Object]:
    """The claim `name` on a folder of one node's disk."""
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]
    affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
    return claim_on(namespace, {"local": {"path": str(folder)}, **affinity}, name)


def claim_on(namespace: str, source: Object, claim_name: str = "results") -> tuple[Object, Object]:
    """A volume with this source, and the claim bound to it."""
    name = f"{claim_name}-{namespace}"
    shape = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            **shape,
            **source,
            "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": namespace, "name": claim_name},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim_name},
        "spec": {**shape, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
    }
    return volume, claim


class HelmFailed(Exception):
    """helm ended with an error; the text is all it said."""


@dataclass(frozen=True)
class Helm:
    """One helm binary on one cluster and namespace."""

    program: Path
    kubectl: Kubectl

    def __call__(self, *words: str) -> str:
        """Run helm and return its stdout. Raises HelmFailed."""
        at = ["--kubeconfig", str(self.kubectl.kubeconfig), "--namespace", self.kubectl.namespace]
        done = subprocess.run([str(self.program), *words, *at], capture_output=True, text=True, check=False)
        if done.returncode:
            raise HelmFailed(f"{self.program.name} {' '.join(words)}:\n{done.stderr}\n{done.stdout}")
        return done.stdout


@dataclass
class Release:
    """One release, and what the cluster has of it."""

    name: str
    helm: Helm
    kubectl: Kubectl
    folder: Path
    chart: Path
    values: Path = field(init=False)

    def __post_init__(self) -> None:
        self.values = self.folder / "values.yaml"

    def install(self, trials: list[dict[str, Any]], **changes: Any) -> render.Rendered:
        """`helm upgrade --install` of MINIMAL with these trials and changes. Returns the same as rendered offline."""
        self.values.write_text(json.dumps(MINIMAL | changes | {"trials": trials}))
        return self.install_file(self.values)

    def install_file(self, values: Path) -> render.Rendered:
        """`helm upgrade --install` of a values file."""
        self.values = values
        self.helm("upgrade", "--install", self.name, str(self.chart), "--values", str(values))
        manifest = self.helm("template", self.name, str(self.chart), "--values", str(values))
        objects = list(render.read_manifest(manifest))
        return render.Rendered(objects, [render.trial_of(item) for item in objects if item["kind"] == "Job"])

    def uninstall(self) -> None:
        self.helm("uninstall", self.name)

    # ---- what the cluster has ----

    def jobs(self) -> list[Object]:
        """The Jobs of the sweep that are there to stay."""
        return [job for job in self.kubectl.items("jobs", "--selector", SWEEP) if not going(job)]

    def uids(self) -> dict[str, str]:
        """Job name -> uid: an unchanged pair is an untouched Job."""
        return {job["metadata"]["name"]: job["metadata"]["uid"] for job in self.jobs()}

    def settle(self) -> None:
        """Wait until nothing of the sweep is terminating."""

        def remains() -> list[str]:
            jobs, pods = (self.kubectl.items(kind, "--selector", SWEEP) for kind in ("jobs", "pods"))
            alive = {job["metadata"]["uid"] for job in jobs if not going(job)}
            return [
                f"{item['kind']} {item['metadata']['name']}"
                for item in [*jobs, *pods]
                if going(item) or (item["kind"] == "Pod" and not alive & set(owners(item)))
            ]

        until(lambda: not remains(), lambda: "\n".join(remains()))

    def wait_complete(self, seconds: float = 120) -> list[Object]:
        """Wait until every Job has succeeded; returns them."""
        until(
            lambda: not self.kubectl.any("jobs", labelSelector=SWEEP, fieldSelector="status.successful!=1"),
            lambda: self.kubectl("get", "jobs,pods,events", "--output=wide"),
            seconds,
        )
        until(lambda: all(is_true(job, "Complete") for job in self.jobs()), lambda: self.kubectl("get", "jobs"))
        return self.jobs()

    def wait_gone(self, seconds: float = 120) -> None:
        """Wait until nothing in the namespace bears the sweep's label or belongs to helm."""
        until(
            lambda: not any(self.kubectl.any(kind, labelSelector=SWEEP) for kind in PATHS),
            lambda: self.kubectl("get", "jobs,pods"),
            seconds,
        )
        until(lambda: not self.remains(), self.remains, seconds)

    def stored_bytes(self) -> int:
        """Size of the newest release's record, as the API server counts it against a Secret's limit."""
        return len(self._record())

    def stored_files(self) -> list[str]:
        """The files of the chart that the newest release's record holds."""
        chart = json.loads(gzip.decompress(base64.b64decode(self._record())))["chart"]
        return sorted(file["name"] for file in [*chart["templates"], *chart["files"]])

    def _record(self) -> bytes:
        (secret,) = self.kubectl.items("secrets", "--selector", f"owner=helm,name={self.name},status=deployed")
        return base64.b64decode(secret["data"]["release"])

    def remains(self) -> list[str]:
        """Every object of any kind in the namespace that bears the sweep's label or belongs to helm."""
        kinds = self.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
        kinds = [kind for kind in kinds if "." not in kind or kind.split(".", 1)[1] != "metrics.k8s.io"]
        names = []
        for selector in (SWEEP, "owner=helm"):
            for item in self.kubectl.items(",".join(kinds), "--selector", selector):
                names.append(f"{item['kind']} {item['metadata']['name']}")
        return names


def going(item: Object) -> bool:
    """Whether an object is on its way out."""
    return "deletionTimestamp" in item["metadata"]


def owners(item: Object) -> list[str]:
    """Uids of an object's owners."""
    return [owner["uid"] for owner in item["metadata"].get("ownerReferences", [])]
