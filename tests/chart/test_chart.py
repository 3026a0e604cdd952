"""The chart as rendered by a real helm ($HELM, or the one in .venv): what it makes, and what it refuses."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep import helm, render
from sweep.engines import release
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.render import container_of, trial_json
from tests.chart.minimal import VALUES as MINIMAL
from tests.chart.minimal import refusal
from tests.unit.trial_support import load

CHART = Clone.here().chart
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))

GIT = {
    "source": "git",
    "url": "git://git.example.org/r.git",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "tree": "89abcdef0123456789abcdef0123456789abcdef",
    "path": "trainer",
}


def with_values(**changes: Any) -> dict[str, Any]:
    """MINIMAL with top-level values replaced."""
    return copy.deepcopy(MINIMAL) | changes


def spelled(values: dict[str, Any]) -> str:
    """JSON that YAML 1.1 reads too: no surrogate pairs, and what it takes for controls or line breaks escaped."""
    text = json.dumps(values, ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def rendered(folder: Path, values: dict[str, Any], release: str = "demo") -> render.Rendered:
    path = folder / "values.yaml"
    path.write_text(spelled(values))
    return render.render(CHART, release, [path])


def only_job(folder: Path, **changes: Any) -> dict[str, Any]:
    (job,) = rendered(folder, with_values(**changes)).jobs
    return job


def pod_spec(job: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def ids(folder: Path, **changes: Any) -> list[str]:
    return [trial.id for trial in rendered(folder, with_values(**changes)).trials]


# ---- what helm and the API think of it ----


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_lint_is_clean(values: Path) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART), "-f", str(values))


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_every_object_passes_the_api_schema_strictly(values: Path) -> None:
    objects = list(yaml.safe_load_all(helm.template(CHART, "demo", [values])))
    assert {item["kind"] for item in objects} >= {"Job", "ConfigMap"}
    for item in objects:
        kubernetes_validate.validate(item, "1.31", strict=True)


def test_scripts_read_the_same_objects_as_any_yaml_reader() -> None:
    for values in CI_VALUES:
        manifest = helm.template(CHART, "demo", [values])
        assert list(render.read_manifest(manifest)) == list(yaml.safe_load_all(manifest))


def test_everything_values_set_every_key_of_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())
    # reader and dataset render what a release never holds.
    assert set(schema["properties"]) - {"global", "reader", "dataset"} == set(values)


def test_schema_is_closed_and_described_at_every_level() -> None:
    def check(schema: dict[str, Any], path: str) -> None:
        if "$ref" in schema:
            return
        if not path.endswith("[]"):
            assert schema.get("description"), f"{path} has no description"
        if "properties" in schema or "patternProperties" in schema:
            others = schema["additionalProperties"]
            assert others is False or {"description", "$ref"} & set(others), path
        for key, part in (schema.get("properties", {}) | schema.get("patternProperties", {})).items():
            check(part, f"{path}.{key}")
        if isinstance(schema.get("items"), dict):
            check(schema["items"], f"{path}[]")

    root = json.loads((CHART / "values.schema.json").read_text())
    check(root, "values")
    for name, definition in root["definitions"].items():
        check(definition, name)


# ---- identity ----


def test_id_is_the_hash_of_the_identity_and_of_nothing_else(tmp_path: Path) -> None:
    trial = rendered(tmp_path, with_values()).trials[0]
    assert trial.identity == {
        "hyperparameters": {"lr": 0.5},
        "seed": 0,
        "command": ["python", "train.py"],
        "env": {},
        "code": "",
        "image": "pytorch/pytorch:2.9",
        "data": "",
    }
    text = json.dumps(trial.identity, sort_keys=True, separators=(",", ":"))
    assert trial.id == hashlib.sha256(text.encode()).hexdigest()[:12]


NO_IDENTITY = {
    "sweep": "other",
    "objective": {"metric": "loss", "direction": "minimize"},
    "results": {"volume": {"nfs": {"server": "s", "path": "/p"}}},
    "resources": {"limits": {"memory": "1Gi"}},
    "gpu": {"count": 4},
    "limit_seconds": 7,
    "provenance": {"commit": "abc"},
    "backoffLimit": 9,
    "tolerations": [{"operator": "Exists"}],
    "retries": {"0123456789ab": 1},
    "pod": {"runtimeClassName": "nvidia"},
    "checkpoints": "keep",
}


@pytest.mark.parametrize("key", NO_IDENTITY)
def test_id_stays_when_something_else_changes(tmp_path: Path, key: str) -> None:
    assert ids(tmp_path, **{key: NO_IDENTITY[key]}) == ids(tmp_path)


IDENTITY = {
    "trials": [{"lr": 0.25}],
    "hyperparameters": {"epochs": 3},
    "command": ["python", "other.py"],
    "env": {"A": "1"},
    "image": {"repository": "pytorch/pytorch", "tag": "2.8"},
    "data": {"id": "sha256:1", "volume": {"pvc": {"claimName": "d"}}},
    "code": {"source": "bundle", "files": {"train.py": "1"}},
    "nodes": 2,
}


@pytest.mark.parametrize("key", IDENTITY)
def test_id_changes_with_each_part_of_the_identity(tmp_path: Path, key: str) -> None:
    assert ids(tmp_path, **{key: IDENTITY[key]}) != ids(tmp_path)


def test_tree_of_git_is_the_code_whatever_the_rest(tmp_path: Path) -> None:
    (trial,) = rendered(tmp_path, with_values(code=GIT)).trials
    assert trial.identity["code"] == f"git-tree:{GIT['tree']}"
    moved = {"url": "ssh://elsewhere/r.git", "commit": "2" * 40, "path": "other", "secret": "key", "image": "git:1"}
    assert ids(tmp_path, code=GIT | moved) == [trial.id]
    assert ids(tmp_path, code=GIT | {"tree": "2" * 40}) != [trial.id]


def test_image_of_a_trial_is_part_of_it(tmp_path: Path) -> None:
    """As the sweep's is: what it says for itself is what would be, were it said for all."""
    digest, other = (f"sha256:{number:064d}" for number in (1, 2))
    owns = [{"tag": "2"}, {"digest": other}, {"repository": "mirror.example.org/other"}, {"tag": "2", "digest": other}]
    wholes = [{"repository": "r/t", "tag": "2", "digest": ""}, {"repository": "r/t", "digest": other}]
    shared = {"repository": "r/t", "tag": "1", "digest": digest}
    mine = [rendered(tmp_path, with_values(image=shared, trials=[{"lr": 0.5, "image": own}])) for own in owns]
    theirs = [ids(tmp_path, image=image)[0] for image in (*wholes, shared)]
    assert [each.trials[0].id for each in mine] == [theirs[0], theirs[1], theirs[2], theirs[1]]
    used = [container_of(each.jobs[0])["image"] for each in mine]
    assert used == ["r/t:2", f"r/t@{other}", f"mirror.example.org/other@{digest}", f"r/t@{other}"]
    assert "trials[0].image.digest: is missing, and strict is true" in refusal(
        tmp_path, strict=True, image=shared, trials=[{"lr": 0.5, "image": {"tag": "2"}}]
    )
    here = shared | {"byTrial": False}
    assert ids(tmp_path, image=here, trials=[{"lr": 0.5, "image": owns[1]}]) == theirs[2:], "where no image runs"


