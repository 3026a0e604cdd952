"""What the winner left stays and is fetched; what the others left goes once the sweep is over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.support import TestClone

SAVE = '; import json, os; open(os.environ["OUTPUT_DIR"] + "/model", "w").write(str(x)); '
PROGRAM = (
    'import json, os; x = json.load(open(os.environ["HYPERPARAMETERS_FILE"]))["x"]'
    + SAVE
    + 'json.dump({"score": x}, open(os.environ["METRICS_FILE"], "w"))'
)


def kept(clone: TestClone) -> list[str]:
    """Contents of what lies in the store."""
    return sorted(path.read_text() for path in clone.root.glob("results/trials/*/*/attempts/*/outputs/model"))


@pytest.mark.parametrize(("keep", "left"), [("best 1", ["3"]), ("best 2", ["2", "3"]), ("none", [])])
def test_what_is_kept_is_what_the_values_say(clone: TestClone, tmp_path: Path, keep: str, left: list[str]) -> None:
    more = {"command": ["python3", "-c", PROGRAM], "outputs": {"keep": keep}}
    clone.edit({"x": 1}, {"x": 2}, {"x": 3}, **more)
    clone.run("expand", "toy", "--code", "toy")
    clone.run("drive", "toy")
    assert kept(clone) == left
    if keep == "none":
        assert "left no outputs" in clone.run("fetch", "toy", "best", code=2)
        return
    best = (clone.root / "values" / "toy" / "best.yaml").read_text()
    assert "make fetch SWEEP=toy TRIAL=" in best
    ids = {row["hyperparameters"]["x"]: trial for trial, row in clone.rows().items()}
    clone.run("fetch", "toy", "best", "--to", str(tmp_path / "to"))
    assert (tmp_path / "to" / "model").read_text() == "3"
    assert "there is one of 3 sweeps: cifar10-narrow cifar10-published toy" in clone.run("fetch", "best", code=2)
    for word in ("toy", ids[3]):  # a sweep's best, and a trial of whatever sweep
        assert f"out/toy/outputs/{ids[3]}" in clone.run("fetch", word)
    assert "neither an id nor a sweep in values/" in clone.run("fetch", "tyo", code=2)
    if keep == "best 1":
        output = clone.run("fetch", "toy", ids[1][:6], code=2)
        assert f"its outputs were removed, as `outputs` says; `make reproduce TRIAL={ids[1]}`" in output
        assert clone.git("status", "--porcelain") == ""
        # Another sweep has the same trials: its winner is not this one's to judge.
        clone.edit({"x": 1}, **more, hyperparameters={"gate": str(clone.gate), "more": 1})
        clone.run("drive", "toy")
        assert kept(clone) == ["1", "3"]


def test_the_files_are_listed_as_data(clone: TestClone) -> None:
    clone.edit({"x": 5}, command=["python3", "-c", PROGRAM])
    clone.run("expand", "toy", "--code", "toy")
    clone.run("drive", "toy")
    out, _ = clone.start("fetch", "toy", "best", "--dry-run", "--json").communicate(timeout=60)
    (listed,) = json.loads(out)["files"]
    assert (listed["path"], listed["bytes"]) == ("model", 1)
    assert not (clone.root / "out" / "toy" / "outputs").exists()


def test_what_best_yaml_names_is_kept_too(clone: TestClone) -> None:
    """A cheaper point that was asked for is not the best one, and its model is what it was asked for."""
    costs = PROGRAM.replace('{"score": x}', '{"score": x, "durations": {"train_s": x}}')
    more = {"command": ["python3", "-c", costs]}
    clone.edit({"x": 1}, {"x": 2}, {"x": 3}, **more, outputs={"keep": "all"})
    clone.run("expand", "toy", "--code", "toy")
    clone.run("drive", "toy")
    clone.edit({"x": 1}, {"x": 2}, {"x": 3}, **more, outputs={"keep": "best 1"})
    clone.run("best", "toy", "--max-cost", "1.5")
    assert kept(clone) == ["1", "3"]


def test_where_room_cannot_be_made_the_winner_is_written_all_the_same(clone: TestClone) -> None:
    clone.edit({"x": 1}, {"x": 3}, command=["python3", "-c", PROGRAM])
    clone.run("expand", "toy", "--code", "toy")
    memory = clone.root / "out" / "toy" / "removed-outputs"
    memory.mkdir(parents=True)
    output = clone.run("drive", "toy")
    assert "the outputs of the other trials stay for now: toy/removed-outputs" in output.replace("out/", "")
    assert (clone.root / "values" / "toy" / "best.yaml").exists()
    memory.rmdir()
    assert "removed the outputs of 1 trial" in clone.run("drive", "toy")
    assert kept(clone) == ["3"]
