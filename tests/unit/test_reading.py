"""Metrics of programs that know nothing of us: what they print and write is read back, whatever it is."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import struct
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweep import reading as sweep_reading
from sweep.records import outputs
from tests.unit.trial_support import Bench, Ended, Fifo, load, make_trial, wait_until

TRIAL = load()
EVENTS, FOLDERS, METRICS, MLRUNS, PRINTED, ROWS, WRITTEN = map(
    load, ("events", "folders", "metrics", "mlruns", "printed", "rows", "written")
)
READING = load("reading")
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_/.]{0,20}", fullmatch=True).filter(lambda name: "." not in name[-1])
NUMBERS = st.one_of(st.integers(-(10**15), 10**15), st.floats())


def alike(first: Any, other: Any) -> bool:
    """Equal, with NaN equal to itself."""
    return {name: repr(float(value)) for name, value in first.items()} == {
        name: repr(float(value)) for name, value in other.items()
    }


def of_output(text: str | bytes, *sources: dict[str, Any], folder: Path | None = None) -> Any:
    """A Reading that has heard a whole output."""
    reading = READING.Reading([{"from": "output", **source} for source in sources], [], folder)
    reading.hear(text.encode() if isinstance(text, str) else text)
    reading.hear(b"")
    return reading


def history(reading: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in reading.history().splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


def of_files(folder: Path, *sources: dict[str, Any], before: Any = None) -> Any:
    """A Reading of what `before()` leaves there, begun in what was there already."""
    reading = READING.Reading(list(sources), [], FOLDERS.Folder(str(folder), "."))
    if before:
        before()
    reading.look()
    return reading


ACCURACY = {"from": "output", "format": "name=value"}

# ---- numbers and lines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-1", -1), ("+2.5", 2.5), (".5", 0.5), ("5.", 5.0), ("1e-3", 0.001), ("1E+5", 1e5),
        (" 93.1% ", 93.1),
        ("1,234", 1234), ("1,234,567.5", 1234567.5), ("nan", math.nan), ("NaN", math.nan), ("-inf", -math.inf),
        ("Infinity", math.inf),
    ],
)  # fmt: skip
def test_a_number_is_read_as_programs_print_it(text: str, value: float) -> None:
    assert repr(ROWS.number(text)) == repr(value)
    assert alike(of_output(f"epoch done, x={text} rest", {"format": "name=value"}).metrics(), {"x": value})


@pytest.mark.parametrize(
    "text", ["2024-01-02", "12:30:11", "1.2.3", "0,5", "0x1f", "3rd", "", "-", "e5", "None", "1_000", "12,34"]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert ROWS.number(text) is None
    assert of_output(f"x={text}\n", {"format": "name=value"}).metrics() == {}


@given(NUMBERS)
def test_a_number_is_what_was_printed(value: float) -> None:
    assert repr(float(ROWS.number(repr(value)))) == repr(float(value))
    if isinstance(value, int):
        assert ROWS.number(f"{value:,}") == value


@given(st.dictionaries(NAMES, NUMBERS, min_size=1, max_size=5), st.sampled_from(["=", " = ", ": ", ":"]))
def test_what_is_printed_by_name_is_read_back(written: dict[str, float], mark: str) -> None:
    line = ", ".join(f"{name}{mark}{value!r}" for name, value in written.items())
    reading = of_output(line, {"format": "name=value" if "=" in mark else "name: value"})
    assert alike(reading.metrics(), written)
    assert alike(of_output(f"INFO {json.dumps(written)}\n", {"format": "json"}).metrics(), written)


def test_a_dictionary_as_python_prints_it_is_read() -> None:
    text = (
        "{'loss': 0.69, 'eval_acc': nan, 'epoch': 1.0, 'lr': '1e-05', 'f1': np.float64(0.5)} x: tensor(2, device='cpu')"
    )
    reading = of_output(text, {"format": "name: value"})
    expected = {"loss": 0.69, "eval_acc": math.nan, "epoch": 1.0, "lr": 1e-5, "f1": 0.5, "x": 2}
    assert alike(reading.metrics(), expected)


TABLE = """\
2 epochs of training
epoch     train_loss  valid_loss  accuracy  time
-----------------------------------------------
0         1.234       0.567       0.89      00:12
saved the model
1         0.934       0.467D+00   nan       00:13
all well then
"""


def test_a_printed_table_is_read_by_the_names_above_it() -> None:
    reading = of_output(TABLE, {"format": "table"})
    assert alike(reading.metrics(), {"epoch": 1, "train_loss": 0.934, "valid_loss": 0.467, "accuracy": math.nan})
    assert [row["epoch"] for row in map(json.loads, reading.history().splitlines())] == [0, 1]
    best = of_output(TABLE, {"format": "table", "take": {"max": "accuracy"}})
    assert best.metrics()["train_loss"] == 1.234


@given(
    st.lists(NAMES, min_size=2, max_size=6, unique_by=str.lower), st.data(), st.sampled_from([" ", "\t", " | ", ", "])
)
def test_a_table_of_any_names_and_numbers_is_read_back(header: list[str], data: st.DataObject, mark: str) -> None:
    rows = data.draw(st.lists(st.lists(NUMBERS, min_size=len(header), max_size=len(header)), min_size=1, max_size=4))
    lines = [header, *([repr(value) for value in row] for row in rows)]
    reading = of_output("".join(f"{mark.join(line)}\n" for line in lines), {"format": "table"})
    assert alike(reading.metrics(), dict(zip(header, rows[-1], strict=True)))


def test_prose_is_no_table() -> None:
    text = "it begins\nwith 2\nwords here\n\nand then some\nat 3 places\n"
    assert of_output(text, {"format": "table"}).metrics() == {}
    assert of_output("loss accuracy\n1 2 3\n", {"format": "table"}).metrics() == {}


@pytest.mark.parametrize(("text", "value"), [("1.5D+02", 150), ("-2.5d-1", -0.25), ("1D3", 1000), (".5D0", 0.5)])
def test_numbers_of_fortran_are_read(text: str, value: float) -> None:
    assert of_output(f"energy = {text}\n", {"format": "name=value"}).metrics() == {"energy": value}


def test_flags_of_a_command_are_no_metrics() -> None:
    assert of_output("python train.py --lr=0.1 --epochs 3\n", {"format": "name=value"}).metrics() == {}


@given(st.lists(st.binary(max_size=30)), st.data())
def test_lines_do_not_depend_on_how_they_come(parts: list[bytes], data: st.DataObject) -> None:
    text = b"".join(parts)
    at = data.draw(st.integers(0, len(text)))
    whole, halves = PRINTED.Lines(), PRINTED.Lines()
    lines = [*whole.feed(text), *whole.feed(b"")] if text else []
    chunks = [chunk for chunk in (text[:at], text[at:]) if chunk]
    assert [line for chunk in chunks for line in halves.feed(chunk)] + (halves.feed(b"") if chunks else []) == lines


def test_a_progress_bar_has_many_states_and_colours_are_no_text() -> None:
    bar = "\r 10%|#  | 1/9 [00:01<00:09, 1.0it/s, loss=2.5]\r 99%|## | 9/9 [00:09<00:00, 1.1it/s, loss=0.25]\n"
    green = "\x1b[1;32mval_acc\x1b[0m = \x1b[4m93.1%\x1b[m \x1b]8;;http://x\x07link\x1b]8;;\x07\n"
    reading = of_output(bar + green, {"format": "name=value", "take": "first"}, {"format": "name=value"})
    assert reading.metrics() == {"loss": 0.25, "val_acc": 93.1}
    assert reading.taken()[0].first["loss"] == 2.5


def test_of_a_line_without_an_end_the_beginning_is_read_in_bounded_memory() -> None:
    reading = READING.Reading([{"from": "output", "format": "name=value"}], [], None)
    reading.hear(b"loss=0.5 ")
    for _ in range(100):
        reading.hear(b"x" * 65536)
    assert len(reading.lines.begun) == PRINTED.LONGEST_LINE
    reading.hear(b" acc=1\nacc=0.75")
    reading.hear(b"")
    assert reading.metrics() == {"loss": 0.5, "acc": 0.75}


# ---- what is taken ---------------------------------------------------------------------------------------------------

MNIST = """\
Train Epoch: 1 [0/60000 (0%)]\tLoss: 2.300000
Train Epoch: 1 [640/60000 (1%)]\tLoss: 1.500000

