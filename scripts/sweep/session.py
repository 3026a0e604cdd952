"""One sweep, opened: its settings, the engine it goes to, and the files that helm is given. Every verb starts here."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep import helm, limits, render, settings, yamlfile
from sweep.engines import kubeconfig, release
from sweep.engines.engine import Engine
from sweep.engines.engine import Target as Target
from sweep.engines.kinds import NAMES, named
from sweep.errors import BadInput
from sweep.jobs import HELD_BACK, JobState
from sweep.layout import Clone, SweepFiles
from sweep.records import results, store, superseded
from sweep.render import Release, Rendered, Trial
from sweep.settings import Settings
from sweep.spaces import spacefile, strangers, valuesfile
from sweep.spaces.valuesfile import ValuesFile
from sweep.tally import Tally


@dataclass(frozen=True)
class Session:
    """A sweep and the engine that runs it. Rendering happens at the first use of `rendered`, and once."""

    files: SweepFiles
    settings: Settings
    """What values/base.yaml and the head of the sweep's values.yaml set."""
    engine: Engine
    why: str
    """Why this engine, for people."""

    @property
    def name(self) -> str:
        return self.files.name

    def on(self, engine: str) -> Session:
        """The same sweep, on another engine."""
        return replace(self, engine=named(engine)(self.files, self.settings, Target()), why="")

    @property
    def values_files(self) -> list[Path]:
        """What helm gets, in order: later files win."""
        return self.values_with({})

    def values_with(self, drafts: Mapping[Path, Path]) -> list[Path]:
        """The same with drafts, by the file that each stands in for, whether that is there or not."""
        clone, files = self.files.clone, self.files
        own = [files.engine_values(self.engine.NAME)] if self.engine.values else []
        listed = [clone.base, files.code, files.values, *own, files.provenance]
        return [drafts.get(path, path) for path in listed if path in drafts or clone.has(path)]

    @property
    def code_folder(self) -> Path:
        """The folder that the sweep's code was frozen from."""
        clone, code = self.files.clone, self.files.code
        path, shown = self.settings.code.path, clone.relative(code)
        if not path and clone.has(code):
            path = yamlfile.parse(yamlfile.read_text(code, shown, clone.values), shown).value("code", "path")
        return clone.root / str(path or clone.code)

    @cached_property
    def rendered(self) -> Rendered:
        """What helm would install, read back. Raises BadInput with the place in the values file."""
        self.write_generated()
        names = release.names(self.name, self.engine.shards)
        if len(names) == 1 or not self._renders_releases:  # the ids are the same
            return self.render(self.name, self.values_files)
        yamlfile.write_generated(self.files.releases, "The releases that are rendered at once", {"releases": names})
        return self.render(self.name, [*self.values_files, self.files.releases])

    @cached_property
    def _renders_releases(self) -> bool:
        """Whether the chart can render several releases at once: one of an old commit cannot."""
        return '"releases"' in (self.files.clone.chart / "values.schema.json").read_text()

    @cached_property
    def releases(self) -> list[Release]:
        """What helm is to install; those of several that have a trial, cut from the one render of all."""
        if self.engine.shards == 1:
            return [Release(self.name, tuple(self.values_files), self.rendered)]
        if not self._renders_releases:
            raise BadInput(
                "shards: the chart in this project is older than helm-sweep; replace chart/ by the one it has"
            )
        shares = release.shard_lines(self.rendered.trials, self.lines, self.engine.shards)
        paths = release.write_shards(self.files.shards, shares)
        names = release.names(self.name, self.engine.shards)
        parts = self.rendered.by_release
        return [
            Release(name, (*self.values_files, path), parts[name])
            for name, path, share in zip(names, paths, shares, strict=True)
            if share
        ]

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """The trials as values.yaml lists them, in the order of `rendered.trials`."""
        return [trial for _, trial in sorted(valuesfile.load(self.files).trials(), key=lambda pair: pair[0])]

    def render(self, name: str, values: Sequence[Path]) -> Rendered:
        """What helm makes of these values files as a release. Raises BadInput with the place in the sweep's own."""
        try:
            clone = self.files.clone
            return render.render(clone.chart, name, values, self.engine.namespace, clone.root)
        except BadInput as error:
            raise BadInput(locate(str(error), self.files, valuesfile.load(self.files))) from error

    def check_names(self) -> list[str]:
        """What is new in trials by hand, a line each. Raises BadInput for a hyperparameter that looks misspelt."""
        files = self.files
        space = spacefile.load(files) if files.clone.has(files.space) else None
        return strangers.notes(valuesfile.load(files), space, self.settings)

    def trial(self, beginning: str) -> Trial:
        """The one whose id begins so. Raises BadInput."""
        matches = [trial for trial in self.rendered.trials if trial.id.startswith(beginning)]
        if len(matches) != 1:
            what = f"{len(matches)} trials of {self.name} begin" if matches else f"no trial of {self.name} begins"
            raise BadInput(f"TRIAL={beginning}: {what} with this; `make status` lists the ids")
        return matches[0]

    def look(self, jobs: Mapping[str, JobState] | None = None) -> tuple[list[results.Row], store.Snapshot]:
        """The table as of now, from results.csv, the Jobs and the result store; nothing is written."""
        trials = self.rendered.trials
        jobs = self.engine.states() if jobs is None else jobs
        states = {trial.id: jobs[trial.job] for trial in trials if trial.job in jobs}
        snapshot = store.read(self.engine.store_folder, trials, self.files.store_cache)
        rows = results.merge(results.read_whole(self.files.results), trials, snapshot, states, self.engine.NAME)
        tally = Tally(self.settings, trials, rows, snapshot, self.engine.store_folder)
        reached = tally(jobs, self.engine.now()) if tally.limits else ""
        return results.with_reason(rows, f"{HELD_BACK}: {reached}") if reached else rows, snapshot

    def table(self, rows: Sequence[results.Row]) -> tuple[bytes, str]:
        """results.csv of the rows that a look gave, with those that it keeps; and what it has no room for."""
        trials = self.rendered.trials
        older = superseded.kept(results.read_whole(self.files.results), trials, rows)
        return superseded.to_csv(rows, older, results.objective_metrics(trials))

    def tally(self) -> Tally:
        """What the trials have come to and taken, by the store and results.csv as they are now."""
        if not limits.of(self.settings, {}):
            return Tally(self.settings, [], [], store.Snapshot({}, [], found=False), self.engine.store_folder)
        trials, folder = self.rendered.trials, self.engine.store_folder
        snapshot = store.read(folder, trials, self.files.store_cache)
        return Tally(self.settings, trials, results.read_whole(self.files.results), snapshot, folder)

    def reached(self) -> str:
        """Which limit of the sweep is reached by what the store and results.csv tell, without asking the engine."""
        return self.tally()({}, time.time())

    def manifest(self, template: str, wanted: Mapping[str, Any]) -> str:
        """What an engine needs and no release holds: the object of a template, by the chart's value of its name."""
        asked, clone = self.files.asked(template), self.files.clone
        yamlfile.write_generated(asked, f"What is asked of {template}.yaml", {template: dict(wanted)})
        name = release.names(self.name, self.engine.shards)[0]
        values = [*self.values_files, asked]
        return helm.template(clone.chart, name, values, self.engine.namespace, f"{template}.yaml", clone.root)

    def write_generated(self) -> None:
        """The values file that only this machine knows: what the engine adds."""
        if self.engine.values:
            self.files.out.mkdir(parents=True, exist_ok=True)
            path = self.files.engine_values(self.engine.NAME)
            yamlfile.write_generated(
                path, f"Where the {self.engine.NAME} engine has image and volumes", dict(self.engine.values)
            )

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Where this submission comes from, as the chart's value `provenance`; the round of a search is added."""
        block = valuesfile.load(self.files).block
        record = provenance | ({"round": block.rounds} if block and block.rounds else {})
        yamlfile.write_generated(self.files.provenance, "Where this submission comes from", {"provenance": record})


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
    return open_values(files, valuesfile.load(files), target)


