"""Follow a sweep until it ends. May be interrupted and started again at any time: the sweep does not depend on it."""

from __future__ import annotations

import guard

from collections.abc import Callable, Mapping

import cli
from sweep import failfast, limits
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


def run(
    session: Session,
    *,
    quorum: float = 1.0,
    give_up: float = watching.GIVE_UP_SECONDS,
    look: cli.Looker = lambda _: None,
) -> int:
    """Watch an opened sweep. Raises TrialsFailed, BadInput where there is nothing to watch, Unreachable."""
    jobs = [trial.job for trial in session.rendered.trials]
    watcher = cli.person(session, yes=False, look=look).watcher()
    looks = session.engine.looks(jobs, watcher.say)
    impatience = watching.Impatience(give_up)
    is_enough = enough(session, quorum)
    alike = watching.Alike(session.settings.failFast)
    tally = session.tally()
    hold = watching.Hold(
        lambda stop, names, note: session.engine.suspend(stop, False, names, note),
        lambda text: watcher.say(f"{session.name}: {text}"),
    )
    reached, held = "", False
    known: Mapping[str, JobState] = {}
    with watcher:
        for known in looks:
            watcher(known)
            if session.engine.RUNS_ON:  # else whoever submits holds back by itself
                failure, reached = alike(known), tally(known, session.engine.now())
                held = hold(known, reached or failure, reached)
            if held or impatience(known) or is_enough(known):
                break
    if held and not reached:
        cure = f"`make resume SWEEP={session.name}` and `make sweep SWEEP={session.name}` go on"
        raise TrialsFailed(failfast.message(session.name, known, alike.ended, alike.reason, cure))
    if is_enough(known):
        return 0  # the next round begins, and the stragglers run on beside it
    if held:
        waiting = sum(not state.finished for state in known.values())
        cli.say(f"{session.name}: {limits.held(reached, waiting, len(jobs))}")
    check_ended(session, known, held=held or bool(reached))
    return 0


def check_ended(session: Session, known: Mapping[str, JobState], *, held: bool) -> None:
    """Raise TrialsFailed where a trial did not end well; `held`: those that have not ended are not to."""
    jobs = session.rendered.trials
    missing = 0 if held else len(jobs) - len(known)
    failed = [state for state in known.values() if state.condition == "Failed"]
    left = [state for state in known.values() if not (state.finished or held)]
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
        help="stop watching after SECONDS in which nothing that is left can start; default: %(default)s",
    )
    args = parser.parse_args(argv)
    return run(cli.open_sweep(args), quorum=args.quorum, give_up=args.give_up)


if __name__ == "__main__":
    guard.run(main)
