"""Rows of earlier code: results.csv keeps them, and whoever decides anything by the table does not see them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.records import results, store, superseded
from sweep.records.results import Objective, Row
from sweep.render import Trial
from sweep.reports import earlier
from sweep.spaces.basis import Basis
from tests.unit.stores import row, trial

EMPTY = store.Snapshot({}, [], found=True)


def listed(point: int, code: str) -> Trial:
    """A trial of some code."""
    of = trial({"lr": point})
    identity: dict[str, Any] = of.identity | {"code": code}
    return replace(of, id=hashlib.sha256(repr((point, code)).encode()).hexdigest()[:12], identity=identity)


def ended(of: Trial, status: str = "succeeded", **changes: Any) -> Row:
    return row(of.identity["hyperparameters"], id=of.id, code=of.identity["code"], status=status, **changes)


def collected(old: list[Row], trials: list[Trial], news: list[Row] = []) -> list[Row]:  # noqa: B006
    """The whole table after one collect, of which `news` came in since the last; through its file's bytes."""
    merged = {row.id: row for row in results.merge([*old, *news], trials, EMPTY, {}, "local")}
    rows = list(merged.values())
    data, left = superseded.to_csv(rows, superseded.kept(old, trials, rows))
    assert left == ""
    return results.from_csv(data)


collects = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b", "c"]),
        st.sets(st.integers(0, 3), min_size=1),
        st.sampled_from([*results.STATUSES]),
    ),
    min_size=1,
    max_size=6,
)


@given(collects)
def test_code_is_never_mixed_and_no_end_of_earlier_code_is_lost(steps: list[tuple[str, set[int], str]]) -> None:
    """Any order of edits, repins, added and dropped trials, and going back to code of before."""
    table: list[Row] = []
    known: dict[str, Row] = {}
    for code, points, status in steps:
        trials = [listed(point, code) for point in points]
        news = [ended(of, status) for of in trials if of.id not in known]
        table = collected(table, trials, news)
        current = [row for row in table if not row.superseded]
        assert {row.id for row in current} == {of.id for of in trials}
        assert {row.code for row in current} == {code}
        dropped = {id for id, row in known.items() if row.code == code} - {of.id for of in trials}
        known = {id: row for id, row in known.items() if id not in dropped}
        known |= {row.id: row for row in current if row.status in (*store.FINAL, "failed")}
        assert {row.id for row in table if row.superseded} == {id for id, row in known.items() if row.code != code}
        for row_ in table:
            if row_.superseded:
                assert replace(row_, superseded="") == known[row_.id]


def test_who_reads_the_table_sees_the_code_of_now(tmp_path: Path) -> None:
    path = tmp_path / "values" / "s" / "results.csv"
    rows = [ended(listed(1, "new")), ended(listed(1, "old"), superseded="code")]
    results.write(path, rows)
    assert [row.code for row in results.read(path)] == ["new"]
    assert {row.code for row in results.read_whole(path)} == {"new", "old"}


def test_going_back_to_code_of_before_finds_its_results() -> None:
    """Without a store, by the table alone; also those of another engine."""
    here, there = ended(listed(1, "a")), replace(ended(listed(1, "a")), id="0123456789ab", engine="cluster")
    first = collected([], [listed(1, "a")], [here, there])
    second = collected(first, [listed(1, "b")])
    assert [(row.code, row.engine, row.status) for row in second if row.superseded] == [
        ("a", row.engine, "succeeded") for row in sorted([here, there], key=lambda row: row.id)
    ]
    back = collected(second, [listed(1, "a")])
    assert {(row.id, row.objective, row.superseded) for row in back} == {(here.id, 0.9, ""), (there.id, 0.9, "")}


@pytest.mark.parametrize(
    ("code", "image", "old", "kept"),
    [
        ("c0de", "i", ("c0de", "j"), False),  # another image with the same code: as a dropped trial
        ("", "reg/app:2", ("", "reg/app:1"), True),  # the code is in the image
        ("c0de", "i", ("", "reg/app:1"), True),
        ("c0de", "i", ("", ""), False),  # of a table that did not tell
    ],
)
def test_what_is_earlier_code(code: str, image: str, old: tuple[str, str], kept: bool) -> None:
    now = listed(1, code)
    now = replace(now, identity=now.identity | {"image": image})
    before = replace(ended(listed(1, "x")), code=old[0], image=old[1])
    assert bool(superseded.kept([before], [now], [])) == kept


def test_an_emptied_list_of_trials_makes_no_code_an_earlier_one() -> None:
    rows = [ended(listed(1, "new")), ended(listed(1, "old"), superseded="code")]
    assert [row.code for row in superseded.kept(rows, [], [])] == ["old"]


def test_rows_of_earlier_code_cost_the_others_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [replace(ended(listed(n, "new")), metrics={"a": 1.0, "b": 2.0}) for n in range(3)]
    older = [replace(ended(listed(n, "old")), metrics={f"m{n}": 1.0}, superseded="code") for n in range(4)]
    for name, most in (("MOST_ROWS", 6), ("MOST_METRICS", 3), ("LARGEST_BYTES", 900)):
        with monkeypatch.context() as patched:
            patched.setattr(results, name, most)
            patched.setattr(results, "FITS", ((most if name == "MOST_METRICS" else 1000, 300),))
            data, left = superseded.to_csv(rows, older)
        assert data == results.to_csv(rows)
        assert left == "has no room for 4 rows of earlier code; Git has them"
    assert len(results.from_csv(superseded.to_csv(rows, older)[0])) == 7


def test_a_round_is_made_of_results_of_the_code_that_is_run_next() -> None:
    of_old, of_new = ended(listed(1, "old")), ended(listed(2, "new"))
    unknown = replace(ended(listed(3, "x")), code="", image="")
    basis = Basis("b10b", "local", (of_old, of_new, unknown))
    assert basis.programs == {"old", "new"}
    assert basis.of_program("new").rows == (of_new, unknown)


def test_the_report_names_earlier_code_with_the_best_of_each() -> None:
    older = [
        replace(ended(listed(n, code)), metrics={"loss": loss})
        for n, (code, loss) in enumerate([("aaaa", 3.0), ("aaaa", 1.25), ("git-tree:" + "b" * 40, 2.0)])
    ]
    older += [ended(listed(9, "cccc"), "failed"), ended(listed(9, "dddd"), "failed")]
    assert earlier.sentences(older, Objective("loss", "minimize")) == [
        "Earlier code, in results.csv and in no ranking: aaaa (2 trials, best loss 1.25), bbbbbbbbbbbb (1 trial, best "
        "loss 2), cccc (1 trial), 1 more."
    ]
    assert earlier.sentences([], Objective("loss", "minimize")) == []
