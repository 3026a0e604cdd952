"""Sweeps that end at a goal, at what they may spend, or at a time, on this machine; killed and started again."""

from __future__ import annotations

import html
import re
import signal
from datetime import datetime, timedelta

from tests.e2e.support import TestClone
from tests.waiting import until

TRIALS = [{"x": x} for x in range(1, 6)]
"""Their scores are -4, -1, 0, -1 and -4."""
ROUNDS = """objective: {metric: score, direction: maximize}
hyperparameters: {gate: GATE}
space: {x: {type: float, low: 0, high: 6}}
sampler: {name: tpe, rounds: 3, per_round: 2}
"""


def prepared(clone: TestClone, **head: object) -> TestClone:
    clone.edit(*TRIALS, **head)
    clone.run("expand", "toy", "--code", "toy")
    return clone


def set_head(clone: TestClone, old: str, new: str) -> None:
    path = clone.root / "values/toy/values.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def scores(clone: TestClone) -> list[float]:
    return sorted(row["objective"] for row in clone.rows().values() if row["objective"] is not None)


def test_a_goal_holds_back_the_rest_and_a_later_launcher_finds_it_so(clone: TestClone) -> None:
    prepared(clone, goal={"score": -4})  # any trial is good enough
    ids = names(clone)
    assert "  starts no trial once a trial has score >= -4\n" in clone.run("plan", "toy")
    launcher = clone.start("drive", "toy", "--slots", "2")
    until(lambda: len(clone.events("start")) == 2, "two run")
    first = int(clone.events("start")[0])
    clone.open_gate(first)
    until(lambda: is_complete(clone, ids[first]), "the goal is reached")
    launcher.send_signal(signal.SIGKILL)
    launcher.communicate(timeout=60)
    output = " ".join(clone.run("drive", "toy", "--slots", "2").split())
    assert len(clone.events("start")) == 2
    rows = clone.rows()
    (winner,) = (row for row in rows.values() if row["objective"] is not None)
    reached = f"goal: score >= -4 is reached by trial {winner['id']} (score={winner['objective']:g})"
    assert f"toy: {reached}; 4 of 5 trials are not started; raise or remove `goal` to go on" in output
    waiting = [row for row in rows.values() if row["objective"] is None]
    assert {row["reason"] for row in waiting} == {f"held back: {reached}"}
    assert (clone.root / "values/toy/results.csv").read_text().count(f"held back: {reached}") == 4
    assert f"held back: {reached}. Spent" in output
    assert f"held back: {reached}" in html.unescape((clone.root / "out/toy/report.html").read_text())
    assert f"  {reached}: nothing is started\n" in clone.run("plan", "toy")

    set_head(clone, 'goal: {"score": -4}', "goal: null")
    clone.open_gate()
    assert "5 succeeded" in clone.run("drive", "toy")
    assert set(clone.rows()) == set(ids.values())
    assert "held back" not in (clone.root / "values/toy/results.csv").read_text()


def names(clone: TestClone) -> dict[int, str]:
    """x -> the id of its trial."""
    return {row["hyperparameters"]["x"]: trial for trial, row in clone.rows().items()}


def is_complete(clone: TestClone, trial: str) -> bool:
    """By the Job's file, which the launcher keeps."""
    files = (clone.root / "out/toy/jobs").glob(f"*{trial}*.json")
    return any('"condition": "Complete"' in path.read_text() for path in files)


def test_while_some_run_it_is_said_that_they_may_end_and_none_is_started(clone: TestClone) -> None:
    prepared(clone, goal={"score": -4})  # any trial is good enough
    ids = names(clone)
    launcher = clone.start("drive", "toy", "--slots", "2")
    until(lambda: len(clone.events("start")) == 2, "two run")
    first, second = map(int, clone.events("start"))
    clone.open_gate(first)
    until(lambda: is_complete(clone, ids[first]), "one has ended, and is booked")
    clone.open_gate(second)
    output = launcher.communicate(timeout=60)[1]
    assert launcher.returncode == 0
    assert len(clone.events("start")) == 2
    # A result stands a moment before its process is gone: whoever looks just then counts that one among those that run.
    assert re.search("; [12] may end first, none is started\n", output)
    assert len(scores(clone)) == 2


def test_what_is_spent_is_counted_over_all_launchers(clone: TestClone) -> None:
    clone.open_gate()
    prepared(clone, spend={"trial_hours": 0.00001})
    output = clone.run("drive", "toy", "--slots", "1")
    assert re.search(r"toy: spend: [0-9.]+ of 0.00001 trial-hours are spent; [1-4] of 5 trials ", output)
    started = clone.events("start")
    assert "trial-hours are spent; " in clone.run("drive", "toy", "--slots", "1")
    assert clone.events("start") == started
    set_head(clone, '"trial_hours": 1e-05', '"trial_hours": 1.5')
    assert "5 succeeded" in clone.run("drive", "toy", "--slots", "1")


def test_after_its_time_nothing_is_started(clone: TestClone) -> None:
    clone.open_gate()
    past = f"{datetime.now() - timedelta(minutes=1):%Y-%m-%d %H:%M}"
    prepared(clone, until=past)
    output = clone.run("drive", "toy", code=1)  # for there is nothing to choose from
    assert f"toy: until: {past} has passed; 5 of 5 trials are not started; raise or remove `until` to go on" in output
    assert clone.events("start") == []
    assert f"held back: until: {past} has passed" in clone.run("status", "toy")
    set_head(clone, past, f"{datetime.now() + timedelta(days=2):%Y-%m-%d %H:%M}")
    assert "5 succeeded" in clone.run("drive", "toy")


def test_a_search_makes_no_further_round_at_its_goal(clone: TestClone) -> None:
    clone.open_gate()
    clone.edit(goal={"score": -100})
    folder = clone.root / "values/toy"
    with (folder / "values.yaml").open("a") as values:
        values.write("  # expanded from space.yaml: not yet\n  # end\n")
    (folder / "space.yaml").write_text(ROUNDS.replace("GATE", str(clone.gate)))
    clone.run("expand", "toy", "--code", "toy")
    output = clone.run("drive", "toy", "--slots", "1")
    text = (folder / "values.yaml").read_text()
    assert "goal: score >= -100 is reached by trial " in output
    assert output.count("; no further round\n") == 1
    assert "round 1 of 3" in text
    assert "round 2 of 3" not in text
    assert "; no further round\n" in clone.run("drive", "toy", "--slots", "1")
    set_head(clone, 'goal: {"score": -100}', 'goal: {"score": 1}')
    clone.run("drive", "toy")
    assert "round 3 of 3" in (folder / "values.yaml").read_text()
