"""The commands of every page that say nothing else about themselves (tests/pages.py), in their order, as typed there.

`helm-sweep …` in a repository of somebody's, `make …` in a clone of this one, both made anew for a page.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import pages
from tests.e2e.support import ROOT, copy_tree

PROGRAM = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--config")
print(f"val_loss={(parser.parse_args().lr - 0.3) ** 2:.4f}")
"""
PAGES = sorted({block.page for block in pages.ALL if block.commands and not block.mark})


def committed(folder: Path) -> None:
    """Make a repository of a folder."""
    git = ["git", "-C", str(folder)]
    for words in (["init"], ["config", "user.name", "t"], ["config", "user.email", "t@t"], ["add", "--all"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    subprocess.run([*git, "commit", "--message=start"], check=True, capture_output=True)


def repository(folder: Path) -> Path:
    """Somebody's."""
    (folder / "conf").mkdir(parents=True)
    (folder / "train.py").write_text(PROGRAM)
    (folder / "conf" / "train.yaml").write_text("lr: 0.1\n")
    committed(folder)
    return folder


def clone(folder: Path) -> Path:
    """Of this repository, with the results that it ships and a trainer of somebody's."""
    copy_tree(folder)
    for table in (ROOT / "values").glob("cifar10-*/results.csv"):
        shutil.copy2(table, folder / "values" / table.parent.name)
    (folder / "mytrainer").mkdir()
    (folder / "mytrainer" / "train.sh").touch()
    committed(folder)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_in_their_order(page: str, tmp_path: Path) -> None:
    commands = [command for block in pages.ALL if block.page == page and not block.mark for command in block.commands]
    program = tmp_path / "bin" / "helm-sweep"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m helm_sweep "$@"\n')
    program.chmod(0o755)
    of_make = commands[0].startswith("make")
    folder = clone(tmp_path / "clone") if of_make else repository(tmp_path / "my-repository")
    if not of_make and "helm-sweep init" not in commands:  # a page that goes on from where others end
        commands = ["helm-sweep init", "helm-sweep new mine -- python train.py --lr {lr}", *commands]
    done = subprocess.run(
        ["bash", "-ec", "\n".join(f"echo '$' {command!r} >&2\n{command}" for command in commands)],
        cwd=folder.parent if "cd my-repository" in commands else folder,
        env=os.environ | {"PATH": f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{page}:\n{done.stdout}\n{done.stderr}"
