"""Values files -> the objects that helm would install -> the trials they stand for.

The chart is the only place that computes ids and builds manifests; here they are only read back. The chart writes one
JSON value per top-level key, so reading 5,000 Jobs takes a JSON parser and no YAML.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep import helm, prices
from sweep.errors import BadInput

Object = dict[str, Any]
"""A Kubernetes object as plain JSON."""


@dataclass(frozen=True)
class Trial:
    """One trial as its rendered Job describes it."""

    id: str
    lineage: str
    identity: dict[str, Any]
    objective: Any
    """`{metric, direction}`, or a list of them."""
    limit_seconds: int
    gpus: int
    """On all its nodes together."""
    job: str
    """Name of its Job."""
    stop: Mapping[str, Any] | None = None
    """{group, rule} of the rule that may stop it; None for none."""

    @property
    def group(self) -> str:
        """Of the trials that it is compared with by a rule, "" without one."""
        return str(self.stop["group"]) if self.stop else ""


@dataclass(frozen=True)
class Rendered:
    """Everything helm would install for one release."""

    objects: list[Object]
    trials: list[Trial]
    """In the order of the values file; `jobs` in the same order."""

    @cached_property
    def jobs(self) -> list[Object]:
        return [item for item in self.objects if item["kind"] == "Job"]

    @cached_property
    def config_maps(self) -> dict[str, dict[str, str]]:
        """ConfigMap name -> its data."""
        return {item["metadata"]["name"]: item["data"] for item in self.objects if item["kind"] == "ConfigMap"}

    @cached_property
    def by_release(self) -> dict[str, Rendered]:
        """Name of a release -> what is of it, where several were rendered at once."""
        objects: dict[str, list[Object]] = {}
        for item in self.objects:
            objects.setdefault(item["metadata"]["labels"]["app.kubernetes.io/instance"], []).append(item)
        trials = {trial.job: trial for trial in self.trials}
        return {
            name: Rendered(own, [trials[item["metadata"]["name"]] for item in own if item["kind"] == "Job"])
            for name, own in objects.items()
        }

    @cached_property
    def price(self) -> prices.Price | None:
        """Of an hour of one GPU where this runs; None where the values name none."""
        records = (data["provenance.json"] for data in self.config_maps.values() if "provenance.json" in data)
        return prices.read(json.loads(next(records, "{}")).get("price"))


@dataclass(frozen=True)
class Release:
    """One release of a sweep and what helm gets for it."""

    name: str
    values: tuple[Path, ...]
    rendered: Rendered


def render(
    chart: Path, release: str, files: Sequence[Path], namespace: str = "default", root: Path | None = None
) -> Rendered:
    """Render the chart with `files` (later ones win). Raises BadInput with the chart's reason."""
    objects = list(read_manifest(helm.template(chart, release, files, namespace, root=root)))
    return Rendered(objects, [trial_of(item) for item in objects if item["kind"] == "Job"])


def read_manifest(manifest: str) -> Iterator[Object]:
    """The objects of a manifest of this chart: documents whose every line is `key: JSON` or `key: word`."""
    for document in manifest.split("\n---\n"):
        item: Object = {}
        for line in document.split("\n"):
            if line and not line.startswith(("#", "---")):
                key, _, value = line.partition(": ")
                item[key] = json.loads(value) if value.startswith(("{", "[", '"')) else {"true": True}.get(value, value)
        if item:
            yield item


def container_of(job: Object) -> dict[str, Any]:
    """The container `trial` of a Job."""
    container: dict[str, Any] = job["spec"]["template"]["spec"]["containers"][0]
    return container


def trial_json(job: Object) -> str:
    """The variable TRIAL as a Pod of `job` sees it, that is with `$$` undone."""
    for variable in container_of(job)["env"]:
        if variable["name"] == "TRIAL":
            value: str = variable["value"]
            return value.replace("$$", "$")
    raise BadInput(f"Job {job['metadata']['name']}: has no TRIAL; it was not rendered by this chart")


def trial_of(job: Object) -> Trial:
    """Read a trial back from its Job."""
    record = json.loads(trial_json(job))
    settings = dict(word.lstrip("-").split("=", 1) for word in container_of(job)["args"] if "=" in word)
    return Trial(
        id=record["id"],
        lineage=record["lineage"],
        identity=record["identity"],
        objective=record["objective"],
        limit_seconds=record["limit_seconds"],
        gpus=int(settings["gpus"]) * int(settings.get("nodes", 1)),
        job=job["metadata"]["name"],
        stop=record.get("stop"),
    )


def varying_names(trials: Sequence[Trial]) -> list[str]:
    """Names of the hyperparameters that differ between trials, in the order of the first trial."""
    seen: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.identity["hyperparameters"].items():
            seen.setdefault(name, set()).add(repr(value))
    everywhere = len(trials)
    return [
        name
        for name, values in seen.items()
        if len(values) > 1 or sum(name in trial.identity["hyperparameters"] for trial in trials) < everywhere
    ]
