"""Whole sweeps in a repository that a person works in meanwhile."""

from __future__ import annotations

from tests.e2e.support import TestClone
from tests.waiting import until


def test_results_go_to_no_other_branch_and_the_same_command_goes_on(clone: TestClone) -> None:
    clone.edit({"x": 1}, {"x": 2})
    clone.run("expand", "toy", "--code", "toy")
    launcher = clone.start("drive", "toy")
    until(lambda: clone.events("start"), "the trial starts")
    head = clone.git("rev-parse", "HEAD")
    clone.git("switch", "--quiet", "--create", "other")
    clone.open_gate()
    output = launcher.communicate(timeout=120)[1]
    assert launcher.returncode == 2
    assert output.endswith(
        "error: git: other is checked out now, and it was main when this began; `git switch main` and run the same "
        "again: nothing is lost\n"
    )
    assert clone.git("rev-parse", "HEAD") == head
    assert clone.git("status", "--porcelain") == ""

    clone.git("switch", "--quiet", "main")
    clone.run("drive", "toy")
    assert sorted(clone.events("start")) == ["1", "2"]
    assert clone.git("show", "HEAD~1:values/toy/results.csv").count("succeeded") == 2
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("rev-parse", "other") == head


def test_line_ends_of_another_system_are_no_change_and_no_other_trial(clone: TestClone) -> None:
    clone.edit({"x": 1})
    clone.open_gate()
    clone.run("expand", "toy", "--code", "toy")
    clone.run("drive", "toy")
    head, rows = clone.git("rev-parse", "HEAD"), clone.rows()
    clone.git("config", "core.autocrlf", "true")
    for path in (clone.root / "values/toy").iterdir():
        path.unlink()
    clone.git("checkout", "--quiet", "--", "values/toy")
    assert b"\r\n" in (clone.root / "values/toy/code.yaml").read_bytes()
    assert "1 already done" in clone.run("drive", "toy")
    assert clone.git("rev-parse", "HEAD") == head
    assert clone.rows() == rows
    assert clone.events("start") == ["1"]
    assert clone.git("status", "--porcelain") == ""


def test_three_sweeps_of_one_clone_at_once_all_end_well(clone: TestClone) -> None:
    names = ["aa", "bb", "cc"]
    clone.open_gate()
    for number, name in enumerate(names):
        clone.edit({"x": number}, {"x": number + 10}, sweep=name, code={"path": "toy"})
        (clone.root / "values" / name).mkdir()
        (clone.root / "values/toy/values.yaml").rename(clone.root / "values" / name / "values.yaml")
    started = [clone.start("drive", name) for name in names]
    ended = [(launcher.communicate(timeout=300), launcher.returncode) for launcher in started]
    assert [code for _, code in ended] == [0, 0, 0], ended
    assert clone.git("status", "--porcelain") == ""
    subjects = clone.git("log", "--format=%s").splitlines()
    for name in names:
        assert [line.split(":")[0:2] for line in subjects if line.startswith(f"{name}: ")] == [
            [name, " best"],
            [name, " results"],
            [name, " 2 trials (2 by hand)"],
        ]
        assert clone.git("show", f"HEAD:values/{name}/results.csv").count("succeeded") == 2
    assert len(clone.events("start")) == 6
