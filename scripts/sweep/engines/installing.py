"""Submitting a sweep to a cluster: everything that can refuse is asked first, then helm is called, and called again
after whatever interrupted it. Each step may be killed; the same command finishes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep import git
from sweep.engines import release, states
from sweep.engines.cluster import Cluster, Refused
from sweep.engines.patience import Patience
from sweep.errors import BadInput
from sweep.jobs import JobState
from sweep.layout import Clone, SweepFiles
from sweep.render import Object, Release, Rendered
from sweep.settings import Image
from sweep.words import Say


def check(
    cluster: Cluster, files: SweepFiles, releases: Sequence[Release], shards: int, *, takeover: bool, say: Say
) -> None:
    """Everything that can be wrong, before anything is changed. Raises BadInput, Unreachable."""
    sweep, clone = files.name, files.clone
    release.check_size(sweep, release.sizes(releases, clone.chart), shards)
    patient = Patience(say)
    known = patient(lambda: release.provenances(cluster, sweep))
    if not takeover:
        check_ancestors(clone.root, known)
    check_shards(cluster, sweep, shards, known, patient)
    of_others = [job for other in releases[1:] for job in other.rendered.jobs]
    objects = release.distinct([*releases[0].rendered.objects, *of_others])
    patient(lambda: release.try_out(cluster, sweep, objects))
    patient(lambda: check_pod(cluster, sweep, releases[0].rendered.jobs[0]))


def check_image(sweep: str, image: Image, say: Say) -> None:
    """Say how to pin an image that is named by its tag alone; `strict` has the chart refuse it."""
    if not image.digest:
        say(
            f"{sweep}: image {image.repository}:{image.tag} has no digest, so the tag may come to "
            "mean another image; `image: {digest: sha256:…}` in values/base.yaml pins it (docs/cluster.md: how)"
        )


def check_ancestors(root: Path, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise BadInput unless what runs on the cluster comes from a commit that HEAD contains."""
    for name, provenance in known.items():
        commit = str(provenance.get("commit") or "unknown")
        if commit == "unknown":  # installed by plain helm
            continue
        contained = git.is_ancestor(root, commit, "HEAD")
        if not contained:
            why = (
                "which this clone does not have; `git pull` first"
                if contained is None
                else "which HEAD does not contain"
            )
            raise BadInput(
                f"{name}: runs commit {commit[:12]} of {provenance.get('author') or 'somebody'}, {why}; "
                "merge it, or submit over it by TAKEOVER=1"
            )


def check_shards(cluster: Cluster, sweep: str, shards: int, known: Mapping[str, Any], patient: Patience) -> None:
    """Raise BadInput where the number of shards was changed while Jobs run: a trial would be in two releases."""
    wanted = set(release.names(sweep, shards))
    other = sorted(known.keys() - wanted)
    if not other:
        return
    alive = [state.trial for state in patient(lambda: states.look(cluster, sweep)).values() if not state.finished]
    if alive:
        raise BadInput(
            f"{sweep}: shards: was changed while {len(alive)} trials have not finished; change it back, or "
            f"`make uninstall SWEEP={sweep}` first (results stay)"
        )
    raise BadInput(
        f"{sweep}: shards: was changed, and {', '.join(other)} is still installed; "
        f"`make uninstall SWEEP={sweep}` first (results stay)"
    )


def check_pod(cluster: Cluster, sweep: str, job: Object) -> None:
    """Raise BadInput where the namespace will not have such a Pod: the API judges a Job without asking that."""
    template = job["spec"]["template"]
    about = {
        "name": f"{sweep}-dry-run",
        "namespace": cluster.namespace,
        "labels": template["metadata"]["labels"],
    }
    try:
        cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"]}, dry_run=True)
    except Refused as error:
        text = str(error)
        if "exceeded quota" in text:
            return  # it waits its turn
        if "violates PodSecurity" in text:
            why = text.partition("violates PodSecurity")[2].strip()
            raise BadInput(
                f"namespace {cluster.namespace}: Pod Security does not admit these Pods: {why}; in a `restricted` "
                "namespace volumes are PVCs (docs/cluster.md has the YAML)"
            ) from error
        raise BadInput(f"namespace {cluster.namespace}: does not admit these Pods: {text}") from error


def to_stop(rendered: Rendered, states: Mapping[str, JobState]) -> list[str]:
    """Running trials whose Job the submission would end, because its spec has changed or it is listed no more."""
    kept = {trial.job for trial in rendered.trials}
    return [state.trial for state in states.values() if state.condition == "Running" and state.name not in kept]


def install(cluster: Cluster, sweep: str, releases: Sequence[Release], clone: Clone, say: Say) -> None:
    """Call helm, release by release, once nothing of the sweep is being deleted."""
    patient = Patience(say)
    release.wait_gone(cluster, sweep, say)
    for part in releases:
        say(f"{sweep}: {release.command(part, clone.chart, clone.root, cluster)}")
        patient(lambda part=part: release.install(cluster, part, clone.chart, clone.root, say))  # type: ignore[misc]
