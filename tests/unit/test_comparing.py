"""Whether a result that was made again is the same."""

from __future__ import annotations

import random

import pytest

from sweep.audit import comparing
from sweep.audit.comparing import EQUAL, OUTSIDE, UNKNOWN, WITHIN

SEEDS = [{"a": 0.90}, {"a": 0.92}, {"a": 0.94}]


@pytest.mark.parametrize(
    ("then", "now", "replicates", "verdict"),
    [
        (0.9, 0.9, [], EQUAL),
        (0.9, 0.9000001, [], UNKNOWN),
        (0.9, 0.9000001, SEEDS[:1], UNKNOWN),
        (0.9, 0.95, SEEDS, WITHIN),
        (0.9, 0.85, SEEDS, WITHIN),
        (0.9, 1.1, SEEDS, OUTSIDE),
        (5.0, 6.0, [{"a": 6.0}, {"a": 6.0}], OUTSIDE),
        (1e308, -1e308, [{"a": 1e308}, {"a": -1e308}], WITHIN),
        (1e308, -1e308, [{"a": 1e308}, {"a": 1e308}], OUTSIDE),
        (None, None, SEEDS, EQUAL),
        (None, 0.9, SEEDS, OUTSIDE),
        (0.9, None, SEEDS, OUTSIDE),
    ],
)
def test_a_metric_is_equal_or_within_the_seeds_or_not(
    then: float | None, now: float | None, replicates: list[dict[str, float]], verdict: str
) -> None:
    (compared,) = comparing.compare({"a": then}, {"a": now}, replicates)
    assert (compared.verdict, compared.good) == (verdict, verdict in (EQUAL, WITHIN))


def test_a_metric_that_only_one_of_them_has_is_compared_too() -> None:
    assert [(compared.metric, compared.verdict) for compared in comparing.compare({"a": 1}, {"b": 1}, [])] == [
        ("a", OUTSIDE),
        ("b", OUTSIDE),
    ]


def test_another_seed_is_within_the_spread_in_95_of_100_cases() -> None:
    draw = random.Random(1)
    within = 0
    for _ in range(4000):
        seeds = [{"a": draw.gauss(0, 1)} for _ in range(3)]
        apart = comparing.spread([metrics["a"] for metrics in seeds])
        assert apart is not None
        within += abs(draw.gauss(0, 1) - draw.gauss(0, 1)) <= apart
    assert 0.94 < within / 4000 < 0.96
