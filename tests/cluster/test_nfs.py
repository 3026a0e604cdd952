"""Data and results on NFS, as production has them: volumes of real Pods, mounted by the kubelet from a real server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.export import Export, mounted
from tests.cluster.kubernetes import Kubectl, Object, clear, create_user, is_true, until
from tests.cluster.node import Node
from tests.cluster.release import Helm
from tests.cluster.sweeps import RIGHTS, ClusterSweep
from tests.e2e.support import TestClone

WRITERS, READERS = 3000, 4000
"""Groups that may write to either folder. Pods get the first by fsGroup, the second by supplementalGroups."""
OUTAGE_SECONDS = 30

TRAINER = '''"""Tells how it finds its volumes, and trains until its gate is open: that lies in the data."""
import errno, json, os, time

x = json.load(open(os.environ["HYPERPARAMETERS_FILE"]))["x"]
trial = json.loads(os.environ["TRIAL"])["id"]
data, history = os.environ["DATA_DIR"], os.environ["HISTORY_FILE"]
store = os.path.abspath(os.environ["CHECKPOINT_DIR"] + "/../../..")


def note(what):  # a file an event: NFS clients that append to one file overwrite each other
    open(f"/events/{what} {x} {os.environ['POD_NAME']}", "x").close()


note("start")
if os.path.exists(f"{store}/trials/{trial[:2]}/{trial}/result.json"):
    note("again")
refused = "not refused"
try:
    open(f"{data}/written", "w")
except OSError as error:
    refused = errno.errorcode[error.errno]
kinds = {words[1]: words[2] for words in map(str.split, open("/proc/mounts"))}
epochs, end = [], time.monotonic() + 240
while not epochs or not (os.path.exists(f"{data}/open") or os.path.exists(f"{data}/open-{x}")):
    assert time.monotonic() < end, "nobody opened the gate"
    epochs = [*epochs[-100:], {"epoch": len(epochs) + 1, "padding": "." * 1000}]
    with open(f"{history}.new", "w") as opened:
        opened.writelines(json.dumps(row) + "\\n" for row in epochs)
    os.replace(f"{history}.new", history)  # under the eyes of whoever reads it: ESTALE for him
    time.sleep(0.03)
note("end")
own = kinds.get(f"{store}/trials/{trial[:2]}/{trial}") or kinds[store]
told = {"data_write": refused, "data_kind": kinds["/sweep/data"], "results_kind": own}
json.dump({"score": -((x - 3) ** 2), "environment": told}, open(os.environ["METRICS_FILE"], "w"))
'''

PREPARE = """
import os
path = os.environ["DATA_DIR"] + "/made"
if os.path.exists(path):
    print("already there")
else:
    with open(path, "x") as opened:
        opened.write(os.environ["DATA_ID"])
    print("made")
