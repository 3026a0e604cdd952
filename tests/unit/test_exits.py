"""Exit codes mean the same to the runner, the chart, the init containers, the trainer, the report and the docs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from sweep.records.exits import EXITS
from tests.unit.trial_support import RUNNER, load

ROOT = Path(__file__).resolve().parents[2]
FINAL = sorted(code for code, exit_ in EXITS.items() if exit_.final)
CONSTANTS = {
    "BAD_INPUT": "bad input",
    "BAD_HYPERPARAMETERS": "bad input",
    "BAD_DATA": "bad data",
    "TIME_LIMIT": "limit",
    "GPU_MEMORY": "OOM",
    "OUT_OF_GPU_MEMORY": "OOM",
    "TRY_AGAIN": "try again",
    "PEER_ENDED": "peer",
    "TERMINATED": "ended",
}
"""What programs that import nothing of ours call a code -> the word for it here."""


def constants(path: Path) -> dict[str, Any]:
    """NAME = 1 and A, B = 1, 2 at the top of a Python file."""
    constants: dict[str, Any] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign):
            pairs = [(node.targets[0], node.value)]
            if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(node.targets[0].elts, node.value.elts, strict=True))
            for target, value in pairs:
                if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                    constants[target.id] = value.value
    return constants


@pytest.mark.parametrize(
    ("path", "least"),
    [
        (RUNNER.with_name("ending.py"), 5),
        (ROOT / "chart/files/prepare.py", 1),
        (ROOT / "trainer/train.py", 3),
        (ROOT / "trainer/knobs.py", 1),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_programs_end_with_the_codes_of_the_table(path: Path, least: int) -> None:
    named = {name: code for name, code in constants(path).items() if name in CONSTANTS}
    assert {name: EXITS[code].word for name, code in named.items()} == {name: CONSTANTS[name] for name in named}
    assert len(named) >= least


def test_clone_ends_with_codes_of_the_table() -> None:
    codes = set(map(int, re.findall(r"\bfail ([0-9]+) ", (ROOT / "chart/files/clone.sh").read_text())))
    assert {EXITS[code].word for code in codes} == {"bad data", "try again"}


def test_jobs_fail_at_once_for_what_no_retry_mends() -> None:
    helpers = (ROOT / "chart/templates/_helpers.tpl").read_text()
    rules = re.findall(r"action: (\w+)\n.*values: \[([0-9, ]+)\]", helpers)
    codes = {action: sorted(map(int, values.split(", "))) for action, values in rules}
    assert codes == {"FailJob": FINAL, "Ignore": [code for code, exit_ in EXITS.items() if exit_.word == "peer"]}
    assert list(load("ending").FAIL_AT_ONCE) == FINAL
    dataset = (ROOT / "chart/templates/dataset.yaml").read_text()
    lists = [set(map(int, value.split(", "))) for value in re.findall(r"values: \[([0-9, ]+)\]", dataset)]
    assert lists
    assert all(codes <= set(FINAL) for codes in lists)


def test_the_page_says_what_each_means_and_what_follows() -> None:
    rows = re.findall(r"^\| ([0-9]+) \| (.+?) \| (.+?) \|$", (ROOT / "docs/trainer.md").read_text(), re.M)
    table = {int(code): (meaning, follows) for code, meaning, follows in rows if code != "0"}
    assert table == {code: (exit_.meaning, exit_.follows) for code, exit_ in EXITS.items()}
    assert [int(code) for code, *_ in rows] == [0, *EXITS]


def test_the_design_lists_the_same_codes() -> None:
    design = (ROOT / "docs/design.md").read_text()
    (line,) = [" ".join(text.split()) for text in design.split("\n\n") if text.startswith("Exit codes: 0 done")]
    listed = {int(code) for code in re.findall(r"(?:: |· )([0-9]+)\b", line)}
    assert set(EXITS) <= listed
