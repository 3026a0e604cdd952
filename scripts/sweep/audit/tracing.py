"""From a result to everything it came from. What is in Git or in a result store is enough, however long ago it was."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep import code, git, yamlfile
from sweep.audit import stops, storage, tables
from sweep.audit.stops import Judged
from sweep.audit.tables import Table
from sweep.errors import BadInput
from sweep.files import holds
from sweep.layout import Clone, Kit
from sweep.records import booking, results, same, store
from sweep.records.attempt import Attempt
from sweep.records.results import Row
from sweep.records.store import Stored
from sweep.settings import hyperparameters
from sweep.spaces import block as blocks
from sweep.spaces import spacefile, valuesfile, warmstart
from sweep.spaces.valuesfile import ValuesFile

NOT_RECORDED: dict[str, Any] = {"repository": "", "chart": "", "code": {}}
"""Of an attempt that an older helm-sweep made, or plain helm."""


@dataclass(frozen=True)
class Listing:
    """The line of a values file that lists the trial, and what that line was made from."""

    sweep: str
    path: str
    commit: str
    line: int
    text: str
    now: str
    """unchanged | changed | deleted: the file in the work tree, against this commit's."""
    made: str
    """How the line came about: the space's first trials, round 2 of 4 from results.csv …, or by hand."""
    space: str = ""
    """space.yaml, "" for a line by hand."""
    space_commit: str = ""
    """A commit whose space.yaml is the one it was expanded from; "" where there is none any more."""
    space_digest: str = ""


@dataclass(frozen=True)
class TrainedCode:
    """What was trained with."""

    hash: str
    told: str
    path: str = ""
    """Folder of the clone, or of the repository it was pinned in."""
    commit: str = ""
    """Where that folder has exactly this content; "" if it was never committed so."""


@dataclass(frozen=True)
class Trace:
    """All that is known of a trial."""

    id: str
    row: Row | None
    """Its newest row; None for a trial that was never collected."""
    table: str
    """Where that row stands."""
    table_commit: str
    sweeps: list[str]
    """All that have a row of it."""
    commit: str
    """The commit that it ran from; "" where none is recorded."""
    author: str
    repository: str
    """Where the repository of that commit is kept, "" where none is recorded."""
    program: dict[str, str]
    """Repository, commit and folder of code that was fetched by Git; {} of code that the commit holds."""
    kit: str
    """Version of the chart that rendered it, "" where none is recorded."""
    dirty: bool
    """chart/, trainer/ or values had uncommitted changes when it was submitted."""
    round: int | None
    source: Listing | None
    code: TrainedCode | None
    engine: str
    metrics: dict[str, Any]
    """Of its result; {} without one."""
    store: str
    """The result store that has it, "" for none."""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[Judged] = field(default_factory=list)
    """Of rules that would stop it, judged again."""
    problems: list[str] = field(default_factory=list)
    """Tables that seem to have a row of it and cannot be read, and why."""


@dataclass(frozen=True)
class _Known:
    """What tables and stores have of one trial."""

    id: str
    rows: list[tuple[Table, Row]]
    """Of every sweep that has one, the newest first."""
    stored: Stored
    store: str

    @property
    def last(self) -> Row:
        """Its newest row, an empty one for a trial that was never collected."""
        return self.rows[0][1] if self.rows else Row(self.id, "missing", {})

    @property
    def record(self) -> Mapping[str, Any]:
        """attempt.json of the attempt that made the result, else of the newest one."""
        name = str((self.stored.result or {}).get("attempt", ""))
        records = {attempt.name: attempt.record for attempt in self.stored.attempts}
        return records.get(name) or next(reversed(records.values()), {})

    @property
    def commit(self) -> str:
        """The one that it ran from, "" where none is recorded."""
        commit = str(booking.provenance(self.record).get("commit") or self.last.commit or "")
        return "" if commit == "unknown" else commit

    @property
    def sweeps(self) -> list[str]:
        """All that may list it."""
        names = dict.fromkeys([str(self.record.get("sweep") or ""), *(table.sweep for table, _ in self.rows)])
        return [name for name in names if name]


