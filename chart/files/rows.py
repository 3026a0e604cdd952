"""Rows of numbers as programs report them, and what is taken of them: metrics, and learning curves."""

from __future__ import annotations

import json
import math
import re

from checks import is_finite, is_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Union

    Number = Union[int, float]
    Row = dict[str, Number]


LARGEST_FILE = 256 << 20
LONGEST_ROW = 1 << 20  # a line of a file
DEEPEST = 32  # levels of folders, and of JSON
MOST_NAMES, LONGEST_NAME, MOST_DIGITS = 1000, 200, 300
MOST_CURVES, POINTS = 50, 500  # a curve keeps at least so many points, evenly spaced, and at most twice as many
MOST_BESTS = 20  # rows that were the best when they came
# A number as programs print it: 3, .5, 1e-3, 1,234.5, nan, -inf. A comma that groups no thousands makes it none, and
# so does what follows in dates, times and versions. Fortran writes 1.5D+02.
NUMBER = (
    r"[-+]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?(?![0-9])|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[dDeE][-+]?[0-9]+)?"
    r"|(?i:nan|inf(?:inity)?))(?![\w(]|,[0-9]|[.:-][0-9])"
)
STEPS = ("epoch", "step")  # names that are one unless the values say another, whatever their case
SHOWN = 80  # characters of it


def number(text: str) -> Number | None:
    """The number that a text is, whatever blanks and percent sign are around it; None for anything else."""
    text = text.strip().rstrip("%").rstrip()
    if len(text) > MOST_DIGITS or not re.fullmatch(NUMBER, text):
        return None
    text = re.sub("(?<=[0-9.])[dD]", "e", text.replace(",", ""))
    return int(text) if re.fullmatch("[-+]?[0-9]+", text) else float(text)


def whole_number(digits: str) -> Number:
    return int(digits) if len(digits) <= MOST_DIGITS else math.inf


def parsed(text: str | bytes) -> Any:
    """JSON as Python writes it, NaN too; None for what is none."""
    try:
        return json.loads(text, parse_int=whole_number)
    except (ValueError, RecursionError):
        return None


def flat(value: Any, above: str = "", level: int = 0) -> Row:
    """The numbers in a JSON object; those of objects in it by their path, with dots."""
    row: Row = {}
    if isinstance(value, dict) and level < DEEPEST:
        for name, inner in value.items():
            if is_number(inner):
                row[f"{above}{name}"] = inner
            elif isinstance(inner, dict):
                row.update(flat(inner, f"{above}{name}.", level + 1))
    return row


def rows_of(row: Row) -> list[Row]:
    return [row] if row else []


class Curve:
    """Values of one metric by step: evenly spaced ones of however many come, and the newest."""

    def __init__(self) -> None:
        self.points: list[tuple[int, Number, Number]] = []  # its place among all that came, step, value
        self.count, self.every = 0, 1

    def add(self, step: Number, value: Number) -> None:
        if self.points and self.points[-1][1] == step:
            self.points[-1] = (self.points[-1][0], step, value)
            return
        if self.points and self.points[-1][0] % self.every:
            self.points.pop()  # it was the newest, and is none to keep
        self.points.append((self.count, step, value))
        self.count += 1
        if len(self.points) > 2 * POINTS:
            self.every *= 2
            self.points = [point for point in self.points if point[0] % self.every == 0]


