"""A source of metrics in files that the program writes: JSON, JSON lines, CSV, and what stands beside this module."""

from __future__ import annotations

import fnmatch
import os
import stat
from contextlib import suppress

from checks import is_number
from rows import DEEPEST, LARGEST_FILE, LONGEST_ROW, Rows, flat, nearest, number, parsed, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, BinaryIO

    from folders import Folder
    from rows import Number, Row


LARGEST_JSON = 16 << 20
LIVE_BYTES = 1 << 20  # files of a source that are together larger are read when the program has ended, not before
MOST_FILES, MOST_ENTRIES = 1000, 100_000  # that a path leads to, and that are looked at for it
OUTPUTS = "{output_dir}/"


class Written:
    """A source of metrics in files, but for those that were there before the program. `folders`: the working folder,
    and OUTPUT_DIR, to which {output_dir} at the beginning of a path leads."""

    def __init__(self, key: str, source: dict[str, Any], step: str | None, *folders: Folder) -> None:
        self.key, self.source, self.step = key, source, step
        self.path, self.folder = source["path"].rstrip("/"), folders[0]
        if f"{self.path}/".startswith(OUTPUTS):
            self.path, self.folder = self.path[len(OUTPUTS) :] or ".", folders[-1]
        self.finder, self.rows = Finder(self.folder), Rows(source, step)
        self.before = {path: file.sign for path, file in self._there().items()}
        self.read: dict[str, Any] = {}  # sign of each file that was read
        self.large: list[str] = []  # files that are not, for their size
        self.used: list[str] = []  # files that were opened for it

    def _there(self) -> dict[str, FoundFile]:
        path, kind = self.path, self.source["from"]
        if kind == "file":
            return self.finder.find(path)
        if kind == "tensorboard":
            files = self.finder.find(path, f"{path}/**")
            return {name: file for name, file in files.items() if "tfevents" in name.rpartition("/")[2]}
        return self.finder.find(path, f"{path}/*/*/meta.yaml", f"{path}/*/*/metrics/**")

    def look(self, tick: Callable[[], None], live: bool) -> bool:
        """Read what was written since, from its beginning; whether there was anything."""
        new = {path: file for path, file in self._there().items() if file.sign != self.before.get(path)}
        signs = {path: file.sign for path, file in new.items()}
        if signs == self.read or (live and sum(file.size for file in new.values()) > LIVE_BYTES):
            return False
        self.read, self.used, self.rows = signs, [], Rows(self.source, self.step)
        usable = {path: file for path, file in new.items() if file.size <= LARGEST_FILE}
        self.large = [path for path in new if path not in usable]
        if self.source["from"] == "file":
            self._read_file(usable, tick)
        else:
            self._read_points(usable, tick)
        return True

    def _read_file(self, files: dict[str, FoundFile], tick: Callable[[], None]) -> None:
        """The newest."""
        for path in sorted(files, key=lambda path: (files[path].changed, path))[-1:]:
            with suppress(OSError, ValueError), self._open(path) as opened:
                for row in patient(ROWS[self.source["format"]](opened), tick):
                    self.rows.add(row, self.rows.step_of(row))

    def _read_points(self, files: dict[str, FoundFile], tick: Callable[[], None]) -> None:
        for name, step, value in patient(self._points(files), tick):
            self.rows.add({name: value}, step)
        whole: dict[Any, Row] = {step: {} for step, _ in self.rows.bests if step is not None}
        if whole:  # the values of one step may lie in several files, anywhere
            for name, step, value in patient(self._points(files), tick):
                if step in whole:
                    whole[step][name] = value
            self.rows.bests = [(step, whole.get(step, row)) for step, row in self.rows.bests]

    def _points(self, files: dict[str, FoundFile]) -> Iterator[tuple[str, Number, Number]]:
        """(name, step, value) of what is there, by the module that the chart ships for such a source."""
        if self.source["from"] == "tensorboard":
            import events

            return events.points(files, self._open)
        import mlruns

        return mlruns.points(files, self.path, self._open)

    def _open(self, path: str) -> BinaryIO:
        self.used += [path] if path not in self.used else []
        above, _, name = path.rpartition("/")
        return (self.folder.below(above) if above else self.folder).open(name)

    def source_text(self) -> str:
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


class FoundFile:
    """A plain file below the working folder. `sign` is another once it was written to."""

    def __init__(self, path: str, about: os.stat_result) -> None:
        self.path, self.size, self.changed = path, about.st_size, about.st_mtime_ns
        self.sign = (about.st_ino, about.st_size, about.st_mtime_ns)


class Finder:
    """The plain files that a path with *, ?, [] and ** leads to, through no link; names that begin with a dot only
    where the path does."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.looked_at = folder, 0

    def find(self, *patterns: str) -> dict[str, FoundFile]:
        files: dict[str, FoundFile] = {}
        self.looked_at = 0
        for pattern in patterns:
            with suppress(OSError), self.folder.handle() as handle:
                parts = [part for part in pattern.split("/") if part not in ("", ".")]
                once = [part for part, before in zip(parts, ["", *parts]) if part != "**" or before != "**"]
                self._walk(handle, "", once, files, DEEPEST)
        return dict(sorted(files.items()))

    def _walk(self, handle: int, at: str, parts: list[str], files: dict[str, FoundFile], levels: int) -> None:
        if not parts or not levels:
            return
        part, rest = parts[0], parts[1:]
        if part == "**" and rest:
            self._walk(handle, at, rest, files, levels)
        for name in os.listdir(handle) if part == "**" or set("*?[") & set(part) else [part]:
            self.looked_at += 1
            if self.looked_at > MOST_ENTRIES or len(files) >= MOST_FILES:
                return
            if leads_to(part, name):
                with suppress(OSError):
                    self._take(handle, at, name, parts, files, levels)

    def _take(
        self, handle: int, at: str, name: str, parts: list[str], files: dict[str, FoundFile], levels: int
    ) -> None:
        """A file that the last of the parts leads to, or what is below a folder that the first does."""
        part, rest = parts[0], parts[1:]
        about = os.stat(name, dir_fd=handle, follow_symlinks=False)
        if stat.S_ISREG(about.st_mode) and not rest:
            files[f"{at}{name}"] = FoundFile(f"{at}{name}", about)
        elif stat.S_ISDIR(about.st_mode) and (rest or part == "**"):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            try:
                self._walk(inner, f"{at}{name}/", parts if part == "**" else rest, files, levels - 1)
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
        lists = {name: inner for name, inner in value.items() if isinstance(inner, list)}
        curves = {name: numbers for name, numbers in lists.items() if any(map(is_number, numbers))}
        for place in range(max(map(len, curves.values()), default=0)):
            at = {name: numbers[place] for name, numbers in curves.items() if place < len(numbers)}
            yield {"epoch": place + 1, **{name: inner for name, inner in at.items() if is_number(inner)}}
        for rows in lists.values():
            yield from map(flat, rows)
        yield flat(value)


ROWS = {"csv": rows_of_csv, "jsonl": rows_of_lines, "json": rows_of_json}


def patient(items: Iterator[Any], tick: Callable[[], None]) -> Iterator[Any]:
    """What comes, and a `tick` now and then, which may raise to end it."""
    for count, item in enumerate(items):
        if count % 1000 == 0:
            tick()
        yield item
