"""The helm releases of a sweep: one, or `shards` of them; who holds one; installing and uninstalling.

A release that a killed helm has left `pending-*` blocks every later helm call. Ours carry the host and pid of the helm
process as labels, so a dead one is told from one at work (docs/decisions/helm-in-trouble.md).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep import helm, plan, yamlfile
from sweep.engines import states
from sweep.engines.cluster import Cluster
from sweep.engines.patience import Patience
from sweep.errors import BadInput
from sweep.files import write_atomic
from sweep.records import same
from sweep.render import Object, Release, Trial, container_of

HOST_LABEL, PID_LABEL = "helm-sweep/host", "helm-sweep/pid"
ABANDONED_SECONDS = 300
"""A pending release of another machine counts as abandoned after this."""
UNINSTALLING = "uninstalling"
"""Status of a release that `helm uninstall` has begun with."""
HISTORY = 3
"""Revisions that helm keeps; each is up to a megabyte of Secret."""
FULLEST = 0.95
"""Share of the Secret's limit that a release may take by our estimate, which is within a few per cent."""
_HELD = re.compile(r"another operation .* is in progress|sh\.helm\.release\.v1\.\S+ already exists", re.I)


class ReleaseHeld(BadInput):
    """Somebody else is at work on the release."""


def names(sweep: str, shards: int) -> list[str]:
    """Names of a sweep's releases."""
    return [sweep] if shards == 1 else [f"{sweep}-{shard}" for shard in range(shards)]


def shard_of(trial: str, shards: int) -> int:
    """The shard of a trial id: an edit of the list never moves a trial."""
    return int(trial[:2], 16) % shards


def shard_lines(trials: Sequence[Trial], lines: Sequence[Mapping[str, Any]], shards: int) -> list[list[dict[str, Any]]]:
    """Per shard the `trials` that its release gets; `lines` as in values.yaml, in the order of `trials`.

    Hyperparameters are taken from the rendered identity: helm has read those, and may read YAML in other ways. What is
    null in a line is no more in there.
    """
    parts: list[list[dict[str, Any]]] = [[] for _ in range(shards)]
    for trial, line in zip(trials, lines, strict=True):
        own = {key: value for key, value in line.items() if key in same.ASKED}
        nulls = {key: None for key, value in line.items() if value is None}
        seed = {"seed": trial.identity["seed"]} if "seed" in line else {}
        parts[shard_of(trial.id, shards)].append(nulls | trial.identity["hyperparameters"] | seed | own)
    return parts


def write_shards(folder: Path, shards: Sequence[Sequence[Mapping[str, Any]]]) -> list[Path]:
    """A values file per shard that replaces `trials`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, lines in enumerate(shards):
        path = folder / f"{number}.yaml"
        text = ",\n".join(map(yamlfile.flow, lines))
        write_atomic(path, f"# The trials of one shard. Generated; not committed.\ntrials: [\n{text}\n]\n")
        written.append(path)
    return written


def sizes(releases: Sequence[Release], chart: Path) -> list[int]:
    """About how many bytes of Secret each release takes."""
    return [
        plan.release_bytes(
            part.rendered, chart, {path.name: yamlfile.read_text(path, str(path)) for path in part.values}
        )
        for part in releases
    ]


def check_size(sweep: str, sizes: Sequence[int], shards: int) -> None:
    """Raise BadInput where a release will not fit into its Secret, with the number of shards that will do."""
    largest = max(sizes)
    if largest > FULLEST * helm.SECRET_LIMIT_BYTES:
        needed = -(-sum(sizes) // int(0.8 * helm.SECRET_LIMIT_BYTES))
        raise BadInput(
            f"values/{sweep}/values.yaml: shards: a helm release would take about {largest:,} bytes and a Secret holds "
            f"{helm.SECRET_LIMIT_BYTES:,}; write `shards: {max(needed, shards + 1)}`"
        )


# ---- what the cluster has ----


def provenances(cluster: Cluster, sweep: str) -> dict[str, dict[str, Any]]:
    """Release name -> what its provenance says, of all releases that the sweep has on the cluster."""
    records = {}
    for item in cluster.list("ConfigMap", f"{states.SWEEP_LABEL}={sweep}"):
        if item.get("data") and "provenance.json" in item["data"]:
            records[item["metadata"]["labels"]["app.kubernetes.io/instance"]] = json.loads(
                item["data"]["provenance.json"]
            )
    return records


def pending(cluster: Cluster, release: str) -> Object | None:
    """Metadata of the Secret of a release that helm has begun and not finished."""
    wanted = f"owner=helm,name={release},status in (pending-install,pending-upgrade,pending-rollback,{UNINSTALLING})"
    secrets = cluster.list("Secret", wanted, brief=True)
    return secrets[-1] if secrets else None


def holder(secret: Object, now: float) -> str:
    """Who holds a pending release, for people; "" if nobody does any more."""
    labels = secret["metadata"]["labels"]
    host, pid = labels.get(HOST_LABEL, ""), labels.get(PID_LABEL, "")
    age = now - states.seconds(secret["metadata"]["creationTimestamp"])
    if labels["status"] == UNINSTALLING:  # helm has changed the Secret of the last install, whose host and pid it keeps
        host, pid, age = "", "", now - float(labels.get("modifiedAt") or 0)
    if host == _host() and pid.isdigit():
        return f"process {pid} of this machine" if _alive(int(pid)) else ""
    if age > ABANDONED_SECONDS:
        return ""
    return f"{host or 'somebody'}, since {age:.0f} s"


def abandoned(cluster: Cluster, release: str) -> Object | None:
    """The Secret of a release whose helm is dead, None if all helms have ended well. Raises ReleaseHeld."""
    secret = pending(cluster, release)
    who = holder(secret, cluster.now()) if secret else ""
    if who:
        raise ReleaseHeld(f"{release}: is being submitted or removed by {who}; wait for it, or stop it there")
    return secret


def free(cluster: Cluster, release: str, say: Callable[[str], None]) -> None:
    """Delete the Secret of a release whose helm is dead, so that the next one can go on. Raises ReleaseHeld."""
    secret = abandoned(cluster, release)
    if secret:
        say(f"{release}: an earlier helm was cut off; going on from there")
        cluster.delete("Secret", secret["metadata"]["name"])


# ---- changing it ----


def install(cluster: Cluster, release: Release, chart: Path, root: Path, say: Callable[[str], None]) -> None:
    """`helm upgrade --install` in `root`, with nothing that waits. Raises ReleaseHeld, BadInput, Unreachable."""
    free(cluster, release.name, say)
    sources = helm.sources(chart, release.values, root)
    words = ["upgrade", "--install", release.name, *sources, f"--history-max={HISTORY}", *_at(cluster)]
    # A shell that becomes helm knows helm's pid before helm starts.
    labels = f"{HOST_LABEL}={_host()},{PID_LABEL}=$$"
    try:
        become = f'exec {shlex.quote(helm.binary())} "$@" --labels "{labels}"'
        helm.run_program("sh", "-c", become, "sh", *words, folder=root)
    except BadInput as error:
        if not _HELD.search(str(error)):
            raise
        secret = pending(cluster, release.name)
        who = secret and holder(secret, cluster.now())
        raise ReleaseHeld(f"{release.name}: is being submitted by {who or 'somebody else'}; wait for it") from error


def uninstall(cluster: Cluster, name: str, say: Callable[[str], None]) -> bool:
    """`helm uninstall`; False if there was no such release. Raises ReleaseHeld.

    Where an upgrade was cut off, objects of two revisions are there and helm removes those of the last.
    """
    begun = pending(cluster, name)
    if begun and begun["metadata"]["labels"]["status"] != UNINSTALLING and abandoned(cluster, name):
        say(f"{name}: an earlier helm was cut off; what it left is removed too")
    if not cluster.list("Secret", f"owner=helm,name={name}", brief=True):
        return False
    helm.run("uninstall", name, *_at(cluster))
    for kind in ("Job", "ConfigMap"):
        for left in cluster.list(kind, f"{states.SWEEP_LABEL},app.kubernetes.io/instance={name}", brief=True):
            cluster.delete(kind, left["metadata"]["name"])
    return True


def command(release: Release, chart: Path, root: Path, cluster: Cluster) -> str:
    """The same installation as a person would type it in the folder of the project."""
    return shlex.join(
        ["helm", "upgrade", "--install", release.name, *helm.sources(chart, release.values, root), *_at(cluster)]
    )


def _at(cluster: Cluster) -> list[str]:
    return [*(["--kube-context", cluster.context] if cluster.context else []), "--namespace", cluster.namespace]


def _host() -> str:
    """This machine's name as a label may hold it."""
    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname())[:63].strip("-") or "unnamed"


