"""MLflow's stores: its folder of files, and the SQLite file that newer ones make by themselves."""

from __future__ import annotations

import fnmatch
import math
import os
from contextlib import suppress

from checks import is_finite, is_number
from rows import LONGEST_ROW, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO

    from rows import Number
    from written import FoundFile


MOST_STEPS = 10**6  # of a thousand instructions of SQLite each
LARGEST = 1.7976931348623157e308  # what MLflow's database has for infinity
OF_ONE_RUN = """
    SELECT key, step, CASE WHEN is_nan THEN 'nan' ELSE value END FROM metrics WHERE run_uuid = (
        SELECT run_uuid FROM runs WHERE run_uuid IN (SELECT run_uuid FROM metrics)
        ORDER BY end_time IS NULL DESC, end_time DESC, start_time LIMIT 1
    ) ORDER BY step, timestamp"""


def points(
    files: dict[str, FoundFile], own: str, open_file: Callable[[str], BinaryIO]
) -> Iterator[tuple[str, Number, Number]]:
    """(name, step, value) of the file or folder `own`. Of several runs that have metrics it is the one that ended last:
    of nested ones that is the outermost."""
    own = os.path.normpath(own)
    for path in [path for path in files if fnmatch.fnmatchcase(path, own)][-1:]:
        with suppress(OSError, ValueError, ImportError), open_file(path) as opened:
            yield from readable(points_of_database(opened))
    ended = {path[: -len("/meta.yaml")]: file.changed for path, file in files.items() if path.endswith("/meta.yaml")}
    metrics = {run: [path for path in files if path.startswith(f"{run}/metrics/")] for run in ended}
    for run in sorted((run for run in ended if metrics[run]), key=lambda run: (ended[run], run))[-1:]:
        for path in metrics[run]:
            with suppress(OSError), open_file(path) as opened:
                for step, value in points_of_mlflow(opened):
                    yield path[len(f"{run}/metrics/") :], step, value


def readable(rows: Iterator[Any]) -> Iterator[Any]:
    """What comes of a database, up to where it is broken."""
    from sqlite3 import Error

    with suppress(Error):
        yield from rows


def points_of_mlflow(opened: BinaryIO) -> Iterator[tuple[Number, Number]]:
    """(step, value) of a metric's lines: time, value, step."""
    for line in iter(lambda: opened.readline(LONGEST_ROW), b""):
        numbers = [number(word) for word in line.decode(errors="replace").split()[1:3]]
        value, step = (*numbers, None)[0], (*numbers, 0, 0)[1]  # very old ones have no step
        if value is not None and step is not None:
            yield step, value


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
