"""One trial of a sweep, at once, from the work tree, and nothing of it kept: does it run, and can it be read?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep import code, freezing, settings, yamlfile
from sweep.engines.engine import Target
from sweep.engines.kinds.local import LocalEngine
from sweep.engines.local import LocalRun, slots_for
from sweep.errors import naming
from sweep.jobs import JobState
from sweep.layout import SweepFiles
from sweep.records import outputs, store
from sweep.records.store import Stored
from sweep.render import Object, Trial
from sweep.session import Session
from sweep.spaces import valuesfile
from sweep.spaces.valuesfile import ValuesFile

Tick = Callable[[Mapping[str, JobState]], None]


@dataclass(frozen=True)
class Checked:
    """How the one trial went."""

    trial: Trial
    state: JobState
    stored: Stored
    history: list[dict[str, Any]]
    checkpoints: bool
    """Whether it saved any."""

    @property
    def result(self) -> Object | None:
        return self.stored.result

    @property
    def reason(self) -> str:
        """Why it failed; less what the runner promises of trials that are kept."""
        return self.state.reason.replace(" and submit again: they are kept, nothing trains anew", "")

    @property
    def was_stopped(self) -> bool:
        """Whether it was only its time that ended it."""
        return not self.result and any(attempt.text("reason") == "limit" for attempt in self.stored.attempts)

    @property
    def advice(self) -> list[str]:
        """What works, but not as a person would want it, a line each."""
        lines = []
        if not self.history:
            lines.append("no learning curve: nothing was read with a step (`metrics`), or written to HISTORY_FILE")
        if not self.checkpoints:
            lines.append("CHECKPOINT_DIR stayed empty: a trial that is preempted begins anew")
        if self.result and "outputs" not in self.result:
            lines.append("OUTPUT_DIR stayed empty: nothing of the winner is kept but its metrics")
        return lines


def smallest(trials: Sequence[Mapping[str, Any]], budget: str) -> Mapping[str, Any]:
    """The first of the trials with the smallest budget."""

    def size(trial: Mapping[str, Any]) -> float:
        value = trial.get(budget)
        return float(value) if isinstance(value, int | float) else float("inf")

    return min(trials, key=size) if budget else trials[0]


class Check:
    """A sweep as it lies in the work tree, with one trial, on this machine; all that it writes is in `scratch`."""

    def __init__(
        self, files: SweepFiles, values: ValuesFile, folder: str | None, scratch: Path, seconds: int | None
    ) -> None:
        """`values` is what values.yaml holds, or would; `folder` the code's, in place of the sweep's own; `seconds`
        the time it may take, in place of limit_seconds.

        Raises BadInput where the sweep cannot be rendered.
        """
        clone, self.scratch, self.store = files.clone, scratch, scratch / "store"
        given = settings.read(clone.chart, valuesfile.base(clone), values.head)
        self.engine = LocalEngine(files, given, Target("local"))
        origin = freezing.origin_of(files, values, folder)
        bundle = code.gather(clone.root, origin.here) if origin.source != "image" else None
        chosen = smallest([trial for _, trial in values.trials()], given.budget)
        self.store.mkdir()
        own: dict[str, Any] = {
            "trials": [{name: value for name, value in chosen.items() if not (seconds and name == "limit_seconds")}],
            "results": {"volume": {"nfs": None, "pvc": None, "hostPath": {"path": str(self.store)}}},
            "outputs": {"keep": "all"},
            "checkpoints": "keep",
            "backoffLimit": 0,
            **({"limit_seconds": seconds} if seconds else {}),
        }
        texts = [values.text, yamlfile.lines(dict(self.engine.values)), yamlfile.lines(own)]
        if bundle:
            texts.insert(0, code.dump(bundle))
            texts.insert(2, yamlfile.lines({"code": {"source": "bundle", "url": "", "path": bundle.path}}))
        listed = [clone.base]
        for number, text in enumerate(texts):
            listed.append(scratch / f"{number}.yaml")
            with naming(listed[-1]):
                listed[-1].write_text(text, encoding="utf-8")
        self.files = files
        self.rendered = Session(files, given, self.engine, "").render(files.name, listed)
        (self.trial,) = self.rendered.trials

    @property
    def log(self) -> Path:
        """What the program prints, while it does."""
        return self.scratch / "jobs" / f"{self.trial.job}.log"

    def history(self) -> list[dict[str, Any]]:
        """The learning curve so far."""
        newest = store.newest_attempt(self.store, self.trial.id)
        return outputs.history(self.store, self.trial.id, newest) if newest else []

    def run(self, on_tick: Tick) -> Checked:
        """Run it to its end. Raises BadInput, KeyboardInterrupt."""
        self.engine.check_data(f"`make dataset SWEEP={self.files.name}` fills it")
        slots = slots_for(self.trial.gpus, 1)
        (self.scratch / "jobs").mkdir()
        run = LocalRun(self.rendered, self.scratch / "jobs", slots, self.engine.path(), done=(), on_tick=on_tick)
        state = run.run()[self.trial.job]
        stored = store.read(self.store, [self.trial]).trials[self.trial.id]
        checkpoints = any(files for _, _, files in os.walk(self.store / "checkpoints"))
        return Checked(self.trial, state, stored, self.history(), checkpoints)
