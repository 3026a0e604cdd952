"""Copy what a trial left in OUTPUT_DIR to this machine, every file's hash checked; `best` is the winner.

May be interrupted: the same command goes on from there.
"""

from __future__ import annotations

import guard

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cli
from sweep.errors import BadInput
from sweep.records import artifacts, results, store
from sweep.render import Trial
from sweep.session import Session

BEST = "best"


def winner(session: Session) -> str:
    """Id of the trial that `make best` names."""
    from sweep.ranking import stats
    from sweep.reports import best  # with numpy and scipy, which take a second to import

    trials = session.rendered.trials
    listed = {trial.id for trial in trials}
    rows = [row for row in results.read(session.files.results) if row.id in listed]
    choice = stats.choose(rows, results.objectives(trials)[0], session.engine.NAME, session.settings.budget)
    return best.winners(choice)[0].trial.id


@contextlib.contextmanager
def bar(size: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; nothing elsewhere."""
    import sys

    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from display import Console  # with rich, which takes a tenth of a second to import

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=size)
        yield lambda count: progress.advance(task, count)


def arguments() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("trial", help="id of a trial of the sweep, or the beginning of one; or `best`")
    parser.add_argument("--to", type=Path, metavar="DIR", help="default: out/<sweep>/outputs/<id>")
    cli.engine_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="list the files, and copy nothing")
    parser.add_argument("--json", action="store_true", help="the files as JSON on stdout")
    return parser.parse_args()


def find(session: Session, beginning: str) -> Trial:
    """The one trial whose id begins so. Raises BadInput."""
    found = [trial for trial in session.rendered.trials if trial.id.startswith(beginning)]
    if len(found) != 1:
        what = "no trial" if not found else f"{len(found)} trials"
        raise BadInput(f"TRIAL={beginning}: {what} of {session.name} begin with this; `make status` lists the ids")
    return found[0]


def main() -> int:
    args = arguments()
    session = cli.open_sweep(args)
    trial = find(session, winner(session) if args.trial == BEST else args.trial)
    session.engine.fetch(session, cli.say)
    result = store.read(session.engine.store_folder, [trial]).trials[trial.id].result
    if not result:
        raise BadInput(f"TRIAL={trial.id}: has no result yet; `make status SWEEP={session.name}` shows where it stands")
    outputs = artifacts.named(trial.id, result)
    if not outputs:
        raise BadInput(f"TRIAL={trial.id}: left no outputs: {artifacts.why_none(result)}")
    folder = args.to or session.files.out / "outputs" / trial.id
    with session.engine.outputs(session, cli.say) as place:
        files = artifacts.listed(place, outputs)
        if args.json:
            shown = [{"path": file.path, "bytes": file.size, "sha256": file.sha256} for file in files]
            cli.put({"id": trial.id, "folder": str(folder), "files": shown})
        elif args.dry_run:
            for file in files:
                cli.show(f"{file.size:>12}  {file.path}")
        if args.dry_run:
            return 0
        with bar(outputs.size) as progress:
            copied = artifacts.fetch(place, outputs, files, folder, progress)
    there = len(files) - copied
    cli.say(f"{trial.id}: {copied} files in {folder}{f', {there} were there' if there else ''}")
    return 0


if __name__ == "__main__":
    guard.run(main)
