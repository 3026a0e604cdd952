"""A trial once more, from its id alone: the same Job, but for its name and one variable that keeps its output apart."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep import git
from sweep.audit.tracing import Trace
from sweep.engines import environments, local, states
from sweep.engines.cluster import Cluster, Patience
from sweep.errors import BadInput, TrialsFailed
from sweep.layout import Clone
from sweep.records import store
from sweep.render import Object, Rendered, container_of, trial_of
from sweep.session import Session

VARIABLE = "REPRODUCTION"
"""The runner (chart/files/trial.py) knows it."""
LOOK_SECONDS = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Origin:
    """Where a trial's Job can be rendered again."""

    sweep: str
    commit: str


def origin(trace: Trace) -> Origin:
    """Raises BadInput for a trial without a result, or that no values file in Git lists."""
    if not trace.metrics:
        raise BadInput(f"TRIAL={trace.id}: has no result to compare with; `make retry` is for what failed")
    if not trace.source:
        raise BadInput(f"TRIAL={trace.id}: in no values file of Git's history here; `git fetch` every branch")
    return Origin(trace.source.sweep, trace.source.commit)


def again(session: Session, trial: str, number: int) -> Rendered:
    """The Job of a trial and what it mounts. Raises BadInput where the session does not render it, or cannot."""
    found = [job for job in session.rendered.jobs if trial_of(job).id == trial]
    if not found:
        raise BadInput(
            f"TRIAL={trial}: its commit renders no such trial, so it ran with uncommitted changes or other values; "
            "`make trace` says what is known"
        )
    job = copy.deepcopy(found[0])
    job["metadata"]["name"] = f"{session.name}-{trial}{states.REPRODUCTION}{number}"
    container_of(job)["env"].append({"name": VARIABLE, "value": str(number)})
    _mount_its_own(job, f"reproductions/{trial}/{number}")
    needed = _needed(job)
    objects = [made for made in session.rendered.objects if made["metadata"]["name"] in needed]
    maps = [made["data"] for made in objects if made["kind"] == "ConfigMap"]
    if not any(VARIABLE in data.get("trial.py", "") for data in maps):
        raise BadInput(
            f"TRIAL={trial}: the runner of its commit is older than reproductions and would find the old result; "
            "check that commit out and run it on an empty result store"
        )
    return Rendered([*objects, job], [trial_of(job)])


def _mount_its_own(job: Object, path: str) -> None:
    """Where the Job mounts a part of the store alone, let it be this one, and let the init container make that."""
    spec, trial = job["spec"]["template"]["spec"], container_of(job)
    parts = [mount for mount in trial["volumeMounts"] if mount["name"] == "results" and "subPath" in mount]
    if not parts:
        return
    root = parts[0]["mountPath"].removesuffix(parts[0]["subPath"])
    own = {"name": "results", "mountPath": f"{root}{path}", "subPath": path}
    trial["volumeMounts"] = [own, *(mount for mount in trial["volumeMounts"] if mount not in parts)]
    for container in spec["initContainers"]:
        if container["name"] == "store":
            words = [word for word in container["args"] if not word.startswith("--make=")]
            container["args"] = [*words, f"--make={path}"]


def _needed(job: Object) -> set[str]:
    """Names of what the Job's Pod asks for."""
    spec = job["spec"]["template"]["spec"]
    maps = {volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
    return maps | {claim["resourceClaimTemplateName"] for claim in spec.get("resourceClaims", [])}


def folder(results: Path, trial: str, number: int) -> Path:
    """The result store of one reproduction."""
    return results / "reproductions" / trial / str(number)


def take_number(results: Path, trial: str) -> int:
    """The next free one; its folder is made."""
    number = 1
    while True:
        try:
            folder(results, trial, number).mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return number


def provenance(clone: Clone, commit: str) -> dict[str, Any]:
    return {"commit": commit, "author": git.author(clone.root, commit), "dirty": False}


def run_locally(session: Session, made: Rendered, number: int) -> dict[str, Any]:
    """Run it here, to its result. Raises TrialsFailed, and BadInput where something it needs is missing."""
    (trial,) = made.trials
    data = session.data_folder
    if data and not data.is_dir():
        raise BadInput(f"data: {data} is not there; `make dataset` of a sweep with this data set fills it")
    path = [environments.ensure(session.requirements)] if session.requirements else []
    slots = local.slots_for(trial.gpus, 1)
    states = local.LocalEngine(made, session.files.jobs, slots, path, done=(), on_tick=lambda _: None).run()
    state = states[trial.job]
    found = store.read(folder(session.store_folder, trial.id, number), [trial]).trials[trial.id]
    if not found.result:
        raise TrialsFailed(f"{trial.id}: failed this time: {state.reason or 'it left no valid result'}")
    return found.result


# ---- on a cluster ----


def run_on_cluster(
    session: Session, made: Rendered, number: int, say: Say, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Submit the one Job and wait for its last words. Raises TrialsFailed, BadInput, Unreachable."""
    (trial,), (job,) = made.trials, made.jobs
    cluster, patient = session.cluster, Patience(say)
    for needed in made.objects:
        if needed is not job:
            patient(lambda needed=needed: _ensure(cluster, needed))  # type: ignore[misc]
    patient(lambda: cluster.create(job))
    say(f"{trial.id}: Job {trial.job} in namespace {cluster.namespace}")
    state = _wait(cluster, session.name, trial.id, trial.job, say, sleep)
    if state.condition == "Failed":
        raise TrialsFailed(f"{trial.id}: failed this time: {state.reason}; see `kubectl logs job/{trial.job}`")
    result = _told(state, trial.id)
    if not result and session.mounted:
        result = store.read(folder(session.store_folder, trial.id, number), [trial]).trials[trial.id].result
    if not result:
        raise BadInput(
            f"{trial.id}: has a result, too long for a Pod's last words; it is in the result store, in "
            f"reproductions/{trial.id}/{number} (cluster.store in base.yaml says where this machine mounts that)"
        )
    cluster.delete("Job", trial.job)
    return result


def _ensure(cluster: Cluster, made: Object) -> None:
    """Create what is not there. Helm adopts it when the release comes back, by the annotations."""
    about = made["metadata"]
    if cluster.get(made["kind"], about["name"]) is None:
        release = about["labels"]["app.kubernetes.io/instance"]
        owner = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": cluster.namespace}
        cluster.create(made | {"metadata": about | {"annotations": about.get("annotations", {}) | owner}})


def _wait(
    cluster: Cluster, sweep: str, trial: str, name: str, say: Say, sleep: Callable[[float], None]
) -> states.JobState:
    patient, told = Patience(say), ""
    while True:
        job = patient(lambda: cluster.get("Job", name))
        if job is None:
            raise TrialsFailed(f"{trial}: Job {name} was deleted by somebody; run the same again")
        pods = patient(lambda: cluster.list("Pod", states.trials_of(sweep, [trial])))
        state = patient(lambda job=job, pods=pods: states.explained(cluster, [job], pods))[name]  # type: ignore[misc]
        if state.finished:
            return state
        if state.stuck:
            raise TrialsFailed(f"{trial}: Job {name} has no Pod for a minute; delete it, and run the same again")
        said = state.reason or state.condition.lower()
        if said != told:
            say(f"{trial}: {said}")
            told = said
        sleep(LOOK_SECONDS)


def _told(state: states.JobState, trial: str) -> dict[str, Any] | None:
    """The result in the Pod's last words, None if there is none."""
    try:
        found = json.loads(state.message)
    except ValueError:
        return None
    return found if isinstance(found, dict) and not store.flaw(found, trial) else None
