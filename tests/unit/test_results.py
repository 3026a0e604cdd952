"""The table: merging, what is never dropped, and the round trip through CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep import words
from sweep.errors import BadInput
from sweep.records import cells, columns, results, store
from sweep.records.results import Row
from tests.unit.stores import put_attempt, put_result, row, trial


@dataclass
class Job:
    condition: str
    reason: str = ""
    queued_s: float | None = None
    attempts: int = 0
    node: str = ""
    image_id: str = ""
    flavors: Mapping[str, str] = field(default_factory=dict)


EMPTY = store.Snapshot({}, [], found=True)


def collect(tmp_path: Path, trials: Any, states: Any = None, old: Any = ()) -> dict[str, Row]:
    merged = results.merge(old, trials, store.read(tmp_path, trials), states or {}, "local")
    return {row.id: row for row in merged}


def test_a_result_becomes_a_row(tmp_path: Path) -> None:
    sample = trial({"lr": 0.1, "batch_norm": False}, seed=3, gpus=2)
    put_result(tmp_path, sample, metrics={"val_accuracy": 0.9, "loss": None, "epochs": 3})
    put_attempt(tmp_path, sample, "20260101T000000Z-first", status="failed")
    put_attempt(tmp_path, sample)
    collected = collect(tmp_path, [sample], {sample.id: Job("Complete", queued_s=1.5)})[sample.id]
    assert collected == Row(
        id=sample.id,
        status="succeeded",
        hyperparameters={"lr": 0.1, "batch_norm": False},
        seed=3,
        store="present",
        engine="local",
        objective=0.9,
        metrics={"val_accuracy": 0.9, "epochs": 3},
        attempts=2,
        queued_s=1.5,
        setup_s=2.0,
        train_s=50.5,
        gpu_seconds=240.0,
        gpu_seconds_useful=120.0,
        gpu_seconds_failed=120.0,
        gpu_seconds_preempted=0.0,
        gpu_seconds_duplicate=0.0,
        node="n1",
        gpu="H100",
        commit="abc1234",
        code="c0de",
        image="sha256:1mage",
        data="sha256:da7a",
    )


@pytest.mark.parametrize(
    ("state", "last", "status", "reason"),
    [
        (None, None, "missing", ""),
        (None, "failed", "failed", "exit 1: boom"),
        (None, "running", "missing", ""),
        (Job("Pending"), None, "pending", ""),
        (Job("Pending"), "failed", "pending", ""),
        (Job("Running"), "failed", "running", ""),
        (Job("Failed", "BackoffLimitExceeded"), None, "failed", "BackoffLimitExceeded"),
        (Job("Failed", "BackoffLimitExceeded"), "failed", "failed", "exit 1: boom"),
        (Job("Complete"), None, "missing", "its Job is complete, but the store has no valid result of it"),
    ],
)
def test_status_without_a_result(tmp_path: Path, state: Job | None, last: str | None, status: str, reason: str) -> None:
    sample = trial()
    if last:
        put_attempt(tmp_path, sample, status=last, reason="exit 1: boom" if last == "failed" else "")
    collected = collect(tmp_path, [sample], {sample.id: state} if state else {})[sample.id]
    assert (collected.status, collected.reason, collected.store) == (status, reason, "")


@pytest.mark.parametrize("status", store.FINAL)
@pytest.mark.parametrize("state", [None, Job("Pending"), Job("Failed"), Job("Complete")])
def test_a_lost_store_drops_no_result(tmp_path: Path, status: str, state: Job | None) -> None:
    sample = trial()
    before = row({"lr": 0.1}, status=status)
    assert before.id == sample.id
    collected = collect(tmp_path / "gone", [sample], {sample.id: state} if state else {}, [before])[sample.id]
    assert collected == replace(before, store="missing")


def test_a_failure_is_remembered_until_something_newer_is_known(tmp_path: Path) -> None:
    before = row({"lr": 0.1}, value=None, status="failed", store="", reason="exit 1: boom")
    assert collect(tmp_path, [trial()], old=[before])[trial().id] == before
    assert collect(tmp_path, [trial()], {trial().id: Job("Running")}, [before])[trial().id].status == "running"


def test_no_wait_at_all_is_known_and_an_unknown_one_is_remembered(tmp_path: Path) -> None:
    sample = trial()
    for state, queued in ((Job("Pending", queued_s=0.0), 0.0), (Job("Pending"), 7.0), (None, 7.0)):
        states = {sample.id: state} if state else {}
        rows = collect(tmp_path, [sample], states, [row({"lr": 0.1}, status="pending", queued_s=7.0)])
        assert rows[sample.id].queued_s == queued


def test_a_store_that_comes_back_is_present_again(tmp_path: Path) -> None:
    sample = trial()
    put_result(tmp_path, sample)
    lost = collect(tmp_path / "gone", [sample], old=[row({"lr": 0.1})])
    assert lost[sample.id].store == "missing"
    assert collect(tmp_path, [sample], old=lost.values())[sample.id].store == "present"


def test_rows_of_trials_no_longer_listed_go(tmp_path: Path) -> None:
    replaced = row({"lr": 0.1}, id="aaaaaaaaaaaa", image="sha256:older")
    assert collect(tmp_path, [trial()], old=[row({"lr": 0.7}), replaced]).keys() == {trial().id}


def test_results_of_the_same_point_on_another_engine_stay(tmp_path: Path) -> None:
    same = row({"lr": 0.1}, id="aaaaaaaaaaaa", engine="cluster", image="sha256:other")
    other_code = row({"lr": 0.1}, id="bbbbbbbbbbbb", engine="cluster", code="0ld")
    never_ran = row({"lr": 0.1}, id="cccccccccccc", engine="cluster", status="pending")
    rows = collect(tmp_path, [trial()], old=[same, other_code, never_ran])
    assert rows["aaaaaaaaaaaa"] == same
    assert rows.keys() == {trial().id, "aaaaaaaaaaaa"}


def test_the_objective_is_the_one_asked_for_now(tmp_path: Path) -> None:
    asked = {"metric": "val_loss", "direction": "minimize"}
    sample = trial(objective=[asked, {"metric": "seconds", "direction": "minimize"}])
    put_result(tmp_path, sample, metrics={"val_accuracy": 0.9, "val_loss": 0.3})
    assert collect(tmp_path, [sample])[sample.id].objective == 0.3
    assert [result.metric for result in results.objectives([sample])] == ["val_loss", "seconds"]
    assert [result.sign for result in results.objectives([sample, trial()])] == [-1, -1]


def test_a_sweep_without_trials_has_no_objective() -> None:
    with pytest.raises(BadInput, match="trials: the sweep has none"):
        results.objectives([])


# ---- CSV ----

scalars = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
awkward = st.sampled_from(
    [False, True, 0, 1, 1.0, -0.0, "", "0", "false", "null", '",\n\r"', "a,b", "é😀", "=1+1", 5e-05, 2**53]
)
names = st.text("aZ_.-0", max_size=4).map("_{}".format)
texts = (st.text() | st.builds("".join, st.lists(st.sampled_from("'=+-@\t\r\n\x1b1")))).map(words.line)
values = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 10**9)
numbers = st.none() | values
rows = st.builds(
    Row,
    id=st.integers(0, 16**12 - 1).map("{:012x}".format),
    status=st.sampled_from(results.STATUSES),
    hyperparameters=st.dictionaries(names, awkward | scalars | st.lists(awkward)),
    seed=st.integers(0, 2**53),
    store=st.sampled_from(["", "present", "missing"]),
    engine=st.sampled_from(["", "local", "cluster"]),
    objective=numbers,
    metrics=st.dictionaries(st.text() | st.sampled_from(['"', '"a"', "=1"]), values),
    attempts=st.integers(0, 99),
    queued_s=numbers,
    setup_s=numbers,
    train_s=numbers,
    **dict.fromkeys(results.GPU_SECONDS, numbers),
    **dict.fromkeys(results.TEXTS, texts),
)
tables = st.lists(rows, max_size=5, unique_by=lambda row: row.id)


def exact(table: list[Row]) -> str:
    """repr tells 1 from 1.0 and True, which == does not."""
    return repr(
        [
            replace(
                entry,
                hyperparameters=dict(sorted(entry.hyperparameters.items())),
                metrics=dict(sorted(entry.metrics.items())),
            )
            for entry in table
        ]
    )


@settings(max_examples=300)
@given(tables)
def test_csv_round_trip_is_exact(table: list[Row]) -> None:
    text = results.to_csv(table)
    read = results.from_csv(text)
    assert exact(read) == exact(sorted(table, key=lambda entry: entry.id))
    assert results.to_csv(reversed(read)) == text


@given(tables)
def test_no_cell_acts_in_a_spreadsheet_or_on_a_terminal(table: list[Row]) -> None:
    lines = csv.reader(io.StringIO(results.to_csv(table).decode(), newline=""))
    for cell in (cell for line in lines for cell in line):
        assert cell.isprintable()
        if cell.startswith(("=", "+", "-", "@")):
            float(cell)


def test_text_is_quoted_for_spreadsheets_and_read_back() -> None:
    reasons = ["=HYPERLINK(1)", "+1", "-1", "@x", "'=1", "''=", "'it", "-", ""]
    table = [row({"x": -1}, n, objective=-0.5, reason=reason) for n, reason in enumerate(reasons)]
    assert {result.reason for result in results.from_csv(results.to_csv(table))} == set(reasons)
    text = results.to_csv(table).decode()
    assert ",'=HYPERLINK(1)," in text
    assert ",-0.5," in text
    assert ",'it," in text  # as older tables have it


def test_what_others_wrote_is_one_line_of_text_in_a_row(tmp_path: Path) -> None:
    sample = trial()
    put_attempt(
        tmp_path, sample, status="failed", reason="a\n\x1b[2Jb\u202e", node="n\r1", provenance={"commit": "--output=x"}
    )
    (rows,) = results.merge([], [sample], store.read(tmp_path, [sample]), {}, "local")
    assert (rows.reason, rows.node, rows.commit) == (r"a\n\x1b[2Jb\u202e", r"n\r1", "unknown")


OLD_TABLES = Path(__file__).with_name("old_tables")


@given(tables)
def test_merge_is_idempotent(table: list[Row]) -> None:
    trials = [replace(trial(entry.hyperparameters, entry.seed), id=entry.id) for entry in table[:3]]
    once = results.merge(table, trials, EMPTY, {}, "local")
    assert results.merge(once, trials, EMPTY, {}, "local") == once
    assert {planned.id for planned in trials} <= {entry.id for entry in once}


def test_the_kind_of_gpu_is_that_of_the_attempt_of_the_result_and_is_kept(tmp_path: Path) -> None:
    sample = trial()
    put_attempt(tmp_path, sample, "a1", pod="p1", status="preempted")
    seen = {sample.id: Job("Running", flavors={"p1": "a100", "p2": "h100", "again": "l4"})}
    (waiting,) = collect(tmp_path, [sample], seen).values()
    assert waiting.flavor == "a100"
    put_attempt(tmp_path, sample, "a2", pod="p2")
    put_result(tmp_path, sample, attempt="a2")
    put_attempt(tmp_path, sample, "a3", pod="again", status="duplicate")
    (done,) = collect(tmp_path, [sample], seen, [waiting]).values()
    assert done.flavor == "h100"
    assert results.from_csv(results.to_csv([done])) == [done]
    assert collect(tmp_path, [sample], {sample.id: Job("Complete")}, [done])[sample.id] == done  # its Pods are gone


def test_columns_are_those_of_the_design() -> None:
    table = [row({"b": 1, "a": 2}, metrics={"z": 1, "val_accuracy": 0.5})]
    header = next(csv.reader(io.StringIO(results.to_csv(table).decode())))
    before = ["schema_version", "id", "status", "store", "engine", "objective"]
    between = ["metric.val_accuracy", "metric.z", "hp.a", "hp.b", "seed", "attempts", "queued_s", "setup_s", "train_s"]
    after = [f"gpu_seconds{cause}" for cause in ("", "_useful", "_failed", "_preempted", "_duplicate")]
    after += ["node", "gpu", "reason", "commit", "code", "image", "image_id", "data"]
    assert header == before + between + after


def test_cells_are_as_in_values_yaml() -> None:
    text = results.to_csv([row({"s": "x", "f": 0.1, "t": True, "l": [1, "a"]})])
    cells = dict(zip(*csv.reader(io.StringIO(text.decode())), strict=True))
    assert [cells[f"hp.{name}"] for name in "sftl"] == ['"x"', "0.1", "true", '[1, "a"]']
    assert cells["queued_s"] == ""


def test_a_conflict_in_a_table_is_named_with_its_line() -> None:
    text = results.to_csv([row({"lr": 0.1})]) + b"<<<<<<< HEAD\n"
    with pytest.raises(
        BadInput, match=r"^results\.csv:3: a conflict of a merge; keep what is right, and remove the ma"
    ):
        results.from_csv(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("seed", "sead", 1), "results.csv:1: the header lacks seed"),
        (lambda text: text[:0], "results.csv:1: the header lacks"),
        (lambda text: text + "1\n", "results.csv:3: 1 cells under a header of"),
        (lambda text: text.replace("\n1,", "\nx,"), "results.csv:2: schema_version 'x', expected a number from 1"),
        (lambda text: text.replace("\n1,", "\n0,"), "results.csv:2: schema_version '0', expected a number from 1"),
        (lambda text: text.replace("node", "gpu", 1), "results.csv:1: the header has gpu twice"),
        (
            lambda text: text.replace("\n1,", "\n2,").replace("succeeded", "frozen"),
            "results.csv:2: status 'frozen' is none of succeeded, diverged, pruned, failed, running, pending, missing "
            "(it is of a newer helm-sweep, 2)",
        ),
        (lambda text: text.replace("succeeded", "done"), "results.csv:2: status 'done'"),
        (lambda text: text.replace("0.9", '"""x"""'), "results.csv:2: expected a number"),
        (lambda text: text.replace("0.9", "NaN"), "results.csv:2: NaN is not JSON"),
        (lambda text: text.replace("0.9", "0,9"), "results.csv:2: "),
        (lambda text: text.replace("0.9", "x"), "results.csv:2: "),
    ],
)
def test_a_broken_table_is_refused_with_its_line(change: Any, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        results.from_csv(change(results.to_csv([row({"lr": 0.1})]).decode()).encode())
    assert message in str(caught.value)
    assert "git checkout" in str(caught.value)
    assert "\n" not in str(caught.value)


def lines_of(table: bytes) -> list[bytes]:
    return table.splitlines(keepends=True)


def wide(table: bytes, header: str, cell: str) -> bytes:
    """A table of one row with more columns."""
    first, second = lines_of(table)
    return first.rstrip() + header.encode() + b"\n" + second.rstrip() + cell.encode() + b"\n"


TOO_MUCH = {
    "a NUL byte": (lambda table: table[:-2] + b"\0" + table[-2:], "2: a NUL byte, so it is no UTF-8 text"),
    "UTF-16": (lambda table: table.decode().encode("utf-16"), "1: a NUL byte, so it is no UTF-8 text"),
    "latin-1": (lambda table: table + b"1,\xe9\n", "3: 'utf-8' codec can't decode byte 0xe9"),
    "latin-1 within a row of two lines": (lambda table: table + b'1,"\n\xe9\n', "4: 'utf-8' codec can't decode byte"),
    "a mark of byte order": (lambda table: b"\xef\xbb\xbf" + table, "1: begins with a byte order mark"),
    "bytes": (lambda table: table + b"\n" * columns.LARGEST_BYTES, "1: more than 64 MiB"),
    "a row": (lambda table: table + b"," * (columns.LONGEST_ROW + 1), "3: a row of more than 8 MiB"),
    "a row of lines": (lambda table: table + b'"\n",' * (3 << 20), "3: a row of more than 8 MiB"),
    "a cell": (lambda table: table + b"x" * (cells.LONGEST + 1), f"3: field larger than field limit ({cells.LONGEST})"),
    "a quote": (lambda table: table + b'"' + table * 9999, f"3: field larger than field limit ({cells.LONGEST})"),
    "columns": (
        lambda table: wide(table, "".join(f",metric.{n}" for n in range(columns.MOST_COLUMNS)), "," * 10**4),
        "1: 10,026 columns, more than 10,000",
    ),
    "unknown columns": (lambda table: wide(table, "".join(f",x{n}" for n in range(101)), "," * 101), "1: 101 columns"),
    "rows": (lambda table: table + lines_of(table)[1] * 100, "102: more than 100 rows"),
    "values": (lambda table: wide(table, METRICS, ",1" * 900), "2: more than 800 metrics and hyperparameters"),
    "depth": (lambda table: wide(table, ",hp.x", "," + "[" * 10**5), "2: nested too deeply"),
    "digits": (lambda table: wide(table, ",hp.x", "," + "1" * 10**4), "2: a number of 10000 digits"),
}
METRICS = "".join(f",metric.m{n}" for n in range(900))


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_table_beyond_a_bound_is_one_line_that_names_the_line(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_ROWS", 100)
    monkeypatch.setattr(results, "MOST_VALUES", 800)
    change, message = TOO_MUCH[what]
    with pytest.raises(BadInput) as caught:
        results.from_csv(change(results.to_csv([row({"lr": 0.1})])))
    assert str(caught.value).startswith(f"results.csv:{message}")
    assert str(caught.value).endswith("; `git checkout` it, or delete it and `make collect` again")
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


def test_whatever_trials_tell_is_a_table_that_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every trial with metrics of names of its own: the objectives stay, and those that most have."""
    snapshots = [
        {**{f"own {n} {k}": 0.123456789 for k in range(300)}, "common": 1.0, "score": n, "zz": 2.0} for n in range(20)
    ]
    table = [row({"lr": n}, metrics=metrics, reason="x" * 300) for n, metrics in enumerate(snapshots)]
    most, kept = 10**6, []
    while len(kept) < 8:
        monkeypatch.setattr(results, "LARGEST_BYTES", most)
        data = results.to_csv(table, ["score", "zz"])
        assert len(data) <= most
        assert data == results.to_csv(table[::-1], ["score", "zz"])
        read = results.from_csv(data)
        having = {name for entry in read for name in entry.metrics}
        assert {"score", "zz"} | ({"common"} if len(kept) < 7 else set()) <= having
        assert {repr(entry.hyperparameters) for entry in read} == {repr(entry.hyperparameters) for entry in table}
        left = f"has {len(having):,} of 6,003 metrics, the objective first, then those that most trials have; "
        assert results.left_out(table, data).startswith(left)
        kept.append(len(having))
        most = len(data) - 1
    assert kept == [1000, 500, 200, 100, 50, 20, 10, 2]
    monkeypatch.setattr(results, "LARGEST_BYTES", most)
    with pytest.raises(BadInput, match=r"^results\.csv: more than .* even without metrics; split the sweep in sev"):
        results.to_csv(table, ["score", "zz"])