Test set: Average loss: 0.0567, Accuracy: 9813/10000 (98%)

Train Epoch: 2 [0/60000 (0%)]\tLoss: 0.100000

Test set: Average loss: 0.0333, Accuracy: 9891/10000 (99%)

Train Epoch: 3 [0/60000 (0%)]\tLoss: 0.050000

Test set: Average loss: 0.0400, Accuracy: 9880/10000 (98%)

"""
TRAINED = {"pattern": r"Train Epoch: (?P<epoch>\d+) .*Loss: (?P<loss>[\d.]+)"}
TESTED = {"pattern": r"Average loss: (?P<test_loss>[\d.]+), Accuracy: (?P<correct>\d+)/\d+"}


def test_the_last_the_first_or_the_best_is_taken() -> None:
    take = lambda how: of_output(MNIST, TESTED | {"take": how}).metrics()  # noqa: E731
    assert take("last") == {"test_loss": 0.04, "correct": 9880}
    assert take("first") == {"test_loss": 0.0567, "correct": 9813}
    assert take({"max": "correct"}) == take({"min": "test_loss"}) == {"test_loss": 0.0333, "correct": 9891}


def test_a_line_without_a_step_belongs_to_the_last_one_printed() -> None:
    reading = of_output(MNIST, TRAINED, TESTED)
    assert history(reading) == [
        {"epoch": 1, "loss": 1.5, "test_loss": 0.0567, "correct": 9813},
        {"epoch": 2, "loss": 0.1, "test_loss": 0.0333, "correct": 9891},
        {"epoch": 3, "loss": 0.05, "test_loss": 0.04, "correct": 9880},
    ]
    assert reading.metrics() == {"epoch": 3, "loss": 0.05, "test_loss": 0.04, "correct": 9880}


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_the_curve_does_not_depend_on_how_the_output_comes(sizes: list[int]) -> None:
    reading, text = (
        READING.Reading([{"from": "output", **source} for source in (TRAINED, TESTED)], [], None),
        MNIST.encode(),
    )
    while text:
        for size in sizes:
            if text[:size]:
                reading.hear(text[:size])
            text = text[size:]
    reading.hear(b"")
    assert reading.history() == of_output(MNIST, TRAINED, TESTED).history()


def test_lines_of_one_step_are_one_row_and_a_metric_that_comes_again_begins_the_next() -> None:
    text = "step=1 loss=3\nstep=1 acc=0.5\nstep=2 loss=1\nstep=2 loss=2\nstep=2 acc=0.9\n"
    best = lambda name, how: of_output(text, {"format": "name=value", "take": {how: name}}).metrics()  # noqa: E731
    assert best("acc", "max") == {"step": 2, "loss": 2, "acc": 0.9}
    assert best("loss", "min") == {"step": 2, "loss": 1}


def test_names_take_some_and_rename_them() -> None:
    reading = of_output("epoch=1 a=1 b=2\nepoch=2 a=5 b=4\n", {"format": "name=value", "names": {"x": "a", "y": "a"}})
    assert reading.metrics() == {"x": 5, "y": 5}
    assert history(reading) == [{"x": 1, "y": 1, "epoch": 1}, {"x": 5, "y": 5, "epoch": 2}]
    for name in ("x", "a"):
        take = {"take": {"min": name}, "names": {"x": "a"}}
        assert of_output("a=3\na=1\na=2\n", {"format": "name=value", **take}).metrics() == {"x": 1}


def test_any_name_can_be_the_step() -> None:
    text = "iter 10: loss 2.5\niter 20: loss 1.5\n"
    reading = of_output(text, {"pattern": r"iter (?P<iter>\d+): loss (?P<loss>[\d.]+)", "step": "iter"})
    assert history(reading) == [{"loss": 2.5, "epoch": 10}, {"loss": 1.5, "epoch": 20}]


def test_without_a_step_there_is_no_curve() -> None:
    assert of_output("loss=1\nloss=2\n", {"format": "name=value"}).history() == b""


def test_not_a_number_is_never_best_but_better_than_nothing() -> None:
    best = {"format": "name=value", "take": {"max": "a"}}
    assert of_output("a=nan b=1\na=2 b=2\na=nan b=3\n", best).metrics() == {"a": 2, "b": 2}
    assert alike(of_output("a=nan b=1\n", best).metrics(), {"a": math.nan, "b": 1})


def test_later_sources_win() -> None:
    assert of_output("x=1\nx: 2\n", {"format": "name=value"}, {"format": "name: value"}).metrics() == {"x": 2}


def test_a_curve_keeps_a_bounded_number_of_points_and_the_last() -> None:
    reading = of_output("".join(f"epoch={n} loss={n / 2}\n" for n in range(12345)), {"format": "name=value"})
    rows = history(reading)
    assert ROWS.POINTS <= len(rows) <= 2 * ROWS.POINTS + 1
    spaces = {after["epoch"] - before["epoch"] for before, after in pairwise(rows[:-1])}
    assert len(spaces) == 1
    assert (rows[0], rows[-1]) == ({"epoch": 0, "loss": 0.0}, {"epoch": 12344, "loss": 6172.0})
    assert reading.metrics() == {"epoch": 12344, "loss": 6172.0}


def test_names_without_number_are_kept_within_bounds_and_what_is_wanted_among_them() -> None:
    text = "".join(f"m{n}=1\n" for n in range(5000)) + "wanted=7\n"
    assert len(of_output(text, {"format": "name=value"}).metrics()) == ROWS.MOST_NAMES
    assert of_output(text, {"format": "name=value", "names": {"x": "wanted"}}).metrics() == {"x": 7}


# ---- patterns --------------------------------------------------------------------------------------------------------


def test_a_pattern_without_an_end_is_given_up_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PRINTED, "PATTERN_SECONDS", 0.05)
    line = "a" * 60
    reading = READING.Reading(
        [{"from": "output", "pattern": "(a+)+(?P<x>[1-9])"}, {"from": "output", **ACCURACY}], [], None
    )
    reading.hear(b"aa7 acc=1\n")
    assert reading.metrics() == {"x": 7, "acc": 1}
    reading.hear(f"aa8\n{line}\nacc=2\n".encode())
    reading.hear(b"aa9 acc=3\n" + line.encode() + b"\n")
    assert reading.metrics() == {"acc": 3}
    (lack,) = reading.lacks()
    assert lack.startswith("metrics[0]: pattern '(a+)+(?P<x>[1-9])' takes more than 0.05 s on the line 'aaaa")
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


@pytest.mark.parametrize("pattern", ["(?P<a>[0-9+)", "(?P<a>1)(?P<a>2)", "(?P<a>*)"])
def test_a_pattern_that_is_none_is_named(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^metrics\[0\]\.pattern: is not a regular expression of Python's: "):
        of_output("", {"pattern": pattern})


@pytest.mark.parametrize(
    ("source", "text", "message"),
    [
        (
            {"pattern": r"Accuracy: (?P<accuracy>\d+)%"},
            "epoch 1\n" * 500 + "Test accuracy = 93 %\n" + "bye now\n" * 500,
            r"pattern 'Accuracy: (?P<accuracy>\d+)%' matches none of 1001 lines; nearest: 'Test accuracy = 93 %'",
        ),
        (
            {"format": "name=value"},
            "begin\nloss: 0.5\nend\n",
            "name=value is in none of 3 lines, but format 'name: value' is: 'loss: 0.5'",
        ),
        (
            {"format": "name=value", "names": {"accuracy": "val_accuracy"}},
            "loss=1 val_acc=0.5 epoch=1\n",
            "there is no 'val_accuracy'; it has 'val_acc', 'loss', 'epoch'",
        ),
        ({"pattern": "=(?P<x>.*)"}, "a=b\n", "pattern '=(?P<x>.*)': it matches, but its groups hold no number"),
        ({"format": "name: value"}, "", "name: value: nothing was printed"),
    ],
)
def test_the_nearest_miss_is_told(source: dict[str, Any], text: str, message: str) -> None:
    reading = of_output(text, source)
    assert reading.lacks() == [f"metrics[0]: {message}"]
    assert message in reading.summary()[0]


# ---- files -----------------------------------------------------------------------------------------------------------

CSV = {"from": "file", "path": "runs/*/metrics.csv", "format": "csv"}


def write(folder: Path, path: str, text: str | bytes) -> Path:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_csv_with_rows_of_training_and_validation(folder: Path) -> None:
    """As Lightning's CSVLogger writes it."""
    text = "epoch,step,train_loss,val_acc\n0,49,1.5,\n0,49,,0.5\n1,99,0.5,\n1,99,,0.75\n2,149,0.25,\n2,149,,0.7\n"
    reading = of_files(
        folder, CSV | {"take": {"max": "val_acc"}}, before=lambda: write(folder, "runs/0/metrics.csv", text)
    )
    assert reading.metrics() == {"epoch": 1, "step": 99, "train_loss": 0.5, "val_acc": 0.75}
    assert history(reading)[1] == {"epoch": 1, "train_loss": 0.5, "val_acc": 0.75}
    assert reading.summary() == [
        "metrics[0] (file): epoch=1, step=99, train_loss=0.5, val_acc=0.75 in 6 rows of runs/0/metrics.csv"
    ]


