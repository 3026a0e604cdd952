"""The pages of the repository as a reader has them: their blocks, and what a test does with each.

A block of commands begins with a program of PROGRAMS or with `$ `. By the comment before it (which no reader sees) it
is run by a test that walks its section or page (`<!-- walked: TEST -->` below the heading), needs a cluster
(`<!-- cluster -->`), or is not run for a reason (`<!-- not run: WHY -->`); without a comment
tests/e2e/test_doc_commands.py runs it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *(path for path in sorted(ROOT.glob("docs/**/*.md")) if path.parent.name != "decisions"),
    *sorted(ROOT.glob("examples/*/README.md")),
]
"""Decisions tell of a day, and are not followed by anybody."""
PROGRAMS = (
    "apt-get", "cat", "cd", "chown", "echo", "exportfs", "git", "helm", "helm-sweep", "kubectl", "make", "mkdir",
    "tensorboard", "uv",
)  # fmt: skip
MARK = re.compile(r"<!-- (walked|cluster|not run)(?:: (.+))? -->")


@dataclass(frozen=True)
class Block:
    """Indented or fenced lines of a page."""

    page: str
    line: int
    """Of the page, from 1."""
    lines: tuple[str, ...]
    mark: str
    """`walked`, `cluster`, `not run`, or "" for none."""
    why: str

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def commands(self) -> list[str]:
        """What a reader types, without the remarks behind it; [] of a block that is something else."""
        typed = [line.removeprefix("$ ") for line in self.lines if line.startswith("$ ")] or list(self.lines)
        if not self.lines[0].startswith("$ ") and any(line.split()[0] not in PROGRAMS for line in typed if line):
            return []
        return [re.sub(r" +# .*$", "", line) for line in typed if line]

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What it says as YAML; [] where it says nothing, or is no YAML."""
        reader = YAML(typ="safe")
        reader.allow_duplicate_keys = True  # one way below the other
        try:
            read = list(reader.load_all(self.text))
        except YAMLError:
            return []
        return read if all(isinstance(document, dict) for document in read) else []

    @property
    def kind(self) -> str:
        """commands, manifests, values (of values.yaml or space.yaml), or other."""
        if self.commands:
            return "commands"
        if not self.documents:
            return "other"
        return (
            "manifests" if all({"apiVersion", "kind"} <= document.keys() for document in self.documents) else "values"
        )


def blocks(path: Path) -> list[Block]:
    """Those of a page, in its order."""
    listed: list[Block] = []
    fence, inside, mark = "", list[str](), ("", "")
    walk, heading, under = ("", ""), 0, 0  # of what is below a heading: its level, and that of the last one
    page = str(path.relative_to(ROOT))
    for number, line in enumerate([*path.read_text().splitlines(), "end"], 1):
        if line.startswith("```"):
            fence = "" if fence else "```"
        elif fence or line.startswith("    ") or (inside and not line):
            inside.append(line if fence else line[4:])
            continue
        if inside:
            first = number - len(inside)
            listed.append(
                Block(page, first, tuple("\n".join(inside).rstrip().split("\n")), *(mark if any(mark) else walk))
            )
            inside = []
        if line:
            mark = ("", "")
        if level := len(line) - len(line.lstrip("#")):
            heading = level
            walk = walk if level > under else ("", "")
        elif (named := MARK.fullmatch(line)) and named[1] == "walked":
            walk, under = (named[1], named[2]), heading
        elif named:
            mark = (named[1], named[2] or "")
    return listed


ALL = [block for page in PAGES for block in blocks(page)]
