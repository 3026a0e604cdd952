"""What others wrote as JSON: by the letter, within bounds, and of it only what anybody here asks for."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

DEEPEST, MOST_DIGITS = 100, 1000
"""Levels of JSON, and digits of a whole number in it: the largest float has 309. The runner has the same bounds."""
MOST_METRICS, LONGEST_NAME = 1000, 200
"""Of a result: how many, and characters of a name. The runner keeps to them."""
LONGEST_TEXT, MOST_FIELDS = 1000, 100
"""Characters of any other text that is kept of a record, and fields of an object in it."""


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


# Made once: json.loads and json.dumps make a new one for every call with options.
_decoder = json.JSONDecoder(parse_constant=_refuse, parse_int=whole_number)


def value(text: str) -> Any:
    """Strict JSON. Raises ValueError, and RecursionError where it is nested too deeply."""
    return _decoder.decode(text)


def parse_object(data: bytes) -> dict[str, Any]:
    """Strict JSON to an object. Raises ValueError with the reason."""
    try:
        parsed = value(data.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}" if data.strip(b"\0 \n") else "empty") from error
    if not isinstance(parsed, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind of error for all that is wrong with a file
    if data.count(b"{") + data.count(b"[") > DEEPEST and _is_deep(parsed):
        raise ValueError("nested too deeply")
    return parsed


def _is_deep(value: Any) -> bool:
    """Whether there are lists or objects below more than DEEPEST others: whatever walks them would fail later."""
    level = [value]
    for _ in range(DEEPEST):
        inner = [inside for some in level for inside in (some.values() if isinstance(some, dict) else some)]
        level = [inside for inside in inner if isinstance(inside, dict | list)]
    return bool(level)


def slim(record: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Of a record the fields that anybody here asks for, none of them larger than it can need to be."""
    return {name: _slim(record[name], 2) for name in names if name in record}


def _slim(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, dict | list) and not levels:
        return type(value)()
    if isinstance(value, dict):
        some = list(value.items())[:MOST_FIELDS]
        return {name[:LONGEST_NAME]: _slim(inner, levels - 1) for name, inner in some}
    if isinstance(value, list):
        return [_slim(inner, levels - 1) for inner in value[:MOST_FIELDS]]
    return value


def thinned(metrics: dict[str, Any], wanted: Any) -> dict[str, Any]:
    """Of metrics those within the bounds; an objective, whose names `wanted` holds as TRIAL does, is always kept."""
    if len(metrics) <= MOST_METRICS and all(len(name) <= LONGEST_NAME for name in metrics):
        return metrics
    listed = wanted if isinstance(wanted, list) else [wanted]
    first = {
        entry.get("metric") for entry in listed if isinstance(entry, dict) and isinstance(entry.get("metric"), str)
    }
    names = sorted(metrics, key=lambda name: name not in first)
    kept = set([name for name in names if len(name) <= LONGEST_NAME or name in first][:MOST_METRICS])
    return {name: value for name, value in metrics.items() if name in kept}


RESULT = (
    "schema_version", "id", "status", "metrics", "objective", "attempt", "started_at", "finished_at", "used_s",
    "durations", "environment", "outputs", "verdict",
)  # fmt: skip
ATTEMPT = (
    "schema_version", "id", "attempt", "sweep", "status", "exit_code", "reason", "started_at", "finished_at", "used_s",
    "engine", "node", "pod", "pod_uid", "gpus", "limit_seconds", "provenance", "kept", "audited",
)  # fmt: skip
"""The fields that are read."""


def is_number(value: Any) -> bool:
    """A finite number that a float can hold; booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
