"""From a result back to where it came from, and made again from there, after its values file has changed and gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.e2e.support import TestClone

COMMIT = ("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--all")
RANDOM = """\
objective: {metric: score, direction: maximize}
sampler: {name: random, n: 3, seed: 0, replicates: 2}
hyperparameters: {gate: GATE}
space:
  x: {type: int, low: 1, high: 9}
"""


def ran(clone: TestClone, *trials: dict[str, object], code: int = 0, **head: object) -> dict[str, dict[str, Any]]:
    """A sweep that has run; its rows by id."""
    clone.edit(*trials, **head)
    clone.open_gate()
    if (clone.root / "values/toy/space.yaml").exists():
        with (clone.root / "values/toy/values.yaml").open("a") as values:
            values.write("  # expanded from space.yaml: not yet\n  # end\n")
    clone.run("expand", "toy", "--code", "toy")
    clone.run("drive", "toy", code=code)
    return clone.rows()


def data(clone: TestClone, verb: str, *words: str, code: int = 0) -> Any:
    launcher = clone.start(verb, *words, "--json")
    out, err = launcher.communicate(timeout=300)
    assert launcher.returncode == code, f"{out}\n{err}"
    return json.loads(out)


def pasted(clone: TestClone, command: str) -> str:
    shell = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(shell, cwd=clone.root, capture_output=True, text=True, check=True).stdout


def test_result_is_traced_to_its_line_even_when_its_values_file_is_gone(clone: TestClone) -> None:
    (clone.root / "values/toy").mkdir()
    (clone.root / "values/toy/space.yaml").write_text(RANDOM.replace("GATE", f'"{clone.gate}"'))
    clone.git("remote", "add", "origin", "https://me:token@git.example.org/p")
    ran(clone)
    path = clone.root / "values/toy/values.yaml"
    path.write_text(path.read_text() + '  - {"x": 77}   # by hand\n')
    clone.run("drive", "toy")
    rows = clone.rows()
    (hand,) = (row for row in rows.values() if row["hyperparameters"]["x"] == 77)
    other = next(row for row in rows.values() if row is not hand)
    head = clone.git("rev-parse", "HEAD").strip()

    answer = data(clone, "trace", hand["id"])
    assert answer["commit"] == hand["commit"]
    assert (answer["repository"], answer["program"]) == ("https://git.example.org/p", {})
    assert answer["kit"] in (clone.root / "chart" / "Chart.yaml").read_text()
    assert (answer["source"]["made"], answer["source"]["now"]) == ("by hand", "unchanged")
    assert '{"x": 77}' in pasted(clone, answer["commands"]["the line"])
    assert [attempt["status"] for attempt in answer["attempts"]] == ["succeeded"]

    path.write_text(path.read_text().replace('{"x": 77}', '{"x": 78}'))
    clone.git(*COMMIT, "--message=edited")
    assert data(clone, "trace", other["id"][:8])["source"]["now"] == "changed"

    clone.git("rm", "-r", "--quiet", "values/toy")
    clone.git(*COMMIT, "--message=gone")
    for store in (True, False):
        answer = data(clone, "trace", other["id"])
        assert (answer["row"]["id"], answer["table_commit"], answer["commit"]) == (other["id"], head, other["commit"])
        source = answer["source"]
        assert (source["now"], source["made"], source["space"]) == ("deleted", "expanded", "values/toy/space.yaml")
        shown = {what: pasted(clone, command) for what, command in answer["commands"].items()}
        assert f'"x": {other["hyperparameters"]["x"]}' in shown["the line"]
        assert "random" in shown["the space"]
        assert "train.py" in shown["the frozen code"]
        assert "train.py" in shown["the code"]
        assert other["id"] in shown["the result"]
        assert (len(answer["attempts"]), bool(answer["store"])) == ((1, True) if store else (0, False))
        if store:
            (clone.root / "results").rename(clone.root / "elsewhere")
    output = clone.run("trace", other["id"][:6])
    assert f"values/toy/values.yaml:{source['line']}" in output
    assert "(deleted since)" in output
    assert "not in any results.csv" in clone.run("trace", "0000", code=2)
    assert f"error: TRIAL={'f' * 64}" in clone.run("trace", "f" * 64, "--sweep", "toy", code=2)


def test_result_is_reproduced_from_its_id_after_its_values_file_has_changed_and_gone(clone: TestClone) -> None:
    rows = ran(clone, *({"x": x, "seed": seed} for x in (1, 5) for seed in (1, 2, 3)))
    chosen = next(row for row in rows.values() if row["hyperparameters"]["x"] == 5)
    jobs = {job["metadata"]["name"]: job for job in data(clone, "render", "toy") if job["kind"] == "Job"}
    before = next(job for name, job in jobs.items() if chosen["id"] in name)

    clone.edit({"x": 9}, resources={"limits": {"memory": "1Gi"}})
    chart = clone.root / "chart/templates/_helpers.tpl"
    chart.write_text(chart.read_text().replace("restartPolicy: Never", "restartPolicy: Never\nhostname: other"))
    clone.git(*COMMIT, "--message=changed")
    clone.git("rm", "-r", "--quiet", "values/toy", "toy")
    clone.git(*COMMIT, "--message=gone")
    head, tree = clone.git("rev-parse", "HEAD"), clone.git("status", "--porcelain", "--ignored")

    words = (chosen["id"][:7],)
    after = data(clone, "reproduce", *words, "--dry-run")
    assert after["metadata"].pop("name") == f"toy-{chosen['id']}-p1"
    assert before["metadata"].pop("name") in jobs
    env = after["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env.pop() == {"name": "REPRODUCTION", "value": "1"}
    assert json.dumps(after) == json.dumps(before)

    started = len(clone.events("start"))
    answer = data(clone, "reproduce", *words)
    assert (answer["verdict"], answer["number"]) == ("equal", 1)
    assert [metric["seeds"] for metric in answer["metrics"]] == [3]
    assert len(clone.events("start")) == started + 1
    again = clone.root / "results/reproductions" / chosen["id"] / "1"
    trial = again / "trials" / chosen["id"][:2] / chosen["id"]
    assert json.loads((trial / "result.json").read_text())["metrics"] == chosen["metrics"]
    (attempt,) = trial.glob("attempts/*/attempt.json")
    assert json.loads(attempt.read_text())["provenance"]["commit"] == chosen["commit"]
    assert clone.git("rev-parse", "HEAD") == head
    assert clone.git("status", "--porcelain", "--ignored") == tree
    assert clone.git("worktree", "list").count("\n") == 1

    old = clone.root / "results/trials" / chosen["id"][:2] / chosen["id"] / "result.json"
    old.write_text(old.read_text().replace('"score": -4', '"score": -5'))
    assert data(clone, "reproduce", *words, code=1)["verdict"] == "outside the seed spread"
    assert (again.parent / "2").is_dir()


def test_ledger_and_gc_know_every_trial_that_git_ever_named(clone: TestClone) -> None:
    ran(clone, {"x": 1}, {"x": -1}, gpu={"count": 0}, backoffLimit=0, code=1)
    clone.git("checkout", "--quiet", "-b", "other")
    kept = set(clone.rows())
    clone.edit({"x": 4})
    clone.run("drive", "toy")
    (other,) = clone.rows()
    clone.git("checkout", "--quiet", "main")
    clone.run("reproduce", other)

    answer = data(clone, "ledger")
    assert (answer["total"]["trials"], answer["total"]["attempts"], answer["agree"]) == (4, 4, 3)
    statuses = {name: group["trials"] for name, group in answer["by"]["status"].items()}
    assert statuses == {"succeeded": 2, "failed": 1, "reproduction": 1}
    hours = answer["total"]["trial_hours"]
    assert 0 < hours["failed"] < hours["all"] == pytest.approx(sum(hours.values()) - hours["all"])
    assert len(answer["by"]["commit"]) == 2
    assert all(sum(group["attempts"] for group in by.values()) == 4 for by in answer["by"].values())
    assert answer["ceiling"]["toy"]["trial_hours"] == 2 * 300 / 3600
    shown = clone.run("ledger", COLUMNS="80")
    assert max(map(len, shown.partition("rows agree")[0].splitlines()[:-1])) <= 80
    assert "wasted, failed" in shown

    assert data(clone, "tidy") == {"garbage": [], "kept": {}}, "the other branch names it"
    clone.git("branch", "--quiet", "-D", "other")
    for lineage in (other, min(kept), "0123456789ab"):
        place = clone.root / "results/checkpoints" / lineage[:2] / lineage
        place.mkdir(parents=True, exist_ok=True)
        (place / "3.pt").write_bytes(bytes(1000))
    for group, trials in {"aaaaaaaaaaaa": [other], "bbbbbbbbbbbb": [other, min(kept)]}.items():
        for trial in trials:
            place = clone.root / "results/rungs" / group / "3"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{trial}.json").write_text("{}")
    assert data(clone, "tidy") == {"garbage": [], "kept": {"younger than a day": 5}}
    then = time.time() - 2 * 86_400
    for path in (clone.root / "results").rglob("*"):
        os.utime(path, (then, then))
    garbage = data(clone, "tidy")["garbage"]
    assert {(piece["kind"], piece["id"]) for piece in garbage} == {
        ("trials", other),
        ("checkpoints", other),
        ("checkpoints", "0123456789ab"),
        ("reproductions", other),
        ("rungs", "aaaaaaaaaaaa"),
    }
    assert {piece["bytes"] for piece in garbage if piece["kind"] == "checkpoints"} == {1000}
    assert (clone.root / "results/trials" / other[:2] / other).exists(), "listed, not removed"
    clone.run("tidy", "--yes")
    assert {path.name for path in (clone.root / "results/trials").glob("*/*")} == kept
    assert min(kept) in {path.name for path in (clone.root / "results/checkpoints").glob("*/*")} <= kept
    assert not list((clone.root / "results/reproductions").glob("*"))
    assert {path.name for path in (clone.root / "results/rungs").glob("*")} == {"bbbbbbbbbbbb"}
    answer = data(clone, "ledger")
    assert answer["total"]["trials"] == 2

    shallow = clone.root.parent / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{clone.root}", str(shallow)], check=True)
    words = [sys.executable, "scripts/tidy.py"]
    done = subprocess.run(words, cwd=shallow, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "git fetch --unshallow" in done.stderr


def test_trial_of_an_older_runner_is_not_reproduced(clone: TestClone) -> None:
    runner = clone.root / "chart/files/trial.py"
    runner.write_text(runner.read_text().replace("REPRODUCTION", "SOMETHING"))
    clone.git(*COMMIT, "--message=older")
    (row,) = ran(clone, {"x": 1}).values()
    output = clone.run("reproduce", row["id"], code=2)
    assert "the runner of its commit is older than reproductions" in output
    assert not (clone.root / "results/reproductions").exists()
