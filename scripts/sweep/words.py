"""How numbers of things are said."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {what}{'s' * (number != 1)}"
