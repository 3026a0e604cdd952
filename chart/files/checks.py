"""What is checked of JSON that comes from elsewhere. Standard library only."""

from __future__ import annotations

import json
import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


DEEPEST, MOST_DIGITS = 100, 1000  # of JSON: levels, and digits of a whole number; the largest float has 309


def need(good: object, what: str) -> None:
    if not good:
        raise ValueError(what)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """A number that a float can hold."""
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def whole_number(digits: str) -> int:
    need(len(digits) <= MOST_DIGITS, f"a number of {len(digits)} digits")
    return int(digits)


def strict_object(data: bytes | str) -> dict[str, Any]:
    """JSON by the letter, no NaN, to an object; within bounds. Raises ValueError."""
    try:
        value = json.loads(data, parse_constant=not_json, parse_int=whole_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    need(isinstance(value, dict), "not a JSON object")
    check_depth(value)
    return value  # type: ignore[no-any-return]


def check_depth(value: Any) -> None:
    """Raises ValueError for lists and objects below more than DEEPEST others: whatever walks them would fail later."""
    level = [value]
    for _ in range(DEEPEST):
        inner = [item for some in level for item in (some.values() if isinstance(some, dict) else some)]
        level = [item for item in inner if isinstance(item, (dict, list))]
    need(not level, "nested too deeply")
