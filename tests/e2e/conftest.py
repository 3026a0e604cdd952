"""A clone of this working tree, made anew for every test, less the results that shipped sweeps have."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import ROOT, TOY, TestClone


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[TestClone]:
    root = tmp_path / "a clone"  # with a space, as people have them
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists() and not name.endswith("/results.csv"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (root / ".venv").symlink_to(ROOT / ".venv")
    (root / "toy").mkdir()
    (root / "toy" / "train.py").write_text(TOY)
    made = TestClone(root)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("add", "--all")
    made.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=start")
    yield made
    for launcher in made.launchers:
        if launcher.poll() is None:
            launcher.send_signal(signal.SIGKILL)
        launcher.communicate()
