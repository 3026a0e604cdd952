"""The real trial runner in real Pods: kubelet, containerd and runc, in a namespace that enforces `restricted`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cluster.cluster import NODE
from tests.cluster.image import TRIAL_IMAGE
from tests.cluster.kubernetes import Kubectl, is_true, until
from tests.cluster.node import ON_REAL_NODE
from tests.cluster.release import Release

TRAINER = """
import json, os, sys
told = json.load(open(os.environ["HYPERPARAMETERS_FILE"]))
print("rate", told["rate"], "uid", os.getuid(), flush=True)
if told["rate"] < 0:
    sys.exit(64)
json.dump({"accuracy": told["rate"] / 2}, open(os.environ["METRICS_FILE"], "w"))
"""
VALUES: dict[str, Any] = {
    "command": ["python3", "train.py"],
    "code": {"source": "bundle", "files": {"train.py": TRAINER}},
    "image": TRIAL_IMAGE,
    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}},
    "sharedMemory": "16Mi",
    **ON_REAL_NODE,
}


def end_of(release: Release, trial: str) -> dict[str, Any]:
    """A trial's Job once it has ended."""

    def ended() -> dict[str, Any] | None:
        for job in release.jobs():
            if job["metadata"]["labels"]["helm-sweep/trial"] == trial and (
                is_true(job, "Complete") or is_true(job, "Failed")
            ):
                return job
        return None

    finished = until(ended, lambda: release.kubectl("describe", "jobs,pods"))
    assert finished
    return finished


def test_a_trial_runs_writes_its_result_and_is_not_run_twice(release: Release, kubectl: Kubectl, store: Path) -> None:
    (trial,) = release.install([{"rate": 0.5}], provenance={"commit": "abc"}, **VALUES).trials
    assert is_true(end_of(release, trial.id), "Complete")
    result = json.loads((store / "trials" / trial.id[:2] / trial.id / "result.json").read_text())
    assert (result["status"], result["metrics"], result["identity"]) == (
        "succeeded",
        {"accuracy": 0.25},
        trial.identity,
    )
    (attempt,) = (store / "trials" / trial.id[:2] / trial.id / "attempts").iterdir()
    record = json.loads((attempt / "attempt.json").read_text())
    (pod,) = kubectl.items("pods")
    assert (record["node"], record["pod_uid"]) == (NODE, pod["metadata"]["uid"])
    assert record["provenance"]["commit"] == "abc"
    assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "rate 0.5 uid 1000" in kubectl("logs", f"job/{trial.job}")

    release.uninstall()
    release.settle()
    release.install([{"rate": 0.5}], **VALUES)
    assert is_true(end_of(release, trial.id), "Complete")
    assert json.loads((store / "trials" / trial.id[:2] / trial.id / "result.json").read_text()) == result
    assert "rate 0.5" not in kubectl("logs", f"job/{trial.job}")


def test_bad_hyperparameters_fail_the_job_at_once(release: Release, kubectl: Kubectl, store: Path) -> None:
    (trial,) = release.install([{"rate": -1}], **VALUES).trials
    job = end_of(release, trial.id)
    assert is_true(job, "Failed")
    (failed,) = (condition for condition in job["status"]["conditions"] if condition["type"] == "Failed")
    assert failed["reason"] == "PodFailurePolicy"
    (pod,) = kubectl.items("pods")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 64
    assert not (store / "trials" / trial.id[:2] / trial.id / "result.json").exists()


PRYING = """
import json, os
trial = json.loads(os.environ["TRIAL"])
store = os.path.dirname(os.path.dirname(os.path.dirname(os.environ["CHECKPOINT_DIR"])))
seen = [f"{place}/{name}"[len(store) + 1:] for place, folders, files in os.walk(store) for name in folders + files]
own = (trial["id"], trial["lineage"])
seen = [path for path in seen if path.count("/") == 2 and path.split("/")[2] not in own]
for path in ("trials/result.json", "trials/ab/other/result.json", "checkpoints/ab/other", "reproductions"):
    try:
        os.makedirs(f"{store}/{path}")
        seen.append(f"wrote {path}")
    except OSError:
        pass
if seen:
    raise SystemExit(f"sees {seen}")
open(os.environ["CHECKPOINT_DIR"] + "/epoch-1", "w").close()
json.dump({"accuracy": 1}, open(os.environ["METRICS_FILE"], "w"))
"""


def test_a_trial_sees_and_writes_of_the_store_only_its_own(release: Release, kubectl: Kubectl, store: Path) -> None:
    code = {"source": "bundle", "files": {"train.py": PRYING}}
    others = [store / "trials" / "ab" / "abababababab" / "attempts", store / "checkpoints" / "ab" / "abababababab"]
    for folder in others:
        folder.mkdir(parents=True)
        for part in (folder, *folder.relative_to(store).parents):
            (store / part).chmod(0o777)
    (trial,) = release.install([{"rate": 0.5}], **VALUES | {"code": code}).trials
    assert is_true(end_of(release, trial.id), "Complete"), kubectl("logs", f"job/{trial.job}")
    own = store / "trials" / trial.id[:2] / trial.id
    assert json.loads((own / "result.json").read_text())["metrics"] == {"accuracy": 1}
    assert own.stat().st_uid == 1000
    assert not list((store / "checkpoints" / trial.id[:2] / trial.id).iterdir())
