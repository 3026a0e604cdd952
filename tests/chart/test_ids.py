"""Every id that is committed today stays what it is, whatever becomes of the chart: ids.json is never made anew.

A trial whose id changes has lost its result. So this holds the trials of every sweep of the tree, as a cluster would
run them and as results.csv has them, and those of the chart's own examples, which have an environment, code from Git
and a budget.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep import render
from sweep.layout import Clone
from sweep.records import results

CLONE = Clone.here()
HELD: dict[str, list[str]] = json.loads((Path(__file__).parent / "ids.json").read_text())
"""Values file, and the image after it where results.csv names one -> `id lineage` of its trials, in order."""
SWEEPS = [name for name in CLONE.sweeps if CLONE.relative(CLONE.sweep(name).values) in HELD]


def ids_of(key: str, folder: Path) -> list[str]:
    """`id lineage` of the trials of one key of ids.json."""
    path, _, image = key.partition(" ")
    values = CLONE.root / path
    files = [values] if values.is_relative_to(CLONE.chart) else [CLONE.base, values.with_name("code.yaml"), values]
    if image:
        (folder / "image.yaml").write_text(json.dumps({"image": {"repository": "local", "digest": image}}))
        files.append(folder / "image.yaml")
    manifest = render.render(CLONE.chart, values.parent.name, [file for file in files if file.exists()])
    return [f"{trial.id} {trial.lineage}" for trial in manifest.trials]


@pytest.mark.parametrize("key", HELD)
def test_ids_and_lineages_stay(tmp_path: Path, key: str) -> None:
    now = ids_of(key, tmp_path)
    for place, (before, after) in enumerate(zip(HELD[key], now, strict=False)):
        assert after == before, f"{key}: trials[{place}] was {before} and is now {after}: its result would be lost"
    assert len(now) >= len(HELD[key])


@pytest.mark.parametrize("sweep", SWEEPS)
def test_committed_results_are_those_of_trials_still_rendered(tmp_path: Path, sweep: str) -> None:
    values = CLONE.relative(CLONE.sweep(sweep).values)
    rows = results.read(CLONE.sweep(sweep).results)
    assert rows
    for image in {row.image for row in rows}:
        ids = {line.split()[0] for line in ids_of(f"{values} {image}", tmp_path)}
        assert sorted(row.id for row in rows if row.image == image and row.id not in ids) == []
