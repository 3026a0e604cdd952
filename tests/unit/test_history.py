"""Rows of results.csv as points: only those of the space and the engine, replicates pooled."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.spaces import history
from sweep.spaces.history import Observation
from tests.unit.searching import row
from tests.unit.test_space import read

SPACE = read(
    "{x: {type: float, low: 0, high: 1}, kind: {type: choice, choices: [a, b]}}",
    "{name: tpe, rounds: 2, per_round: 2}",
    "{epochs: 3}",
    "objective: {metric: loss, direction: minimize}\n",
)
POINT = {"epochs": 3, "x": 0.5, "kind": "a"}


def observed(*outcomes: dict[str, float] | str) -> list[Observation]:
    return history.read(SPACE, [row(POINT, outcome, seed) for seed, outcome in enumerate(outcomes)], "local")


@pytest.mark.parametrize(
    ("outcomes", "state", "values"),
    [
        ([{"loss": 1.0}], "succeeded", (1.0,)),
        ([{"loss": 1.0}, {"loss": 2.0}], "succeeded", (1.5,)),
        ([{"loss": 1.0}, "failed"], "succeeded", (1.0,)),
        ([{"loss": 1.0}, "running"], "succeeded", (1.0,)),
        ([{"loss": 1.0}, "diverged"], "diverged", ()),
        (["failed", "diverged"], "diverged", ()),
        (["failed"], "failed", ()),
        (["failed", "pending"], "running", ()),
        (["missing"], "running", ()),
        ([{"other": 1.0}], "failed", ()),
    ],
)
def test_replicates_are_one_point(outcomes: list[Any], state: str, values: tuple[float, ...]) -> None:
    assert observed(*outcomes) == [Observation({"x": 0.5, "kind": "a"}, state, values)]


@pytest.mark.parametrize(
    "other",
    [{"x": 2.0}, {"epochs": 4}, {"kind": "c"}, {"more": 1}],
)
def test_what_is_no_point_of_the_space_is_nothing(other: dict[str, Any]) -> None:
    assert history.read(SPACE, [row({**POINT, **other}, {"loss": 1.0})], "local") == []


def test_another_engines_rows_are_not_mixed_in() -> None:
    assert history.read(SPACE, [row(POINT, {"loss": 1.0}, engine="cluster")], "local") == []


def test_numbers_are_the_same_however_helm_spells_them() -> None:
    (observation,) = history.read(SPACE, [row({"epochs": 3.0, "x": 1, "kind": "a"}, {"loss": 1.0})], "local")
    assert observation.point == {"x": 1.0, "kind": "a"}


def test_where_seeds_differ_values_are_fit_to_be_compared() -> None:
    """Seed 0 gives everybody 9 more: who had it alone is no worse for it, unless bare means are asked for."""
    rows = [
        row({"epochs": 3, "x": x / 8, "kind": "a"}, {"loss": x + 9.0 * (seed == 0)}, seed)
        for x in range(4)
        for seed in range(3)
    ]
    rows.append(row({"epochs": 3, "x": 1.0, "kind": "a"}, {"loss": 10.0}))
    fitted = {observation.point["x"]: observation.values[0] for observation in history.read(SPACE, rows, "local")}
    assert fitted[1.0] - fitted[0.0] == pytest.approx(1, abs=0.1)
    bare = {
        observation.point["x"]: observation.values[0]
        for observation in history.read(SPACE, rows, "local", compared=False)
    }
    assert (bare[1.0], bare[0.0]) == (10, 3)
