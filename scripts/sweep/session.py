"""One sweep, opened: its settings, the engine it goes to, and the files that helm is given. Every verb starts here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep import helm, render, settings, yamlfile
from sweep.engines import environments, jobfiles, kubeconfig, release, states
from sweep.engines.cluster import Cluster
from sweep.errors import BadInput
from sweep.files import holds, write_atomic
from sweep.layout import Clone, SweepFiles, cache_dir
from sweep.records import results, store
from sweep.settings import Settings
from sweep.spaces import valuesfile

JobState = jobfiles.JobState | states.JobState
"""Of either engine."""
ENGINES = ("auto", "local", "cluster")


@dataclass(frozen=True)
class Target:
    """Where a person wants a sweep to run; what is left empty is decided by values/base.yaml."""

    engine: str = "auto"
    context: str = ""
    namespace: str = ""


@dataclass(frozen=True)
class Session:
    """A sweep and the engine that runs it. Rendering happens at the first use of `rendered`."""

    files: SweepFiles
    settings: Settings
    """What values/base.yaml and the head of the sweep's values.yaml set."""
    engine: str
    """local | cluster"""
    why: str
    """Why this engine, for people."""
    cluster: Cluster
    """Where the cluster engine submits; asked for nothing by the local one."""

    @property
    def name(self) -> str:
        return self.files.name

    @property
    def values_files(self) -> list[Path]:
        """What helm gets, in order: later files win."""
        clone, files = self.files.clone, self.files
        listed = [clone.base, files.code, files.values]
        if self.engine == "local":
            listed.append(files.local_values)
        return [path for path in [*listed, files.provenance] if clone.has(path)]

    @property
    def requirements(self) -> Path | None:
        """Lock file of the Python environment of local trials."""
        named = self.settings.local.requirements
        return self.files.clone.root / named if named else None

    @property
    def data_id(self) -> str:
        return self.settings.data.id

    @property
    def data_folder(self) -> Path | None:
        """Where the local engine finds the data set; None for a sweep without one."""
        volume = self.settings.data.volume
        if not volume:
            return None
        if volume.host_path:
            return Path(volume.host_path)
        return cache_dir() / "datasets" / (self.data_id.removeprefix("sha256:")[:16] or "unnamed")

    @property
    def code_folder(self) -> Path:
        """The folder that the sweep's code was frozen from."""
        clone, code = self.files.clone, self.files.code
        path, shown = self.settings.code.path, clone.relative(code)
        if not path and clone.has(code):
            path = yamlfile.parse(yamlfile.read_text(code, shown, clone.values), shown).said("code", "path")
        return clone.root / str(path or clone.trainer)

    @property
    def store_folder(self) -> Path:
        """The result store, where this machine has it: of a cluster's store that is not mounted here, the mirror."""
        if self.engine == "cluster":
            return Path(self.mounted) if self.mounted else self.files.mirror
        volume = self.settings.results.volume
        return Path(volume.host_path) if volume and volume.host_path else self.files.clone.store

    @property
    def mounted(self) -> str:
        """Where this machine mounts the cluster's result store; "" if it does not."""
        return self.settings.cluster.store

    @cached_property
    def rendered(self) -> render.Rendered:
        """What helm would install, read back. Raises BadInput with the place in the values file."""
        if self.settings.shards == 1 or self.engine == "local":
            return self._whole
        order = {trial.id: place for place, trial in enumerate(self._whole.trials)}
        found = [pair for one in self.releases for pair in zip(one.rendered.trials, one.rendered.jobs, strict=True)]
        found.sort(key=lambda pair: order[pair[0].id])
        rest = [made for one in self.releases for made in one.rendered.objects if made["kind"] != "Job"]
        return render.Rendered([*rest, *(job for _, job in found)], [trial for trial, _ in found])

    @cached_property
    def releases(self) -> list[release.Release]:
        """What helm is to install; those of several that have a trial. Their Jobs' names are their own."""
        if self.settings.shards == 1 or self.engine == "local":
            return [release.Release(self.name, tuple(self.values_files), self._whole)]
        lines = [line for _, line in sorted(valuesfile.load(self.files).trials(), key=lambda found: found[0])]
        shares = release.shard_lines(self._whole.trials, lines, self.settings.shards)
        paths = release.write_shards(self.files.shards, shares)
        made = []
        for name, path, share in zip(release.names(self.name, self.settings.shards), paths, shares, strict=True):
            if share:
                values = (*self.values_files, path)
                made.append(release.Release(name, values, self._render(name, values)))
        found = {trial.id for one in made for trial in one.rendered.trials}
        if found != {trial.id for trial in self._whole.trials}:
            raise BadInput(f"{self.name}: its shards do not render the same trials; please report this")
        return made

    @cached_property
    def _whole(self) -> render.Rendered:
        """The sweep as one release, which names its trials."""
        self.write_generated()
        return self._render(self.name, self.values_files)

    def _render(self, name: str, values: Sequence[Path]) -> render.Rendered:
        try:
            clone = self.files.clone
            return render.render(clone.chart, name, values, self.cluster.namespace, clone.root)
        except BadInput as error:
            raise BadInput(locate(str(error), self.files)) from error

    def job_states(self) -> Mapping[str, JobState]:
        """Job name -> state, of all Jobs the engine has of this sweep. Raises Unreachable."""
        if self.engine == "local":
            return jobfiles.read(self.files.jobs)
        return states.look(self.cluster, self.name)

    def look(self, jobs: Mapping[str, results.JobState] | None = None) -> tuple[list[results.Row], store.Snapshot]:
        """The table as of now, from results.csv, the Jobs and the result store; nothing is written."""
        trials = self.rendered.trials
        jobs = self.job_states() if jobs is None else jobs
        found = {trial.id: jobs[trial.job] for trial in trials if trial.job in jobs}
        snapshot = store.read(self.store_folder, trials, self.files.store_cache)
        return results.merge(results.read(self.files.results), trials, snapshot, found, self.engine), snapshot

    def reader_manifest(self, wanted: dict[str, Any]) -> str:
        """The Pod that reads the result store in the cluster."""
        _write(self.files.reader_values, "What a reader is asked for", {"reader": wanted})
        values = [*self.values_files, self.files.reader_values]
        name = release.names(self.name, self.settings.shards)[0]
        return self._template(name, values, "reader.yaml")

    def dataset_manifest(self, wanted: dict[str, Any]) -> str:
        """The Job that fills the data volume in the cluster."""
        _write(self.files.dataset_values, "How the data volume is to be filled", {"dataset": wanted})
        values = [*self.values_files, self.files.dataset_values]
        return self._template(self.name, values, "dataset.yaml")

    def _template(self, name: str, values: Sequence[Path], only: str) -> str:
        clone = self.files.clone
        return helm.template(clone.chart, name, values, self.cluster.namespace, only, clone.root)

    def write_generated(self) -> None:
        """The values files that only this machine knows: where the local engine has its volumes."""
        if self.engine == "local":
            self.files.out.mkdir(parents=True, exist_ok=True)
            _write(self.files.local_values, "Where the local engine has image and volumes", self._local_values())

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Where this submission comes from, as the chart's value `provenance`; the round of a search is added."""
        block = valuesfile.load(self.files).block
        told = provenance | ({"round": block.rounds} if block and block.rounds else {})
        _write(self.files.provenance, "Where this submission comes from", {"provenance": told})

    def _local_values(self) -> dict[str, Any]:
        elsewhere = {"nfs": None, "pvc": None}
        values: dict[str, Any] = {
            "image": {"repository": "local", "tag": "", "digest": environments.lock_digest(self.requirements)},
            "results": {"volume": elsewhere | {"hostPath": {"path": str(self.store_folder)}}},
        }
        schema = json.loads((self.files.clone.chart / "values.schema.json").read_text())
        if "isolate" in schema["properties"]["results"]["properties"]:  # not yet in a commit that is reproduced
            # All trials are the same user's processes: mounting only a part of the store would keep nobody out.
            values["results"]["isolate"] = False
        if self.data_folder:
            values["data"] = {"volume": elsewhere | {"hostPath": {"path": str(self.data_folder)}}}
        return values


