"""Copy the files that a trial left in OUTPUT_DIR to this machine, and verify their hashes; `best` is the winner.

May be interrupted: the same command continues. Without the sweep, that of the trial; without the trial, the best.
"""

from __future__ import annotations

import guard

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cli
from sweep import collection, words
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.records import artifacts, store
from sweep.render import Trial
from sweep.session import Session, Target, open_sweep

BEST = "best"


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
    parser = cli.parser(__doc__, sweep=False)
    cli.sweep_argument(parser, nargs="?")
    parser.add_argument("trial", help="id of the trial, or its first digits; or `best`")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder to copy to; default: out/<sweep>/outputs/<id>")
    cli.engine_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="list the files, and copy nothing")
    parser.add_argument("--json", action="store_true", help="print the files as JSON")
    return parser.parse_args()


def named(clone: Clone, sweep: str | None, trial: str) -> tuple[str, str]:
    """(sweep, trial or `best`) of what was typed, where one word may stand for both. Raises BadInput."""
    if sweep:
        return sweep, trial
    if trial in clone.sweeps:
        return trial, BEST
    if trial != BEST:
        from sweep.audit import tracing

        if not cli.is_beginning(trial):
            raise BadInput(f"TRIAL={trial}: neither an id nor a sweep in values/; `make status` lists the ids")
        known = tracing.of(clone, trial)
        return next((name for name in known.sweeps if name in clone.sweeps), known.sweeps[0]), known.id
    picked = [name for name in clone.sweeps if clone.has(clone.sweep(name).best)]
    if len(picked) != 1:
        of = f"of {words.counted(len(picked), 'sweep')}: {' '.join(picked)}" if picked else "of no sweep yet"
        raise BadInput(f"TRIAL={BEST}: there is one {of}; say which, as in `make fetch SWEEP=mine`")
    return picked[0], BEST


def wanted(session: Session, beginning: str) -> Trial:
    """The trial that is asked for; `best` is the one that `make best` names. Raises SweepError."""
    if beginning != BEST:
        return session.trial(beginning)
    from sweep.reports import best  # with numpy, which takes long to import

    return session.trial(best.winners(collection.choose(session)[1])[0].trial.id)


def main() -> int:
    args = arguments()
    clone = cli.project()
    sweep, beginning = named(clone, args.sweep, args.trial)
    session = open_sweep(clone, sweep, Target(args.engine, args.context, args.namespace))
    trial = wanted(session, beginning)
    session.engine.fetch(session, cli.say)
    snapshot = store.read(session.engine.store_folder, [trial])
    result = snapshot.trials[trial.id].result
    if not result:
        aside = "".join(f"; set aside: {problem.path}: {problem.what}" for problem in snapshot.problems[:1])
        cure = f"`make status SWEEP={session.name}` shows where it stands"
        raise BadInput(f"TRIAL={trial.id}: has no result yet{aside}; {cure}")
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
    rest = f", {there} there already" if there else ""
    cli.say(f"{trial.id}: {words.counted(copied, 'file')} copied to {folder}{rest}")
    return 0


if __name__ == "__main__":
    guard.run(main)