def of(clone: Clone, beginning: str, sweep: str = "") -> Trace:
    """Trace the one trial whose id begins so. Raises BadInput where it is none, or several."""
    folders = storage.folders(clone)
    known, problems = _known(clone, folders, beginning, sweep)
    table, row = known.rows[0] if known.rows else (None, None)
    commit, provenance = known.commit, NOT_RECORDED | booking.provenance(known.record)
    source = _source(clone, row, known.sweeps, [commit, *(table.commit for table, _ in known.rows)])
    return Trace(
        id=known.id,
        row=row,
        table=f"values/{table.sweep}/results.csv" if table else "",
        table_commit=table.commit if table else "",
        sweeps=[table.sweep for table, _ in known.rows] or known.sweeps,
        commit=commit,
        author=str(provenance.get("author") or _author(clone, commit)),
        repository=provenance["repository"],
        program=provenance["code"],
        kit=provenance["chart"],
        dirty=bool(provenance.get("dirty")),
        round=provenance.get("round") or _round(source),
        source=source,
        code=_code(clone, known.last.code, source),
        engine=str(known.record.get("engine") or known.last.engine),
        metrics=(known.stored.result or {}).get("metrics") or known.last.metrics,
        store=known.store,
        attempts=[
            _attempt(booked.attempt, booked.cause) for booked in results.booked(row, known.stored) if booked.attempt
        ],
        verdicts=stops.judge(folders, [known.id]),
        problems=problems,
    )


def _known(clone: Clone, folders: Sequence[Path], beginning: str, sweep: str) -> tuple[_Known, list[str]]:
    """All of the one trial whose id begins so, and which tables cannot be read. Raises BadInput as `of` does."""
    rows, problems = tables.find(clone, beginning, sweep)
    stored, stores = _stored(folders, beginning, {row.id for _, row in rows})
    ids = {row.id for _, row in rows} | stored.keys()
    if len(ids) != 1:
        raise BadInput(_not_one(beginning, sorted(ids), sweep, problems))
    (id,) = ids
    return _Known(id, rows, stored.get(id, Stored()), str(stores.get(id, ""))), problems


def _round(source: Listing | None) -> int | None:
    match = blocks.ROUND.match(source.made) if source else None
    return int(match[1]) if match else None


def rows_like(clone: Clone, row: Row, sweep: str) -> list[Row]:
    """The succeeded rows of the same point on the same engine, with whatever seed, from all tables of a sweep."""
    alike: dict[str, Row] = {}
    for table in tables.everywhere(clone, sweep):
        for other in table.rows.values():
            if same.configuration(other) == same.configuration(row) and other.status == "succeeded":
                alike.setdefault(other.id, other)
    return list(alike.values())


def _not_one(beginning: str, ids: list[str], sweep: str, problems: Sequence[str]) -> str:
    if ids:
        more = " …" if len(ids) > 5 else ""
        return f"TRIAL={beginning}: {len(ids)} trials begin with this ({' '.join(ids[:5])}{more}); give more of the id"
    if problems:
        return f"TRIAL={beginning}: what names it cannot be read: {problems[0]}; mend it, or take an older commit of it"
    place = f"a results.csv of {sweep}" if sweep else "any results.csv"
    return (
        f"TRIAL={beginning}: not in {place} of the work tree or of Git's history, nor in a result store; "
        "`git fetch` its history, or look the id up in results.csv"
    )


def _stored(folders: Sequence[Path], beginning: str, known: set[str]) -> tuple[dict[str, Stored], dict[str, Path]]:
    """What the stores have of the trials `known`, or else of those whose id begins so; and the store of each."""
    kept, where = {}, {}
    for folder in folders:
        for trial in known or {id for id in store.ids(folder) if id.startswith(beginning)}:
            stored = store.read(folder, [trial]).trials[trial]
            if (stored.result or stored.attempts) and trial not in kept:
                kept[trial], where[trial] = stored, folder
    return kept, where


def _attempt(attempt: Attempt, cause: str) -> dict[str, Any]:
    record = {name: attempt.record.get(name) for name in ("exit_code", "reason", "started_at", "node", "engine")}
    return {
        "attempt": attempt.name,
        "status": attempt.status,
        "cause": cause,
        **record,
        "seconds": round(attempt.seconds, 3),
        "gpu_seconds": round(attempt.gpu_seconds, 3),
        "commit": booking.provenance(attempt.record).get("commit"),
    }


