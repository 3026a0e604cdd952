"""What a program that knows nothing of us tells of itself: metrics and learning curves, by the values' `metrics`.

A source of metrics is what the program prints, a file in its working folder (JSON, JSON lines, CSV), the event files of
TensorBoard or the file store of MLflow. Each yields rows, a dictionary of numbers each, and the step that a row belongs
to. Of the rows a source takes the last or first value of every metric, or the best row; with their steps they are the
learning curve. Later sources win over earlier ones.

Whatever a program writes raises nothing here, is read through no link and within bounds: lines, files and what is kept
of them. It is part of the runner, which imports it only for trials that have `metrics`: standard library only,
Python >= 3.9. What it needs of the runner it is given, a Folder.
"""

from __future__ import annotations

import fnmatch
import json
import math
import os
import re
import signal
import stat
import struct
from collections import deque
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, BinaryIO, Union

    from trial import Folder

    Number = Union[int, float]
    Row = dict[str, Number]

LONGEST_LINE = 16 << 10  # of what is printed: the rest of a longer line is not looked at
LONGEST_ROW = 1 << 20  # a line of a file
LARGEST_FILE, LARGEST_JSON = 256 << 20, 16 << 20
LIVE_BYTES = 1 << 20  # files of a source that are together larger are read when the program has ended, not before
LARGEST_EVENT = 1 << 20  # of TensorBoard: what is longer holds no number but a picture or a text, and is skipped
MOST_FILES, MOST_ENTRIES, DEEPEST = 1000, 100_000, 32  # that a path leads to, that are looked at for it, and levels
MOST_STEPS = 10**6  # of a thousand instructions of SQLite each
LARGEST = 1.7976931348623157e308  # what MLflow's database has for infinity
MOST_NAMES, LONGEST_NAME, MOST_DIGITS = 1000, 200, 300
MOST_CURVES, POINTS = 50, 500  # a curve keeps at least so many points, evenly spaced, and at most twice as many
PATTERN_SECONDS = 2  # of CPU time that a pattern may take for what is printed at once
KEPT_LINES, CANDIDATES, SHOWN = 200, 20, 80  # printed lines to look for the nearest miss in; and characters of it

# A number as programs print it: 3, .5, 1e-3, 1,234.5, nan, -inf. A comma that groups no thousands makes it none, and
# so does what follows in dates, times and versions.
NUMBER = (
    r"[-+]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?(?![0-9])|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|(?i:nan|inf(?:inity)?))(?![\w(]|,[0-9]|[.:-][0-9])"
)
NAME = r"[\"']?(?<![\w./@-])([A-Za-z_][\w./@-]*)[\"']?"
WRAPPED = r"(?:(?:np\.\w+|tensor|array)\()?[\"']?"  # as Python prints a number of NumPy or torch, or a text of one
READY = {
    form: re.compile(rf"{NAME}\s*{mark}\s*{WRAPPED}({NUMBER})")
    for form, mark in (("name=value", "="), ("name: value", ":"))
}
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
OUTPUTS = "{output_dir}/"
STEPS = ("epoch", "step")  # names that are one unless the values say another, whatever their case


class TooSlow(Exception):
    """A pattern took too long."""


# ---- numbers ---------------------------------------------------------------------------------------------------------


def number(text: str) -> Number | None:
    """The number that a text is, whatever blanks and percent sign are around it; None for anything else."""
    text = text.strip().rstrip("%").rstrip()
    if len(text) > MOST_DIGITS or not re.fullmatch(NUMBER, text):
        return None
    text = text.replace(",", "")
    return int(text) if re.fullmatch("[-+]?[0-9]+", text) else float(text)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


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


