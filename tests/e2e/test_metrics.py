"""A program that knows nothing of helm-sweep, swept by a values file alone: its metrics are read as it tells them."""

from __future__ import annotations

import csv
import json
from typing import Any

from tests.e2e.support import TestClone

PROGRAM = """
import csv, sys
import mlflow
from tensorboardX import SummaryWriter

rate = float(sys.argv[1])
mlflow.set_experiment("mine")
with mlflow.start_run(), SummaryWriter("runs/now") as board, open("runs/now/metrics.csv", "w") as table:
    rows = csv.writer(table)
    rows.writerow(["epoch", "val_acc"])
    for epoch in range(1, 4):
        loss, accuracy = rate / epoch, 0.9 - abs(epoch - 2) / 10 - rate
        print(f"\\rEpoch {epoch}/3: \\033[1mloss\\033[0m {loss:.4f}", end="", flush=True)
        print(f" accuracy: {100 * accuracy:.1f}%")
        board.add_scalar("loss/train", loss, epoch)
        board.add_histogram("weights", [loss, accuracy], epoch)
        rows.writerow([epoch, accuracy])
        mlflow.log_metric("val/loss", loss, step=epoch)
"""
METRICS: list[dict[str, Any]] = [
    {"from": "output", "pattern": r"Epoch (?P<epoch>\d+)/.*loss (?P<loss>[\d.]+) accuracy: (?P<accuracy>[\d.]+)%"},
    {
        "from": "file",
        "path": "runs/*/metrics.csv",
        "format": "csv",
        "take": {"max": "val_acc"},
        "names": {"best": "val_acc"},
    },
    {"from": "tensorboard", "path": "runs/**", "take": "first"},
    {"from": "mlflow", "path": "mlruns", "take": {"max": "val/loss"}, "names": {"worst": "val/loss"}},
]


def test_a_program_is_swept_unchanged_whatever_it_logs_with(clone: TestClone) -> None:
    (clone.root / "toy" / "train.py").write_text(PROGRAM)
    clone.git("add", "toy")
    clone.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=toy")
    clone.edit(
        {"rate": 0.25},
        {"rate": 0.5},
        command=["python", "train.py", "{rate}"],
        metrics=METRICS,
        objective={"metric": "best", "direction": "maximize"},
        env={"MLFLOW_TRACKING_URI": "file:./mlruns", "MLFLOW_ALLOW_FILE_STORE": "true"},
        local={"requirements": "requirements/programs.lock"},
    )
    clone.run("expand", "toy", "--code", "toy")
    clone.run("drive", "toy")
    with (clone.root / "values" / "toy" / "results.csv").open() as opened:
        rows = {float(row["hp.rate"]): row for row in csv.DictReader(opened)}
    for rate, row in rows.items():
        metrics = {name.removeprefix("metric."): float(row[name]) for name in row if name.startswith("metric.")}
        assert metrics == {
            "epoch": 3,
            "loss": round(rate / 3, 4),
            "accuracy": round(100 * (0.8 - rate), 1),
            "best": 0.9 - rate,
            "loss/train": rate,
            "worst": rate,
        }
    (path,) = (clone.root / "results" / "trials").glob(f"*/{rows[0.5]['id']}/attempts/*/history.jsonl")
    curve = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["epoch"] for row in curve] == [1, 2, 3]
    assert curve[1] == {
        "epoch": 2, "loss": 0.25, "accuracy": 40.0, "best": 0.4, "loss/train": 0.25, "worst": 0.25,
    }  # fmt: skip
