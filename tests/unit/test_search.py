"""Searches as a person drives them, with expand and a committed results.csv: what is added, kept and refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

import replay
from sweep.errors import BadInput, TrialsFailed
from sweep.layout import Clone
from sweep.records import results
from sweep.records.same import trial as identity
from sweep.spaces import search
from sweep.spaces.block import Section
from sweep.yamlfile import flow
from tests.unit import searching
from tests.unit.searching import collect, git, message, put_space, run, space_of, text, trials

TPE = """\
objective: {metric: loss, direction: minimize}
sampler: {name: tpe, rounds: 3, per_round: 12, seed: 1}
hyperparameters: {epochs: 3}
space:
  x: {type: float, low: -4, high: 4}
  kind: {type: choice, choices: [a, b]}
  depth: {type: int, low: 1, high: 8, when: {kind: b}}
constraints: [x * depth < 20]
"""
HALVING = """\
objective: {metric: accuracy, direction: maximize}
sampler: {name: halving, n: 9, eta: 3, min: 1, max: 9, seed: 1}
budget: epochs
space:
  x: {type: float, low: -4, high: 4}
"""
SOBOL = """\
objective: {metric: loss, direction: minimize}
sampler: {name: sobol, n: 16, seed: 1}
space:
  x: {type: float, low: -4, high: 4}
  y: {type: float, low: 0.001, high: 1, log: true}
