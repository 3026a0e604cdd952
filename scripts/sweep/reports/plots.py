"""The report's charts as static SVG, drawn by ECharts in node from the same source: for a README, a paper, a slide."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from sweep.errors import Unreachable
from sweep.files import write_atomic

TEMPLATES = Path(__file__).with_name("templates")
OWN = re.compile(r"parallel|pair|importance|front|rungs|progress|curves|timeline|hyperparameter-\d+")
"""What plots.js names its plots."""
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def colours() -> dict[str, str]:
    """The light colours of report.css, by name."""
    light = (TEMPLATES / "report.css").read_text().split("}")[0]
    return dict(re.findall(r"--([\w-]+): (#\w+);", light))


def svgs(data: dict[str, Any], charts: Path) -> dict[str, str]:
    """Name -> SVG of what report.embedded gave; `charts` is the bundle of ECharts. Raises Unreachable without node."""
    node = shutil.which("node")
    if not node:
        raise Unreachable("node: not found, and it draws the plots; the report has the same charts")
    given = {"sources": [str(charts), str(TEMPLATES / "charts.js")], "colours": colours(), "data": data}
    script = [node, str(TEMPLATES / "plots.js")]
    done = subprocess.run(
        script, input=json.dumps(given), capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        error = re.search(r"^\w*Error\b.*", done.stderr, re.MULTILINE)
        raise Unreachable(
            f"node: {error[0] if error else f'ended with {done.returncode}'}; the report has the same charts"
        )
    return {name: NOT_XML.sub("\ufffd", svg) for name, svg in json.loads(done.stdout).items()}


def write(folder: Path, drawn: dict[str, str]) -> None:
    """Every plot as <name>.svg, and none that was drawn of an earlier state."""
    for old in folder.glob("*.svg"):
        if OWN.fullmatch(old.stem) and old.stem not in drawn:
            old.unlink()
    for name, svg in drawn.items():
        write_atomic(folder / f"{name}.svg", svg + "\n")
