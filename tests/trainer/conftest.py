"""Puts the trainer's folder first on the path, and imports torch once for all tests.

Run by the trainer's own Python, with pytest beside it: `make test-trainer`, or see trainer/README.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "trainer"), str(HERE)]

import train  # noqa: E402
from small import SMALL, Trial, make_arrays  # noqa: E402

import dataset  # noqa: E402

train.import_torch()
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def arrays() -> dataset.Arrays:
    return make_arrays()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, arrays: dataset.Arrays) -> Path:
    """A folder with the small data set in it."""
    folder = tmp_path_factory.mktemp("data")
    dataset.write(folder, arrays, "made for tests")
    return folder


@pytest.fixture
def trial(tmp_path: Path, data: Path) -> Trial:
    """A small trial of its own folder: three epochs of eight steps."""
    return Trial(tmp_path / "trial", data, **SMALL)
