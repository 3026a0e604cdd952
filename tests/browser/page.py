"""Opens a report in a real headless Chromium and finds things on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from sweep.layout import Clone
from sweep.reports import vendor

SHOTS = Clone.here().root / "out" / "screenshots"


def binary(name: str) -> str:
    """Path of a program of Debian's packages chromium and chromium-driver."""
    program = shutil.which(name)
    if not program:
        message = f"{name}: not found; apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return program


def open_page(browser: webdriver.Chrome, path: Path, width: int = 1280, dark: bool = False) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # Without motion, for a click aims at where an element is now.
    media = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in media.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for kind in ("browser", "performance"):
        log(browser, kind)  # what earlier pages left
    browser.get(path.as_uri())


def log(browser: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    """What the browser has written down since the last time."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def until(condition: Callable[[], Any], what: str, seconds: float = 10) -> Any:
    """Wait for `found` to give something true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return value


def cells(browser: webdriver.Chrome, column: str) -> list[str]:
    """Texts of a column of the ranking."""
    script = """
    const table = document.getElementById("table");
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.innerText.replace(/ [↑↓]$/, "").trim());
    const at = names.indexOf(arguments[0]);
    return [...table.tBodies[0].rows].map((row) => row.cells[at].textContent);
    """
    texts: list[str] = browser.execute_script(script, column)
    return texts


def header(browser: webdriver.Chrome, name: str) -> WebElement:
    return next(
        button
        for button in browser.find_elements(By.CSS_SELECTOR, "#table thead button")
        if button.text.startswith(name)
    )


def show(browser: webdriver.Chrome, selector: str) -> WebElement:
    """Scroll to a chart and wait until it is drawn."""
    box = browser.find_element(By.CSS_SELECTOR, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", box)
    until(lambda: box.find_elements(By.TAG_NAME, "canvas"), f"a canvas in {selector}")
    time.sleep(0.2)
    return box


def count(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "count").text


def shoot(browser: webdriver.Chrome, name: str, width: int) -> None:
    """Draw all charts, and keep a picture of the whole page as out/screenshots/<name>.png."""
    for box in browser.find_elements(By.CSS_SELECTOR, ".chart"):
        browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", box)
        until(partial(box.find_elements, By.TAG_NAME, "canvas"), "a chart")
    height = browser.execute_script("return document.documentElement.scrollHeight")
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    time.sleep(0.5)
    SHOTS.mkdir(parents=True, exist_ok=True)
    for _ in range(2):  # chromedriver waits for ten seconds, which is short for a tall page on a busy machine
        with contextlib.suppress(TimeoutException):
            browser.save_screenshot(str(SHOTS / f"{name}.png"))
            return
    assert browser.save_screenshot(str(SHOTS / f"{name}.png"))


def brush(browser: webdriver.Chrome) -> None:
    """Drag along the upper part of the last axis of the parallel coordinates."""
    box = show(browser, "#lines")
    width, height = box.size["width"], box.size["height"]
    last = int(width / 2 - 72)  # from the middle
    drag = ActionChains(browser, duration=100)
    drag.move_to_element_with_offset(box, last, int(58 - height / 2)).click_and_hold()
    for step in range(1, 9):
        drag.move_to_element_with_offset(box, last, int(58 - height / 2 + step * 15))
    drag.release().perform()
    until(lambda: "brushed" in count(browser), "the brush")


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What axe-core finds serious or critical on the page."""
    axe = vendor.vendored_file(Path(__file__).parent, "axe-core", "axe.min.js").read_text()
    browser.execute_script(axe)
    script = """
    const done = arguments[arguments.length - 1];
    const broken = (error) => [{ impact: "critical", id: String(error), nodes: [] }];
    axe.run(document).then((found) => done(found.violations), (error) => done(broken(error)));
    """
    violations = browser.execute_async_script(script)
    return [
        f"{rule['impact']} {rule['id']}: {json.dumps([node['html'][:200] for node in rule['nodes'][:3]])}"
        for rule in violations
        if rule["impact"] in ("serious", "critical")
    ]