def test_limit_of_a_trial_takes_the_place_of_the_sweeps(tmp_path: Path) -> None:
    both = rendered(tmp_path, with_values(trials=[{"lr": 0.5, "limit_seconds": 7200}, {"lr": 0.25}]))
    long, usual = (trial.limit_seconds for trial in both.trials)
    deadlines = [job["spec"]["template"]["spec"]["activeDeadlineSeconds"] for job in both.jobs]
    assert (long, deadlines[0] - deadlines[1]) == (7200, 7200 - usual)


def test_peers_of_a_stop_rule_have_the_same_image(tmp_path: Path) -> None:
    stop = {"rule": "median", "metric": "loss", "direction": "minimize"}
    trials = [{"lr": 0.5}, {"lr": 0.25, "limit_seconds": 9}, {"lr": 0.5, "image": {"tag": "2"}}]
    groups = [trial.group for trial in rendered(tmp_path, with_values(stop=stop, trials=trials)).trials]
    assert groups[0] == groups[1] != groups[2]


def test_resources_and_gpu_of_a_trial_are_no_part_of_it(tmp_path: Path) -> None:
    plain = {"lr": 0.5}
    own = plain | {"gpu": {"count": 3}, "resources": {"limits": {"memory": "1Gi"}}, "limit_seconds": 7200}
    before, after = (rendered(tmp_path, with_values(trials=[trial])).trials[0] for trial in (plain, own))
    assert (before.id, before.identity) == (after.id, after.identity)
    assert before.job != after.job
    with pytest.raises(BadInput, match=r"trials\[1\] repeats trials\[0\]"):
        rendered(tmp_path, with_values(trials=[plain, own]))


def test_seed_makes_another_trial_and_seed_0_is_none(tmp_path: Path) -> None:
    plain, zero, first = (ids(tmp_path, trials=[{"lr": 0.5} | extra])[0] for extra in ({}, {"seed": 0}, {"seed": 1}))
    assert plain == zero != first


def test_digest_alone_is_the_image_so_that_a_mirror_keeps_the_id(tmp_path: Path) -> None:
    digest = "sha256:" + "0" * 64
    mirrors = [{"repository": name, "digest": digest, "tag": tag} for name, tag in (("a/b", "1"), ("c/d", ""))]
    assert ids(tmp_path, image=mirrors[0]) == ids(tmp_path, image=mirrors[1])
    assert container_of(only_job(tmp_path, image=mirrors[1]))["image"] == f"c/d@{digest}"


@pytest.mark.parametrize("value", [False, 0, "", [], [0, False, ""]])
def test_falsy_value_of_a_trial_wins_over_the_sweeps(tmp_path: Path, value: Any) -> None:
    manifest = rendered(tmp_path, with_values(hyperparameters={"x": 7}, trials=[{"x": value}]))
    assert manifest.trials[0].identity["hyperparameters"] == {"x": value}


def test_position_is_never_identity(tmp_path: Path) -> None:
    trials = [{"lr": 0.1, "b": 2}, {"lr": 0.2, "b": 3}, {"lr": 0.3, "b": 4}]
    turned = [dict(reversed(trial.items())) for trial in reversed(trials)]
    assert ids(tmp_path, trials=trials) == ids(tmp_path, trials=turned)[::-1]


def test_lineage_leaves_out_the_budget(tmp_path: Path) -> None:
    trials = [{"lr": 0.1, "stop_epoch": 1}, {"lr": 0.1, "stop_epoch": 2}, {"lr": 0.2, "stop_epoch": 2}]
    first, longer, other = rendered(tmp_path, with_values(budget="stop_epoch", trials=trials)).trials
    assert first.lineage == longer.lineage != other.lineage
    assert len({first.id, longer.id, other.id}) == 3
    (free,) = rendered(tmp_path, with_values(budget="stop_epoch")).trials
    assert free.lineage == free.id


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True).filter(lambda name: name != "seed")
# The chart refuses what YAML cannot carry unescaped: DEL, the C1 controls, the byte order mark and two non-characters.
NOT_YAML = [chr(c) for c in (*range(0x7F, 0xA0), 0xFEFF, 0xFFFE, 0xFFFF)]
printable = st.characters(codec="utf-8", exclude_characters=NOT_YAML)
scalars = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-(2.0**53), 2.0**53, allow_subnormal=False).map(lambda value: value + 0.0)
    | st.text(printable, max_size=20)
    | st.sampled_from(["$(X)", "$$", "$", "1e-4", "on", "null", "~", "", "<b>&", "{{ x }}", "a: b # c", "\u2028"])
)
hyperparameters = st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=6)


def as_yaml_sees_it(point: dict[str, Any]) -> str:
    """1 and 1.0 are one number to YAML, and so one trial; True and 1 are not."""
    return json.dumps(json.loads(json.dumps(point), parse_int=float), sort_keys=True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(hyperparameters, min_size=1, max_size=30, unique_by=as_yaml_sees_it))
def test_hyperparameters_reach_the_job_exactly(tmp_path: Path, points: list[dict[str, Any]]) -> None:
    manifest = rendered(tmp_path, with_values(trials=points))
    assert [trial.identity["hyperparameters"] for trial in manifest.trials] == points
    for job, point in zip(manifest.jobs, points, strict=True):
        assert json.loads(trial_json(job))["identity"]["hyperparameters"] == point


# ---- names ----


def test_job_name_is_sweep_id_and_hash_of_the_spec(tmp_path: Path) -> None:
    manifest = rendered(tmp_path, with_values())
    sweep, identity, spec = manifest.trials[0].job.split("-")
    assert (sweep, identity, len(spec)) == ("demo", manifest.trials[0].id, 8)


@pytest.mark.parametrize("change", [{"backoffLimit": 5}, {"ttlSecondsAfterFinished": 0}, {"suspend": True}])
def test_mutable_field_keeps_the_job_name(tmp_path: Path, change: dict[str, Any]) -> None:
    changed = only_job(tmp_path, **change)
    assert changed["metadata"]["name"] == only_job(tmp_path)["metadata"]["name"]
    (key,) = change
    assert changed["spec"][key] == change[key]


