"""What makes two trials the same, by each of its names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.records import same
from tests.unit.stores import row

ROW = row({"lr": 0.1, "epochs": 3}, seed=1)
values = st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 1e22, "1", "true", "a,b=1", ""])
points = st.dictionaries(st.sampled_from("abc"), values | st.lists(values, max_size=2))


def test_numbers_are_the_same_however_they_are_spelled() -> None:
    assert same.trial({"x": 1, "y": "1"}, 0) == same.trial({"y": "1", "x": 1.0}, 0)
    assert same.trial({"x": True}, 0) != same.trial({"x": 1}, 0)
    assert same.says({"x": 1.0}, "x", 1)
    assert not same.says({"x": 1.0}, "x", True)
    assert not same.says({}, "x", 1)


@given(points, points)
def test_settings_are_the_same_if_every_value_is(first: dict[str, Any], other: dict[str, Any]) -> None:
    equal = first.keys() == other.keys() and all(same.says(first, name, value) for name, value in other.items())
    assert (same.settings(first) == same.settings(other)) == equal


@given(points, values)
def test_a_line_is_what_its_budgets_have_in_common(point: dict[str, Any], budget: Any) -> None:
    assert same.settings({**point, "epochs": budget}, without="epochs") == same.settings(point)


def test_a_line_of_a_values_file_is_its_trial_whatever_it_asks_for_itself() -> None:
    line = {"lr": 0.1, "seed": 2, "resources": {"limits": {"memory": "1Gi"}}, "limit_seconds": 9, "image": {"tag": "2"}}
    assert same.of_line({"lr": 1, "epochs": 3}, line) == same.trial({"epochs": 3, "lr": 0.1}, 2)


@pytest.mark.parametrize(
    ("changes", "configuration", "anywhere"),
    [
        ({"id": "0" * 12, "status": "diverged", "commit": "f" * 40, "node": "n2"}, True, True),
        ({"hyperparameters": {"epochs": 3.0, "lr": 0.1}}, True, True),
        ({"seed": 2}, True, False),
        ({"image": "sha256:07her"}, False, True),
        ({"engine": "cluster", "image": "sha256:07her"}, False, True),
        ({"code": "07her"}, False, False),
        ({"data": "sha256:07her"}, False, False),
        ({"hyperparameters": {"epochs": 4, "lr": 0.1}}, False, False),
    ],
)
def test_each_key_differs_from_the_others_where_its_name_says(
    changes: dict[str, Any], configuration: bool, anywhere: bool
) -> None:
    other = replace(ROW, **changes)
    assert (same.configuration(other) == same.configuration(ROW)) == configuration
    assert (same.anywhere(other) == same.anywhere(ROW)) == anywhere
