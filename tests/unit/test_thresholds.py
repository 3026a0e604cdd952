"""The threshold that a report offers: nobody of the best tenth it was made of would have been stopped by it."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sweep.records import verdicts
from sweep.reports import figures

rules = verdicts.rules()
values = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)


@given(st.lists(st.lists(values, min_size=28, max_size=28), min_size=10, max_size=40), st.sampled_from([1, -1]))
def test_none_of_the_best_would_have_been_stopped(curves: list[list[float]], sign: int) -> None:
    embedded = {"metrics": ["m"], "trials": [[place, list(range(1, 29)), curve] for place, curve in enumerate(curves)]}
    offered = figures.thresholds(embedded, range(len(curves)), "m", sign)
    assert offered
    assert list(offered["at"]) == ["1", "3", "9", "27"]
    rule = {"rule": "threshold", "metric": "m", "direction": "maximize" if sign > 0 else "minimize", **offered}
    best = curves[: math.ceil(len(curves) / 10)]
    assert offered["best"] == len(best)
    for rung in (1, 3, 9, 27):
        assert not any(rules.judge(rule, rung, curve[rung - 1], []) for curve in best)
        worst = min(sign * curve[rung - 1] for curve in best)
        assert abs(offered["at"][str(rung)] * sign - worst) <= 0.011 * abs(worst), "and it is no looser than rounding"


def test_nothing_is_offered_where_too_little_is_known() -> None:
    def offered(count: int, steps: list[float | None], metric: str = "m") -> object:
        trials = [[place, steps, [0.5] * len(steps)] for place in range(count)]
        return figures.thresholds({"metrics": ["m"], "trials": trials}, range(count), metric, 1)

    assert offered(9, [1, 2, 3]) is None, "a tenth of nine is nobody"
    assert offered(10, [1]) is None, "its only rung is its end"
    assert offered(10, [1, 2], "other") is None
    assert offered(10, [None, None]) is None
    assert offered(10, []) is None
    assert offered(10, [1, None, 4]) == {"best": 1, "at": {"1": 0.5, "3": 0.5}}
