"""The cluster engine: helm installs the Jobs, Kubernetes runs them, and the API tells where they stand."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import ClassVar, final

from sweep import yamlfile
from sweep.engines import dataset_job, installing, kueue, once, reader, release, serving, states, watching
from sweep.engines.cluster import Cluster, Refused
from sweep.engines.engine import Engine, Options, Person, Sweep, Target
from sweep.engines.patience import Patience
from sweep.errors import BadInput, Unreachable
from sweep.jobs import JobState
from sweep.layout import Clone, SweepFiles
from sweep.records import store
from sweep.records.artifacts import Here, Place
from sweep.render import Object, Release, Rendered, Trial, read_manifest
from sweep.settings import Settings
from sweep.words import Say, counted

NIGHT_SECONDS = 12 * 3600
"""Patience with a cluster that does not answer: a laptop that was closed over night goes on in the morning."""
NUMBERS = range(10**9, 10**10)
"""Of a reproduction, whose store nobody here may see: a number that no other has had."""


@final
@dataclass(frozen=True)
class ClusterEngine(Engine):
    """The Jobs of a sweep in one namespace of one cluster."""

    NAME: ClassVar[str] = "cluster"
    RUNS_ON: ClassVar[bool] = True
    FILLS_DATA: ClassVar[bool] = False

    files: SweepFiles
    settings: Settings
    target: Target

    @cached_property
    def cluster(self) -> Cluster:
        return Cluster(self.target.context_by(self.settings), self.namespace)

    @property
    def shards(self) -> int:
        return self.settings.shards

    # ---- what is on this machine ----

    @property
    def store_folder(self) -> Path:
        mounted = self.settings.cluster.store
        return Path(mounted) if mounted else self.files.mirror

    @property
    def has_store_here(self) -> bool:
        return bool(self.settings.cluster.store)

    def notes(self) -> list[str]:
        """About the queue, where it can be asked."""
        with suppress(Unreachable):
            return self._queue_notes()
        return []

    def _queue_notes(self) -> list[str]:
        note = kueue.check(self.cluster, self.settings.queue) if self.settings.queue else ""
        return [note] if note else []

    # ---- running ----

    def states(self) -> Mapping[str, JobState]:
        return states.look(self.cluster, self.files.name)

    def now(self) -> float:
        return self.cluster.now()

    def check(self, sweep: Sweep, options: Options, say: Say) -> None:
        releases = sweep.releases
        installing.check_image(sweep.name, self.settings.image, say)
        installing.check(self.cluster, self.files, releases, self.shards, takeover=options.takeover, say=say)
        for note in Patience(say)(self._queue_notes):
            say(f"{sweep.name}: {note}")

    def submit(self, sweep: Sweep, options: Options, person: Person) -> Mapping[str, JobState]:
        """Keep what is there, then install."""
        states = Patience(person.say)(self.states)
        ending = installing.to_stop(sweep.rendered, states)
        if ending:
            more = " …" if len(ending) > 5 else ""
            them = counted(len(ending), "running trial")
            person.confirm(f"{sweep.name}: this ends the Pods of {them}: {' '.join(ending[:5])}{more}")
        if any(state.condition == "Failed" for state in states.values()):
            self.fetch(sweep, person.say)  # before the Pods of failed Jobs go, and what they can tell with them
        releases = self._keeping_queues(sweep, person.say)
        installing.install(self.cluster, sweep.name, releases, self.files.clone, person.say)
        return {}

    def _keeping_queues(self, sweep: Sweep, say: Say) -> list[Release]:
        """The releases, with values for the Jobs whose queue or priority Kueue no longer lets change."""
        queue, priority = self.settings.queue, self.settings.priority
        jobs = Patience(say)(lambda: kueue.otherwise(self.cluster, states.trials_of(sweep.name), queue, priority))
        kept = kueue.kept(jobs, queue, priority)
        admitted = {trial.id: kept[trial.job] for trial in sweep.rendered.trials if trial.job in kept}
        if not admitted:
            return sweep.releases
        say(f"{sweep.name}: {counted(len(admitted), 'Job')} keep the queue or priority they have, as Kueue demands")
        path = self.files.admitted
        yamlfile.write_generated(path, "What Jobs that have started keep of their queue", {"admitted": admitted})
        return [replace(planned, values=(*planned.values, path)) for planned in sweep.releases]

    def looks(self, jobs: Sequence[str], say: Say) -> Iterator[Mapping[str, JobState]]:
        patient = Patience(say, NIGHT_SECONDS)
        for number, known in enumerate(watching.looks(self.cluster, self.files.name, jobs, patient)):
            if not number:
                say(f"{self.files.name}: watching {counted(len(jobs), 'trial')} in {self.namespace}")
            yield known

    def suspend(self, stop: bool, dry_run: bool, jobs: Collection[str] | None = None, why: str = "") -> int:
        """Set `suspend` of every Job that has not ended, or of those named."""
        if self.settings.queue:
            raise BadInput(
                "queue: Kueue decides when these Jobs run; hold its LocalQueue by `stopPolicy: HoldAndDrain`"
            )
        changed = 0
        for name, state in self.states().items():
            named = jobs is None or name in jobs
            if named and not state.finished and (state.condition == "Suspended") != stop:
                if not dry_run:
                    note = {"annotations": {states.HELD: why if stop and why else None}}
                    self.cluster.patch("Job", name, {"metadata": note, "spec": {"suspend": stop}})
                changed += 1
        return changed

    def installed(self, say: Say) -> list[str]:
        return sorted(Patience(say)(lambda: release.provenances(self.cluster, self.files.name)))

    def remove(self, say: Say) -> None:
        cluster, sweep, patient = self.cluster, self.files.name, Patience(say)
        for name in sorted({*self.installed(say), *release.names(sweep, self.shards)}):
            if patient(lambda name=name: release.uninstall(cluster, name, say)):  # type: ignore[misc]
                say(f"{sweep}: uninstalled release {name}")
        for pod in patient(lambda: cluster.list("Pod", f"{states.SWEEP_LABEL}={sweep},helm-sweep/part")):
            cluster.delete("Pod", pod["metadata"]["name"])

    # ---- what Jobs need, and what comes of them ----

    def fill_data(self, sweep: Sweep, words: Sequence[str], upload: Path | None, say: Say) -> None:
        """By a Job on the data volume; `upload`: a folder of this machine to make it from."""
        if not self.settings.data.id:
            say(f"{sweep.name}: needs no data set")
            return
        if upload and not upload.is_dir():
            raise BadInput(f"--upload {upload}: no such folder")
        wanted = {"upload": bool(upload), "words": [*words]}
        dataset_job.fill(self.cluster, list(read_manifest(sweep.manifest("dataset", wanted))), upload, say)

    def fetch(self, sweep: Sweep, say: Say) -> None:
        """Through a Pod that reads the store, or at least from what Pods left as their last words."""
        if self.has_store_here:
            return
        cluster, clone, mirror, trials = self.cluster, self.files.clone, self.files.mirror, sweep.rendered.trials
        patient = Patience(say)
        say(f"{sweep.name}: reading the result store in the cluster, through a Pod")
        try:
            brought = patient(
                lambda: reader.refresh(
                    cluster, lambda wanted: sweep.manifest("reader", wanted), clone.reader, mirror, trials
                )
            )
            say(f"{sweep.name}: {brought.changed} trials have changed in the result store")
            for problem in brought.unread:
                say(f"{sweep.name}: cannot be read in the cluster, and is left as it was: {problem}")
        except reader.NoReader as error:
            pods = patient(lambda: cluster.list("Pod", states.trials_of(sweep.name)))
            count = reader.from_messages(pods, mirror, trials)
            say(
                f"{sweep.name}: the result store cannot be read through the cluster ({error}); "
                f"{count} results came from the Pods' last words instead, without histories or failures"
            )

    @contextmanager
    def outputs(self, sweep: Sweep, say: Say, *, write: bool = False) -> Iterator[Place]:
        """Through a Pod, where the store is not mounted here."""
        if self.has_store_here:
            yield Here(self.store_folder)
            return
        say(f"{sweep.name}: reaching the result store in the cluster, through a Pod")
        (pod,) = read_manifest(sweep.manifest("reader", {"serve": "write" if write else "read"}))
        with reader.running(self.cluster, pod) as name, self.cluster.talk(name, reader.CONTAINER) as (send, line):
            yield serving.Channel(send, line)

    def log(self, trial: Trial, say: Say) -> Iterator[bytes] | None:
        """What the newest Pod prints; None where there is no Pod or it has printed nothing that is still there."""
        state = self.states().get(trial.job)
        for pod in reversed(state.pods if state else ()):
            try:
                lines = self.cluster.log(pod, "trial")
                first = next(lines, None)
            except Refused as error:
                say(f"{trial.id}: Pod {pod}: {error}")
                continue
            if first is not None:
                say(f"{trial.id}: Pod {pod}")
                return (line + b"\n" for line in chain([first], lines))
        return None

    # ---- once more ----

    def take_number(self, trial: str) -> int:
        return secrets.choice(NUMBERS)

    def run_once(self, sweep: Sweep, rendered: Rendered, number: int, say: Say) -> Object:
        (trial,) = rendered.trials
        result = once.run(self.cluster, sweep.name, rendered, say)
        if not result and self.has_store_here:
            folder = store.reproduction(self.store_folder, trial.id, number)
            result = store.read(folder, [trial]).trials[trial.id].result
        if not result:
            raise BadInput(
                f"{trial.id}: has a result, too long for a Pod's last words; it is in the result store, in "
                f"reproductions/{trial.id}/{number} (cluster.store in base.yaml says where this machine mounts that)"
            )
        self.cluster.delete("Job", trial.job)
        return result

    # ---- years later ----

    @classmethod
    def busy(cls, clone: Clone, opened: Sequence[ClusterEngine]) -> set[str]:
        """On the clusters whose store is mounted here: of the others nothing here can be garbage."""
        trials = set()
        for cluster in {engine.cluster: None for engine in opened if engine.has_store_here}:
            for job in cluster.list("Job", states.TRIAL_LABEL):
                ended = {
                    condition["type"]
                    for condition in job["status"].get("conditions", [])
                    if condition["status"] == "True"
                }
                if not ended & {"Complete", "Failed"}:
                    trials.add(job["metadata"]["labels"][states.TRIAL_LABEL])
        return trials


ENGINE = ClusterEngine