@pytest.mark.parametrize("change", [{"limit_seconds": 5}, {"gpu": {"count": 2}}, {"podLabels": {"a": "b"}}])
def test_immutable_field_renames_the_job_and_keeps_the_trial(tmp_path: Path, change: dict[str, Any]) -> None:
    before, after = rendered(tmp_path, with_values()).trials[0], rendered(tmp_path, with_values(**change)).trials[0]
    assert before.id == after.id
    assert before.job != after.job


def test_commit_author_and_round_disturb_no_job(tmp_path: Path) -> None:
    provenance = {
        "commit": "c0ffee",
        "author": "me",
        "round": 3,
        "dirty": True,
        "repository": "https://git.example.org/a",
    }
    plain, known = rendered(tmp_path, with_values()), rendered(tmp_path, with_values(provenance=provenance))
    assert plain.jobs == known.jobs
    assert json.loads(known.config_maps["demo-provenance"]["provenance.json"]).items() >= provenance.items()
    assert json.loads(plain.config_maps["demo-provenance"]["provenance.json"])["commit"] == "unknown"


def test_provenance_names_the_repository_and_the_commit_of_code_that_is_fetched(tmp_path: Path) -> None:
    def provenance_of(**values: Any) -> dict[str, Any]:
        text = rendered(tmp_path, with_values(**values)).config_maps["demo-provenance"]["provenance.json"]
        return dict(json.loads(text))

    assert provenance_of(code=GIT)["code"] == {key: GIT[key] for key in ("url", "commit", "path")}
    assert provenance_of(code=GIT | {"ref": "v1"}) == provenance_of(code=GIT)
    assert "code" not in provenance_of()


def test_retry_gives_only_its_own_trial_a_new_name(tmp_path: Path) -> None:
    trials = [{"lr": 0.1}, {"lr": 0.2}]
    first, second = rendered(tmp_path, with_values(trials=trials)).trials
    again, same = rendered(tmp_path, with_values(trials=trials, retries={first.id: 2})).trials
    assert (again.job, same.job) == (f"{first.job}-r2", second.job)


def test_longest_sweep_name_gives_a_dns_label(tmp_path: Path) -> None:
    (trial,) = rendered(tmp_path, with_values(sweep="s" * 32)).trials
    assert len(f"{trial.job}-r999-999") <= 63, "the host name of one of 1000 nodes"


# ---- the Job ----


def test_failure_policy_comes_in_the_designs_order_and_never_names_143(tmp_path: Path) -> None:
    spec = only_job(tmp_path)["spec"]
    assert spec["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "trial", "operator": "In", "values": [64, 65, 66, 67]}},
        {"action": "FailJob", "onExitCodes": {"containerName": "store", "operator": "In", "values": [64, 65, 66, 67]}},
    ]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_one_node_is_as_if_there_was_no_such_value(tmp_path: Path) -> None:
    assert rendered(tmp_path, with_values(nodes=1)).objects == rendered(tmp_path, with_values()).objects
    assert "completionMode" not in only_job(tmp_path)["spec"]


def test_nodes_are_pods_of_one_indexed_job_in_which_one_failure_counts_once(tmp_path: Path) -> None:
    alone, job = only_job(tmp_path, gpu={"count": 4}), only_job(tmp_path, gpu={"count": 4}, nodes=3)
    spec = job["spec"]
    assert (spec["completions"], spec["parallelism"], spec["completionMode"]) == (3, 3, "Indexed")
    *rules, last = spec["podFailurePolicy"]["rules"]
    assert rules == alone["spec"]["podFailurePolicy"]["rules"]
    assert last == {
        "action": "Ignore",
        "onExitCodes": {"containerName": "trial", "operator": "In", "values": [69]},
    }
    assert render.trial_of(job).gpus == 12, "what plan, budget and ledger count"
    assert container_of(job)["resources"]["limits"]["nvidia.com/gpu"] == 4, "and each Pod its own"
    more = pod_spec(job)["activeDeadlineSeconds"] - pod_spec(alone)["activeDeadlineSeconds"]
    assert more == load("nodes").GATHER_SECONDS, "who waits for the others is not ended by its Pod's deadline"
    variables = load("nodes").variables("10.0.0.1:29500", 1, 3)
    refused = render_refusals(tmp_path, variables)
    assert refused == set(variables)


def render_refusals(folder: Path, names: Iterable[str]) -> set[str]:
    """Those of variables that a trial of several nodes may not set itself."""
    return {name for name in names if f"env.{name}: this name belongs" in refusal(folder, env={name: "x"}, nodes=2)}


def test_pod_meets_pod_security_restricted(tmp_path: Path) -> None:
    spec = pod_spec(only_job(tmp_path, security={"runAsUser": 4001, "fsGroup": 0, "supplementalGroups": [7]}))
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 4001,
        "runAsGroup": 1000,
        "fsGroup": 0,
        "fsGroupChangePolicy": "OnRootMismatch",
        "supplementalGroups": [7],
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False


def test_kinds_of_gpu_are_laid_beside_an_affinity_of_ones_own(tmp_path: Path) -> None:
    required, apart = "requiredDuringSchedulingIgnoredDuringExecution", {"podAntiAffinity": {"preferred…": []}}
    prefers = {"preferredDuringSchedulingIgnoredDuringExecution": []}
    gpu = {"flavors": {"a100": {"kind": "a100", "size": "80"}}}
    own = {"affinity": apart | {"nodeAffinity": prefers}}
    affinity = pod_spec(rendered(tmp_path, with_values(gpu=gpu, pod=own)).jobs[0])["affinity"]
    asked = [{"key": key, "operator": "In", "values": [value]} for key, value in gpu["flavors"]["a100"].items()]
    terms = {"nodeSelectorTerms": [{"matchExpressions": asked}]}
    assert affinity == apart | {"nodeAffinity": prefers | {required: terms}}
    clash = {"affinity": {"nodeAffinity": {required: {"nodeSelectorTerms": [{}]}}}}
    with pytest.raises(BadInput, match=r"pod\.affinity\.nodeAffinity\.\w+: gpu\.flavors sets this"):
        rendered(tmp_path, with_values(gpu=gpu, pod=clash))


