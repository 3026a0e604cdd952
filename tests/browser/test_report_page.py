"""report.html in a real headless Chromium: sort, filter, brush, hover, hostile text, no console error, no request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from sweep.ranking import pareto, stats
from sweep.records import results, store
from sweep.records.results import Objective, Row
from sweep.reports import report, vendor
from tests.browser.page import brush, cells, complaints, count, header, open_page, shoot, show, until
from tests.unit.stores import put_attempt, put_result, row, trial

NAME = "<img src=x onerror=alert(3)>\"'`😀" + "y" * 280
WEIRD = ["<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", "\"'`", "😀", "x" * 300, "a&lt;b"]


def write_report(folder: Path, points: int, seeds: int, weird: bool = False) -> tuple[Path, list[Row]]:
    """A report of a made-up sweep, through the same code as a real one."""
    draw = np.random.default_rng(1)
    trials = []
    for n in range(points):
        given: dict[str, Any] = {
            "lr": float(f"{10 ** draw.uniform(-2, 0):.8g}"),
            "batch_size": [128, 512][n % 2],
            "flag": n % 3 == 0,
        }
        if weird:
            given[NAME] = WEIRD[n % len(WEIRD)]
        mean = 0.9 - 0.01 * (np.log10(given["lr"]) + 1) ** 2 + 0.005 * given["flag"]
        for seed in range(seeds):
            planted = trial(given, seed)
            trials.append(planted)
            if n == points - 1:
                put_attempt(
                    folder, planted, status="failed", exit_code=1, reason=f"exit 1: {WEIRD[0]}", log=WEIRD[1], node="n2"
                )
                continue
            value = float(mean + 0.002 * draw.standard_normal())
            lines = [{"epoch": e, "val_accuracy": value - 0.5 * 0.7**e, "train_loss": 0.7**e} for e in range(1, 13)]
            put_attempt(folder, planted, history="".join(json.dumps(line) + "\n" for line in lines))
            put_result(
                folder, planted, metrics={"val_accuracy": value, "test_accuracy": value - 0.01, "train_loss": 0.01}
            )
    snapshot = store.read(folder, trials)
    rows = results.merge([], trials, snapshot, {}, "local")
    choice = stats.choose(rows, Objective("val_accuracy", "maximize"), "local")
    path = folder / "report.html"
    charts = vendor.vendored_echarts().read_text()
    path.write_text(report.html(report.Material("demo", "local", rows, choice, snapshot, folder), charts))
    return path, rows


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    return write_report(tmp_path_factory.mktemp("sweep"), points=33, seeds=3)


@pytest.fixture
def page(browser: webdriver.Chrome, sweep: tuple[Path, list[Row]]) -> Iterator[webdriver.Chrome]:
    open_page(browser, sweep[0])
    yield browser
    assert browser.get_log("browser") == []


def test_the_ranking_is_that_of_stats(page: webdriver.Chrome, sweep: tuple[Path, list[Row]]) -> None:
    choice = stats.choose(sweep[1], Objective("val_accuracy", "maximize"), "local")
    assert cells(page, "trial") == [point.trial.id for point in choice.points]
    assert cells(page, "seeds")[0] == "3"
    assert cells(page, "lr")[0] == str(choice.points[0].hyperparameters["lr"])
    assert "probability" in page.find_element(By.CSS_SELECTOR, ".said").text


def test_sort_by_mouse_and_keyboard(page: webdriver.Chrome) -> None:
    header(page, "lr").click()
    up = [float(text) for text in cells(page, "lr")]
    assert up == sorted(up)
    assert header(page, "lr").find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert [float(text) for text in cells(page, "lr")] == up[::-1]
    assert header(page, "lr").find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"
    header(page, "val_accuracy").click()
    values = [text.split()[0] for text in cells(page, "val_accuracy")]
    assert values == sorted(values, reverse=True)


def test_filter_by_words_and_comparisons(page: webdriver.Chrome) -> None:
    field = page.find_element(By.ID, "filter")
    field.send_keys("batch_size=512 lr<0.1")
    until(lambda: "of" in count(page), "the filter")
    assert set(cells(page, "batch_size")) == {"512"}
    assert all(float(text) < 0.1 for text in cells(page, "lr"))
    assert count(page) == f"{len(cells(page, 'lr'))} of 32 points"
    field.clear()
    field.send_keys("no such thing")
    until(lambda: count(page) == "0 of 32 points", "an empty table")


def test_trials_view_shows_what_failed(page: webdriver.Chrome) -> None:
    page.find_element(By.CSS_SELECTOR, "input[value=trials]").click()
    assert count(page) == "99 trials"
    page.find_element(By.ID, "filter").send_keys("status=failed")
    until(lambda: count(page) == "3 of 99 trials", "the failed trials")
    assert set(cells(page, "reason")) == {f"exit 1: {WEIRD[0]}"}
    assert "test_accuracy" not in page.find_element(By.ID, "table").text
    assert WEIRD[1] in page.find_element(By.ID, "failures").find_element(By.XPATH, "..").text


def test_brushing_an_axis_filters_the_ranking(page: webdriver.Chrome) -> None:
    brush(page)
    best = [float(text.split()[0]) for text in cells(page, "val_accuracy")]
    assert 0 < len(best) < 32
    page.find_element(By.ID, "unbrush").click()
    until(lambda: count(page) == "32 points", "the ranking without a brush")


def test_hovering_shows_values(page: webdriver.Chrome) -> None:
    box = show(page, "#curve")
    ActionChains(page).move_to_element_with_offset(box, 40, 10).move_by_offset(3, 3).perform()
    tip = until(lambda: page.find_elements(By.CSS_SELECTOR, ".tip"), "a tooltip")[0]
    assert tip.text.startswith("epoch ")


def test_choosing_what_is_drawn(page: webdriver.Chrome) -> None:
    show(page, "#pair")
    page.find_element(By.CSS_SELECTOR, "#pair-x option[value='2']").click()
    show(page, ".plot .chart")
    page.find_element(By.ID, "better").click()
    show(page, "#curve")
    page.find_element(By.CSS_SELECTOR, "#curve-metric option[value='1']").click()
    show(page, "#timeline")


def test_no_request_leaves_the_page(page: webdriver.Chrome, sweep: tuple[Path, list[Row]]) -> None:
    for selector in (".plot .chart", "#pair", "#lines", "#curve", "#timeline"):
        show(page, selector)
    messages = (json.loads(entry["message"])["message"] for entry in page.get_log("performance"))
    asked = {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }
    assert asked == {sweep[0].as_uri()}


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_hostile_text_stays_text_at_every_size(
    browser: webdriver.Chrome, tmp_path: Path, width: int, dark: bool
) -> None:
    path, _ = write_report(tmp_path, points=25, seeds=1, weird=True)
    open_page(browser, path, width, dark)
    for selector in (".plot .chart", ".plot:last-child .chart", "#pair", "#lines", "#curve", "#timeline"):
        box = show(browser, selector)
        ActionChains(browser).move_to_element(box).move_by_offset(5, 5).perform()
    texts = cells(browser, NAME)
    assert {json.loads(text) if text.startswith('"') else text for text in texts} == set(WEIRD)
    assert browser.find_elements(By.TAG_NAME, "img") == []
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    assert complaints(browser) == []
    shoot(browser, f"report-{width}-{'dark' if dark else 'light'}", width)


def write_rows(folder: Path, rows: list[Row], several: bool = False, budget: str = "") -> Path:
    """A report of rows without a result store."""
    objectives = [Objective("val_accuracy", "maximize"), Objective("cost", "minimize")]
    choice = stats.choose(rows, objectives[0], "local")
    front = pareto.front(rows, objectives, "local") if several else None
    nothing = store.Snapshot({}, [], found=False)
    material = report.Material("demo", "local", rows, choice, nothing, folder, front, budget)
    path = folder / "report.html"
    path.write_text(report.html(material, vendor.vendored_echarts().read_text()))
    return path


@pytest.mark.parametrize("dark", [False, True])
def test_front_and_rungs(browser: webdriver.Chrome, tmp_path: Path, dark: bool) -> None:
    rows = [
        row({"width": n, "epochs": epochs}, metrics={"val_accuracy": value, "cost": (30 - n) * epochs}, objective=value)
        for rung, epochs in enumerate((1, 3, 9))
        for n in range(27 // 3**rung)
        for value in [0.5 + 0.1 * rung - 0.01 * n]
    ]
    path = write_rows(tmp_path, rows, several=True, budget="epochs")
    open_page(browser, path, dark=dark)
    for selector in ("#front-chart", "#rungs-chart", "#importance-chart"):
        show(browser, selector)
    rungs = browser.find_element(By.CSS_SELECTOR, "[aria-labelledby=rungs] tbody").text.splitlines()
    assert [line.split()[:4] for line in rungs] == [["1", "27", "27", "9"], ["3", "9", "9", "3"], ["9", "3", "3", "–"]]
    lead = browser.find_elements(By.CSS_SELECTOR, "[aria-labelledby=front] tbody tr")
    assert len(lead) == int(browser.find_element(By.CSS_SELECTOR, "[aria-labelledby=front] .note").text.split()[0]) > 1
    browser.find_element(By.CSS_SELECTOR, "#front-x option[value='0']").click()
    box = show(browser, "#rungs-chart")
    ActionChains(browser).move_to_element_with_offset(box, int(box.size["width"] / 3), 0).perform()
    assert complaints(browser) == []
    assert browser.get_log("browser") == []
    shoot(browser, f"rungs-1280-{'dark' if dark else 'light'}", 1280)


def test_ten_thousand_trials_open(browser: webdriver.Chrome, tmp_path: Path) -> None:
    rows = [row({"lr": n / 7, "momentum": n % 13 / 13}, value=n * 7919 % 10_007 / 1e4) for n in range(10_000)]
    open_page(browser, write_rows(tmp_path, rows))
    assert count(browser) == "10000 points"
    for selector in (".plot .chart", "#lines"):
        show(browser, selector)
    browser.find_element(By.ID, "filter").send_keys("lr<100")
    until(lambda: count(browser) == "700 of 10000 points", "the filter", 5)
    assert browser.get_log("browser") == []


def test_a_thousand_trials_are_there_within_a_second_or_so(browser: webdriver.Chrome, tmp_path: Path) -> None:
    path, _ = write_report(tmp_path, points=1001, seeds=1)
    open_page(browser, path)
    took = browser.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert count(browser) == "1000 points"
    assert took < 3000, "a second, and room for a busy machine"
    browser.find_element(By.ID, "filter").send_keys("lr<0.1")
    until(lambda: "of 1000 points" in count(browser), "the filter", 2)
    assert browser.get_log("browser") == []
