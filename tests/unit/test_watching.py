"""Looking at a sweep until it ends, on a cluster that is a list of Jobs and Pods."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engines import states, watching
from sweep.engines.cluster import Cluster
from sweep.engines.patience import Patience
from sweep.errors import BadInput, Unreachable
from sweep.jobs import JobState
from sweep.render import Object
from tests.unit.kube_objects import SCHEDULED, ended, job, pod, running, unschedulable, waiting

COMPLETE = ("Complete", "CompletionsReached", "…")
FAILED = ("Failed", "BackoffLimitExceeded", "…")


class Lists(Cluster):
    """A namespace of Jobs and Pods by their names, which selects as the API does."""

    def __init__(self) -> None:
        super().__init__("", "ns")
        self.jobs: dict[str, Object] = {}
        self.of: dict[str, list[Object]] = {}
        """Pods by the name of their Job."""
        self.away = 0
        """Calls that will find nobody there."""
        self.asked: list[tuple[str, str, str]] = []

    def put(self, name: str, item: Object | None, *pods: Object) -> None:
        """The Job `name` as of now, None for none, and its Pods."""
        self.jobs.pop(name, None)
        if item:
            self.jobs[name] = item
        self.of[name] = [*pods]

    def list(self, kind: str, labels: str = "", fields: str = "", *, brief: bool = False) -> list[Object]:
        assert not brief
        if self.away:
            self.away -= 1
            raise Unreachable("cluster: refused")
        self.asked.append((kind, labels, fields))
        if kind == "Event":
            return []
        assert labels.startswith("helm-sweep/sweep=toy,helm-sweep/trial")
        every = [*self.jobs.values()] if kind == "Job" else [pod for pods in self.of.values() for pod in pods]
        if " in (" in labels:
            wanted = labels.partition(" in (")[2].rstrip(")").split(",")
            assert len(wanted) <= watching.AT_ONCE
            every = [each for each in every if each["metadata"]["labels"]["helm-sweep/trial"] in wanted]
        return [each for each in every if SELECTED[fields](each["status"])]


SELECTED: dict[str, Callable[[Object], bool]] = {
    "": lambda _: True,
    "status.successful=0": lambda status: not status.get("succeeded"),
    "status.phase!=Succeeded": lambda status: status["phase"] != "Succeeded",
}
"""What is asked for by its fields."""


def named_job(name: str, *conditions: tuple[str, str, str], **status: Any) -> Object:
    return job(*conditions, name=name, trial=f"trial-{name}", **status)


def runs(cluster: Lists, name: str) -> None:
    item = named_job(name, active=1)
    cluster.put(name, item, pod("Running", running(), SCHEDULED, job=item, name=f"{name}-p"))


def completes(cluster: Lists, name: str, words: str = '{"status": "succeeded"}') -> None:
    item = named_job(name, COMPLETE, succeeded=1)
    cluster.put(name, item, pod("Succeeded", ended(0, words), SCHEDULED, job=item, name=f"{name}-p"))


def fails(cluster: Lists, name: str) -> None:
    item = named_job(name, FAILED, failed=1)
    cluster.put(name, item, pod("Failed", ended(64, "x: failed: bad"), SCHEDULED, job=item, name=f"{name}-p"))


def watch(cluster: Lists, *steps: Callable[[], None], jobs: str = "ab") -> Iterator[dict[str, JobState]]:
    """Looks between which the steps happen, one a sleep; more sleeps than steps fail."""
    left = iter(steps)
    patient = Patience(lambda _: None, 60, sleep=lambda _: None)
    return watching.looks(cluster, "toy", set(jobs), patient, sleep=lambda _: next(left)())


def conditions(known: dict[str, JobState]) -> dict[str, str]:
    return {name: state.condition for name, state in sorted(known.items())}


def test_looks_end_when_every_job_has_finished_with_what_the_last_pods_said() -> None:
    cluster = Lists()
    runs(cluster, "a")
    runs(cluster, "b")
    seen = [*watch(cluster, lambda: completes(cluster, "a"), lambda: fails(cluster, "b"))]
    assert [conditions(known) for known in seen] == [
        {"a": "Running", "b": "Running"},
        {"a": "Complete", "b": "Running"},
        {"a": "Complete", "b": "Failed"},
    ]
    assert seen[-1]["a"].message == '{"status": "succeeded"}'
    assert seen[-1]["b"].reason == "bad input: bad"


def test_only_the_first_look_lists_all_jobs() -> None:
    cluster = Lists()
    runs(cluster, "a")
    completes(cluster, "b")
    [*watch(cluster, lambda: None, lambda: completes(cluster, "a"))]
    every = states.trials_of("toy")
    assert cluster.asked == [
        ("Job", every, ""),
        ("Pod", every, ""),
        *[("Job", every, "status.successful=0"), ("Pod", every, "status.phase!=Succeeded")] * 2,
        ("Job", states.trials_of("toy", ["trial-a"]), ""),
        ("Pod", states.trials_of("toy", ["trial-a"]), ""),
    ]


def test_many_jobs_that_end_at_once_are_asked_for_in_portions() -> None:
    cluster = Lists()
    names = [f"j{n}" for n in range(2 * watching.AT_ONCE + 1)]
    for name in names:
        runs(cluster, name)
    steps = iter(names)

    def end_all(_: float) -> None:
        for name in steps:
            completes(cluster, name)

    *_, last = watching.looks(cluster, "toy", names, Patience(lambda _: None), end_all)
    assert {state.condition for state in last.values()} == {"Complete"}
    assert sum(kind == "Job" and " in (" in labels for kind, labels, _ in cluster.asked) == 3


def test_a_job_that_was_deleted_goes_missing_and_one_that_comes_back_is_watched() -> None:
    cluster = Lists()
    runs(cluster, "a")
    runs(cluster, "b")

    def completes_a_and_deletes_b() -> None:
        completes(cluster, "a")
        cluster.put("b", None)

    seen = [
        *watch(
            cluster,
            lambda: cluster.put("a", None),
            lambda: runs(cluster, "a"),
            completes_a_and_deletes_b,
        )
    ]
    assert [conditions(known) for known in seen[1:]] == [
        {"b": "Running"},
        {"a": "Running", "b": "Running"},
        {"a": "Complete"},
    ]


def test_a_job_counted_as_successful_but_not_complete_yet_is_watched_on() -> None:
    cluster = Lists()
    runs(cluster, "a")
    counted = named_job("a", succeeded=1)
    done = pod("Succeeded", ended(0), SCHEDULED, job=counted)
    seen = [*watch(cluster, lambda: cluster.put("a", counted, done), lambda: completes(cluster, "a"))]
    assert [conditions(known)["a"] for known in seen] == ["Running", "Pending", "Complete"]
    assert seen[1]["a"].cause == "ending"


def test_a_pod_that_has_ended_while_the_controller_is_down_is_not_stuck() -> None:
    cluster = Lists()
    runs(cluster, "a")
    behind = named_job("a", active=1, age=10_000)
    done = pod("Succeeded", ended(0), SCHEDULED, job=behind)
    seen = [*watch(cluster, lambda: cluster.put("a", behind, done), lambda: completes(cluster, "a"))]
    assert seen[1]["a"].cause == "ending"


def test_jobs_of_another_list_of_trials_are_not_waited_for() -> None:
    cluster = Lists()
    completes(cluster, "a")
    runs(cluster, "old")
    (known,) = watch(cluster, jobs="a")
    assert conditions(known) == {"a": "Complete"}


def test_a_finished_job_that_is_removed_stays_known() -> None:
    cluster = Lists()
    completes(cluster, "a")
    runs(cluster, "b")

    def deletes_a_and_completes_b() -> None:
        cluster.put("a", None)
        completes(cluster, "b")

    *_, last = watch(cluster, deletes_a_and_completes_b)
    assert conditions(last) == {"a": "Complete", "b": "Complete"}


def test_a_cluster_that_is_away_is_waited_for() -> None:
    cluster = Lists()
    runs(cluster, "a")
    cluster.away = 3

    def away() -> None:
        completes(cluster, "a")
        cluster.away = 4

    assert [conditions(known) for known in watch(cluster, away, jobs="a")] == [{"a": "Running"}, {"a": "Complete"}]


def test_the_delay_grows_while_nothing_changes_and_begins_anew_when_something_does() -> None:
    cluster, slept = Lists(), list[float]()
    runs(cluster, "a")
    runs(cluster, "b")

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 12:
            completes(cluster, "a")
        if len(slept) == 14:
            completes(cluster, "b")

    [*watching.looks(cluster, "toy", "ab", Patience(lambda _: None), sleep)]
    assert slept[:3] == [watching.FIRST_DELAY, 1.5, 2.25]
    assert slept[:12] == sorted(slept[:12])
    assert slept[11:14] == [watching.LAST_DELAY, watching.FIRST_DELAY, 1.5]


WORLD = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["runs", "completes", "fails", "deleted", "away"])), max_size=12
)


@given(WORLD)
def test_whatever_happens_the_last_look_tells_what_is_there(world: list[tuple[str, str]]) -> None:
    cluster = Lists()
    does: dict[str, Callable[[str], None]] = {
        "runs": lambda name: runs(cluster, name),
        "completes": lambda name: completes(cluster, name),
        "fails": lambda name: fails(cluster, name),
        "deleted": lambda name: cluster.put(name, None),
        "away": lambda _: setattr(cluster, "away", 2),
    }
    finished = set[str]()

    def step(name: str, what: str) -> None:
        if name not in finished:  # a Job that has finished does not run again
            does[what](name)
        if what in ("completes", "fails"):
            finished.add(name)

    def end() -> None:
        for name in [*cluster.jobs]:
            step(name, "completes")

    runs(cluster, "a")
    runs(cluster, "b")
    *_, last = watch(cluster, *(lambda event=event: step(*event) for event in world), end, *([lambda: None] * 3))
    there = conditions(states.look(cluster, "toy"))
    assert all(state.finished for state in last.values())
    assert conditions(last) == {name: condition for name, condition in there.items() if name in last}
    assert last.keys() == there.keys() or not cluster.jobs.keys() <= last.keys()


# ---- when to give up ----


def state(cause: str, condition: str = "Pending", name: str = "a") -> JobState:
    return JobState(name, f"trial-{name}", condition, cause, f"{cause}: why {name}")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("cause", ["image", "config", "mount", "refused", "stuck"])
def test_gives_up_when_all_that_remains_has_failed_to_start_for_long(cause: str) -> None:
    clock = Clock()
    impatience = watching.Impatience(600, clock)
    known = {"a": state(cause), "b": state("", "Complete", "b"), "c": state("mount", name="c")}
    assert not impatience(known)
    clock.now = 600 - 1
    assert not impatience(known)
    clock.now += 1
    assert impatience(known)


@pytest.mark.parametrize(
    "other",
    [state(cause) for cause in ("queued", "unschedulable", "quota", "starting", "retrying", "ending", "suspended")]
    + [state("", "Running")],
    ids=lambda other: other.cause or other.condition,
)
def test_never_gives_up_while_something_runs_or_waits_its_turn(other: JobState) -> None:
    clock = Clock()
    impatience = watching.Impatience(600, clock)
    assert not impatience({"b": state("image", name="b")})
    clock.now += 600 - 1
    assert not impatience({"b": state("image", name="b"), "a": other})
    clock.now += 600
    assert not impatience({"b": state("image", name="b")})  # from here the time counts anew


def test_nothing_left_is_nothing_to_give_up() -> None:
    clock = Clock()
    impatience = watching.Impatience(600, clock)
    for _ in range(2):
        assert not impatience({"a": state("", "Complete")})
        assert not impatience({})
        clock.now += 600


# ---- why it waits ----


def test_waits_are_counted_by_cause_the_most_frequent_first_with_the_first_ones_reason() -> None:
    known = {
        "a": state("image", name="a"),
        "b": state("queued", name="b"),
        "c": state("queued", name="c"),
        "d": state("", "Running", "d"),
        "e": dataclasses.replace(state("exit 1", "Failed", "e")),
    }
    assert watching.waits(known) == [("queued", 2, "queued: why b"), ("image", 1, "image: why a")]
    assert watching.waits({}) == []


def test_a_wait_is_told_as_the_states_tell_it() -> None:
    item = named_job("a", active=1)
    creating = pod("Pending", waiting("ErrImagePull", "not found"), SCHEDULED, job=item)
    known = states.read([item], [creating], [], 0)
    assert watching.waits(known) == [("image", 1, "image: ErrImagePull: not found")]


# ---- first trials that all fail alike ----


class Held(Lists):
    """A sweep of five Jobs that is watched with a hold, which suspends Jobs of its own."""

    def __init__(self, needed: int = 3) -> None:
        super().__init__()
        self.messages = list[str]()
        self.refuses: Exception | None = None
        self.alike = watching.Alike(needed)
        self.hold = watching.Hold(self.suspend, self.messages.append)
        self.reached = ""
        for name in "abcde":
            item = named_job(name, active=1)
            self.put(name, item, pod("Pending", None, unschedulable("Insufficient gpu"), job=item, name=f"{name}-p"))

    def suspend(self, stop: bool, names: Collection[str], note: str) -> None:
        if self.refuses:
            raise self.refuses
        for name in names:
            self.jobs[name]["spec"]["suspend"] = stop
            self.jobs[name]["metadata"]["annotations"] = {states.HELD: note} if stop and note else {}

    @property
    def suspended(self) -> str:
        return "".join(name for name in sorted(self.jobs) if self.jobs[name]["spec"]["suspend"])

    def fail(self, names: str = "abc", words: str = "no module 'x'", failed: int = 1) -> None:
        """An attempt of each has failed, for so many times, and another will follow."""
        for name in names:
            item = named_job(name, failed=failed)
            end = ended(1, f"failed: exit 1: {words}")
            self.put(name, item, pod("Failed", end, SCHEDULED, job=item, name=f"{name}-p"))

    def complete(self, names: str = "abcde") -> None:
        for name in names:
            completes(self, name)

    def watch(self, *steps: Callable[[], None]) -> list[bool]:
        """What the hold answers to each look, up to the first yes."""
        answers = list[bool]()
        for known in watch(self, *steps, jobs="abcde"):
            answers.append(self.hold(known, self.reached or self.alike(known), self.reached))
            if answers[-1]:
                break
        return answers


def test_first_trials_that_fail_alike_have_the_others_suspended() -> None:
    cluster = Held()
    assert cluster.watch(cluster.fail) == [False, True]
    assert cluster.suspended == "abcde"
    assert cluster.alike.reason == "exit 1: no module 'x'"
    assert [state.name for state in cluster.alike.ended] == ["a", "b", "c"]


def test_what_failed_before_the_first_look_does_not_hold_at_once_again() -> None:
    cluster = Held()
    cluster.fail()
    assert cluster.watch(lambda: None, lambda: cluster.fail(failed=2)) == [False, False, True]


def test_what_runs_is_left_alone_and_frees_the_rest_by_its_success() -> None:
    cluster = Held()

    def all_but_d_fail() -> None:
        runs(cluster, "d")
        cluster.fail()

    def see_who_waits() -> None:
        assert cluster.suspended == "abce"
        completes(cluster, "d")

    def see_that_nobody_waits() -> None:
        assert cluster.suspended == ""
        cluster.complete("abce")

    assert cluster.watch(all_but_d_fail, see_who_waits, see_that_nobody_waits) == [False] * 4
    assert cluster.messages == [
        "3 trials failed alike at once: exit 1: no module 'x'; 1 may end first, none is started",
        "what was held back goes on",
    ]


@pytest.mark.parametrize(("needed", "other"), [(0, "no module 'x'"), (3, "no module 'y'")])
def test_trials_that_fail_differently_or_may_fail_are_not_held(needed: int, other: str) -> None:
    cluster = Held(needed)

    def fail() -> None:
        cluster.fail("abc")
        cluster.fail("d", other)

    def see_that_nobody_waits() -> None:
        assert cluster.suspended == ""
        cluster.complete()

    assert cluster.watch(fail, see_that_nobody_waits) == [False] * 3
    assert cluster.messages == []


def test_where_nothing_can_be_suspended_it_is_said_once_and_watched_on() -> None:
    cluster = Held()
    cluster.refuses = BadInput("queue: Kueue decides")
    assert cluster.watch(cluster.fail, lambda: cluster.fail("d"), cluster.complete) == [False] * 4
    assert cluster.messages == [
        "3 trials failed alike at once: exit 1: no module 'x'; the rest cannot be held back: queue: Kueue decides"
    ]


def test_a_cluster_that_is_away_just_then_is_asked_again_at_the_next_look() -> None:
    cluster = Held()
    cluster.refuses = Unreachable("cluster: refused")
    assert cluster.watch(cluster.fail, lambda: setattr(cluster, "refuses", None)) == [False, False, True]
    assert cluster.suspended == "abcde"


# ---- a limit of the whole sweep ----

GOAL = "goal: score >= 1 is reached by trial abc (score=2)"


def test_at_a_limit_of_the_sweep_what_waits_is_suspended_and_what_runs_ends_by_itself() -> None:
    cluster = Held()

    def goal_while_a_runs() -> None:
        runs(cluster, "a")
        cluster.reached = GOAL

    def see_who_waits() -> None:
        assert cluster.suspended == "bcde"
        completes(cluster, "a")

    assert cluster.watch(goal_while_a_runs, see_who_waits) == [False, False, True]
    assert cluster.messages == [f"{GOAL}; 1 may end first, none is started"]


def test_a_later_launcher_lets_go_what_an_earlier_one_held_back_once_the_limit_is_raised() -> None:
    cluster = Held()
    cluster.reached = GOAL
    assert cluster.watch() == [True]
    assert cluster.suspended == "abcde"
    (shown,) = {state.reason for state in states.read(cluster.jobs.values(), [], [], 0).values()}
    assert shown == f"held back: {GOAL}"
    cluster.hold, cluster.reached = watching.Hold(cluster.suspend, cluster.messages.append), ""
    assert cluster.watch(cluster.complete) == [False, False]
    assert cluster.messages == ["what was held back goes on"]


def test_a_later_launcher_leaves_alone_what_a_person_stopped() -> None:
    cluster = Held()
    cluster.suspend(True, "abcde", "")

    def see_who_waits() -> None:
        assert cluster.suspended == "abcde"
        cluster.complete()

    assert cluster.watch(see_who_waits) == [False, False]