def test_everything_that_can_be_set_arrives() -> None:
    values = CHART / "ci" / "everything-values.yaml"
    asked = yaml.safe_load(values.read_text())
    job = render.render(CHART, "r", [values]).jobs[0]
    template, spec, container = job["spec"]["template"], pod_spec(job), container_of(job)
    for key in ("nodeSelector", "tolerations", "priorityClassName", "terminationGracePeriodSeconds"):
        assert spec[key] == asked[key]
    assert spec["activeDeadlineSeconds"] == 900 + 45 + 600
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in spec["volumes"]
    assert asked["extraVolumes"][0] in spec["volumes"]
    assert asked["extraVolumeMounts"][0] in container["volumeMounts"]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["resources"]["claims"] == [{"name": "gpu"}]
    assert {"--gpus=2", "--grace=45", "--checkpoints=keep", "--budget=epochs", "--gpu-shared"} <= set(container["args"])
    assert "--data-at=../data" in container["args"]
    assert template["metadata"]["labels"]["team"] == "a"
    flavors = asked["gpu"]["flavors"]
    assert template["metadata"]["annotations"] == asked["podAnnotations"] | {
        "helm-sweep/flavors": json.dumps(flavors, sort_keys=True, separators=(",", ":"))
    }
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [term["matchExpressions"] for term in terms] == [
        [{"key": key, "operator": "In", "values": [value]} for key, value in flavors[name].items()]
        for name in sorted(flavors)
    ]
    assert job["spec"]["backoffLimit"] == job["spec"]["ttlSecondsAfterFinished"] == 0


def test_objects_carry_the_recommended_labels_and_jobs_sweep_and_trial(tmp_path: Path) -> None:
    manifest = rendered(tmp_path, with_values(), release="r")
    common = {
        "app.kubernetes.io/name": "helm-sweep",
        "app.kubernetes.io/instance": "r",
        "app.kubernetes.io/managed-by": "Helm",
        "helm-sweep/sweep": "demo",
    }
    assert all(item["metadata"]["labels"].items() >= common.items() for item in manifest.objects)
    (job,) = manifest.jobs
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        assert labels == common | {"helm-sweep/trial": manifest.trials[0].id}


def test_gpu_count_0_asks_for_none(tmp_path: Path) -> None:
    asked = {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "16Gi"}}
    assert container_of(only_job(tmp_path, gpu={"count": 0}))["resources"] == asked
    two = container_of(only_job(tmp_path, gpu={"count": 2, "resource": "amd.com/gpu"}))["resources"]
    assert two["requests"]["amd.com/gpu"] == two["limits"]["amd.com/gpu"] == 2


def test_resources_of_a_trial_are_laid_over_the_sweeps(tmp_path: Path) -> None:
    own = {
        "gpu": {"count": 2, "shared": True},
        "resources": {"requests": {"cpu": None, "memory": "8Gi"}, "limits": {"ephemeral-storage": "1Gi"}},
    }
    big, small = rendered(tmp_path, with_values(trials=[{"lr": 0.5} | own, {"lr": 0.25}])).jobs
    assert container_of(big)["resources"] == {
        "requests": {"memory": "8Gi", "nvidia.com/gpu": 2},
        "limits": {"memory": "16Gi", "ephemeral-storage": "1Gi", "nvidia.com/gpu": 2},
    }
    assert {"--gpus=2", "--gpu-shared"} <= set(container_of(big)["args"])
    (alone,) = rendered(tmp_path, with_values(trials=[{"lr": 0.25}])).jobs
    assert small == alone


def test_trial_without_gpu_among_others(tmp_path: Path) -> None:
    trials = [{"lr": 0.5}, {"lr": 0.25, "gpu": {"count": 0}}]
    gpus = [trial.gpus for trial in rendered(tmp_path, with_values(trials=trials)).trials]
    assert gpus == [1, 0]


CLAIM = {"deviceClassName": "gpu.nvidia.com", "selector": "device.driver == 'gpu.nvidia.com'"}


