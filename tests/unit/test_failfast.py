"""When a sweep whose first trials all fail is held back, and when it is not; and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep import failfast
from sweep.jobs import JobState

TYPO = "exit 1: ModuleNotFoundError: No module named 'x'"


def failed(number: int, failure: str = TYPO, seconds: float | None = 1.0, condition: str = "Pending") -> JobState:
    """A Job of the trial of that number, of which an attempt has failed."""
    trial = f"{number:012x}"
    return JobState(f"toy-{trial}", trial, condition, failed=1, failure=failure, failed_s=seconds)


CAUSES = st.sampled_from(["exit 1", "exit 2", "bad input", "OOM"])
WORDS = st.sampled_from(["ValueError: {n}", "no {trial} in /tmp/a{n}c/x", "lr={n}.5e-07 is too large", "usage: x"])
SHORT = st.none() | st.floats(0, failfast.SOON_SECONDS)
STATES = st.sampled_from(["Pending", "Running", "Suspended", "Failed"])


@st.composite
def alike(draw: st.DrawFn) -> list[JobState]:
    """Trials that failed soon, for one reason told with numbers and ids of their own."""
    cause, words = draw(CAUSES), draw(WORDS)
    numbers = draw(st.lists(st.integers(0, 2**48 - 1), min_size=1, max_size=8, unique=True))
    texts = [f"{cause}: {words.format(n=n, trial=f'{n:012x}')}" for n in numbers]
    return [failed(n, text, draw(SHORT), draw(STATES)) for n, text in zip(numbers, texts, strict=True)]


@given(alike(), st.integers(0, 9))
def test_so_many_that_fail_soon_and_alike_hold_the_rest_and_fewer_do_not(ended: list[JobState], needed: int) -> None:
    held = failfast.shared(ended, needed)
    assert bool(held) == (0 < needed <= len(ended))
    assert held in ("", *(state.failure for state in ended))


@given(alike(), st.integers(0, 9), st.integers(0, 8))
def test_one_that_completes_frees_the_rest(ended: list[JobState], needed: int, place: int) -> None:
    # At last, after it had failed as the others.
    done = replace(ended[0], name="another", trial="another", condition="Complete")
    assert not failfast.shared([*ended[:place], done, *ended[place:]], needed)


@given(alike(), st.integers(0, 9), st.sampled_from(["exit 1: other", "exit 3: usage: x", "", "evicted"]))
def test_one_that_fails_otherwise_frees_the_rest(ended: list[JobState], needed: int, other: str) -> None:
    assert not failfast.shared([*ended, failed(2**48, other)], needed)


@given(alike(), st.integers(0, 9), st.integers(0, 7))
def test_one_that_ran_for_long_frees_the_rest(ended: list[JobState], needed: int, place: int) -> None:
    place %= len(ended)
    ended[place] = replace(ended[place], failed_s=failfast.SOON_SECONDS + 1)
    assert not failfast.shared(ended, needed)


@given(alike(), st.integers(1, 9), st.randoms())
def test_the_order_in_which_they_end_does_not_matter(ended: list[JobState], needed: int, order: object) -> None:
    shuffled = sorted(ended, key=lambda _: order.random())  # type: ignore[attr-defined]
    assert bool(failfast.shared(shuffled, needed)) == bool(failfast.shared(ended, needed))


@pytest.mark.parametrize(
    ("first", "other", "same"),
    [
        ("exit 1: KeyError: 'lr'", "exit 1: KeyError: 'lr'", True),
        ("exit 1: KeyError: 'lr'", "exit 1: KeyError: 'momentum'", False),
        ("exit 1: died", "exit 2: died", False),
        ("exit 1: loss 0.25 at step 10", "exit 1: loss -1.5e-07 at step 2000", True),
        ("exit 2: can't open file '/j/a3f9c/train.py'", "exit 2: can't open file '/j/0b7e2/train.py'", True),
        ("exit 2: can't open file '/j/a3f9c/train.py'", "exit 2: can't open file '/j/0b7e2/main.py'", False),
        ("OOM", "OOM", True),
        ("", "", False),
    ],
)
def test_numbers_and_ids_are_no_difference_and_words_are(first: str, other: str, same: bool) -> None:
    assert bool(failfast.shared([failed(1, first), failed(2, other)], 2)) == same


def test_a_trial_that_fails_again_and_again_is_one() -> None:
    again = replace(failed(1), name="toy-000000000001-r1")
    assert not failfast.shared([failed(1), again], 2)


# ---- what has ended since somebody looks ----


def known(*states: JobState) -> dict[str, JobState]:
    return {state.name: state for state in states}


def ended(*looks: Sequence[JobState]) -> list[str]:
    """The trials that have ended an attempt by the last of some looks."""
    seen = failfast.Ended()
    return [[state.trial for state in seen(known(*look))] for look in looks][-1]


NEW = JobState("toy-000000000001", "000000000001")


def test_what_failed_before_the_first_look_counts_once_it_fails_again() -> None:
    before = failed(1)
    assert ended([before], [replace(before, condition="Running")]) == []
    assert ended([before], [replace(before, condition="Running")], [replace(before, failed=2)]) == [before.trial]
    assert ended([replace(before, condition="Failed")], [replace(before, condition="Failed")]) == []


def test_what_ends_between_two_looks_counts_whatever_it_does_now() -> None:
    assert ended([NEW], [failed(1)]) == [NEW.trial]
    assert ended([NEW], [failed(1, condition="Running")]) == [NEW.trial]
    assert ended([NEW], [replace(NEW, condition="Complete")]) == [NEW.trial]
    assert ended([NEW], [replace(NEW, condition="Failed")]) == [NEW.trial]
    assert ended([NEW], [replace(NEW, condition="Running")]) == []
    assert ended([], [failed(1)]) == [NEW.trial]


# ---- what is said ----


def test_the_message_counts_names_the_log_and_the_way_on() -> None:
    three = [failed(n) for n in range(3)]
    waiting = [JobState(f"toy-{n}", str(n)) for n in range(37)]
    assert failfast.message("toy", known(*three, *waiting), three, TYPO, "`make sweep SWEEP=toy` goes on") == (
        "3 of 40 trials failed alike at once, and 37 are held back: exit 1: ModuleNotFoundError: No module named 'x'; "
        "see `make logs SWEEP=toy TRIAL=000000000000`, mend it, then `make sweep SWEEP=toy` goes on "
        "(`failFast: 0` lets all run)"
    )
    assert "3 of 3 trials failed alike at once, and none is tried again: " in failfast.message(
        "toy", known(*three), three, TYPO, ""
    )
