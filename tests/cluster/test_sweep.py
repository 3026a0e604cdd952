"""Whole sweeps on a real node: submit, watch, collect, edit, retry, stop, uninstall, as a person types them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.cluster.kubernetes import until
from tests.cluster.node import ON_REAL_NODE
from tests.cluster.sweeps import ClusterSweep

# What helm does differently from one version to the next is tried on both; the rest on one.


def test_sweep_to_a_winner_and_a_second_run_starts_nothing(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": 3}, {"x": 4})
    sweep.open_gate()
    output = sweep.run("drive", "toy")
    assert "3 succeeded" in output
    assert "cannot be read" not in output, output
    rows = {row["hp.x"]: row for row in sweep.table()}
    assert {x: row["objective"] for x, row in rows.items()} == {"1": "-4", "3": "0", "4": "-1"}
    assert {row["status"] for row in rows.values()} == {"succeeded"}
    assert {row["engine"] for row in rows.values()} == {"cluster"}
    assert {row["node"] for row in rows.values()} == {"real-node"}
    assert all(row["queued_s"] and row["image_id"] for row in rows.values())
    commit = json.loads(sweep.kubectl.json("get", "configmap", "toy-provenance")["data"]["provenance.json"])["commit"]
    assert {row["commit"] for row in rows.values()} == {commit}
    uids = sweep.uids()
    assert "3 already done" in sweep.run("drive", "toy")
    assert sweep.uids() == uids
    assert sorted(sweep.events("start")) == ["1", "3", "4"]
    sweep.user("get", "jobs")  # the user's rights end here
    assert not sweep.kubectl.items("pods", "-l", "helm-sweep/part=reader")


def test_hand_edits_touch_only_what_they_mean(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": 2}, {"x": 5})
    sweep.run("submit", "toy")
    sweep.started(1, 2, 5)
    before, of_x = sweep.uids(), sweep.ids()

    # Dropped, added, reordered; what is mutable on a Job changes in place.
    sweep.edit({"x": 2}, {"x": 7}, {"x": 1}, backoffLimit=3)
    output = sweep.run("plan", "toy")
    assert f"1 no longer listed: its Job would be removed, its result stays  [{of_x[5]}]" in output
    refused = sweep.run("submit", "toy", code=2)
    assert f"this ends the Pods of 1 running trial: {of_x[5]}; say YES=1 to do it" in refused
    assert sweep.uids() == before
    sweep.run("submit", "toy", "--yes")
    after, of_x = sweep.uids(), sweep.ids()
    assert after.keys() == {of_x[1], of_x[2], of_x[7]}
    assert {trial: after[trial] for trial in (of_x[1], of_x[2])} == {
        trial: before[trial] for trial in (of_x[1], of_x[2])
    }
    assert {job["spec"]["backoffLimit"] for job in sweep.jobs().values()} == {3}

    # What Kubernetes cannot change on a Job replaces it; trials keep their id.
    sweep.edit({"x": 1}, {"x": 2}, tolerations=[*ON_REAL_NODE["tolerations"], {"key": "spot", "operator": "Exists"}])
    assert "2 Job replaced, trial kept" in sweep.run("plan", "toy")
    sweep.run("submit", "toy", "--yes")
    assert sweep.ids() == {1: of_x[1], 2: of_x[2]}
    assert not set(sweep.uids().values()) & set(after.values())
    sweep.open_gate()
    sweep.run("drive", "toy")
    assert not sweep.events("again")


def test_an_edit_reverted_at_once_finishes(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": 2})
    sweep.run("submit", "toy")
    sweep.started(1, 2)
    sweep.edit({"x": 1})
    sweep.run("submit", "toy", "--yes")
    sweep.edit({"x": 1}, {"x": 2})  # the Job of 2 comes back under its name while its Pod still ends
    sweep.run("submit", "toy")
    sweep.open_gate()
    assert "2 succeeded" in sweep.run("drive", "toy")


def test_stop_and_resume(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": 2})
    sweep.run("submit", "toy")
    sweep.started(1, 2)
    assert "2 Jobs suspended; `make resume SWEEP=toy` lets them go on" in sweep.run("stop", "toy")
    until(lambda: not sweep.kubectl.items("pods"), lambda: sweep.kubectl("describe", "pods"))
    assert "suspended" in sweep.run("status", "toy")
    sweep.open_gate()
    assert "2 Jobs resumed" in sweep.run("resume", "toy")
    assert "2 succeeded" in sweep.run("drive", "toy")


def test_retry_gives_new_jobs_to_exactly_the_failed(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": -1}, backoffLimit=0)
    sweep.open_gate()
    output = sweep.run("drive", "toy", code=1)
    before, of_x = sweep.jobs(), sweep.ids()
    assert f"1 of 2 trials failed, the first {of_x[-1]}" in output
    assert "must not be negative" in output
    rows = {row["hp.x"]: row for row in sweep.table()}
    assert (rows["-1"]["status"], rows["1"]["status"]) == ("failed", "succeeded")
    assert "must not be negative" in rows["-1"]["reason"]
    assert "must not be negative" in sweep.run("logs", "toy", of_x[-1])
    sweep.run("retry", "toy")
    assert "toy: retry" in sweep.git("log", "-1", "--format=%s")
    sweep.run("drive", "toy", code=1)
    after = sweep.jobs()
    assert after[of_x[1]]["metadata"]["uid"] == before[of_x[1]]["metadata"]["uid"]
    assert after[of_x[-1]]["metadata"]["name"] == before[of_x[-1]]["metadata"]["name"] + "-r1"
    rows = {row["hp.x"]: row for row in sweep.table()}
    assert rows["-1"]["attempts"] == "2"  # the first one's evidence was kept


@pytest.mark.one_helm
def test_first_trials_that_fail_alike_hold_back_the_rest_until_it_is_resumed(sweep: ClusterSweep) -> None:
    waiting = {"x": 2, "resources": {"requests": {"cpu": "500"}}}  # for a node that there is not
    sweep.edit({"x": -1}, {"x": -2}, {"x": -3}, waiting)
    output = sweep.run("drive", "toy", code=1)
    of_x = sweep.ids()
    (line,) = [line for line in output.splitlines() if "held back" in line]
    assert "3 of 4 trials failed alike at once, and 1 is held back: exit 1: x: must not be negative; see" in line
    assert line.endswith("`make resume SWEEP=toy` and `make sweep SWEEP=toy` go on (`failFast: 0` lets all run)")
    assert held(sweep) > {of_x[2]}, "these are not tried again"
    assert {row["status"] for row in sweep.table()} == {"pending"}
    sweep.run("resume", "toy")
    assert not held(sweep)
    sweep.open_gate()
    sweep.edit({"x": 2})
    assert "1 succeeded" in sweep.run("drive", "toy", "--yes")


def held(sweep: ClusterSweep) -> set[str]:
    """Trials whose Jobs are suspended."""
    return {trial for trial, job in sweep.jobs().items() if job["spec"].get("suspend")}


def test_uninstall_leaves_nothing_but_results_and_the_next_install_trains_nothing(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": 3})
    sweep.run("submit", "toy")
    sweep.started(1, 3)
    sweep.open_gate(1)
    until(lambda: "1" in sweep.events("end"), lambda: sweep.kubectl("describe", "jobs,pods"))
    refused = sweep.run("uninstall", "toy", code=2)
    assert "this ends 1 running trial; say YES=1" in refused
    sweep.run("uninstall", "toy", "--yes")
    assert {row["hp.x"]: row["status"] for row in sweep.table()}["1"] == "succeeded"
    kinds = "jobs,pods,configmaps,secrets,resourceclaimtemplates"
    until(lambda: ours(sweep, kinds) == [], lambda: ours(sweep, kinds))
    sweep.open_gate()
    assert "2 succeeded" in sweep.run("drive", "toy")
    assert sorted(sweep.events("start")) == ["1", "3", "3"]
    assert not sweep.events("again")


def ours(sweep: ClusterSweep, kinds: str) -> list[str]:
    """What lies in the namespace beside what Kubernetes, and the test, put there."""
    given = {"kube-root-ca.crt"}
    return [item["metadata"]["name"] for item in sweep.kubectl.items(kinds) if item["metadata"]["name"] not in given]


def test_a_commit_that_head_does_not_contain_is_not_overwritten(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1})
    base = sweep.git("rev-parse", "HEAD").strip()
    theirs = sweep.commit("theirs")
    sweep.run("submit", "toy")
    sweep.git("reset", "--quiet", "--hard", base)
    sweep.commit("ours")
    refused = sweep.run("submit", "toy", code=2)
    assert f"runs commit {theirs[:12]} of t <t@t>, which HEAD does not contain; merge it, or submit over it" in refused
    sweep.run("submit", "toy", "--takeover")
    record = json.loads(sweep.kubectl.json("get", "configmap", "toy-provenance")["data"]["provenance.json"])
    assert record["commit"] == sweep.git("rev-parse", "HEAD").strip()


def test_what_the_api_refuses_changes_nothing(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, podLabels={"team": "not a label!"})
    refused = sweep.run("submit", "toy", code=2)
    assert "the API refuses it" in refused
    assert "not a label!" in refused
    assert ours(sweep, "jobs,configmaps,secrets") == []


def test_nfs_in_a_restricted_namespace_is_refused_in_one_line(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, results={"volume": {"nfs": {"server": "nfs.example.org", "path": "/results"}}})
    refused = sweep.run("submit", "toy", code=2)
    (line,) = [line for line in refused.splitlines() if line.startswith("error:")]
    assert "Pod Security does not admit these Pods" in line
    assert "nfs" in line
    assert ours(sweep, "jobs,configmaps,secrets") == []


SPACE = """
objective: {metric: score, direction: maximize}
sampler: {name: tpe, rounds: 2, per_round: 2, seed: 0}
hyperparameters: {gate: /gate}
space: {x: {type: int, low: 0, high: 9}}
"""


def test_a_round_goes_ahead_while_its_straggler_still_trains(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1})
    folder = sweep.root / "values" / "toy"
    (folder / "space.yaml").write_text(SPACE)
    head = (folder / "values.yaml").read_text().partition("trials:")[0]
    (folder / "values.yaml").write_text(f"{head}trials:\n  # expanded from space.yaml: not yet\n  # end\n")
    sweep.run("expand", "toy")
    straggler, quick = (json.loads(line.strip("- "))["x"] for line in block(folder / "values.yaml"))
    sweep.open_gate(quick)
    launcher = sweep.start("drive", "toy", "--quorum", "0.5")
    until(lambda: "round 2 of 2" in (folder / "values.yaml").read_text(), lambda: sweep.kubectl("describe", "pods"))
    # The next round waits for no start of the straggler, whose Pod may well come up after it.
    until(lambda: str(straggler) in sweep.events("start"), lambda: sweep.kubectl("describe", "pods"))
    assert str(straggler) not in sweep.events("end")
    sweep.open_gate()
    out, err = launcher.communicate(timeout=300)
    assert launcher.returncode == 0, out + err
    assert {row["status"] for row in sweep.table()} == {"succeeded"}
    assert len(sweep.table()) == 4
    assert len(sweep.events("start")) == 4


def block(values: Path) -> list[str]:
    """The lines of the trials in a values file, each JSON after its dash."""
    return [line.strip() for line in values.read_text().splitlines() if line.strip().startswith("- {")]


def test_a_trial_is_reproduced_from_its_id_after_its_sweep_has_gone(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": 4})
    sweep.open_gate()
    sweep.run("drive", "toy")
    trial = sweep.ids()[4]
    sweep.run("uninstall", "toy")
    sweep.git("rm", "-r", "--quiet", "values/toy")
    sweep.commit("the sweep is history")
    assert f"{trial}: equal" in sweep.run("reproduce", trial)
    (folder,) = (sweep.store / "reproductions" / trial).iterdir()
    (path,) = folder.glob("trials/*/*/result.json")
    assert json.loads(path.read_text())["metrics"] == {"score": -1}
    assert sorted(sweep.events("start")) == ["1", "4", "4"]
    assert not sweep.kubectl.items("jobs")


def test_shards_share_the_trials_and_the_table(sweep: ClusterSweep) -> None:
    sweep.edit(*({"x": x} for x in range(8)), shards=3)
    sweep.open_gate()
    assert "8 succeeded" in sweep.run("drive", "toy")
    releases = {secret["metadata"]["labels"]["name"] for secret in sweep.kubectl.items("secrets", "-l", "owner=helm")}
    assert releases <= {"toy-0", "toy-1", "toy-2"}
    assert len(releases) > 1
    for job in sweep.jobs().values():
        shard = int(job["metadata"]["labels"]["helm-sweep/trial"][:2], 16) % 3
        assert job["metadata"]["labels"]["app.kubernetes.io/instance"] == f"toy-{shard}"
    sweep.edit(*({"x": x} for x in range(8)), shards=2)
    assert "shards: was changed" in sweep.run("submit", "toy", code=2)
    sweep.run("uninstall", "toy")
    sweep.run("drive", "toy")
    assert len(sweep.events("start")) == 8


PREPARE = """
import hashlib, os, pathlib, sys
folder = pathlib.Path(os.environ["DATA_DIR"])
if (folder / "data.bin").exists():
    print("already there")
    sys.exit(0)
