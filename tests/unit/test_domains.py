"""What a domain draws: spacing by count, powers, weights, normal distributions and other scales."""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal
from statistics import NormalDist, fmean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.spaces import normal
from sweep.spaces.domain import BITS, OUTSIDE, Choices, Range
from tests.unit.spaces import LAST, only


def spread(domain: str, n: int = 400) -> list[Any]:
    """Values at evenly spread places."""
    parameter = only(domain)
    return [parameter.at((2 * k + 1) * 2**BITS // (2 * n)) for k in range(n)]


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        ("{type: float, low: 0.001, high: 0.1, count: 5}", [0.001, 0.02575, 0.0505, 0.07525, 0.1]),
        ("{type: float, low: 0, high: 1, count: 4}", [0.0, 0.333333, 0.666667, 1.0]),
        ("{type: float, low: 0.0001, high: 1, log: true, count: 5}", [0.0001, 0.001, 0.01, 0.1, 1.0]),
        ("{type: float, low: 0.9, high: 0.999, log: reverse, count: 3}", [0.9, 0.99, 0.999]),
        ("{type: int, low: 10, high: 100, count: 4}", [10, 40, 70, 100]),
        ("{type: int, low: 1, high: 1000, log: true, count: 4}", [1, 10, 100, 1000]),
        ("{type: int, low: 5, high: 9, base: 2}", [32, 64, 128, 256, 512]),
        ("{type: int, low: 0, high: 4, base: 3, step: 2}", [1, 9, 81]),
        ("{type: float, low: -5, high: -1, base: 10, step: 1}", [1e-05, 0.0001, 0.001, 0.01, 0.1]),
        ("{type: float, low: -2, high: -1, base: 10, count: 3}", [0.01, 0.0316228, 0.1]),
        ("{type: int, low: 1e3, high: 3e3, step: 1e3}", [1000, 2000, 3000]),
        ("{type: int, choices: [1e2, 1e3]}", [100, 1000]),
        ("{type: float, low: 0.01, high: 0.03, step: 0.01, log: true}", [0.01, 0.02, 0.03]),
    ],
)
def test_values_by_count_by_power_and_by_step_are_a_finite_list(domain: str, values: list[Any]) -> None:
    parameter = only(domain)
    assert parameter.size == len(values)
    every = [parameter.value(index) for index in range(len(values))]
    assert every == values
    assert [type(value) for value in every] == [type(value) for value in values]
    assert [parameter.index(value) for value in values] == list(range(len(values)))
    assert (parameter.at(0), parameter.at(LAST)) == (values[0], values[-1])


@pytest.mark.parametrize(
    ("domain", "low", "middle", "high"),
    [
        ("{type: float, low: -5, high: -1, base: 10}", 1e-05, 0.001, 0.1),
        ("{type: float, low: -2, high: 0, base: e}", 0.135335, 0.367879, 1.0),
        ("{type: float, low: 0.9, high: 0.9999, log: reverse}", 0.9, 0.99683772, 0.9999),
        ("{type: float, low: 0.001, high: 0.1, log: true, step: 0.001}", 0.001, 0.007, 0.1),
        ("{type: float, low: 1, high: 3, normal: {mean: 2, sd: 5}}", 1.0, 2.0, 3.0),
        ("{type: float, normal: {mean: 2, sd: 0.5}}", -1.0, 2.0, 5.0),
    ],
)
def test_a_scale_goes_from_end_to_end(domain: str, low: float, middle: float, high: float) -> None:
    parameter = only(domain)
    assert [parameter.at(u) for u in (0, 2 ** (BITS - 1), LAST)] == [low, middle, high]


def test_weights_are_shares() -> None:
    drawn = Counter(map(str, spread("{type: choice, choices: [sqrt, log2, none, 0.5], weights: [2, 1, 0.5, 0.5]}")))
    assert drawn == {"sqrt": 200, "log2": 100, "none": 50, "0.5": 50}
    assert Counter(spread("{type: bool, weights: [1, 3]}")) == {False: 100, True: 300}


