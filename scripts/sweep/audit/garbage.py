"""What the result stores hold that no values file in Git's history names. In doubt it stays, and why is told.

A values file names its trials by what the chart makes of it: so the ids come from every results.csv that was ever
committed, from the values files that lie here, rendered, and for trials that are in none of these from every version
of the values file of the sweep that they ran for.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from sweep import git, session
from sweep.audit import past, storage, tables
from sweep.engines.kinds import NAMES, named
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.records import booking, store
from sweep.records.store import Stored
from sweep.session import Session, Target
from sweep.spaces import valuesfile

YOUNG_SECONDS = 86_400
YOUNG = "younger than a day"
RUNNING = "its Job runs"
FOREIGN = "made from a commit that this clone does not have, or that nobody recorded"
UNRENDERED = "its commit cannot be rendered here any more"


KINDS = ("trials", "checkpoints", "reproductions", "rungs")
"""What lies in a store: rungs are what the trials of a stop rule's group had there."""


@dataclass(frozen=True)
class Piece:
    """A folder of a result store."""

    store: Path
    kind: str
    """One of KINDS."""
    id: str
    """Of the trial; of checkpoints the lineage, of rungs the group."""
    path: Path
    size: int
    """Bytes of its files."""
    newest: float
    """When anything in it was last written, seconds of the epoch."""


@dataclass(frozen=True)
class Search:
    """What was found, and why the rest of what is not named stays."""

    garbage: list[Piece]
    kept: Counter[str]
    """Reason -> number of folders."""


@dataclass
class _Names:
    """Ids and lineages that some values file names, as far as was looked."""

    clone: Clone
    known: set[str] = field(default_factory=set)
    looked: dict[tuple[str, str, str], bool] = field(default_factory=dict)

    def add(self, opened: Session) -> None:
        for trial in opened.rendered.trials:
            self.known |= {trial.id, trial.lineage}

    def look(self, sweep: str, commit: str, engine: str) -> bool:
        """Take in what the values file of a commit names; False if it cannot be rendered any more."""
        key = (sweep, commit, engine)
        if key not in self.looked:
            try:
                with past.opened(self.clone, sweep, commit, Target(engine)) as opened:
                    if valuesfile.load(opened.files).trials():  # not one that ships unexpanded
                        self.add(opened)
                self.looked[key] = True
            except BadInput:
                self.looked[key] = False
        return self.looked[key]


def find(clone: Clone, *, unknown: bool = False) -> Search:
    """`unknown`: also what was made from commits that this clone does not have.

    Raises BadInput where Git's history is not whole or a values file here is broken, Unreachable for a cluster whose
    store is mounted.
    """
    if git.is_shallow(clone.root):
        raise BadInput("gc: this clone has only part of Git's history; `git fetch --unshallow`")
    names = _Names(clone)
    for table in tables.everywhere(clone):
        names.known |= table.ids
    _add_present(names)
    running = _running(clone)
    garbage: list[Piece] = []
    kept: Counter[str] = Counter()
    for folder in storage.folders(clone, mirrors=False):
        now = store.now(folder)
        reasons = _reasons(names, folder, unknown)
        for piece in _pieces(folder, names, reasons):
            why = _why(piece, names, reasons)
            trials = _trials(piece)
            if not trials.isdisjoint(names.known):  # a commit that was rendered only now named it
                continue
            if not why:
                why = RUNNING if trials & running else YOUNG if now - piece.newest < YOUNG_SECONDS else ""
            if why:
                kept[why] += 1
            else:
                garbage.append(piece)
    return Search(garbage, kept)


def _add_present(names: _Names) -> None:
    """The values files in the work tree, on every engine, since their images differ."""
    for name in names.clone.sweeps:
        listed = valuesfile.load(names.clone.sweep(name)).trials()
        failed: list[BadInput] = []
        for engine in NAMES if listed else ():
            try:
                names.add(session.open_sweep(names.clone, name, Target(engine)))
            except BadInput as error:  # for one of them, it may well be made for another
                failed.append(error)
        if len(failed) == len(NAMES):
            raise failed[0]


def _running(clone: Clone) -> set[str]:
    """Trials whose Job runs or waits, as far as this machine can know; a sign of life keeps the others young."""
    opened = [each.engine for each in storage.sessions(clone)]
    trials = set()
    for name in NAMES:
        trials |= named(name).busy(clone, [engine for engine in opened if name == engine.NAME])
    return trials


def _reasons(names: _Names, folder: Path, unknown: bool) -> dict[str, str]:
    """Unnamed trial of a store -> why it stays, "" for no reason. Those that a commit names are left out."""
    unnamed = [trial for trial in store.ids(folder) if trial not in names.known]
    trials = store.read(folder, unnamed).trials
    reachable = git.reachable(names.clone.root) if unnamed else set()
    reasons = {trial: _reason(names, trial, stored, reachable, unknown) for trial, stored in trials.items()}
    return {trial: why for trial, why in reasons.items() if trial not in names.known}


