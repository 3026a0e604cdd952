"""Every results.csv that there ever was, in the work tree and in Git's history: years later it tells what ran."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sweep import files, git
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.records import columns, results
from sweep.records.results import Row

PATH = re.compile(r"values/([^/]+)/results\.csv")
BATCH = 16
"""Versions that are in memory at once: a table of 10,000 trials has some 5 MB."""
_ID = re.compile(rb"^[0-9]+,([0-9a-f]{4,64}),", re.M)


@dataclass(frozen=True)
class Table:
    """One version of the results.csv of a sweep."""

    sweep: str
    commit: str
    """A commit that left it so; "" for one that was not committed."""
    data: bytes
    current: bool
    """Whether it lies in the work tree."""
    age: int = -1
    """How many versions are newer than the oldest commit that left it so; -1 for one that was not committed."""

    @cached_property
    def ids(self) -> set[str]:
        """Ids of its trials, and perhaps what only looks like one; found without reading the table."""
        return {id.decode() for id in _ID.findall(self.data)}

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Id -> row; {} where this helm-sweep cannot read the table, of which `problem` says why."""
        return self._read[0]

    @property
    def problem(self) -> str:
        """`values/s/results.csv:2 of 0123456789ab: …`: why it cannot be read; "" where it can."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[dict[str, Row], str]:
        name = f"values/{self.sweep}/results.csv{f' of {self.commit[:12]}' if self.commit else ''}"
        try:
            return {row.id: row for row in results.from_csv(self.data, name)}, ""
        except BadInput as error:
            return {}, str(error).partition("; `git checkout`")[0]


def everywhere(clone: Clone, sweep: str = "") -> Iterator[Table]:
    """All versions, of one sweep or of all: those of the work tree first, then from new to old, each once."""
    versions = [
        (match[1], version)
        for version in git.versions(clone.root, f"values/{sweep}".rstrip("/"))
        if (match := PATH.fullmatch(version.path))
    ]
    first = {(name, version.blob): version.commit for name, version in reversed(versions)}
    age = {(name, version.blob): place for place, (name, version) in enumerate(versions)}
    seen = set()
    for path in sorted(clone.root.glob(f"values/{sweep or '*'}/results.csv")):
        files.check_folders(clone.root, path.parent)
        data, name = files.read(path, columns.LARGEST_BYTES, clone.values), path.parent.name
        key = name, git.blob_hash(data, like=versions[0][1].blob if versions else "")
        seen.add(key)
        yield Table(name, first.get(key, ""), data, True, age.get(key, -1))
    older = [key for key in dict.fromkeys((name, version.blob) for name, version in versions) if key not in seen]
    for (name, blob), data in _contents(clone, older):
        yield Table(name, first[name, blob], data, False, age[name, blob])


def _contents(clone: Clone, tables: list[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], bytes]]:
    """Those of (sweep, blob) that Git has, with their bytes."""
    for at in range(0, len(tables), BATCH):
        batch = tables[at : at + BATCH]
        held = git.blobs(clone.root, (blob for _, blob in batch))
        yield from (((name, blob), held[blob]) for name, blob in batch if blob in held)


def find(clone: Clone, beginning: str, sweep: str = "") -> tuple[list[tuple[Table, Row]], list[str]]:
    """Of every trial whose id begins so the newest row in each sweep, the work tree's before those of history.

    And why tables that seem to name such a trial cannot be read.
    """
    problems: list[str] = []
    matches: dict[tuple[str, str], tuple[Table, Row]] = {}
    for table in everywhere(clone, sweep):
        ids = {id for id in table.ids if id.startswith(beginning)}
        problems += [table.problem] if ids and table.problem else []
        for id in ids - {id for name, id in matches if name == table.sweep}:
            if row := table.rows.get(id):
                matches[table.sweep, id] = (table, row)
    return list(matches.values()), problems
