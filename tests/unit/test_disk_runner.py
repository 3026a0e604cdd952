"""The runner on a disk that refuses: at every call that touches a file of the store or its scratch, by every error.

The calls are counted by a run that is watched, then refused one after the other. In a short run each gets one of the
errors in turn, with EVERY_POINT=1 all of them.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from resource import RLIMIT_NOFILE, setrlimit
from typing import Any

import pytest

from tests.faults import Faults, points
from tests.unit.trial_support import WRITE_METRICS, Bench, load, make_trial

TRIAL, RESULTS = load(), load("results")
BUNDLE = {"train.sh": {"text": "exit 0\n", "executable": True}, "sub/words.txt": "words\n"}
METRIC = "accuracy"
NONE = "{}"
"""No result."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pristine"
    (folder / "results").mkdir(parents=True)
    (folder / "files.json").write_text(json.dumps(BUNDLE))
    (folder / "provenance.json").write_text('{"commit": "c0ffee"}')
    return folder


def trial_of(root: Path, name: str = METRIC) -> dict[str, Any]:
    """One that notes its trainings where no fault reaches, and leaves checkpoints."""
    log = root.parent / "trainings"
    script = f'echo x >>{log}; ./train.sh; echo words; touch "$CHECKPOINT_DIR/1" "$CHECKPOINT_DIR/2"'
    script += """; echo '{"epoch": 1}' >"$HISTORY_FILE"; echo '{"accuracy": 0.5}' >"$METRICS_FILE" """
    return make_trial(script, objective={"metric": name, "direction": "maximize"})


def trainings(root: Path) -> int:
    log = root.parent / "trainings"
    return log.read_text().count("x") if log.exists() else 0


def attempt(root: Path, faults: Faults, *more: str, name: str = METRIC, **env: str) -> tuple[int, list[str]]:
    """One attempt in a process of its own; (exit code, what it said)."""
    log = root.parent / "said"
    if child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code, log.read_text().splitlines()
    try:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.environ.update(TRIAL=json.dumps(trial_of(root, name)), POD_NAME="pod", **env)
        words = [f"--results={root}/results", f"--scratch={root}/scratch", f"--code={root}/files.json"]
        words += [f"--provenance={root}/provenance.json", "--grace=2", *more]
        faults.install()
        code = TRIAL.main(words)
    except BaseException as error:  # what Python would print a traceback of
        os.write(2, f"not caught: {error!r}\n".encode())
        code = 1
    (root.parent / "calls").write_bytes("\n".join(faults.calls).encode())
    os._exit(code)


def copied(root: Path) -> Path:
    copy = root.parent / "refused"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy)
    (root.parent / "trainings").unlink(missing_ok=True)
    return copy


def refused(root: Path, *more: str, only: str = "", **env: str) -> Iterator[tuple[Path, int, Any]]:
    """Have every call refused in turn that an undisturbed run makes: (a copy of `root` after that, exit code, what was
    refused). The code is one that asks to be tried again, or 0, and all is said in lines. `only`: calls like this."""
    code, lines = attempt(copied(root), Faults([str(root.parent / "refused")]), *more, **env)
    assert code == 0, lines
    calls = (root.parent / "calls").read_text().splitlines()
    assert len(calls) > 2
    for at, number, lasting in points(calls, only):
        copy = copied(root)
        code, lines = attempt(copy, Faults([str(copy)], at, number, lasting=lasting), *more, **env)
        case = (at, calls[at - 1], errno.errorcode[number], lasting, lines)
        # Only the command itself can have made a file that nobody may read.
        unreadable = number == errno.EACCES and calls[at - 1].endswith("/scratch/metrics.json")
        assert code in (0, 64 if unreadable else 75, 75), case
        assert all(line.startswith("trial.py: ") for line in lines), case
        if code:
            assert os.strerror(number) in lines[-1], case
            assert " a file: " not in lines[-1], case
        yield copy, code, case


def stands(root: Path) -> bool:
    """Whether there is a result; one that is there is whole, or what was there from the start."""
    trial = trial_of(root)
    path = root / "results" / "trials" / trial["id"][:2] / trial["id"] / "result.json"
    if not path.exists() or path.read_text() == NONE:
        return False
    RESULTS.valid_result(TRIAL.Folder(str(path.parent.parent), path.parent.name), path.name, trial)
    return True


def refuse(root: Path, *more: str, only: str = "", **env: str) -> None:
    """Whatever is refused, the result is whole or not there, and the next attempt goes on and has it."""
    for copy, code, case in refused(root, *more, only=only, **env):
        there, trained = stands(copy), trainings(root)
        assert there or code, case
        code, lines = attempt(copy, Faults([]), *more, **env)
        assert code == 0, (case, lines)
        assert stands(copy), case
        assert not there or trainings(root) == trained, case


def test_an_attempt_may_be_refused_at_every_call(root: Path) -> None:
    refuse(root)


def test_setting_an_invalid_result_aside_may_be_refused_at_every_call(root: Path) -> None:
    trial = trial_of(root)
    path = root / "results" / "trials" / trial["id"][:2] / trial["id"] / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(NONE)
    refuse(root, only=r"/result\.json")


def test_looking_at_a_result_that_stands_may_be_refused_at_every_call(root: Path) -> None:
    assert attempt(root, Faults([]), "--checkpoints=keep")[0] == 0
    (root.parent / "trainings").unlink()
    refuse(root)
    assert trainings(root) == 0


def test_keeping_the_result_of_a_mended_objective_may_be_refused_at_every_call(root: Path) -> None:
    assert attempt(root, Faults([]), name="acuracy")[0] == 64
    refuse(root)
    assert trainings(root) == 0


def test_the_folders_of_a_reproduction_may_be_refused_at_every_call(root: Path) -> None:
    for copy, _, case in refused(root, only=r"reproductions(?!.*/trials/)", REPRODUCTION="1"):
        assert attempt(copy, Faults([]), REPRODUCTION="1")[0] == 0, case
        assert len(list(copy.glob("results/reproductions/*/1/trials/*/*/result.json"))) == 1, case
        assert not (copy / "results" / "trials").exists(), case


def test_the_init_container_may_be_refused_at_every_call(root: Path) -> None:
    words = ("--make=trials/ab/abcd", "--make=checkpoints/ab/abcd")
    for copy, _, case in refused(root, *words):
        assert attempt(copy, Faults([]), *words) == (0, []), case
        assert (copy / "results/trials/ab/abcd").is_dir(), case


def test_whatever_number_of_open_files_is_too_few_it_is_said_and_tried_again(tmp_path: Path) -> None:
    """By the system's own limit, which also counts pipes: every number of files that is too few."""
    bench = Bench(tmp_path)
    code, limit = 75, 3
    while code:
        trial, limit = make_trial(WRITE_METRICS), limit + 1
        ended = bench.run(trial, before=lambda limit=limit: setrlimit(RLIMIT_NOFILE, (limit, limit)))
        code = ended.code
        assert code in (0, 75), (limit, ended)
        if code:
            assert "Too many open files (EMFILE)" in ended.line, limit
        else:
            assert bench.result(trial)["metrics"] == {"accuracy": 0.5}
    assert limit > 6
    bench.close()
