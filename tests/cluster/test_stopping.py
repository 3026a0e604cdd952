"""A stop rule on the cluster: trials in Pods of their own end each other, with nothing between them but the store."""

from __future__ import annotations

import json

import pytest

from tests.cluster.sweeps import ClusterSweep
from tests.e2e.curves import PROGRAM, RULE, SWEEP, rows_of


@pytest.mark.one_helm
def test_the_worse_are_stopped_by_what_their_peers_left_in_the_store(sweep: ClusterSweep) -> None:
    (sweep.root / "toy" / "train.py").write_text(PROGRAM)
    sweep.commit("a program")
    whoever_is_to_be_stopped = {"command": ["python3", "train.py", "{rate}", "120"]}
    rates = [{"rate": rate} for rate in (0.9, 0.8, 0.1, 0.2)]
    sweep.edit(*rates, **(SWEEP | whoever_is_to_be_stopped), stop=RULE, hyperparameters={})
    sweep.run("drive", "toy")
    rows = rows_of(sweep.root)
    assert {rate: row["status"] for rate, row in rows.items() if rate != 0.8} == {
        0.9: "succeeded",
        0.1: "pruned",
        0.2: "pruned",
    }
    (verdict,) = sweep.store.glob(f"trials/*/{rows[0.1]['id']}/stopped-*.json")
    assert rows[0.9]["id"] in {name for name, _, _ in json.loads(verdict.read_text())["verdict"]["peers"]}
    assert "all hold" in sweep.run("replay", "toy")
    jobs = {name: job["status"] for name, job in sweep.jobs().items()}
    assert jobs[rows[0.1]["id"]]["succeeded"] == 1, "a verdict is an end, and no failure to retry"