"""


class NfsSweep(ClusterSweep):
    """The toy sweep, less its trainer, with data and results in two folders of an export."""

    __test__ = False

    def __init__(self, clone: TestClone, export: Export, kubectl: Kubectl, user: Kubectl, helm: Path) -> None:
        self.root, self.launchers, self.kubectl, self.user = clone.root, clone.launchers, kubectl, user
        self.env = {"KUBECONFIG": str(user.kubeconfig), "HELM": str(helm)}
        self.export, self.place = export, kubectl.namespace
        (export.folder / self.place).mkdir()
        (export.folder / self.place).chmod(0o777)
        for name, group in (("results", WRITERS), ("data", READERS), ("events", WRITERS)):
            path = f"{self.place}/{name}"
            export.as_owner(f"mkdir {path}; chgrp {group} {path}; chmod 2775 {path}", [group])
        self.store, self.gate = export.folder / self.place / "results", export.folder / self.place / "data"
        (self.root / "toy" / "train.py").write_text(TRAINER)
        self.commit("another trainer")

    def edit(self, *trials: dict[str, Any], **head: Any) -> None:
        data, results = ({"volume": self.export.volume(f"{self.place}/{name}")} for name in ("data", "results"))
        security = {"fsGroup": WRITERS, "supplementalGroups": [READERS]}
        own = {"hyperparameters": {}, "security": security, "data": {"id": "toy"} | data, "results": results}
        events = {"name": "events"} | self.export.volume(f"{self.place}/events")
        own |= {"extraVolumes": [events], "extraVolumeMounts": [{"name": "events", "mountPath": "/events"}]}
        super().edit(*trials, **(own | head))

    def events(self, what: str) -> list[str]:
        """As of a TestClone, but in no order."""
        return sorted(path.name.split()[1] for path in (self.store.parent / "events").glob(f"{what} *"))

    def open_gate(self, x: int | None = None) -> None:
        self.export.as_owner(f"touch {self.place}/data/open{'' if x is None else f'-{x}'}")

    def trial(self, trial: str) -> Path:
        """The folder of a trial in the store."""
        return self.store / "trials" / trial[:2] / trial

    def attempts(self, trial: str) -> dict[str, str]:
        """Attempt -> its status."""
        listed = (json.loads(path.read_text()) for path in self.trial(trial).glob("attempts/*/attempt.json"))
        return {entry["attempt"]: entry["status"] for entry in listed}


@pytest.fixture
def pod_security() -> str:
    """Inline nfs volumes are more than `restricted` admits."""
    return "baseline"


@pytest.fixture(scope="session")
def export(real_node: Node) -> Iterator[Export]:
    with mounted(real_node.folder / "export") as folder:  # there the node's guard finds it, should the tests be killed
        yield folder


@pytest.fixture
def sweep(
    clone: TestClone,
    export: Export,
    kubectl: Kubectl,
    helm: Helm,
    tmp_path: Path,
) -> Iterator[NfsSweep]:
    """The sweep on the real node, by a user who has the rights of deploy/role.yaml and no others."""
    user = create_user(kubectl, "ann", RIGHTS, tmp_path / "ann.kubeconfig")
    opened = NfsSweep(clone, export, kubectl, user, helm.program)
    yield opened
    opened.open_gate()
    clear(kubectl)  # while the server is there to unmount from


def ended(launcher: subprocess.Popen[str], code: int = 0) -> str:
    out, err = launcher.communicate(timeout=300)
    assert launcher.returncode == code, out + err
    return out + err


def test_a_sweep_with_data_and_results_on_nfs(sweep: NfsSweep) -> None:
    sweep.edit({"x": 1}, {"x": 3}, {"x": 4})
    sweep.open_gate()
    output = sweep.run("drive", "toy")
    assert "3 succeeded" in output
    assert "cannot be read" not in output, output
    assert {row["hp.x"]: row["objective"] for row in sweep.table()} == {"1": "-4", "3": "0", "4": "-1"}
    for row in sweep.table():
        path = sweep.trial(row["id"]) / "result.json"
        environment = json.loads(path.read_text())["environment"]
        assert environment["data_write"] == "EROFS"
        assert "nfs" in environment["data_kind"]
        assert "nfs" in environment["results_kind"]
        assert (path.stat().st_uid, path.stat().st_gid) == (1000, WRITERS)
    assert (sweep.export.folder / sweep.place).stat().st_uid != 0, "root is not squashed; take another export"
    uids = sweep.uids()
    assert "3 already done" in sweep.run("drive", "toy")
    assert sweep.uids() == uids
    assert sweep.events("start") == ["1", "3", "4"]


@pytest.mark.one_helm
def test_collect_while_trials_write(sweep: NfsSweep) -> None:
    trials = [{"x": 0}, {"x": 1}]
    sweep.edit(*trials)
    sweep.run("submit", "toy")
    sweep.started(0, 1)
    for store in (sweep.root / "out" / "toy" / "store", sweep.store):
        sweep.edit(*trials, cluster={"store": str(sweep.store)} if store == sweep.store else {})
        for _ in range(3):
            output = sweep.run("collect", "toy")
            assert "cannot be read" not in output, output
            assert "set aside" not in output, output
            assert ("have changed in the result store" in output) == (store != sweep.store)
            assert {row["status"] for row in sweep.table()} == {"running"}
        if store != sweep.store:  # what the reader's Pod saw is whole
            histories = list(store.glob("trials/*/*/attempts/*/history.jsonl"))
            assert len(histories) == 2
            for path in histories:
                epochs = [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
                assert epochs
    sweep.open_gate()
    assert "2 succeeded" in sweep.run("drive", "toy")
    assert not sweep.events("again")


def twin(job: Object) -> Object:
    """Another Job of the same trial, as a controller that believes the first one's node lost would start a Pod."""
    template = job["spec"]["template"]
    labels = {name: value for name, value in template["metadata"]["labels"].items() if "helm-sweep/" in name}
    spec = {name: job["spec"][name] for name in ("backoffLimit", "completions", "parallelism", "podFailurePolicy")}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{job['metadata']['name']}-twin"},
        "spec": spec | {"template": {"metadata": {"labels": labels}, "spec": template["spec"]}},
    }


@pytest.mark.one_helm
def test_two_pods_finish_the_same_trial(sweep: NfsSweep) -> None:
    sweep.edit(*({"x": x} for x in range(3)))
    sweep.run("submit", "toy")
    of_x = sweep.ids()
    sweep.kubectl.create(*(twin(job) for job in sweep.jobs().values()))
    until(
        lambda: sweep.events("start") == ["0", "0", "1", "1", "2", "2"],
        lambda: sweep.kubectl("describe", "jobs,pods"),
    )
    sweep.open_gate()
    until(
        lambda: all(is_true(job, "Complete") for job in sweep.kubectl.items("jobs")),
        lambda: sweep.kubectl("describe", "jobs,pods"),
    )
    for trial in of_x.values():
        attempts = sweep.attempts(trial)
        assert sorted(attempts.values()) == ["duplicate", "succeeded"]
        assert attempts[json.loads((sweep.trial(trial) / "result.json").read_text())["attempt"]] == "succeeded"
        assert not list(sweep.trial(trial).glob(".result.json*"))
    assert "3 succeeded" in sweep.run("collect", "toy")
    assert {row["attempts"] for row in sweep.table()} == {"2"}
    assert sweep.events("end") == sweep.events("start")


