"""How a cell of results.csv is spelled: numbers as JSON, text so that it acts in no spreadsheet and on no terminal.

A text that a spreadsheet would calculate (it begins with = + - @) has an apostrophe before it, which is taken off again
on reading. Numbers are no text: -1.5 stays -1.5.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from typing import Any

from sweep import words
from sweep.records import strict

FORMULA = re.compile("'*[=+\\-@\t\r]")
"""How a text begins that a spreadsheet may calculate, or that was quoted for it."""
_encode = json.JSONEncoder(ensure_ascii=False).encode  # made once: json.dumps would make one for every cell
_ascii = json.JSONEncoder().encode
LONGEST = 2 << 20
"""Characters of a cell. A TRIAL, of at most 128 KiB, is shorter however its text is spelled."""
csv.field_size_limit(LONGEST)


def value(given: Any) -> str:
    """A JSON scalar (or list), "" where there is none: so false, 0, 1.0 and "" read back as what they were."""
    text = "" if given is None else _encode(given)
    return text if text.isprintable() else _ascii(given)


def value_of(cell: str) -> Any:
    """Raises ValueError for what is no JSON, or nested too deeply."""
    try:
        return strict.value(cell)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def text(given: str) -> str:
    """Text of one line."""
    shown = words.line(given)
    return f"'{shown}" if FORMULA.match(shown) else shown


def text_of(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def name(given: str) -> str:
    """A name in the header, as JSON where it would not be text."""
    return given if given.isprintable() and not given.startswith('"') else _ascii(given)


def name_of(cell: str) -> str:
    """Raises ValueError."""
    return str(json.loads(cell)) if cell.startswith('"') else cell


def line(cells: Iterable[str]) -> str:
    """Cells as a line of CSV."""
    page = io.StringIO()
    # Before Python 3.13 a carriage return is quoted only where it is part of the line's end.
    csv.writer(page, lineterminator="\r\n").writerow(cells)
    return page.getvalue().removesuffix("\r\n") + "\n"
