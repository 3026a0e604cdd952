"""How often a stop rule was wrong: the estimate against sweeps in which the truth is known."""

from __future__ import annotations

import random
import statistics

import pytest

from sweep.ranking import stopped
from sweep.records.results import Objective, Row
from sweep.reports import verdict

LARGER = Objective("accuracy", "maximize")
SMALLER = Objective("loss", "minimize")


def row(name: str, value: float | None, status: str = "succeeded", group: str = "") -> Row:
    return Row(name, status, {}, objective=value, stop=group)


def sweep(seed: int, share: float, wrong: float) -> tuple[list[Row], dict[str, float | None], set[str], float]:
    """200 trials, half of them stopped, of which a share is among the best tenth: rows, rungs, checks, that share."""
    rng = random.Random(seed)
    values = list(range(200))
    top, rest = values[180:], values[:180]
    in_top = round(wrong * 100)
    ended = rng.sample(top, in_top) + rng.sample(rest, 100 - in_top)
    rows, rungs, checks = [], dict[str, float | None](), set[str]()
    for value in values:
        name = f"{value:012x}"
        if value in ended and rng.random() >= share:
            rungs[name] = 3.0
            rows.append(row(name, value / 2, "pruned", "abcd"))
        else:
            checks |= {name} if value in ended else set()
            rows.append(row(name, float(value)))
    return rows, rungs, checks, wrong


@pytest.mark.parametrize("wrong", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_the_share_of_wrong_stops_is_met_on_the_average(share: float, wrong: float) -> None:
    estimates, held = [], 0
    for seed in range(200):
        rows, rungs, checks, truth = sweep(seed, share, wrong)
        judged = stopped.judge(rows, LARGER, rungs, checks)
        assert judged
        estimates.append(judged.wrong / max(1, judged.checked))
        held += judged.most >= truth
    assert statistics.mean(estimates) == pytest.approx(wrong, abs=0.02)
    assert held >= 0.93 * 200


def test_less_is_better_where_the_objective_says_so() -> None:
    rows = [row(str(place), float(place)) for place in range(9)]
    rows.append(row("9", 0.0, "pruned", "abcd"))
    best, worst = (stopped.judge(rows, SMALLER, {"9": 1}, {name}) for name in ("0", "8"))
    assert best
    assert worst
    assert (best.wrong, worst.wrong) == (1, 0)


def test_nothing_is_said_of_a_sweep_without_stops() -> None:
    assert stopped.judge([row("1", 0.5)], LARGER, {}, set()) is None
    assert verdict.on_stops(None) == []


def test_the_words_say_how_many_and_how_sure() -> None:
    rows = [row(str(place), float(place)) for place in range(8)]
    rows += [row(name, 0.0, "pruned", "abcd") for name in ("a", "b")]
    unchecked = stopped.judge(rows, LARGER, {"a": 1, "b": None}, set())
    assert verdict.on_stops(unchecked) == [
        "The stop rule ended 2 of 10 trials early.",
        "Nothing tells how often it was wrong: `audit: 0.1` in `stop` leaves a tenth to run as a check.",
    ]
    checked = stopped.judge(rows, LARGER, {"a": 1, "b": None}, {"0", "1"})
    assert checked
    assert checked.rungs == ((1, 1),)
    assert verdict.on_stops(checked)[1] == (
        "Of 2 that it would have ended and that ran on as a check, none were among the best 1: at most 78 % of such "
        "stops are wrong (95 %)."
    )
