"""Rungs: budgets from max down to min, each with its share of the points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.spaces.history import Observation
from sweep.spaces.samplers import halving
from sweep.spaces.space import Space
from tests.unit.test_space import read


def space_of(n: int = 27, eta: int = 3, least: int = 1, most: int = 9, direction: str = "minimize") -> Space:
    return read(
        "{x: {type: float, low: 0, high: 1}}",
        f"{{name: halving, n: {n}, eta: {eta}, min: {least}, max: {most}}}",
        more=f"budget: epochs\nobjective: {{metric: m, direction: {direction}}}\n",
    )


@pytest.mark.parametrize(
    ("n", "eta", "least", "most", "budgets", "sizes"),
    [
        (27, 3, 1, 9, [1, 3, 9], [27, 9, 3]),
        (9, 3, 1, 9, [1, 3, 9], [9, 3, 1]),
        (16, 2, 3, 24, [3, 6, 12, 24], [16, 8, 4, 2]),
        (10, 3, 1, 10, [1, 3, 10], [10, 3, 1]),
        (4, 4, 1, 64, [1, 4, 16, 64], [4, 1, 1, 1]),
        (8, 3, 3, 9, [3, 9], [8, 2]),
    ],
)
def test_rungs(n: int, eta: int, least: int, most: int, budgets: list[int], sizes: list[int]) -> None:
    space = space_of(n, eta, least, most)
    assert halving.budgets(space) == budgets
    assert halving.sizes(space) == sizes


@given(st.integers(1, 200), st.integers(2, 7), st.integers(1, 20), st.integers(1, 500))
def test_budgets_grow_from_min_to_max(n: int, eta: int, least: int, more: int) -> None:
    if (least + more) // eta < least:
        with pytest.raises(BadInput, match=r"there is one rung only, so nothing is halved; write min \d+, or sampler"):
            space_of(n, eta, least, least + more)
        return
    space = space_of(n, eta, least, least + more)
    budgets = halving.budgets(space)
    assert len(budgets) > 1
    assert budgets == sorted(set(budgets))
    assert budgets[-1] == least + more
    assert least <= budgets[0] < least * eta + eta
    assert halving.sizes(space)[0] == n


@pytest.mark.parametrize(("direction", "kept"), [("minimize", [0.1, 0.2, 0.3]), ("maximize", [0.6, 0.5, 0.4])])
def test_the_best_of_the_last_rung_go_on(direction: str, kept: list[float]) -> None:
    space = space_of(9, direction=direction)
    observations = [Observation({"x": x}, "succeeded", (x,), 1) for x in (0.5, 0.2, 0.4, 0.1, 0.6, 0.3)]
    observations += [
        Observation({"x": 0.0}, "failed", (), 1),
        Observation({"x": 1.0}, "running", (), 1),
        Observation({"x": 0.9}, "diverged", (), 1),
    ]
    observations.append(Observation({"x": 0.7}, "pruned", (-9.0 if direction == "minimize" else 9.0,), 1))
    observations += [Observation({"x": x}, "succeeded", (x,), 9) for x in (-5.0, 5.0)]  # another budget says nothing
    assert halving.ask(space, observations, 2) == [{"x": x, "epochs": 3} for x in kept]


def test_of_equals_those_go_on_that_stand_first_in_values_yaml() -> None:
    space = space_of(9)
    observations = [Observation({"x": x / 10}, "succeeded", (1.0,), 1) for x in range(9)]
    listed = [{"x": x / 10, "epochs": 1} for x in (7, 2, 5, 0, 1, 3, 4, 6, 8)]
    assert [point["x"] for point in halving.ask(space, observations, 2, listed)] == [0.7, 0.2, 0.5]
    assert halving.ask(space, observations[::-1], 2, listed) == halving.ask(space, observations, 2, listed)


def test_of_equals_that_stand_nowhere_the_smallest_go_on_and_not_the_first_by_text() -> None:
    space = read(
        "{n: {type: int, low: 1, high: 99}}",
        "{name: halving, n: 9, eta: 3, min: 1, max: 9}",
        more="budget: epochs\nobjective: {metric: m, direction: minimize}\n",
    )
    observations = [Observation({"n": n}, "succeeded", (1.0,), 1) for n in (10, 9, 80, 7, 30, 11, 12, 13, 14)]
    assert [point["n"] for point in halving.ask(space, observations, 2)] == [7, 9, 10]
