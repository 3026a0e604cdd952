"""The report of a real sweep: 32 trials with 3 replicates each, run by `drive` on this machine, driven in Chromium."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from tests.browser.page import brush, cells, complaints, count, header, open_page, shoot, show, until
from tests.e2e.support import TestClone

SWEEP = "example-replicates"
NAME = "comment"  # the launcher refuses any name that is not a word
VALUE = "</script><img src=x onerror=alert(2)>\"'😀" + "x" * 260
CHARTS = ("#importance-chart", ".plot .chart", "#pair", "#lines", "#curve", "#timeline")


@pytest.fixture
def written(clone: TestClone) -> Path:
    """The report, after two trials were added by hand: one that brings hostile text, and one that fails."""
    values = clone.root / "values" / SWEEP / "values.yaml"
    wild = {"learning_rate": 0.02, "weight_decay": 0.001, "epochs": 3, NAME: VALUE}
    lines = "".join(f"  - {json.dumps(point, ensure_ascii=False)}\n" for point in (wild, {"epochs": 3}))
    values.write_text(values.read_text().rstrip("\n") + "\n" + lines)
    clone.run("drive", SWEEP, code=1)
    return clone.root / "out" / SWEEP / "report.html"


def test_a_real_report_in_a_browser(browser: webdriver.Chrome, clone: TestClone, written: Path) -> None:
    with (clone.root / "values" / SWEEP / "results.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["status"] for row in rows].count("succeeded") == 97
    open_page(browser, written)
    assert count(browser) == "33 points"
    assert cells(browser, "seeds").count("3") == 32
    winner = browser.find_element(By.CSS_SELECTOR, ".winner code").text
    assert f"# {winner}: " in (clone.root / "values" / SWEEP / "best.yaml").read_text()

    header(browser, "learning_rate").click()
    rates = [float(text) for text in cells(browser, "learning_rate")]
    assert rates == sorted(rates)
    field = browser.find_element(By.ID, "filter")
    field.send_keys("epochs=30 learning_rate>0.01")
    until(lambda: " of 33 points" in count(browser), "the filter")
    assert set(cells(browser, "epochs")) == {"30"}
    field.clear()
    field.send_keys("onerror=alert")
    until(lambda: count(browser) == "1 of 33 points", "the hostile trial")
    assert json.loads(cells(browser, NAME)[0]) == VALUE
    browser.execute_script("arguments[0].value = ''; arguments[0].dispatchEvent(new Event('input'))", field)

    brush(browser)
    assert 0 < len(cells(browser, "trial")) < 33
    browser.find_element(By.ID, "unbrush").click()
    until(lambda: count(browser) == "33 points", "the ranking without a brush")
    box = show(browser, "#curve")
    ActionChains(browser).move_to_element_with_offset(box, 40, 10).move_by_offset(3, 3).perform()
    until(lambda: browser.find_elements(By.CSS_SELECTOR, ".tip"), "a tooltip")
    assert "bad hyperparameters" in browser.find_element(By.CSS_SELECTOR, "[aria-labelledby=failures]").text

    for dark in (False, True):
        for width in (1280, 390):
            open_page(browser, written, width, dark)
            for selector in CHARTS:
                hovered = ActionChains(browser).move_to_element(show(browser, selector))
                hovered.move_by_offset(5, 5).perform()
            assert browser.find_elements(By.TAG_NAME, "img") == []
            assert complaints(browser) == []
            assert browser.get_log("browser") == []
            shoot(browser, f"real-{width}-{'dark' if dark else 'light'}", width)
    plots = {path.stem for path in written.parent.glob("plots/*.svg")}
    assert {"importance", "pair", "parallel", "curves", "timeline", "hyperparameter-1"} <= plots
