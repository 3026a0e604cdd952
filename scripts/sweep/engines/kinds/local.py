"""The local engine: this machine. It renders with its own image and volumes, and a submission ends with its Jobs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, final

from sweep import failfast, leftovers, limits
from sweep.engines import environments, holding, jobfiles, linux, pod
from sweep.engines.engine import Engine, Options, Person, Sweep, Target
from sweep.engines.local import LocalRun, slots_for
from sweep.errors import BadInput, TrialsFailed
from sweep.files import open_handle
from sweep.jobs import JobState
from sweep.layout import Clone, SweepFiles, cache_dir
from sweep.records import outputs, results, store
from sweep.render import Object, Rendered, Trial
from sweep.settings import Settings
from sweep.tally import Tally
from sweep.words import Say, counted

LOOK_SECONDS = 1.0
"""Between two looks at what another process runs."""


@final
@dataclass(frozen=True)
class LocalEngine(Engine):
    """The Jobs of a sweep as processes of this machine."""

    NAME: ClassVar[str] = "local"
    RUNS_ON: ClassVar[bool] = False
    FILLS_DATA: ClassVar[bool] = True
    CANNOT: ClassVar[Mapping[str, str]] = {
        "stop": "the local engine is stopped by Ctrl-C, and `make sweep` goes on; this is for ENGINE=cluster",
        "uninstall": "the local engine installs nothing; this is for ENGINE=cluster",
    }

    files: SweepFiles
    settings: Settings
    target: Target

    # ---- what helm is given ----

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """Where this machine has image and volumes."""
        elsewhere = {"nfs": None, "pvc": None}
        values: dict[str, Any] = {
            "image": {"repository": "local", "tag": "", "digest": environments.lock_digest(self.requirements)},
            "results": {"volume": elsewhere | {"hostPath": {"path": str(self.store_folder)}}},
        }
        schema = json.loads((self.files.clone.chart / "values.schema.json").read_text())
        # A commit that is reproduced may have neither yet.
        if "byTrial" in schema["properties"]["image"]["properties"]:
            values["image"]["byTrial"] = False
        if "isolate" in schema["properties"]["results"]["properties"]:
            # All trials are the same user's processes: mounting only a part of the store would keep nobody out.
            values["results"]["isolate"] = False
        if "prices" in schema["properties"]:
            values["prices"] = None  # they are the cluster's
        if self.data_folder:
            values["data"] = {"volume": elsewhere | {"hostPath": {"path": str(self.data_folder)}}}
        return values

    # ---- what is on this machine ----

    @property
    def store_folder(self) -> Path:
        volume = self.settings.results.volume
        return Path(volume.host_path) if volume and volume.host_path else self.files.clone.store

    @property
    def has_store_here(self) -> bool:
        return True

    @property
    def data_folder(self) -> Path | None:
        """Where the data set is; None for a sweep without one."""
        data = self.settings.data
        if not data.volume:
            return None
        if data.volume.host_path:
            return Path(data.volume.host_path)
        return cache_dir() / "datasets" / (data.id.removeprefix("sha256:")[:16] or "unnamed")

    @property
    def requirements(self) -> Path | None:
        """Lock file of the trials' Python environment."""
        named = self.settings.local.requirements
        return self.files.clone.root / named if named else None

    def notes(self) -> list[str]:
        lock = self.requirements
        if not lock or environments.is_ready(lock):
            return []
        return [f"first installs {self.files.clone.relative(lock)}, once a machine"]

    def path(self) -> list[Path]:
        """What comes before the PATH of trials; made where it is missing."""
        return [environments.ensure(self.requirements)] if self.requirements else []

    # ---- running ----

    def states(self) -> Mapping[str, JobState]:
        return jobfiles.read(self.files.jobs, partial(holding.lives, self.store_folder))

    def check(self, sweep: Sweep, options: Options, say: Say) -> None:
        sweep.rendered  # noqa: B018 - refuses what the chart refuses
        self.check_data(f"`make dataset SWEEP={sweep.name}` fills it")

    def check_data(self, advice: str) -> None:
        data = self.data_folder
        if data and not data.is_dir():
            raise BadInput(f"data: {data} is not there; {advice}")

    def submit(self, sweep: Sweep, options: Options, person: Person) -> Mapping[str, JobState]:
        """Run what has no result yet, and return when all has ended. Raises TrialsFailed where some is held back."""
        rendered, folder = sweep.rendered, self.store_folder
        folder.mkdir(parents=True, exist_ok=True)
        if not linux.is_here():
            person.say(f"{sweep.name}: {linux.LACKING}")
        with holding.only_one(self.files.jobs, sweep.name, person.say):
            watcher = person.watcher()
            snapshot = store.read(folder, rendered.trials, self.files.store_cache)
            done = {trial for trial, stored in snapshot.trials.items() if stored.result}
            tally = Tally(self.settings, rendered.trials, results.read_whole(self.files.results), snapshot, folder)
            gpus = max((trial.gpus for trial in rendered.trials if trial.id not in done), default=0)
            places = slots_for(gpus, options.slots, self.settings.nodes)
            path = self.path()
            run = LocalRun(
                rendered,
                self.files.jobs,
                places,
                path,
                done=done,
                on_tick=watcher,
                say=lambda text: watcher.say(f"{sweep.name}: {text}"),
                store=folder,
                fail_fast=self.settings.failFast,
                meanwhile=options.meanwhile,
                enough=(lambda states: tally(states, self.now())) if tally.limits else None,
            )
            to_run = sum(not state.finished for state in run.states.values())
            if to_run and not tally(run.states, self.now()):
                kind = "GPU slots" if places[0] else "cores, one thread each"
                person.say(f"{sweep.name}: running {counted(to_run, 'Job')} as local processes on {len(places)} {kind}")
            with watcher:
                states = run.run()
        _tell_held(sweep.name, run, states, person.say)
        return states

    def has_queue(self) -> bool:
        return holding.is_held(self.files.jobs)

    def looks(self, jobs: Sequence[str], say: Say) -> Iterator[Mapping[str, JobState]]:
        """What another process runs here. Raises BadInput where none does, and TrialsFailed where it ends too early."""
        name, running = self.files.name, True
        for look in count():
            running = holding.is_held(self.files.jobs)  # asked first: what ends after that is seen by the next look
            known = {job: state for job, state in self.states().items() if job in jobs}
            if not look and running:
                say(f"{name}: watching {counted(len(jobs), 'trial')} on this machine")
            over = len(known) == len(jobs) and all(state.finished for state in known.values())
            if not (running or over or look):
                raise BadInput(f"{name}: nothing runs it on this machine now; `make sweep SWEEP={name}` goes on")
            yield known
            if over:
                return
            if not running:
                raise TrialsFailed(
                    f"{name}: what ran it has ended before its trials; `make sweep SWEEP={name}` goes on"
                )
            time.sleep(LOOK_SECONDS)

    # ---- what Jobs need, and what comes of them ----

    def fill_data(self, sweep: Sweep, words: Sequence[str], upload: Path | None, say: Say) -> None:
        """Run data.prepare in the folder of the code with DATA_DIR and DATA_ID; it leaves a complete data set alone.

        Its environment is that of a trial, and not the person's.
        """
        data, folder = self.settings.data, self.data_folder
        if not folder:
            say(f"{sweep.name}: needs no data set")
            return
        if not data.prepare and folder.is_dir():
            return  # put there by hand
        if not data.prepare:
            raise BadInput(f"data.prepare: is not set; put the data set {data.id} into {folder} by hand")
        given = self.settings.env
        env = pod.environment(given, self.path()) | {"DATA_ID": data.id}
        folder.mkdir(parents=True, exist_ok=True)
        program = self.files.clone.chart / "files" / "prepare.py"  # as in the Pod of a cluster
        with leftovers.scratch() as scratch:
            options = [f"--data={folder}", f"--scratch={scratch}", *(f"--given={name}" for name in given)]
            call = [sys.executable, "-I", "-S", str(program), *options, "--", *data.prepare, *words]
            done = subprocess.run(call, env=env, cwd=sweep.code_folder, check=False)
        if done.returncode:
            raise BadInput(f"data.prepare: `{' '.join(data.prepare)}` ended with {done.returncode}, see above")

    def log(self, trial: Trial, say: Say) -> Iterator[bytes] | None:
        """What came before the first attempt could write a log of its own."""
        newest = store.newest_attempt(self.store_folder, trial.id)
        path = self.files.jobs / f"{trial.job}.log"
        if (newest and outputs.has_log(self.store_folder, trial.id, newest)) or not self.files.clone.has(path):
            return None
        say(f"{trial.id}: {path}")
        return outputs.lines(open_handle(path))

    # ---- once more ----

    def take_number(self, trial: str) -> int:
        """The next free one; its folder is made."""
        number = 1
        while True:
            try:
                store.reproduction(self.store_folder, trial, number).mkdir(parents=True)
            except FileExistsError:
                number += 1
            else:
                return number

    def run_once(self, sweep: Sweep, rendered: Rendered, number: int, say: Say) -> Object:
        (trial,) = rendered.trials
        self.check_data("`make dataset` of a sweep with this data set fills it")
        slots = slots_for(trial.gpus, 1)
        states = LocalRun(rendered, self.files.jobs, slots, self.path(), done=(), on_tick=lambda _: None).run()
        folder = store.reproduction(self.store_folder, trial.id, number)
        result = store.read(folder, [trial]).trials[trial.id].result
        if not result:
            reason = states[trial.job].reason or "it left no valid result"
            raise TrialsFailed(f"{trial.id}: failed this time: {reason}")
        return result

    # ---- years later ----

    @classmethod
    def busy(cls, clone: Clone, opened: Sequence[LocalEngine]) -> set[str]:  # others may be running too
        trials = set()
        for jobs in clone.out.glob("*/jobs"):
            try:
                with holding.only_one(jobs, jobs.parent.name):
                    pass
            except BadInput:  # held by a process of this machine
                trials |= {state.trial for state in jobfiles.read(jobs).values() if not state.finished}
        return trials


ENGINE = LocalEngine


def _tell_held(name: str, run: LocalRun, states: Mapping[str, JobState], say: Say) -> None:
    """Say what a limit holds back. Raises TrialsFailed where failures do."""
    if run.held and not all(state.finished for state in states.values()):
        cure = f"`make sweep SWEEP={name}` goes on"
        raise TrialsFailed(failfast.message(name, states, run.ended.values(), run.held, cure))
    if run.reached:
        say(f"{name}: {limits.held(run.reached, len(run.waiting), len(states))}")
