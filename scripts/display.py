"""How a running sweep looks: a live bar and table on a terminal, a line per finished trial elsewhere (stderr)."""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rich.console
from rich.console import ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from sweep import words
from sweep.engines import watching
from sweep.jobs import JobState
from sweep.records import progress, store
from sweep.records.attempt import seconds_of
from sweep.records.results import Objective
from sweep.render import Trial
from sweep.words import number

REMIND_SECONDS = 60
"""Where there is no live display: how long before the same waits are told again, with other numbers."""
REMIND_TRIALS = 5
"""Of those that run, of which is told then how far they are."""


class Console(rich.console.Console):
    """A console that paints, and shows text as text: no markup, no emoji by name, nothing that acts on a terminal.

    What is printed or stands in a cell is escaped before it is laid out; what comes as rich's own Text, after.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        super().__init__(
            file=getattr(stream, "painted", stream), stderr=stderr, markup=False, emoji=False, highlight=False
        )

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(words.shown(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=words.shown(segment.text))


class Display:
    """Shows Job states (by Job name) as they change: a context manager to be called with all of them."""

    def __init__(
        self,
        where: Path,
        trials: list[Trial],
        varying: list[str],
        objective: Objective,
        now: Callable[[], float],
        look: Callable[[Mapping[str, JobState]], None] = lambda _: None,
    ) -> None:
        self.store = where
        self.trials = {trial.id: trial for trial in trials}
        self.varying = varying
        self.objective = objective
        self.now = now
        self.look = look
        self.console = Console(stderr=True)
        self.took: list[float] = []
        """Seconds of the trials whose end was shown."""
        self.announced: set[str] | None = None
        """Jobs whose end was shown; those that had ended before the first look are not news."""
        self.waits: tuple[list[str], float] = ([], time.monotonic())
        """Causes that were told last, and when."""
        self.bar = Progress(
            TextColumn("trials", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left", markup=False),
            TimeRemainingColumn(),
            console=self.console,
            expand=True,
        )
        self.task = self.bar.add_task("", total=len(trials), words="")
        self.live = Live(self.bar, console=self.console, transient=True) if self.console.is_terminal else None

    def __enter__(self) -> Display:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.stop()

    def __call__(self, known: Mapping[str, JobState]) -> None:
        self._tell_ends(known)
        self.look(known)
        waits = watching.waits(known)
        if self.live:
            self.live.update(self._picture(known, waits))
        else:
            self._remind(known, waits)

    def _tell_ends(self, known: Mapping[str, JobState]) -> None:
        """A line for each trial that has ended since the last time."""
        finished = [state for state in known.values() if state.finished]
        if self.announced is None:
            self.announced = {state.name for state in finished}
        for state in finished:
            if state.name not in self.announced:
                self.announced.add(state.name)
                self.say(f"{len(finished)}/{len(self.trials)}  {state.trial}  {self._outcome(state)}")

    def _picture(self, known: Mapping[str, JobState], waits: Sequence[tuple[str, int, str]]) -> Group:
        """What stands on a terminal now: what runs, what the others wait for, and the bar."""
        running = [state for state in known.values() if state.condition == "Running"]
        failed = sum(state.condition == "Failed" for state in known.values())
        counts = f"{len(running)} running" + (f", {failed} failed" if failed else "")
        self.bar.update(self.task, completed=sum(state.finished for state in known.values()), words=counts)
        lines = [
            Text(words.line(f"{count} {reason}"), overflow="ellipsis", no_wrap=True) for _, count, reason in waits[:5]
        ]
        return Group(self._table(running[: self.console.height // 2]), *lines, self.bar)

    def _remind(self, known: Mapping[str, JobState], waits: Sequence[tuple[str, int, str]]) -> None:
        """What is waited for, where it has changed or was last said long ago, and then what runs too."""
        causes = sorted(cause for cause, _, _ in waits)
        before, when = self.waits
        late = time.monotonic() - when > REMIND_SECONDS
        if causes != before or late:
            self.waits = causes, time.monotonic()
            finished = sum(state.finished for state in known.values())
            for _, count, reason in waits:
                self.say(f"{finished}/{len(self.trials)}  {count} {reason}")
            running = [state for state in known.values() if state.condition == "Running"] if late else []
            for state in running[:REMIND_TRIALS]:
                self.say(f"{finished}/{len(self.trials)}  {state.trial}  running {self._progress(state)}")

    def say(self, text: str) -> None:
        self.console.print(words.line(text), soft_wrap=not self.live)

    def _outcome(self, state: JobState) -> str:
        trial = self.trials[state.trial]
        point = words.short({name: trial.identity["hyperparameters"].get(name) for name in self.varying})
        if state.condition == "Failed":
            return f"failed: {state.reason}  {point}"
        result = self._result(state, trial)
        if not result:
            return point if state.node else f"complete, but the store has no valid result  {point}"
        self.took.append(seconds_of(result, result.get("finished_at")))
        value = result["metrics"].get(self.objective.metric)
        metric = f"{self.objective.metric}={number(value, 4)}" if value is not None else result["status"]
        return f"{metric}  {point}"

    def _result(self, state: JobState, trial: Trial) -> dict[str, Any] | None:
        """A trial's result, from its Pod's last words where the store is not at hand."""
        if state.message.startswith("{"):
            with contextlib.suppress(ValueError):
                result: dict[str, Any] = json.loads(state.message)
                return result
        with contextlib.suppress(OSError):  # talk
            return store.read(self.store, [trial]).trials[trial.id].result
        return None

    def _table(self, running: list[JobState]) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column()  # the one that gets shorter: rich narrows what may wrap before what may not
        for state in running:
            trial = self.trials[state.trial]
            point = words.short({name: trial.identity["hyperparameters"].get(name) for name in self.varying})
            shortened = Text(words.shown(point), no_wrap=True, overflow="ellipsis")
            table.add_row(trial.id, self._progress(state), shortened)
        return table

    def _progress(self, state: JobState) -> str:
        seconds = max(0.0, self.now() - state.since) if state.since else None
        usual = statistics.median(self.took) if self.took else None
        return progress.of(self.store, state.trial, self.objective.metric, seconds, usual).words(self.objective.metric)
