"""`report --live`, in a real browser: what runs and waits, as it changes, for nobody but this machine."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from selenium import webdriver

from tests.e2e.support import TestClone
from tests.waiting import until


def address_of(live: subprocess.Popen[str]) -> str:
    """Where it serves, from the line that says so."""
    assert live.stderr
    line = live.stderr.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+/", line)
    assert address, line
    return address[0]


def test_page_follows_a_sweep_and_says_when_nobody_keeps_it_any_more(
    clone: TestClone, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    clone.edit({"x": 1}, {"x": 2}, {"x": 3}, goal={"score": -4})
    clone.run("expand", "toy", "--code", "toy")
    live = clone.start("report", "toy", "--live")
    address = address_of(live)
    browser.get(address)

    def shown() -> str:
        """In one call, since the page takes its parts away while one looks."""
        return str(browser.execute_script("return document.body.innerText"))

    assert "Nothing runs." in shown()
    assert "3 wait: for its turn" in shown()
    launcher = clone.start("drive", "toy", "--slots", "2")
    until(lambda: len(clone.events("start")) == 2, "two run")
    until(lambda: "1 waits: for its turn" in shown(), "the page shows what runs")
    assert {f"x={x}" for x in clone.events("start")} <= set(shown().split())
    browser.save_screenshot(str(tmp_path / "live.png"))
    clone.open_gate()
    launcher.communicate(timeout=60)
    until(lambda: "1 waits: held back: goal: score >= -4 is reached by trial " in shown(), "it shows what came of it")
    assert "Nothing runs." in shown()
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]

    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(address, headers={"Host": "example.org"}))
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}../values/base.yaml")
    port = address.rpartition(":")[2].strip("/")
    assert f"--port {port}: Address already in use" in clone.run("report", "toy", "--live", "--port", port, code=2)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((other_address(), int(port)), timeout=5)

    live.send_signal(signal.SIGINT)
    live.communicate(timeout=60)
    assert live.returncode == 130
    until(lambda: "The command that kept this page current has ended." in shown(), "the page knows")


def other_address() -> str:
    """An address of this machine that is not the one for itself alone."""
    return "127.0.0.2"
