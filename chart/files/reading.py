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

from collections import deque

from printed import KEPT_LINES, Deadline, Lines, Printed
from rows import history, short
from written import Written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from folders import Folder
    from rows import Number, Row


class Reading:
    """The sources of a trial's metrics. Raises ValueError for what is none, naming its key.

    `steps`: the name of the step for each, or None. `folders`: as Written has them, not begun to be used.
    """

    def __init__(self, sources: list[dict[str, Any]], steps: list[str | None], *folders: Folder) -> None:
        self.sources: list[Printed | Written] = []
        for place, source in enumerate(sources):
            key, step = f"metrics[{place}]", (steps + [None] * len(sources))[place] or source.get("step")
            try:
                reader = (
                    Printed(key, source, step) if source["from"] == "output" else Written(key, source, step, *folders)
                )
            except ValueError as error:
                raise ValueError(f"{key}.{error}") from None
            except (KeyError, TypeError, AttributeError):
                raise ValueError(f"{key}: is not a source of metrics") from None
            self.sources.append(reader)
        self.printed = [reader for reader in self.sources if isinstance(reader, Printed)]
        self.written = [reader for reader in self.sources if isinstance(reader, Written)]
        self.lines, self.kept = Lines(), deque[str](maxlen=KEPT_LINES)
        self.deadline = Deadline()
        self.step: Number | None = None  # the last that was printed

    def hear(self, chunk: bytes) -> None:
        """What the program prints, as it comes; an empty chunk is the end."""
        lines = self.lines.feed(chunk) if self.printed else []
        self.kept.extend(lines)
        heard = [
            (place, reader.rows, row) for reader in self.printed for place, row in reader.hear(lines, self.deadline)
        ]
        for _, rows, row in sorted(heard, key=lambda heard: (heard[0], heard[1].step_of(heard[2]) is None)):
            step = rows.step_of(row)
            self.step = self.step if step is None else step
            rows.add(row, self.step)

    def look(self, tick: Callable[[], None] = lambda: None, live: bool = False) -> None:
        """Read the files that were written to. `live`: the program still runs, and whatever takes long can wait."""
        for reader in self.written:
            reader.look(tick, live)

    def metrics(self) -> Row:
        return {name: value for reader in self.sources for name, value in reader.rows.metrics().items()}

    def history(self) -> bytes:
        return history(reader.rows for reader in self.sources)

    def summary(self) -> list[str]:
        """A line a source: what was found, and what was looked for and was not."""
        lines = []
        for reader in self.sources:
            shown = [f"{name}={value:.6g}" for name, value in list(reader.rows.metrics().items())[:8]]
            parts = [f"{', '.join(shown)} {reader.source_text()}"] if shown else []
            lines.append(f"{reader.key} ({reader.source['from']}): {'; '.join(parts + self._lack(reader))}")
        return lines

    def lacks(self) -> list[str]:
        """The same of what was not found alone."""
        return [f"{reader.key}: {'; '.join(lack)}" for reader in self.sources for lack in [self._lack(reader)] if lack]

    def _lack(self, reader: Printed | Written) -> list[str]:
        lack = reader.lack(self.kept)
        if lack or not reader.rows.missing():
            return [lack] if lack else []
        wanted = reader.rows.missing()[0]
        from difflib import SequenceMatcher

        names = sorted(reader.rows.seen, key=lambda name: -SequenceMatcher(None, wanted.lower(), name.lower()).ratio())
        return [f"there is no {short(wanted)}; it has {', '.join(short(name, 60) for name in names[:8])}"]
