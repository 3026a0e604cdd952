"""Which outputs a sweep keeps once it is over: `outputs: {keep: best N}` is those of its N best points, all seeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import islice

from sweep.files import exists, read, write_atomic
from sweep.layout import Clone
from sweep.ranking.stats import Choice
from sweep.records import artifacts, results, store
from sweep.records.artifacts import Named
from sweep.records.results import Row
from sweep.session import Session

OPEN = ("running", "pending", "missing")
"""A sweep with such a trial may still find a better one."""
LARGEST_LIST = 8 << 20


def apply(
    session: Session, choice: Choice, rows: Sequence[Row], wanted: Collection[str], say: Callable[[str], None]
) -> list[Named]:
    """Remove from the store what is not to be kept, whose list is returned. May be killed and called again.

    `wanted`: ids of trials that are named elsewhere, as in best.yaml.

    Raises BadInput, OSError, and Unreachable.
    """
    memory = session.files.out / "removed-outputs"
    known = set(read(memory, LARGEST_LIST).decode().split()) if exists(memory) else set()
    gone = {of.folder: of for of in beyond(session, choice, rows, wanted) if of.folder not in known}
    if not gone:
        return []
    with session.engine.outputs(session, say, write=True) as place:
        removed = [of for of in gone.values() if artifacts.remove(place, of)]
    write_atomic(memory, "\n".join(sorted(known | gone.keys())) + "\n")
    return removed


def beyond(session: Session, choice: Choice, rows: Sequence[Row], wanted: Collection[str]) -> list[Named]:
    """The outputs that are not to be kept: of trials that this sweep trained, no other sweep here lists, and that are
    neither among the best nor `wanted`. None while the sweep is under way.
    """
    kind, _, count = session.settings.outputs.keep.partition(" ")
    if kind != "best" or any(row.status in OPEN for row in rows):
        return []
    best = {row.id for point in islice(choice.points, int(count)) for row in point.rows}
    if not best:
        return []
    kept = best | {*wanted} | _listed_elsewhere(session.files.clone, session.name)
    ours = [row.id for row in rows if row.engine == session.engine.NAME and row.id not in kept]
    return _trained_for(session, ours)


def _trained_for(session: Session, trials: Sequence[str]) -> list[Named]:
    """The outputs of those trials that only this sweep had trained."""
    there = store.read(session.engine.store_folder, trials).trials
    own = {
        trial: stored.result
        for trial, stored in there.items()
        if {attempt.text("sweep") for attempt in stored.attempts} == {session.name}
    }
    return [named for trial, result in own.items() if (named := artifacts.named(trial, result))]


def _listed_elsewhere(clone: Clone, name: str) -> set[str]:
    return {row.id for other in clone.sweeps if other != name for row in results.read(clone.sweep(other).results)}