def _author(clone: Clone, commit: str) -> str:
    return git.author(clone.root, commit) if commit and git.has_commit(clone.root, commit) else ""


# ---- the values file ----


def _source(clone: Clone, row: Row | None, sweeps: list[str], commits: list[str]) -> Listing | None:
    """The first line that lists the trial: in the commit it ran from, else in one that has its row."""
    if row:
        for commit in dict.fromkeys(commit for commit in commits if commit):
            for sweep in sweeps:
                with contextlib.suppress(BadInput):  # a values file of another time may be one we cannot read
                    if source := _line(clone, row, sweep, commit):
                        return source
    return None


def values_at(clone: Clone, sweep: str, commit: str) -> ValuesFile | None:
    """The sweep's values file as of a commit; None if there was none. Raises BadInput if it cannot be read."""
    path = f"values/{sweep}/values.yaml"
    data = git.show(clone.root, commit, path)
    return None if data is None else valuesfile.parse(data.decode(errors="replace"), f"{path} of {commit[:12]}")


def _line(clone: Clone, row: Row, sweep: str, commit: str) -> Listing | None:
    values = values_at(clone, sweep, commit)
    if values is None:
        return None
    base = git.show(clone.root, commit, clone.relative(clone.base)) or b""
    fixed = hyperparameters(yamlfile.parse(base.decode(errors="replace"), "values/base.yaml"), values.head)
    wanted = same.trial(row.hyperparameters, row.seed)
    for line, trial in values.trials():
        if same.of_line(fixed, trial) == wanted:
            path = f"values/{sweep}/values.yaml"
            text = values.text.split("\n")[line - 1].strip()
            origin = _made(clone, sweep, commit, values, line)
            return Listing(sweep, path, commit, line, text, _now(clone, path, values), **origin)
    return None


def _now(clone: Clone, path: str, values: ValuesFile) -> str:
    there = clone.root / path
    if not clone.has(there):
        return "deleted"
    return "unchanged" if holds(there, values.text.encode(errors="replace"), clone.values) else "changed"


def _made(clone: Clone, sweep: str, commit: str, values: ValuesFile, line: int) -> dict[str, str]:
    block = values.block
    if not block or not block.first < line - 1 < block.last:
        return {"made": "by hand"}
    above = values.text.split("\n")[block.first + 1 : line - 1]
    titles = [title.what + (f" from results.csv {title.blob[:12]}" if title.blob else "") for title in _titles(above)]
    path = f"values/{sweep}/space.yaml"
    return {
        "made": titles[-1] if titles else "expanded",
        "space": path,
        "space_digest": block.space or "",
        "space_commit": _space_commit(clone, path, block.space, commit),
    }


def _titles(lines: list[str]) -> list[blocks.Section]:
    return blocks.sections(line for line in lines if line.lstrip().startswith("# "))


def _space_commit(clone: Clone, path: str, digest: str | None, commit: str) -> str:
    """A commit whose space.yaml has this digest: this one, which is the rule, else any."""
    schema = json.loads((Kit.here().schemas / "space.schema.json").read_text())
    past = warmstart.of(clone.root)
    commits = [commit, *(version.commit for version in git.versions(clone.root, path))]
    for candidate in dict.fromkeys(commits):
        with contextlib.suppress(BadInput, UnicodeDecodeError):
            text = git.show(clone.root, candidate, path)
            doc = yamlfile.parse((text or b"").decode(), path, helm=False)
            if spacefile.read(doc, schema, past).digest == digest:
                return candidate
    return ""


def _code(clone: Clone, hash: str, source: Listing | None) -> TrainedCode | None:
    if not source:
        return TrainedCode(hash, "") if hash else None
    path = f"values/{source.sweep}/code.yaml"
    data = git.show(clone.root, source.commit, path)
    frozen = None
    with contextlib.suppress(BadInput):
        frozen = code.parse(data.decode(errors="replace"), path) if data else None
    if frozen is None:
        return TrainedCode(hash, "" if hash else "in the image")
    commit = frozen.commit.removesuffix(code.DIRTY)
    same = frozen.tree and git.tree(clone.root, frozen.path, commit) == frozen.tree
    return TrainedCode(hash, frozen.label, frozen.path, commit if same else "")