def test_a_table_that_has_everything_says_nothing() -> None:
    table = [row({"lr": 0.1}, metrics={"a": 1.0, '"': 2.0})]
    assert results.left_out(table, results.to_csv(table)) == ""


def test_more_than_a_table_can_hold_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BadInput, match=r"the trials have 1,001 different hyperparameters together, more than 1,000; spl"
    ):
        results.to_csv([row({f"x{n}": 1 for n in range(1001)})])
    monkeypatch.setattr(results, "MOST_ROWS", 2)
    with pytest.raises(BadInput, match=r"^results\.csv: 3 trials, more than 2; split the sweep in several$"):
        results.to_csv([row({"lr": n}) for n in range(3)])
    table = [row({"lr": 1}, metrics={f"m{n:02}": 1 for n in range(30)})]
    monkeypatch.setattr(results, "MOST_VALUES", 12)
    assert results.from_csv(results.to_csv(table, ["m29"]))[0].metrics.keys() == {
        *(f"m{n:02}" for n in range(9)),
        "m29",
    }


def test_the_longest_value_of_a_trial_is_read_again() -> None:
    """TRIAL holds 128 KiB; spelled as ASCII a character of four bytes takes twelve."""
    table = [row({"x": "\U0001f600" * (32 << 10) + "\u200b"})]
    assert results.from_csv(results.to_csv(table))[0].hyperparameters == table[0].hyperparameters


