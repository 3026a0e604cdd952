"""The race: who cannot win is dropped, who may is not."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.ranking import stats
from sweep.records.results import Objective, Row
from sweep.spaces import refine, search
from sweep.spaces.basis import Basis
from sweep.spaces.block import Section
from tests.unit.searching import row
from tests.unit.test_space import read

LOSS = Objective("loss", "minimize")


def choice(means: list[float], seeds: int, sd: float, draw: random.Random) -> stats.Choice:
    rows = [
        row({"x": place}, {"loss": draw.gauss(mean, sd)}, seed)
        for place, mean in enumerate(means)
        for seed in range(seeds)
    ]
    return stats.choose(rows, LOSS, "local")


def test_the_hopeless_are_dropped_and_equals_stay() -> None:
    draw = random.Random(1)
    chosen = choice([0.0, 0.0, 5.0, 6.0], 3, 0.5, draw)
    left, out = refine.judge(chosen, chosen.points)
    assert sorted(point.hyperparameters["x"] for point in left) == [0, 1]
    assert sorted(point.hyperparameters["x"] for point in out) == [2, 3]


def test_without_replicates_nobody_is_dropped() -> None:
    chosen = choice([0.0, 9.0], 1, 0.1, random.Random(1))
    assert refine.judge(chosen, chosen.points) == (list(chosen.points), [])


def test_what_diverged_is_out() -> None:
    rows = [row({"x": 0}, {"loss": 0.0}), row({"x": 0}, "diverged", 1)]
    rows += [row({"x": x}, {"loss": x + seed / 9}, seed) for x in (1, 2) for seed in (0, 1)]
    chosen = stats.choose(rows, LOSS, "local")
    left, out = refine.judge(chosen, chosen.points)
    assert 0 in [point.hyperparameters["x"] for point in out]
    assert 1 in [point.hyperparameters["x"] for point in left]


def test_the_best_is_rarely_lost() -> None:
    """At 2.5 % a comparison: of 400 made-up steps with a best point and three a little worse, few lose the best."""
    draw = random.Random(7)
    lost = 0
    for _ in range(400):
        chosen = choice([0.0, 0.3, 0.6, 0.9], 3, 1.0, draw)
        _, out = refine.judge(chosen, chosen.points)
        lost += any(point.hyperparameters["x"] == 0 for point in out)
    assert lost <= 0.05 * 400, lost


# ---- a whole race ----

SPACE = read(
    "{x: {type: int, low: 0, high: 99}}", "{name: sobol, n: 4}", more="objective: {metric: loss, direction: minimize}\n"
)
RACE = "race step {}, top {}, at most {} replicates"


def run(rows: list[Row], count: int, most: int, loss: Any) -> tuple[list[list[dict[str, Any]]], str]:
    """(the trials of every step, the outcome) of a race from `rows` on, with `loss(x, seed)` for new trials."""
    sections: list[Section] = []
    for step in range(1, 99):
        what = RACE.format(step, count, most)
        source = Basis("b10b", "local", tuple(rows))
        section = search.make(SPACE, what, sections, source)
        if section is None:
            return [list(part.trials) for part in sections], search.outcome(SPACE, what, sections, source)
        sections.append(section)
        assert search.evidence(SPACE, what, sections[:-1], source)
        for trial in section.trials:
            outcome = loss(trial["x"], trial.get("seed", 0))
            metrics = {"loss": outcome} if isinstance(outcome, float) else outcome
            rows = [*rows, row({"x": trial["x"]}, metrics, trial.get("seed", 0))]
    raise AssertionError("the race has no end")


def test_a_race_of_points_that_have_their_seeds_already_gives_them_further_ones() -> None:
    draw = random.Random(3)
    rows = [row({"x": x}, {"loss": draw.gauss(0, 1)}, seed) for x in range(4) for seed in range(3)]
    steps, outcome = run(rows, 4, 9, lambda _x, _seed: draw.gauss(0, 1))
    assert {trial["seed"] for trial in steps[0]} == {3, 4}
    assert "of 4 left, " in outcome


def test_a_race_that_has_all_its_seeds_or_one_point_is_over_at_once() -> None:
    rows = [row({"x": x}, {"loss": x + seed / 9}, seed) for x in range(4) for seed in range(3)]
    assert run(rows, 4, 3, None) == ([], '1 of 4 left, {"x": 0}')
    assert run(rows[:3], 4, 9, None) == ([], '1 of 4 left, {"x": 0}')


def test_a_leader_that_needs_no_new_seed_stays_in_the_race() -> None:
    """0 has all nine seeds before the race begins; the others catch up, and it still wins."""
    draw = random.Random(4)
    rows = [row({"x": 0}, {"loss": draw.gauss(0, 0.1)}, seed) for seed in range(9)]
    rows += [row({"x": x}, {"loss": 0.3 * x + draw.gauss(0, 0.1)}) for x in (1, 2, 3)]
    steps, outcome = run(rows, 4, 9, lambda x, _seed: 0.3 * x + draw.gauss(0, 0.1))
    assert steps
    assert all(trial["x"] != 0 for trial in steps[0])
    assert '{"x": 0}' in outcome
    assert '{"x": 3}' not in outcome


def test_who_is_out_stays_out_though_others_change() -> None:
    draw = random.Random(5)
    rows = [row({"x": x}, {"loss": x / 4 + draw.gauss(0, 0.2)}, seed) for x in range(9) for seed in range(2)]
    steps, _ = run(rows, 9, 9, lambda x, _seed: 9.0 if x == 0 else draw.gauss(0, 0.2))
    assert len(steps) > 1
    assert {trial["x"] for trial in steps[0]} < set(range(8))
    assert not {trial["x"] for step in steps[1:] for trial in step} - {trial["x"] for trial in steps[0]}


def test_points_are_judged_at_the_seeds_that_both_have() -> None:
    """Seed 0 is kind to all by 5: who had it alone, and is worse by 1 there, is out, however good its mean looks."""
    rows = [
        row({"x": x}, {"loss": x / 100 + (x * seed) % 3 / 1000 - 5.0 * (seed == 0)}, seed)
        for x in range(4)
        for seed in range(4)
    ]
    rows.append(row({"x": 50}, {"loss": 1.0 - 5.0}))
    choice = stats.choose(rows, LOSS, "local")
    last = next(point for point in choice.points if point.hyperparameters["x"] == 50)
    assert last.mean < min(point.mean for point in choice.points if point is not last)
    left, out = refine.judge(choice, choice.points)
    assert last in out
    assert choice.points[0] in left


@pytest.mark.parametrize("effect", [1.0, 30.0])
def test_what_a_seed_does_to_all_points_alike_costs_a_race_no_trial(effect: float) -> None:
    """Judged at the seeds that both have, by the noise that is left; by bare means it would go on to the last seed."""

    def spent(effect: float) -> tuple[int, str]:
        draw, shift = random.Random(11), random.Random(12)
        shifts = [effect * shift.gauss(0, 1) for _ in range(9)]

        def loss(x: int, seed: int) -> float:
            return 0.15 * x + shifts[seed] + draw.gauss(0, 0.1)

        steps, outcome = run([row({"x": x}, {"loss": loss(x, 0)}) for x in range(8)], 8, 9, loss)
        return sum(map(len, steps)), outcome

    assert spent(effect) == spent(0.0)
    assert spent(effect)[0] <= 35


def test_who_shares_no_seed_with_the_leader_stays() -> None:
    rows = [row({"x": x}, {"loss": x + seed / 100}, seed) for x in range(2) for seed in range(3)]
    choice = stats.choose([*rows, row({"x": 9}, {"loss": 9.0}, 77)], LOSS, "local")
    left, out = refine.judge(choice, choice.points)
    assert [point.hyperparameters["x"] for point in left] == [0, 9]
    assert [point.hyperparameters["x"] for point in out] == [1]


outcomes = st.sampled_from(["diverged", "failed", 0.0, 1.0, 1.0, 2.5, 1e200, -1e308])
known = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 3)), outcomes, min_size=1, max_size=12)


@settings(deadline=None, max_examples=50)
@given(known, st.integers(1, 6), st.integers(1, 7), st.randoms(use_true_random=False))
def test_no_race_raises_whatever_its_trials_give(
    listed: dict[tuple[int, int], Any], count: int, most: int, draw: random.Random
) -> None:
    rows = [row({"x": x}, {"loss": end} if isinstance(end, float) else end, seed) for (x, seed), end in listed.items()]
    if "succeeded" not in {entry.status for entry in rows}:
        with pytest.raises(BadInput, match=r"^results.csv: no trial has a loss yet"):
            run(rows, count, most, None)
        return
    ends = ["failed", "diverged", 0.0, 1.0, 3.0, 1e300]
    steps, outcome = run(rows, count, most, lambda _x, _seed: draw.choice(ends))
    assert f" of {count} left, " in outcome
    added = [(trial["x"], trial.get("seed", 0)) for step in steps for trial in step]
    assert len(set(added)) == len(added)
    assert not set(added) & set(listed)
    assert all(seed < most for _, seed in added)
