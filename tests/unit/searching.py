"""A search without a cluster or a trainer: its trials get the results of a function, in a committed results.csv."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from typing import Any

import expand
from sweep.layout import Clone
from sweep.records import results
from sweep.records.results import Row
from sweep.spaces import spacefile, valuesfile
from sweep.spaces.space import Space

Outcome = Callable[[dict[str, Any], int], dict[str, float] | str]
"""(hyperparameters, seed) -> metrics, or a status that has none."""


def row(hyperparameters: dict[str, Any], outcome: dict[str, float] | str, seed: int = 0, engine: str = "local") -> Row:
    """One row of results.csv; the id is made up."""
    id = hashlib.sha256(json.dumps([hyperparameters, seed], sort_keys=True).encode()).hexdigest()[:12]
    if isinstance(outcome, str):
        return Row(id, outcome, hyperparameters, seed, engine=engine)
    value = next(iter(outcome.values()))
    return Row(id, "succeeded", hyperparameters, seed, "present", engine, value, outcome)


def put_space(clone: Clone, text: str) -> None:
    clone.sweep("demo").space.write_text(text)


def run(clone: Clone, *words: str, code: int = 0) -> None:
    assert expand.main(["demo", "--engine", "local", *words], clone) == code


def trials(clone: Clone) -> list[dict[str, Any]]:
    """All trials of values.yaml, as they stand there."""
    return [trial for _, trial in valuesfile.load(clone.sweep("demo")).trials()]


def space_of(clone: Clone) -> Space:
    return spacefile.load(clone.sweep("demo"))


def collect(clone: Clone, outcome: Outcome, commit: bool = True) -> None:
    """Give every trial its row, as `make collect` would."""
    files, fixed = clone.sweep("demo"), space_of(clone).hyperparameters
    rows = []
    for trial in trials(clone):
        point = {**fixed, **{name: value for name, value in trial.items() if name != "seed"}}
        rows.append(row(point, outcome(point, trial.get("seed", 0)), trial.get("seed", 0)))
    results.write(files.results, rows)
    if commit:
        git(clone, "add", "values")
        git(clone, "commit", "--quiet", "--allow-empty", "--message=results")


def git(clone: Clone, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=clone.root, check=True, capture_output=True, text=True).stdout.strip()


def message(clone: Clone) -> str:
    return git(clone, "show", "--no-patch", "--format=%B")


def text(clone: Clone) -> str:
    return clone.sweep("demo").values.read_text()