@pytest.mark.parametrize("path", sorted(OLD_TABLES.glob("*.csv")), ids=lambda path: path.stem)
def test_a_table_of_another_time_is_read(path: Path) -> None:
    """Written by the helm-sweep of the commit that is its name; a change of the columns brings a new one."""
    rows = results.from_csv(path.read_bytes(), path.name)
    assert len(rows) == len(path.read_text().splitlines()) - 1
    assert all(row.status in results.STATUSES and row.hyperparameters and row.code for row in rows)
    assert results.from_csv(results.to_csv(rows)) == rows


COST: dict[str, Any] = {"cost_spot": 1.0, "cost_on_demand": 2.0, "currency": "EUR"}


@pytest.mark.parametrize("column", ["store", "engine", "objective", *results.NUMBERS, *results.TEXTS])
def test_a_column_that_is_not_there_is_unknown(column: str) -> None:
    if column == "seed":
        return  # without it a row says nothing
    more = {"flavor": "h100", "stop": "0a1b", "superseded": "code", **COST}
    whole = [row({"lr": 0.1}, node="a", gpu="b", gpu_seconds=1.0, queued_s=2.0, attempts=3, **more)]
    header, cells = csv.reader(io.StringIO(results.to_csv(whole).decode()))
    place = header.index(column)
    text = io.StringIO()
    csv.writer(text).writerows([header[:place] + header[place + 1 :], cells[:place] + cells[place + 1 :]])
    empty = next(result.default for result in fields(results.Row) if result.name == column)
    assert results.from_csv(text.getvalue().encode()) == [replace(whole[0], **{column: empty})]


