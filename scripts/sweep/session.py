"""One sweep, opened: its settings, the engine it goes to, and the files that helm is given. Every verb starts here."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep import environments, local, render, results, store, valuesfile, yamlfile
from sweep.errors import BadInput
from sweep.files import write_atomic
from sweep.layout import Clone, SweepFiles, cache_dir

ENGINES = ("auto", "local", "cluster")


@dataclass(frozen=True)
class Session:
    """A sweep and the engine that runs it. Rendering happens at the first use of `rendered`."""

    files: SweepFiles
    settings: dict[str, Any]
    """values/base.yaml with the head of the sweep's values.yaml over it, as helm would merge them; no trials."""
    engine: str
    """local | cluster"""
    why: str
    """Why this engine, for people."""

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
        return [path for path in [*listed, files.provenance] if path.exists()]

    @property
    def values_text(self) -> dict[str, str]:
        """What the values files say, by name."""
        return {path.name: path.read_text() for path in self.values_files}

    @property
    def requirements(self) -> Path | None:
        """Lock file of the Python environment of local trials."""
        named = self.settings.get("local", {}).get("requirements")
        return self.files.clone.root / named if named else None

    @property
    def data_id(self) -> str:
        return str(self.settings.get("data", {}).get("id") or "")

    @property
    def data_folder(self) -> Path | None:
        """Where the local engine finds the data set; None for a sweep without one."""
        volume = self.settings.get("data", {}).get("volume")
        if not volume:
            return None
        if volume.get("hostPath"):
            return Path(volume["hostPath"]["path"])
        return cache_dir() / "datasets" / (self.data_id.removeprefix("sha256:")[:16] or "unnamed")

    @property
    def code_folder(self) -> Path:
        """The folder that the sweep's code was frozen from."""
        clone, code = self.files.clone, self.files.code
        path = self.settings.get("code", {}).get("path")
        if not path and code.exists():
            path = yamlfile.load(code, clone.relative(code)).data["code"].get("path")
        return clone.root / (path or clone.trainer)

    @property
    def store_folder(self) -> Path:
        """The result store, where this machine has it."""
        host_path = (self.settings.get("results", {}).get("volume") or {}).get("hostPath")
        return Path(host_path["path"]) if host_path else self.files.clone.store

    @cached_property
    def rendered(self) -> render.Rendered:
        """What helm would install, read back. Raises BadInput with the place in the values file."""
        self.write_generated()
        try:
            return render.render(self.files.clone.chart, self.name, self.values_files)
        except BadInput as error:
            raise BadInput(locate(str(error), self.files)) from error

    def look(self) -> tuple[list[results.Row], store.Snapshot]:
        """The table as of now, from results.csv, the Jobs and the result store; nothing is written."""
        trials = self.rendered.trials
        jobs = local.read_states(self.files.jobs) if self.engine == "local" else {}
        states = {trial.id: jobs[trial.job] for trial in trials if trial.job in jobs}
        snapshot = store.read(self.store_folder, trials, self.files.store_cache)
        return results.merge(results.read(self.files.results), trials, snapshot, states, self.engine), snapshot

    def write_generated(self) -> None:
        """The values files that only this machine knows: where the local engine has its volumes."""
        if self.engine == "local":
            self.files.out.mkdir(parents=True, exist_ok=True)
            _write(self.files.local_values, "Where the local engine has image and volumes", self._local_values())

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Where this submission comes from, as the chart's value `provenance`."""
        _write(self.files.provenance, "Where this submission comes from", {"provenance": provenance})

    def _local_values(self) -> dict[str, Any]:
        elsewhere = {"nfs": None, "pvc": None}
        values: dict[str, Any] = {
            "image": {"repository": "local", "tag": "", "digest": environments.lock_digest(self.requirements)},
            "results": {"volume": elsewhere | {"hostPath": {"path": str(self.store_folder)}}},
        }
        if self.data_folder:
            values["data"] = {"volume": elsewhere | {"hostPath": {"path": str(self.data_folder)}}}
        return values


def open_sweep(clone: Clone, name: str, engine: str = "auto") -> Session:
    """Open the sweep values/<name>. Raises BadInput for a bad name, an unknown sweep or unreadable values."""
    files = clone.sweep(name)
    if not files.values.exists():
        raise BadInput(
            f"SWEEP={name}: no {clone.relative(files.values)}; "
            + (
                "`make sweep` expands space.yaml first"
                if files.space.exists()
                else f"`make new SWEEP={name}` starts one"
            )
        )
    settings = merged(
        yamlfile.load(clone.base, clone.relative(clone.base)).data,
        valuesfile.load(files).head.data,
    )
    if settings.get("sweep") != name:
        raise BadInput(f"{clone.relative(files.values)}: sweep: is {settings.get('sweep')!r}; write `sweep: {name}`")
    return Session(files, settings, *choose_engine(engine, settings))


def choose_engine(wanted: str, settings: dict[str, Any]) -> tuple[str, str]:
    """(engine, why). `auto` is the cluster only where cluster.context is kubectl's current context."""
    if wanted not in ENGINES:
        raise BadInput(f"ENGINE={wanted}: write one of {', '.join(ENGINES)}")
    if wanted != "auto":
        return wanted, f"ENGINE={wanted}"
    context = (settings.get("cluster") or {}).get("context")
    if not context:
        return "local", "values/base.yaml names no cluster.context"
    current = current_context()
    if current == context:
        return "cluster", f"kubectl's current context is {context}"
    return "local", f"kubectl's current context is {current or 'not set'}, not {context}"


def current_context() -> str:
    """`current-context` of the first kubeconfig that has one; empty if there is none."""
    listed = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    for path in map(Path, listed.split(os.pathsep)):
        if path.is_file():
            current = yamlfile.load(path, str(path)).data.get("current-context")
            if current:
                return str(current)
    return ""


def merged(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """`upper` over `lower` as helm merges values files: maps key by key, all else replaced."""
    both = dict(lower)
    for key, value in upper.items():
        below = both.get(key)
        both[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def locate(message: str, files: SweepFiles) -> str:
    """Put `file:line` before a reason of helm's that names a key, where the sweep's values file or the base has it."""
    values = valuesfile.load(files)
    key = re.split(r"[: ]", message, maxsplit=1)[0]
    trial = re.match(r"trials[.\[](\d+)", key)
    if trial:
        lines = sorted(line for line, _ in values.trials())
        return f"{values.shown}:{lines[int(trial[1])]}: {message}"
    path = tuple(key.split("."))
    for document in (values.head, yamlfile.load(files.clone.base, files.clone.relative(files.clone.base))):
        if path[0] in document.data:
            return f"{document.where(*path)}: {message}"
    return f"{values.shown}: {message}"


def _write(path: Path, what: str, values: dict[str, Any]) -> None:
    text = f"# {what}. Generated; not committed.\n{json.dumps(values, indent=2)}\n"
    if not path.exists() or path.read_text() != text:
        write_atomic(path, text)
