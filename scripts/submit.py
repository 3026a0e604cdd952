"""Start the Jobs of a sweep: install them on the cluster, or run them on this machine and wait for them."""

from __future__ import annotations

import guard

from collections.abc import Mapping

import cli
from sweep import git, submission
from sweep.engines.engine import Options
from sweep.errors import TrialsFailed
from sweep.jobs import JobState
from sweep.session import Session


def publish(session: Session, push: bool) -> None:
    """A result is traced to a commit, which others can only see on a remote: push it, or say that it is on none."""
    clone = session.files.clone
    commit = git.head(clone.root)
    if push:
        git.push(clone.root)
    elif commit and git.has_remote(clone.root) and not git.is_on_remote(clone.root, commit):
        cli.say(f"{session.name}: commit {commit[:12]} is on no remote yet; PUSH=1 pushes it")


def check_failed(session: Session, states: Mapping[str, JobState]) -> None:
    failed = [state for state in states.values() if state.condition == "Failed"]
    if failed:
        raise TrialsFailed(
            f"{len(failed)} of {len(states)} trials failed, the first {failed[0].trial}: {failed[0].reason}; see "
            f"`make logs SWEEP={session.name} TRIAL={failed[0].trial}`; `make retry SWEEP={session.name}` starts over"
        )


def run(
    session: Session,
    provenance: Mapping[str, object],
    options: Options,
    *,
    push: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    look: cli.Looker = lambda _: None,
) -> int:
    """Submit an opened sweep, with the `provenance` that was recorded before it was rendered.

    Raises BadInput with nothing changed, Unreachable, and TrialsFailed where trials have ended by then.
    """
    session.check_names()
    submission.check_provenance(session, provenance)
    if not dry_run:
        publish(session, push)
    session.engine.check(session, options, cli.say)
    if dry_run:
        what = f"the {session.engine.NAME} engine would take it"
        cli.say(f"{session.name}: {what}; `make plan SWEEP={session.name}` says what would run")
        return 0
    reached = session.engine.RUNS_ON and session.reached()  # else the engine looks itself, before each start
    if reached:
        cli.say(f"{session.name}: {reached}; nothing is submitted")
        return 0
    check_failed(session, session.engine.submit(session, options, cli.person(session, yes=yes, look=look)))
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    cli.submit_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="check everything, and start nothing")
    args = parser.parse_args(argv)
    session = cli.open_sweep(args)
    provenance = submission.record(session, args.allow_dirty)
    options = Options(args.slots, args.takeover)
    return run(session, provenance, options, push=args.push, yes=args.yes, dry_run=args.dry_run)


if __name__ == "__main__":
    guard.run(main)
