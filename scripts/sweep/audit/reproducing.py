"""A trial once more, from its id alone: the same Job, but for its name and one variable that keeps its output apart."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from sweep import git
from sweep.audit.tracing import Trace
from sweep.engines import states
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.render import Object, Rendered, container_of, trial_of
from sweep.session import Session

VARIABLE = "REPRODUCTION"
"""The runner (chart/files/trial.py) knows it."""


@dataclass(frozen=True)
class Origin:
    """Where a trial's Job can be rendered again."""

    sweep: str
    commit: str


def origin(trace: Trace) -> Origin:
    """Raises BadInput for a trial without a result, or stopped early, or that no values file in Git lists."""
    if not trace.metrics:
        raise BadInput(f"TRIAL={trace.id}: has no result to compare with; `make retry` is for what failed")
    if trace.row and trace.row.status == "pruned":
        raise BadInput(
            f"TRIAL={trace.id}: was stopped early, so its metrics are not those of a whole training, and a "
            "reproduction is; `make trace` judges that verdict again, and without `stop` the sweep trains it whole"
        )
    if not trace.source:
        raise BadInput(f"TRIAL={trace.id}: in no values file of Git's history here; `git fetch` every branch")
    return Origin(trace.source.sweep, trace.source.commit)


def again(session: Session, trial: str, number: int) -> Rendered:
    """The Job of a trial and what it mounts. Raises BadInput where the session does not render it, or cannot."""
    jobs = [job for job in session.rendered.jobs if trial_of(job).id == trial]
    if not jobs:
        raise BadInput(
            f"TRIAL={trial}: its commit renders no such trial, so it ran with uncommitted changes or other values; "
            "`make trace` says what is known"
        )
    job = copy.deepcopy(jobs[0])
    job["metadata"]["name"] = f"{session.name}-{trial}{states.REPRODUCTION}{number}"
    container_of(job)["env"].append({"name": VARIABLE, "value": str(number)})
    _mount_its_own(job, f"reproductions/{trial}/{number}")
    needed = _needed(job)
    objects = [item for item in session.rendered.objects if item["metadata"]["name"] in needed]
    maps = [item["data"] for item in objects if item["kind"] == "ConfigMap"]
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


def provenance(clone: Clone, commit: str) -> dict[str, Any]:
    return {"commit": commit, "author": git.author(clone.root, commit), "dirty": False}
