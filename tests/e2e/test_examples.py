"""The sweeps of examples/, run as their pages say."""

from __future__ import annotations

import csv

import pytest

from tests.e2e.support import TestClone

TRIALS = {"example-shell": 8, "example-sklearn": 36}


@pytest.mark.parametrize("sweep", TRIALS)
def test_example_runs_to_a_winner(clone: TestClone, sweep: str) -> None:
    clone.run("drive", sweep)
    with (clone.root / "values" / sweep / "results.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["status"] for row in rows] == ["succeeded"] * TRIALS[sweep]
    assert min(float(row["objective"]) for row in rows) < 0.4
    assert (clone.root / "values" / sweep / "best.yaml").exists()
