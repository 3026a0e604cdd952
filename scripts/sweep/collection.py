"""What a table tells of the sweep as a whole, and of its winner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sweep.layout import SweepFiles
from sweep.records import results, same
from sweep.session import Session, Target, open_sweep
from sweep.spaces import basis
from sweep.spaces.basis import Basis
from sweep.words import counted

if TYPE_CHECKING:
    from sweep.ranking.stats import Choice


def choose(session: Session) -> tuple[list[results.Row], Choice]:
    """(the rows of the trials that are listed, their ranking). Raises BadInput where none is."""
    from sweep.ranking import stats  # with numpy, which takes long to import

    trials = session.rendered.trials
    listed = {trial.id for trial in trials}
    rows = [row for row in results.read_whole(session.files.results) if row.id in listed]
    return rows, stats.choose(rows, results.objectives(trials)[0], session.engine.NAME, session.settings.budget)


def committed(files: SweepFiles, engine: str, is_renewed: Callable[[], bool]) -> Basis | None:
    """The committed results that a round may be made of: those of the code that the sweep runs next.

    `is_renewed`: whether that is frozen only now, so that nothing has run by it. Raises BadInput.
    """
    read = basis.committed(files, engine)
    if not read or not read.programs:
        return read
    if is_renewed():
        return read.of_program(None)
    identity = open_sweep(files.clone, files.name, Target(engine)).rendered.trials[0].identity
    return read.of_program(same.program(identity["code"], identity["image"]))


def mixed_images(rows: Iterable[results.Row]) -> str:
    """A warning where one tag stood for several images within a sweep; "" if it did not."""
    pulled: dict[str, Counter[str]] = {}
    for row in rows:
        if row.image_id and "@sha256:" in row.image_id:
            pulled.setdefault(row.image, Counter())[row.image_id.rpartition("@")[2]] += 1
    for image, digests in pulled.items():
        if len(digests) > 1:
            listed = ", ".join(
                f"{counted(count, 'trial')} ran {digest[:19]}…" for digest, count in digests.most_common()
            )
            return f"{image}: one tag, several images: {listed}; pin one by image.digest"
    return ""