@given(st.lists(st.dictionaries(NAMES, st.floats(), min_size=1, max_size=4), min_size=1, max_size=8))
@settings(max_examples=30)
def test_rows_that_are_written_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, float]]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[repr(row[name]) if name in row else "" for name in columns] for row in rows]
    files = {
        "csv": "\n".join(",".join(line) for line in [columns, *cells]),
        "jsonl": "\n".join(map(json.dumps, rows)),
        "json": json.dumps(rows),
    }
    last = {name: value for row in rows for name, value in row.items()}
    for form, text in files.items():
        source = {"from": "file", "path": f"m.{form}", "format": form}
        reading = of_files(folder, source, before=lambda form=form, text=text: write(folder, f"m.{form}", text))
        assert alike(reading.metrics(), last), form
        assert reading.sources[0].rows.count == len(rows)


def test_other_spellings_of_csv(folder: Path) -> None:
    written = '\ufeffepoch; val acc ;name\n1;0.5;"a;b"\n2;93.1%;x\n'
    reading = of_files(folder, CSV, before=lambda: write(folder, "runs/0/metrics.csv", written))
    assert reading.metrics() == {"epoch": 2, "val acc": 93.1}


def test_json_objects_are_flat_and_lists_in_them_are_rows(folder: Path) -> None:
    written = {"loss": [3.0, 1.0, 2.0], "val": {"acc": 0.5, "deep": {"x": True, "y": 1}}, "names": ["a"]}
    source = {"from": "file", "path": "history.json", "format": "json"}
    reading = of_files(folder, source, before=lambda: write(folder, "history.json", json.dumps(written)))
    assert reading.metrics() == {"epoch": 3, "loss": 2.0, "val.acc": 0.5, "val.deep.y": 1}
    assert history(reading)[0] == {"epoch": 1, "loss": 3.0}


