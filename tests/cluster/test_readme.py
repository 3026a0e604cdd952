"""The commands of the README's section "On your cluster", as they stand there, on a real cluster."""

from __future__ import annotations

import os
import re
import subprocess

from tests.cluster.sweeps import ClusterSweep
from tests.e2e.support import ROOT


def commands() -> list[str]:
    """The indented lines of the section, for the toy sweep."""
    text = (ROOT / "README.md").read_text()
    section = re.search(r"^## On your cluster\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section
    return [line.strip().replace("cifar10-grid", "toy") for line in section[1].splitlines() if line.startswith("    ")]


def test_the_commands_of_the_readme_work(sweep: ClusterSweep) -> None:
    sweep.edit({"x": 1}, {"x": 3})
    sweep.open_gate()
    path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    if sweep.env["HELM"] != str(ROOT / ".venv/bin/helm"):
        (sweep.root / "bin").mkdir()
        (sweep.root / "bin" / "helm").symlink_to(sweep.env["HELM"])
        path = f"{sweep.root / 'bin'}:{path}"
    ran = commands()
    assert [line.split()[1] for line in ran[:3]] == ["sweep", "status", "stop"]
    for command in ran:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=sweep.root,
            env=os.environ | sweep.env | {"PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    assert sorted(sweep.events("start")) == ["1", "3"]
    assert {row["status"] for row in sweep.table()} == {"succeeded"}
