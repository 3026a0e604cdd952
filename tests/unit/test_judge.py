"""The judge of `make soak` finds what it is there to find: each kind of loss, done to a store on purpose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.records import results
from tests.soak.judge import Judge, score
from tests.unit.stores import folder, put_attempt, put_result, row, trial

XS = (1, 2, 3)
TRIALS = {x: trial({"x": x}) for x in XS}
NAME = "20260102T030405Z-pod"


class Place:
    """A store and a table in which all is well."""

    def __init__(self, root: Path) -> None:
        self.store, self.csv, self.ledger = root / "results", root / "results.csv", "begin 1 7\nend 1 7\n"
        self.rows = {x: row({"x": x}, value=float(score(x))) for x in XS}
        for x, of in TRIALS.items():
            put_result(self.store, of, metrics={"score": score(x)})
            put_attempt(self.store, of, log=f"x={x}\n")
        self.write()
        self.judge = Judge(self.store, {"aa": self.csv})

    def write(self) -> None:
        results.write(self.csv, self.rows.values())

    def result(self, x: int) -> Path:
        return folder(self.store, TRIALS[x]) / "result.json"

    def kinds(self) -> set[str]:
        self.judge.end({"aa": XS}, self.ledger)
        return set(self.judge.findings.values())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_where_all_is_well_nothing_is_found(place: Place) -> None:
    place.judge.look()
    assert place.kinds() == set()


def gone(place: Place) -> None:
    place.result(1).unlink()


def changed(place: Place) -> None:
    place.result(1).write_text(place.result(1).read_text() + "\n")


def set_aside(place: Place) -> None:
    place.result(1).with_name("result.json.invalid-x").touch()


def row_gone(place: Place) -> None:
    del place.rows[1]
    place.write()


def row_without_its_result(place: Place) -> None:
    place.rows[1] = row({"x": 1}, value=float(score(1)), store="missing")
    place.write()


def row_twice(place: Place) -> None:
    lines = place.csv.read_text().splitlines(keepends=True)
    place.csv.write_text("".join([*lines, lines[-1]]))


def trained_again(place: Place) -> None:
    place.ledger += "begin 1 8\nagain 1 8\n"


def trained_to_its_end_twice(place: Place) -> None:
    put_attempt(place.store, TRIALS[1], "20260102T040405Z-pod", log="x=1\n", status="duplicate")


def swapped(place: Place) -> None:
    for x, other in ((1, 2), (2, 1)):
        put_result(place.store, TRIALS[x], metrics={"score": score(other)})


def row_of_another(place: Place) -> None:
    place.rows[1] = row({"x": 1}, value=float(score(2)))
    place.write()


def checkpoint_of_another(place: Place) -> None:
    place.ledger += "foreign 1 7\n"


def output_of_another(place: Place) -> None:
    put_attempt(place.store, TRIALS[1], NAME, log="x=1\nx=2\n")


def folder_of_another(place: Place) -> None:
    shutil.copy(place.result(2), place.result(1))


def no_table(place: Place) -> None:
    place.csv.write_text("x\n")


@pytest.mark.parametrize(
    ("harm", "kind", "late"),
    [
        (gone, "lost", True),
        (gone, "lost", False),
        (changed, "lost", True),
        (set_aside, "lost", True),
        (row_gone, "lost", True),
        (row_gone, "lost", False),
        (row_without_its_result, "lost", True),
        (row_twice, "duplicate", True),
        (trained_again, "duplicate", True),
        (trained_to_its_end_twice, "duplicate", True),
        (swapped, "mixed up", False),
        (row_of_another, "mixed up", False),
        (checkpoint_of_another, "mixed up", True),
        (output_of_another, "mixed up", True),
        (folder_of_another, "mixed up", False),
        (no_table, "other", True),
    ],
)
def test_what_was_lost_doubled_or_mixed_up_is_found(
    place: Place, harm: Callable[[Place], None], kind: str, late: bool
) -> None:
    """late: done after the judge had a look at all."""
    if late:
        place.judge.look()
    harm(place)
    assert kind in place.kinds()
    if late:
        assert place.kinds() == {kind}


def test_a_result_that_is_none_is_told(place: Place) -> None:
    place.result(1).write_text(json.dumps({"id": "x"}))
    assert "other" in place.kinds()