def test_lists_of_objects_in_a_json_object_are_rows(folder: Path) -> None:
    """As the Trainer of transformers leaves them in trainer_state.json."""
    log = [{"epoch": 1.0, "loss": 0.5, "step": 10}, {"epoch": 1.0, "eval_acc": 0.75, "step": 10}]
    written = {"best_metric": 0.75, "log_history": [*log, {"epoch": 2.0, "eval_acc": 0.7, "step": 20}, "end"]}
    source = {"from": "file", "path": "*/trainer_state.json", "format": "json", "take": {"max": "eval_acc"}}
    reading = of_files(folder, source, before=lambda: write(folder, "out/trainer_state.json", json.dumps(written)))
    assert reading.metrics() == {"epoch": 1.0, "loss": 0.5, "eval_acc": 0.75, "step": 10}
    assert history(reading) == [{"loss": 0.5, "eval_acc": 0.75, "epoch": 1.0}, {"eval_acc": 0.7, "epoch": 2.0}]


def test_a_file_of_before_is_not_read_and_said(folder: Path) -> None:
    old = write(folder, "runs/old/metrics.csv", "acc\n1\n")
    reading = of_files(folder, CSV)
    assert reading.metrics() == {}
    what = "runs/*/metrics.csv: 'runs/old/metrics.csv' was there before the program, which did not write to it"
    assert reading.lacks() == [f"metrics[0]: {what}"]
    old.write_text("acc\n1\n2\n")
    reading.look()
    assert reading.metrics() == {"acc": 2}


def test_of_several_files_the_one_written_last_is_read(folder: Path) -> None:
    def both() -> None:
        for name, when in (("b", 2000), ("a", 3000)):
            os.utime(write(folder, f"runs/{name}/metrics.csv", f"acc\n{when}\n"), (when, when))

    assert of_files(folder, CSV, before=both).metrics() == {"acc": 3000}