"""


def parabola(point: dict[str, Any], _seed: int) -> dict[str, float]:
    return {"loss": (point["x"] - 1) ** 2 + (point["kind"] == "a"), "other": 1.0}


def growing(point: dict[str, Any], _seed: int) -> dict[str, float]:
    return {"accuracy": -abs(point["x"]) + point["epochs"] / 100}


def noisy(point: dict[str, Any], seed: int) -> dict[str, float]:
    wobble = ((hash_of(point) + seed * 7) % 11 - 5) / 50
    return {"loss": (point["x"] - 1) ** 2 + wobble}


def hash_of(point: dict[str, Any]) -> int:
    return int(searching.row(point, "failed").id, 16)


def state(clone: Clone) -> tuple[str, str]:
    return text(clone), git(clone, "rev-parse", "HEAD")


# ---- rounds ----


def test_a_search_goes_on_round_by_round_and_then_ends(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    put_space(clone, TPE)
    run(clone)
    assert "with all rounds at most 36 trials, 6.0 h" in capsys.readouterr().err
    assert message(clone).startswith("demo: 12 trials (tpe, rounds=3, per_round=12, seed=1; round 1 of 3)\n")
    seen = []
    for number in (2, 3):
        seen.append(text(clone))
        collect(clone, parabola)
        blob = git(clone, "rev-parse", "HEAD:values/demo/results.csv")
        run(clone)
        assert len(trials(clone)) == 12 * number
        assert re.search(
            rf"# round {number} of 3 from results.csv {blob} on local by numpy \S+ optuna \S+ scipy", text(clone)
        )
        assert (
            f"round {number} of 3: from results.csv {blob[:12]} on local\nTPE was told {12 * (number - 1)} points: "
            in message(clone)
        )
        assert all(line in text(clone) for line in seen[-1].split("\n") if line.startswith("  - "))
    collect(clone, parabola)
    before = state(clone)
    run(clone)
    assert state(clone) == before
    assert len({str(trial) for trial in trials(clone)}) == 36
    assert all(("depth" in trial) == (trial["kind"] == "b") for trial in trials(clone))
    assert all(trial["x"] * trial.get("depth", 0) < 20 for trial in trials(clone))
    late = trials(clone)[24:]
    assert sum(trial["kind"] == "b" for trial in late) > 6, "it learns"


def test_the_same_history_gives_the_same_bytes(clone: Clone) -> None:
    put_space(clone, TPE)
    run(clone)
    collect(clone, parabola)
    run(clone)
    once = text(clone)
    git(clone, "reset", "--quiet", "--hard", "HEAD^")
    run(clone)
    assert text(clone) == once


def test_more_rounds_may_be_asked_for_at_any_time(clone: Clone) -> None:
    put_space(clone, TPE.replace("rounds: 3", "rounds: 1"))
    run(clone)
    first = trials(clone)
    collect(clone, parabola)
    put_space(clone, TPE.replace("rounds: 3", "rounds: 2"))
    run(clone)
    assert trials(clone)[:12] == first
    assert len(trials(clone)) == 24


def test_a_changed_space_is_refused_once_the_search_has_begun(clone: Clone) -> None:
    put_space(clone, TPE)
    run(clone)
    put_space(clone, TPE.replace("high: 4", "high: 5"))
    before = state(clone)
    with pytest.raises(BadInput, match=r"^values/demo/values.yaml:11: space.yaml has changed under a search that has "):
        run(clone)
    assert state(clone) == before
    run(clone, "--force")
    assert len(trials(clone)) == 12


@pytest.mark.parametrize(
    ("quorum", "running", "waits"),
    [
        ("1", 1, "1 of 12 trials have not ended; --quorum 0.9 goes on without the last tenth of a round"),
        ("0.9", 1, ""),
        ("0.9", 2, "2 of the last 12 trials have not ended; 11 that have are enough"),
    ],
)
def test_a_round_waits_for_its_trials_or_for_a_quorum(
    clone: Clone, quorum: str, running: int, waits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put_space(clone, TPE)
    run(clone)
    late = [trial["x"] for trial in trials(clone)[:running]]
    collect(clone, lambda point, seed: "running" if point["x"] in late else parabola(point, seed))
    before = state(clone)
    run(clone, "--quorum", quorum)
    output = capsys.readouterr().err
    assert (f"demo: round 2 of 3 waits: {waits}\n" in output) == bool(waits)
    assert (state(clone) == before) == bool(waits)
    assert ("1 running" in message(clone)) != bool(waits)


def test_a_quorum_is_of_the_last_round_and_not_of_all(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    put_space(clone, TPE)
    run(clone)
    collect(clone, parabola)
    run(clone)
    late = [trial["x"] for trial in [trials(clone)[0], *trials(clone)[12:14]]]
    collect(clone, lambda point, seed: "running" if point["x"] in late else parabola(point, seed))
    run(clone, "--quorum", "0.9")
    assert "2 of the last 12 trials have not ended; 11 that have are enough" in capsys.readouterr().err
    run(clone, "--quorum", "0.8")
    assert len(trials(clone)) == 36, "the straggler of the first round holds up nobody"


def test_watching_counts_the_trials_of_the_last_section() -> None:
    sections = [Section("round 1 of 2", ({"x": 1},)), Section("round 2 of 2", ({"x": 2}, {"x": 2.0, "seed": 1}))]
    names, needed = search.quorum_of(sections, {"epochs": 3}, 0.4)
    assert names == {identity({"epochs": 3, "x": 2}, seed) for seed in (0, 1)}
    assert needed == 1


def test_without_results_or_with_too_few_rows_a_round_waits(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    put_space(clone, TPE)
    run(clone)
    run(clone)
    assert (
        "round 2 of 3 waits: 12 of 12 trials are not in results.csv; `make sweep` runs them" in capsys.readouterr().err
    )
    collect(clone, parabola)
    files = clone.sweep("demo")
    files.values.write_text(text(clone) + '  - {"x": 0.5, "kind": "a"}\n')
    run(clone)
    assert "round 2 of 3 waits: 1 of 13 trials are not in results.csv" in capsys.readouterr().err


def test_results_of_another_engine_do_not_count(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    put_space(clone, TPE)
    run(clone)
    collect(clone, parabola)
    run(clone, "--engine", "cluster")
    assert "round 2 of 3 waits: 12 of 12 trials are not in results.csv" in capsys.readouterr().err
    run(clone)
    assert len(trials(clone)) == 24


def test_uncommitted_results_are_refused(clone: Clone) -> None:
    put_space(clone, TPE)
    run(clone)
    collect(clone, parabola, commit=False)
    with pytest.raises(
        BadInput, match=r"^values/demo/results.csv: has uncommitted changes, but a round is made from a co"
    ):
        run(clone)


def test_a_kill_between_writing_and_committing_loses_nothing(clone: Clone) -> None:
    put_space(clone, TPE)
    run(clone)
    collect(clone, parabola)
    run(clone)
    whole, body = text(clone), message(clone)
    git(clone, "reset", "--quiet", "--soft", "HEAD^")
    git(clone, "reset", "--quiet")
    run(clone)
    assert (text(clone), message(clone)) == (whole, body)


def test_edits_in_the_block_and_comments_are_kept_by_a_new_round(clone: Clone) -> None:
    put_space(clone, TPE)
    run(clone)
    files = clone.sweep("demo")
    lines = text(clone).split("\n")
    place = next(number for number, line in enumerate(lines) if line.startswith("  - "))
    lines[place] = '  - {"x": 0.25, "kind": "a"}   # I want this one'
    lines.insert(0, "# mine")
    files.values.write_text("\n".join(lines))
    collect(clone, parabola)
    run(clone)
    assert '  - {"x": 0.25, "kind": "a"}   # I want this one\n' in text(clone)
    assert text(clone).startswith("# mine\n")
    assert len(trials(clone)) == 24
    collect(clone, parabola)
    run(clone)
    assert len(trials(clone)) == 36


def test_trials_by_hand_are_told_too_if_they_are_points(clone: Clone) -> None:
    put_space(clone, TPE)
    run(clone)
    files = clone.sweep("demo")
    files.values.write_text(text(clone) + '  - {"x": 1, "kind": "b", "depth": 2}\n  - {"x": 99, "kind": "a"}\n')
    collect(clone, parabola)
    run(clone)
    assert "TPE was told 13 points: 13 succeeded\nbest so far: 0.0 at " in message(clone)


def test_failed_and_diverged_trials_are_told_as_such(clone: Clone) -> None:
    put_space(clone, TPE)
    run(clone)
    xs = [trial["x"] for trial in trials(clone)]
    ends = {xs[0]: "failed", xs[1]: "diverged"}
    collect(clone, lambda point, seed: ends.get(point["x"], parabola(point, seed)))
    run(clone)
    worst = max(parabola(trial, 0)["loss"] for trial in trials(clone)[2:12])
    assert re.search(
        rf"TPE was told 12 points: (?=.*10 succeeded)(?=.*1 failed)(?=.*1 diverged).*worst value so far, \[{worst}\]",
        message(clone),
    )


# ---- halving ----


def test_halving_keeps_the_best_and_says_who_went_and_why(clone: Clone) -> None:
    put_space(clone, HALVING)
    run(clone)
    assert "\nbudget: epochs\n" in text(clone)
    first = trials(clone)
    assert [trial["epochs"] for trial in first] == [1] * 9
    lost = first[3]["x"]
    collect(clone, lambda point, seed: "diverged" if point["x"] == lost else growing(point, seed))
    run(clone)
    best = sorted((trial["x"] for trial in first if trial["x"] != lost), key=abs)
    assert [trial["x"] for trial in trials(clone)[9:]] == best[:3]
    assert [trial["epochs"] for trial in trials(clone)[9:]] == [3] * 3
    body = message(clone)
    assert "3 of 9 points go on, by accuracy at epochs 1:\n+ " in body
    assert body.count("\n- ") == 6
    assert f'- diverged {{"x": {lost}}}' in body
    collect(clone, lambda point, seed: "diverged" if point["x"] == lost else growing(point, seed))
    run(clone)
    assert trials(clone)[12:] == [{"x": best[0], "epochs": 9}]
    collect(clone, lambda point, seed: "diverged" if point["x"] == lost else growing(point, seed))
    before = state(clone)
    run(clone)
    assert state(clone) == before


def test_more_seeds_of_a_halving_are_for_those_that_reached_the_longest_budget(clone: Clone) -> None:
    put_space(clone, HALVING)
    run(clone)
    for _ in range(3):
        collect(clone, lambda point, _seed: {"accuracy": -abs(point["x"]) - point["epochs"]})
        run(clone)
    assert len(trials(clone)) == 9 + 3 + 1
    winner = trials(clone)[-1]
    run(clone, "--replicate-top", "5", "--replicates", "2")
    assert trials(clone)[13:] == [{**winner, "seed": 1}]
    collect(clone, lambda point, _seed: {"accuracy": -abs(point["x"]) - point["epochs"]})
    run(clone, "--around", "best", "--n", "2")
    assert [trial["epochs"] for trial in trials(clone)[14:]] == [9, 9]


def test_a_rung_that_nobody_survives_ends_the_search(clone: Clone) -> None:
    put_space(clone, HALVING)
    run(clone)
    collect(clone, lambda _point, _seed: "failed")
    before = state(clone)
    with pytest.raises(TrialsFailed, match=r"^no trial of round 1 has a value of accuracy, so none goes on$"):
        run(clone)
    assert state(clone) == before


# ---- extend and refine ----


def test_a_larger_n_keeps_what_is_there_and_what_was_added(clone: Clone) -> None:
    put_space(clone, SOBOL)
    run(clone)
    first = trials(clone)
    collect(clone, noisy)
    run(clone, "--replicate-top", "2", "--replicates", "3")
    added = trials(clone)[16:]
    put_space(clone, SOBOL.replace("n: 16", "n: 64"))
    run(clone)
    assert trials(clone)[:16] == first
    assert trials(clone)[64:] == added
    assert len(trials(clone)) == 68


def test_what_a_changed_space_drops_is_told(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    put_space(clone, SOBOL.replace("sobol", "lhs"))
    run(clone)
    put_space(clone, SOBOL.replace("sobol, n: 16", "lhs, n: 20"))
    run(clone)
    assert "demo: 16 of the 16 trials that were there are not listed any more\n" in capsys.readouterr().err


def test_more_seeds_for_the_best_points_only(clone: Clone) -> None:
    put_space(clone, SOBOL)
    run(clone)
    collect(clone, noisy)
    best = sorted(trials(clone), key=lambda trial: noisy(trial, 0)["loss"])[:2]
    run(clone, "--replicate-top", "2", "--replicates", "3")
    assert trials(clone)[16:] == [{**trial, "seed": seed} for trial in best for seed in (1, 2)]
    assert "; 4 added: top 2, 3 replicates each)" in message(clone)
    collect(clone, noisy)
    run(clone, "--replicate-top", "2", "--replicates", "4")
    assert "; 4 added before; 2 added: top 2, 4 replicates each)" in message(clone)


def test_around_the_best_means_within_the_shrunk_ranges(clone: Clone) -> None:
    put_space(clone, SOBOL)
    run(clone)
    collect(clone, noisy)
    best = min(trials(clone), key=lambda trial: noisy(trial, 0)["loss"])
    run(clone, "--around", "best", "--shrink", "0.25", "--n", "5")
    fresh = trials(clone)[16:]
    assert len(fresh) == 5
    assert all(abs(trial["x"] - best["x"]) <= 1 for trial in fresh)
    assert all(max(trial["y"] / best["y"], best["y"] / trial["y"]) <= 1000**0.125 * 1.0001 for trial in fresh)
    collect(clone, noisy)
    run(clone, "--around", "best", "--shrink", "0.25", "--n", "5")
    assert len({str(trial) for trial in trials(clone)}) == 26, "the second time others"


def test_around_a_trial_by_its_id(clone: Clone) -> None:
    put_space(clone, SOBOL)
    run(clone)
    collect(clone, noisy)
    rows = results.read(clone.sweep("demo").results)
    run(clone, "--around", rows[4].id, "--shrink", "0.1", "--n", "2")
    assert all(abs(trial["x"] - rows[4].hyperparameters["x"]) <= 0.4 for trial in trials(clone)[16:])
    with pytest.raises(BadInput, match=r"2 of 18 trials are not in results.csv"):
        run(clone, "--around", "best")
    collect(clone, noisy)
    with pytest.raises(BadInput, match=r"^--around no-body: write `best`, or the id of a trial$"):
        run(clone, "--around", "no-body")
    with pytest.raises(BadInput, match=r"^--around nobody: no such trial in results.csv; write `best` or an id"):
        run(clone, "--around", "nobody")


def test_a_race_adds_seeds_step_by_step_and_drops_who_cannot_win(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    put_space(clone, SOBOL)
    run(clone)
    collect(clone, noisy)
    run(clone, "--race", "4", "--replicates", "7")
    assert len(trials(clone)) == 16 + 4 * 2
    collect(clone, noisy)
    for _ in range(4):
        before = len(trials(clone))
        run(clone)
        collect(clone, noisy)
        step = trials(clone)[before:]
        assert len(step) < 8, "somebody is out"
        if not step:
            break
    else:
        pytest.fail("the race has no end")
    assert "demo: the race is over: " in capsys.readouterr().err
    assert max(trial.get("seed", 0) for trial in trials(clone)) <= 6
    assert "\nout: " in git(clone, "log", "--format=%B", "--", "values/demo/values.yaml")


def test_a_race_of_points_that_have_three_seeds_goes_on_and_is_replayed(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    put_space(clone, SOBOL.replace("n: 16", "n: 8, replicates: 3"))
    run(clone)
    collect(clone, noisy)
    run(clone, "--race", "8", "--replicates", "3")
    assert "demo: the race is over: " in capsys.readouterr().err, "all have their seeds"
    assert len(trials(clone)) == 24
    run(clone, "--race", "8", "--replicates", "7")
    assert {trial["seed"] for trial in trials(clone)[24:]} == {3, 4}
    assert re.search(r"# race step 1, top 8, at most 7 replicates from results.csv .*, search 2\n", text(clone))
    collect(clone, noisy)
    run(clone)
    assert replay.main(["demo"], clone) == 0
    output = capsys.readouterr().err
    assert "demo: race step 1, top 8, at most 7 replicates: equal" in output


def test_a_race_that_is_over_at_once_begins_no_round(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    put_space(clone, TPE)
    run(clone)
    collect(clone, parabola)
    run(clone, "--race", "1")
    assert "demo: the race is over: 1 of 1 left, " in capsys.readouterr().err
    assert len(trials(clone)) == 12


def test_rounds_of_the_rules_of_then_are_replayed_by_them(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    """Before `search 2` numbers in a list of `type: choice` had no order to TPE, and unequal seeds were bare means."""
    put_space(clone, TPE.replace("kind: {type: choice, choices: [a, b]}", "kind: {type: choice, choices: [1, 2, 4, 8]}")
        .replace("when: {kind: b}", "when: {kind: 8}"))  # fmt: skip
    losses = lambda point, _seed: {"loss": (point["x"] - 1) ** 2 + point["kind"]}  # noqa: E731
    run(clone)
    collect(clone, losses)
    domain = space_of(clone)
    rows = results.read(clone.sweep("demo").results)
    old = search.derive(domain, "round 2 of 3", (), rows, "local", 1)
    assert old != search.derive(domain, "round 2 of 3", (), rows, "local")
    run(clone)
    assert ", search 2\n" in text(clone)
    lines = text(clone).replace(", search 2\n", "\n").split("\n")
    first = next(number for number, line in enumerate(lines) if "# round 2 of 3" in line) + 1
    lines[first : first + 12] = [f"  - {flow(trial)}" for trial in old]
    clone.sweep("demo").values.write_text("\n".join(lines))
    capsys.readouterr()
    assert replay.main(["demo"], clone) == 0


def test_rounds_go_on_once_a_race_is_over(clone: Clone) -> None:
    put_space(clone, TPE.replace("rounds: 3", "rounds: 1"))
    run(clone)
    collect(clone, parabola)
    run(clone, "--race", "2", "--replicates", "2")
    collect(clone, parabola)
    put_space(clone, TPE.replace("rounds: 3", "rounds: 2"))
    run(clone)
    assert "# round 2 of 2 from results.csv" in text(clone)
    assert len(trials(clone)) == 12 + 2 + 12


@pytest.mark.parametrize("words", [["--replicate-top", "2"], ["--race", "2"], ["--around", "best"]])
def test_nothing_is_refined_without_results(clone: Clone, words: list[str]) -> None:
    put_space(clone, SOBOL)
    run(clone)
    before = state(clone)
    with pytest.raises(BadInput, match=r"16 of 16 trials are not in results.csv; `make sweep` runs them"):
        run(clone, *words)
    collect(clone, lambda _point, _seed: "failed")
    with pytest.raises(BadInput, match=r"^results.csv: no trial has a loss yet; `make sweep` first$"):
        run(clone, *words)
    assert text(clone) == before[0]


# ---- replay ----


def test_replay_makes_every_section_again(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    put_space(clone, TPE)
    run(clone)
    for _ in range(2):
        collect(clone, parabola)
        run(clone)
    collect(clone, parabola)
    run(clone, "--replicate-top", "2", "--replicates", "2")
    git(clone, "rm", "--quiet", "--cached", "values/demo/results.csv")
    capsys.readouterr()
    assert replay.main(["demo"], clone) == 0
    assert capsys.readouterr().err.count(": equal (") == 4


def test_replay_finds_the_space_of_the_block_in_history(clone: Clone) -> None:
    put_space(clone, TPE)
    run(clone)
    put_space(clone, SOBOL)
    assert replay.main(["demo"], clone) == 0
    git(clone, "checkout", "--quiet", "--orphan", "new")
    git(clone, "commit", "--quiet", "--all", "--message=no past")
    with pytest.raises(
        BadInput, match=r"^values/demo/space.yaml: no version in Git is sha256:\w{16}, which the block was"
    ):
        replay.main(["demo"], clone)


def test_replay_shows_an_edit_and_other_versions(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    put_space(clone, TPE)
    run(clone)
    collect(clone, parabola)
    run(clone)
    first = trials(clone)[12]["x"]
    changed = text(clone).replace(f'"x": {first},', '"x": 3.25,').replace("optuna 5.", "optuna 4.")
    clone.sweep("demo").values.write_text(changed)
    assert replay.main(["demo"], clone) == 1
    output = capsys.readouterr().err
    assert "demo: round 1 of 3: equal (12 trials)\n" in output
    assert "demo: round 2 of 3: differs (12 trials, from results.csv " in output
    assert re.search(r"  made by numpy \S+ optuna 4\.\S+ scipy \S+ search 2, here are numpy \S+ optuna 5\.", output)
    assert re.search(r'  -- \{"x": 3\.25, .*\n  \+- \{"x": ' + re.escape(str(first)), output)


# ---- several objectives ----


def test_several_objectives_are_told_to_tpe_with_their_directions(clone: Clone) -> None:
    two = "objective: [{metric: error, direction: minimize}, {metric: speed, direction: maximize}]"
    put_space(clone, TPE.replace("objective: {metric: loss, direction: minimize}", two))
    run(clone)
    assert f"\n{two}\n" in "\n" + text(clone)

    def both(point: dict[str, Any], _seed: int) -> dict[str, float]:
        return {"error": (point["x"] - 1) ** 2, "speed": -((point["x"] - 1) ** 2) - (point["kind"] == "a")}

    for _ in range(2):
        collect(clone, both)
        run(clone)
    late = trials(clone)[24:]
    assert sum(trial["kind"] == "b" for trial in late) > 6
    assert sum(abs(trial["x"] - 1) < 1.5 for trial in late) > 6


def test_the_cost_names_gpus_where_there_are_some(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.base.write_text("gpu: {count: 2}\n")
    put_space(clone, SOBOL)
    run(clone, "--no-commit")
    files = clone.sweep("demo")
    files.values.write_text(text(clone).replace("gpu: {count: 0}", "# gpu"))
    run(clone, "--dry-run")
    assert (
        "demo: 16 trials (sobol, n=16, seed=1); each at most 600 s, 2.7 h, 5.3 GPU-hours in all\n"
        in capsys.readouterr().err
    )
