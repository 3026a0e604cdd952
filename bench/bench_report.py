"""How long a report of 1,000 and of 10,000 trials takes to make, and a Chromium to open and use; how large it is."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from sweep.ranking import stats  # noqa: E402
from sweep.records import results, store  # noqa: E402
from sweep.records.results import Objective  # noqa: E402
from sweep.reports import report, vendor  # noqa: E402
from tests.browser.page import binary, open_page, show  # noqa: E402
from tests.unit.stores import put_attempt, put_result, trial  # noqa: E402

USE = """
const field = document.getElementById("filter");
const took = (act) => {
  const start = performance.now();
  act();
  document.body.offsetHeight; // layout counts too
  return performance.now() - start;
};
const type = (text) => took(() => {
  field.value = text;
  field.dispatchEvent(new Event("input"));
});
const sort = () => took(() => document.querySelectorAll("#table thead button")[1].click());
return { filter: type("hyperparameter_0<700"), clear: type(""), sort: sort() };
"""
CHARTS = ("#importance-chart", ".plot .chart", "#pair", "#lines", "#curve", "#timeline")


def written(folder: Path, count: int) -> tuple[Path, float]:
    """A report of made-up trials with eight hyperparameters and 30 epochs of history, and the seconds it took."""
    draw = np.random.default_rng(0)
    trials = [
        trial({f"hyperparameter_{k}": float(f"{v:.6g}") for k, v in enumerate(draw.uniform(0, 1000, 8))})
        for _ in range(count)
    ]
    for n, drawn in enumerate(trials):
        value = 0.9 - drawn.identity["hyperparameters"]["hyperparameter_0"] / 1e4 + 0.01 * float(draw.standard_normal())
        lines = [{"epoch": e, "val_accuracy": value - 0.5 * 0.8**e, "train_loss": 0.8**e} for e in range(1, 31)]
        put_result(folder, drawn, metrics={"val_accuracy": value, "train_loss": 0.01})
        # Eight at a time, a minute each.
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n // 8)
        times = {"started_at": f"{start:%Y-%m-%dT%H:%M:%SZ}", "finished_at": f"{start:%Y-%m-%dT%H:%M:55Z}"}
        put_attempt(
            folder, drawn, history="".join(json.dumps(line) + "\n" for line in lines), node=f"n{n % 8}", **times
        )
    snapshot = store.read(folder, trials)
    rows = results.merge([], trials, snapshot, {}, "local")
    library = vendor.vendored_echarts().read_text()
    began = time.perf_counter()
    choice = stats.choose(rows, Objective("val_accuracy", "maximize"), "local")
    text = report.html(report.Material("bench", "local", rows, choice, snapshot, folder), library)
    took = time.perf_counter() - began
    path = folder / "report.html"
    path.write_text(text)
    return path, took


def opened(browser: webdriver.Chrome, path: Path) -> dict[str, float]:
    """Milliseconds until the page is loaded with its table, of using it, and until every chart is drawn once."""
    open_page(browser, path)
    measures: dict[str, Any] = {
        "load": browser.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    }
    measures |= browser.execute_script(USE)
    start = time.perf_counter()
    for selector in CHARTS:
        show(browser, selector)
    return measures | {"charts": 1000 * (time.perf_counter() - start)}


def main() -> None:
    options = Options()
    options.binary_location = binary("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(binary("chromedriver")))
    print("| trials | made in | size | opened | filtered | sorted | all kinds of charts drawn |")
    print("|---|---|---|---|---|---|---|")
    for count in (1000, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            path, took = written(Path(folder), count)
            rounds = [opened(browser, path) for _ in range(3)]
            middle = {name: median(measures[name] for measures in rounds) for name in rounds[0]}
            size = path.stat().st_size / 1e6
            cells = [f"{count:,}", f"{took:.1f} s", f"{size:.1f} MB", f"{middle['load'] / 1000:.2f} s"]
            cells += [f"{middle['filter']:.0f} ms", f"{middle['sort']:.0f} ms", f"{middle['charts'] / 1000:.1f} s"]
            print(f"| {' | '.join(cells)} |", flush=True)
    browser.quit()


if __name__ == "__main__":
    main()
