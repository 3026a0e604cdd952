"""The real trainer through the real path: a smaller quickstart, and what it leaves in the store."""

from __future__ import annotations

import csv
import json

import jsonschema

from tests.e2e.support import ROOT, TestClone


def test_quickstart_with_the_real_trainer_and_data(clone: TestClone) -> None:
    folder = clone.root / "values/quickstart"
    for name in ("space.yaml", "values.yaml"):
        text = (folder / name).read_text()
        text = text.replace("epochs: 5", "epochs: 1").replace('"epochs": 5', '"epochs": 1')
        text = text.replace("10000", "2000").replace("n: 8", "n: 2")
        (folder / name).write_text(text)
    output = clone.run("drive", "quickstart")
    assert "quickstart: 2 trials (random, n=2, seed=0)" in output

    with (folder / "results.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["status"] for row in rows] == ["succeeded"] * 2
    assert all(0.05 < float(row["metric.test_accuracy"]) < 1 for row in rows)
    assert {row["engine"] for row in rows} == {"local"}

    for kind, pattern in (("result", "*/*/result.json"), ("attempt", "*/*/attempts/*/attempt.json")):
        schema = json.loads((ROOT / "schemas" / f"{kind}.schema.json").read_text())
        paths = list((clone.root / "results/trials").glob(pattern))
        assert len(paths) == 2
        for path in paths:
            jsonschema.validate(json.loads(path.read_text()), schema)
    assert clone.git("status", "--porcelain") == ""
    assert not list((clone.root / "results/checkpoints").glob("*/*/*")), "checkpoints go once a result stands"
