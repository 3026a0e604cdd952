"""A clone may lie anywhere: whole sweeps below names that shells, CSV, URLs and Git read in ways of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.engines import pod
from sweep.layout import Clone
from sweep.session import open_sweep
from tests.e2e.support import ROOT, TestClone

NAMES = {
    "comma": "a,b",
    "quotes": "\"double\" 'single'",
    "space": " a  b ",
    "newline": "two\nlines\r",
    "dollar": "$HOME $(SEED) $$ ${x}",
    "percent": "100%zz %41",
    "hash": "#1 a: b # c",
    "escape": "back\\slash\ttab \x1b[31m",
    "unicode": "größe 模型 🎲",
    "glob": "*?[a]~{b,c}",
    "dash": "-f --output=x",
    "mount": "sweep/results/sweep/data",
}
POD = dict.fromkeys(("metadata.name", "metadata.uid", "spec.nodeName"), "x")
TRAIN = """
import json, os
hyperparameters = json.load(open(os.environ["HYPERPARAMETERS_FILE"]))
open(os.environ["CHECKPOINT_DIR"] + "/1.bin", "w").close()
print(os.environ["HYPERPARAMETERS_FILE"])
json.dump({"score": hyperparameters["x"]}, open(os.environ["METRICS_FILE"], "w"))
"""


def clone_at(root: Path) -> TestClone:
    """A clone of what a sweep needs, with one committed trainer."""
    for name in ("chart", "scripts", "schemas", "web", "values/base.yaml"):
        source = ROOT / name
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    (root / "toy").mkdir()
    (root / "toy" / "train.py").write_text(TRAIN)
    (root / ".gitignore").write_text("/out/\n/results/\n__pycache__/\n")
    clone = TestClone(root)
    clone.edit({"x": 1}, {"x": 2}, code={"path": "toy"}, hyperparameters={})
    clone.git("init", "--quiet", "--initial-branch=main")
    clone.git("config", "user.name", "t")
    clone.git("config", "user.email", "t@t")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message=start")
    return clone


def test_a_sweep_runs_from_its_space_to_its_winner_below_any_name(tmp_path: Path) -> None:
    clone = clone_at(tmp_path / "".join(name + "/" for key, name in NAMES.items() if key != "mount"))
    output = clone.run("drive", "toy")
    rows = clone.rows()
    assert [row["status"] for row in rows.values()] == ["succeeded", "succeeded"]
    trial = next(iter(rows))
    assert "-f --output=x/out/toy/jobs/" in clone.run("logs", "toy", trial)
    assert "toy: 2 trials" in output
    assert clone.git("status", "--porcelain") == ""
    clone.run("trace", trial, "--sweep", "toy")
    clone.run("reproduce", trial, "--sweep", "toy")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_sweep_renders_below_this_name(name: str, tmp_path: Path) -> None:
    session = open_sweep(Clone(clone_at(tmp_path / name).root), "toy")
    for job in session.rendered.jobs:
        process = pod.process(job, session.rendered.config_maps, work=session.files.jobs / "work", pod=POD, host={})
        assert f"--results={session.files.clone.root}/results" in process.argv
    assert len(session.rendered.jobs) == 2


@pytest.mark.parametrize("name", [b"latin-\xe9", "c1-\x85".encode()], ids=["not UTF-8", "NEL"])
def test_a_path_that_no_manifest_can_hold_is_refused_before_anything(name: bytes, tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(name)
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, root / "scripts" / "plan.py", "toy"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("which is no text that YAML can carry; rename that folder\n")
    assert not (root / "out").exists()
