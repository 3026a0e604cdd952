"""Points that a search begins with because they were good: `warm_start` of space.yaml, from a committed results.csv.

The table is named by Git's hash of it, so that the same points come of it whenever they are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep import git
from sweep.records import results
from sweep.records.results import Objective, Row
from sweep.yamlfile import Document


@dataclass(frozen=True)
class Past:
    """What Git has."""

    blob: Callable[[str], bytes | None]
    """The bytes with a hash; None where there are none."""
    now: Callable[[str], str | None]
    """The hash of a file in the last commit."""


def of(root: Path) -> Past:
    """Of a clone."""
    return Past(lambda name: git.blob(root, name), lambda path: git.tree(root, path))


NOTHING = Past(lambda _name: None, lambda _path: None)
"""For a space that stands in no clone."""


def best(doc: Document, objective: dict[str, str], budget: str, past: Past) -> Iterator[tuple[int, dict[str, Any]]]:
    """(place of the entry, hyperparameters) of what each entry names, the best first. Raises BadInput."""
    for index, entry in enumerate(doc.data.get("warm_start", [])):
        path = ("warm_start", index)
        if "at" not in entry:
            hint = past.now(entry["from"])
            advice = f"write `at: {hint}`, Git's hash of it now" if hint else f"{entry['from']} is in no commit"
            raise doc.bad(path, f"at is missing, which says what table it was; {advice}")
        data = past.blob(entry["at"])
        if data is None:
            raise doc.bad((*path, "at"), f"{entry['at'][:12]} is not in this clone; fetch its history, or correct it")
        table = results.from_csv(data, f"{entry['from']} at {entry['at'][:12]}")
        rows = [row for row in table if not row.superseded]
        engine = entry.get("engine") or _engine(doc, index, rows)
        from sweep.ranking import stats  # with scipy, half a second

        ranked = stats.choose(rows, Objective(objective["metric"], objective["direction"]), engine, budget)
        points = ranked.points[: int(entry.get("best", 1))]
        if not points:
            raise doc.bad(path, f"no trial there has a {objective['metric']} on {engine}; name another table")
        yield from ((index, point.hyperparameters) for point in points)


def _engine(doc: Document, index: int, rows: list[Row]) -> str:
    """The one whose rows there are. Raises BadInput where there are several."""
    engines = sorted({row.engine for row in rows if row.metrics})
    if len(engines) > 1:
        problem = f"rows of {' and '.join(engines)} are there; write `engine: {engines[0]}`"
        raise doc.bad(("warm_start", index), problem)
    return engines[0] if engines else "local"
