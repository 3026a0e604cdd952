"""A wheel of this tree, installed into an empty environment: what it holds, and a walk in a repository of one's own."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from helm_sweep import verbs
from tests.e2e.support import ROOT

FOLDERS = ("helm_sweep", "scripts", "chart", "schemas", "deploy", "web")
"""What the kit is made of. Below helm_sweep/ in the wheel, as they lie in the clone."""
OF_MAKE = re.compile(rf"\bmake ({'|'.join(verbs.VERBS)})\b")
TRAINER = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.1, help="learning rate")
parser.add_argument("--depth", type=int, default=4)
given = parser.parse_args()
loss = (given.rate - 0.3) ** 2 + given.depth / 100
print(f"epoch 1 done, val_loss: {loss:.4f}")
"""
UV = [sys.executable, "-m", "uv"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run([*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", str(folder), str(ROOT)], folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("installed") / "venv"
    run([*UV, "venv", "--quiet", "--python", sys.executable, str(place)], wheel.parent)
    versions = ROOT / "requirements" / "launcher.lock"
    install = [*UV, "pip", "install", "--quiet", "--python", str(place / "bin" / "python")]
    run([*install, "--constraint", str(versions), str(wheel)], wheel.parent)
    return place / "bin" / "helm-sweep"


def run(call: list[str], folder: Path, code: int = 0) -> str:
    """Stdout and stderr of a program that nobody tells where the clone is."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "HELM"))}
    done = subprocess.run(call, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, f"{call}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_it_holds_the_bytes_of_the_tree_and_nothing_else(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()}
    wanted = {name if name.startswith("helm_sweep/") else f"helm_sweep/{name}": ROOT / name for name in names}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert held == wanted.keys() | {"helm_sweep/COMMIT", "helm_sweep/web/echarts.min.js"}
        assert [name for name, path in wanted.items() if archive.read(name) != path.read_bytes()] == []


def test_a_sweep_of_ones_own_program_in_ones_own_repository(program: Path, tmp_path: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert run([str(program), "--version"], tmp_path).startswith(f"helm-sweep 0.1.0 (commit {head[:12]}")
    output = run([str(program), "status", "mine"], tmp_path, code=2)
    assert "no project here" in output
    run(["git", "init", "--quiet"], tmp_path)
    project, ml = tmp_path / "team", tmp_path / "team" / "ml"  # of a monorepo
    ml.mkdir(parents=True)
    (ml / "train.py").write_text(TRAINER)
    run(["git", "add", "--all"], tmp_path)
    run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=code"], tmp_path)
    run([str(program), "init"], project)
    output = run([str(program), "new", "mine", "--", "python3", "train.py", "--rate", "{rate}"], ml)
    assert "edit them, `helm-sweep check mine` tries one trial, then `helm-sweep run mine`" in output
    assert "val_loss" in run([str(program), "check", "mine"], ml)
    space = project / "values" / "mine" / "space.yaml"
    assert "rate: {type: float, low: 0.01, high: 1.0, log: true}  # learning rate; default 0.1" in space.read_text()
    space.write_text(space.read_text().replace("n: 8", "n: 2"))
    output = run([str(program), "run", "mine"], ml)
    assert "make " not in output
    with (project / "values" / "mine" / "results.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["status"] for row in rows] == ["succeeded"] * 2
    report = (project / "out" / "mine" / "report.html").read_text()
    assert "echarts" in report
    written = [report.partition("<script>")[0], *(path.read_text() for path in space.parent.iterdir())]
    assert [text for text in written if OF_MAKE.search(text)] == [], "there is no Makefile here"
    assert run(["git", "status", "--porcelain"], tmp_path) == ""
    assert "2 already done" in run([str(program), "plan", "mine", "--project", str(project)], Path("/"))
    commands = json.loads(run([str(program), "trace", rows[0]["id"], "--json"], project))["commands"]
    assert (
        float(rows[0]["hp.rate"]) == json.loads(run(["sh", "-c", commands["the line"]], tmp_path).strip("- \n"))["rate"]
    )
    assert "train.py" in run(["sh", "-c", commands["the code"]], tmp_path)


def blocks_of(page: str) -> Iterator[tuple[str, list[str]]]:
    """(the line before it, its lines) of every indented block of a page."""
    before, block = "", list[str]()
    for line in [*page.splitlines(), "end"]:
        if line.startswith("    ") or (block and not line):
            block.append(line[4:])
        else:
            if block:
                yield before, block
                block = []
            before = line or before


def test_the_tutorial_is_what_happens(program: Path, tmp_path: Path) -> None:
    """Each command of docs/tutorial.md, in turn: what it is said to print, it prints, in this order."""
    run(["git", "init", "--quiet"], tmp_path)
    commands = 0
    for before, block in blocks_of((ROOT / "docs" / "tutorial.md").read_text()):
        if not block[0].startswith("$ "):
            (name,) = re.findall("`([a-z.]+)`:$", before)
            (tmp_path / name).write_text("\n".join(block))
            continue
        for command, *expected in (part.splitlines() for part in "\n".join(block).split("$ ") if part):
            winner = tmp_path / "values" / "mine" / "best.yaml"
            if "TRIAL" in command:
                (trial,) = re.findall("^  # ([0-9a-f]{12}):", winner.read_text(), re.MULTILINE)
                command = command.replace("TRIAL", trial)
            if command.startswith("helm-sweep"):
                words = [str(program), *command.replace("{", "'{").replace("}", "}'").split()[1:]]
                call = ["sh", "-c", " ".join(words)]
            else:
                call = ["sh", "-c", command]
            output = re.sub("git show [0-9a-f]{12}", "git show COMMIT", run(call, tmp_path))
            for line in filter(None, expected):
                assert line in output, (command, line, output)
            commands += 1
    assert commands > 10
