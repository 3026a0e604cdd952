"""Kueue beside the test cluster, as a process: queues, quotas, admission in turn, preemption.

Its CRDs and webhooks are those of its own module. Its webhooks are reached by URL on loopback, since the test cluster
has no Service that leads anywhere; the certificate is the test cluster's.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import urllib.error
import urllib.request
from typing import Any

from ruamel.yaml import YAML

from tests.cluster.cluster import Cluster, Daemon, free_port
from tests.cluster.kubernetes import Kubectl, Object, until
from tests.cluster.tools import tool_folder

GROUP = "kueue.x-k8s.io"
VERSION = f"{GROUP}/v1beta2"
GPU = "nvidia.com/gpu"
WEBHOOKS = ("batch-v1-job", "kueue-x-k8s-io")
"""Of the paths of its webhooks, those of what is on the test cluster."""


OWN_ETC = """
mount -t tmpfs none /etc
mkdir -p /etc/kueue/metrics
ln -s "$0" /etc/kueue/metrics/certs
exec "$@"
"""
"""Kueue wants a certificate for its metrics in a folder that no setting names: it gets an /etc that only it sees."""


class Kueue:
    """The manager, and how tests make queues."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.tool = cluster, tool_folder("kueue")
        self.folder = cluster.folder / "kueue"
        self.port, self.health = free_port(), free_port()
        config, within = self.folder / "config.json", [] if os.geteuid() == 0 else ["--map-root-user"]
        words = [str(self.tool / "kueue"), f"--config={config}", f"--kubeconfig={cluster.kubeconfig}"]
        words.append("--feature-gates=VisibilityOnDemand=false")  # a server of its own, reached through a Service
        words = ["unshare", "--mount", *within, "sh", "-ec", OWN_ETC, str(self.folder), *words]
        self.daemon = Daemon("kueue", words, self.folder)

    # ---- up and down ----

    def install(self) -> None:
        """CRDs, the manager, then the webhooks: what they answer for would be refused before it answers."""
        self.folder.mkdir()
        kubectl = self.cluster.kubectl
        for path in sorted(self.tool.glob(f"{GROUP}_*.yaml")):
            kubectl("apply", "--server-side", "--filename", str(path))
        kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        for name, of in (("tls.crt", "serving.crt"), ("tls.key", "serving.key")):
            shutil.copyfile(self.cluster.folder / of, self.folder / name)
        (self.folder / "config.json").write_text(json.dumps(self._config()))
        kubectl.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kueue-system"}})
        self.start()
        authority = base64.b64encode((self.folder / "tls.crt").read_bytes()).decode()
        for webhooks in YAML(typ="safe").load_all((self.tool / "manifests.yaml").read_text()):
            kubectl.create(self._reached(webhooks, authority))

    def start(self) -> None:
        self.daemon.start()
        until(self._ready, self.daemon.last_words, 120)

    def stop(self) -> None:
        self.daemon.stop()

    def _ready(self) -> bool:
        process = self.daemon.process
        assert process is not None
        assert process.poll() is None, self.daemon.last_words()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _config(self) -> Object:
        return {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2",
            "kind": "Configuration",
            "namespace": "kueue-system",
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self.health}"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"host": "127.0.0.1", "port": self.port, "certDir": str(self.folder)},
            "internalCertManagement": {"enable": False},
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"qps": 400, "burst": 800},
            "integrations": {"frameworks": ["batch/job"]},
            "fairSharing": {"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]},
        }

    def _reached(self, webhooks: Object, authority: str) -> Object:
        kept = []
        for webhook in webhooks["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            if any(name in path for name in WEBHOOKS):
                url = f"https://127.0.0.1:{self.port}{path}"
                kept.append(webhook | {"clientConfig": {"url": url, "caBundle": authority}})
        return webhooks | {"webhooks": kept}


# ---- what an administrator makes ----


class Queues:
    """The queues of one test: cluster-wide objects that bear the namespace's name, and go with the test."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self.objects: list[tuple[str, str]] = []

    def name(self, of: str) -> str:
        return f"{of}-{self.kubectl.namespace}"

    def create(self, kind: str, name: str, spec: Object | None = None, **more: Any) -> None:
        """A cluster-wide object of Kueue's, under the test's own name."""
        about = {"name": self.name(name)}
        body = {"spec": spec} if spec is not None else {}
        self.kubectl.create({"apiVersion": VERSION, "kind": kind, "metadata": about, **body, **more})
        self.objects.append((kind.lower(), self.name(name)))

    def flavor(self, name: str, labels: dict[str, str] | None = None, **spec: Any) -> None:
        self.create("ResourceFlavor", name, {**({"nodeLabels": labels} if labels else {}), **spec})

    def cluster_queue(self, name: str, quota: dict[str, int], **spec: Any) -> None:
        """`quota`: flavor -> trials of the tests at once, each of a GPU or of 50m CPU; memory is plenty."""
        flavors = []
        for flavor, trials in quota.items():
            given = {GPU: trials, "cpu": f"{50 * trials}m", "memory": "10Ti"}
            resources = [{"name": resource, "nominalQuota": amount} for resource, amount in given.items()]
            flavors.append({"name": self.name(flavor), "resources": resources})
        groups = [{"coveredResources": [GPU, "cpu", "memory"], "flavors": flavors}]
        self.create("ClusterQueue", name, {"namespaceSelector": {}, "resourceGroups": groups, **spec})

    def local_queue(self, name: str, of: str, **spec: Any) -> None:
        about = {"name": name, "namespace": self.kubectl.namespace}
        spec = {"clusterQueue": self.name(of), **spec}
        self.kubectl.create({"apiVersion": VERSION, "kind": "LocalQueue", "metadata": about, "spec": spec})

    def patch(self, kind: str, name: str, spec: Object) -> None:
        """Of what this test made; a LocalQueue is named as it is."""
        named = name if kind == "localqueue" else self.name(name)
        self.kubectl("patch", f"{kind}.{GROUP}", named, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def workloads(self) -> list[Object]:
        return self.kubectl.items(f"workloads.{GROUP}")

    def delete(self) -> None:
        for kind, name in reversed(self.objects):
            self.kubectl("delete", f"{kind}.{GROUP}", name, "--wait=false", "--ignore-not-found")
