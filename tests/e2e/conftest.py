"""A clone of this working tree, made anew for every test, less the results that shipped sweeps have."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import TOY, TestClone, copy_tree


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[TestClone]:
    root = tmp_path / "a clone"  # with a space, as people have them
    copy_tree(root)
    (root / "toy").mkdir()
    (root / "toy" / "train.py").write_text(TOY)
    cloned = TestClone(root)
    cloned.git("init", "--quiet", "--initial-branch=main")
    cloned.git("add", "--all")
    cloned.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=start")
    yield cloned
    for launcher in cloned.launchers:
        if launcher.poll() is None:
            launcher.send_signal(signal.SIGKILL)
        launcher.communicate()
