"""One Job by itself on a cluster, without a release: a reproduction. Waits for its last words."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from sweep.engines import states
from sweep.engines.cluster import Cluster
from sweep.engines.patience import Patience
from sweep.errors import TrialsFailed
from sweep.jobs import JobState
from sweep.records import store
from sweep.render import Object, Rendered
from sweep.words import Say

FIRST_DELAY, LAST_DELAY = 0.5, 5.0
"""Seconds between two looks: short at first."""


def run(
    cluster: Cluster, sweep: str, rendered: Rendered, say: Say, sleep: Callable[[float], None] = time.sleep
) -> Object | None:
    """Submit the one Job and wait for its end; its result, if its last words have that.

    Raises TrialsFailed, BadInput, Unreachable.
    """
    (trial,), (job,) = rendered.trials, rendered.jobs
    patient = Patience(say)
    for needed in rendered.objects:
        if needed is not job:
            patient(lambda needed=needed: _ensure(cluster, needed))  # type: ignore[misc]
    patient(lambda: cluster.create(job))
    say(f"{trial.id}: Job {trial.job} in namespace {cluster.namespace}")
    state = _wait(cluster, sweep, trial.id, trial.job, say, sleep)
    if state.condition == "Failed":
        raise TrialsFailed(f"{trial.id}: failed this time: {state.reason}; see `kubectl logs job/{trial.job}`")
    return _result_in(state, trial.id)


def _ensure(cluster: Cluster, item: Object) -> None:
    """Create what is not there. Helm adopts it when the release comes back, by the annotations."""
    about = item["metadata"]
    if cluster.get(item["kind"], about["name"]) is None:
        release = about["labels"]["app.kubernetes.io/instance"]
        owner = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": cluster.namespace}
        cluster.create(item | {"metadata": about | {"annotations": about.get("annotations", {}) | owner}})


def _wait(cluster: Cluster, sweep: str, trial: str, name: str, say: Say, sleep: Callable[[float], None]) -> JobState:
    patient, last, delay = Patience(say), "", FIRST_DELAY
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
        news = state.reason or state.condition.lower()
        if news != last:
            say(f"{trial}: {news}")
            last = news
        sleep(delay)
        delay = min(LAST_DELAY, delay * 1.5)


def _result_in(state: JobState, trial: str) -> Object | None:
    """The result in the Pod's last words, None if there is none."""
    try:
        result = json.loads(state.message)
    except ValueError:
        return None
    return result if isinstance(result, dict) and not store.flaw(result, trial) else None
