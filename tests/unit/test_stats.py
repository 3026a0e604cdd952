"""Pooling replicates, intervals, and whether the stated probability of being the best is true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.records.results import Objective, Row
from sweep.reports import stats, verdict
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
    unpaired = stats.choose([*rows, row({"lr": 9}, 77, 0.1)], MORE, "local")
    assert unpaired.paired == unpaired.noise


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
    settled = [
        [0.900 + 0.001 * k for k in (-2, -1, 0, 1, 2)],
        *([0.894 + 0.001 * k for k in (-2, 0, 2)] for _ in range(4)),
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
    told = [simulated(draw, *designs[n % len(designs)], seed_effect) for n in range(500)]
    for low, high, least, most in ((0.8, 0.9, 0.75, 0.95), (0.5, 0.8, 0.5, 0.8), (0.95, 1.01, 0.95, 1.0)):
        right = [best for stated, best in told if low <= stated < high]
        assert len(right) >= 25
        assert least <= sum(right) / len(right) <= most, (low, high, sum(right) / len(right), len(right))
