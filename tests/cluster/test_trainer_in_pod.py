"""The real trainer in real Pods: PyTorch, CIFAR-10, checkpoints. Torch and the data come from this machine's cache."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sweep.engines import environments
from sweep.engines.kinds.local import LocalEngine
from sweep.layout import Clone
from sweep.session import Target, open_sweep
from tests.cluster.cluster import NODE
from tests.cluster.kubernetes import until
from tests.cluster.release import local_claim
from tests.cluster.sweeps import ClusterSweep
from tests.e2e.support import ROOT

EPOCHS = 24
TINY = {"epochs": EPOCHS, "width": 4, "train_examples": 2000, "validation_examples": 500, "batch_size": 500}


@pytest.fixture(scope="session")
def quickstart() -> LocalEngine:
    """The sweep whose packages and data, as `make sweep` prepares them, are lent to the Pods."""
    subprocess.run(["make", "dataset", "SWEEP=quickstart", "ENGINE=local"], cwd=ROOT, check=True)
    engine = open_sweep(Clone.here(), "quickstart", Target("local")).engine
    assert isinstance(engine, LocalEngine)
    return engine


@pytest.fixture
def trainer(sweep: ClusterSweep, quickstart: LocalEngine) -> ClusterSweep:
    """The sweep `toy` with the real trainer in place of the toy one, and claims on what it needs."""
    assert quickstart.requirements
    assert quickstart.data_folder
    (packages,) = (environments.ensure(quickstart.requirements).parent / "lib").glob("python*/site-packages")
    for name, folder in (("packages", packages), ("data", quickstart.data_folder)):
        sweep.kubectl.create(*local_claim(sweep.kubectl.namespace, folder, NODE, name))
    for path in (sweep.root / "trainer").glob("*.py"):
        shutil.copy(path, sweep.root / "toy")
    sweep.commit("the real trainer")
    return sweep


def edit(trainer: ClusterSweep, data_id: str, *trials: dict[str, Any]) -> None:
    lent = {"claimName": "packages", "readOnly": True}
    trainer.edit(
        *trials,
        hyperparameters=TINY,
        objective={"metric": "val_accuracy", "direction": "maximize"},
        data={"id": data_id, "volume": {"nfs": None, "pvc": {"claimName": "data"}}},
        env={"PYTHONPATH": "/packages", "OMP_NUM_THREADS": "1"},
        extraVolumes=[{"name": "packages", "persistentVolumeClaim": lent}],
        extraVolumeMounts=[{"name": "packages", "mountPath": "/packages", "readOnly": True}],
        resources={"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "4Gi"}},
    )


def history(attempt: Path) -> list[dict[str, Any]]:
    """The epochs of an attempt, less a line that its end cut short."""
    lines = (attempt / "history.jsonl").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


@pytest.mark.one_helm
def test_preempted_it_goes_on_and_loses_at_most_one_epoch(trainer: ClusterSweep, quickstart: LocalEngine) -> None:
    edit(trainer, quickstart.settings.data.id, {"max_learning_rate": 0.4})
    trainer.run("submit", "toy")
    (trial,) = trainer.jobs()
    until(
        lambda: list((trainer.store / "checkpoints").glob("*/*/epoch-*.pt")),
        lambda: trainer.kubectl("describe", "jobs,pods"),
    )
    (pod,) = trainer.kubectl.items("pods")
    trainer.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    output = trainer.run("drive", "toy")
    assert "1 succeeded" in output

    folder = trainer.store / "trials" / trial[:2] / trial
    attempts = sorted((folder / "attempts").iterdir())
    statuses = [json.loads((attempt / "attempt.json").read_text())["status"] for attempt in attempts]
    assert statuses == ["preempted", "succeeded"]
    before, after = map(history, attempts)
    assert 0 < len(before) < EPOCHS
    assert [row["epoch"] for row in after] == list(range(1, EPOCHS + 1))
    kept = sum(row in after for row in before)  # the seconds of an epoch trained again are others
    assert len(before) - kept <= 1
    assert kept >= 1
    assert (
        f"train: going on after epoch {kept}, from /sweep/results/checkpoints/"
        in (attempts[1] / "output.log").read_text()
    )

    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["attempt"]) == ("succeeded", attempts[1].name)
    assert result["environment"]["torch"]
    assert result["metrics"]["val_accuracy"] == after[-1]["val_accuracy"] > 0.15  # of ten classes
    (row,) = trainer.table()
    assert (row["status"], row["attempts"], row["data"]) == ("succeeded", "2", quickstart.settings.data.id)
    assert not list((trainer.store / "checkpoints").glob("*/*/*"))  # nobody needs them any more


@pytest.mark.one_helm
def test_a_sweep_of_the_real_trainer(trainer: ClusterSweep, quickstart: LocalEngine) -> None:
    edit(
        trainer,
        quickstart.settings.data.id,
        {"max_learning_rate": 0.4, "epochs": 4},
        {"max_learning_rate": 0.1, "epochs": 4},
    )
    output = trainer.run("drive", "toy")
    assert "2 succeeded" in output
    rows = trainer.table()
    assert [row["attempts"] for row in rows] == ["1", "1"]
    assert all(0 < float(row["metric.test_accuracy"]) < 1 for row in rows)
    best = max(rows, key=lambda row: float(row["objective"]))
    assert best["id"] in (trainer.root / "values" / "toy" / "best.yaml").read_text()
