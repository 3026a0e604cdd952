"""importance: known functions, nothing made of noise, and its forest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sweep.reports import importance
from sweep.reports.importance import Forest

Function = Callable[[dict[str, Any]], float]
NAMES = ["a", "b", "c", "word"]


def points(count: int, seed: int) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    return [
        {name: float(draw.uniform()) for name in "abc"} | {"word": ["x", "y", "z"][draw.integers(3)]}
        for _ in range(count)
    ]


def learnt(function: Function, count: int, seed: int = 0, noise: float = 0.03) -> importance.Importance:
    drawn, draw = points(count, seed), np.random.default_rng(seed + 1)
    values = [function(point) + noise * float(draw.standard_normal()) for point in drawn]
    learned = importance.importance(drawn, values, NAMES)
    assert learned
    return learned


def words(point: dict[str, Any]) -> float:
    return {"x": 0.0, "y": 1.0, "z": 0.3}[point["word"]]


@pytest.mark.parametrize(
    ("function", "shares"),
    [
        # Of a sum of independent uniforms the squares of the slopes: 1 : 0.25.
        (lambda point: point["a"] + 0.5 * point["b"], {"a": 0.8, "b": 0.2, "c": 0, "word": 0}),
        # A pure interaction: each takes part in all of it.
        (lambda point: (point["a"] - 0.5) * (point["b"] - 0.5), {"a": 1, "b": 1, "c": 0, "word": 0}),
        (words, {"word": 1, "a": 0, "b": 0, "c": 0}),
        (lambda point: 10 ** (8 * point["a"]), {"a": 1, "b": 0, "c": 0, "word": 0}),  # ranks: no outlier
    ],
    ids=["sum", "interaction", "words", "magnitudes"],
)
def test_shares_of_known_functions(function: Function, shares: dict[str, float]) -> None:
    learned = learnt(function, 300, noise=0.0)
    assert learned.explained.mean > 0.5
    for name, share in shares.items():
        assert learned.shares[name].mean == pytest.approx(share, abs=0.15 if share < 1 else 0.45), name
        assert (learned.shares[name].low > 0.05) == (share > 0), name
    assert list(learned.shares) == sorted(learned.shares, key=lambda name: -learned.shares[name].mean)


def test_nothing_is_made_of_noise() -> None:
    """An interval that keeps clear of 0 must be rare where nothing matters."""
    learned = [learnt(lambda _: 0.0, 24, seed, noise=1.0) for seed in range(12)]
    assert sum(importance_.explained.low > 0 for importance_ in learned) <= 1
    assert (
        sum(share.low > 0 for importance_ in learned for share in importance_.shares.values()) <= 5
    )  # of 48: the stated 5 %, and room


def test_intervals_narrow_with_more_points() -> None:
    few, many = (learnt(lambda point: point["a"] + point["b"], count) for count in (30, 400))
    assert many.shares["a"].high - many.shares["a"].low < 0.6 * (few.shares["a"].high - few.shares["a"].low)
    for learned in (few, many):
        assert learned.shares["a"].low <= 0.5 <= learned.shares["a"].high


def test_the_same_results_give_the_same_report() -> None:
    assert learnt(words, 40) == learnt(words, 40)


def test_what_is_missing_in_some_points_is_a_value_of_its_own() -> None:
    listed = [{"a": n / 40, **({"momentum": 0.9 + n % 7 / 100} if n % 2 else {})} for n in range(40)]
    learned = importance.importance(listed, [float("momentum" in point) for point in listed], ["a", "momentum", "list"])
    assert learned
    assert learned.shares["momentum"].mean > 0.7
    assert learned.shares["list"].mean == 0.0


@pytest.mark.parametrize(
    ("listed", "values", "names"),
    [
        ([], [], NAMES),
        (points(11, 0), list(range(11)), NAMES),
        (points(20, 0), [1.0] * 20, NAMES),
        (points(20, 0), list(range(20)), []),
    ],
    ids=["none", "few", "equal", "nothing varies"],
)
def test_where_nothing_can_be_learnt(listed: list[dict[str, Any]], values: list[float], names: list[str]) -> None:
    assert importance.importance(listed, values, names) is None


def test_of_many_points_an_even_sample() -> None:
    assert learnt(lambda point: point["a"], 10_000).points == importance.MOST


def test_a_forest_learns_a_step_and_stays_within_what_it_saw() -> None:
    draw = np.random.default_rng(0)
    table = draw.uniform(size=(200, 2))
    forest = Forest.grown(table, (table[:, 0] > 0.5).astype(float), draw)
    assert forest.predict(np.array([[0.1, 0.5], [0.9, 0.5]])) == pytest.approx([0, 1], abs=0.1)
    assert 0 <= forest.predict(10 * draw.standard_normal((50, 2))).min() <= 1
    constant = Forest.grown(table[:5], np.full(5, 0.25), draw)
    assert constant.predict(table) == pytest.approx(0.25)


def test_every_leaf_is_the_mean_of_its_rows() -> None:
    """Grown to the bottom, a tree repeats what it saw; so the children of all nodes are where they should be."""
    draw = np.random.default_rng(1)
    table, target = draw.permutation(64).reshape(-1, 1).astype(float), draw.uniform(size=64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "LEAF", 1)
        forest = Forest.grown(table, target, draw)
    assert forest.predict(table) == pytest.approx(target)


def test_ranks_share_ties() -> None:
    assert importance._ranks([3.0, 1.0, 3.0, 2.0]).tolist() == [2.5 / 3, 0, 2.5 / 3, 1 / 3]
