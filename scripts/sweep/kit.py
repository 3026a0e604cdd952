"""Which helm-sweep this is: the commit of its code and the version of its chart."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sweep import git
from sweep.layout import Kit


@dataclass(frozen=True)
class About:
    commit: str
    """`-dirty` at its end: with changes beside it; `unknown`: neither in a clone nor built from one."""
    chart: str


def about() -> About:
    """Of an installed wheel as it was built; of a clone as it lies there."""
    kit = Kit.here()
    version = re.search(r"^version: (\S+)$", (kit.chart / "Chart.yaml").read_text(), re.MULTILINE)
    assert version, "Chart.yaml has no version"
    if kit.commit.exists():
        return About(_short(kit.commit.read_text().strip()), version[1])
    if not (kit.root / ".git").exists():
        return About("unknown", version[1])
    return About(_short(f"{git.head(kit.root)}{'-dirty' if git.dirty(kit.root) else ''}"), version[1])


def _short(commit: str) -> str:
    name, dash, rest = commit.partition("-")
    return name[:12] + dash + rest