def test_a_column_that_is_not_known_is_kept() -> None:
    whole = results.to_csv([row({"lr": 0.1})]).decode().splitlines()
    newer = "\n".join([whole[0] + ',price,"""é\u200b"""', "2" + whole[1][1:] + ",1.5,'=x", ""])
    rows = results.from_csv(newer.encode())
    assert rows[0].more == {"price": "1.5", "é\u200b": "=x"}
    assert results.from_csv(results.to_csv(rows)) == rows
    listed = replace(trial(rows[0].hyperparameters, rows[0].seed), id=rows[0].id)
    merged = results.merge(rows, [listed], EMPTY, {}, "local")
    assert merged[0].more == rows[0].more


def test_write_says_whether_anything_changed(tmp_path: Path) -> None:
    path = tmp_path / "values" / "s" / "results.csv"
    assert results.read(path) == []
    table = [row({"lr": 0.1}, reason="half a pair: \ud83d")]
    assert results.write(path, table)
    assert not results.write(path, table)
    assert results.read(path)[0].reason == "half a pair: \\ud83d"


def test_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(b"\xff")
    with pytest.raises(BadInput, match=r"results\.csv:1: .*utf-8.*git checkout"):
        results.read(path)


def test_counts_are_in_the_order_of_the_statuses() -> None:
    table = [row({"lr": n}, status=status) for n, status in enumerate(["failed", "missing", "succeeded", "failed"])]
    assert results.counts(table) == {"succeeded": 1, "failed": 2, "missing": 1}
    assert list(results.counts(table)) == ["succeeded", "failed", "missing"]


def test_a_trial_that_a_rule_stopped_counts_for_that_rule_alone() -> None:
    """results.csv has the column where there is something in it, and a sweep with another rule runs the trial again."""
    stopped = row({"lr": 0.1}, status="pruned", stop="0a1b")
    assert b",stop" not in results.to_csv([row({"lr": 0.1})]).partition(b"\n")[0]
    assert results.from_csv(results.to_csv([stopped])) == [stopped]