def test_what_was_looked_for_and_not_found_is_told_with_what_comes_nearest(folder: Path) -> None:
    def near() -> None:
        write(folder, "logs/1/metrics.csv", "acc\n1\n")
        write(folder, "train.py", "")
        write(folder, "runs/1/other.csv", "epoch,val_accuracy,loss\n1,2,3\n")
        write(folder, "runs/1/text.csv", "a text\n")

    sources = [CSV, CSV | {"path": "runs/1/other.csv", "take": {"max": "val_acc"}}, CSV | {"path": "runs/1/text.csv"}]
    reading = of_files(folder, *sources, before=near)
    assert reading.lacks() == [
        "metrics[0]: no file of the working folder is runs/*/metrics.csv; nearest: 'logs/1/metrics.csv'",
        "metrics[1]: there is no 'val_acc'; it has 'val_accuracy', 'loss', 'epoch'",
        "metrics[2]: runs/1/text.csv: 'runs/1/text.csv' is there, but no numbers in it as csv",
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/m.csv", ["a/b/m.csv", "a/m.csv", "m.csv"]), ("*/m.csv", ["a/m.csv"]), ("a/**", ["a/b/m.csv", "a/m.csv"]),
        ("./m.c?v", ["m.csv"]), ("[a-b]/[!m]/m.csv", ["a/b/m.csv"]), (".h/*", [".h/m.csv"]), ("nothing/*", []),
        ("m.csv/x", []), ("a", []),
    ],
)  # fmt: skip
def test_paths_lead_to_plain_files_through_no_link(folder: Path, pattern: str, expected: list[str]) -> None:
    for path in ("m.csv", "a/m.csv", "a/b/m.csv", ".h/m.csv"):
        write(folder, path, "acc\n1\n")
    outside = write(folder.parent, "outside/m.csv", "acc\n1\n")
    (folder / "link").symlink_to(outside.parent)
    (folder / "l.csv").symlink_to(outside)
    os.mkfifo(folder / "p.csv")
    assert list(WRITTEN.Finder(FOLDERS.Folder(str(folder), ".")).find(pattern)) == expected


def test_links_and_special_files_are_not_opened(folder: Path) -> None:
    outside = write(folder.parent, "m.csv", "acc\n1\n")

    def odd() -> None:
        (folder / "m.csv").symlink_to(outside)
        os.mkfifo(folder / "p.csv")

    reading = of_files(folder, *(CSV | {"path": path} for path in ("m.csv", "p.csv", "*.csv")), before=odd)
    assert reading.metrics() == {}


def test_live_a_large_file_waits_for_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WRITTEN, "LIVE_BYTES", 8)
    reading = of_files(folder, CSV)
    path = write(folder, "runs/0/metrics.csv", "acc\n1\n")
    reading.look(live=True)
    assert reading.metrics() == {"acc": 1}
    path.write_text("acc\n1\n2\n3\n4\n")
    reading.look(live=True)
    assert reading.metrics() == {"acc": 1}
    reading.look()
    assert reading.metrics() == {"acc": 4}


def test_reading_can_be_ended(folder: Path) -> None:
    reading = of_files(folder, CSV)
    write(folder, "runs/0/metrics.csv", "acc\n" + "1\n" * 5000)
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            raise KeyError

    with pytest.raises(KeyError):
        reading.look(tick)


# ---- TensorBoard -----------------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    encoded = b""
    while value > 0x7F:
        encoded, value = encoded + bytes([value & 0x7F | 0x80]), value >> 7
    return encoded + bytes([value])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def event(tag: str, step: int, value: bytes) -> bytes:
    """`value` is the rest of a Summary.Value."""
    return b"\x09" + struct.pack("<d", 1.0) + field(2, step) + field(5, field(1, field(1, tag.encode()) + value))


def simple(value: float) -> bytes:
    return b"\x15" + struct.pack("<f", value)


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return b"".join(
        [length, struct.pack("<I", EVENTS.checksum(length)), data, struct.pack("<I", EVENTS.checksum(data))]
    )


POINTS = st.lists(st.tuples(NAMES, st.integers(-(2**62), 2**62), st.floats(width=32)), max_size=8)


def read_events(tmp_path: Path, data: bytes) -> list[Any]:
    path = write(tmp_path, "events.out.tfevents.1", data)
    with path.open("rb") as opened:
        return list(EVENTS.points_of_events(opened))


def as_written(points: list[Any]) -> list[Any]:
    """With values as the file has them."""
    return [(tag, step, struct.pack("<f", value)) for tag, step, value in points]


def test_checksum_is_crc32c() -> None:
    """RFC 3720, B.4: of 32 zeros; masked as the TFRecord format has it."""
    crc = 0x8A9136AA
    assert EVENTS.checksum(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@given(POINTS, st.integers(0, 10**6))
def test_events_are_read_back_and_those_before_the_cut_of_a_file(
    tmp_path_factory: pytest.TempPathFactory, points: list[Any], cut: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = [record(event(tag, step, simple(value))) for tag, step, value in points]
    data = record(b"\x09" + struct.pack("<d", 1.0) + field(3, b"brain.Event:2")) + b"".join(whole)
    assert as_written(read_events(folder, data)) == as_written(points)
    events = as_written(read_events(folder, data[: cut % (len(data) + 1)]))
    assert events == as_written(points)[: len(events)]


@given(POINTS.filter(bool), st.data())
def test_no_damaged_event_is_taken_for_another(
    tmp_path_factory: pytest.TempPathFactory, points: list[Any], data: st.DataObject
) -> None:
    written = bytearray(b"".join(record(event(tag, step, simple(value))) for tag, step, value in points))
    written[data.draw(st.integers(0, len(written) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for point in as_written(read_events(tmp_path_factory.getbasetemp(), bytes(written))):
        assert point in as_written(points)


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (field(1, 1) + field(4, struct.pack("<f", 0.9)), 0.9),
        (field(1, 1) + field(2, b"") + field(5, struct.pack("<f", 1.5)), 1.5),
        (field(1, 2) + field(4, struct.pack("<d", 0.1)), 0.1),
        (field(1, 2) + field(6, struct.pack("<d", -2.5)), -2.5),
        (field(1, 9) + field(10, varint(-3)), -3),
        (field(1, 3) + field(7, 12), 12),
        (field(1, 19) + field(13, struct.unpack("<H", struct.pack("<e", 0.5))[0]), 0.5),
        (field(1, 7) + field(8, b"text"), None),
        (field(1, 1) + field(2, field(2, field(1, 2))) + field(4, struct.pack("<ff", 1, 2)), None),
    ],
)
def test_scalars_in_tensors_are_read(tmp_path: Path, tensor: bytes, value: float | None) -> None:
    points = read_events(tmp_path, record(event("x", 3, field(8, tensor))))
    assert points == ([] if value is None else [("x", 3, value)])


def test_long_records_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EVENTS, "LARGEST_EVENT", 100)
    data = [record(event("a", 1, simple(1))), record(bytes(1000)), record(event("b", 2, simple(2)))]
    assert read_events(tmp_path, b"".join(data)) == [("a", 1, 1.0), ("b", 2, 2.0)]


def test_runs_in_several_folders_have_their_folder_in_the_name(folder: Path) -> None:
    def runs() -> None:
        for run, values in (("train", (0.5, 0.9)), ("validation", (0.4, 0.3))):
            data = b"".join(record(event("epoch_accuracy", step, simple(value))) for step, value in enumerate(values))
            write(folder, f"logs/{run}/events.out.tfevents.1.host", data)

    source = {"from": "tensorboard", "path": "logs", "take": {"max": "validation/epoch_accuracy"}}
    reading = of_files(folder, source, before=runs)
    assert reading.metrics() == {"train/epoch_accuracy": 0.5, "validation/epoch_accuracy": 0.4}
    assert len(history(reading)) == 2


# ---- MLflow ----------------------------------------------------------------------------------------------------------


def test_of_nested_runs_of_mlflow_the_outermost_is_read(folder: Path) -> None:
    def runs() -> None:
        for run, lines, ended in (("1st", "1 0.5 0\n2 0.25 1\n", 3000), ("2nd", "1 9 0\n", 2000)):
            write(folder, f"mlruns/1/{run}/metrics/val/rmse", lines)
            os.utime(write(folder, f"mlruns/1/{run}/meta.yaml", "status: 3\n"), (ended, ended))
        write(folder, "mlruns/1/1st/metrics/old", "1 7\n")
        write(folder, "mlruns/1/1st/metrics/none", "1 nan 0\nnonsense\n\n1\n")

    reading = of_files(folder, {"from": "mlflow", "path": "mlruns"}, before=runs)
    assert alike(reading.metrics(), {"val/rmse": 0.25, "old": 7, "none": math.nan})
    assert [row["epoch"] for row in history(reading)] == [0, 1]


def database(folder: Path) -> Path:
    """With the tables and columns of MLflow 3.14 that matter."""
    path = folder / "mlflow.db"
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE runs (run_uuid VARCHAR(32), start_time BIGINT, end_time BIGINT)")
    base.execute(
        "CREATE TABLE metrics (key VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid VARCHAR(32), "
        "is_nan BOOLEAN, step BIGINT)"
    )
    base.executemany("INSERT INTO runs VALUES (?, ?, ?)", [("1st", 10, 30), ("2nd", 20, 25), ("empty", 1, 99)])
    rows = [("loss", 0.5, 2, "1st", 0, 1), ("loss", 0.75, 1, "1st", 0, 0), ("loss", 9, 3, "2nd", 0, 2)]
    rows += [("nan", 0, 1, "1st", 1, 0), ("inf", -sys.float_info.max, 1, "1st", 0, 0)]
    base.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
    base.commit()
    base.close()
    return path


def test_the_database_of_newer_mlflow_is_read_too(folder: Path) -> None:
    for path in ("mlflow.db", "./*.db"):
        reading = of_files(folder, {"from": "mlflow", "path": path}, before=lambda: database(folder))
        assert alike(reading.metrics(), {"loss": 0.5, "nan": math.nan, "inf": -math.inf})
        assert [(row["epoch"], row["loss"]) for row in history(reading)] == [(0, 0.75), (1, 0.5)]
        (folder / "mlflow.db").unlink()


def test_a_database_in_the_folder_of_outputs_is_read(folder: Path) -> None:
    source = {"from": "mlflow", "path": "{output_dir}/mlflow.db"}
    reading = READING.Reading([source], [], FOLDERS.Folder(str(folder.parent), "."), FOLDERS.Folder(str(folder), "."))
    database(folder)
    reading.look()
    assert reading.metrics()["loss"] == 0.5


@given(st.data())
@settings(max_examples=30)
def test_a_damaged_database_raises_nothing(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("base")

    def damaged() -> None:
        written = bytearray(database(folder).read_bytes())
        for at in data.draw(st.lists(st.integers(0, len(written) - 1), min_size=1, max_size=20)):
            written[at] = data.draw(st.integers(0, 255))
        write(folder, "mlflow.db", bytes(written[: data.draw(st.integers(0, len(written)))]))

    of_files(folder, {"from": "mlflow", "path": "mlflow.db", "take": {"min": "loss"}}, before=damaged).summary()


def test_a_database_that_takes_for_ever_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MLRUNS, "MOST_STEPS", 10)

    def endless() -> None:
        base = sqlite3.connect(folder / "mlflow.db")
        base.execute("CREATE TABLE runs (run_uuid, start_time, end_time)")
        forever = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
        names = "x AS key, x AS value, x AS timestamp, x AS run_uuid, 0 AS is_nan, x AS step"
        base.execute(f"CREATE VIEW metrics AS SELECT {names} FROM ({forever})")
        base.close()

    reading = of_files(folder, {"from": "mlflow", "path": "mlflow.db"}, before=endless)
    assert reading.metrics() == {}


# ---- any bytes -------------------------------------------------------------------------------------------------------

SOURCES: list[dict[str, Any]] = [
    {"from": "output", "format": form} for form in ("name=value", "name: value", "json", "table")
] + [
    {"from": "output", "pattern": "(?P<epoch>.) (?P<x>.*)", "take": {"max": "x"}},
    *({"from": "file", "path": "f", "format": form, "take": {"min": "a"}} for form in ("csv", "json", "jsonl")),
    {"from": "tensorboard", "path": "**/*", "take": {"max": "a"}},
    *({"from": "mlflow", "path": path, "names": {"a": "b"}} for path in ("mlruns", "f")),
]
ODD = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(str.encode),
    st.lists(st.sampled_from([*(bytes([byte]) for byte in b'a=1{}[":,\n\r\x1b\0'), b"nan"])).map(b"".join),
    st.binary(max_size=60).map(record),
    st.binary(max_size=60).map(lambda data: record(field(5, field(1, data)))),
)  # fmt: skip


