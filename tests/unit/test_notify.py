"""A notifier is told how a sweep ended, and whatever it does hurts nobody."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from sweep import notify
from sweep.errors import BadInput
from sweep.notify import Ending
from tests.waiting import until

ENDING = Ending("demo", "failed", 1, "2 of 3 trials failed; $(touch x) 'y'", {"succeeded": 1, "failed": 2}, "/r.html")


def script(folder: Path, text: str) -> list[str]:
    path = folder / "my notifier.py"
    path.write_text(text)
    return notify.parsed(f"{shlex.quote(sys.executable)} {shlex.quote(str(path))} '$HOME *'")


def sent(argv: list[str], seconds: float = 60) -> list[str]:
    lines: list[str] = []
    notify.send(argv, ENDING, lines.append, seconds)
    return lines


def test_it_gets_the_facts_in_variables_and_on_stdin_and_its_words_as_they_are(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = script(
        tmp_path,
        f"import json, os, sys\nfacts = json.load(sys.stdin)\n"
        f"own = {{k: v for k, v in os.environ.items() if k.startswith('HELM_SWEEP_')}}\n"
        f"json.dump([facts, own, sys.argv[1:]], open({str(out)!r}, 'w'))\n",
    )
    assert sent(argv) == []
    facts, variables, words = json.loads(out.read_text())
    assert facts == {
        "sweep": "demo",
        "outcome": "failed",
        "exit_code": 1,
        "message": ENDING.message,
        "trials": {"succeeded": 1, "failed": 2},
        "report": "/r.html",
    }
    assert variables == {
        "HELM_SWEEP_SWEEP": "demo",
        "HELM_SWEEP_OUTCOME": "failed",
        "HELM_SWEEP_EXIT_CODE": "1",
        "HELM_SWEEP_MESSAGE": ENDING.message,
    }
    assert words == ["$HOME *"], "no shell reads them"


def test_one_that_fails_is_mentioned(tmp_path: Path) -> None:
    argv = script(tmp_path, "raise SystemExit(3)")
    assert sent(argv) == [f"--notify {sys.executable}: ended with 3"]


def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    argv = notify.parsed(f"sh -c 'trap : TERM; sleep 1000 & echo $$ $! > {pids}; wait; sleep 1000'")
    (line,) = sent(argv, 2)
    assert line.endswith("did not end within 2 s, and was ended")
    states = [Path(f"/proc/{pid}/stat") for pid in pids.read_text().split()]
    # What it started is init's child, so nobody here can wait for its end.
    until(lambda: all(not path.exists() or path.read_text().split()[2] == "Z" for path in states), "all have ended")


def test_one_that_cannot_be_started_is_mentioned(tmp_path: Path) -> None:
    program = tmp_path / "none"
    program.write_bytes(b"\0")
    program.chmod(0o755)
    (line,) = sent([str(program)])
    assert "cannot be started" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [("", "names no program"), ("'a", "No closing quotation; close the quote"), ("/no/such x", "no such program")],
)
def test_what_is_no_command_is_refused_before_anything_runs(words: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        notify.parsed(words)
