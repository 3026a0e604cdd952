"""A small data set, and trials of it as processes or in this one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hardware
import numpy as np
import pytest
import torch
import train

import dataset

TRAINER = Path(train.__file__).parent
GPU = hardware.device().type == "cuda"
# A CPU gives the same bits every time as it is, a GPU only where it is told to.
SMALL = {"epochs": 3, "width": 4, "batch_size": 32, "validation_examples": 64, "deterministic": GPU}


def make_arrays(train_images: int = 320, test_images: int = 100) -> dataset.Arrays:
    """Images whose classes can be told apart: each class has a colour and a pattern of its own, under noise."""
    random = np.random.RandomState(5)
    patterns = random.randint(0, 256, (10, 32, 32, 3))

    def images(count: int) -> tuple[Any, Any]:
        labels = random.randint(0, 10, count).astype(np.uint8)
        return ((patterns[labels] + random.randint(0, 256, (count, 32, 32, 3))) // 2).astype(np.uint8), labels

    return dataset.Arrays(*images(train_images), *images(test_images))


class Trial:
    """One trial's folder and environment, to be trained as a process or in this one."""

    def __init__(self, folder: Path, data: Path, **hyperparameters: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.checkpoints = folder, folder / "checkpoints"
        self.history_file, self.metrics_file = folder / "history.jsonl", folder / "metrics.json"
        self.env = {
            "HYPERPARAMETERS_FILE": str(folder / "hyperparameters.yaml"),
            "DATA_DIR": str(data),
            "DATA_ID": dataset.check(data).id,
            "METRICS_FILE": str(self.metrics_file),
            "HISTORY_FILE": str(self.history_file),
            "CHECKPOINT_DIR": str(self.checkpoints),
            "SEED": "3",
            "OMP_NUM_THREADS": "1",
        }
        self.write(hyperparameters)

    def write(self, hyperparameters: Any) -> None:
        Path(self.env["HYPERPARAMETERS_FILE"]).write_text(json.dumps(hyperparameters))

    def start(self, **kwargs: Any) -> subprocess.Popen[str]:
        """The trial as a process; its environment is `env` and nothing of this process but PATH."""
        env = {name: value for name, value in self.env.items() if value} | {"PATH": os.environ["PATH"]}
        command = [sys.executable, str(TRAINER / "train.py")]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)

    def run(self) -> tuple[int, str]:
        """Exit code and stderr."""
        process = self.start()
        _, stderr = process.communicate(timeout=60)
        return process.returncode, stderr

    def train(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """Train in this process, without the two seconds of a start; what METRICS_FILE then holds."""
        for name, value in self.env.items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        train.main()
        return self.metrics()

    def metrics(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.metrics_file.read_text())
        return record

    def history(self) -> list[dict[str, Any]]:
        """The epochs' lines, less what a clock says."""
        rows = [json.loads(line) for line in self.history_file.read_text().splitlines()]
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]

    def weights(self) -> list[torch.Tensor]:
        """The state in the newest checkpoint, read without the trainer's help."""
        newest = max(self.checkpoints.glob("epoch-*.pt"))
        state: list[torch.Tensor] = torch.load(io.BytesIO(newest.read_bytes()[32:]))["state"]
        return state
