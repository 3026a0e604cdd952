"""Whole sweeps on the test cluster, by the verbs a person types, with the rights of deploy/role.yaml only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.cluster.image import TRIAL_IMAGE
from tests.cluster.kubernetes import Kubectl, Object, until
from tests.cluster.node import ON_REAL_NODE
from tests.e2e.support import ROOT, TestClone

RIGHTS: list[Object] = next(YAML(typ="safe").load_all((ROOT / "deploy" / "role.yaml").read_text()))["rules"]
SMALL: dict[str, Any] = {
    "image": TRIAL_IMAGE,
    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}},
    "sharedMemory": "16Mi",
    "gpu": {"count": 0},
    "terminationGracePeriodSeconds": 10,
    "results": {"volume": {"nfs": None, "pvc": {"claimName": "results"}}},
}
"""What Pods of the test's image need."""
WITHOUT_ENGINE = ("expand", "report", "best", "reproduce", "doctor", "replay", "ledger")
"""Verbs that take no --engine."""
AT_THE_GATE: dict[str, Any] = {
    "hyperparameters": {"gate": "/gate"},
    "extraVolumes": [{"name": "gate", "persistentVolumeClaim": {"claimName": "gate"}}],
    "extraVolumeMounts": [{"name": "gate", "mountPath": "/gate"}],
}
"""Where the trials wait and tell: of the store they see their own folders alone."""


class ClusterSweep(TestClone):
    """The toy sweep of tests/e2e in a namespace; `store` is the result store as this machine sees it."""

    __test__ = False

    def __init__(self, clone: TestClone, store: Path, kubectl: Kubectl, user: Kubectl, helm: Path) -> None:
        self.root, self.launchers = clone.root, clone.launchers
        self.store, self.kubectl, self.user = store, kubectl, user
        self.gate = store.with_name(f"{store.name}-gate")
        self.gate.mkdir(exist_ok=True)
        self.gate.chmod(0o777)
        self.env = {"KUBECONFIG": str(user.kubeconfig), "HELM": str(helm)}

    def start(self, script: str, *words: str, **env: str) -> subprocess.Popen[str]:
        target = [] if script in WITHOUT_ENGINE else ["--engine=cluster"]
        return super().start(script, *words, *target, **(self.env | env))

    def edit(self, *trials: dict[str, Any], **head: Any) -> None:
        super().edit(*trials, **{**AT_THE_GATE, **SMALL, **ON_REAL_NODE, **head})
        if not (self.root / "values" / "toy" / "code.yaml").exists():
            self.run("expand", "toy", "--code", head.get("code", {}).get("path", "toy"))
        self.commit("edit")

    def copy(self, name: str, to: str, *trials: dict[str, Any], **head: Any) -> None:
        """Make another sweep out of one, with these trials and changes of its head."""
        values = self.root / "values"
        shutil.copytree(values / name, values / to, ignore=shutil.ignore_patterns("results.csv", "best.yaml"))
        kept = (values / name / "values.yaml").read_text().partition("trials:\n")[0].splitlines()
        changed = {"sweep": to, **head, "trials": trials}
        lines = [line for line in kept if line.partition(":")[0] not in changed]
        lines += [f"{key}: {json.dumps(value)}" for key, value in changed.items()]
        (values / to / "values.yaml").write_text("\n".join(lines) + "\n")
        self.commit(f"{to} from {name}")

    def commit(self, message: str) -> str:
        """Commit everything, as the person would; returns the commit."""
        self.git("add", "--all")
        self.git(
            "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--allow-empty", f"--message={message}"
        )
        return self.git("rev-parse", "HEAD").strip()

    def jobs(self) -> dict[str, Object]:
        """Trial id -> its Job."""
        return {
            job["metadata"]["labels"]["helm-sweep/trial"]: job
            for job in self.kubectl.items("jobs", "-l", "helm-sweep/trial")
        }

    def ids(self) -> dict[int, str]:
        """x -> trial id, of the Jobs that are there."""
        by_x = {}
        for trial, job in self.jobs().items():
            record = json.loads(job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
            by_x[record["identity"]["hyperparameters"]["x"]] = trial
        return by_x

    def uids(self) -> dict[str, str]:
        return {trial: job["metadata"]["uid"] for trial, job in self.jobs().items()}

    def started(self, *x: int) -> None:
        """Wait until these trials have begun to train."""
        wanted = {str(value) for value in x}
        until(lambda: wanted <= set(self.events("start")), lambda: self.kubectl("describe", "jobs,pods"))

    def table(self) -> list[dict[str, str]]:
        """results.csv."""
        import csv

        with (self.root / "values" / "toy" / "results.csv").open() as opened:
            return list(csv.DictReader(opened))


def processes(words: str) -> list[int]:
    """Ids of the processes whose command line holds `words`."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in line and int(folder.name) != os.getpid():
            pids.append(int(folder.name))
    return pids