def claims(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name of each ResourceClaimTemplate -> the request it makes."""
    templates = [item for item in objects if item["kind"] == "ResourceClaimTemplate"]
    return {
        template["metadata"]["name"]: template["spec"]["spec"]["devices"]["requests"][0]["exactly"]
        for template in templates
    }


def test_claim_takes_the_place_of_the_extended_resource(tmp_path: Path) -> None:
    manifest = rendered(tmp_path, with_values(gpu={"count": 2, "claim": CLAIM}), release="r")
    ((name, asked),) = claims(manifest.objects).items()
    assert re.fullmatch("r-gpu-[0-9a-f]{12}", name)
    assert asked == {
        "deviceClassName": "gpu.nvidia.com",
        "allocationMode": "ExactCount",
        "count": 2,
        "selectors": [{"cel": {"expression": CLAIM["selector"]}}],
    }
    (job,) = manifest.jobs
    assert pod_spec(job)["resourceClaims"] == [{"name": "gpu", "resourceClaimTemplateName": name}]
    assert container_of(job)["resources"] == {
        "requests": {"cpu": "1", "memory": "4Gi"},
        "limits": {"memory": "16Gi"},
        "claims": [{"name": "gpu"}],
    }
    assert manifest.trials[0].gpus == 2


def test_each_claim_is_made_once_and_none_without_gpus(tmp_path: Path) -> None:
    counts = [1, 2, 2, 0]
    trials = [{"lr": lr, "gpu": {"count": count}} for lr, count in enumerate(counts)]
    manifest = rendered(tmp_path, with_values(gpu={"claim": {"deviceClassName": "gpu"}}, trials=trials))
    assert sorted(asked["count"] for asked in claims(manifest.objects).values()) == [1, 2]
    assert [container_of(job)["resources"].get("claims") for job in manifest.jobs] == [[{"name": "gpu"}]] * 3 + [None]


def test_another_claim_is_another_object(tmp_path: Path) -> None:
    others = [CLAIM, CLAIM | {"selector": None}, CLAIM | {"deviceClassName": "other"}]
    names = [set(claims(rendered(tmp_path, with_values(gpu={"claim": other})).objects)) for other in others]
    assert len(set.union(*names)) == 3


def test_data_is_mounted_read_only_and_results_are_not(tmp_path: Path) -> None:
    spec = pod_spec(only_job(tmp_path, data={"id": "d", "volume": {"nfs": {"server": "s", "path": "/d"}}}))
    assert {"name": "data", "nfs": {"server": "s", "path": "/d", "readOnly": True}} in spec["volumes"]
    assert {"name": "data", "mountPath": "/sweep/data", "readOnly": True} in spec["containers"][0]["volumeMounts"]
    results = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "results"]
    assert results
    assert not [mount for mount in results if mount.get("readOnly")]


def test_a_trial_mounts_of_the_store_what_it_may_write_and_no_more(tmp_path: Path) -> None:
    trials = [{"lr": 0.5, "epochs": 1}, {"lr": 0.5, "epochs": 2}]
    manifest = rendered(tmp_path, with_values(trials=trials, budget="epochs"))
    for trial, job in zip(manifest.trials, manifest.jobs, strict=True):
        spec, container = pod_spec(job), container_of(job)
        parts = [f"trials/{trial.id[:2]}/{trial.id}", f"checkpoints/{trial.lineage[:2]}/{trial.lineage}"]
        assert [mount for mount in container["volumeMounts"] if mount["name"] == "results"] == [
            {"name": "results", "mountPath": f"/sweep/results/{part}", "subPath": part} for part in parts
        ]
        (init,) = spec["initContainers"]  # it makes them, for the kubelet would as root; and runs nobody's code
        assert (init["name"], init["image"]) == ("store", container["image"])
        assert init["command"] == container["command"]
        assert init["args"] == ["--results=/sweep/results", *(f"--make={part}" for part in parts), "--scratch=/tmp"]
        assert init["securityContext"] == container["securityContext"]
        assert init["env"] == []
        assert init["volumeMounts"] == [
            {"name": "results", "mountPath": "/sweep/results"},
            {"name": "runner", "mountPath": "/sweep/runner", "readOnly": True},
        ]


def test_without_isolation_the_whole_store_is_mounted(tmp_path: Path) -> None:
    job = only_job(tmp_path, results=MINIMAL["results"] | {"isolate": False})
    assert "initContainers" not in pod_spec(job)
    assert {"name": "results", "mountPath": "/sweep/results"} in container_of(job)["volumeMounts"]
    assert "store" not in json.dumps(job["spec"]["podFailurePolicy"])
    assert render.trial_of(job).id == render.trial_of(only_job(tmp_path)).id


def test_no_data_volume_means_no_data_mount(tmp_path: Path) -> None:
    spec = pod_spec(only_job(tmp_path))
    assert not [volume for volume in spec["volumes"] if volume["name"] == "data"]
    assert not [word for word in spec["containers"][0]["args"] if word.startswith("--data")]


def test_pvc_may_replace_the_nfs_of_a_lower_file(tmp_path: Path) -> None:
    lower, upper = tmp_path / "base.yaml", tmp_path / "upper.yaml"
    lower.write_text(json.dumps(with_values(results={"volume": {"nfs": {"server": "s", "path": "/p"}}})))
    upper.write_text("results: {volume: {nfs: null, pvc: {claimName: mine}}}")
    (job,) = render.render(CHART, "demo", [lower, upper]).jobs
    claim = {"claimName": "mine", "readOnly": False}
    assert {"name": "results", "persistentVolumeClaim": claim} in pod_spec(job)["volumes"]


def test_env_comes_as_text_or_from_a_secret_by_name(tmp_path: Path) -> None:
    env = {"A": "$(NODE_NAME)", "B": {"secret": "s", "key": "k"}}
    job = only_job(tmp_path, env=env)
    variables = {variable["name"]: variable for variable in container_of(job)["env"]}
    assert variables["A"]["value"] == "$(NODE_NAME)"
    assert variables["B"]["valueFrom"] == {"secretKeyRef": {"name": "s", "key": "k"}}
    assert render.trial_of(job).identity["env"] == env


def test_overlay_reaches_the_pod_spec(tmp_path: Path) -> None:
    overlay = {"runtimeClassName": "nvidia", "topologySpreadConstraints": [], "hostIPC": False}
    assert pod_spec(only_job(tmp_path, pod=overlay)).items() >= overlay.items()


def test_code_is_hashed_as_shipped_and_lies_in_an_immutable_config_map(tmp_path: Path) -> None:
    files = {"train.py": "print('{{ x }}')\n\tend", "a/b.bin": {"base64": "AAE="}}
    manifest = rendered(tmp_path, with_values(code={"source": "bundle", "files": files}))
    code = manifest.trials[0].identity["code"]
    (shipped,) = (item for item in manifest.objects if item["metadata"]["name"] == f"demo-code-{code[:12]}")
    assert shipped["immutable"] is True
    text = shipped["data"]["files.json"]
    assert json.loads(text) == files
    assert hashlib.sha256(text.encode()).hexdigest() == code


def runner_files(folder: Path) -> set[str]:
    """Names of the runner's files where the values ask for nothing."""
    (files,) = (
        files for name, files in rendered(folder, with_values()).config_maps.items() if name.startswith("demo-runner-")
    )
    assert "trial.py" in files
    return set(files)


def test_queue_is_kueues_label_and_suspending_is_left_to_it(tmp_path: Path) -> None:
    assert "kueue.x-k8s.io/queue-name" not in only_job(tmp_path)["metadata"]["labels"]
    trials = [{"lr": 0.5}, {"lr": 0.25, "gpu": {"count": 2}, "resources": {"requests": {"cpu": "3"}}}]
    for job in rendered(tmp_path, with_values(queue="team", trials=trials)).jobs:
        assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
        assert "suspend" not in job["spec"]
    assert only_job(tmp_path, suspend=True)["spec"]["suspend"] is True


def test_queue_and_priority_are_no_part_of_a_job_s_name_and_admitted_keeps_those_of_one_trial(tmp_path: Path) -> None:
    trials = [{"lr": 0.5}, {"lr": 0.25}, {"lr": 0.125}]
    plain = rendered(tmp_path, with_values(trials=trials))
    first, second, _ = (trial.id for trial in plain.trials)
    admitted = {first: {"queue": "old", "priority": "low"}, second: {}, "0" * 12: {"queue": "of a trial that is gone"}}
    queued = rendered(tmp_path, with_values(trials=trials, queue="team", priority="high", admitted=admitted))
    assert [job["metadata"]["name"] for job in queued.jobs] == [job["metadata"]["name"] for job in plain.jobs]
    assert [job["spec"] for job in queued.jobs] == [job["spec"] for job in plain.jobs]
    kueues = [
        {name: value for name, value in job["metadata"]["labels"].items() if name.startswith("kueue.x-k8s.io/")}
        for job in queued.jobs
    ]
    assert kueues == [
        {"kueue.x-k8s.io/queue-name": "old", "kueue.x-k8s.io/priority-class": "low"},
        {},
        {"kueue.x-k8s.io/queue-name": "team", "kueue.x-k8s.io/priority-class": "high"},
    ]


# ---- code from Git ----


def test_an_init_container_fetches_code_from_git(tmp_path: Path) -> None:
    manifest = rendered(tmp_path, with_values(code=GIT | {"path": "a$(B)"}))
    (job,) = manifest.jobs
    spec, trial = pod_spec(job), container_of(job)
    _, init = spec["initContainers"]
    assert (init["name"], init["image"]) == ("code", "docker.io/alpine/git:v2.47.2")
    assert "results" not in json.dumps(init["volumeMounts"])
    assert init["command"] == ["sh", "/sweep/runner/clone.sh"]
    assert init["args"][:5] == [GIT["url"], GIT["commit"], GIT["tree"], "a$$(B)", "/sweep/code"]
    assert init["securityContext"] == trial["securityContext"]
    assert {"name": "HOME", "value": "/tmp"} in init["env"]
    assert {"name": "code", "emptyDir": {}} in spec["volumes"]
    assert "--code=/sweep/code" in trial["args"]
    assert {"name": "code", "mountPath": "/sweep/code", "readOnly": True} in trial["volumeMounts"]
    (name,) = (name for name in manifest.config_maps if name.startswith("demo-runner-"))
    assert manifest.config_maps[name]["clone.sh"] == (CHART / "files" / "clone.sh").read_text()
    assert not [name for name in manifest.config_maps if "-code-" in name]
    assert job["spec"]["podFailurePolicy"]["rules"][1:] == [
        {"action": "FailJob", "onExitCodes": {"containerName": name, "operator": "In", "values": [64, 65, 66, 67]}}
        for name in ("trial", "store", "code")
    ]


def test_the_deploy_key_is_seen_by_the_init_container_alone(tmp_path: Path) -> None:
    manifest = rendered(tmp_path, with_values(code=GIT | {"secret": "deploy"}, security={"runAsUser": 4001}))
    spec = pod_spec(manifest.jobs[0])
    assert {"name": "deploy-key", "secret": {"secretName": "deploy", "defaultMode": 0o444}} in spec["volumes"]
    store, code = spec["initContainers"]
    mounted = {mount["name"]: mount for mount in code["volumeMounts"]}
    assert mounted["deploy-key"]["readOnly"] is True
    assert "deploy-key" not in json.dumps([store, *spec["containers"]])
    assert mounted["runner"] == {
        "name": "runner",
        "mountPath": "/etc/passwd",
        "subPath": "passwd",
        "readOnly": True,
    }
    (name,) = (name for name in manifest.config_maps if name.startswith("demo-runner-"))
    assert manifest.config_maps[name]["passwd"] == "trial:x:4001:1000::/tmp:/bin/sh\n"


# ---- the Job that fills the data volume ----

DATA = {"id": "sha256:$(X)", "volume": {"pvc": {"claimName": "data"}}, "prepare": ["python", "dataset.py", "$(HOME)"]}


def dataset(folder: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(ConfigMap, Job) of templates/dataset.yaml, as the scripts have it rendered."""
    path = folder / "values.yaml"
    path.write_text(spelled(with_values(**({"data": DATA, "dataset": {"upload": False}} | changes))))
    files, job = render.read_manifest(helm.run("template", "r", str(CHART), "-f", str(path), "-s", SHOWN))
    return files, job


SHOWN = "templates/dataset.yaml"


def test_a_release_holds_neither_dataset_nor_reader(tmp_path: Path) -> None:
    manifest = rendered(tmp_path, with_values(data=DATA, code={"source": "bundle", "files": {"a": "b"}}))
    assert {item["kind"] for item in manifest.objects} == {"Job", "ConfigMap"}
    assert not [item for item in manifest.objects if "helm-sweep/part" in item["metadata"]["labels"]]
    assert len(manifest.objects) == 4


def test_dataset_job_runs_prepare_with_the_volume_writable(tmp_path: Path) -> None:
    bundle = {"source": "bundle", "files": {"dataset.py": "x"}}
    files, job = dataset(tmp_path, code=bundle, dataset={"upload": False, "words": ["--source", "npm"]})
    spec, container = pod_spec(job), container_of(job)
    assert container["command"] == ["python3", "-I", "-S", "/sweep/runner/prepare.py"]
    assert container["args"] == [
        *("--data=/sweep/data", "--scratch=/tmp", "--code=/sweep/runner/files.json", "--"),
        *("python", "dataset.py", "$$(HOME)", "--source", "npm"),
    ]
    assert {"name": "DATA_ID", "value": "sha256:$$(X)"} in container["env"]
    assert "TRIAL" not in json.dumps(job)
    assert {"name": "data", "mountPath": "/sweep/data"} in container["volumeMounts"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": False}} in spec["volumes"]
    assert {"name": "runner", "configMap": {"name": files["metadata"]["name"]}} in spec["volumes"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    assert set(files["data"]) == runner_files(tmp_path) | {"prepare.py", "files.json"}
    assert json.loads(files["data"]["files.json"]) == bundle["files"]
    kubernetes_validate.validate(job, "1.31", strict=True)
    kubernetes_validate.validate(files, "1.31", strict=True)


def test_dataset_job_is_labelled_as_no_trial_and_named_by_its_content(tmp_path: Path) -> None:
    files, job = dataset(tmp_path)
    for labels in (
        files["metadata"]["labels"],
        job["metadata"]["labels"],
        job["spec"]["template"]["metadata"]["labels"],
    ):
        assert labels["helm-sweep/part"] == "dataset"
        assert labels["helm-sweep/sweep"] == "demo"
        assert "helm-sweep/trial" not in labels
    assert re.fullmatch("r-dataset-[0-9a-f]{8}", job["metadata"]["name"])
    assert dataset(tmp_path)[1]["metadata"]["name"] == job["metadata"]["name"]
    assert dataset(tmp_path, sharedMemory="2Gi")[1]["metadata"]["name"] != job["metadata"]["name"]
    other = dataset(tmp_path, code={"source": "bundle", "files": {"a": "b"}})
    assert [item["metadata"]["name"] for item in other] != [item["metadata"]["name"] for item in (files, job)]


def test_dataset_job_asks_for_no_gpu_and_keeps_the_security(tmp_path: Path) -> None:
    gpus = {"gpu": {"count": 2, "claim": CLAIM}, "pod": {"runtimeClassName": "x", "hostname": "y"}}
    _, job = dataset(tmp_path, nodeSelector={"disk": "big"}, **gpus)
    trial = only_job(tmp_path)
    assert container_of(job)["resources"] == {
        "requests": {"cpu": "1", "memory": "4Gi"},
        "limits": {"memory": "16Gi"},
    }
    spec = pod_spec(job)
    assert container_of(job)["securityContext"] == container_of(trial)["securityContext"]
    assert spec["securityContext"] == pod_spec(trial)["securityContext"]
    assert spec["automountServiceAccountToken"] is False
    assert (spec["nodeSelector"], spec["runtimeClassName"]) == ({"disk": "big"}, "x")
    assert not {"resourceClaims", "hostname"} & set(spec)


def test_upload_waits_for_stdin_and_is_not_tried_again(tmp_path: Path) -> None:
    _, job = dataset(tmp_path, dataset={"upload": True})
    container = container_of(job)
    assert (container["name"], container["stdin"], container["stdinOnce"]) == ("dataset", True, True)
    assert "--upload" in container["args"]
    assert job["spec"]["backoffLimit"] == 0
    assert "DisruptionTarget" not in json.dumps(job)
    _, quiet = dataset(tmp_path)
    assert "stdin" not in container_of(quiet)
    assert quiet["spec"]["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "dataset", "operator": "In", "values": [64, 65]}},
    ]


def test_dataset_job_fetches_code_from_git_too(tmp_path: Path) -> None:
    files, job = dataset(tmp_path, code=GIT | {"secret": "deploy"})
    spec, container = pod_spec(job), container_of(job)
    assert "--code=/sweep/code" in container["args"]
    assert [init["name"] for init in spec["initContainers"]] == ["code"]
    assert {"code", "deploy-key"} <= {volume["name"] for volume in spec["volumes"]}
    assert runner_files(tmp_path) | {"clone.sh", "passwd", "prepare.py"} == set(files["data"])


@pytest.mark.parametrize("missing", ["volume", "prepare"])
def test_dataset_job_says_what_it_lacks(tmp_path: Path, missing: str) -> None:
    data = {key: value for key, value in DATA.items() if key != missing}
    with pytest.raises(BadInput, match=rf"data\.{missing}: is not set"):
        dataset(tmp_path, data=data)


# ---- releases ----


def test_nothing_takes_the_release_for_the_sweep(tmp_path: Path) -> None:
    """Shards of a sweep are releases `<sweep>-<k>`: their objects' names differ, their Jobs' do not."""
    first, other = (rendered(tmp_path, with_values(shards=2), release=f"demo-{shard}") for shard in (0, 1))
    assert [trial.job for trial in first.trials] != [
        trial.job for trial in other.trials
    ]  # the runner is another object
    assert first.trials[0].job.startswith(f"demo-{first.trials[0].id}-")
    assert all(name.startswith("demo-0-") for name in first.config_maps)
    assert ids(tmp_path) == [first.trials[0].id] == [other.trials[0].id]


@pytest.mark.parametrize("source", ["image", "bundle"])
def test_releases_rendered_at_once_are_those_that_helm_would_install(tmp_path: Path, source: str) -> None:
    """Cut from one render, as scripts do: object by object what each release has by its own trials."""
    names, own = release.names("demo", 3), [{"resources": {"limits": {"memory": "1Gi"}}}, {"gpu": {"count": 2}}, {}]
    trials = [{"lr": number / 64, **own[number % 3]} for number in range(24)]
    code = {"source": source} | ({"files": {"train.py": "print()"}} if source == "bundle" else {})
    values = with_values(
        trials=trials, code=code, shards=3, gpu={"count": 1, "claim": CLAIM}, provenance={"commit": "abc", "round": 2}
    )
    first = rendered(tmp_path, values).trials[0].id
    values |= {"admitted": {first: {"queue": "b"}}, "queue": "a", "retries": {first: 2}}
    at_once = rendered(tmp_path, values | {"releases": names})
    shares = release.shard_lines(at_once.trials, trials, 3)
    assert all(shares)
    for name, share in zip(names, shares, strict=True):
        alone, cut = rendered(tmp_path, values | {"trials": share}, release=name), at_once.by_release[name]
        assert [trial.id for trial in cut.trials] == [trial.id for trial in alone.trials]
        assert sorted(cut.objects, key=str) == sorted(alone.objects, key=str)


def test_strict_takes_a_digest(tmp_path: Path) -> None:
    digest = {"repository": "a", "digest": "sha256:" + "0" * 64}
    assert ids(tmp_path, image=digest, strict=True) == ids(tmp_path, image=digest)


# ---- what it refuses, in words ----

VOLUME = {"nfs": {"server": "s", "path": "/p"}, "pvc": {"claimName": "c"}}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "duplicate trial": ({"trials": [{"a": 1}, {"a": 2}, {"a": 1.0}]}, "trials[2] repeats trials[0]; remove one"),
    "duplicate through the sweep's value": (
        {"hyperparameters": {"a": 1}, "trials": [{}, {"a": 1}]},
        "trials[1] repeats trials[0]; remove one",
    ),
    "no trials": ({"trials": []}, "trials: the list is empty"),
    "no sweep": ({"sweep": ""}, "sweep: give the sweep a name"),
    "no command": ({"command": []}, "command: say what a trial runs"),
    "no image": ({"image": {}}, "image.repository: name the image"),
    "no tag": ({"image": {"repository": "a"}}, "image.tag: give a tag"),
    "no objective": ({"objective": None}, "objective: name the metric"),
    "unknown key": ({"trails": []}, "trails"),
    "unknown key inside": ({"gpu": {"number": 1}}, "number"),
    "string for a number": ({"limit_seconds": "600"}, "limit_seconds"),
    "string for a boolean": ({"suspend": "off"}, "suspend"),
    "number for a string": ({"env": {"A": 1}}, "env.A"),
    "map as hyperparameter": ({"trials": [{"a": {"b": 1}}]}, "trials.0.a"),
    "null that is no difference": (
        {"hyperparameters": {"a": None}, "trials": [{"b": 1}, {"b": 1, "a": None}]},
        "trials[1] repeats trials[0]; remove one",
    ),
    "null in a list": ({"hyperparameters": {"a": [None]}}, "hyperparameters.a.0"),
    "name no variable could have": ({"trials": [{"a b": 1}]}, "a b"),
    "number beyond 2^53": ({"trials": [{"a": 2**53 + 2}]}, "trials.0.a"),
    "negative seed": ({"trials": [{"seed": -1}]}, "trials.0.seed"),
    "fractional seed": ({"trials": [{"seed": 0.5}]}, "trials.0.seed"),
    "shared seed": ({"hyperparameters": {"seed": 1}}, "hyperparameters.seed: reserved for the seed of a trial"),
    "upper case sweep": ({"sweep": "Demo"}, "sweep"),
    "sweep ending with a dash": ({"sweep": "demo-"}, "sweep"),
    "sweep too long": ({"sweep": "s" * 33}, "sweep"),
    "two kinds of volume": ({"results": {"volume": VOLUME}}, "results.volume: has nfs and pvc; keep one"),
    "no kind of volume": ({"results": {"volume": {"nfs": None}}}, "results.volume: name one of"),
    "no result volume": ({"results": {}}, "results.volume: name one of"),
    "overlay of the chart's own key": ({"pod": {"volumes": []}}, "pod.volumes: the chart sets this itself"),
    "priority without queue": ({"priority": "p"}, "priority: says who goes first in a queue; set `queue` too"),
    "queue and suspend": ({"queue": "q", "suspend": True}, "suspend: must be false with a queue"),
    "a place for no data": ({"data": {"at": "../data"}}, "data.at: is set, and data.volume is not"),
    "data elsewhere on the node": ({"data": {"at": "/etc/x"}}, "data.at"),
    "data outside of the trial's folder": ({"data": {"at": "../../x"}}, "data.at"),
    "the runner's variable": ({"env": {"SEED": "1"}}, "env.SEED: this name belongs to the trial runner"),
    "bundle without files": ({"code": {"source": "bundle"}}, "code.files: a bundle without files"),
    "files without bundle": ({"code": {"files": {"a": "b"}}}, "code.files: only read with code.source: bundle"),
    "bad digest": ({"image": {"repository": "a", "digest": "sha256:1"}}, "image.digest"),
    "tag where strict": ({"strict": True}, "image.digest: is missing, and strict is true; write the digest"),
    "shards beyond the id": ({"shards": 257}, "shards"),
    "number as gpu of a trial": ({"trials": [{"gpu": 2}]}, "trials.0.gpu"),
    "text as resources of a trial": ({"trials": [{"resources": "big"}]}, "trials.0.resources"),
    "unknown key in a trial's gpu": ({"trials": [{"gpu": {"number": 1}}]}, "number"),
    "claims of a trial": ({"trials": [{"resources": {"claims": []}}]}, "claims"),
    "gpu among the hyperparameters": ({"hyperparameters": {"gpu": 1}}, "hyperparameters.gpu: reserved; set"),
    "claim without class": ({"gpu": {"claim": {"selector": "true"}}}, "deviceClassName"),
    "claims overlaid beside a claim": (
        {"gpu": {"claim": {"deviceClassName": "a"}}, "pod": {"resourceClaims": []}},
        "pod.resourceClaims: the chart sets this itself",
    ),
    "git without url": ({"code": GIT | {"url": ""}}, "code.url: is missing"),
    "git without tree": ({"code": GIT | {"tree": ""}}, "code.tree: is missing"),
    "git with a short commit": ({"code": GIT | {"commit": "abc123"}}, "code.commit: is not a whole hash"),
    "option as url": ({"code": GIT | {"url": "--upload-pack=x"}}, "code.url"),
    "root": ({"security": {"runAsUser": 0}}, "security.runAsUser"),
    "unknown direction": ({"objective": {"metric": "a", "direction": "up"}}, "objective.direction"),
    "retry of no id": ({"retries": {"first": 1}}, "retries"),
    "trial too large for a variable": (
        {"trials": [{"a": 1}, {"a": "x" * 131_000}]},
        "trials[1]: its variable TRIAL would have 131",
    ),
    "letters of several bytes": ({"trials": [{"a": "é" * 66_000}]}, "trials[0]: its variable TRIAL would have 132"),
    "a large list for all": (
        {"hyperparameters": {"a": [*range(30_000)]}},
        "trials[0]: its variable TRIAL would have 16",
    ),
    "a large command": ({"command": ["sh", "-c", "x" * 131_000]}, "trials[0]: its variable TRIAL would have 13"),
    "a large variable": ({"env": {"A": "x" * 131_000}}, "trials[0]: its variable TRIAL would have 13"),
    "code too large for a ConfigMap": (
        {"code": {"source": "bundle", "files": {"a": "x" * 1_048_576}}},
        "code.files: 1048584 bytes, and a ConfigMap holds 1048576",
    ),
}


def test_the_largest_trial_can_be_started_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    """What the chart lets through is what execve takes: the limit is Linux' own."""

    def trial(size: int) -> str:
        return trial_json(only_job(tmp_path, trials=[{"a": "$(X)$" + "x" * size}]))

    room = 131_065 - len(trial(0))
    largest = trial(room)
    assert subprocess.run(["true"], env={"TRIAL": largest}, check=True).returncode == 0
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["true"], env={"TRIAL": largest + "x"}, check=False)
    with pytest.raises(BadInput, match=r"^trials\[0\]: its variable TRIAL would have 131066 bytes "):
        trial(room + 1)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('env: {N: "5"}', "env.false"),
        ("podLabels: {y: a}", "podLabels.true"),
        ("nodeSelector: {on: a}", "nodeSelector.true"),
        ("resources: {limits: {OFF: 1}}", "resources.limits.false"),
        ("pod: {affinity: {a: [{b: {No: 1}}]}}", r"pod.affinity.a\[0\].b.false"),
        ("hyperparameters: {n: 5}", "hyperparameters.false"),
        ("trials: [{n: 5}]", r"trials\[0\]"),
        ("trials: [{lr: 1, resources: {limits: {y: 1}}}]", r"trials\[0\].resources.limits.true"),
    ],
)
def test_bare_key_that_is_a_boolean_to_helm_is_refused_by_plain_helm_too(tmp_path: Path, line: str, key: str) -> None:
    path = tmp_path / "values.yaml"
    kept = [f"{name}: {json.dumps(value)}" for name, value in MINIMAL.items() if name != line.split(":")[0]]
    path.write_text("\n".join([*kept, line]))
    with pytest.raises(BadInput, match=f"^{key}: a bare y, yes, on, n, no or off is true or false to Helm"):
        render.render(CHART, "demo", [path])


