"""The result store of a cluster, brought here through the API alone: a short-lived Pod on the same volumes prints it.

What arrives is kept as a mirror of the store, `out/<sweep>/store`, and read from there like any other. Both sides
compare a trial by the fingerprint of its files, so only what has changed travels; a pass ends after some megabytes, so
memory is bounded and no log is rotated away. Where no Pod can be started, termination messages are what is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep import chartfiles
from sweep.engines import states, stream
from sweep.engines.cluster import Cluster, Refused
from sweep.errors import SweepError, Unreachable, naming
from sweep.files import write_atomic
from sweep.records import store, strict, verdicts
from sweep.records.attempt import NAME as ATTEMPT
from sweep.render import Object, Trial, read_manifest

PASS_BYTES = 4_000_000
"""Printed by one Pod: well below the 10 MiB at which kubelets rotate a log."""
PASS_TRIALS = 20_000
"""Arguments of one Pod: 420 kB of an object that may have 1.5 MB."""
STALE_SECONDS = 3600
"""A reader Pod that is older is nobody's any more: it may run for 15 minutes."""
START_SECONDS = 180
"""How long the Pod may take to start: its image lies on every node that ran a trial."""
PASS_SECONDS = 900
"""And how long to end, its start included."""
SIGNS = ("attempt.json", "result.json")
"""The files that make a trial's fingerprint, with those of verdicts."""
READER_LABEL = "helm-sweep/part=reader"
CONTAINER = "reader"


class NoReader(SweepError):
    """The Pod could not be started, with the reason."""


@dataclass
class Brought:
    """What a refresh has brought."""

    changed: int = 0
    """Trials that had changed."""
    unread: list[str] = field(default_factory=list)
    """What the Pod could not read, and why: the mirror keeps what it had of it."""


def refresh(
    cluster: Cluster, render: Callable[[dict[str, Any]], str], script: Path, mirror: Path, trials: Sequence[Trial]
) -> Brought:
    """Bring the mirror up to date for `trials`.

    `render` gives the manifest of the Pod for the chart's value `reader`; `script` is the program it runs. May be
    killed at any time: what has arrived stays. Raises NoReader, Unreachable.
    """
    fingerprint = chartfiles.module(script).fingerprint
    for pod in cluster.list("Pod", f"{READER_LABEL},app.kubernetes.io/name=helm-sweep", brief=True):
        if cluster.now() - states.seconds(pod["metadata"]["creationTimestamp"]) > STALE_SECONDS:
            cluster.delete("Pod", pod["metadata"]["name"], grace_seconds=0)
    begun, brought, waiting = list[float](), Brought(), [trial.id for trial in trials]
    while waiting:
        asked = waiting[:PASS_TRIALS]
        known = [f"{trial}:{fingerprint(str(mirror), trial)}" for trial in asked]
        (pod,) = read_manifest(render({"bytes": PASS_BYTES, "known": known}))
        wanted = set(asked)
        for record in _pass(cluster, pod):
            if "trial" in record:
                if record["trial"] not in wanted:
                    raise Unreachable(f"reader: it told of {record['trial']}, which nobody asked for; try again")
                keep(store.folder(mirror, record["trial"]), record)
                brought.changed += 1
            else:
                if record["left"] >= len(asked):
                    raise Unreachable("reader: its Pod looked at no trial; try again")
                waiting = waiting[len(asked) - record["left"] :]
                brought.unread += record["unread"]
                begun.append(record["now"])
    (mirror / "trials").mkdir(parents=True, exist_ok=True)
    path = mirror / store.LOOKED
    write_atomic(path, "")
    looked = min(begun, default=cluster.now())  # by the Pod's clock: this machine's may be hours away from the store's
    with naming(path):
        os.utime(path, (looked, looked), follow_symlinks=False)
    return brought


def from_messages(pods: Iterable[Object], mirror: Path, trials: Sequence[Trial]) -> int:
    """Keep the results that small enough trials leave as their Pod's last message; the number of new ones."""
    there = store.read(mirror, trials).trials
    wanted = {trial.id: trial for trial in trials if not there[trial.id].result}
    kept = 0
    for pod in pods:
        trial = wanted.get(pod["metadata"]["labels"].get(states.TRIAL_LABEL, ""))
        message = states.last_words(pod)
        try:
            result = strict.parse_object(message.encode())
        except ValueError:
            continue
        name = verdicts.name_of(trial.group) if trial and "verdict" in result else "result.json"
        if trial and not store.flaw(result, trial, name) and ATTEMPT.fullmatch(result["attempt"]):
            folder = store.folder(mirror, trial.id)
            record = json.dumps(_vouched_for(result, trial, pod))
            write_atomic(folder / "attempts" / result["attempt"] / "attempt.json", record)
            write_atomic(folder / name, message)
            del wanted[trial.id]
            kept += 1
    return kept


