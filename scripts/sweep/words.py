"""What words are made of, and how numbers of things are said."""

from __future__ import annotations

import re

CONTROL = re.compile("[\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What Helm writes into YAML as it is, and then cannot read."""


def counted(number: int, what: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {what}{'s' * (number != 1)}"