@pytest.mark.parametrize("char", ["\0", "\x85", "\ufeff"])
@pytest.mark.parametrize("where", ["env", "podAnnotations", "pod", "command"])
def test_character_that_is_lost_on_its_way_is_refused_everywhere(tmp_path: Path, where: str, char: str) -> None:
    """Helm would write it raw and read another value, or none, from its own manifest."""
    value: Any = {"A": f"a{char}b"}
    with pytest.raises(BadInput, match=rf"^{where}.*: holds a control character"):
        rendered(tmp_path, with_values(**{where: list(value.values()) if where == "command" else value}))


def test_plain_helm_refuses_what_is_nested_too_deeply_or_multiplied_by_aliases(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    levels = "".join(f"  a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9))
    for text, message in (
        ("pod: {a: " + "[" * 340 + "]" * 340 + "}", r"nested more than 60 levels deep|did not find expected ',' or"),
        (f"pod:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{levels}", "document contains excessive aliasing"),
    ):
        path.write_text("\n".join([*(f"{name}: {json.dumps(value)}" for name, value in MINIMAL.items()), text]))
        with pytest.raises(BadInput, match=message):
            render.render(CHART, "demo", [path])


def test_large_numbers_reach_the_pod_as_whole_numbers(tmp_path: Path) -> None:
    """Go prints a million as 1e+06."""
    values = with_values(terminationGracePeriodSeconds=1_000_000, security={"runAsUser": 1_000_650_000})
    (job,) = rendered(tmp_path, values).jobs
    assert "--grace=1000000" in container_of(job)["args"]
    assert pod_spec(job)["terminationGracePeriodSeconds"] == 1_000_000
    assert pod_spec(job)["securityContext"]["runAsUser"] == 1_000_650_000


@pytest.mark.parametrize("char", ["\x7f", "\x85", "\x9b"])
def test_control_character_is_refused(tmp_path: Path, char: str) -> None:
    """Helm 4 lets the schema say it; helm 3 stumbles over its own copy of the values before it gets there."""
    with pytest.raises(BadInput, match=r"^trials.*(holds a control character|does not match pattern)"):
        rendered(tmp_path, with_values(trials=[{"a": char}]))


@pytest.mark.parametrize("case", REFUSED)
def test_refused_naming_the_key(tmp_path: Path, case: str) -> None:
    changes, words = REFUSED[case]
    with pytest.raises(BadInput) as refused:
        rendered(tmp_path, with_values(**changes))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
