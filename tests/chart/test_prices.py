"""The price of a GPU-hour, looked up by the labels that a sweep asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweep import render
from sweep.prices import Price
from tests.chart.minimal import CHART, VALUES, refusal

NODES = [
    {"labels": {"pool": "a", "spot": "true"}, "gpu_hour": 1.1, "spot": True},
    {"labels": {"pool": "a"}, "gpu_hour": 2},
]
PRICES = {"currency": "EUR", "nodes": NODES}
OTHERS = {"currency": "EUR", "nodes": [*NODES, {"gpu_hour": 3.2}]}


def rendered(folder: Path, **changes: Any) -> render.Rendered:
    path = folder / "values.yaml"
    path.write_text(json.dumps(VALUES | changes))
    return render.render(CHART, "demo", [path])


@pytest.mark.parametrize(
    ("selector", "prices", "price"),
    [
        ({"pool": "a", "spot": "true", "zone": "z"}, PRICES, Price(1.1, "EUR", spot=True)),
        ({"pool": "a"}, PRICES, Price(2.0, "EUR")),
        ({"pool": "b", "spot": "true"}, PRICES, None),
        ({}, PRICES, None),
        ({}, OTHERS, Price(3.2, "EUR")),
        ({"pool": "a"}, OTHERS, Price(2.0, "EUR")),
        ({"pool": "a"}, None, None),
    ],
)
def test_the_first_entry_whose_labels_are_asked_for_is_the_price(
    tmp_path: Path, selector: dict[str, str], prices: Any, price: Price | None
) -> None:
    assert rendered(tmp_path, nodeSelector=selector, prices=prices).price == price
    assert rendered(tmp_path, pod={"nodeSelector": selector}, prices=prices).price == price


def test_a_price_changes_no_job(tmp_path: Path) -> None:
    assert rendered(tmp_path).jobs == rendered(tmp_path, prices=OTHERS).jobs


@pytest.mark.parametrize(
    "prices",
    [{"currency": "EUR"}, {"nodes": NODES}, OTHERS | {"currency": "euros"}, OTHERS | {"nodes": [{"gpu_hour": -1}]}],
)
def test_prices_that_are_none_are_refused_with_their_key(tmp_path: Path, prices: Any) -> None:
    assert refusal(tmp_path, prices=prices).startswith("prices")
