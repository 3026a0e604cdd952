"""A namespace of a cluster that lies in a file: what verbs ask of one, answered as the API does, without a server."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sweep.engines.cluster import Cluster
from sweep.layout import Clone
from sweep.render import Object, Trial
from tests.unit.kube_objects import at, job, pod
from tests.unit.stores import put_attempt, put_result

open_file = io.open
"""As it is before a fault stands before it."""


def contents(trials: list[Trial], store: Path) -> list[Object]:
    """What a sweep that has run leaves there: the first trial succeeded, the others failed. Fills `store` likewise."""
    about = {"labels": {"helm-sweep/sweep": "toy", "app.kubernetes.io/instance": "toy"}}
    objects: list[Object] = [
        {"kind": "Secret", "metadata": {"name": "release", "labels": {"owner": "helm", "name": "toy"}}},
        {"kind": "ConfigMap", "metadata": about | {"name": "toy-provenance", "uid": "u1"}, "data": {}},
    ]
    for trial in trials:
        good = trial is trials[0]
        if good:
            put_result(store, trial, metrics={trial.objective["metric"]: 1.0})
        else:
            put_attempt(store, trial, status="failed", reason="a bad value")
        end = ("Complete", "CompletionsReached", "…") if good else ("Failed", "PodFailurePolicy", "…")
        of_trial = job(end, name=trial.job, trial=trial.id)
        of_pod = pod("Succeeded" if good else "Failed", name=f"{trial.job}-p", job=of_trial)
        of_pod["metadata"]["labels"]["helm-sweep/sweep"] = "toy"
        objects += [{"kind": "Job"} | of_trial, {"kind": "Pod"} | of_pod]
    return objects


class Namespace(Cluster):
    """Objects as JSON in a file beside the project; a reader Pod has succeeded as soon as it is created."""

    file: Path
    store: Path

    def _objects(self) -> list[Object]:
        with open_file(str(self.file)) as opened:
            objects: list[Object] = json.load(opened)
        return objects

    def _keep(self, objects: list[Object]) -> None:
        with open_file(str(self.file), "w") as opened:
            json.dump(objects, opened)

    def version(self) -> str:
        return "v1.37.2"

    def pages(self, kind: str, labels: str = "", fields: str = "", *, brief: bool = False) -> Iterator[Object]:
        del brief
        if "status in" in labels or fields:  # a release that a helm was cut off in, an event of a kind: there is none
            return
        words = [word.partition("=") for word in labels.partition(" in ")[0].split(",") if word]
        for item in self._objects():
            has = item["metadata"].get("labels", {})
            if item["kind"] == kind and all(
                has.get(key) == value if sign else key in has for key, sign, value in words
            ):
                yield item

    def list(self, kind: str, labels: str = "", fields: str = "", *, brief: bool = False) -> list[Object]:
        return [*self.pages(kind, labels, fields, brief=brief)]

    def get(self, kind: str, name: str) -> Object | None:
        return next(
            (item for item in self._objects() if (item["kind"], item["metadata"]["name"]) == (kind, name)), None
        )

    def create(self, item: Object, *, dry_run: bool = False) -> Object:
        if dry_run:
            return item
        about = {"name": "toy-reader-1", "creationTimestamp": at(0)} | item["metadata"]
        ended = {"status": {"phase": "Succeeded", "containerStatuses": []}}
        self._keep([*self._objects(), item | ended | {"metadata": about}])
        return {"metadata": about}

    def patch(self, kind: str, name: str, change: Object) -> Object:
        objects = self._objects()
        for item in objects:
            if (item["kind"], item["metadata"]["name"]) == (kind, name):
                item["spec"] = item.get("spec", {}) | change.get("spec", {})
        self._keep(objects)
        return {}

    def delete(self, kind: str, name: str, *, grace_seconds: int | None = None) -> None:
        del grace_seconds
        self._keep([item for item in self._objects() if (item["kind"], item["metadata"]["name"]) != (kind, name)])

    def log(self, pod: str, container: str, *, tail: int | None = None) -> Iterator[bytes]:
        """Of a reader: what its program prints of the store. Of a trial: a line."""
        del tail
        item = self.get("Pod", pod)
        if container != "reader" or not item:
            yield b"a line of the trial"
            return
        words = next(part["args"] for part in item["spec"]["containers"] if part["name"] == container)
        program = Clone.here().reader
        command = [sys.executable, "-I", "-S", os.fspath(program), os.fspath(self.store), *words[1:]]
        yield from subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
