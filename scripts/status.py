"""Show the state of every trial of a sweep, from its Jobs and the result store."""

from __future__ import annotations

import guard

import dataclasses
import shutil
import sys
from collections.abc import Mapping

import cli
from sweep import standing
from sweep.records import results
from sweep.records.progress import Progress
from sweep.records.results import Row
from sweep.render import varying_names
from sweep.words import number, short


def line(head: str, point: str, value: str, width: int) -> str:
    """A trial in a line, of which the point is what gets shorter; `width` 0: as wide as it gets."""
    room = width - len(head) - len(value) - 4
    if width and len(point) > room:
        point = f"{point[: room - 1]}…" if room > 1 else ""
    return f"{head}  {point}  {value}"


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
    parser.add_argument("--json", action="store_true", help="print a JSON list with an object per trial")
    args = parser.parse_args()
    session = cli.open_sweep(args)
    now = standing.look(session, session.engine.states())
    rows, running = now.rows, now.running
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
