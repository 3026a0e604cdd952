"""Hyperparameters declared once, as a dataclass whose fields are knobs, and read from a trial's file by its rules."""

from __future__ import annotations

import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any, TypeVar

Declared = TypeVar("Declared")


BAD_HYPERPARAMETERS = 64


class TrialError(Exception):
    """An expected failure: the exit code, and one line for stderr."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def knob(default: Any, low: float | None, high: float | None, meaning: str, *choices: str) -> Any:
    """A declared hyperparameter: its default (None: see its meaning), bounds, both included, or choices."""
    return dataclasses.field(default=default, metadata={"bounds": (low, high), "is": meaning, "choices": choices})


def refusal(knobs: dict[str, Any], name: str, value: Any) -> str:
    """Why a hyperparameter is refused, or an empty string; `knobs` are the declared fields by name."""
    if name not in knobs:
        near = difflib.get_close_matches(name, knobs, 1)
        return f"{name}: unknown hyperparameter" + (f"; did you mean {near[0]}?" if near else "")
    kind, (low, high), choices = str(knobs[name].type), knobs[name].metadata["bounds"], knobs[name].metadata["choices"]
    # By the type's name, because a bool is an instance of int. A whole number is a fine float.
    if type(value).__name__ not in (("int", "float") if kind == "float" else (kind,)):
        return f"{name}: {json.dumps(value)} is a {type(value).__name__}, should be a {kind}"
    if choices and value not in choices:
        return f"{name}: {value!r} is not one of {', '.join(choices)}"
    outside = low is not None and not low <= value <= high  # true of NaN
    return f"{name}: {value} is not between {low:,} and {high:,}" if outside else ""


def read(path: Path, declared: type[Declared]) -> Declared:
    """The hyperparameters in a JSON file, each of its declared type and within its bounds; else TrialError 64.

    What else `declared` refuses, it says by a ValueError of its constructor.
    """
    knobs = {field.name: field for field in dataclasses.fields(declared)}  # type: ignore[arg-type]
    try:
        if not isinstance(given := json.loads(path.read_text()), dict):
            raise TypeError("it is no JSON object")
    except (OSError, ValueError, TypeError) as error:
        raise TrialError(BAD_HYPERPARAMETERS, f"{path}: not readable: {error}") from None
    if problems := [problem for name, value in given.items() if (problem := refusal(knobs, name, value))]:
        raise TrialError(BAD_HYPERPARAMETERS, "; ".join(problems))
    try:
        return declared(**{name: float(v) if knobs[name].type == "float" else v for name, v in given.items()})
    except ValueError as error:
        raise TrialError(BAD_HYPERPARAMETERS, str(error)) from None
