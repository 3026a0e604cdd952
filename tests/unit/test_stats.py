"""Pooling replicates, intervals, and whether the stated probability of being the best is true."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import bench_odds
from sweep.ranking import noise, stats
from sweep.records.results import Objective, Row
from sweep.reports import verdict
from tests.unit.stores import row

MORE = Objective("val_accuracy", "maximize")
LESS = Objective("val_accuracy", "minimize")


def table(values: Sequence[Sequence[float]], **changes: Any) -> list[Row]:
    """Rows of points lr=0, 1, … with these values at seeds 0, 1, …"""
    return [
        row({"lr": n}, seed, value, **changes) for n, point in enumerate(values) for seed, value in enumerate(point)
    ]


def test_replicates_are_pooled_and_points_ranked() -> None:
    rows = table([[0.90, 0.92], [0.95, 0.93], [0.5]])
    ranked = stats.points(rows, MORE, "local")
    assert [(point.hyperparameters["lr"], point.n, point.mean) for point in ranked] == [
        (1, 2, pytest.approx(0.94)),
        (0, 2, pytest.approx(0.91)),
        (2, 1, 0.5),
    ]
    assert [point.hyperparameters["lr"] for point in stats.points(rows, LESS, "local")] == [2, 0, 1]


def test_engines_are_never_mixed() -> None:
    rows = [*table([[0.9]]), row({"lr": 7}, value=0.99, engine="cluster")]
    assert [point.hyperparameters["lr"] for point in stats.points(rows, MORE, "local")] == [0]
    assert [point.hyperparameters["lr"] for point in stats.points(rows, MORE, "cluster")] == [7]
    other_image = row({"lr": 0}, seed=1, value=0.1, image="sha256:other")
    assert [point.n for point in stats.points([*table([[0.9]]), other_image], MORE, "local")] == [1, 1]


@pytest.mark.parametrize("status", ["failed", "pruned", "running", "pending", "missing"])
def test_only_succeeded_trials_are_ranked(status: str) -> None:
    assert stats.points(table([[0.9]], status=status), MORE, "local") == []


def test_a_point_that_diverges_with_some_seed_is_ranked_behind_those_that_never_do() -> None:
    rows = [*table([[0.99], [0.90, 0.91]]), row({"lr": 0}, 1, None, status="diverged")]
    first, last = stats.points(rows, MORE, "local")
    assert (first.hyperparameters["lr"], last.hyperparameters["lr"], last.diverged) == (1, 0, 1)
    assert stats.choose(rows, MORE, "local").points[0] == first


def test_a_trial_stands_for_its_point_by_seed_and_not_by_luck() -> None:
    assert stats.points(table([[0.90, 0.99]]), MORE, "local")[0].trial.seed == 0


def test_interval_is_students() -> None:
    # One point, n = 4, s = 0.01: t(0.975, 3) = 3.18245 (any table), so 3.18245 x 0.01 / 2.
    values = [0.9 - 0.01 * math.sqrt(1.5), 0.9, 0.9, 0.9 + 0.01 * math.sqrt(1.5)]
    noise = stats.noise_within(stats.points(table([values]), MORE, "local"))
    assert noise is not None
    assert (noise.sd, noise.df) == (pytest.approx(0.01), 3)
    assert noise.half_width(4) == pytest.approx(0.0159122, rel=1e-5)


def test_noise_is_measured_among_the_better_half() -> None:
    good = [[0.90 + 0.001 * n, 0.902 + 0.001 * n] for n in range(8)]
    wild = [[0.1 + 0.001 * n, 0.5 + 0.001 * n] for n in range(8)]
    noise = stats.choose(table(good + wild), MORE, "local").noise
    assert noise is not None
    assert (noise.sd, noise.df) == (pytest.approx(0.002 / math.sqrt(2)), 8)


def test_noise_comes_from_the_worse_half_if_only_that_has_replicates() -> None:
    noise = stats.choose(table([[0.9 + n / 100] for n in range(16)] + [[0.1, 0.2]]), MORE, "local").noise
    assert noise is not None
    assert noise.df == 1


def test_a_seed_effect_common_to_all_points_is_taken_out_of_differences() -> None:
    shift, quirk = [0.0, 0.05, -0.03], [[0.001, -0.001, 0.0], [0.0, 0.001, -0.001], [-0.001, 0.0, 0.001]]
    rows = table([[0.9 + n / 100 + s + q for s, q in zip(shift, quirk[n], strict=True)] for n in range(3)])
    choice = stats.choose(rows, MORE, "local")
    assert choice.noise is not None
    assert choice.paired is not None
    assert choice.noise.sd > 0.03
    assert choice.paired.sd < 0.002
    assert choice.p_best[0] > 0.95
    other = stats.choose([*rows, row({"lr": 9}, 77, 0.1)], MORE, "local")
    assert other.paired == choice.paired, "a seed that one point alone has tells nothing of the others"


def test_without_replicates_nothing_is_claimed() -> None:
    choice = stats.choose(table([[0.9], [0.8]]), MORE, "local")
    assert (choice.noise, choice.p_best, choice.expected, choice.more) == (None, (), None, None)
    assert choice.gap == pytest.approx(0.1)


@pytest.mark.parametrize("values", [[], [[0.9]], [[0.9, 0.9], [0.8, 0.8]], [[0.9, 0.9]]])
def test_degenerate_tables_are_fine(values: list[list[float]]) -> None:
    choice = stats.choose(table(values), MORE, "local")
    assert len(choice.points) == len(values)
    assert choice.p_best == ()
    assert verdict.sentences(choice, ["lr"])


def test_one_lucky_seed_does_not_beat_five() -> None:
    wobbles = [(-2, 0, 2), (2, -2, 0), (0, 2, -2), (2, 0, -2)]
    settled = [
        [0.900 + 0.001 * k for k in (-2, -1, 0, 1, 2)],
        *([0.894 + 0.001 * k for k in wobble] for wobble in wobbles),
    ]
    choice = stats.choose(table([*settled, [0.9005]]), MORE, "local")
    assert choice.points[0].hyperparameters["lr"] == 0
    assert choice.gap is not None
    assert choice.gap < 0


def test_the_winner_is_expected_to_be_worse_than_it_looks_and_direction_is_heeded() -> None:
    draw = np.random.default_rng(3)
    values = (0.9 + 0.003 * draw.standard_normal((16, 1)) + 0.003 * draw.standard_normal((16, 3))).tolist()
    up = stats.choose(table(values), MORE, "local")
    down = stats.choose(table([[-value for value in point] for point in values]), LESS, "local")
    assert up.expected is not None
    assert down.expected is not None
    assert up.expected < up.points[0].mean
    assert down.expected == pytest.approx(-up.expected)
    assert down.p_best == up.p_best
    assert down.gap == pytest.approx(up.gap)


@pytest.mark.parametrize(
    ("gap", "needed"), [(0.10, 36), (0.16, 14), (0.29, 5), (0.50, 2), (0.0, None), (-1.0, None), (9.0, 2)]
)
def test_replicates_needed_are_those_of_the_design(gap: float, needed: int | None) -> None:
    assert stats.replicates_needed(gap, 0.151) == needed


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=4), min_size=1, max_size=12))
def test_probabilities_are_probabilities(values: list[list[float]]) -> None:
    choice = stats.choose(table(values), MORE, "local")
    assert sum(choice.p_best) == pytest.approx(1) or choice.p_best == ()
    assert all(math.isfinite(p) for p in choice.p_best)
    assert len(choice.points) == len(values)


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("test_accuracy", True),
        ("test", True),
        ("Test/loss", True),
        ("test.loss", True),
        ("val_accuracy", False),
        ("testimony", False),
        ("contest", False),
    ],
)
def test_test_metrics_are_known_by_name(name: str, test: bool) -> None:
    assert stats.is_test_metric(name) == test


def test_test_metrics_of_the_winner_are_means_over_its_seeds() -> None:
    rows = [row({"lr": 1}, seed, metrics={"val_accuracy": 0.9, "test_accuracy": 0.8 + seed / 10}) for seed in (0, 1)]
    assert stats.test_metrics(stats.points(rows, MORE, "local")[0]) == {"test_accuracy": pytest.approx(0.85)}


# ---- unequal seeds ----


def test_a_seed_that_is_kind_to_all_points_does_not_rank_those_that_had_it_alone() -> None:
    """Seed 0 gives everybody 0.1 more; the better points have other seeds, too, and so the lower means."""
    wobbles = [(1, -1, 0), (-1, 0, 1), (0, 1, -1), (1, 0, -1)]
    better = [[0.90 + 0.1 + w[0] / 1000, 0.90 + w[1] / 1000, 0.90 + w[2] / 1000] for w in wobbles]
    choice = stats.choose(table([*better, *([0.95 + n / 1000] for n in range(6))]), MORE, "local")
    assert {point.n for point in choice.points[:4]} == {3}
    assert min(point.mean for point in choice.points[4:]) > max(point.mean for point in choice.points[:4])
    assert sum(choice.p_best[:4]) > 0.99
    assert choice.points[4].adjusted == pytest.approx(choice.points[4].mean - 0.1 * 2 / 3, abs=0.003)
    assert choice.gap is not None
    assert abs(choice.gap) < 0.01


def test_equal_seeds_move_nobody() -> None:
    draw = np.random.default_rng(5)
    values = draw.standard_normal((9, 4)) + 3 * draw.standard_normal(4)
    points = stats.points(table(values.tolist()), MORE, "local")
    assert [point.adjusted for point in points] == [point.mean for point in points]


def test_seeds_that_nobody_shares_move_nobody() -> None:
    rows = [row({"lr": n}, 10 * n + seed, n + seed / 10) for n in range(5) for seed in range(3)]
    choice = stats.choose(rows, MORE, "local")
    assert [point.adjusted for point in choice.points] == pytest.approx([point.mean for point in choice.points])


def replicated_top(draw: np.random.Generator, seed_effect: float, top: int, seeds: int) -> tuple[float, bool, bool]:
    """(stated probability, right, won by a single seed) where the `top` of 32 by seed 0 got more seeds; noise 0.5."""
    truth = draw.standard_normal(32)
    values = truth[:, None] + 0.5 * draw.standard_normal((32, seeds)) + seed_effect * draw.standard_normal(seeds)
    lucky = values[:, 0].argsort()[::-1][:top]
    rows = [row({"lr": n}, 0, float(values[n, 0])) for n in range(32)]
    rows += [row({"lr": int(n)}, seed, float(values[n, seed])) for n in lucky for seed in range(1, seeds)]
    choice = stats.choose(rows, MORE, "local")
    return choice.p_best[0], choice.points[0].hyperparameters["lr"] == int(truth.argmax()), choice.points[0].n == 1


@pytest.mark.parametrize("seed_effect", [0.0, 1.0])
def test_stated_probabilities_come_true_where_only_the_top_was_replicated(seed_effect: float) -> None:
    draw = np.random.default_rng(8)
    outcomes = [replicated_top(draw, seed_effect, *((5, 8), (3, 3))[n % 2]) for n in range(100)]
    assert sum(single for *_, single in outcomes) <= 1
    stated, right = (sum(column) / len(outcomes) for column in list(zip(*outcomes, strict=True))[:2])
    assert stated - 0.05 <= right <= stated + 0.15, "careful, if anything"
    sure = [best for p, best, _ in outcomes if p >= 0.8]
    assert len(sure) >= 25
    assert sum(sure) / len(sure) >= 0.85


# ---- budgets ----


def trained(lr: float, epochs: int, value: float | None, seed: int = 0, **changes: Any) -> Row:
    return row({"lr": lr, "epochs": epochs}, seed, value, **changes)


def test_a_configuration_does_not_compete_with_its_own_shorter_budgets_or_with_those_of_others() -> None:
    """Shorter training looks better here: in its first epochs 1 has 0.99, and 3, which was dropped, 0.95."""
    rows = [trained(1, 1, 0.99), trained(1, 9, 0.8), trained(2, 1, 0.96), trained(2, 9, 0.7), trained(3, 1, 0.95)]
    rows += [trained(4, 1, 0.1), trained(4, 3, 0.2)]
    choice = stats.choose(rows, MORE, "local", "epochs")
    pairs = [(point.hyperparameters["lr"], point.budget) for point in choice.points]
    assert pairs == [(1, 9), (2, 9), (4, 3), (3, 1)]
    assert [point.hyperparameters["lr"] for point in choice.competitors] == [1, 2]
    assert choice.gap == pytest.approx(0.1)
    assert {(point.hyperparameters["lr"], point.budget) for point in choice.outgrown} == {(1, 1), (2, 1), (4, 1)}
    sentences = verdict.sentences(choice, ["epochs", "lr"])
    pairs = "2 configurations of 4 had the longest training, epochs 9, and only these were compared; the others follow,"
    assert f"{pairs} the longer trained first." in sentences
    assert any("the best of 2," in sentence for sentence in sentences)
    assert stats.choose(rows, MORE, "local").points[0].mean == 0.99, "it names no budget"


def test_noise_is_that_of_the_longest_budget() -> None:
    rows = [trained(lr, 1, lr + seed * 5, seed) for lr in range(3) for seed in range(3)]
    rows += [trained(lr, 9, lr + (seed + lr) % 3 / 100, seed) for lr in range(2) for seed in range(3)]
    choice = stats.choose(rows, MORE, "local", "epochs")
    assert choice.noise is not None
    assert (choice.noise.sd, choice.noise.df) == (pytest.approx(0.01), 4)
    assert len(choice.p_best) == 2
    assert verdict.half_width(choice, choice.points[2]) is None
    assert verdict.probability(choice, 2) is None


def test_what_diverges_when_trained_for_longer_stands_last_of_its_rung() -> None:
    rows = [trained(1, 1, 0.9), trained(1, 9, None, status="diverged"), trained(2, 1, 0.5), trained(3, 9, 0.1)]
    choice = stats.choose(rows, MORE, "local", "epochs")
    assert [point.hyperparameters["lr"] for point in choice.points] == [3, 2, 1]
    assert choice.points[-1].diverged == 1


def test_a_trial_without_the_budget_is_trained_to_its_end() -> None:
    choice = stats.choose([trained(1, 9, 0.9), row({"lr": 2}, value=0.5)], MORE, "local", "epochs")
    assert [point.hyperparameters["lr"] for point in choice.points] == [2, 1]
    assert "had the longest training, and only" in " ".join(verdict.sentences(choice, []))


# ---- equals ----


def test_equals_share_their_rank_and_stand_by_time_and_then_by_the_size_of_hyperparameters() -> None:
    rows = [
        row({"lr": 10, "kind": "b"}, value=0.5, train_s=9.0),
        row({"lr": 9, "kind": "b"}, value=0.5, train_s=9.0),
        row({"lr": 30, "kind": "a"}, value=0.5, train_s=2.0),
        row({"lr": 2, "kind": "a"}, value=0.4),
    ]
    choice = stats.choose(rows, MORE, "local")
    assert [point.hyperparameters["lr"] for point in choice.points] == [30, 9, 10, 2]
    assert choice.places == (1, 1, 1, 4)
    assert stats.choose(rows[::-1], MORE, "local") == choice


def test_equals_among_replicated_points_share_their_rank() -> None:
    choice = stats.choose(table([[0.5, 0.6, 0.7], [0.5, 0.6, 0.7], [0.5, 0.7, 0.6], [0.1, 0.2, 0.2]]), MORE, "local")
    assert choice.places == (1, 1, 1, 4)


# ---- any floats ----

floats = st.floats(allow_infinity=False, allow_nan=False)
huge = st.sampled_from([1e200, -1e200, 1e308, -1e308, 1.7e308, -1.7e308, 5e-324, -5e-324, 1e-310, 0.0, 1.0, 1.5])
cells = st.dictionaries(st.integers(0, 3), floats | huge, min_size=1)


@settings(deadline=None)
@given(st.lists(cells, min_size=1, max_size=9), st.sampled_from([MORE, LESS]))
def test_any_finite_values_are_ranked_and_put_into_words(tables: list[dict[int, float]], goal: Objective) -> None:
    rows = [row({"lr": n}, seed, value) for n, values in enumerate(tables) for seed, value in values.items()]
    choice = stats.choose(rows, goal, "local")
    assert sorted(point.hyperparameters["lr"] for point in choice.points) == list(range(len(tables)))
    assert sum(choice.p_best) == pytest.approx(1) or choice.p_best == ()
    numbers = [choice.gap, choice.expected, *(point.mean for point in choice.points), *choice.p_best]
    numbers += [verdict.half_width(choice, point) for point in choice.points]
    numbers += [noise.sd for noise in (choice.noise, choice.paired) if noise]
    assert all(math.isfinite(number) for number in numbers if number is not None)
    words = " ".join([*verdict.sentences(choice, ["lr"]), *(verdict.value(choice, point) for point in choice.points)])
    assert not re.search(r"\b(nan|inf)\b", words)
    assert not re.search(r"\d{40}", words)


@given(st.lists(floats | huge, min_size=1, max_size=12), st.sampled_from([MORE, LESS]))
def test_with_one_seed_a_point_the_order_is_that_of_the_values(values: list[float], goal: Objective) -> None:
    choice = stats.choose(table([[value] for value in values]), goal, "local")
    assert [point.mean for point in choice.points] == sorted(values, reverse=goal is MORE)


@given(st.lists(floats | huge, min_size=1, max_size=6))
def test_a_mean_lies_among_its_numbers(values: list[float]) -> None:
    assert min(values) <= noise.mean(values) <= max(values)
    if max(map(abs, values)) < 1e300:
        assert noise.mean(values) == pytest.approx(fmean(values), rel=1e-12, abs=1e-300)


@given(st.lists(st.lists(st.floats(-9, 9), min_size=3, max_size=3), min_size=3, max_size=6), st.integers(-1000, 1000))
def test_statistics_do_not_depend_on_the_unit(values: list[list[float]], power: int) -> None:
    """A power of two as the unit changes no digit, however far it takes the values, but where they vanish."""
    values = [[round(value, 6) for value in point] for point in values]
    once = stats.choose(table(values), MORE, "local")
    again = stats.choose(table([[math.ldexp(value, power) for value in point] for point in values]), MORE, "local")
    assert [ranked.hyperparameters for ranked in again.points] == [ranked.hyperparameters for ranked in once.points]
    assert again.p_best == once.p_best
    if once.noise and again.noise:
        assert again.noise.sd == pytest.approx(math.ldexp(once.noise.sd, power), rel=1e-9)


def test_a_point_that_exploded_to_a_finite_value_does_not_drown_the_others() -> None:
    values = [[0.5, 0.51], [0.3, 0.29], [0.31, 0.32], [1e200, 3e199]]
    choice = stats.choose(table(values), LESS, "local")
    assert [point.hyperparameters["lr"] for point in choice.points] == [1, 2, 0, 3]
    assert choice.noise is not None
    assert choice.noise.sd < 0.01
    assert choice.p_best[0] > 0.8
    assert len(choice.p_best) == 3


# ---- calibration: what is said with 0.8-0.9 must come true that often ----

SHAPES = {
    "normal": lambda draw, points: draw.standard_normal(points),
    "bowl": lambda draw, points: -(draw.uniform(-1, 1, (points, 3)) ** 2) @ np.array([3, 1, 0.3]),
    "some fail": lambda draw, points: np.where(draw.random(points) < 0.3, -12.0, 0.5 * draw.standard_normal(points)),
}


def simulated(draw: np.random.Generator, shape: str, points: int, seeds: int, seed_effect: float) -> tuple[float, bool]:
    """(stated probability of the winner, whether it is the truly best) of one made-up sweep with noise 0.3."""
    truth = SHAPES[shape](draw, points)
    values = truth[:, None] + 0.3 * draw.standard_normal((points, seeds)) + seed_effect * draw.standard_normal(seeds)
    choice = stats.choose(table(values.tolist()), MORE, "local")
    return choice.p_best[0], choice.points[0].hyperparameters["lr"] == int(truth.argmax())


@pytest.mark.parametrize("seed_effect", [0.0, 1.0])
def test_stated_probabilities_come_true(seed_effect: float) -> None:
    draw = np.random.default_rng(42)
    designs = [(shape, points, seeds) for shape in SHAPES for points in (8, 16, 32) for seeds in (2, 3, 5)]
    outcomes = [simulated(draw, *designs[n % len(designs)], seed_effect) for n in range(500)]
    for low, high, least, most in ((0.8, 0.9, 0.75, 0.95), (0.5, 0.8, 0.5, 0.8), (0.95, 1.01, 0.95, 1.0)):
        right = [best for stated, best in outcomes if low <= stated < high]
        assert len(right) >= 25
        assert least <= sum(right) / len(right) <= most, (low, high, sum(right) / len(right), len(right))


@pytest.mark.parametrize(
    ("name", "apart"),
    [
        ("8 points, 1 with 2 seeds (df 1)", 0.05),
        ("8 points, 3 seeds", 0.05),
        ("8 points, 3 seeds, half of them 2x noisier", 0.05),
        ("8 points, 3 seeds, the best 4x noisier", 0.15),
    ],
)
def test_what_is_said_comes_true_with_little_known_of_the_noise_and_where_it_is_unequal(
    name: str, apart: float
) -> None:
    """The small form of `make bench-odds`, whose table is in docs/results.md."""
    design = next(each for each in bench_odds.DESIGNS if each.name == name)
    stated, right = (float(column) for column in np.mean([bench_odds.sweep(design, n) for n in range(240)], axis=0))
    assert abs(stated - right) <= apart, (stated, right)
