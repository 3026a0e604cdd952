"""Submitting a sweep to a cluster: everything that can refuse is asked first, then helm is called, and called again
after whatever interrupted it. Each step may be killed; the same command finishes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweep import git
from sweep.engines import release, states
from sweep.engines.cluster import Cluster, Patience, Refused
from sweep.errors import BadInput
from sweep.render import Object
from sweep.session import Session

Say = Callable[[str], None]


def provenance(session: Session, allow_dirty: bool) -> dict[str, Any]:
    """Commit and author for <release>-provenance. Raises BadInput for uncommitted changes in what all sweeps share."""
    clone, files = session.files.clone, session.files
    dirty = git.dirty(clone.root, *clone.shared_sources)
    if dirty and not allow_dirty:
        more = f" and {len(dirty) - 1} more" if len(dirty) > 1 else ""
        raise BadInput(
            f"{dirty[0]}{more}: has uncommitted changes; commit them, or record them as such by ALLOW_DIRTY=1"
        )
    commit = git.head(clone.root)
    if not commit:
        raise BadInput("git: no commit yet; a result is traced to a commit, so make one")
    unsaved = git.dirty(clone.root, clone.relative(files.values), clone.relative(files.code))
    return {"commit": commit, "author": git.author(clone.root, commit), "dirty": bool(dirty or unsaved)}


def check_provenance(session: Session, provenance: Mapping[str, Any]) -> None:
    """Raise BadInput where what was rendered is not of the commit that it is said to come from."""
    session.rendered  # noqa: B018 - from here on nobody reads the files again
    clone, files = session.files.clone, session.files
    sources = [*clone.shared_sources, clone.relative(files.values), clone.relative(files.code)]
    if not provenance["dirty"] and git.differs(clone.root, provenance["commit"], *sources):
        raise BadInput(
            f"git: the files of {session.name} were changed, or another branch was checked out, while they were read; "
            "run the same again"
        )


def check(session: Session, *, takeover: bool, say: Say) -> None:
    """Everything that can be wrong, before anything is changed. Raises BadInput, Unreachable."""
    cluster, releases = session.cluster, session.releases
    release.check_size(session.name, release.sizes(releases, session.files.clone.chart), session.settings.shards)
    check_image(session, say)
    patient = Patience(say)
    known = patient(lambda: release.provenances(cluster, session.name))
    if not takeover:
        check_ancestors(session, known)
    check_shards(session, known, patient)
    of_others = [job for one in releases[1:] for job in one.rendered.jobs]
    objects = release.distinct([*releases[0].rendered.objects, *of_others])
    patient(lambda: release.try_out(cluster, session.name, objects))
    patient(lambda: check_pod(cluster, session, releases[0].rendered.jobs[0]))


def check_image(session: Session, say: Say) -> None:
    """Say how to pin an image that is named by its tag alone; `strict` has the chart refuse it."""
    image = session.settings.image
    if not image.digest:
        say(
            f"{session.name}: image {image.repository}:{image.tag} has no digest, so the tag may come to "
            "mean another image; `image: {digest: sha256:…}` in values/base.yaml pins it (docs/cluster.md: how)"
        )


def check_ancestors(session: Session, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise BadInput unless what runs on the cluster comes from a commit that HEAD contains."""
    root = session.files.clone.root
    for name, told in known.items():
        commit = str(told.get("commit") or "unknown")
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
                f"{name}: runs commit {commit[:12]} of {told.get('author') or 'somebody'}, {why}; "
                "merge it, or submit over it by TAKEOVER=1"
            )


def check_shards(session: Session, known: Mapping[str, Any], patient: Patience) -> None:
    """Raise BadInput where the number of shards was changed while Jobs run: a trial would be in two releases."""
    wanted = set(release.names(session.name, session.settings.shards))
    other = sorted(known.keys() - wanted)
    if not other:
        return
    alive = [one.trial for one in patient(session.job_states).values() if not one.finished]
    if alive:
        raise BadInput(
            f"{session.name}: shards: was changed while {len(alive)} trials have not finished; change it back, or "
            f"`make uninstall SWEEP={session.name}` first (results stay)"
        )
    raise BadInput(
        f"{session.name}: shards: was changed, and {', '.join(other)} is still installed; "
        f"`make uninstall SWEEP={session.name}` first (results stay)"
    )


def check_pod(cluster: Cluster, session: Session, job: Object) -> None:
    """Raise BadInput where the namespace will not have such a Pod: the API judges a Job without asking that."""
    template = job["spec"]["template"]
    about = {
        "name": f"{session.name}-dry-run",
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


def to_stop(session: Session, found: Mapping[str, states.JobState]) -> list[str]:
    """Running trials whose Job the submission would end, because its spec has changed or it is listed no more."""
    kept = {trial.job for trial in session.rendered.trials}
    return [one.trial for one in found.values() if one.condition == "Running" and one.name not in kept]


def install(session: Session, say: Say) -> None:
    """Call helm, release by release, once nothing of the sweep is being deleted."""
    patient = Patience(say)
    cluster, chart, root = session.cluster, session.files.clone.chart, session.files.clone.root
    release.wait_gone(cluster, session.name, say)
    for one in session.releases:
        say(f"{session.name}: {release.command(one, chart, root, cluster)}")
        patient(lambda one=one: release.install(cluster, one, chart, root, say))  # type: ignore[misc]
