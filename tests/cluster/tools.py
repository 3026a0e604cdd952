"""The programs under test; where one is missing, a skip on a developer's machine and a failure in CI."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cluster import build


def missing(what: str) -> NoReturn:
    """End the test: as a failure in CI, where nothing may be missing, else as a skip that says what to do."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} (CI is set, so this is a failure and no skip)")
    pytest.skip(what)


def tool_folder(name: str) -> Path:
    """Folder of a built tool. Tests never build: that takes minutes, and belongs in sight."""
    tool = build.TOOLS[name]
    if not tool.built:
        missing(f"{name} is not built; run `.venv/bin/python tests/cluster/build.py {name}`")
    return tool.folder


def helm_program(name: str) -> Path:
    """helm3 is the one that `make setup` puts into .venv, helm4 is built from its sources."""
    if name == "helm4":
        return tool_folder("helm4") / "helm"
    program = shutil.which("helm", path=f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if not program:
        missing("helm: not found beside this Python nor on PATH; run `make setup`")
    return Path(program)