def _reason(names: _Names, trial: str, stored: Stored, reachable: set[str], unknown: bool) -> str:
    origins = {
        (attempt.text("sweep"), str(booking.provenance(attempt.record).get("commit") or ""), attempt.text("engine"))
        for attempt in stored.attempts
    }
    why = "" if origins or unknown else FOREIGN
    for sweep, commit, engine in sorted(origins):
        if commit in reachable:
            if not names.look(sweep, commit, engine):
                why = UNRENDERED
        elif not unknown and not git.has_commit(names.clone.root, commit or "unknown"):
            why = FOREIGN
        if trial not in names.known and not why:  # it may have been submitted before it was committed
            for version in _versions(names.clone, sweep):
                names.look(sweep, version.commit, engine)
    return why


def _versions(clone: Clone, sweep: str = "") -> Iterator[git.Version]:
    """Of the values files of all sweeps, or of one."""
    for version in git.versions(clone.root, f"values/{sweep}".rstrip("/")):
        folders, _, name = version.path.rpartition("/")
        if name == "values.yaml" and folders.count("/") == 1:
            yield version


def _why(piece: Piece, names: _Names, reasons: dict[str, str]) -> str:
    """Why what nothing names stays, as far as Git tells; "" for no reason."""
    if why := next(filter(None, (reasons.get(trial, "") for trial in _trials(piece))), ""):
        return why
    return _why_lineage(names, reasons) if _is_lineage(piece) else ""


def _trials(piece: Piece) -> set[str]:
    """The trials that a folder is of."""
    return _at_rungs(piece.path) if piece.kind == "rungs" else {piece.id}


def _at_rungs(group: Path) -> set[str]:
    return {path.stem for path in group.glob("*/*.json")}


def _is_lineage(piece: Piece) -> bool:
    """Whether these are checkpoints that several trials share: their name is no trial's."""
    return piece.kind == "checkpoints" and not store.folder(piece.store, piece.id).exists()


def _why_lineage(names: _Names, reasons: dict[str, str]) -> str:
    """Why checkpoints of an unknown lineage stay: only values files with a budget tell what lineages there are."""
    for version in _versions(names.clone):
        sweep = version.path.split("/")[1]
        text = git.show(names.clone.root, version.commit, version.path) or b""
        looked = [names.look(sweep, version.commit, engine) for engine in NAMES] if b"budget:" in text else [True]
        if not any(looked):
            return UNRENDERED
    return FOREIGN if FOREIGN in reasons.values() else ""


def _pieces(folder: Path, names: _Names, reasons: dict[str, str]) -> Iterator[Piece]:
    """The folders of a store that nothing has named so far."""
    for trial in reasons:
        yield _piece(folder, "trials", trial, store.folder(folder, trial))
    for kind, pattern in (("checkpoints", "checkpoints/??/*"), ("reproductions", "reproductions/*")):
        for path in sorted(folder.glob(pattern)):
            if _here(folder, path) and store.ID.fullmatch(path.name) and path.name not in names.known and path.is_dir():
                yield _piece(folder, kind, path.name, path)
    for path in sorted(folder.glob("rungs/*")):
        is_group = _here(folder, path) and store.ID.fullmatch(path.name) and path.is_dir()
        if is_group and names.known.isdisjoint(_at_rungs(path)):
            yield _piece(folder, "rungs", path.name, path)


def _here(folder: Path, path: Path) -> bool:
    """Whether no link leads from a store to what it names."""
    return Path(os.path.realpath(path)) == Path(os.path.realpath(folder)) / path.relative_to(folder)


def _piece(folder: Path, kind: str, name: str, path: Path) -> Piece:
    sizes, times = [0], [path.stat().st_mtime]
    for stat in _stats(path):
        sizes.append(stat.st_size if S_ISREG(stat.st_mode) else 0)
        times.append(stat.st_mtime)
    return Piece(folder, kind, name, path, sum(sizes), max(times))


def _stats(path: Path) -> Iterable[os.stat_result]:
    for place, _, files in os.walk(path):
        for name in (".", *files):
            with suppress(FileNotFoundError):
                yield os.lstat(f"{place}/{name}")


def remove(piece: Piece) -> str:
    """Remove it, and the folder above if that is empty then; why not, "" if it is gone."""
    if not _here(piece.store, piece.path):
        return "it lies behind a link now"
    if _piece(piece.store, piece.kind, piece.id, piece.path).newest != piece.newest:
        return "it was written to just now"
    try:
        shutil.rmtree(piece.path)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    with suppress(OSError):
        piece.path.parent.rmdir()
    return ""