words = sys.argv[1:]
data = pathlib.Path(words[2], "data.bin").read_bytes() if words[:2] == ["--source", "folder"] else b"downloaded"
if "sha256:" + hashlib.sha256(data).hexdigest() != os.environ["DATA_ID"]:
    sys.exit("data.bin: is not what DATA_ID says")
(folder / "data.bin.tmp").write_bytes(data)
(folder / "data.bin.tmp").rename(folder / "data.bin")
print("made", len(data), "bytes")
"""


@pytest.mark.one_helm
@pytest.mark.parametrize("upload", [False, True])
def test_dataset_is_filled_by_a_job_and_left_alone_when_it_is_there(
    sweep: ClusterSweep, tmp_path: Path, upload: bool
) -> None:
    """Downloaded in the cluster, or sent from here where the cluster has no way out; 20 MB of it."""
    data = os.urandom(20_000_000) if upload else b"downloaded"
    (sweep.root / "toy" / "prepare.py").write_text(PREPARE)
    sweep.commit("with a data set")
    about = {
        "id": f"sha256:{hashlib.sha256(data).hexdigest()}",
        "volume": {"nfs": None, "pvc": {"claimName": "results"}},
        "prepare": ["python3", "prepare.py"],
    }
    sweep.edit({"x": 1}, data=about)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "data.bin").write_bytes(data)
    words = ["--upload", str(tmp_path / "here")] if upload else []
    assert f"dataset: made {len(data)} bytes" in sweep.run("dataset", "toy", *words)
    assert (sweep.store / "data.bin").read_bytes() == data
    assert "dataset: already there" in sweep.run("dataset", "toy")
    (sweep.store / "data.bin").unlink()
    sweep.edit({"x": 1}, data=about | {"id": "sha256:" + "0" * 64})
    assert "data.bin: is not what DATA_ID says" in sweep.run("dataset", "toy", code=1)
    until(lambda: ours(sweep, "jobs,pods,configmaps,secrets") == [], lambda: sweep.kubectl("get", "all"))


LEAVES = """
import json, os
x = json.load(open(os.environ["HYPERPARAMETERS_FILE"]))["x"]
open(os.environ["OUTPUT_DIR"] + "/model", "wb").write(os.urandom(12_000_000 if x == 3 else 10))
json.dump({"score": x}, open(os.environ["METRICS_FILE"], "w"))
"""


@pytest.mark.one_helm
def test_what_the_winner_left_comes_here_through_a_pod_and_the_rest_goes(sweep: ClusterSweep, tmp_path: Path) -> None:
    """More than a kubelet keeps of a log; and goes on where it was broken off."""
    sweep.edit({"x": 1}, {"x": 3}, command=["python3", "-c", LEAVES])
    sweep.run("drive", "toy")
    (left,) = sweep.store.glob("trials/*/*/attempts/*/outputs/model")
    data = left.read_bytes()
    assert len(data) == 12_000_000
    to = tmp_path / "to"
    to.mkdir()
    (to / "model.part").write_bytes(data[:5_000_000])
    assert f"1 file copied to {to}" in sweep.run("fetch", "toy", "best", "--to", str(to))
    assert (to / "model").read_bytes() == data
    assert "its outputs were removed" in sweep.run("fetch", "toy", sweep.ids()[1], code=2)
    assert "reaching the result store" not in sweep.run("drive", "toy"), "once is enough"
    assert not sweep.kubectl.items("pods", "-l", "helm-sweep/part=outputs")


@pytest.mark.one_helm
def test_doctor_says_what_the_namespace_lacks(sweep: ClusterSweep) -> None:
    """With the rights of deploy/role.yaml, which show neither nodes nor the namespace; and with an administrator's."""
    base = sweep.root / "values" / "base.yaml"
    text = base.read_text()
    results = "results:\n  volume: {nfs: {server: nfs.example.org, path: /export/results}}\n"
    assert results in text
    base.write_text(text.replace(results, "results: {volume: {pvc: {claimName: results}}}\n"))
    output = sweep.run("doctor")
    assert "ok       cluster    Kubernetes v1." in output
    assert "ok       rights     all of deploy/role.yaml" in output
    assert "unknown  gpus       your rights do not show it (HTTP 403)" in output
    admin = {"KUBECONFIG": str(sweep.kubectl.kubeconfig)}
    namespace = ("--namespace", sweep.kubectl.namespace)
    output = sweep.run("doctor", *namespace, code=2, **admin)
    assert "results    claim results is " in output or "results    claim results, " in output
    assert "missing  gpus       no node has nvidia.com/gpu" in output or "ok       gpus" in output
    base.write_text(base.read_text().replace("claimName: results", "claimName: nothing"))
    assert "missing  results    there is no claim nothing" in sweep.run("doctor", *namespace, code=2, **admin)