def reader_cannot_mount(kubectl: Kubectl) -> bool:
    events = kubectl.items("events", "--field-selector", "reason=FailedMount")
    return any("-reader-" in event["involvedObject"]["name"] for event in events)


@pytest.mark.one_helm
def test_server_away_in_training_and_in_collect(sweep: NfsSweep) -> None:
    trials = [{"x": 1}, {"x": 2}]
    sweep.edit(*trials)
    sweep.run("submit", "toy")
    sweep.started(1, 2)
    sweep.open_gate(1)
    done = ("jobs", "--field-selector", "status.successful=1")
    until(lambda: sweep.kubectl.items(*done), lambda: sweep.kubectl("describe", "jobs,pods"))
    watch = sweep.start("watch", "toy")
    with sweep.export.away(OUTAGE_SECONDS):
        collect = sweep.start("collect", "toy")
        until(lambda: reader_cannot_mount(sweep.kubectl), lambda: sweep.kubectl("describe", "pods"))
        assert "1 running" in sweep.run("status", "toy")
        assert collect.poll() is None
        assert watch.poll() is None
    assert "1 succeeded, 1 running" in ended(collect)
    assert {row["hp.x"]: row["status"] for row in sweep.table()} == {"1": "succeeded", "2": "running"}

    # Where the store is mounted here, reading it waits as every hard mount does.
    sweep.edit(*trials, cluster={"store": str(sweep.store)})
    with sweep.export.away(OUTAGE_SECONDS / 3):
        collect = sweep.start("collect", "toy")
    assert "1 succeeded, 1 running" in ended(collect)

    sweep.open_gate()
    assert "2/2" in ended(watch)
    assert "2 succeeded" in sweep.run("drive", "toy")
    assert [row["attempts"] for row in sweep.table()] == ["1", "1"]
    assert sweep.events("start") == ["1", "2"]


@pytest.mark.one_helm
def test_a_wrong_export_path_is_said(sweep: NfsSweep) -> None:
    sweep.edit({"x": 1}, results={"volume": sweep.export.volume(f"{sweep.place}/nothing")})
    sweep.run("submit", "toy")
    output = sweep.run("watch", "toy", "--give-up=2", code=1)
    assert "1 of 1 trials cannot start" in output
    assert "mount: " in output
    assert f"{sweep.export.server}:{sweep.export.path}/{sweep.place}/nothing" in output
    assert f"{sweep.place}/nothing" in sweep.run("status", "toy")
    sweep.edit({"x": 1})  # mended
    sweep.open_gate()
    assert "1 succeeded" in sweep.run("drive", "toy", YES="1")


@pytest.mark.one_helm
def test_a_store_that_the_uid_may_not_write(sweep: NfsSweep) -> None:
    closed = f"{sweep.place}/closed"
    sweep.export.as_owner(f"mkdir {closed}; chmod 755 {closed}")
    sweep.edit({"x": 1}, backoffLimit=0, results={"volume": sweep.export.volume(closed)})
    sweep.run("submit", "toy")
    sweep.run("watch", "toy", code=1)
    output = sweep.run("status", "toy")
    assert "result store /sweep/results: not writable by 1000:1000 (uid:gid): " in output
    assert not sweep.events("start")


@pytest.mark.one_helm
def test_where_root_may_not_enter_the_store_it_is_mounted_whole(sweep: NfsSweep) -> None:
    closed = f"{sweep.place}/closed"
    sweep.export.as_owner(f"mkdir {closed}; chgrp {WRITERS} {closed}; chmod 2770 {closed}", [WRITERS])
    results = {"volume": sweep.export.volume(closed)}
    sweep.edit({"x": 1}, results=results)
    sweep.run("submit", "toy")
    output = sweep.run("watch", "toy", "--give-up=2", code=1)
    assert "write `results: {isolate: false}`" in output
    sweep.edit({"x": 1}, results=results | {"isolate": False})
    sweep.open_gate()
    assert "1 succeeded" in sweep.run("drive", "toy", YES="1")


@pytest.mark.one_helm
def test_the_dataset_job_fills_the_export_that_trials_only_read(sweep: NfsSweep) -> None:
    (sweep.root / "toy" / "prepare.py").write_text(PREPARE)
    sweep.commit("with a data set")
    volume = sweep.export.volume(f"{sweep.place}/data")
    sweep.edit({"x": 1}, data={"id": "toy", "volume": volume, "prepare": ["python3", "prepare.py"]})
    assert "dataset: made" in sweep.run("dataset", "toy")
    filled = sweep.export.folder / sweep.place / "data" / "made"
    assert (filled.read_text(), filled.stat().st_uid, filled.stat().st_gid) == ("toy", 1000, READERS)
    assert "dataset: already there" in sweep.run("dataset", "toy")
    sweep.open_gate()
    assert "1 succeeded" in sweep.run("drive", "toy")
