"""Money: sums that do not depend on the order, and what attempts and tables keep of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep import plan, prices
from sweep.prices import Price
from sweep.records import booking, results, store
from sweep.records.store import Snapshot
from sweep.reports import report
from tests.unit.stores import put_attempt, put_result, trial

SPOT, FULL = {"gpu_hour": 1.2, "currency": "EUR", "spot": True}, {"gpu_hour": 3.6, "currency": "EUR", "spot": False}
TRIAL = trial({"lr": 0.1}, gpus=2)
MINUTES = 2 / 60
"""GPU-hours of an attempt of a minute on two GPUs."""

amounts = st.dictionaries(st.tuples(st.sampled_from(["EUR", "USD"]), st.booleans()), st.floats(0, 1e9), max_size=4)


@given(st.lists(amounts), st.randoms())
def test_a_sum_is_the_same_in_any_order_and_its_kinds_add_up(several: list[prices.Money], random: Any) -> None:
    whole = prices.total(several)
    random.shuffle(several)
    assert prices.total(several) == whole
    for sums in prices.by_currency(whole).values():
        assert sums["all"] == pytest.approx(sums["spot"] + sums["on_demand"])


@pytest.mark.parametrize(
    "given",
    [
        None, 3.2, "3.2 EUR", [], {}, {"gpu_hour": 3.2}, {"currency": "EUR"}, {"gpu_hour": "3.2", "currency": "EUR"},
        {"gpu_hour": True, "currency": "EUR"}, {"gpu_hour": -1, "currency": "EUR"},
        {"gpu_hour": float("nan"), "currency": "EUR"}, {"gpu_hour": 1e7, "currency": "EUR"},
        {"gpu_hour": 1, "currency": "\x1b[2J"}, {"gpu_hour": 1, "currency": "EURO"}, {"gpu_hour": 1, "currency": 3},
    ],
)  # fmt: skip
def test_what_is_no_price_is_none(given: Any) -> None:
    assert prices.read(given) is None
    assert "price" not in booking.provenance({"provenance": {"price": given}})


@pytest.mark.parametrize(
    ("money", "words"),
    [
        ({("EUR", True): 9.2, ("EUR", False): 4.0}, "13.20 EUR (9.20 spot, 4.00 on demand)"),
        ({("EUR", True): 1234.5}, "1,234.50 EUR (spot)"),
        ({("EUR", False): 0.0123}, "0.012 EUR (on demand)"),
        ({("EUR", False): 1.0, ("USD", True): 2.0}, "1.00 EUR (on demand) + 2.00 USD (spot)"),
    ],
)
def test_money_in_words(money: prices.Money, words: str) -> None:
    assert prices.text(money) == words


def test_a_plan_has_its_ceiling_in_money() -> None:
    planned = plan.make([TRIAL], (), {}, 0, Price(3.0, "EUR"))
    assert planned.money(planned.ceiling_gpu_hours) == {("EUR", False): pytest.approx(2 * 600 / 3600 * 3.0)}
    assert plan.make([TRIAL], (), {}, 0).money(1.0) == {}


def table(folder: Path) -> tuple[list[results.Row], Snapshot]:
    """As it is after a collect, written and read again."""
    snapshot = store.read(folder, [TRIAL])
    rows = results.merge([], [TRIAL], snapshot, {}, "cluster")
    return results.from_csv(results.to_csv(rows)), snapshot


def test_each_attempt_costs_what_its_release_said_and_a_table_remembers_that(tmp_path: Path) -> None:
    put_attempt(tmp_path, TRIAL, "20260101T000000Z-a", status="preempted", provenance={"commit": "abc1", "price": SPOT})
    put_attempt(tmp_path, TRIAL, "20260101T000001Z-b", status="failed")  # before there were prices
    put_attempt(tmp_path, TRIAL, "20260102T030405Z-pod", provenance={"commit": "abc2", "price": FULL})
    put_result(tmp_path, TRIAL)
    rows, snapshot = table(tmp_path)
    spent = report.spent(rows, snapshot)
    assert spent.money == {("EUR", True): pytest.approx(1.2 * MINUTES), ("EUR", False): pytest.approx(3.6 * MINUTES)}
    assert spent.unpriced_gpu_seconds == 120
    assert str(spent).endswith("0.16 EUR (0.04 spot, 0.12 on demand); 0.033 GPU-hours have no price")
    (row,) = rows
    assert (row.cost_spot, row.cost_on_demand, row.currency) == (0.04, 0.12, "EUR")
    lost = report.spent(rows, Snapshot({}, [], found=False))
    assert lost.money == pytest.approx(spent.money)


def test_a_sweep_without_prices_has_no_columns_of_them(tmp_path: Path) -> None:
    put_result(tmp_path, TRIAL)
    rows, _ = table(tmp_path)
    header = results.to_csv(rows).decode().splitlines()[0].split(",")
    assert not {"cost_spot", "cost_on_demand", "currency"} & set(header)
    assert (rows[0].cost_spot, rows[0].currency) == (None, "")