@given(st.lists(ODD, max_size=3))
@example([b'{"a": ' + b"[" * 5000])
@example([b'{"a": ' + b'{"a": ' * 500 + b"1" + b"}" * 501])
@example([b"a=" + b"9" * 5000, b'{"a": ' + b"9" * 5000 + b"}"])
@example([b'a,a\n1,2\n"', b"\n1,2"])
@example([record(field(5, field(1, field(8, b"\x10"))))])
@settings(max_examples=150)
def test_whatever_a_program_writes_raises_nothing(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("odd")
    reading = READING.Reading(SOURCES, [], FOLDERS.Folder(str(folder), "."))
    for path in ("f", "x.tfevents.1", "mlruns/1/2/metrics/b", "mlruns/1/2/meta.yaml"):
        write(folder, path, b"".join(parts))
    for part in parts:
        if part:
            reading.hear(part)
    reading.hear(b"")
    reading.look(live=True)
    reading.look()
    metrics = reading.metrics()
    assert all(ROWS.is_number(value) for value in metrics.values())
    assert all(math.isfinite(row["epoch"]) for row in history(reading))
    assert len(reading.summary()) == len(SOURCES)
    assert reading.lacks()
    result = METRICS.read_metrics(b"{}", [], metrics)
    assert all(value is None or math.isfinite(value) for value in result["metrics"].values())


# ---- attempts that go on from a checkpoint ----


def attempt(folder: Path, number: int, lines: list[str], sources: list[dict[str, Any]], *, ended: bool) -> Any:
    """A Reading of what one attempt prints, after those before it, and what it leaves for the next."""
    place = FOLDERS.Folder(str(folder), "attempts")
    reading = READING.Reading(sources, [], folder)
    reading.go_on_from([place.below(str(before)) for before in range(number - 1, -1, -1)])
    reading.hear("".join(f"{line}\n" for line in lines).encode())
    reading.hear(b"")
    reading.look(live=not ended)
    with place.below(str(number)).handle(make=True):
        pass
    (folder / "attempts" / str(number) / "history.jsonl").write_bytes(reading.history())
    if record := reading.record():
        place.below(str(number)).write_atomic("taken.json", record)
    return reading


TAKES = [{"names": {"acc": "acc"}, "take": take} for take in ("last", "first", {"max": "acc"}, {"min": "acc"})]


@given(st.lists(st.floats(width=32), min_size=1, max_size=12), st.data())
def test_an_interrupted_training_has_the_metrics_and_the_curve_of_one_that_was_not(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], data: st.DataObject
) -> None:
    sources = [{"from": "output", "format": "name=value", **take} for take in TAKES]
    lines = [f"epoch={step} acc={value!r}" for step, value in enumerate(values, 1)]
    whole = attempt(tmp_path_factory.mktemp("whole"), 0, lines, sources, ended=True)
    folder, checkpoint, number = tmp_path_factory.mktemp("parts"), 0, 0
    for number in range(data.draw(st.integers(0, 4))):  # each ends somewhere, and leaves a checkpoint before that
        reached = data.draw(st.integers(checkpoint, len(lines)))
        attempt(folder, number, lines[checkpoint:reached], sources, ended=False)
        checkpoint = data.draw(st.integers(checkpoint, reached))
    last = attempt(folder, number + 1, lines[checkpoint:], sources, ended=True)
    for place, take in enumerate(TAKES):
        expected, taken = whole.sources[place].rows, last.taken()[place]
        assert (repr(taken.best), repr(taken.last), repr(taken.first)) == (
            repr(expected.best),
            repr(expected.last),
            repr(expected.first),
        ), take
    assert repr(last.metrics()) == repr(whole.metrics())
    assert last.history() == whole.history()


def test_an_attempt_that_began_anew_counts_alone(folder: Path) -> None:
    source = {"from": "output", "format": "name=value", "names": {"acc": "acc"}, "take": {"max": "acc"}}
    attempt(folder, 0, ["epoch=1 acc=0.9", "epoch=2 acc=0.8"], [source], ended=False)
    again = attempt(folder, 1, ["epoch=1 acc=0.5", "epoch=2 acc=0.7"], [source], ended=True)
    assert again.metrics() == {"acc": 0.7}
    assert [row["acc"] for row in history(again)] == [0.5, 0.7]


