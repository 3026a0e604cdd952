"""The committed results.csv that a round is made from: by its hash in Git, so that the same bytes can be had again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sweep import git
from sweep.errors import BadInput
from sweep.layout import SweepFiles
from sweep.records import results, same
from sweep.records.results import Row


@dataclass(frozen=True)
class Basis:
    """A committed results.csv: its hash in Git, and the engine whose rows in it count."""

    blob: str
    engine: str
    rows: tuple[Row, ...]

    def of_program(self, program: str | None) -> Basis:
        """Less the rows of other code, None: of any code; those whose code is not known stay."""
        rows = (row for row in self.rows if same.program(row.code, row.image) in ("", program))
        return replace(self, rows=tuple(rows))

    @property
    def programs(self) -> set[str]:
        """What its rows were made by, as far as that is known."""
        return {same.program(row.code, row.image) for row in self.rows} - {""}


def committed(files: SweepFiles, engine: str) -> Basis | None:
    """The results.csv of HEAD; None if there is none yet. Raises BadInput where the file differs from it."""
    repo, shown = files.clone.root, files.clone.relative(files.results)
    blob = git.tree(repo, shown)
    if git.dirty(repo, shown):
        raise BadInput(
            f"{shown}: has uncommitted changes, but a round is made from a commit; `make collect` commits it"
        )
    return at(files, blob, engine) if blob else None


def at(files: SweepFiles, blob: str, engine: str) -> Basis:
    """The results.csv with this hash. Raises BadInput where this clone does not have it."""
    data = git.blob(files.clone.root, blob)
    if data is None:
        raise BadInput(
            f"results.csv {blob[:12]}: not in this clone; fetch all of its history (`git fetch --unshallow`)"
        )
    rows = results.from_csv(data, files.clone.relative(files.results))
    return Basis(blob, engine, tuple(row for row in rows if not row.superseded))
