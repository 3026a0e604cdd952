"""Looking at a sweep on a cluster until it ends: paged lists with a growing delay, and no watch stream.

A look asks for the Jobs that have not succeeded, and their Pods. A Job that was there before and is there no more has
succeeded, or was deleted; which of the two, its own name is asked.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping

from sweep import failfast, limits
from sweep.engines import states
from sweep.engines.cluster import Cluster
from sweep.engines.patience import Patience
from sweep.errors import BadInput, Unreachable
from sweep.jobs import HELD_BACK, JobState

FIRST_DELAY, LAST_DELAY = 1.0, 15.0
"""Seconds between two looks: short after something has changed."""
GIVE_UP_SECONDS = 600
"""How long all that remains may fail to start, for reasons that somebody has to mend."""
AT_ONCE = 40
"""Trials a call, when the Pods of those that have just ended are asked for their last words."""


def looks(
    cluster: Cluster,
    sweep: str,
    jobs: Collection[str],
    patient: Patience,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[dict[str, JobState]]:
    """The states of `jobs` (names) by name, again and again; the last when all have finished or are gone.

    Survives an API that is away as long as `patient` has patience. A Job that nobody has is missing from the states.
    """
    known = {name: state for name, state in patient(lambda: states.look(cluster, sweep)).items() if name in jobs}
    delay = FIRST_DELAY
    while True:
        if len(known) < len(jobs) and all(state.finished for state in known.values()):
            # One that began and ended between two looks was in neither.
            known |= {job: state for job, state in patient(lambda: states.look(cluster, sweep)).items() if job in jobs}
        yield known
        if all(state.finished for state in known.values()):
            return
        sleep(delay)
        before, known = known, patient(lambda known=known: _next(cluster, sweep, known, jobs))  # type: ignore[misc]
        delay = FIRST_DELAY if _brief(known) != _brief(before) else min(LAST_DELAY, delay * 1.5)


def _next(cluster: Cluster, sweep: str, known: Mapping[str, JobState], jobs: Collection[str]) -> dict[str, JobState]:
    label = states.trials_of(sweep)
    unfinished = cluster.list("Job", label, "status.successful=0")
    pods = cluster.list("Pod", label, "status.phase!=Succeeded")
    now = {name: state for name, state in states.explained(cluster, unfinished, pods).items() if name in jobs}
    gone = [state for name, state in known.items() if name not in now and not state.finished]
    ended: dict[str, JobState] = {}
    for at in range(0, len(gone), AT_ONCE):
        label = states.trials_of(sweep, [state.trial for state in gone[at : at + AT_ONCE]])
        ended |= states.read(cluster.list("Job", label), cluster.list("Pod", label), [], cluster.now())
    done = {name: state for name, state in known.items() if state.condition == "Complete" and name not in now}
    return now | done | {state.name: ended[state.name] for state in gone if state.name in ended}


def _brief(known: Mapping[str, JobState]) -> Counter[tuple[str, str]]:
    return Counter((state.condition, state.cause) for state in known.values())


class Impatience:
    """Tells when to give up: for `seconds` all that remains has been failing to start, or stuck."""

    def __init__(self, seconds: float = GIVE_UP_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.since: float | None = None

    def __call__(self, known: Mapping[str, JobState]) -> bool:
        left = [state for state in known.values() if not state.finished]
        hopeless = states.FAILING_TO_START | {"stuck"}
        if not left or any(state.cause not in hopeless for state in left):
            self.since = None
            return False
        if self.since is None:
            self.since = self.clock()
        return self.clock() - self.since >= self.seconds


class Alike:
    """Says why the trials fail that have ended since the first look, where all failed alike; `needed` as failfast's."""

    def __init__(self, needed: int) -> None:
        self.needed = needed
        self.ended_of = failfast.Ended()
        self.ended: list[JobState] = []
        self.reason = ""

    def __call__(self, known: Mapping[str, JobState]) -> str:
        self.ended = self.ended_of(known)
        self.reason = failfast.shared(self.ended, self.needed)
        return failfast.alike(len(self.ended), self.reason) if self.reason else ""


class Hold:
    """Lets wait what does not run yet while there is a reason to: what runs ends by itself.

    Where the reason is gone again the rest goes on, and so does what waits for that of an earlier launcher that had a
    `note`; `suspend(stop, names, note)` as of an engine.
    """

    def __init__(self, suspend: Callable[[bool, Collection[str], str], object], say: Callable[[str], None]) -> None:
        self.suspend = suspend
        self.say = say
        self.reason = ""
        """Why, while the rest is to wait."""
        self.names: set[str] = set()
        """Jobs that wait because of that."""
        self.refused = False
        """Whether they cannot be made to wait."""

    def __call__(self, known: Mapping[str, JobState], reason: str, note: str = "") -> bool:
        """Whether there is nothing left but what waits. `note`: what is left at the Jobs, for the next launcher."""
        before, self.reason = self.reason, "" if self.refused else reason
        self.names.update(state.name for state in known.values() if state.cause == HELD_BACK)
        if not self.reason:
            self._let_go()
            return False
        running = sum(state.condition == "Running" for state in known.values())
        if not before and running:
            self.say(limits.notice(reason, running))
        self._hold(failfast.not_running(known), note)
        left = [state for state in known.values() if not state.finished]
        return bool(left) and all(state.name in self.names or state.condition == "Suspended" for state in left)

    def _hold(self, names: Collection[str], note: str) -> None:
        if not self.names.issuperset(names):
            try:
                self.suspend(True, names, note)
                self.names.update(names)
            except Unreachable:
                pass  # the next look waits for the cluster, and comes here again
            except BadInput as error:
                self.refused = True
                self.say(f"{self.reason}; the rest cannot be held back: {error}")

    def _let_go(self) -> None:
        if self.names:
            try:
                self.suspend(False, self.names, "")
            except Unreachable:
                return
            self.say("what was held back goes on")
            self.names.clear()


def waits(known: Mapping[str, JobState]) -> list[tuple[str, int, str]]:
    """(cause, trials, the reason of one of them) of what does not run, the most frequent first."""
    left = [state for state in known.values() if not state.finished and state.cause]
    counted = Counter(state.cause for state in left)
    reasons = {state.cause: state.reason for state in reversed(left)}
    return [(cause, count, reasons[cause]) for cause, count in counted.most_common()]
