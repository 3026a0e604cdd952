"""docs/errors.md has a row for every exit code, and for every word that a message of ours may begin with."""

from __future__ import annotations

import guard

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sweep import errors
from sweep.records.exits import EXITS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
OURS = {"BadInput", "Unreachable", "NotSetUp", "MachineFault", "TrialsFailed"}


def table(heading: str) -> dict[str, list[str]]:
    """First cell -> the others, of the table in a section."""
    section = re.split(r"^## ", PAGE.partition(f"## {heading}\n")[2], maxsplit=1, flags=re.M)[0]
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {first: rest for first, *rest in cells[1:]}


def heads(place: str, calls: set[str]) -> Iterator[tuple[str, str]]:
    """(what a message begins with up to its colon, its module), `…` for what is filled in; "" where that is all."""
    for path in sorted((ROOT / place).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls:
                either = [[part.body, part.orelse] if isinstance(part, ast.IfExp) else [part] for part in node.args]
                texts = [part for pair in either for part in pair if isinstance(part, ast.JoinedStr | ast.Constant)]
                words = (text(part) for part in texts)
                yield from ((word.partition(":")[0], path.name) for word in words if ":" in word)


def text(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


def unlisted(begun: Iterator[tuple[str, str]], rows: dict[str, list[str]]) -> tuple[set[str], set[str]]:
    """(heads without a row, names of rows that no message begins with)."""
    listed = {name for first in rows for name in re.findall(r"`([^`]+)`", first)}
    have = {re.sub(r"^--.*", "--…", re.sub(r"=….*", "=…", head.strip("`"))) for head, _ in begun if head.strip("…/ ")}
    return have - listed, listed - have


def test_every_exit_code_of_the_program_is_there() -> None:
    def codes(kind: type[errors.SweepError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    listed = {int(code) for code in table("Exit codes of `helm-sweep`")}
    assert listed == codes(errors.SweepError) | {0, guard.INTERRUPTED, guard.INTERNAL}


def test_every_exit_code_of_a_trial_is_there() -> None:
    listed = table("Why a trial failed: its exit code")
    assert {int(code) for code in listed if code.isdigit()} == EXITS.keys() | {0}
    for code, known in EXITS.items():
        word, meaning, follows, *_ = listed[str(code)]
        assert (word, meaning, follows) == (f"`{known.word}`", known.meaning, known.follows)


def test_every_beginning_of_a_message_is_there() -> None:
    assert unlisted(heads("scripts", OURS), table("What a message begins with")) == (set(), set())


def test_every_beginning_of_a_reason_is_there() -> None:
    assert unlisted(heads("chart/files", {"Stop"}), table("What a trial's reason begins with")) == (set(), set())