def open_sweep(clone: Clone, name: str, target: Target | None = None) -> Session:
    """Open the sweep values/<name>. Raises BadInput for a bad name, an unknown sweep or unreadable values."""
    target = target or Target()
    files = clone.sweep(name)
    if not clone.has(files.values):
        raise BadInput(
            f"SWEEP={name}: no {clone.relative(files.values)}; "
            + (
                "`make sweep` expands space.yaml first"
                if clone.has(files.space)
                else f"`make new SWEEP={name}` starts one"
            )
        )
    head = valuesfile.load(files).head
    given = settings.read(clone.chart, valuesfile.base(clone), head)
    if given.sweep != name:
        raise head.bad(("sweep",), f"is not the name of the folder; write `sweep: {name}`")
    engine, why = choose_engine(target.engine, given)
    return Session(files, given, engine, why, choose_cluster(target, given))


def choose_engine(wanted: str, given: Settings) -> tuple[str, str]:
    """(engine, why). `auto` is the cluster only where cluster.context is kubectl's current context."""
    if wanted not in ENGINES:
        raise BadInput(f"ENGINE={wanted}: write one of {', '.join(ENGINES)}")
    if wanted != "auto":
        return wanted, f"ENGINE={wanted}"
    context = given.cluster.context
    if not context:
        return "local", "values/base.yaml names no cluster.context"
    current = kubeconfig.current_context()
    if current == context:
        return "cluster", f"kubectl's current context is {context}"
    return "local", f"kubectl's current context is {current or 'not set'}, not {context}"


def choose_cluster(target: Target, given: Settings) -> Cluster:
    """The namespace a sweep goes to: as told, else as base.yaml says, else as the kubeconfig's context does."""
    context = target.context or given.cluster.context
    namespace = target.namespace or given.cluster.namespace
    return Cluster(context, namespace or kubeconfig.namespace_of(context) or "default")


def locate(message: str, files: SweepFiles) -> str:
    """Put `file:line` before a reason of helm's that names a trial, or a key that one of the values files has."""
    values = valuesfile.load(files)
    trial = re.match(r"trials[.\[](\d+)", message)
    if trial:
        lines = sorted(line for line, _ in values.trials())
        return f"{values.shown}:{lines[int(trial[1])]}: {message}"
    lower = [path for path in (files.clone.base, files.code) if files.clone.has(path)]
    documents = [*(yamlfile.load(path, files.clone.relative(path)) for path in lower), values.head]
    return settings.locate(message, documents)


def _write(path: Path, what: str, values: dict[str, Any]) -> None:
    text = f"# {what}. Generated; not committed.\n{yamlfile.lines(values)}\n"
    if not holds(path, text.encode()):
        write_atomic(path, text)
