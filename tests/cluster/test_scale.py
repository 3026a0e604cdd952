"""Hundreds of trials, sharded, by the verbs: paged lists, a watch that ends by itself, one table.

The nodes are kwok's, whose Pods succeed without running anything: so the test writes the results, into a store that is
mounted here (`cluster.store`), as the Pods of real nodes would.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep import render
from sweep.layout import Clone
from sweep.session import Target, open_sweep
from tests.cluster.kubernetes import Kubectl, create_user
from tests.cluster.release import ON_FAKE_NODES, Helm, bound_claim
from tests.cluster.sweeps import RIGHTS, ClusterSweep
from tests.e2e.support import TestClone
from tests.unit.stores import put_result

TRIALS = 520
"""More than a page of a LIST."""


@pytest.mark.one_helm
@pytest.mark.usefixtures("fake_nodes")
def test_a_sharded_sweep_of_many_trials(clone: TestClone, kubectl: Kubectl, helm: Helm, tmp_path: Path) -> None:
    kubectl.create(*bound_claim(kubectl.namespace))
    user = create_user(kubectl, "ann", RIGHTS, tmp_path / "ann.kubeconfig")
    store = tmp_path / "store"
    store.mkdir()
    sweep = ClusterSweep(clone, store, kubectl, user, helm.program)
    head = ON_FAKE_NODES | {"extraVolumes": [], "extraVolumeMounts": []}
    head |= {"gpu": {"count": 1}, "shards": 2, "cluster": {"store": str(store)}}
    sweep.edit(*({"x": x} for x in range(TRIALS)), **head)
    sweep.run("submit", "toy")
    assert len(sweep.jobs()) == TRIALS
    output = sweep.run("watch", "toy")
    assert f"{TRIALS}/{TRIALS}" in output
    for trial in trials(sweep):
        metrics = {"score": trial.identity["hyperparameters"]["x"]}
        put_result(store, trial, metrics=metrics, environment={"engine": "cluster", "node": "a-fake-node"})
    assert f"{TRIALS} succeeded" in sweep.run("collect", "toy")
    uids = sweep.uids()
    assert f"{TRIALS} already done" in sweep.run("drive", "toy")
    assert sweep.uids() == uids
    sweep.run("uninstall", "toy")
    assert not kubectl.items("secrets", "-l", "owner=helm")


def trials(sweep: ClusterSweep) -> list[render.Trial]:
    opened = open_sweep(Clone(sweep.root), "toy", Target("cluster", namespace=sweep.kubectl.namespace))
    return opened.rendered.trials
