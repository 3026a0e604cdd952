"""The Pareto front: nobody in it is beaten, everybody else is."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweep.ranking import pareto, stats
from sweep.records.results import Objective, Row
from sweep.reports import leaderboard, verdict
from tests.unit.searching import row

OBJECTIVES = (Objective("error", "minimize"), Objective("speed", "maximize"))


def rows(values: list[tuple[float, float]]) -> list[Row]:
    return [row({"x": place}, {"error": error, "speed": speed}) for place, (error, speed) in enumerate(values)]


def beats(first: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return first[0] <= other[0] and first[1] >= other[1] and first != other


numbers = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(numbers, numbers), max_size=30))
def test_the_front_is_exactly_those_that_nobody_beats(values: list[tuple[float, float]]) -> None:
    front = pareto.front(rows(values), OBJECTIVES, "local").points
    due = [value for value in values if not any(beats(other, value) for other in values)]
    assert sorted(best.values for best in front) == sorted(due)
    assert [best.values[0] for best in front] == sorted(best.values[0] for best in front)


def test_replicates_are_pooled_and_what_diverged_takes_no_part() -> None:
    point: dict[str, Any] = {"x": 1}
    listed = [
        row(point, {"error": 1.0, "speed": 2.0}),
        row(point, {"error": 3.0, "speed": 4.0}, seed=1),
        row({"x": 2}, {"error": 0.0, "speed": 9.0}),
        row({"x": 2}, "diverged", seed=1),
        row({"x": 3}, {"error": 0.0}),
        row({"x": 4}, {"error": 0.0, "speed": 9.0}, engine="cluster"),
    ]
    (best,) = pareto.front(listed, OBJECTIVES, "local").points
    assert best.values == (2.0, 3.0)
    assert best.point.hyperparameters == point


def test_only_the_longest_budget_is_on_the_front() -> None:
    listed = [
        row({"x": x, "epochs": epochs}, {"error": 1.0 / epochs + x, "speed": 9.0 / epochs + x})
        for x, epochs in ((1, 1), (1, 9), (2, 9), (3, 1))
    ]
    front = pareto.front(listed, OBJECTIVES, "local", "epochs").points
    assert [best.point.hyperparameters["x"] for best in front] == [1, 2]
    assert {best.point.budget for best in front} == {9}


def test_the_leaderboard_shows_the_front_first() -> None:
    listed = rows([(1.0, 1.0), (2.0, 5.0), (3.0, 4.0)])
    choice = stats.choose(listed, OBJECTIVES[0], "local")
    front = pareto.front(listed, OBJECTIVES, "local")
    text = leaderboard.text(choice, listed, verdict.Spent(0, 0), front=front)
    lines = io.StringIO(text).read().split("\n")
    assert " ".join(lines[:2]) == (
        "Pareto front of error (minimize), speed (maximize): 2 points are beaten by no other in all of them."
    )
    assert [line.split()[:2] for line in lines[2:5]] == [["error", "speed"], ["1", "1"], ["2", "5"]]
    assert lines[6].startswith("#  error")
    assert leaderboard.text(choice, listed, verdict.Spent(0, 0)).startswith("#  error")


def test_the_ranking_shows_every_objective_of_every_point() -> None:
    listed = rows([(1.0, 1.5), (2.0, 5.25), (3.0, 4.0)])
    choice = stats.choose(listed, OBJECTIVES[0], "local")
    front = leaderboard.text(choice, listed, verdict.Spent(0, 0), front=pareto.front(listed, OBJECTIVES, "local"))
    ranking = [line.split() for line in front[front.index("#  error") :].splitlines()[:4]]
    assert ranking[0][:3] == ["#", "error", "speed"]
    assert [line[2] for line in ranking[1:]] == ["1.5", "5.25", "4"], "also of the one that is beaten"