def test_what_is_printed_after_the_training_joins_it_and_without_steps_nothing_does(folder: Path) -> None:
    source = {"from": "output", "format": "name=value"}
    attempt(folder, 0, ["epoch=1 acc=0.9", "epoch=2 acc=0.8"], [source], ended=False)
    assert attempt(folder, 1, ["test=0.6"], [source], ended=True).metrics() == {"epoch": 2, "acc": 0.8, "test": 0.6}
    other = folder / "other"
    other.mkdir()
    attempt(other, 0, ["acc=0.9"], [source], ended=False)
    assert attempt(other, 1, ["loss=0.6"], [source], ended=True).metrics() == {"loss": 0.6}
    assert attempt(other, 2, [], [source], ended=True).metrics() == {"loss": 0.6}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 1, "sources": [7]}', "nan", '{"a": ' * 9000])
def test_what_an_attempt_left_that_is_none_is_not_gone_on_from(folder: Path, text: str) -> None:
    source = {"from": "output", "format": "name=value"}
    attempt(folder, 0, ["epoch=1 acc=0.9"], [source], ended=False)
    (folder / "attempts" / "0" / "taken.json").write_text(text)
    assert attempt(folder, 1, ["epoch=2 loss=1"], [source], ended=True).metrics() == {"epoch": 2, "loss": 1}


# ---- in the runner ---------------------------------------------------------------------------------------------------


def run(bench: Bench, script: str, *sources: dict[str, Any], **options: Any) -> tuple[dict[str, Any], Ended]:
    trial = make_trial(script, identity_metrics=list(sources))
    return trial, bench.run(trial, **options)


def curve(bench: Bench, trial: dict[str, Any]) -> list[dict[str, Any]]:
    return outputs.history(bench.results, trial["id"], bench.attempt(trial)["attempt"])


def test_a_program_that_prints_has_a_result_and_a_curve(bench: Bench) -> None:
    script = "for e in 1 2; do echo epoch=$e accuracy=0.$e; done; echo test_loss=nan"
    trial, ended = run(bench, script, ACCURACY)
    assert ended.code == 0, ended.err
    assert bench.result(trial)["metrics"] == {"epoch": 2, "accuracy": 0.2, "test_loss": None}
    assert [row["accuracy"] for row in curve(bench, trial)] == [0.1, 0.2]
    assert ended.err.splitlines()[0] == (
        f"trial.py: {trial['id']}: metrics[0] (output): epoch=2, accuracy=0.2, test_loss=nan in 3 of 3 lines"
    )


@pytest.mark.parametrize("reached", [3, 4])
def test_a_trial_that_goes_on_from_its_checkpoint_has_the_best_of_all_its_attempts(bench: Bench, reached: int) -> None:
    """Of its last attempt the output alone would be epoch 4, or nothing at all."""
    script = f"""
        at=$CHECKPOINT_DIR/at; e=$(cat $at 2>/dev/null || echo 0)
        while [ $e -lt 4 ]; do
            e=$((e + 1)); echo epoch=$e accuracy=0.$(echo 3954 | cut -c $e); echo $e > $at
            [ $e != {reached} ] || [ -f $at.once ] || {{ touch $at.once; exit 1; }}
        done"""
    trial, ended = run(bench, script, ACCURACY | {"take": {"max": "accuracy"}})
    assert ended.code == 1
    ended = bench.run(trial)
    assert ended.code == 0, ended.err
    assert bench.result(trial)["metrics"] == {"epoch": 2, "accuracy": 0.9}
    assert "and in attempts before" in ended.err
    *_, last = bench.attempts(trial)
    rows = outputs.history(bench.results, trial["id"], last["attempt"])
    assert [row["accuracy"] for row in rows] == [0.3, 0.9, 0.5, 0.4]


def test_what_the_command_writes_itself_wins(bench: Bench) -> None:
    script = """echo accuracy=0.25 loss=1; echo '{"accuracy": 0.5, "status": "pruned"}' >$METRICS_FILE
        echo '{"epoch": 9}' >$HISTORY_FILE; echo epoch=1 loss=2"""
    trial, ended = run(bench, script, ACCURACY)
    assert ended.code == 0, ended.err
    result = bench.result(trial)
    assert (result["status"], result["metrics"]) == ("pruned", {"accuracy": 0.5, "loss": 2, "epoch": 1})
    assert curve(bench, trial) == [{"epoch": 9}]


def test_a_metrics_file_that_is_none_fails_beside_what_was_read(bench: Bench) -> None:
    _, ended = run(bench, "echo accuracy=1; echo '[]' >$METRICS_FILE", ACCURACY)
    assert (ended.code, ended.err.splitlines()[-1].partition(": failed: ")[2]) == (
        64,
        'METRICS_FILE: not a JSON object; it begins with "[]\\n"',
    )


def test_what_lacks_the_objective_tells_the_nearest_miss_and_the_last_lines(bench: Bench) -> None:
    script = "for n in 1 2 3; do echo step $n; done; seq 30; printf '10%%\\r90%%\\n'; echo acc=0.5"
    pattern = {"from": "output", "pattern": "accuracy=(?P<accuracy>.*)"}
    trial, ended = run(bench, script, pattern, ACCURACY)
    assert ended.code == 64
    attempt = bench.attempt(trial)
    assert attempt["reason"] == (
        "metrics: lacks the objective 'accuracy'; it has 'acc'; name one of those in `objective` and submit again: "
        "they are kept, nothing trains anew; "
        "metrics[0]: pattern 'accuracy=(?P<accuracy>.*)' matches none of 36 lines; nearest: 'acc=0.5'"
    )
    lines = ended.err.splitlines()
    assert lines[2:-1] == [f"trial.py:   | {line}" for line in [*range(13, 31), "90%", "acc=0.5"]]
    assert attempt["kept"]["metrics"] == {"acc": 0.5}
    renamed = trial | {"objective": {"metric": "acc", "direction": "maximize"}}
    assert bench.run(renamed).code == 0
    assert bench.result(trial)["metrics"] == {"acc": 0.5}


def test_nothing_found_at_all_says_what_to_mend(bench: Bench) -> None:
    trial, ended = run(bench, "echo hello", {"from": "file", "path": "m.csv", "format": "csv"})
    assert ended.code == 64
    reason = bench.attempt(trial)["reason"]
    assert "it has no metric; mend `metrics`; metrics[0]: no file of the working folder is m.csv" in reason


def test_a_pattern_that_is_none_fails_before_the_command_starts(bench: Bench) -> None:
    _, ended = run(bench, "touch started", {"from": "output", "pattern": "(?P<a>"})
    assert ended.code == 64
    assert "metrics[0].pattern: is not a regular expression of Python's: " in ended.line
    assert not (bench.root / "started").exists()


@pytest.mark.parametrize("keep", ["none", "1Mi"])
def test_files_are_read_in_the_folder_of_outputs_too(bench: Bench, keep: str) -> None:
    """For a program that is told where to write: what is kept of it and what is read of it are one."""
    write = 'mkdir "$OUTPUT_DIR/a"; printf "accuracy\\n%s\\n" 0.5 > "$OUTPUT_DIR/a/metrics.csv"; echo "$OUTPUT_DIR"'
    sources = [CSV | {"path": "{output_dir}/*/metrics.csv"}, {"from": "tensorboard", "path": "{output_dir}"}]
    trial = make_trial(write, identity_metrics=sources)
    assert bench.run(trial, outputs=keep).code == 0
    assert bench.result(trial)["metrics"] == {"accuracy": 0.5}
    lacking = make_trial("touch $OUTPUT_DIR/b.csv", identity_metrics=[CSV | {"path": "{output_dir}/a.csv"}])
    assert "no file of OUTPUT_DIR is {output_dir}/a.csv; nearest: 'b.csv'" in bench.run(lacking, outputs=keep).err


def test_files_are_read_in_the_folder_of_the_code_and_those_of_the_code_are_not(bench: Bench) -> None:
    bundle = bench.root / "files.json"
    bundle.write_text(json.dumps({"runs/old/metrics.csv": "accuracy\n1\n", "train.sh": "exit 0\n"}))
    source = CSV | {"take": {"max": "accuracy"}}
    script = "mkdir runs/new; printf 'epoch,accuracy\\n1,0.75\\n2,0.5\\n' >runs/new/metrics.csv"
    trial, ended = run(bench, script, source, code=bundle)
    assert ended.code == 0, ended.err
    assert bench.result(trial)["metrics"] == {"epoch": 1, "accuracy": 0.75}
    other = make_trial("true", identity_metrics=[source])
    assert bench.run(other, code=bundle).code == 64


def test_secrets_are_not_told_in_what_was_looked_for(bench: Bench) -> None:
    secret = {"identity_env": {"TOKEN": {"secret": "s", "key": "k"}}}
    script = 'echo accurate: $TOKEN; echo "$TOKEN;loss" >m.csv; echo "1;2" >>m.csv'
    sources = [
        {"from": "output", "pattern": "accurate (?P<accuracy>.*)"},
        {"from": "file", "path": "m.csv", "format": "csv", "names": {"accuracy": "acc"}},
    ]
    trial = make_trial(script, identity_metrics=sources, **secret)
    ended = bench.run(trial, env={"TOKEN": "hunter2-hunter2"})
    assert ended.code == 64
    assert "nearest: 'accurate: ***'" in bench.attempt(trial)["reason"]
    assert "hunter2" not in ended.err + json.dumps(bench.attempt(trial))


def test_a_curve_is_there_while_the_trial_runs(bench: Bench) -> None:
    fifo = Fifo(bench.root / "go")
    trial = make_trial(f"echo epoch=1 accuracy=0.5; read go <{fifo}", identity_metrics=[ACCURACY])
    running = bench.start(trial, patch="attempts.HEARTBEAT_SECONDS = 0.05")
    try:
        path = bench.folder(trial) / "attempts"
        wait_until(lambda: [*path.glob("*/history.jsonl")] and curve(bench, trial), "no history")
        assert curve(bench, trial) == [{"accuracy": 0.5, "epoch": 1}]
        fifo.say("go")
        assert running.end().code == 0
    finally:
        fifo.close()


@pytest.mark.parametrize(("end", "code"), [("exit 3", 3), ("kill -TERM $PPID; sleep 60", 143)])
def test_a_trial_that_fails_or_is_preempted_leaves_its_curve(bench: Bench, end: str, code: int) -> None:
    trial, ended = run(bench, f"printf 'epoch=1 accuracy=0.5\\nepoch=2 accuracy=0.75'; {end}", ACCURACY)
    assert ended.code == code
    assert curve(bench, trial)[-1] == {"accuracy": 0.75, "epoch": 2}


def test_a_pattern_without_an_end_keeps_nobody_from_ending_the_trial(bench: Bench) -> None:
    fifo = Fifo(bench.root / "up")
    script = f"trap 'exit 3' TERM; printf 'accuracy=1 %060d\\n' 0; echo up >{fifo}; while :; do sleep 0.05; done"
    sources = [{"from": "output", "pattern": "(0+)+(?P<x>b)"}, ACCURACY]
    running = bench.start(make_trial(script, identity_metrics=sources), grace=10)
    try:
        assert fifo.line() == "up"
        running.child.send_signal(signal.SIGTERM)
        assert running.end().code == 143
    finally:
        fifo.close()


def test_reading_goes_on_for_the_grace_period_after_sigterm(tmp_path: Path, bench: Bench) -> None:
    class Slow:
        """Looks for as many ticks as there are, at most 1000."""

        ticks = 0

        def look(self, tick: Any) -> None:
            for self.ticks in range(1, 1001):
                tick()

        history, metrics, summary, lacks, record = (
            staticmethod(lambda value=value: value) for value in (b"", {}, [], [], None)
        )

    options = TRIAL.parse_arguments([f"--results={bench.results}", f"--scratch={tmp_path}"])
    trial = make_trial("true")
    attempt = TRIAL.Attempt(FOLDERS.Folder(str(bench.results), "trials/x"), options, trial)
    for patience, ticks in ((1000.0, 1000), (-1.0, 1)):
        signals, writing = os.pipe()
        os.set_blocking(signals, False)
        os.write(writing, bytes([signal.SIGTERM]))
        slow = Slow()
        if patience > 0:
            assert TRIAL.read_all(slow, trial, attempt, signals, patience, []) == ({}, "")
        else:
            with pytest.raises(TRIAL.Stop) as stopped:
                TRIAL.read_all(slow, trial, attempt, signals, patience, [])
            assert (stopped.value.code, stopped.value.status) == (143, "preempted")
        assert slow.ticks == ticks
        os.close(signals)
        os.close(writing)


def test_a_trial_without_such_sources_does_not_import_what_reads_them(bench: Bench) -> None:
    script = "echo '{\"accuracy\": 1}' >$METRICS_FILE"
    patch = "import atexit; atexit.register(lambda: print('reading' in sys.modules))"
    for sources, imported in (([], "False"), ([ACCURACY], "True")):
        trial = make_trial(script, **({"identity_metrics": sources} if sources else {}))
        assert bench.run(trial, patch=patch).out.splitlines()[-1] == imported


# ---- before anything runs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "messages"),
    [
        ([], []),
        ([{"pattern": "(?P<accuracy>.)"}], []),
        ([{"format": "json"}], []),
        ([{"pattern": "(?P<acc>.)"}, {"path": "x"}], []),
        ([{"path": "x", "names": {"accuracy": "acc"}}], []),
        (
            [{"pattern": "(?P<acuracy>.) (?P<loss>.)"}],
            ["objective accuracy: no source in `metrics` gives it, they give acuracy, loss; did you mean acuracy?"],
        ),
        (
            [{"pattern": "(?P<accuracy>.)", "names": {"a": "accuracy"}}, {"pattern": "(?P<x>.)"}],
            ["objective accuracy: no source in `metrics` gives it, they give a, x; name one of those, or add a source"],
        ),
    ],
)
def test_an_objective_that_no_source_gives_is_named_in_the_plan(sources: list[Any], messages: list[str]) -> None:
    assert sweep_reading.notes(sources, ["accuracy"]) == messages
