"""The disposable NFS export that $TEST_NFS names as SERVER:/PATH, mounted here beside where Pods mount it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.kubernetes import until
from tests.cluster.tools import missing

OWNER = 1234
"""uid and gid of the folders that Pods get: no Pod runs as it."""
_HOW = "(as root: `tests/cluster/nfs/install`, then TEST_NFS=$(tests/cluster/nfs/up DIR))"


@dataclass(frozen=True)
class Export:
    """An export on which root is nobody. What tests leave there stays: it belongs to others."""

    server: str
    path: str
    folder: Path
    """Where this machine mounts it. Blocks while the server is away."""

    def volume(self, name: str) -> dict[str, Any]:
        """A volume as the values spell it: a folder of the export."""
        return {"nfs": {"server": self.server, "path": f"{self.path}/{name}"}}

    def as_owner(self, script: str, groups: Sequence[int] = ()) -> None:
        """Run a shell script in the export as OWNER, who is in `groups` too."""
        subprocess.run(
            ["/bin/sh", "-euc", script], cwd=self.folder, user=OWNER, group=OWNER, extra_groups=groups, check=True
        )

    def answers(self) -> bool:
        try:
            socket.create_connection((self.server, 2049), 1).close()
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def away(self, seconds: float) -> Iterator[None]:
        """The server is gone in the meantime, and at least so long. Skips where tests may not stop it."""
        stop, start = (os.environ.get(f"TEST_NFS_{word}") for word in ("STOP", "START"))
        if not (stop and start):
            missing("stops the NFS server, and $TEST_NFS_STOP and $TEST_NFS_START do not say how")
        subprocess.run(stop, shell=True, check=True)
        try:
            until(lambda: not self.answers(), lambda: "the NFS server still answers")
            gone = time.monotonic()
            yield
            time.sleep(max(0.0, gone + seconds - time.monotonic()))  # an outage has a length
        finally:
            subprocess.run(start, shell=True, check=True, stdout=subprocess.DEVNULL)
            until(self.answers, lambda: "the NFS server does not answer")


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Export]:
    """$TEST_NFS mounted at `folder`, which is made. Skips, or fails in CI, where there is none."""
    named = os.environ.get("TEST_NFS", "")
    if not named:
        missing(f"no NFS server: set TEST_NFS=SERVER:/PATH to one that tests may fill {_HOW}")
    server, separator, path = named.partition(":")
    if not separator or not path.startswith("/"):
        pytest.fail(f"TEST_NFS={named}: is not SERVER:/PATH")
    folder.mkdir()
    subprocess.run(["mount", "-t", "nfs", "-o", "noac", named, str(folder)], check=True)
    try:
        yield Export(server, path.rstrip("/"), folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
