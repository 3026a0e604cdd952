"""doctor: what is there, what is missing with what to do, and what one's rights do not show."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import doctor
from sweep import readiness
from sweep.engines.cluster import Refused
from sweep.errors import Unreachable
from sweep.layout import Clone
from sweep.readiness import MISSING, OK, UNKNOWN, Finding
from sweep.settings import Data, Gpu, Image, Results, Settings, Volume

CLAIM = {"spec": {"accessModes": ["ReadWriteMany"]}, "status": {"phase": "Bound"}}
NODE = {"status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": "4"}}}
OTHER_NODE = {"status": {"allocatable": {"amd.com/gpu": "1"}}}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
NOWHERE = Image("127.0.0.1:1/team/trainer", "1")
"""In a registry that does not answer."""
GIVEN = Settings(results=Results(Volume(claim="results")), gpu=Gpu(1), image=NOWHERE)


@dataclass
class Api:
    """A cluster by what it answers: a fake of engines.cluster.Cluster."""

    namespace: str = "ml"
    number: str = "v1.37.2"
    ahead: float = 0.0
    refused: set[tuple[str, str]] = field(default_factory=set)
    """(verb, resource) that one has no right to."""
    objects: dict[str, Any] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    """Kinds that one may not look at."""
    away: bool = False

    def version(self) -> str:
        if self.away:
            raise Unreachable("cluster: no answer from https://10.0.0.1; is it up?")
        return self.number

    def now(self) -> float:
        return time.time() + self.ahead

    def create(self, item: dict[str, Any]) -> Any:
        assert item["kind"] == "SelfSubjectAccessReview"
        asked = item["spec"]["resourceAttributes"]
        assert (asked["group"] == "batch") == (asked["resource"] == "jobs")
        resource = "/".join(filter(None, (asked["resource"], asked["subresource"])))
        return {"status": {"allowed": (asked["verb"], resource) not in self.refused}}

    def get(self, kind: str, name: str) -> Any:
        self._look(kind)
        return self.objects.get(f"{kind}/{name}")

    def list(self, kind: str) -> Any:
        self._look(kind)
        return self.objects.get(kind, [])

    def _look(self, kind: str) -> None:
        if kind in self.hidden:
            raise Refused(403, "forbidden")


def whole(**changes: Any) -> Api:
    """A cluster with all that is needed, but for the changes."""
    there = {"PersistentVolumeClaim/results": CLAIM, "Namespace/ml": {"metadata": {}}, "Node": [NODE, NODE]}
    return Api(**{"objects": there} | changes)


def looked(api: Any, given: Settings = GIVEN) -> dict[str, Finding]:
    return {finding.what: finding for finding in readiness.of_cluster(api, given)}


def test_a_cluster_that_has_everything() -> None:
    findings = looked(whole())
    assert {what for what, finding in findings.items() if finding.state == MISSING} == set()
    assert findings["gpus"].text == "8 nvidia.com/gpu on 2 nodes"
    assert findings["results"].text == "claim results, Bound, ReadWriteMany"


@pytest.mark.parametrize(
    ("changes", "given", "what", "text"),
    [
        ({"number": "v1.30.9"}, GIVEN, "cluster", "1.31 or newer is needed"),
        ({"ahead": 300}, GIVEN, "clock", "300 s off the cluster's"),
        ({"ahead": -300}, GIVEN, "clock", "300 s off the cluster's"),
        (
            {"refused": {("create", "jobs"), ("get", "pods/log")}},
            GIVEN,
            "rights",
            "create jobs, get pods/log; `make",
        ),
        ({"objects": {}}, GIVEN, "results", "there is no claim results"),
        ({}, Settings(), "results", "no volume; set `results: {volume: …}`"),
        (
            {"objects": {"PersistentVolumeClaim/results": CLAIM | {"spec": {"accessModes": ["ReadWriteOnce"]}}}},
            GIVEN,
            "results",
            "ReadWriteOnce: trials on several nodes need ReadWriteMany",
        ),
        ({"objects": {}}, GIVEN, "namespace", "there is no namespace ml"),
        (
            {
                "objects": {
                    "Namespace/ml": {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
                }
            },
            Settings(results=Results(Volume(host_path="/x"))),
            "namespace",
            "admits claims alone",
        ),
        (
            {"objects": {"Node": [OTHER_NODE]}},
            GIVEN,
            "gpus",
            "nodes have amd.com/gpu",
        ),
        ({"away": True}, GIVEN, "cluster", "no answer"),
        ({}, Settings(), "image", "no image; set `image: {repository: …, tag: …}`"),
        (
            {},
            Settings(image=replace(NOWHERE, pullSecrets=("login",))),
            "image",
            "there is no Secret login (image.pullSecrets); `kubectl -n ml create secret docker-registry login",
        ),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(
    changes: dict[str, Any], given: Settings, what: str, text: str
) -> None:
    finding = looked(whole(**changes), given)[what]
    assert finding.state == MISSING
    assert text in finding.text


def test_what_ones_rights_do_not_show_is_unknown() -> None:
    findings = looked(whole(hidden=("Node", "Namespace", "PersistentVolumeClaim")))
    assert {what for what, finding in findings.items() if finding.state == UNKNOWN} == {
        *("gpus", "namespace", "results", "image", "kind"),
    }


def test_a_sweep_without_gpus_or_with_nfs_lacks_nothing() -> None:
    given = Settings(results=Results(Volume()), data=Data(volume=Volume(claim="results")), gpu=Gpu(0))
    objects = {"PersistentVolumeClaim/results": CLAIM, "Namespace/ml": {"metadata": {}}}
    states = {what: finding.state for what, finding in looked(whole(objects=objects), given).items()}
    assert states["gpus"] == states["data"] == states["namespace"] == OK
    assert states["results"] == UNKNOWN


def test_every_right_of_the_role_is_asked_for() -> None:
    rule = {"apiGroups": ["", "batch"], "resources": ["a", "b/c"], "verbs": ["get", "list"]}
    assert set(readiness.needed([rule])) == set(product(rule["verbs"], rule["resources"], rule["apiGroups"]))


def test_this_machine_is_told_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HELM", str(tmp_path / "no-helm"))
    monkeypatch.setattr("sys.argv", ["doctor"])
    assert doctor.main() == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["python", "git", "helm", "gpu", "cluster"]
    assert lines[2].startswith("missing  helm")
    assert lines[4].startswith("unknown  cluster")
    assert Clone.here().base.exists()
