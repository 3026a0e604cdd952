"""Watch a sweep until it ends. May be stopped and started at any time: nothing depends on it."""

from __future__ import annotations

import guard

from collections.abc import Callable, Mapping

import cli
from sweep import failfast
from sweep.engines import watching
from sweep.errors import TrialsFailed
from sweep.jobs import JobState
from sweep.records import same
from sweep.session import Session
from sweep.spaces import search, valuesfile


def enough(session: Session, quorum: float) -> Callable[[Mapping[str, JobState]], bool]:
    """Whether so many trials of the last round have ended that the next may begin; never, with a quorum of 1."""
    block = valuesfile.load(session.files).block if quorum < 1 else None
    if not block:
        return lambda _: False
    latest, needed = search.quorum_of(block.sections, session.settings.hyperparameters, quorum)
    identities = ((trial.job, trial.identity) for trial in session.rendered.trials)
    jobs = {job for job, identity in identities if same.trial(identity["hyperparameters"], identity["seed"]) in latest}
    return lambda known: sum(name in jobs and state.finished for name, state in known.items()) >= needed


def run(session: Session, *, quorum: float = 1.0, give_up: float = watching.GIVE_UP_SECONDS) -> int:
    """Watch an opened sweep. Raises TrialsFailed, BadInput where there is nothing to watch, Unreachable."""
    jobs = [trial.job for trial in session.rendered.trials]
    watcher = cli.person(session, yes=False).watcher()
    looks = session.engine.looks(jobs, watcher.say)
    impatience = watching.Impatience(give_up)
    is_enough = enough(session, quorum)
    suspend = session.engine.suspend
    hold = watching.Hold(
        session.settings.failFast if session.engine.RUNS_ON else 0,  # else whoever submits holds back by itself
        lambda stop, names: suspend(stop, False, names),
        lambda text: watcher.say(f"{session.name}: {text}"),
    )
    held = False
    known: Mapping[str, JobState] = {}
    with watcher:
        for known in looks:
            watcher(known)
            held = hold(known)
            if held or impatience(known) or is_enough(known):
                break
    if held:
        cure = f"`make resume SWEEP={session.name}` and `make sweep SWEEP={session.name}` go on"
        raise TrialsFailed(failfast.message(session.name, known, hold.ended, hold.reason, cure))
    if is_enough(known):
        return 0  # the next round begins, and the stragglers run on beside it
    check_ended(session, known)
    return 0


def check_ended(session: Session, known: Mapping[str, JobState]) -> None:
    """Raise TrialsFailed where a trial did not end well."""
    jobs = session.rendered.trials
    missing = len(jobs) - len(known)
    failed = [state for state in known.values() if state.condition == "Failed"]
    left = [state for state in known.values() if not state.finished]
    say = f"`make status SWEEP={session.name}` lists them, `make retry SWEEP={session.name}` gives them new Jobs"
    if left:
        raise TrialsFailed(
            f"{len(left)} of {len(jobs)} trials cannot start, the first {left[0].trial}: {left[0].reason}; "
            f"mend it, and `make sweep SWEEP={session.name}` goes on"
        )
    if failed:
        raise TrialsFailed(
            f"{len(failed)} of {len(jobs)} trials failed, the first {failed[0].trial}: {failed[0].reason}; {say}"
        )
    if missing:
        raise TrialsFailed(
            f"{missing} of {len(jobs)} Jobs are not there; `make sweep SWEEP={session.name}` puts them back"
        )


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    cli.quorum_argument(parser)
    parser.add_argument(
        "--give-up",
        type=float,
        default=watching.GIVE_UP_SECONDS,
        metavar="SECONDS",
        help="how long all that remains may fail to start; default: %(default)s",
    )
    args = parser.parse_args(argv)
    return run(cli.open_sweep(args), quorum=args.quorum, give_up=args.give_up)


if __name__ == "__main__":
    guard.run(main)