def _vouched_for(result: dict[str, Any], trial: Trial, pod: Object) -> dict[str, Any]:
    """The attempt that backs a result found in a Pod's last words, as far as one can tell: what vouches for it is the
    Pod's label, which the chart sets and nobody in the Pod can.
    """
    environment = result["environment"]
    claims = {name: result.get(name) for name in ("id", "attempt", "status", "started_at", "finished_at", "used_s")}
    place = {name: environment.get(name) for name in ("engine", "node")} | {"pod": pod["metadata"]["name"]}
    return {"schema_version": store.SCHEMA_VERSION, **claims, **place, "exit_code": 0, "gpus": trial.gpus}


def _pass(cluster: Cluster, pod: Object) -> Iterator[dict[str, Any]]:
    """Run one Pod: its records, and last of all what it left."""
    with running(cluster, pod, until="Succeeded") as name:
        yield from stream.parse(cluster.log(name, CONTAINER))


@contextlib.contextmanager
def running(cluster: Cluster, pod: Object, *, until: str = "Running") -> Iterator[str]:
    """Name of a Pod on the store, in the phase `until`; it is deleted afterwards. Raises NoReader, Unreachable."""
    owner = cluster.get("ConfigMap", pod["metadata"]["generateName"].removesuffix("reader-") + "provenance")
    if owner:  # goes with the release, should this process die
        about = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"]}
        pod["metadata"]["ownerReferences"] = [about | {"uid": owner["metadata"]["uid"]}]
    try:
        name = cluster.create(pod)["metadata"]["name"]
    except Refused as error:
        raise NoReader(str(error)) from error
    try:
        _wait(cluster, name, until)
        yield name
    except Refused as error:
        if error.status != 404:
            raise
        raise Unreachable("reader: somebody deleted its Pod; try again") from error
    finally:
        cluster.delete("Pod", name, grace_seconds=0)


def _wait(cluster: Cluster, name: str, until: str) -> None:
    """Until the Pod is in a phase. Raises NoReader when it fails or does not start in time."""
    begun, delay = time.monotonic(), 0.2
    while True:
        if time.monotonic() - begun > PASS_SECONDS:
            raise NoReader(f"its Pod has not ended in {PASS_SECONDS} s")
        pod = cluster.get("Pod", name)
        if not pod:
            raise NoReader("its Pod was deleted")
        phase = pod["status"].get("phase")
        if phase == until:
            return
        if phase in ("Failed", "Succeeded"):
            raise NoReader(states.pod_end(pod, CONTAINER))
        if phase != "Running":
            cause, reason = states.waiting(pod, {})
            if cause in ("image", "config"):
                raise NoReader(f"{cause}: {reason}")
            if time.monotonic() - begun > START_SECONDS:
                raise NoReader(f"its Pod has not started in {START_SECONDS} s: {reason or cause}")
        time.sleep(delay)
        delay = min(2.0, delay * 1.3)


def keep(folder: Path, record: dict[str, Any]) -> None:
    """Make the mirror's folder of a trial hold exactly what the record (of stream.parse) tells, with the store's times:
    all or nothing, so that a fingerprint stands for the files that it does not cover too. Logs of older attempts, told
    before, stay.
    """
    fresh, old = (folder.with_name(f".{folder.name}.{word}") for word in ("new", "old"))
    for left in (fresh, old):
        _remove(left)
    fresh.mkdir(parents=True)
    for attempt in record["attempts"]:
        (fresh / "attempts" / attempt).mkdir(parents=True)
        log = Path("attempts", attempt, "output.log")
        there = Path(os.path.realpath(folder / log))
        if there.is_file() and there.is_relative_to(os.path.realpath(folder.parents[2])):  # no link out of the mirror
            shutil.copy2(folder / log, fresh / log)
    for name, file in record["files"].items():
        path = fresh / name
        with naming(path):
            path.write_bytes(file["data"])
        # Too large to have come whole, so none of ours: its size says it here too.
        if path.name in SIGNS or verdicts.FILE.fullmatch(path.name):
            os.truncate(path, file["size"])
        os.utime(path, ns=(file["mtime_ns"], file["mtime_ns"]))
    if os.path.lexists(folder):
        folder.rename(old)
    fresh.rename(folder)
    _remove(old)


def _remove(path: Path) -> None:
    """Remove a folder that may be gone already, or what somebody put in its place: rmtree would wait for a FIFO."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
