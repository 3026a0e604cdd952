"""Create new Jobs for failed and stuck trials: writes `retries` into values.yaml and commits it."""

from __future__ import annotations

import guard

import cli
from sweep import git
from sweep.files import write_atomic
from sweep.session import Session
from sweep.spaces import valuesfile


def cut_off(session: Session) -> bool:
    """Whether an earlier retry may have been ended after it wrote values.yaml, and before it could commit that."""
    files = session.files
    written = valuesfile.retries(valuesfile.load(files))
    return bool(written and git.dirty(files.clone.root, files.clone.relative(files.values)))


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="show which trials, and change nothing")
    parser.add_argument("--no-commit", action="store_true", help="write values.yaml, but do not commit it")
    args = parser.parse_args()
    began = git.position(cli.project().root)
    session = cli.open_sweep(args)
    states = session.engine.states()
    failed = [
        trial.id
        for trial in session.rendered.trials
        if trial.job in states and (states[trial.job].condition == "Failed" or states[trial.job].stuck)
    ]
    commit = not (args.no_commit or args.dry_run)
    if not failed and commit and cut_off(session):
        with cli.turn(session, session.files.values, began, wanted=True) as turn:
            if turn:
                turn.commit(f"{args.sweep}: retry what values.yaml says")
        cli.say(f"{args.sweep}: values.yaml has its retries already, and is committed now; `make sweep` runs them")
        return 0
    if not failed:
        cli.say(f"{args.sweep}: no trial has failed or is stuck; nothing to retry")
        return 0
    cli.say(f"{args.sweep}: {len(failed)} to retry: {' '.join(failed)}")
    if args.dry_run:
        return 0
    values = valuesfile.load(session.files)
    before = valuesfile.retries(values)
    text = valuesfile.with_retries(values, {trial: before.get(trial, 0) + 1 for trial in failed})
    with cli.turn(session, session.files.values, began, wanted=commit) as turn:
        write_atomic(session.files.values, text, session.files.clone.values)
        if turn:
            turn.commit(f"{args.sweep}: retry {', '.join(failed)}")
    cli.say(f"`make sweep SWEEP={args.sweep}` runs them")
    return 0


if __name__ == "__main__":
    guard.run(main)
