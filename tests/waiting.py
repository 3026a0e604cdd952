"""Waiting for a condition: the only way in which tests let time pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Wait until `condition` returns something true, and return that; after `seconds` fail, saying for `what`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        outcome = condition()
        if outcome:
            return outcome
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")
