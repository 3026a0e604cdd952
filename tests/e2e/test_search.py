"""The sweeps search-*, one a sampler, from space.yaml to a winner on the local engine, with a trainer of no work."""

from __future__ import annotations

import csv
import json
import signal

import pytest

from tests.e2e.support import TestClone
from tests.waiting import until

TRIALS = {"search-sobol": 12, "search-lhs": 8, "search-explicit": 9, "search-multi": 16}


def rows(clone: TestClone, sweep: str) -> list[dict[str, str]]:
    path = clone.root / "values" / sweep / "results.csv"
    if not path.exists():
        return []
    with path.open() as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize("sweep", TRIALS)
def test_every_sampler_runs_to_a_winner_and_can_be_replayed(clone: TestClone, sweep: str) -> None:
    output = clone.run("drive", sweep)
    assert [row["status"] for row in rows(clone, sweep)] == ["succeeded"] * TRIALS[sweep]
    assert ("Pareto front of error (minimize), cost (minimize): " in output) == (sweep == "search-multi")
    assert (clone.root / "values" / sweep / "best.yaml").exists()
    assert ": differs" not in clone.run("replay", sweep)
    assert clone.git("status", "--porcelain") == ""


def test_halving_goes_on_from_checkpoints_and_drops_what_diverged(clone: TestClone) -> None:
    clone.run("drive", "search-halving")
    table = rows(clone, "search-halving")
    rungs = {epochs: [row for row in table if row["hp.stop_epoch"] == epochs] for epochs in ("1", "3", "9")}
    assert [len(rung) for rung in rungs.values()] == [9, 3, 1]
    assert {row["status"] for row in rungs["1"]} == {"succeeded", "diverged"}
    assert [{row["metric.from_epoch"] for row in rung} for rung in rungs.values()] == [{"0"}, {"1"}, {"3"}]
    messages = clone.git("log", "--format=%B", "--grep", "go on, by loss at stop_epoch")
    assert messages.count("eliminated:") == 2
    assert "- diverged {" in messages
    rounds = {row["commit"] for row in table}
    assert len(rounds) == 3
    assert clone.run("replay", "search-halving").count(": equal (") == 3


def test_a_round_is_never_made_of_results_of_earlier_code(clone: TestClone) -> None:
    """Not by the command that freezes the new code, nor by one after it, until what is listed has run by it."""
    clone.run("expand", "search-tpe")
    clone.run("submit", "search-tpe")
    clone.run("collect", "search-tpe")
    program = clone.root / "examples" / "functions" / "train.py"
    program.write_text(program.read_text() + "# better\n")
    waits = "round 2 of 3 waits: 7 of 7 trials are not in results.csv; `make sweep` runs them"
    assert waits in clone.run("expand", "search-tpe", "--repin")
    assert waits in clone.run("expand", "search-tpe")
    assert "# round 2" not in (clone.root / "values" / "search-tpe" / "values.yaml").read_text()
    clone.run("submit", "search-tpe")
    clone.run("collect", "search-tpe")
    clone.run("expand", "search-tpe")
    table = rows(clone, "search-tpe")
    assert [row["superseded"] for row in table].count("code") == 7
    assert len(table) == 14
    assert clone.run("replay", "search-tpe").count(": equal (") == 2


def test_a_search_killed_anywhere_goes_on_and_trains_nothing_twice(clone: TestClone) -> None:
    """Killed after its first results, in its second round and in its third: the same command goes on from there."""
    values = clone.root / "values" / "search-tpe" / "values.yaml"
    for number in (1, 2, 3):
        launcher = clone.start("drive", "search-tpe")
        until(lambda: f"# round {number} of 3" in values.read_text(), "the round is written")  # noqa: B023
        launcher.send_signal(signal.SIGKILL)
        launcher.communicate(timeout=60)
    clone.run("drive", "search-tpe")
    table = rows(clone, "search-tpe")
    assert [row["status"] for row in table] == ["succeeded"] * 19
    attempts = [
        json.loads(path.read_text()) for path in (clone.root / "results").glob("trials/*/*/attempts/*/attempt.json")
    ]
    assert sum(attempt["status"] == "succeeded" for attempt in attempts) == 19
    assert {attempt["provenance"]["round"] for attempt in attempts} == {1, 2, 3}
    assert clone.run("replay", "search-tpe").count(": equal (") == 3
