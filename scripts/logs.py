"""Print the output of a trial: of its newest attempt, or of --attempt.

On a terminal control characters are shown escaped; in a pipe or a file the output is unchanged.
"""

from __future__ import annotations

import guard

import os

import cli
from sweep.errors import BadInput
from sweep.records import outputs, store
from sweep.session import Session


def show_stored(session: Session, trial: str, attempt: str | None) -> bool:
    """Print what the store has of an attempt's output, of more than anybody reads the end; False if it has none."""
    folder = session.engine.store_folder
    handle = outputs.open_log(folder, trial, attempt) if attempt else None
    if handle is None:
        return False
    cli.say(f"{trial}: {store.folder(folder, trial) / 'attempts' / (attempt or '') / 'output.log'}")
    size = os.fstat(handle).st_size
    if size > outputs.LOG_BYTES:
        cli.say(f"{trial}: the last {outputs.LOG_BYTES >> 20} MiB of {size >> 20}")
    cli.pass_on(outputs.lines(handle))
    return True


def main() -> int:
    parser = cli.parser(__doc__)
    cli.trial_argument(parser)
    cli.engine_argument(parser)
    parser.add_argument("--attempt", help="name of an attempt; default: the newest")
    args = parser.parse_args()
    session = cli.open_sweep(args)
    trial = session.trial(args.trial)
    log = None if args.attempt else session.engine.log(trial, cli.say)
    if log is not None:
        cli.pass_on(log)
        return 0
    if show_stored(session, trial.id, args.attempt or store.newest_attempt(session.engine.store_folder, trial.id)):
        return 0
    raise BadInput(f"TRIAL={trial.id}: has not run yet; `make sweep SWEEP={session.name}` runs it")


if __name__ == "__main__":
    guard.run(main)