def _alive(pid: int) -> bool:
    """Whether this is a helm of ours at work: a pid may come back as something else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return f"{PID_LABEL}={pid}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True  # no /proc here


# ---- before anything is changed ----


def distinct(objects: Sequence[Object]) -> list[Object]:
    """Everything but Jobs, and one Job of each kind: Jobs differ in TRIAL and names alone, or else in kind."""
    kept: dict[str, Object] = {}
    for item in objects:
        text = json.dumps(item, sort_keys=True)
        if item["kind"] == "Job":
            (trial,) = (variable["value"] for variable in container_of(item)["env"] if variable["name"] == "TRIAL")
            text = json.dumps(item["spec"], sort_keys=True).replace(json.dumps(trial), "")
            text = text.replace(item["metadata"]["labels"][states.TRIAL_LABEL], "")
        kept.setdefault(text, item)
    return list(kept.values())


def try_out(cluster: Cluster, sweep: str, objects: Sequence[Object]) -> None:
    """Let the API judge one object of every kind without making it. Raises BadInput with its reason."""
    for item in objects:
        # Under a name of its own: a name that is taken would be all that the API has to say.
        tried = item | {"metadata": item["metadata"] | {"name": f"{sweep}-dry-run"}}
        try:
            cluster.create(tried, dry_run=True)
        except BadInput as error:
            raise BadInput(f"{item['kind']} {item['metadata']['name']}: the API refuses it: {error}") from error


def wait_gone(cluster: Cluster, sweep: str, say: Callable[[str], None], seconds: float = 600) -> None:
    """Wait until nothing of the sweep is being deleted: a Job that comes back under the name of a terminating one is
    never finished (kubernetes/kubernetes#142142). Raises BadInput when it takes longer than `seconds`."""
    begun, announced, patient = time.monotonic(), False, Patience(say)
    label = f"{states.SWEEP_LABEL}={sweep}"
    while True:
        left = [
            name
            for kind in ("Job", "Pod")
            for name in states.terminating(patient(lambda kind=kind: cluster.list(kind, label, brief=True)))  # type: ignore[misc]
        ]
        if not left:
            return
        if time.monotonic() - begun > seconds:
            raise BadInput(
                f"{sweep}: {len(left)} objects are still being deleted after {seconds:.0f} s, the first {left[0]}; its "
                "node may be gone: `kubectl get nodes`, then `kubectl delete pod --force` for Pods of a dead one"
            )
        if not announced:
            say(f"{sweep}: waiting for {len(left)} objects that are being deleted")
            announced = True
        time.sleep(1)
