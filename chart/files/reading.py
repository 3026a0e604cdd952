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

import resuming
from identity import SCHEMA_VERSION
from printed import KEPT_LINES, Deadline, Lines, Printed
from rows import history, short
from written import Written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from folders import Folder
    from resuming import Taken
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
        self.earlier = resuming.Earlier([], [])
        self.ended = False

    def go_on_from(self, attempts: Iterable[Folder]) -> None:
        """Take in what the attempts before this one have read, the newest first."""
        self.earlier = resuming.read(attempts, len(self.sources))

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
        self.ended = not live
        for reader in self.written:
            reader.look(tick, live)

    def taken(self) -> list[Taken]:
        """What each source has come to, with what attempts before this one have read."""
        return [resuming.joined(reader.rows, self.earlier.of(place)) for place, reader in enumerate(self.sources)]

    def metrics(self) -> Row:
        values = map(self._metrics, self.sources, self.taken())
        return {name: value for row in values for name, value in row.items()}

    def _metrics(self, reader: Printed | Written, taken: Taken) -> Row:
        rows = reader.rows
        return rows.ours({"first": taken.first, "last": taken.last}.get(rows.take, taken.best))

    def record(self) -> dict[str, Any] | None:
        """What the next attempt is to know, as taken.json has it; None while it adds nothing."""
        if not self.ended and not any(reader.rows.count for reader in self.sources):
            return None
        return {"schema_version": SCHEMA_VERSION, "sources": [taken.record() for taken in self.taken()]}

    def history(self) -> bytes:
        sources = [reader.rows for reader in self.sources]
        return history(sources, self.earlier.curve_before(sources, self.ended))

    def summary(self) -> list[str]:
        """A line a source: what was found, and what was looked for and was not."""
        lines = []
        for place, (reader, taken) in enumerate(zip(self.sources, self.taken())):
            shown = [f"{name}={value:.6g}" for name, value in list(self._metrics(reader, taken).items())[:8]]
            before = self.earlier.of(place)
            more = ", and in attempts before" if before and before.began == taken.began is not None else ""
            parts = [f"{', '.join(shown)} {reader.source_text()}{more}"] if shown else []
            lines.append(f"{reader.key} ({reader.source['from']}): {'; '.join(parts + self._lack(reader, taken))}")
        return lines

    def lacks(self) -> list[str]:
        """The same of what was not found alone."""
        lacks = map(self._lack, self.sources, self.taken())
        return [f"{reader.key}: {'; '.join(lack)}" for reader, lack in zip(self.sources, lacks) if lack]

    def _lack(self, reader: Printed | Written, taken: Taken) -> list[str]:
        seen = {**reader.rows.seen, **dict.fromkeys(taken.last)}
        missing = sorted(reader.rows.wanted - seen.keys())
        lack = "" if taken.last and not missing else reader.lack(self.kept)
        if lack or not missing:
            return [lack] if lack else []
        wanted = missing[0]
        from difflib import SequenceMatcher

        names = sorted(seen, key=lambda name: -SequenceMatcher(None, wanted.lower(), name.lower()).ratio())
        return [f"there is no {short(wanted)}; it has {', '.join(short(name, 60) for name in names[:8])}"]
