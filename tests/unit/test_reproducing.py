"""Reproducing on a cluster, against an API that is made up; the local engine is in tests/e2e/test_trace.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.audit import reproducing
from sweep.engines import once, states
from sweep.engines.engine import Target
from sweep.engines.kinds.cluster import ClusterEngine
from sweep.errors import BadInput, TrialsFailed
from sweep.jobs import JobState
from sweep.layout import Clone
from sweep.render import Object, Rendered, render, trial_of
from sweep.settings import Settings
from tests.unit.stores import result, trial

ONE = trial()
ABOUT: Object = {"labels": {"app.kubernetes.io/instance": "s"}}


def job_of(name: str = ONE.job, claim: str = "") -> Object:
    record = {name: getattr(ONE, name) for name in ("id", "lineage", "identity", "objective", "limit_seconds")}
    mounts = [{"name": "results", "mountPath": "/sweep/results"}]
    env = [{"name": "TRIAL", "value": json.dumps(record)}]
    container = {"args": ["--gpus=1"], "env": env, "volumeMounts": mounts}
    volumes = [{"name": "runner", "configMap": {"name": "s-runner"}}, {"name": "tmp", "emptyDir": {}}]
    spec: Object = {"containers": [container], "volumes": volumes}
    if claim:
        spec["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": claim}]
    return {"kind": "Job", "metadata": {"name": name}, "spec": {"template": {"spec": spec}}}


def map_of(name: str, **data: str) -> Object:
    return {"kind": "ConfigMap", "metadata": {"name": name} | ABOUT, "data": data}


RUNNER = map_of("s-runner", **{"trial.py": 'os.environ.get("REPRODUCTION")'})


class Session:
    """What is used of one."""

    name = "s"

    def __init__(self, *objects: Object) -> None:
        self.rendered = Rendered([*objects], [trial_of(item) for item in objects if item["kind"] == "Job"])


class Api:
    """A namespace that notes what is created and deleted."""

    namespace = "ns"

    def __init__(self, *there: str) -> None:
        self.there = {name: {} for name in there}
        self.created: list[Object] = []
        self.deleted: list[str] = []

    def get(self, kind: str, name: str) -> Object | None:
        del kind
        return self.there.get(name)

    def create(self, item: Object) -> Object:
        self.there[item["metadata"]["name"]] = item
        self.created.append(item)
        return item

    def list(self, *_: str) -> list[Object]:
        return []

    def delete(self, kind: str, name: str) -> None:
        self.deleted.append(f"{kind} {name}")


def state(condition: str, **more: Any) -> JobState:
    return JobState(f"s-{ONE.id}-p7", ONE.id, condition, **more)


def run(monkeypatch: pytest.MonkeyPatch, api: Api, *seen: JobState) -> tuple[dict[str, Any], list[str]]:
    session: Any = Session(RUNNER, job_of())
    engine = ClusterEngine(Clone.here().sweep("s"), Settings(), Target())
    monkeypatch.setattr(ClusterEngine, "cluster", api)
    monkeypatch.setattr(once, "FIRST_DELAY", 0.0)
    objects = reproducing.again(session, ONE.id, 7)
    looks = iter(seen)
    monkeypatch.setattr(states, "explained", lambda *_: {objects.trials[0].job: next(looks)})
    messages: list[str] = []
    result_ = engine.run_once(session, objects, 7, messages.append)
    return result_, messages


def test_the_job_is_the_same_but_for_its_name_and_one_variable() -> None:
    old = job_of(claim="s-gpu")
    other = replace(ONE, id="feedfeedfeed")
    claim = {"kind": "ResourceClaimTemplate", "metadata": {"name": "s-gpu"} | ABOUT}
    session = Session(RUNNER, map_of("s-code-of-others"), claim, old)
    again = reproducing.again(session, ONE.id, 7)  # type: ignore[arg-type]
    (job,) = again.jobs
    assert [item["metadata"]["name"] for item in again.objects] == ["s-runner", "s-gpu", f"s-{ONE.id}-p7"]
    assert job["spec"]["template"]["spec"]["containers"][0]["env"].pop() == {"name": "REPRODUCTION", "value": "7"}
    job["metadata"]["name"] = old["metadata"]["name"]
    assert json.dumps(job) == json.dumps(old)
    with pytest.raises(BadInput, match="its commit renders no such trial"):
        reproducing.again(session, other.id, 7)  # type: ignore[arg-type]


def test_a_job_that_mounts_its_folders_alone_gets_that_of_the_reproduction(tmp_path: Path) -> None:
    values = {
        "sweep": "s",
        "objective": {"metric": "m", "direction": "maximize"},
        "command": ["true"],
        "image": {"repository": "r", "tag": "t"},
        "results": {"volume": {"pvc": {"claimName": "r"}}},
        "trials": [{"x": 1}],
    }
    (tmp_path / "values.yaml").write_text(json.dumps(values))
    manifest = render(Clone.here().chart, "s", [tmp_path / "values.yaml"])
    session, trial = Session(), manifest.trials[0].id
    session.rendered = manifest
    spec = reproducing.again(session, trial, 7).jobs[0]["spec"]["template"]["spec"]  # type: ignore[arg-type]
    own = f"reproductions/{trial}/7"
    (mount,) = (mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "results")
    assert mount == {"name": "results", "mountPath": f"/sweep/results/{own}", "subPath": own}
    assert spec["initContainers"][0]["args"] == ["--results=/sweep/results", "--scratch=/tmp", f"--make={own}"]


def test_a_runner_that_would_find_the_old_result_is_refused() -> None:
    session = Session(map_of("s-runner", **{"trial.py": "import os"}), job_of())
    with pytest.raises(BadInput, match="older than reproductions"):
        reproducing.again(session, ONE.id, 7)  # type: ignore[arg-type]


def test_a_result_comes_from_the_last_words_and_the_job_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    api, expected = Api(), result(ONE)
    waits = (state("Pending", cause="queued", reason="queued: no GPU"),) * 2
    result_, messages = run(monkeypatch, api, *waits, state("Running"), state("Complete", message=json.dumps(expected)))
    assert result_ == expected
    assert messages == [
        f"{ONE.id}: {what}" for what in (f"Job s-{ONE.id}-p7 in namespace ns", "queued: no GPU", "running")
    ]
    runner, job = api.created
    assert runner["metadata"]["annotations"]["meta.helm.sh/release-name"] == "s", "so that helm takes it back"
    assert "annotations" not in RUNNER["metadata"]
    assert job["metadata"]["name"] == f"s-{ONE.id}-p7"
    assert api.deleted == [f"Job s-{ONE.id}-p7"]


def test_what_is_there_is_not_created_again(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api("s-runner")
    run(monkeypatch, api, state("Complete", message=json.dumps(result(ONE))))
    assert [item["kind"] for item in api.created] == ["Job"]


@pytest.mark.parametrize(
    ("seen", "error", "message"),
    [
        (state("Failed", reason="OOM: killed"), TrialsFailed, "failed this time: OOM: killed"),
        (state("Pending", cause="stuck"), TrialsFailed, "has no Pod for a minute"),
        (state("Complete", message="too long"), BadInput, f"reproductions/{ONE.id}/7"),
        (state("Complete", message=json.dumps(result(ONE, id="0123456789ab"))), BadInput, "too long"),
    ],
)
def test_every_other_end_is_one_line_and_the_job_stays(
    monkeypatch: pytest.MonkeyPatch, seen: JobState, error: type[Exception], message: str
) -> None:
    api = Api()
    with pytest.raises(error, match=message):
        run(monkeypatch, api, seen)
    assert api.deleted == []
