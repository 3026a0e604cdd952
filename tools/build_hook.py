"""What a wheel holds beside files of the tree: the commit it was built from, and the report's chart library, built."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface[Any]):
    """Found by its name; see pyproject.toml."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # it is the clone itself
        with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
            file.write(f"{commit(self.root)}\n")
        self.written = Path(file.name)
        build_data["force_include"][file.name] = "helm_sweep/COMMIT"
        if library := chart_library(self.root):
            build_data["force_include"][str(library)] = f"helm_sweep/web/{library.name}"

    def finalize(self, *_: object) -> None:
        if hasattr(self, "written"):
            self.written.unlink(missing_ok=True)


def commit(root: str) -> str:
    """HEAD, `-dirty` where the tree has something else; `unknown` outside a clone."""
    asked = ("rev-parse", "HEAD"), ("status", "--porcelain")
    head, changes = (subprocess.run(["git", "-C", root, *words], capture_output=True, text=True) for words in asked)
    if head.returncode:
        return "unknown"
    return head.stdout.strip() + ("-dirty" if changes.stdout.strip() else "")


def chart_library(root: str) -> Path | None:
    """The bundle; None where npm cannot make it: then the first report does, on the machine of its reader."""
    sys.path.insert(0, str(Path(root) / "scripts"))
    from sweep.errors import SweepError
    from sweep.reports import vendor

    try:
        return vendor.vendored_echarts()
    except SweepError as error:
        print(f"helm-sweep: the wheel has no chart library: {error}", file=sys.stderr)
        return None
