"""Names that the system relies on, wherever a person may write one: refused, naming the key and a way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweep import render
from sweep.render import container_of
from tests.chart.minimal import CHART, refusal
from tests.unit.trial_support import Bench, load, make_trial

CI_VALUES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CHART / "ci").glob("*-values.yaml"))}
EXTRA = {"name": "extra", "emptyDir": {}}

# What is rendered with every value set by a person away, so that each name in it is the chart's own.
OWN = {"env": {}, "podLabels": {}, "podAnnotations": {}, "extraVolumes": [], "extraVolumeMounts": [], "pod": {}}
OWN |= {"queue": "q", "suspend": False, "data": {"id": "d", "volume": {"pvc": {"claimName": "data"}}}}


def names_in(folder: Path) -> dict[str, set[str]]:
    """Kind -> every name that the chart renders of itself, over all its examples."""
    names: dict[str, set[str]] = {"labels": set(), "env": set(), "volumes": set(), "mounts": set(), "pod": set()}
    for stem, values in CI_VALUES.items():
        path = folder / f"{stem}.yaml"
        resources = values.get("resources", {}) | {"claims": []}
        path.write_text(json.dumps(values | OWN | {"resources": resources}))
        for job in render.render(CHART, "demo", [path]).jobs:
            template = job["spec"]["template"]
            spec, container = template["spec"], container_of(job)
            names["labels"] |= template["metadata"]["labels"].keys() | job["metadata"]["labels"].keys()
            names["env"] |= {variable["name"] for variable in container["env"]}
            names["volumes"] |= {volume["name"] for volume in spec["volumes"]}
            names["mounts"] |= {mount["mountPath"] for mount in container["volumeMounts"]}
            names["pod"] |= spec.keys()
    return names


def mounted(path: str) -> dict[str, Any]:
    return {"extraVolumes": [EXTRA], "extraVolumeMounts": [{"name": "extra", "mountPath": path}]}


def called(name: str) -> dict[str, Any]:
    return {"extraVolumes": [{"name": name, "emptyDir": {}}]}


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "podLabels": lambda name: {"podLabels": {name: "x"}},
    "podAnnotations": lambda name: {"podAnnotations": {name: "x"}},
    "env": lambda name: {"env": {name: "x"}, "nodes": 2},
    "extraVolumes": called,
    "extraVolumeMounts": mounted,
    "pod": lambda name: {"pod": {name: "x"}},
}
BY_CONTROLLERS = ["job-name", "controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid"]
FREE = {  # places in which a name looks like one of ours and is a person's own
    "podLabels": ["team", "example.org/helm-sweep", "my-app.kubernetes.io.example.org/name"],
    "podAnnotations": [
        "note",
        "kueue.x-k8s.io/podset-preferred-topology",
        "cluster-autoscaler.kubernetes.io/safe-to-evict",
    ],
    "env": ["HOME", "PATH", "LD_PRELOAD", "PYTHONPATH", "TRIALS"],
    "extraVolumes": ["result", "extra"],
    "extraVolumeMounts": ["/etc/passwd", "/data", "/tmpfs", "/sweeps", "/dev/shm2"],
    "pod": ["hostname", "schedulerName"],
}


def check(folder: Path, place: str, name: str) -> None:
    message = refusal(folder, **PLACES[place](name))
    assert message.startswith(f"{place}."), f"{place}: {name}: {message or 'not refused'}"
    assert "; " in message or "remove it" in message, f"{message}: says no way out"
    assert "\n" not in message


def test_what_the_chart_renders_of_itself_nobody_can_write_over(tmp_path: Path) -> None:
    names = names_in(tmp_path)
    assert len(names["volumes"]) == 8
    for name in sorted(names["labels"]):
        check(tmp_path, "podLabels", name)
    for name in sorted(names["env"]):
        check(tmp_path, "env", name)
    for name in sorted(names["volumes"]):
        check(tmp_path, "extraVolumes", name)
    for name in sorted(names["mounts"]):
        check(tmp_path, "extraVolumeMounts", name)
    free = {"affinity", "imagePullSecrets", "nodeSelector", "tolerations", "priorityClassName", "resourceClaims"}
    always = names["pod"] - free
    for name in sorted(always | {"hostPID", "shareProcessNamespace", "ephemeralContainers"}):
        check(tmp_path, "pod", name)


def test_what_the_runner_sets_nobody_can_write_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ended = bench.run(make_trial(["env", "-0"]), data=tmp_path, env={"SWEEP_ENGINE": "x"})
    seen = {entry.partition("=")[0] for entry in ended.out.split("\0") if entry}
    assert len(seen) > 15
    usual = load("environment").usual_environment(str(tmp_path)).keys()  # what a sweep sets itself wins
    for name in sorted(seen - usual - {"PATH", "LC_CTYPE"} | {"REPRODUCTION"}):
        check(tmp_path, "env", name)


@pytest.mark.parametrize("name", [*BY_CONTROLLERS, "kueue.x-k8s.io/queue-name", "helm-sweep/part", "helm.sh/chart"])
def test_labels_by_which_controllers_find_a_pod_are_not_to_be_set(tmp_path: Path, name: str) -> None:
    check(tmp_path, "podLabels", name)


@pytest.mark.parametrize("name", ["helm-sweep/trial", "batch.kubernetes.io/job-completion-index", "helm.sh/hook"])
def test_annotations_of_the_systems_prefixes_are_not_to_be_set(tmp_path: Path, name: str) -> None:
    check(tmp_path, "podAnnotations", name)


SPELLED = [
    "/",
    "//sweep",
    "sweep/results",
    "/sweep/",
    "/a/../sweep/runner",
    "/sweep/results/trials/ab/other",
    "/tmp/code",
]


@pytest.mark.parametrize("path", [*SPELLED, "/dev", "/dev/shm/", "/tmp/./x"])
def test_no_mount_covers_the_charts_however_it_is_spelled(tmp_path: Path, path: str) -> None:
    check(tmp_path, "extraVolumeMounts", path)


@pytest.mark.parametrize("place", FREE)
def test_names_that_are_free_stay_free(tmp_path: Path, place: str) -> None:
    for name in FREE[place]:
        assert refusal(tmp_path, **PLACES[place](name)) == ""


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "the store once more": (
        {"extraVolumeMounts": [{"name": "results", "mountPath": "/all"}]},
        "extraVolumeMounts.0.name: no volume of extraVolumes is called results",
    ),
    "two volumes of one name": ({"extraVolumes": [EXTRA, EXTRA]}, "extraVolumes.1.name: there is a volume extra"),
    "GPUs beside gpu.count": (
        {"resources": {"limits": {"nvidia.com/gpu": 4}}},
        "resources.limits.nvidia.com/gpu: GPUs are asked for by gpu.count",
    ),
    "GPUs of a trial beside its gpu": (
        {"trials": [{"x": 1, "gpu": {"count": 0}, "resources": {"requests": {"nvidia.com/gpu": 4}}}]},
        "resources.requests.nvidia.com/gpu: GPUs are asked for by gpu.count",
    ),
    "memory as a GPU": ({"gpu": {"resource": "memory"}}, "gpu.resource: memory is not an extended resource"),
    "the claim of gpu.claim": (
        {"gpu": {"claim": {"deviceClassName": "c"}}, "resources": {"claims": [{"name": "gpu"}]}},
        "resources.claims: the claim `gpu` is the one of gpu.claim",
    ),
    "a placeholder": ({"podAnnotations": {"a": "@trial.json@"}}, "values: one holds @trial."),
    "a placeholder as queue": ({"queue": "@job.name@"}, "values: one holds @trial."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_write_over_the_systems_is_refused(tmp_path: Path, case: str) -> None:
    changes, words = REFUSED[case]
    assert refusal(tmp_path, **changes).startswith(words)


STORES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "claim": ({"pvc": {"claimName": "r"}}, {"persistentVolumeClaim": {"claimName": "r"}}),
    "export": ({"nfs": {"server": "s", "path": "/e/r"}}, {"nfs": {"server": "s", "path": "/e/r/"}}),
    "folder above": ({"nfs": {"server": "s", "path": "/e/r"}}, {"nfs": {"server": "s", "path": "/e"}}),
    "folder below": ({"hostPath": {"path": "/r"}}, {"hostPath": {"path": "/r/trials/../trials/ab"}}),
}


@pytest.mark.parametrize("case", STORES)
def test_the_store_under_another_name_is_for_reading(tmp_path: Path, case: str) -> None:
    volume, extra = STORES[case]
    mount = {"name": "extra", "mountPath": "/store"}
    changes: dict[str, Any] = {"results": {"volume": volume}, "extraVolumes": [EXTRA | {"emptyDir": None} | extra]}
    message = refusal(tmp_path, **changes, extraVolumeMounts=[mount])
    assert message.startswith("extraVolumeMounts.0: extra is the result store")
    assert refusal(tmp_path, **changes, extraVolumeMounts=[mount | {"readOnly": True}]) == ""
    changes["results"]["isolate"] = False
    assert refusal(tmp_path, **changes, extraVolumeMounts=[mount]) == ""


def test_another_volume_is_not_taken_for_the_store(tmp_path: Path) -> None:
    mount = {"name": "extra", "mountPath": "/more"}
    for extra in (
        {"nfs": {"server": "other", "path": "/e"}},
        {"nfs": {"server": "s", "path": "/e/more"}},
        {"emptyDir": {}},
    ):
        results = {"volume": {"nfs": {"server": "s", "path": "/e/m"}}}
        assert (
            refusal(tmp_path, results=results, extraVolumes=[{"name": "extra"} | extra], extraVolumeMounts=[mount])
            == ""
        )
