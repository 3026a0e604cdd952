"""What words are made of, how what is none is shown, how numbers are said and values put in order."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Callable, Mapping
from typing import Any

Say = Callable[[str], None]
"""Shows a person one line."""

COMMIT = re.compile("[0-9a-f]{4,64}")
"""Git's hash of a commit, or the beginning of one: nothing that git could take for an option or another name."""
CONTROL = re.compile("[\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
"""What Helm writes into YAML as it is, and then cannot read, or not for certain."""

LARGE, SMALL, MOST_PLACES = 1e15, 1e-11, 12
"""Beyond these a number is shown with an exponent."""


def counted(number: int, what: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {what}{'s' * (number != 1)}"


def figure(value: float, digits: int = 2) -> str:
    """A figure for people: so many digits that count, every whole one, and no exponent between SMALL and LARGE."""
    if not math.isfinite(value) or (value and not SMALL < abs(value) < LARGE):
        return f"{value:.{digits}g}"
    places = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:,.{max(0, places)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def hours(seconds: float) -> str:
    """Seconds as hours: two digits below a tenth, two decimals below ten, whole ones from there on."""
    if seconds < 360:
        return figure(seconds / 3600)
    return f"{seconds / 3600:.2f}" if seconds < 36_000 else f"{seconds / 3600:,.0f}"


def short(hyperparameters: Mapping[str, object]) -> str:
    """Hyperparameters in a few words."""
    shown = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in hyperparameters.items()}
    return " ".join(f"{name}={value}" for name, value in shown.items() if value is not None)  # None: it has no such one


def ended(code: int) -> str:
    """How a program ended, by subprocess's return code, where it says nothing itself."""
    if code >= 0:
        return f"ended with {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was ended by {name}; run the same command again"


def size(value: Any) -> tuple[int, float, str]:
    """A key that sorts hyperparameters as people do: numbers by their size, before text by its letters."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, value, ""
    return 1, 0, str(value)


def shown(text: str) -> str:
    """Text that does nothing but stand there: what no reader could see is spelled as in a Python string.

    That is whatever Unicode calls no letter, mark, number, sign or plain space: control characters and the escape
    sequences they begin, bidi controls, zero-width characters, separators of lines and paragraphs, halves of surrogate
    pairs. Line ends and tabs stay. Text that was shown once stays as it is.
    """
    return text if text.isprintable() else "".join(map(_spelled, text))


def _spelled(char: str) -> str:
    return char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()


def everywhere(data: Any) -> Any:
    """JSON with all of its text shown, keys too."""
    if isinstance(data, dict):
        return {shown(key): everywhere(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [everywhere(value) for value in data]
    return shown(data) if isinstance(data, str) else data


def line(text: str) -> str:
    """The same as one line: what others wrote cannot look like a second one."""
    return text if text.isprintable() else shown(text).replace("\n", "\\n").replace("\t", "\\t")


def number(size: float, decimals: int) -> str:
    """With so many decimal places, or a few digits where it is too large for any to matter or too small for all."""
    if abs(size) >= LARGE:
        return f"{size:.6g}"
    return f"{size:.2g}" if decimals == MOST_PLACES and 0 < abs(size) < SMALL else f"{size:.{decimals}f}"
