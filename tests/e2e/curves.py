"""A program that prints a learning curve and knows nothing of rules that stop it, and a sweep of it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

PROGRAM = """
import sys, time

rate, pause = map(float, sys.argv[1:])
for epoch in range(1, 28):
    print(f"epoch={epoch} accuracy={rate}", flush=True)
    end = time.monotonic() + (pause if rate < 0.5 and epoch == 3 else 0.02)
    while time.monotonic() < end:  # who is to be stopped is trained until it is
        time.sleep(0.02)
"""
SWEEP: dict[str, Any] = {
    "command": ["python3", "train.py", "{rate}", "8"],
    "metrics": [{"from": "output", "format": "name=value"}],
    "objective": {"metric": "accuracy", "direction": "maximize"},
}
RULE = {"rule": "asha", "min": 1, "eta": 3, "max": 27, "min_peers": 0}


def rows_of(root: Path) -> dict[float, dict[str, str]]:
    """Rate -> its row of results.csv."""
    with (root / "values" / "toy" / "results.csv").open() as opened:
        return {float(row["hp.rate"]): row for row in csv.DictReader(opened)}
