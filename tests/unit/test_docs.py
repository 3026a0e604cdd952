"""The tables of docs/reliability.md and docs/security.md: each row names the tests that hold it, and those exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("cifar10-narrow", "cifar10-published")
"""Sweeps whose results are in Git."""
TABLES = {"docs/reliability.md": 45, "docs/security.md": 25}
"""Page -> the fewest rows it may have."""


def rows(page: str) -> list[list[str]]:
    """The cells of every row of a page's tables, without their headers."""
    lines = (ROOT / page).read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return [row for row in cells if row[-1].rstrip(" |") != "test"]


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", TABLES)
def test_every_row_names_tests_that_exist(page: str) -> None:
    table = rows(page)
    assert len(table) >= TABLES[page]
    for row in table:
        references = re.findall(r"`(tests/[\w/.]+)::(\w+)`", row[-1])
        assert references, f"{page}: no test in the row {row[0]!r}"
        for path, name in references:
            assert name in functions(path), f"{page}: {path} has no {name}"


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_a_trial_that_a_page_names_is_in_a_table_that_every_clone_has(page: str) -> None:
    named = re.findall(r"TRIAL=([0-9a-f]{12})", (ROOT / page).read_text())
    tables = "".join((ROOT / "values" / name / "results.csv").read_text() for name in SHIPPED)
    assert named
    assert all(f",{trial}," in tables for trial in named)


DECISIONS = ROOT / "docs" / "decisions"


def test_every_decision_is_in_the_index_with_its_title_and_date() -> None:
    index = (DECISIONS / "README.md").read_text()
    listed = re.findall(r"^- \[(.+)\]\(([a-z0-9-]+)\.md\), (\d{4}-\d\d-\d\d)$", index, re.M)
    pages = {path.stem: path.read_text().splitlines() for path in DECISIONS.glob("*.md") if path.stem != "README"}
    assert sorted(name for _, name, _ in listed) == sorted(pages)
    for title, name, date in listed:
        assert pages[name][0] == f"# {title}"
        assert re.fullmatch(rf"\*(Decided|Measured) {date}(, .+)?\*", pages[name][2]), name
