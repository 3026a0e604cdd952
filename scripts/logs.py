"""Print what a trial printed: the output of its newest attempt, or of the one named.

On a terminal what is no text is shown escaped; into a pipe or a file it goes as it is.
"""

from __future__ import annotations

import guard

import os
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import cli
from sweep.engines.cluster import Refused
from sweep.errors import BadInput
from sweep.files import open_handle
from sweep.records import outputs, store
from sweep.render import Trial
from sweep.session import Session

MOST_BYTES, LONGEST_LINE = 256 << 20, 1 << 20
"""Of a log: what is printed of it, and what is in memory at once."""


def from_api(session: Session, trial: Trial) -> bool:
    """Print the newest Pod's log; False where there is no Pod or it has printed nothing that is still there."""
    state = session.job_states().get(trial.job)
    for pod in reversed(state.pods if state else ()):
        try:
            lines = session.cluster.log(pod, "trial")
            first = next(lines, None)
        except Refused as error:
            cli.say(f"{trial.id}: Pod {pod}: {error}")
            continue
        if first is not None:
            cli.say(f"{trial.id}: Pod {pod}")
            cli.pass_on(line + b"\n" for line in chain([first], lines))
            return True
    return False


def show(trial: Trial, path: Path, log: BinaryIO) -> None:
    """Print a log; of one that is larger than anybody reads the end."""
    cli.say(f"{trial.id}: {path}")
    size = log.seek(0, os.SEEK_END)
    if size > MOST_BYTES:
        cli.say(f"{trial.id}: the last {MOST_BYTES >> 20} MiB of {size >> 20}")
    log.seek(max(0, size - MOST_BYTES))
    cli.pass_on(iter(lambda: log.readline(LONGEST_LINE), b""))


def main() -> int:
    parser = cli.parser(__doc__)
    cli.trial_argument(parser)
    cli.engine_argument(parser)
    parser.add_argument("--attempt", help="name of an attempt; default: the newest")
    args = parser.parse_args()
    session = cli.open_sweep(args)
    found = [trial for trial in session.rendered.trials if trial.id.startswith(args.trial)]
    if len(found) != 1:
        what = "no trial" if not found else f"{len(found)} trials"
        raise BadInput(f"TRIAL={args.trial}: {what} of {session.name} begin with this; `make status` lists the ids")
    (trial,) = found
    if session.engine == "cluster" and not args.attempt and from_api(session, trial):
        return 0
    attempt = args.attempt or store.newest_attempt(session.store_folder, trial.id)
    path = store.folder(session.store_folder, trial.id) / "attempts" / (attempt or "") / "output.log"
    handle = outputs.open_log(session.store_folder, trial.id, attempt) if attempt else None
    if handle is None:  # what came before the first attempt could be opened
        path = session.files.jobs / f"{trial.job}.log"
        handle = open_handle(path) if session.files.clone.has(path) else None
    if handle is not None:
        with os.fdopen(handle, "rb") as log:
            show(trial, path, log)
        return 0
    raise BadInput(f"TRIAL={trial.id}: has not run yet; `make sweep SWEEP={session.name}` runs it")


if __name__ == "__main__":
    guard.run(main)
