"""Checkpoints that survive a kill at any moment, a slow disk, and rot: an epoch each, the newest two kept."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dataset

if TYPE_CHECKING:
    from torch import Tensor


class Checkpoints:
    """epoch-0003.pt and the one before it: a sha256 (torch.load checks none), then what torch.save writes.

    Trials of one lineage share the folder: epochs beyond this trial's own belong to a longer one, and stay. The
    fingerprint tells what must agree for one trial to go on where another stopped. Without a folder nothing is kept.
    Raises OSError where the folder cannot be written.
    """

    def __init__(self, folder: str | None, fingerprint: str) -> None:
        self.folder, self.fingerprint = Path(folder) if folder else None, fingerprint
        self.writer, self.pending = ThreadPoolExecutor(1), Future[None]()
        self.pending.set_result(None)
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()  # raises now, not after an epoch, if it cannot be written

    def epochs(self) -> list[tuple[int, Path]]:
        """The checkpoints that there are, the newest first."""
        if not self.folder:
            return []
        named = [(re.fullmatch(r"epoch-(\d+)\.pt", path.name), path) for path in self.folder.iterdir()]
        return sorted(((int(match[1]), path) for match, path in named if match), reverse=True)

    def newest(self, last: int) -> dict[str, Any] | None:
        """The newest usable one up to epoch `last`; says which ones are not usable."""
        import torch

        for path in [path for epoch, path in self.epochs() if epoch <= last]:
            try:
                content = path.read_bytes()
                if hashlib.sha256(content[32:]).digest() != content[:32]:
                    raise ValueError("its bytes do not have its hash")
                saved: dict[str, Any] = torch.load(io.BytesIO(content[32:]), map_location="cpu", weights_only=True)
                if saved["fingerprint"] != self.fingerprint:
                    raise ValueError("it is of other hyperparameters, seed or data")
                return saved
            except (OSError, ValueError) as error:
                message = f"train: checkpoint {path} is not usable, going back to the one before: {error}"
                print(message, file=sys.stderr, flush=True)
        return None

    def save(self, epoch: int, state: list[Tensor], random: Tensor, history: list[dict[str, Any]]) -> None:
        """Copy now, write while the next epoch trains: a slow disk costs little. Raises as `settle`."""
        self.settle()
        if self.folder:
            content = {"state": [t.to("cpu", copy=True) for t in state], "random": random, "history": [*history]}
            path = self.folder / f"epoch-{epoch:04}.pt"
            self.pending = self.writer.submit(self._write, path, epoch, content | {"fingerprint": self.fingerprint})

    def settle(self) -> None:
        """Wait until what was saved is on disk. Raises OSError if it could not be written."""
        self.pending.result()

    def _write(self, path: Path, epoch: int, saved: dict[str, Any]) -> None:
        import torch

        torch.save(saved, content := io.BytesIO())
        dataset.replace(path, hashlib.sha256(content.getbuffer()).digest(), content.getbuffer())
        with contextlib.suppress(OSError):  # another attempt tidies up too
            killed = [left for left in path.parent.glob(".epoch-*") if left.stat().st_mtime < time.time() - 3600]
            for old in [*killed, *(earlier for number, earlier in self.epochs() if number < epoch - 1)]:
                old.unlink()