class Rows:
    """What a source takes of its rows as they come, in bounded memory.

    Rows one after the other that have the same step, and no metric twice, are one: programs print training and
    validation on lines of their own.
    """

    def __init__(self, source: dict[str, Any], step: str | None = None) -> None:
        self.names: dict[str, str] = source.get("names") or {}  # our name -> theirs; empty: all by their names
        take: Any = source.get("take") or "last"
        self.take, by = next(iter(take.items())) if isinstance(take, dict) else (take, "")
        self.by = self.names.get(by, by)  # as the source calls it
        self.step_names = (step.lower(),) if step else STEPS
        self.wanted = {*self.names.values(), self.by} - {""}
        self.count = 0
        self.seen: dict[str, None] = {}  # names as the source calls them
        self.first: Row = {}
        self.last: Row = {}
        self.bests: list[tuple[Number | None, Row]] = []  # step and row of each best so far, the newest last
        self.began: Number | None = None  # the first step
        self.row: Row = {}
        self.step: Number | None = None
        self.curves: dict[str, Curve] = {}

    def step_of(self, row: Row) -> Number | None:
        for wanted in self.step_names:
            for name, value in row.items():
                if name.lower() == wanted and is_finite(value):
                    return value
        return None

    def add(self, row: Row, step: Number | None = None) -> None:
        row = {name: value for name, value in row.items() if self._known(name)}
        if not row:
            return
        self.count += 1
        if step is not None and step == self.step and not self._repeats(row):
            self.row.update(row)
        else:
            self.row, self.step = dict(row), step
        self.last.update(row)
        for name, value in row.items():
            self.first.setdefault(name, value)
        if self.by in row and self.better(row, self.best):
            self.bests.append((step, self.row))
            if len(self.bests) > MOST_BESTS:
                del self.bests[:-1:2]
        if step is not None and is_finite(step):
            self.began = step if self.began is None else self.began
            self._draw(row, step)

    def _repeats(self, row: Row) -> bool:
        """Whether a name comes again: values of one step that come one by one are one row until then."""
        return any(name in self.row for name in row if not self._steps(name))

    def _draw(self, row: Row, step: Number) -> None:
        for name, value in row.items():
            if self._steps(name) or (self.names and name not in self.wanted):
                continue
            if name not in self.curves and len(self.curves) < MOST_CURVES:
                self.curves[name] = Curve()
            if name in self.curves:
                self.curves[name].add(step, value)

    @property
    def best(self) -> Row:
        return self.bests[-1][1] if self.bests else {}

    def ours(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values by our names for them: those of `names`, or all."""
        return (
            {ours: values[theirs] for ours, theirs in self.names.items() if theirs in values} if self.names else values
        )

    def _steps(self, name: str) -> bool:
        return name.lower() in self.step_names or name.lower() in STEPS

    def _known(self, name: str) -> bool:
        if name not in self.seen:
            if len(name) > LONGEST_NAME or (len(self.seen) >= MOST_NAMES and name not in self.wanted):
                return False
            self.seen[name] = None
        return True

    def better(self, row: Row, best: Row) -> bool:
        """Whether a row takes the place of the best one so far; {} where there is none."""
        value, before = row[self.by], best.get(self.by, math.nan)
        return before != before or (value > before if self.take == "max" else value < before)


def history(sources: Iterable[Rows], before: Iterable[dict[str, Any]] = ()) -> bytes:
    """The learning curves of all sources as the lines of HISTORY_FILE, one a step, after the rows of `before`."""
    steps: dict[Number, dict[str, Any]] = {row["epoch"]: row for row in before}
    for rows in sources:
        for name, curve in rows.ours(rows.curves).items():
            for _, step, value in curve.points:
                steps.setdefault(step, {})[name] = value
    return b"".join(json.dumps({**steps[step], "epoch": step}).encode() + b"\n" for step in sorted(steps))


def nearest(wanted: str, lines: Iterable[str], shape: Callable[[str], str] = str) -> str:
    """The one that is most like what is wanted; "" of none."""
    from difflib import SequenceMatcher

    scored = ((SequenceMatcher(None, wanted.lower(), shape(line[:500]).lower()).ratio(), line) for line in lines)
    return max(scored, default=(0.0, ""), key=lambda scored_line: scored_line[0])[1]


def short(text: str, most: int = SHOWN) -> str:
    text = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text).split())
    return f"'{text if len(text) <= most else f'{text[: most - 1]}…'}'"
