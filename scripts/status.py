"""Show where every trial of a sweep stands, from its Jobs and the result store."""

from __future__ import annotations

import guard

import dataclasses
import shutil
import sys
from collections.abc import Mapping

import cli
from sweep.jobs import JobState
from sweep.records import progress, results
from sweep.records.progress import Progress
from sweep.records.results import Row
from sweep.records.store import Snapshot
from sweep.render import varying_names
from sweep.session import Session
from sweep.words import number, short


def under_way(session: Session, jobs: Mapping[str, JobState], snapshot: Snapshot) -> dict[str, Progress]:
    """Trial id -> how far it is, of those that run."""
    metric = results.objectives(session.rendered.trials)[0].metric
    usual = progress.usual_seconds(snapshot.trials.values())
    folder, now = session.engine.store_folder, session.engine.now()
    running = [state for state in jobs.values() if state.condition == "Running"]
    since = {state.trial: max(0.0, now - state.since) if state.since else None for state in running}
    return {trial: progress.of(folder, trial, metric, seconds, usual) for trial, seconds in since.items()}


def line(head: str, point: str, value: str, width: int) -> str:
    """A trial in a line, of which the point is what gets shorter; `width` 0: as wide as it gets."""
    room = width - len(head) - len(value) - 4
    if width and len(point) > room:
        point = f"{point[: room - 1]}…" if room > 1 else ""
    return f"{head}  {point}  {value}"


def table(session: Session, jobs: Mapping[str, JobState]) -> tuple[list[Row], dict[str, Progress]]:
    """(a row of each trial, with the reason why it waits; how far those are that run)."""
    rows, snapshot = session.look(jobs)
    why = {state.trial: state.reason for state in jobs.values() if not state.finished}
    rows = [dataclasses.replace(row, reason=row.reason or why.get(row.id, "")) for row in rows]
    if session.engine.has_queue():
        rows = [dataclasses.replace(row, status="pending") if row.status == "missing" else row for row in rows]
    return rows, under_way(session, jobs, snapshot)


def show(rows: list[Row], running: Mapping[str, Progress], metric: str, names: list[str]) -> None:
    """A line of each trial; `names` of the hyperparameters in which they differ."""
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 0
    for row in rows:
        value = f"{metric}={number(row.objective, 4)}" if row.objective is not None else row.reason
        if row.status == "running" and row.id in running:
            value = running[row.id].words(metric)
        point = short({name: row.hyperparameters.get(name) for name in names})
        cli.show(line(f"{row.id}  {row.status:9}", point, value, width))


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON list, a row a trial")
    args = parser.parse_args()
    session = cli.open_sweep(args)
    rows, running = table(session, session.engine.states())
    if args.json:
        far = {trial: dataclasses.asdict(state) for trial, state in running.items()}
        cli.put([dataclasses.asdict(row) | {"progress": far.get(row.id)} for row in rows])
        return 0
    trials = session.rendered.trials
    show(rows, running, results.objectives(trials)[0].metric, varying_names(trials))
    counted = ", ".join(f"{count} {status}" for status, count in results.counts(rows).items())
    cli.say(f"{session.name}: {counted}; engine {session.engine.NAME} ({session.why})")
    return 0


if __name__ == "__main__":
    guard.run(main)
