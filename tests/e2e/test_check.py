"""`check` runs one trial of what lies in the work tree, says what it read, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.support import TestClone

PROGRAM = """
import argparse, os, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
given = parser.parse_args()
for epoch in range(given.epochs):
    print(f"epoch={epoch} val_loss={given.lr / (epoch + 1):.4f}", flush=True)
"""
SPACE = """
objective: {metric: val_loss, direction: minimize}
sampler: {name: grid}
hyperparameters: {}
space:
  lr: {type: float, choices: [0.5]}
  epochs: {type: int, choices: [7, 2]}
"""
SAVES = 'open(os.environ["OUTPUT_DIR"] + "/model", "w").write("m")\n'
WAITS = "print('up', flush=True); time.sleep(60)\n"


def sweep(clone: TestClone, program: str) -> None:
    """A sweep that was never expanded, of a program that is not committed."""
    (clone.root / "toy" / "train.py").write_text(program)
    clone.edit(
        {},
        objective={"metric": "val_loss", "direction": "minimize"},
        budget="epochs",
        hyperparameters={},
        code={"path": "toy"},
        command=["python3", "train.py", "{hyperparameters}"],
        metrics=[{"from": "output", "format": "name=value"}],
    )
    path = clone.root / "values" / "toy" / "values.yaml"
    head = path.read_text().partition("trials:")[0]
    path.write_text(f"{head}trials:\n  # expanded from space.yaml: not yet\n  # end\n")
    path.with_name("space.yaml").write_text(SPACE)


def state(clone: TestClone) -> tuple[str, list[str]]:
    """What git sees, and all files but its own."""
    kept = [path for path in clone.root.rglob("*") if ".git/" not in str(path) and "__pycache__" not in str(path)]
    return clone.git("status", "--porcelain"), sorted(str(path) for path in kept if ".venv" not in str(path))


def check(clone: TestClone, *words: str, code: int = 0) -> str:
    """What it says; everything is as it was."""
    before = state(clone)
    output = clone.run("check", "toy", *words, code=code)
    assert state(clone) == before
    return output


def test_one_trial_with_the_smallest_budget_runs_and_nothing_is_kept(clone: TestClone) -> None:
    sweep(clone, PROGRAM)
    output = check(clone)
    assert "python3 train.py --epochs=2 --lr=0.5" in output
    assert "  read: val_loss=0.5 epoch=0\n  read: val_loss=0.25 epoch=1\n" in output
    assert "succeeded" in output
    assert "epoch=1 val_loss=0.25" in output
    assert "CHECKPOINT_DIR stayed empty" in output
    assert "OUTPUT_DIR stayed empty" in output
    sweep(clone, PROGRAM + SAVES)
    assert "OUTPUT_DIR stayed empty" not in check(clone)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (PROGRAM.replace("val_loss=", "valloss="), "lacks the objective 'val_loss'; it has 'valloss'"),
        (PROGRAM.replace("--lr", "--rate"), "usage: train.py: error: unrecognized arguments: --lr=0.5"),
        ("import nothing_of_this_name", "exit 1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("print('hello')", "val_loss"),
    ],
    ids=["metric", "usage", "import", "silent"],
)
def test_what_would_be_wrong_is_said(clone: TestClone, program: str, words: str) -> None:
    sweep(clone, program)
    output = check(clone, code=1)
    assert "the program does not work as a trial yet: " in output
    assert words in output
    assert "they are kept" not in output.rpartition("error: ")[2]


def test_it_may_be_stopped_after_a_time(clone: TestClone) -> None:
    sweep(clone, PROGRAM + WAITS)
    output = check(clone, "--for", "3s")
    assert "stopped after 3 s, as was asked; 2 steps read" in output


def test_bad_words_are_one_line(clone: TestClone, tmp_path: Path) -> None:
    sweep(clone, PROGRAM)
    assert "expected a time such as 60s, 5m or 1h, got 'soon'" in check(clone, "--for", "soon", code=2)
    assert "not a folder of this project" in check(clone, "--code", str(tmp_path), code=2)