# ---- rows, and what is taken of them ---------------------------------------------------------------------------------


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
        self.best: Row = {}
        self.best_step: Number | None = None
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
        if self.by in row and self._better(row[self.by]):
            self.best, self.best_step = self.row, step
        if step is not None and is_finite(step):
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

    def metrics(self) -> Row:
        taken = {"first": self.first, "last": self.last}.get(self.take, self.best)
        return self.ours(taken)

    def ours(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values by our names for them: those of `names`, or all."""
        return (
            {ours: values[theirs] for ours, theirs in self.names.items() if theirs in values} if self.names else values
        )

    def missing(self) -> list[str]:
        """What the values name and no row had."""
        return sorted(self.wanted - self.seen.keys())

    def _steps(self, name: str) -> bool:
        return name.lower() in self.step_names or name.lower() in STEPS

    def _known(self, name: str) -> bool:
        if name not in self.seen:
            if len(name) > LONGEST_NAME or (len(self.seen) >= MOST_NAMES and name not in self.wanted):
                return False
            self.seen[name] = None
        return True

    def _better(self, value: Number) -> bool:
        before = self.best.get(self.by, math.nan)
        return before != before or (value > before if self.take == "max" else value < before)


def history(told: Iterable[Rows]) -> bytes:
    """The learning curves of all sources as the lines of HISTORY_FILE, one a step."""
    steps: dict[Number, Row] = {}
    for rows in told:
        for name, curve in rows.ours(rows.curves).items():
            for _, step, value in curve.points:
                steps.setdefault(step, {})[name] = value
    return b"".join(json.dumps({**steps[step], "epoch": step}).encode() + b"\n" for step in sorted(steps))


# ---- what is printed -------------------------------------------------------------------------------------------------


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
            raise ValueError(f"pattern: is no regular expression of Python's: {error}") from None
        return lambda line: [
            {name: value for name, text in found.groupdict().items() if text and (value := number(text)) is not None}
            for found in pattern.finditer(line)
        ]
    if source["format"] == "json":
        return lambda line: rows_of(flat(parsed(line[line.find("{") : line.rfind("}") + 1])) if "{" in line else {})
    ready = READY[source["format"]]
    return lambda line: rows_of(
        {name: value for name, text in ready.findall(line) if (value := number(text)) is not None}
    )


def rows_of(row: Row) -> list[Row]:
    return [row] if row else []


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
        found: list[tuple[int, Row]] = []
        self.lines += len(lines)
        place = 0
        try:
            with deadline(PATTERN_SECONDS):
                for place, line in enumerate(() if self.slow else lines):
                    rows = self.read(line)
                    self.matched += bool(rows)
                    found += [(place, row) for row in rows if row]
                    if self.words and not self.matched and len(self.near) < CANDIDATES and self.words.search(line):
                        self.near[re.sub("[0-9]+", "0", line)] = line
        except TooSlow:  # what it found until then is none either: how far it comes is the machine's doing
            self.slow, self.rows, found = lines[place], Rows(self.source, self.step), []
        yield from found

    def found(self) -> str:
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
        line = nearest(wanted, [*self.near.values(), *kept], lambda one: re.sub("[0-9]+", "0", one))
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


def nearest(wanted: str, lines: Iterable[str], shape: Callable[[str], str] = str) -> str:
    """The one that is most like what is wanted; "" of none."""
    from difflib import SequenceMatcher

    scored = ((SequenceMatcher(None, wanted.lower(), shape(line[:500]).lower()).ratio(), line) for line in lines)
    return max(scored, default=(0.0, ""), key=lambda one: one[0])[1]


def short(text: str, most: int = SHOWN) -> str:
    text = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text).split())
    return f"'{text if len(text) <= most else f'{text[: most - 1]}…'}'"


# ---- files -----------------------------------------------------------------------------------------------------------


class Found:
    """A plain file below the working folder. `sign` is another once it was written to."""

    def __init__(self, path: str, about: os.stat_result) -> None:
        self.path, self.size, self.changed = path, about.st_size, about.st_mtime_ns
        self.sign = (about.st_ino, about.st_size, about.st_mtime_ns)


class Finder:
    """The plain files that a path with *, ?, [] and ** leads to, through no link; names that begin with a dot only
    where the path does."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.looked_at = folder, 0

    def find(self, *patterns: str) -> dict[str, Found]:
        found: dict[str, Found] = {}
        self.looked_at = 0
        for pattern in patterns:
            with suppress(OSError), self.folder.handle() as handle:
                parts = [part for part in pattern.split("/") if part not in ("", ".")]
                once = [part for part, before in zip(parts, ["", *parts]) if part != "**" or before != "**"]
                self._walk(handle, "", once, found, DEEPEST)
        return dict(sorted(found.items()))

    def _walk(self, handle: int, at: str, parts: list[str], found: dict[str, Found], levels: int) -> None:
        if not parts or not levels:
            return
        part, rest = parts[0], parts[1:]
        if part == "**" and rest:
            self._walk(handle, at, rest, found, levels)
        for name in os.listdir(handle) if part == "**" or set("*?[") & set(part) else [part]:
            self.looked_at += 1
            if self.looked_at > MOST_ENTRIES or len(found) >= MOST_FILES:
                return
            if leads_to(part, name):
                with suppress(OSError):
                    self._take(handle, at, name, parts, found, levels)

    def _take(self, handle: int, at: str, name: str, parts: list[str], found: dict[str, Found], levels: int) -> None:
        """A file that the last of the parts leads to, or what is below a folder that the first does."""
        part, rest = parts[0], parts[1:]
        about = os.stat(name, dir_fd=handle, follow_symlinks=False)
        if stat.S_ISREG(about.st_mode) and not rest:
            found[f"{at}{name}"] = Found(f"{at}{name}", about)
        elif stat.S_ISDIR(about.st_mode) and (rest or part == "**"):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            try:
                self._walk(inner, f"{at}{name}/", parts if part == "**" else rest, found, levels - 1)
            finally:
                os.close(inner)


def leads_to(part: str, name: str) -> bool:
    """Whether a part of a path means the name; one that is hidden, only where the part begins so."""
    if name.startswith(".") and not part.startswith("."):
        return False
    return part == "**" or name == part or fnmatch.fnmatchcase(name, part)


def rows_of_csv(opened: BinaryIO) -> Iterator[Row]:
    import csv

    head = opened.readline(LONGEST_ROW).decode("utf-8-sig", errors="replace")
    rest = (line.decode(errors="replace") for line in iter(lambda: opened.readline(LONGEST_ROW), b""))
    lines = (line.replace("\0", "").rstrip("\r\n") for some in ([head], rest) for line in some)
    cells = csv.reader(lines, delimiter=max(",;\t", key=head.count))
    columns: list[str] | None = None
    while True:
        try:
            line = next(cells)
        except StopIteration:
            return
        except csv.Error:  # a cell without an end
            continue
        if columns is None:
            columns = [name.strip() for name in line]
            continue
        row = {name: number(cell) for name, cell in zip(columns, line) if name}
        yield {name: value for name, value in row.items() if value is not None}


def rows_of_lines(opened: BinaryIO) -> Iterator[Row]:
    for line in iter(lambda: opened.readline(LONGEST_ROW), b""):
        yield flat(parsed(line))


def rows_of_json(opened: BinaryIO) -> Iterator[Row]:
    """An object is a row. Rows are the objects of a list, also of one in an object, and the places of that."""
    value = parsed(opened.read(LARGEST_JSON))
    if isinstance(value, list):
        yield from map(flat, value)
    if isinstance(value, dict):
        lists = {name: one for name, one in value.items() if isinstance(one, list) and any(map(is_number, one))}
        for place in range(max(map(len, lists.values()), default=0)):
            row = {name: one[place] for name, one in lists.items() if place < len(one) and is_number(one[place])}
            yield {"epoch": place + 1, **row}
        for rows in (one for one in value.values() if isinstance(one, list)):
            yield from map(flat, rows)
        yield flat(value)


ROWS = {"csv": rows_of_csv, "jsonl": rows_of_lines, "json": rows_of_json}


# ---- event files of TensorBoard --------------------------------------------------------------------------------------
# A file is TFRecords: length (8 bytes), its checksum (4), data, its checksum (4). The data is a protocol buffer, Event:
# 2 step, 5 summary {1 value {1 tag, 2 simple_value, 8 tensor {1 dtype, 2 shape {2 dim {1 size}}, 4 content, 5 values}}}

KINDS = {1: "<f", 2: "<d", 3: "<i", 9: "<q", 19: "<e"}  # dtype -> how its content is packed


def _checksums() -> list[int]:
    """CRC-32C of every byte."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CHECKSUMS = _checksums()


def checksum(data: bytes) -> int:
    """CRC-32C, masked as TFRecord has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CHECKSUMS[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(opened: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """(data, its checksum as the file has it) of every whole record; a damaged length ends the file."""
    while True:
        head = opened.read(12)
        if len(head) < 12 or checksum(head[:8]) != struct.unpack("<I", head[8:])[0]:
            return
        (length,) = struct.unpack("<Q", head[:8])
        if length > LARGEST_FILE:
            return
        if length > LARGEST_EVENT:
            opened.seek(length + 4, os.SEEK_CUR)
            continue
        data, tail = opened.read(length), opened.read(4)
        if len(data) < length or len(tail) < 4:
            return
        yield data, struct.unpack("<I", tail)[0]


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of the fields of a protocol buffer: an int, or bytes. Raises ValueError, IndexError."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            whole, at = varint(data, at)
            yield key >> 3, whole
            continue
        if kind == 2:
            size, at = varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + size > len(data):
            raise ValueError("a field is cut off")
        yield key >> 3, data[at : at + size]
        at += size


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def single(data: bytes) -> float:
    """A float of 32 bits, by the shortest number that it stands for: 0.9, not 0.8999999761581421."""
    value: float = struct.unpack("<f", data)[0]
    shorter = (float(f"{value:.{digits}g}") for digits in (6, 7, 8))
    return next((one for one in shorter if abs(one) < 3e38 and struct.pack("<f", one) == data), value)


def scalar(tensor: bytes) -> Number | None:
    """The number in a tensor of one. Raises ValueError, IndexError, TypeError, struct.error."""
    kind = 0
    values: list[Number] = []
    for field, value in fields(tensor):
        if field == 1:
            kind = value
        elif field == 2 and any(dict(fields(dim)).get(1) != 1 for name, dim in fields(value) if name == 2):
            return None
        else:
            values += numbers(field, value, kind)
    return values[0] if len(values) == 1 else None


def numbers(field: int, value: Any, kind: int) -> list[Number]:
    """The first number in a field of a tensor of this kind, none in one that holds no values."""
    if field == 4 and kind in KINDS:
        return [single(value) if kind == 1 else struct.unpack(KINDS[kind], value)[0]]
    if field == 5:
        return [single(value)]
    if field == 6:
        return [struct.unpack("<d", value)[0]]
    if field in (7, 10):
        return [signed(first_of(value))]
    if field == 13 and kind == 19:  # half floats are integers there
        return [struct.unpack("<e", struct.pack("<H", first_of(value)))[0]]
    return []


def first_of(value: Any) -> int:
    """An integer as it stands, or the first of several that are packed."""
    return value if isinstance(value, int) else varint(value, 0)[0]


def scalars(event: bytes) -> Iterator[tuple[str, Number, Number]]:
    """(tag, step, value) of every number in an event. Raises as scalar() does."""
    whole = list(fields(event))
    step = signed(next((value for field, value in whole if field == 2), 0))
    for _, summary in (one for one in whole if one[0] == 5):
        for _, told in (one for one in fields(summary) if one[0] == 1):
            value = dict(fields(told))
            found = single(value[2]) if 2 in value else scalar(value[8]) if 8 in value else None
            if found is not None:
                yield value[1].decode(errors="replace"), step, found


def points_of_events(opened: BinaryIO) -> Iterator[tuple[str, Number, Number]]:
    for data, crc in records(opened):
        with suppress(ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error):
            found = list(scalars(data))
            if found and checksum(data) == crc:
                yield from found


# ---- MLflow's stores -------------------------------------------------------------------------------------------------


def points_of_mlflow(opened: BinaryIO) -> Iterator[tuple[Number, Number]]:
    """(step, value) of a metric's lines: time, value, step."""
    for line in iter(lambda: opened.readline(LONGEST_ROW), b""):
        told = [number(word) for word in line.decode(errors="replace").split()[1:3]]
        value, step = (*told, None)[0], (*told, 0, 0)[1]  # very old ones have no step
        if value is not None and step is not None:
            yield step, value


OF_ONE_RUN = """
    SELECT key, step, CASE WHEN is_nan THEN 'nan' ELSE value END FROM metrics WHERE run_uuid = (
        SELECT run_uuid FROM runs WHERE run_uuid IN (SELECT run_uuid FROM metrics)
        ORDER BY end_time IS NULL DESC, end_time DESC, start_time LIMIT 1
    ) ORDER BY step, timestamp"""


def points_of_database(opened: BinaryIO) -> Iterator[tuple[str, Number, Number]]:
    """(name, step, value) of the SQLite file that newer MLflow makes by itself. Raises sqlite3.Error."""
    import sqlite3

    base = sqlite3.connect(f"file:/dev/fd/{opened.fileno()}?mode=ro&immutable=1", uri=True)
    try:
        base.text_factory = lambda data: data.decode(errors="replace")
        steps = iter(range(MOST_STEPS))  # a view in the place of a table could take for ever
        base.set_progress_handler(lambda: next(steps, None) is None, 1000)
        for name, step, value in base.execute(OF_ONE_RUN):
            value = math.nan if value == "nan" else value
            if isinstance(name, str) and is_finite(step) and is_number(value):
                yield name, step, math.copysign(math.inf, value) if abs(value) == LARGEST else value
    finally:
        base.close()


# ---- a source in files -----------------------------------------------------------------------------------------------


class Written:
    """A source of metrics in files, but for those that were there before the program. `folders`: the working folder,
    and OUTPUT_DIR, to which {output_dir} at the beginning of a path leads."""

    def __init__(self, key: str, source: dict[str, Any], step: str | None, *folders: Folder) -> None:
        self.key, self.source, self.step = key, source, step
        self.path, self.folder = source["path"].rstrip("/"), folders[0]
        if f"{self.path}/".startswith(OUTPUTS):
            self.path, self.folder = self.path[len(OUTPUTS) :] or ".", folders[-1]
        self.finder, self.rows = Finder(self.folder), Rows(source, step)
        self.before = {path: found.sign for path, found in self._there().items()}
        self.read: dict[str, Any] = {}  # sign of each file that was read
        self.large: list[str] = []  # files that are not, for their size
        self.used: list[str] = []  # files that were opened for it

    def _there(self) -> dict[str, Found]:
        path, kind = self.path, self.source["from"]
        if kind == "file":
            return self.finder.find(path)
        if kind == "tensorboard":
            found = self.finder.find(path, f"{path}/**")
            return {name: one for name, one in found.items() if "tfevents" in name.rpartition("/")[2]}
        return self.finder.find(path, f"{path}/*/*/meta.yaml", f"{path}/*/*/metrics/**")

    def look(self, tick: Callable[[], None], live: bool) -> bool:
        """Read what was written since, from its beginning; whether there was anything."""
        new = {path: one for path, one in self._there().items() if one.sign != self.before.get(path)}
        signs = {path: one.sign for path, one in new.items()}
        if signs == self.read or (live and sum(one.size for one in new.values()) > LIVE_BYTES):
            return False
        self.read, self.used, self.rows = signs, [], Rows(self.source, self.step)
        usable = {path: one for path, one in new.items() if one.size <= LARGEST_FILE}
        self.large = [path for path in new if path not in usable]
        if self.source["from"] == "file":
            self._read_file(usable, tick)
        else:
            self._read_points(usable, tick)
        return True

    def _read_file(self, files: dict[str, Found], tick: Callable[[], None]) -> None:
        """The newest."""
        for path in sorted(files, key=lambda path: (files[path].changed, path))[-1:]:
            with suppress(OSError, ValueError), self._open(path) as opened:
                for row in patient(ROWS[self.source["format"]](opened), tick):
                    self.rows.add(row, self.rows.step_of(row))

    def _read_points(self, files: dict[str, Found], tick: Callable[[], None]) -> None:
        points = self._events if self.source["from"] == "tensorboard" else self._mlflow
        for name, step, value in patient(points(files), tick):
            self.rows.add({name: value}, step)
        if self.rows.best_step is not None:  # the values of one step may lie in several files, anywhere
            at = self.rows.best_step
            self.rows.best = {name: value for name, step, value in patient(points(files), tick) if step == at}

    def _open(self, path: str) -> BinaryIO:
        self.used += [path] if path not in self.used else []
        above, _, name = path.rpartition("/")
        return (self.folder.below(above) if above else self.folder).open(name)

    def _events(self, files: dict[str, Found]) -> Iterator[tuple[str, Number, Number]]:
        """A tag is a metric's name; with its folder before it where there are several, as TensorBoard names runs."""
        folders = {path: path.rpartition("/")[0] for path in files}
        above = os.path.commonpath(folders.values()) if all(folders.values()) else ""
        for path in files:
            run = os.path.relpath(folders[path] or ".", above or ".")
            with suppress(OSError), self._open(path) as opened:
                for tag, step, value in points_of_events(opened):
                    yield tag if run == "." else f"{run}/{tag}", step, value

    def _mlflow(self, files: dict[str, Found]) -> Iterator[tuple[str, Number, Number]]:
        """Of several runs that have metrics the one that ended last: of nested ones that is the outermost."""
        own = os.path.normpath(self.path)
        for path in [path for path in files if fnmatch.fnmatchcase(path, own)][-1:]:
            with suppress(OSError, ValueError, ImportError), self._open(path) as opened:
                yield from readable(points_of_database(opened))
        runs = {path[: -len("/meta.yaml")]: one.changed for path, one in files.items() if path.endswith("/meta.yaml")}
        found = {run: [path for path in files if path.startswith(f"{run}/metrics/")] for run in runs}
        for run in sorted((run for run in runs if found[run]), key=lambda run: (runs[run], run))[-1:]:
            for path in found[run]:
                with suppress(OSError), self._open(path) as opened:
                    for step, value in points_of_mlflow(opened):
                        yield path[len(f"{run}/metrics/") :], step, value

    def found(self) -> str:
        files = self.used[0] if len(self.used) == 1 else f"{len(self.used)} files of {self.source['path']}"
        return f"in {self.rows.count} rows of {files}"

    def lack(self, _: Iterable[str] = ()) -> str:
        """Why nothing was found, with the file or the name that comes nearest."""
        path = self.source["path"]
        if not self.read:
            old = next(iter(self.before), "")
            if old:
                return f"{path}: {short(old)} was there before the program, which did not write to it"
            others = [name for name in Finder(self.folder).find("**") if not name.endswith((".py", ".pyc"))]
            near = nearest(self.path, others)
            place = "the working folder" if self.path == path.rstrip("/") else "OUTPUT_DIR"
            bound = f", of the {MOST_ENTRIES} that were looked at" if self.finder.looked_at > MOST_ENTRIES else ""
            return f"no file of {place} is {path}{bound}{f'; nearest: {short(near)}' if near else ''}"
        if not self.rows.count:
            form = self.source.get("format", self.source["from"])
            if self.large:
                return f"{path}: {short(self.large[0])} has more than {LARGEST_FILE} bytes"
            return f"{path}: {short(next(iter(self.read)))} is there, but no numbers in it as {form}"
        return ""


def readable(told: Iterator[Any]) -> Iterator[Any]:
    """What comes of a database, up to where it is broken."""
    from sqlite3 import Error

    with suppress(Error):
        yield from told


def patient(told: Iterator[Any], tick: Callable[[], None]) -> Iterator[Any]:
    """What comes, and a `tick` now and then, which may raise to end it."""
    for count, one in enumerate(told):
        if count % 1000 == 0:
            tick()
        yield one


# ---- all of it -------------------------------------------------------------------------------------------------------


class Reading:
    """The sources of a trial's metrics. Raises ValueError for what is none, naming its key.

    `steps`: the name of the step for each, or None. `folders`: as Written has them, not begun to be used.
    """

    def __init__(self, sources: list[dict[str, Any]], steps: list[str | None], *folders: Folder) -> None:
        self.sources: list[Printed | Written] = []
        for place, source in enumerate(sources):
            key, step = f"metrics[{place}]", (steps + [None] * len(sources))[place] or source.get("step")
            try:
                one = Printed(key, source, step) if source["from"] == "output" else Written(key, source, step, *folders)
            except ValueError as error:
                raise ValueError(f"{key}.{error}") from None
            except (KeyError, TypeError, AttributeError):
                raise ValueError(f"{key}: is no source of metrics") from None
            self.sources.append(one)
        self.printed = [one for one in self.sources if isinstance(one, Printed)]
        self.written = [one for one in self.sources if isinstance(one, Written)]
        self.lines, self.kept = Lines(), deque[str](maxlen=KEPT_LINES)
        self.deadline = Deadline()
        self.step: Number | None = None  # the last that was printed

    def hear(self, chunk: bytes) -> None:
        """What the program prints, as it comes; an empty chunk is the end."""
        lines = self.lines.feed(chunk) if self.printed else []
        self.kept.extend(lines)
        found = [(place, one.rows, row) for one in self.printed for place, row in one.hear(lines, self.deadline)]
        for _, rows, row in sorted(found, key=lambda one: (one[0], one[1].step_of(one[2]) is None)):
            step = rows.step_of(row)
            self.step = self.step if step is None else step
            rows.add(row, self.step)

    def look(self, tick: Callable[[], None] = lambda: None, live: bool = False) -> None:
        """Read the files that were written to. `live`: the program still runs, and whatever takes long can wait."""
        for one in self.written:
            one.look(tick, live)

    def metrics(self) -> Row:
        return {name: value for one in self.sources for name, value in one.rows.metrics().items()}

    def history(self) -> bytes:
        return history(one.rows for one in self.sources)

    def told(self) -> list[str]:
        """A line a source: what was found, and what was looked for and was not."""
        lines = []
        for one in self.sources:
            shown = [f"{name}={value:.6g}" for name, value in list(one.rows.metrics().items())[:8]]
            found = [f"{', '.join(shown)} {one.found()}"] if shown else []
            lines.append(f"{one.key} ({one.source['from']}): {'; '.join(found + self._lack(one))}")
        return lines

    def lacks(self) -> list[str]:
        """The same of what was not found alone."""
        return [f"{one.key}: {'; '.join(lack)}" for one in self.sources for lack in [self._lack(one)] if lack]

    def _lack(self, one: Printed | Written) -> list[str]:
        lack = one.lack(self.kept)
        if lack or not one.rows.missing():
            return [lack] if lack else []
        wanted = one.rows.missing()[0]
        from difflib import SequenceMatcher

        names = sorted(one.rows.seen, key=lambda name: -SequenceMatcher(None, wanted.lower(), name.lower()).ratio())
        return [f"there is no {short(wanted)}; it has {', '.join(short(name, 60) for name in names[:8])}"]
