"""Which outputs a sweep keeps once it is over: `outputs: {keep: best N}` is those of its N best points, all seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from sweep.layout import Clone
from sweep.ranking.stats import Choice
from sweep.records import artifacts, results, store
from sweep.records.artifacts import Outputs
from sweep.records.results import Row
from sweep.session import Session

OPEN = ("running", "pending", "missing")
"""A sweep with such a trial may still find a better one."""


def beyond(session: Session, choice: Choice, rows: Sequence[Row]) -> list[Outputs]:
    """The outputs that are not to be kept: of trials that this sweep trained, no other sweep here lists, and that are
    not among the best. None while the sweep is under way.
    """
    kind, _, count = session.settings.outputs.keep.partition(" ")
    if kind != "best" or any(row.status in OPEN for row in rows):
        return []
    best = {row.id for point in islice(choice.points, int(count)) for row in point.rows}
    if not best:
        return []
    kept = best | _listed_elsewhere(session.files.clone, session.name)
    ours = [row.id for row in rows if row.engine == session.engine.NAME and row.id not in kept]
    return list(_outputs(session, ours))


def _outputs(session: Session, trials: Iterable[str]) -> Iterable[Outputs]:
    found = store.read(session.engine.store_folder, trials).trials
    for trial, stored in found.items():
        result = stored.result
        trained_for = {attempt.text("sweep") for attempt in stored.attempts}
        if result and artifacts.count(result) and trained_for == {session.name}:
            try:
                yield artifacts.of(session.engine.store_folder, trial, result)
            except artifacts.Gone:
                continue


def _listed_elsewhere(clone: Clone, name: str) -> set[str]:
    return {row.id for other in clone.sweeps if other != name for row in results.read(clone.sweep(other).results)}
