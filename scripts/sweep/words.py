"""What words are made of, how numbers of things are said, and how values are put in order."""

from __future__ import annotations

import re
from typing import Any

CONTROL = re.compile("[\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What Helm writes into YAML as it is, and then cannot read."""


def counted(number: int, what: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {what}{'s' * (number != 1)}"


def size(value: Any) -> tuple[int, float, str]:
    """A key that sorts hyperparameters as people do: numbers by their size, before text by its letters."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, value, ""
    return 1, 0, str(value)
