"""The chart on a real control plane, with helm 3 and with helm 4: installs, edits, and what is left afterwards."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep import plan, render
from tests.cluster.kubernetes import Kubectl, Refused, until
from tests.cluster.release import CHART, ON_FAKE_NODES, SWEEP, TRIAL, Helm, HelmFailed, Release, bound_claim
from tests.cluster.tools import helm_program

CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
A, B, C, D = ({"lr": lr} for lr in (0.1, 0.2, 0.3, 0.4))


def trial_jobs(release: Release) -> dict[str, str]:
    """Trial id -> uid of its Job."""
    return {job["metadata"]["labels"][TRIAL]: job["metadata"]["uid"] for job in release.jobs()}


def pod_of(job: dict[str, Any], kubectl: Kubectl) -> dict[str, Any]:
    """The Pod that a Job would make."""
    template = job["spec"]["template"]
    about = {"generateName": "dry-run-", "namespace": kubectl.namespace, "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"]}


# ---- what the API server takes ----


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_ci_values_install_and_the_api_keeps_every_field_that_was_sent(release: Release, values: Path) -> None:
    rendered = release.install_file(values)
    kept = {job["metadata"]["name"]: job for job in release.jobs()}
    # A Job with ttlSecondsAfterFinished 0 may be gone only after it finished, and nothing runs here.
    assert set(kept) == {trial.job for trial in rendered.trials}
    for job in rendered.jobs:
        assert lost(job, kept[job["metadata"]["name"]]) == []


def lost(sent: Any, kept: Any, path: str = "") -> list[str]:
    """Paths of what was sent and is not there, or is different.

    Zeros and empty lists may be dropped, and the API makes a string of a quantity.
    """
    if isinstance(sent, dict):
        kept = kept if isinstance(kept, dict) else {}
        return [place for key, value in sent.items() for place in lost(value, kept.get(key), f"{path}.{key}")]
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        return [place for i, value in enumerate(sent) for place in lost(value, kept[i], f"{path}[{i}]")]
    if sent == kept or (not sent and kept is None) or (isinstance(sent, int) and str(sent) == kept):
        return []
    return [f"{path}: {sent!r} became {kept!r}"]


@pytest.mark.parametrize("pod_security", ["privileged"])
def test_pods_of_the_ci_values_are_admitted(helm: Helm, kubectl: Kubectl, admin: Kubectl, chart: Path) -> None:
    with cluster_objects(
        admin,
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "low"}, "value": -1},
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "nvidia"},
    ):
        for values in CI_VALUES:
            manifest = helm("template", "demo", str(chart), "--values", str(values))
            for item in render.read_manifest(manifest):
                if item["kind"] == "Job":
                    kubectl.create(pod_of(item, kubectl), dry_run=True)


@contextlib.contextmanager
def cluster_objects(admin: Kubectl, *objects: dict[str, Any]) -> Iterator[None]:
    """Objects of the whole cluster for a while; those that were there before stay."""
    created = []
    for wanted in objects:
        try:
            admin.create(wanted)
        except Refused as refused:
            if "already exists" not in str(refused):
                raise
        else:
            created.append(f"{wanted['kind']}/{wanted['metadata']['name']}")
    try:
        yield
    finally:
        for name in created:
            admin("delete", name)


def test_pods_with_a_claim_meet_pod_security_restricted_and_hostpath_does_not(
    release: Release, kubectl: Kubectl
) -> None:
    (job,) = release.install([A]).jobs
    kubectl.create(pod_of(job, kubectl), dry_run=True)
    host_path = {"volume": {"hostPath": {"path": "/srv/results"}}}
    (job,) = release.install([A], results=host_path).jobs  # a Job is taken, only its Pods are refused
    with pytest.raises(Refused, match=r'violates PodSecurity "restricted:latest": restricted volume types'):
        kubectl.create(pod_of(job, kubectl), dry_run=True)


@pytest.mark.parametrize("pod_security", ["baseline"])
def test_nfs_volumes_meet_pod_security_baseline(release: Release, kubectl: Kubectl) -> None:
    nfs = {"volume": {"nfs": {"server": "nfs.example.org", "path": "/results"}}}
    (job,) = release.install([A], results=nfs).jobs
    kubectl.create(pod_of(job, kubectl), dry_run=True)


def test_the_trial_variable_arrives_as_it_was_rendered(release: Release) -> None:
    nasty = {"text": 'a "$(POD_NAME)" $$ \\ ünïcode', "rate": 5e-05, "flag": False, "zero": 0}
    (trial,) = release.install([nasty]).trials
    (job,) = release.jobs()
    assert render.trial_of(job) == trial
    assert trial.identity["hyperparameters"] == nasty


# ---- edits ----


def test_adding_dropping_changing_and_reordering_leaves_every_other_job_as_it_was(release: Release) -> None:
    release.install([A, B, C])
    before = trial_jobs(release)
    kept = release.install([D, C, A | {"lr": 0.15}, B])  # A changed, D added, the order reversed
    after = trial_jobs(release)
    assert set(after) == {trial.id for trial in kept.trials}
    untouched = set(before) & set(after)
    assert len(untouched) == 2
    assert {trial: before[trial] for trial in untouched} == {trial: after[trial] for trial in untouched}
    kept = release.install([B])
    assert trial_jobs(release) == {kept.trials[0].id: before[kept.trials[0].id]}
    release.settle()


def test_the_same_values_again_change_nothing(release: Release, kubectl: Kubectl) -> None:
    release.install([A, B])
    before = versions(release)
    release.install([B, A])
    assert versions(release) == before
    assert kubectl.json("get", "secret", "sh.helm.release.v1.demo.v2")["metadata"]["labels"]["status"] == "deployed"


def versions(release: Release) -> dict[str, str]:
    """Job name -> generation: it grows when a spec is written."""
    about = [job["metadata"] for job in release.jobs()]
    return {metadata["name"]: f"{metadata['uid']} {metadata['generation']}" for metadata in about}


def test_provenance_touches_no_job(release: Release, kubectl: Kubectl) -> None:
    release.install([A, B], provenance={"commit": "one"})
    before = versions(release)
    release.install([A, B], provenance={"commit": "two", "author": "somebody", "round": 1, "dirty": True})
    assert versions(release) == before
    provenance = kubectl.json("get", "configmap", "demo-provenance")["data"]["provenance.json"]
    assert json.loads(provenance)["commit"] == "two"


@pytest.mark.parametrize(
    "change",
    [
        {"backoffLimit": 0},
        {"ttlSecondsAfterFinished": 3600},
        {"suspend": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_mutable_field_is_changed_on_the_living_job_and_back(release: Release, change: dict[str, Any]) -> None:
    ((field, value),) = change.items()
    release.install([A, B])
    before, uids = [job["spec"].get(field) for job in release.jobs()], release.uids()
    release.install([A, B], **change)
    assert [job["spec"].get(field) for job in release.jobs()] == [value, value]
    assert release.uids() == uids
    release.install([A, B])
    assert [job["spec"].get(field) for job in release.jobs()] == before
    assert release.uids() == uids


@pytest.mark.parametrize(
    "change",
    [
        {"resources": {"requests": {"cpu": "2"}}},
        {"tolerations": [{"key": "gpu", "operator": "Exists"}]},
        {"gpu": {"count": 2}},
        {"nodeSelector": {"gpu": "h100"}},
        {"terminationGracePeriodSeconds": 60},
        {"podLabels": {"team": "a"}},
        {"objective": {"metric": "loss", "direction": "minimize"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_immutable_field_replaces_the_jobs_and_keeps_the_trials(release: Release, change: dict[str, Any]) -> None:
    release.install([A, B])
    uids, trials = release.uids(), set(trial_jobs(release))
    release.install([A, B], **change)
    assert set(trial_jobs(release)) == trials
    assert not set(release.uids()) & set(uids)
    release.settle()
    assert len(release.jobs()) == 2


@pytest.mark.parametrize(
    "change",
    [{"image": {"repository": "pytorch/pytorch", "tag": "2.10"}}, {"command": ["python", "other.py"]}],
    ids=lambda change: next(iter(change)),
)
def test_another_image_or_command_makes_other_trials(release: Release, change: dict[str, Any]) -> None:
    release.install([A, B])
    trials = set(trial_jobs(release))
    release.install([A, B], **change)
    assert len(trial_jobs(release)) == 2
    assert not set(trial_jobs(release)) & trials


def test_a_chart_with_another_pod_failure_policy_upgrades(release: Release, tmp_path: Path) -> None:
    release.install([A, B])
    trials, uids = set(trial_jobs(release)), release.uids()
    release.chart = Path(shutil.copytree(release.chart, tmp_path / "chart"))
    helpers = release.chart / "templates" / "_helpers.tpl"
    changed = helpers.read_text().replace("[64, 65, 66, 67]", "[64, 65, 66]")
    assert changed != helpers.read_text()
    helpers.write_text(changed)
    release.install([A, B])
    assert set(trial_jobs(release)) == trials
    assert not set(release.uids()) & set(uids)


def test_other_code_replaces_the_jobs_and_its_old_configmap(release: Release, kubectl: Kubectl) -> None:
    names = []
    for text in ("print(1)", "print(2)"):
        release.install([A], code={"source": "bundle", "files": {"train.py": text}})
        held = kubectl.items("configmaps", "--selector", SWEEP)
        names.append([item["metadata"]["name"] for item in held if "files.json" in item.get("data", {})])
    assert [len(listed) for listed in names] == [1, 1]
    assert names[0] != names[1]


def test_a_retry_gives_one_trial_a_new_job_and_no_other(release: Release) -> None:
    first, second = release.install([A, B]).trials
    before = trial_jobs(release)
    release.install([A, B], retries={first.id: 1})
    after = trial_jobs(release)
    assert after[second.id] == before[second.id]
    assert after[first.id] != before[first.id]
    assert f"{first.job}-r1" in release.uids()


@pytest.mark.usefixtures("fake_nodes")
def test_an_edit_reverted_after_the_old_jobs_went_runs_again(release: Release, kubectl: Kubectl) -> None:
    kubectl.create(*bound_claim(kubectl.namespace))
    names = {trial.job for trial in release.install([A, B], **ON_FAKE_NODES).trials}
    release.wait_complete()
    release.install([A, B], podLabels={"team": "a"}, **ON_FAKE_NODES)
    release.settle()
    release.install([A, B], **ON_FAKE_NODES)
    assert set(release.uids()) == names
    release.wait_complete()


def test_an_edit_reverted_at_once_is_no_error(release: Release) -> None:
    first = release.install([A, B])
    for _ in range(3):
        release.install([A, C], podLabels={"team": "a"})
        release.install([A, B])
    assert set(release.uids()) == {trial.job for trial in first.trials}


# ---- running and leaving ----


@pytest.mark.usefixtures("fake_nodes")
def test_jobs_run_on_gpu_nodes_in_a_restricted_namespace_and_complete(release: Release, kubectl: Kubectl) -> None:
    kubectl.create(*bound_claim(kubectl.namespace))
    rendered = release.install([{"lr": rate / 100} for rate in range(1, 21)], gpu={"count": 2}, **ON_FAKE_NODES)
    jobs = release.wait_complete()
    assert {job["metadata"]["name"] for job in jobs} == {trial.job for trial in rendered.trials}
    assert all(job["status"]["succeeded"] == 1 and not job["status"].get("failed") for job in jobs)
    pods = kubectl.items("pods")
    assert len(pods) == 20
    for pod in pods:
        assert pod["spec"]["nodeName"].startswith("fake-")
        assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
        assert not any("projected" in volume for volume in pod["spec"]["volumes"]), "a Pod got a token"


@pytest.mark.usefixtures("fake_nodes")
def test_a_quota_caps_the_gpus_in_use_and_every_job_still_completes(release: Release, kubectl: Kubectl) -> None:
    kubectl.create(
        *bound_claim(kubectl.namespace),
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "gpus"},
            "spec": {"hard": {"requests.nvidia.com/gpu": "2"}},
        },
    )
    release.install([A, B, C, D], **ON_FAKE_NODES)
    release.wait_complete()


@pytest.mark.usefixtures("fake_nodes")
def test_a_finished_job_goes_after_its_time_to_live(release: Release, kubectl: Kubectl) -> None:
    kubectl.create(*bound_claim(kubectl.namespace))
    release.install([A], ttlSecondsAfterFinished=0, **ON_FAKE_NODES)
    until(lambda: not release.jobs(), lambda: kubectl("get", "jobs,pods,events", "--output=wide"))


@pytest.mark.usefixtures("fake_nodes")
def test_uninstall_leaves_nothing(release: Release, kubectl: Kubectl) -> None:
    kubectl.create(*bound_claim(kubectl.namespace))
    release.install([A, B], code={"source": "bundle", "files": {"train.py": ""}}, **ON_FAKE_NODES)
    release.wait_complete()
    release.install([A, C], code={"source": "bundle", "files": {"train.py": "#"}}, **ON_FAKE_NODES)
    assert {what.split()[0] for what in release.remains()} >= {"Job", "ConfigMap", "Secret"}
    release.uninstall()
    release.wait_gone()
    assert kubectl.items("persistentvolumeclaims")  # not of the chart: results and data stay


# ---- the two helms, one sweep ----


def test_both_helms_render_the_same_and_take_over_each_others_releases(
    kubectl: Kubectl, tmp_path: Path, chart: Path
) -> None:
    programs = [Helm(helm_program(name), kubectl) for name in ("helm3", "helm4")]
    old, new = (Release("demo", helm, kubectl, tmp_path, chart) for helm in programs)
    assert old.install([A, B]).objects == new.install([A, B]).objects
    uids = old.uids()
    for release in (old, new, old):
        kept = release.install([A, B, C])
        assert uids.items() <= release.uids().items()
        assert release.uids().keys() == {trial.job for trial in kept.trials}
        release.install([A, B])
        assert release.uids() == uids
    new.uninstall()
    new.wait_gone()


# ---- size ----


def random_trials(count: int) -> list[dict[str, Any]]:
    """Trials of six random hyperparameters, which do not compress."""
    draw = random.Random(0)
    return [
        {
            "max_learning_rate": draw.uniform(0.05, 1),
            "momentum": draw.uniform(0.8, 0.98),
            "weight_decay": draw.uniform(1e-5, 1e-3),
            "label_smoothing": draw.uniform(0, 0.2),
            "batch_size": draw.choice([64, 128, 256, 512]),
            "peak_epoch": draw.randint(2, 8),
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [1, 50])
def test_plan_tells_the_size_of_a_release_within_a_tenth(release: Release, count: int) -> None:
    rendered = release.install(random_trials(count))
    check_size(release, rendered)


def check_size(release: Release, rendered: render.Rendered) -> None:
    estimated = plan.release_bytes(rendered, release.chart, json.loads(release.values.read_text()))
    stored = release.stored_bytes()
    print(f"{len(rendered.trials)} trials: {stored:,} bytes stored, {estimated:,} told")
    assert estimated == pytest.approx(stored, rel=0.1)


def test_a_release_holds_the_chart_and_nothing_that_lies_about_in_it(release: Release, tmp_path: Path) -> None:
    release.chart = Path(shutil.copytree(release.chart, tmp_path / "chart"))
    release.install([A])
    clean = release.stored_files()
    (release.chart / "files" / "__pycache__").mkdir()
    (release.chart / "files" / "__pycache__" / "trial.cpython-311.pyc").write_bytes(b"left by a test")
    release.install([A])
    assert release.stored_files() == clean


@pytest.mark.usefixtures("fake_nodes")
def test_a_thousand_trials_install_complete_and_leave(kubectl: Kubectl, tmp_path: Path, chart: Path) -> None:
    """helm 3 installs them, helm 4 exchanges one and removes them."""
    kubectl.create(*bound_claim(kubectl.namespace))
    old, new = (
        Release("demo", Helm(helm_program(name), kubectl), kubectl, tmp_path, chart) for name in ("helm3", "helm4")
    )
    start = time.monotonic()

    def lap(what: str) -> None:
        print(f"1,000 trials: {what} after {time.monotonic() - start:.1f} s")

    try:
        rendered = old.install(random_trials(1000), **ON_FAKE_NODES)
    except HelmFailed as error:
        # helm posts all at once, and the API server closes a connection whose first frame comes later than two seconds,
        # as it can on a busy machine. The same command again finishes it, for a person too.
        if "unexpected EOF" not in str(error):
            raise
        rendered = old.install(random_trials(1000), **ON_FAKE_NODES)
    check_size(old, rendered)
    lap("installed")
    assert len(old.uids()) == 1000
    old.wait_complete(600)
    lap("complete")
    check_size(new, new.install([*random_trials(1000)[1:], A], **ON_FAKE_NODES))
    lap("one trial exchanged")
    assert len(new.uids()) == 1000
    new.uninstall()
    lap("uninstalled")
    new.wait_gone(600)
    lap("gone")
