"""A source of metrics in what the program prints."""

from __future__ import annotations

import re
import signal
from contextlib import contextmanager

from rows import NUMBER, Rows, flat, nearest, number, parsed, rows_of, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from rows import Row


LONGEST_LINE = 16 << 10  # of what is printed: the rest of a longer line is not looked at
PATTERN_SECONDS = 2  # of CPU time that a pattern may take for what is printed at once
KEPT_LINES, CANDIDATES = 200, 20  # printed lines to look for the nearest miss in
NAME = r"[\"']?(?<![\w./@-])([A-Za-z_][\w./@-]*)[\"']?"
WRAPPED = r"(?:(?:np\.\w+|tensor|array)\()?[\"']?"  # as Python prints a number of NumPy or torch, or a text of one
READY = {
    form: re.compile(rf"{NAME}\s*{mark}\s*{WRAPPED}({NUMBER})")
    for form, mark in (("name=value", "="), ("name: value", ":"))
}
CELL = re.compile(r"[A-Za-z_][\w./@%-]*")  # a name in the first line of a table
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


class TooSlow(Exception):
    """A pattern took too long."""


class Lines:
    """Lines out of chunks. A progress bar's carriage return ends one too; colours are taken out."""

    def __init__(self) -> None:
        self.begun = b""

    def feed(self, chunk: bytes) -> list[str]:
        """Lines that have ended; an empty chunk ends the last one."""
        *ended, begun = re.split(rb"[\r\n]+", self.begun + chunk)
        if not chunk:
            ended, begun = [*ended, begun], b""
        self.begun = begun[:LONGEST_LINE]
        texts = (line[:LONGEST_LINE].decode(errors="replace") for line in ended)
        return [text for text in (ESCAPES.sub("", text) if "\x1b" in text else text for text in texts) if text.strip()]


def line_reader(source: dict[str, Any]) -> Callable[[str], list[Row]]:
    """Of a line of output the rows that a source finds in it. Raises ValueError for a pattern that is none."""
    if "pattern" in source:
        try:
            pattern = re.compile(source["pattern"])
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"pattern: is not a regular expression of Python's: {error}") from None
        return lambda line: [
            {name: value for name, text in match.groupdict().items() if text and (value := number(text)) is not None}
            for match in pattern.finditer(line)
        ]
    if source["format"] == "json":
        return lambda line: rows_of(flat(parsed(line[line.find("{") : line.rfind("}") + 1])) if "{" in line else {})
    if source["format"] == "table":
        return Table().rows
    ready = READY[source["format"]]
    return lambda line: rows_of(
        {name: value for name, text in ready.findall(line) if (value := number(text)) is not None}
    )


class Table:
    """Rows of a printed table: a line of names, and below it lines of as many cells, of which the numbers count."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.above: list[str] = []
        """Words of the line above, which may be names: the next line says so."""

    def rows(self, line: str) -> list[Row]:
        cells = re.split(r"[\s|,;]+", line.strip(" \t|"))
        values = [number(cell) for cell in cells]
        if self.above and len(cells) == len(self.above) and 2 * values.count(None) < len(values):
            self.names = self.above
        if re.search(r"[^-=+:|\s]", line):  # a rule below the names is none of its lines
            named = len(cells) > 1 and len({*cells}) == len(cells) and all(map(CELL.fullmatch, cells))
            self.above = cells if named and values.count(None) == len(values) else []
        if len(cells) != len(self.names):
            return []
        return rows_of({name: value for name, value in zip(self.names, values) if value is not None})


class Deadline:
    """An end for what may take for ever, a pattern above all: `re` has no time-out of its own.

    It looks for signals as it goes, though, and so a timer's handler may end it by raising. CPU time, for a machine
    that is busy with others is no fault of the pattern; once a chunk, for it costs two system calls. Main thread only.
    """

    def __init__(self) -> None:
        self.armed = False
        signal.signal(signal.SIGVTALRM, self._ring)

    def _ring(self, *_: Any) -> None:
        if self.armed:  # else it rang as it was taken away
            self.armed = False
            raise TooSlow

    @contextmanager
    def __call__(self, seconds: float) -> Iterator[None]:
        self.armed = True
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        try:
            yield
        finally:
            self.armed = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


class Printed:
    """A source of metrics in what the program prints."""

    def __init__(self, key: str, source: dict[str, Any], step: str | None) -> None:
        self.key, self.source, self.step = key, source, step
        self.read, self.rows = line_reader(source), Rows(source, step)
        self.lines, self.matched, self.slow = 0, 0, ""
        self.words = words_of(source.get("pattern", ""))
        self.near: dict[str, str] = {}  # lines with a word of a pattern that matched none yet, one of each shape

    def hear(self, lines: list[str], deadline: Deadline) -> Iterator[tuple[int, Row]]:
        """(number of the line, row) of what it finds."""
        matches: list[tuple[int, Row]] = []
        self.lines += len(lines)
        place = 0
        try:
            with deadline(PATTERN_SECONDS):
                for place, line in enumerate(() if self.slow else lines):
                    rows = self.read(line)
                    self.matched += bool(rows)
                    matches += [(place, row) for row in rows if row]
                    if self.words and not self.matched and len(self.near) < CANDIDATES and self.words.search(line):
                        self.near[re.sub("[0-9]+", "0", line)] = line
        except TooSlow:  # what it found until then is none either: how far it comes is the machine's doing
            self.slow, self.rows, matches = lines[place], Rows(self.source, self.step), []
        yield from matches

    def source_text(self) -> str:
        return f"in {self.matched} of {self.lines} lines"

    def lack(self, kept: Iterable[str]) -> str:
        """Why nothing was found, with the line that comes nearest. `kept`: lines that were printed last."""
        what = f"pattern {short(self.source['pattern'])}" if "pattern" in self.source else self.source["format"]
        if self.slow:
            cure = "write one without nested repeats"
            return f"{what} takes more than {PATTERN_SECONDS} s on the line {short(self.slow)}; {cure}"
        if not self.lines:
            return f"{what}: nothing was printed"
        if self.matched:
            return f"{what}: it matches, but its groups hold no number" if not self.rows.count else ""
        kept = list(kept)
        for name in READY:
            rows = [line for line in kept if READY[name].search(line)] if "format" in self.source else []
            if rows:
                return f"{what} is in none of {self.lines} lines, but format '{name}' is: {short(rows[-1])}"
        wanted = plain(self.source["pattern"]) if "pattern" in self.source else "name=0"
        line = nearest(wanted, [*self.near.values(), *kept], lambda text: re.sub("[0-9]+", "0", text))
        return f"{what} matches none of {self.lines} lines; nearest: {short(line)}"


def plain(pattern: str) -> str:
    """A pattern as a line that it may be meant for: no groups, escapes and repeats, 0 for what it has for a number."""
    text = re.sub(r"\(\?(?:P<\w+>|[:=!]|<[=!])", "(", pattern)
    text = re.sub(r"\((?:\[[^\]]*\]|\\[dSw.]|[.0-9+*?|])*\)", "0", text)
    text = re.sub(r"\[[^\]]*\][+*?]?", "0", text)
    return re.sub(r"[\\^$+*?(){}|]", "", re.sub(r"\\[a-zA-Z][+*?]?", " ", text))


def words_of(pattern: str) -> re.Pattern[str] | None:
    """Finds a word of a pattern in a line, whatever its case; None where it has no word."""
    words = {*re.findall("[A-Za-z]{3,}", plain(pattern)), *re.findall(r"\(\?P<(\w{3,})>", pattern)}
    return re.compile("|".join(sorted(words)[:50]), re.IGNORECASE) if words else None
