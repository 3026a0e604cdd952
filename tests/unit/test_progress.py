"""How far a running trial is, from what its newest attempt wrote down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import status
from sweep.records import progress
from sweep.records.progress import Progress
from sweep.records.store import Stored

TRIAL = "0123456789ab"


def attempt(store: Path, name: str, *lines: object) -> None:
    folder = store / "trials" / TRIAL[:2] / TRIAL / "attempts" / name
    folder.mkdir(parents=True)
    (folder / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_the_newest_attempt_tells_epoch_and_metric(tmp_path: Path) -> None:
    attempt(tmp_path, "a000001-x", {"epoch": 9, "m": 0.9})
    attempt(tmp_path, "a000002-x", {"epoch": 1, "m": 0.5}, {"epoch": 2, "loss": 3})
    far = progress.of(tmp_path, TRIAL, "m", 90, 300)
    assert far == Progress(90, 2, 0.5, 210)
    assert far.words("m") == "for 2 min, epoch=2 m=0.5000, about 4 min left"


def test_what_is_not_known_is_not_said(tmp_path: Path) -> None:
    assert progress.of(tmp_path, TRIAL, "m", None, 300).words("m") == ""
    assert progress.of(tmp_path, TRIAL, "m", 400, 300).words("m") == "for 7 min"
    attempt(tmp_path, "a000001-x", {"m": float("nan")})
    assert progress.of(tmp_path, TRIAL, "m", 1, None).words("m") == "for 1 s, m=nan"


def test_a_trial_usually_takes_what_the_middle_one_took() -> None:
    took = [Stored({"used_s": seconds}) for seconds in (1.0, 5.0, 100.0)]
    assert progress.usual_seconds([*took, Stored()]) == 5.0
    assert progress.usual_seconds([Stored()]) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_a_time_is_said_in_a_word_or_two(seconds: float, words: str) -> None:
    assert progress.span(seconds) == words


@pytest.mark.parametrize("point", ["", "lr=0.1", "x" * 30, "x" * 300])
def test_a_line_of_status_fits_into_a_terminal(point: str) -> None:
    head, value = "0123456789ab  running  ", "for 2 min, epoch=2 val_accuracy=0.5000, 4 min"
    text = status.line(head, point, value, 80)
    assert len(text) <= 80
    assert text.startswith(head)
    assert text.endswith(value)
    assert status.line(head, point, value, 0) == f"{head}  {point}  {value}"