def open_values(files: SweepFiles, values: ValuesFile, target: Target) -> Session:
    """Open a sweep whose values.yaml holds, or is to hold, these values. Raises BadInput."""
    given = settings.read(files.clone.chart, valuesfile.base(files.clone), values.head)
    if given.sweep != files.name:
        raise values.head.bad(("sweep",), f"is not the name of the folder; write `sweep: {files.name}`")
    engine, why = choose_engine(target.engine, given)
    return Session(files, given, named(engine)(files, given, target), why)


def choose_engine(wanted: str, given: Settings) -> tuple[str, str]:
    """(engine, why). `auto` is the cluster only where cluster.context is kubectl's current context."""
    if wanted not in ("auto", *NAMES):
        raise BadInput(f"ENGINE={wanted}: write one of auto, {', '.join(NAMES)}")
    if wanted != "auto":
        return wanted, f"ENGINE={wanted}"
    context = given.cluster.context
    if not context:
        return "local", "values/base.yaml names no cluster.context"
    current = kubeconfig.current_context()
    if current == context:
        return "cluster", f"kubectl's current context is {context}"
    return "local", f"kubectl's current context is {current or 'not set'}, not {context}"


def locate(message: str, files: SweepFiles, values: ValuesFile) -> str:
    """Put `file:line` before a reason of helm's that names a trial, or a key that one of the values files has."""
    trial = re.match(r"trials[.\[](\d+)", message)
    if trial:
        lines = sorted(line for line, _ in values.trials())
        return f"{values.shown}:{lines[int(trial[1])]}: {message}"
    lower = [path for path in (files.clone.base, files.code) if files.clone.has(path)]
    documents = [*(yamlfile.load(path, files.clone.relative(path)) for path in lower), values.head]
    return settings.locate(message, documents)