def test_weights_stay_with_their_values_in_a_smaller_list() -> None:
    near = only("{type: int, choices: [1, 2, 4, 8], weights: [1, 2, 3, 4]}").around(4, 0.5)
    assert isinstance(near, Choices)
    assert (near.values, [int(weight) for weight in near.weights]) == ((4, 8), [3, 4])


def test_a_normal_has_its_mean_and_deviation() -> None:
    values = spread("{type: float, normal: {mean: 3, sd: 2}}", 2000)
    assert fmean(values) == pytest.approx(3, abs=1e-4)
    assert stdev(values) == pytest.approx(2, rel=2e-3)
    logs = [math.log(value) for value in spread("{type: float, normal: {mean: -5, sd: 0.5}, log: true}", 2000)]
    assert (fmean(logs), stdev(logs)) == (pytest.approx(-5, abs=1e-4), pytest.approx(0.5, rel=2e-3))


def test_a_cut_normal_draws_nothing_beyond_its_ends_and_piles_nothing_up_there() -> None:
    values = spread("{type: float, low: 0, high: 1, normal: {mean: 0, sd: 1}}", 1000)
    assert 0 <= min(values) < 0.001
    assert 0.999 < max(values) <= 1
    below = sum(value < 0.5 for value in values) / 1000
    shares = [NormalDist().cdf(place) for place in (0, 0.5, 1)]
    assert below == pytest.approx((shares[1] - shares[0]) / (shares[2] - shares[0]), abs=2e-3)


def test_a_normal_with_steps_takes_the_nearest() -> None:
    drawn = Counter(spread("{type: float, low: 0.01, high: 0.05, step: 0.01, normal: true}", 1000))
    assert list(drawn) == [0.01, 0.02, 0.03, 0.04, 0.05]
    assert drawn[0.02] == drawn[0.04]
    assert drawn[0.03] > 2 * drawn[0.02] > 20 * drawn[0.01]
    assert set(spread("{type: float, normal: {mean: 0, sd: 1}, step: 0.5}")) <= {k / 2 for k in range(-12, 13)}
    wholes = spread("{type: int, low: 32, high: 64, log: true, normal: true}")
    assert 44 <= sorted(wholes)[200] <= 46, "the middle of the log scale"


@given(st.integers(1, 10**6 - 1))
def test_quantile_and_share_undo_each_other_in_any_machine_s_last_digit(part: int) -> None:
    share = Decimal(part) / 10**6
    z = normal.quantile(share)
    assert abs(normal.share_below(z) - share) < Decimal("1e-30")
    assert float(z) == pytest.approx(NormalDist().inv_cdf(float(share)), rel=1e-9, abs=1e-12)


DOMAINS = [
    "{type: float, normal: {mean: 0, sd: 3}}",
    "{type: float, normal: {mean: 0, sd: 1}, log: true}",
    "{type: float, low: 0.2, high: 0.9999, log: reverse}",
    "{type: float, low: 0.2, high: 0.99, log: reverse, step: 0.01}",
    "{type: float, low: 0.003, high: 0.1, log: true, step: 0.002}",
    "{type: int, low: 3, high: 900, log: true, step: 7}",
    "{type: int, low: -9, high: 90, normal: true, step: 5}",
    "{type: int, low: 0, high: 20, base: 2}",
]


@pytest.mark.parametrize("domain", DOMAINS)
@given(st.integers(0, LAST), st.floats(0.01, 1))
def test_what_is_drawn_fits_and_so_does_what_is_near_it(domain: str, u: int, shrink: float) -> None:
    parameter = only(domain)
    value = parameter.at(u)
    assert parameter.fit(value) == value
    near = parameter.around(value, shrink)
    assert near.fit(value) == value
    for place in (0, LAST):
        assert parameter.fit(near.at(place)) is not OUTSIDE
    if isinstance(parameter, Range):
        assert parameter.suggested(parameter.learnt(value)) == value


def test_null_is_a_value_and_no_answer() -> None:
    choice = Choices("p", (None, 1))
    assert choice.fit(None) is None
    assert choice.fit(2) is OUTSIDE
