"""A person and their throwaway clone."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweep.layout import Clone
from tests.unit.trial_support import Bench, Fifo

HERE = Clone.here().root
SPACE = tomllib.loads((Path(__file__).parent / "bad_inputs" / "space.toml").read_text())["base"]
BASE = "{image: {repository: none, tag: none}, local: {requirements: null}}\n"


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n name = Ada\n email = ada@example.org\n[init]\n defaultBranch = main\n")
    for key, value in {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)


@pytest.fixture
def clone(tmp_path: Path, person: None) -> Clone:  # noqa: ARG001
    """A clone with one commit, and values/demo/space.yaml not yet committed."""
    root = tmp_path / "clone"
    for name in ("schemas", "chart"):
        shutil.copytree(HERE / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "values").mkdir()
    (root / "values" / "base.yaml").write_text(BASE)
    (root / ".gitignore").write_text("/out/\n")
    (root / "trainer").mkdir()
    (root / "trainer" / "train.py").write_text("print('hello')\nprint('world')\n")
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=first"]):
        subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
    clone = Clone(root)
    files = clone.sweep("demo")
    files.folder.mkdir(parents=True)
    files.space.write_text(SPACE)
    return clone


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Where one trial after another is run by the chart's runner."""
    opened = Bench(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Callable[[str], Fifo]]:
    fifos: list[Fifo] = []

    def make(name: str) -> Fifo:
        fifos.append(Fifo(tmp_path / name))
        return fifos[-1]

    yield make
    for opened in fifos:
        opened.close()
