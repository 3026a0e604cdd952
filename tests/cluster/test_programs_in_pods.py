"""Programs that know nothing of helm-sweep as Jobs, by the lines of docs/programs.md: one without Python, one with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sweep.engines import environments
from tests.cluster.cluster import NODE
from tests.cluster.image import PROGRAMS_IMAGE
from tests.cluster.release import local_claim
from tests.cluster.sweeps import ClusterSweep
from tests.e2e import programs
from tests.e2e.support import ROOT


def swept(sweep: ClusterSweep, name: str, **head: Any) -> str:
    """Sweep a program; returns what the verb said."""
    values = programs.write(name, sweep.root)
    sweep.commit("a program")
    sweep.edit(*programs.PROGRAMS[name].trials, **(values | head))
    output = sweep.run("drive", "toy")
    programs.check(name, sweep.table(), sweep.store)
    return output


@pytest.mark.one_helm
def test_svm_train(sweep: ClusterSweep) -> None:
    """The image has no package of Python's."""
    swept(sweep, "svm-train", image=PROGRAMS_IMAGE)
    job = next(iter(sweep.jobs().values()))
    trial = json.loads(job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
    assert trial["identity"]["command"][0] == "svm-train"


@pytest.mark.one_helm
def test_pytorchs_mnist_example(sweep: ClusterSweep) -> None:
    """Torch comes from a volume, and the data lie where the program looks for them: beside its folder."""
    (packages,) = (environments.ensure(ROOT / programs.LOCK).parent / "lib").glob("python*/site-packages")
    data = sweep.root.parent / "data"
    data.mkdir()
    for name, folder in (("packages", packages), ("data", data)):
        sweep.kubectl.create(*local_claim(sweep.kubectl.namespace, folder, NODE, name))
    lent = {"claimName": "packages", "readOnly": True}
    swept(
        sweep,
        "PyTorch's MNIST example, of a package",
        image=PROGRAMS_IMAGE,
        data={"id": "mnist", "at": "../data", "prepare": None, "volume": {"nfs": None, "pvc": {"claimName": "data"}}},
        env={"PYTHONPATH": "/packages", "OMP_NUM_THREADS": "1"},
        extraVolumes=[{"name": "packages", "persistentVolumeClaim": lent}],
        extraVolumeMounts=[{"name": "packages", "mountPath": "/packages", "readOnly": True}],
        resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "4Gi"}},
    )
