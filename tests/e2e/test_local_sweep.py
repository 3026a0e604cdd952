"""Whole sweeps on the local engine: real helm, chart and runner, a toy trainer, and everything that may go wrong."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sweep import helm, render
from tests.e2e.support import TestClone
from tests.waiting import until

COUNTING = """#!/bin/sh
echo "$*" >> "{calls}"
exec "{helm}" "$@"
"""


@pytest.fixture
def helms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Tells what the helms were told that verbs have started since it was asked last."""
    program, calls = tmp_path / "helm", tmp_path / "calls"
    program.write_text(COUNTING.format(calls=calls, helm=helm.binary()))
    program.chmod(0o755)
    calls.touch()
    monkeypatch.setenv("HELM", str(program))

    def since() -> list[str]:
        lines = calls.read_text().splitlines()
        calls.write_text("")
        return lines

    return since


def prepared(clone: TestClone, *trials: dict[str, object], **head: object) -> TestClone:
    clone.edit(*(trials or ({"x": 1}, {"x": 2}, {"x": 3})), **head)
    clone.run("expand", "toy", "--code", "toy")
    return clone


def test_sweep_runs_to_a_winner_and_a_second_run_starts_nothing(
    clone: TestClone, helms: Callable[[], list[str]]
) -> None:
    prepared(clone)
    clone.open_gate()
    output = clone.run("drive", "toy")
    draft, sweep, best = helms()  # what was rendered already, nobody renders again to learn
    assert re.search(r"-f out/toy/helm-sweep[^/ ]+/values.yaml", draft)
    assert "-f values/toy/values.yaml" in sweep
    assert "-f out/toy/best.yaml" in best
    assert "on the local engine\n  because values/base.yaml names no cluster.context\n" in output
    assert sorted(clone.events("start")) == ["1", "2", "3"]
    rows = clone.rows()
    assert {row["status"] for row in rows.values()} == {"succeeded"}
    assert (clone.root / "out/toy/report.html").stat().st_size > 1000
    winner = render.render(clone.root / "chart", "toy", values(clone, "best.yaml")).trials
    assert [rows[trial.id]["hyperparameters"]["x"] for trial in winner] == [3]
    assert clone.git("status", "--porcelain") == ""
    head = clone.git("rev-parse", "HEAD")

    helms()
    again = clone.run("drive", "toy")
    assert helms() == [sweep]
    assert "3 already done" in again
    assert "score=" not in again.partition("on the local engine")[2].partition("results.csv")[0], "no old news"
    assert len(clone.events("start")) == 3
    assert clone.git("rev-parse", "HEAD") == head


def test_results_of_a_gpu_machine_are_looked_at_on_one_without(
    clone: TestClone, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(clone, {"x": 1}, gpu={"count": 1})
    clone.open_gate()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "gpu.count: a trial asks for 1 and this machine has 0" in clone.run("drive", "toy", code=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    clone.run("drive", "toy")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "1 already done" in clone.run("drive", "toy")


def test_hand_added_line_trains_exactly_one_trial_and_is_committed(
    clone: TestClone, helms: Callable[[], list[str]]
) -> None:
    prepared(clone)
    clone.open_gate()
    clone.run("drive", "toy")
    path = clone.root / "values/toy/values.yaml"
    path.write_text(path.read_text() + '  - {"x": 7}   # by hand\n')
    helms()
    clone.run("drive", "toy")
    draft, *whole = helms()  # the draft has one trial
    assert "out/toy/helm-sweep." in draft
    assert len(whole) == 2
    assert clone.events("start")[3:] == ["7"]
    assert clone.git("status", "--porcelain") == ""
    commits = {row["commit"] for row in clone.rows().values()}
    assert len(commits) == 2
    for commit in commits:
        clone.git("cat-file", "-e", f"{commit}:values/toy/values.yaml")


def values(clone: TestClone, last: str = "values.yaml") -> list[Path]:
    folder = clone.root / "values/toy"
    return [clone.root / "values/base.yaml", folder / "code.yaml", folder / last, clone.root / "out/toy/local.yaml"]


def test_plain_helm_gives_the_same_ids(clone: TestClone) -> None:
    prepared(clone)
    clone.open_gate()
    clone.run("drive", "toy")
    words = [word for path in values(clone) for word in ("-f", str(path))]
    manifest = helm.run("template", "toy", str(clone.root / "chart"), *words)
    jobs = [item for item in render.read_manifest(manifest) if item["kind"] == "Job"]
    assert {render.trial_of(job).id for job in jobs} == set(clone.rows())


def test_failed_trial_is_named_and_only_it_is_retried(clone: TestClone) -> None:
    prepared(clone, {"x": 1}, {"x": -1}, backoffLimit=1)
    clone.open_gate()
    output = clone.run("drive", "toy", code=1)
    assert "x: must not be negative" in output
    assert clone.events("start").count("-1") == 2
    assert {row["hyperparameters"]["x"]: row["status"] for row in clone.rows().values()} == {
        1: "succeeded",
        -1: "failed",
    }

    assert "1 failed before" in clone.run("drive", "toy", code=1)
    assert clone.events("start").count("-1") == 2

    clone.run("retry", "toy")
    assert "retries" in clone.git("show", "HEAD:values/toy/values.yaml")
    clone.run("drive", "toy", code=1)
    assert clone.events("start").count("-1") == 4
    assert clone.events("start").count("1") == 1


def test_sweep_without_a_winner_still_has_its_report(clone: TestClone) -> None:
    prepared(clone, {"x": -1}, {"x": -2}, backoffLimit=0)
    output = clone.run("drive", "toy", code=1)
    assert "2 of 2 trials failed" in output
    assert "x: must not be negative" in (clone.root / "out/toy/report.html").read_text()
    assert not (clone.root / "values/toy/best.yaml").exists()


def test_a_typo_fails_a_few_trials_once_and_the_same_command_goes_on_when_it_is_mended(clone: TestClone) -> None:
    lacks = f"test -e {clone.gate}/mended || {{ echo start >> {clone.gate}/tries; echo no module x; exit 1; }}"
    command = ["sh", "-c", f"{lacks}; exec python3 train.py"]
    prepared(clone, *({"x": x} for x in range(8)), command=command)
    clone.open_gate()
    output = clone.run("drive", "toy", "--slots", "2", code=1)
    tries = len((clone.gate / "tries").read_text().splitlines())
    assert 3 <= tries <= 3 + 2
    (line,) = [line for line in output.splitlines() if "held back" in line]
    assert f"{tries} of 8 trials failed alike at once, and {8 - tries} are held back: exit 1: no module x; see " in line
    assert line.endswith("mend it, then `make sweep SWEEP=toy` goes on (`failFast: 0` lets all run)")
    assert "no module x" in clone.run("logs", "toy", line.partition("TRIAL=")[2].partition("`")[0])
    assert {row["status"] for row in clone.rows().values()} == {"pending", "missing"}
    (clone.gate / "mended").touch()
    assert "8 succeeded" in clone.run("drive", "toy", "--slots", "2")


def test_killed_trial_is_tried_again(clone: TestClone) -> None:
    prepared(clone, {"x": 1})
    launcher = clone.start("submit", "toy")
    until(lambda: clone.events("start"), "the trial starts")
    os.kill(clone.pid(1), signal.SIGKILL)
    until(lambda: len(clone.events("start")) == 2, "it starts again")
    clone.open_gate()
    launcher.communicate(timeout=60)
    assert launcher.returncode == 0
    (row,) = clone.rows().values()
    assert (row["status"], row["attempts"]) == ("succeeded", 2)


def results_of(clone: TestClone) -> list[Path]:
    return list((clone.root / "results/trials").glob("*/*/result.json"))


def some_are_done_and_one_runs(clone: TestClone, done: int) -> bool:
    return len(results_of(clone)) >= done and len(clone.events("start")) > len(clone.events("end"))


def none_lives(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("asked", [signal.SIGKILL, signal.SIGINT])
def test_launcher_may_end_at_any_moment_and_the_same_command_goes_on(clone: TestClone, asked: signal.Signals) -> None:
    prepared(clone, *({"x": x} for x in range(1, 7)))
    for done in (1, 2, 3):
        clone.open_gate(done)
        launcher = clone.start("submit", "toy", "--slots", "2")
        until(partial(some_are_done_and_one_runs, clone, done), "some are done, one runs")
        before = {path: path.read_bytes() for path in results_of(clone)}
        running = [clone.pid(int(x)) for x in clone.events("start")]
        launcher.send_signal(asked)
        launcher.communicate(timeout=60)
        until(partial(none_lives, running), "no child lives on")
        assert {path: path.read_bytes() for path in before} == before
    clone.open_gate()
    clone.run("drive", "toy", "--slots", "2")
    assert {row["status"] for row in clone.rows().values()} == {"succeeded"}
    assert len(results_of(clone)) == 6
    assert clone.events("again") == []


def test_changed_resources_replace_jobs_but_not_trials(clone: TestClone) -> None:
    prepared(clone)
    clone.open_gate()
    clone.run("drive", "toy")
    clone.edit({"x": 1}, {"x": 2}, {"x": 3}, resources={"limits": {"memory": "1Gi"}})
    clone.run("drive", "toy")
    assert len(clone.events("start")) == 3


def test_result_that_is_no_result_is_set_aside_and_the_trial_runs_again(clone: TestClone) -> None:
    prepared(clone, {"x": 1})
    clone.open_gate()
    clone.run("drive", "toy")
    (result,) = (clone.root / "results/trials").glob("*/*/result.json")
    result.write_text("{}")
    clone.run("drive", "toy")
    assert clone.events("start") == ["1", "1"]
    assert json.loads(result.read_text())["status"] == "succeeded"
    assert list(result.parent.glob("result.json.invalid-*"))


def test_uncommitted_chart_is_refused_or_recorded(clone: TestClone) -> None:
    prepared(clone, {"x": 1})
    clone.open_gate()
    chart = clone.root / "chart/Chart.yaml"
    chart.write_text(chart.read_text() + "# edited\n")
    output = clone.run("submit", "toy", code=2)
    assert "chart/Chart.yaml: has uncommitted changes" in output
    assert clone.events("start") == []
    clone.run("submit", "toy", "--allow-dirty")
    (attempt,) = (clone.root / "results/trials").glob("*/*/attempts/*/attempt.json")
    assert json.loads(attempt.read_text())["provenance"]["dirty"] is True


def test_uncommitted_code_that_is_frozen_is_named_and_marks_what_runs_until_it_is_committed(clone: TestClone) -> None:
    prepared(clone, {"x": 1})
    clone.open_gate()
    program = clone.root / "toy/train.py"
    program.write_text(program.read_text() + "# edited\n")
    assert "with uncommitted changes: toy/train.py" in clone.run("expand", "toy", "--repin", "--allow-dirty")
    clone.run("submit", "toy")

    def marked() -> list[bool]:
        attempts = sorted((clone.root / "results/trials").glob("*/*/attempts/*/attempt.json"))
        return [json.loads(attempt.read_text())["provenance"]["dirty"] for attempt in attempts]

    assert marked() == [True]
    shutil.rmtree(clone.root / "results")
    clone.run("drive", "toy", "--repin")
    assert marked() == [False]
    assert clone.git("status", "--porcelain") == ""


def test_budget_refuses_before_anything_runs(clone: TestClone) -> None:
    prepared(clone, {"x": 1}, gpu={"count": 1}, budget_gpu_hours=0.01)
    output = clone.run("plan", "toy", code=2)
    assert "budget_gpu_hours: 1 trial may take up to 0.1 GPU-hours and 0.01 are allowed" in output


def test_error_names_the_line_of_the_values_file(clone: TestClone) -> None:
    prepared(clone, {"x": 1}, {"x": 2})
    path = clone.root / "values/toy/values.yaml"
    path.write_text(path.read_text() + '  - {"x": 1}\n')
    lines = len(path.read_text().splitlines())
    output = clone.run("plan", "toy", code=2)
    assert f"values/toy/values.yaml:{lines}: trials[2] repeats trials[0]; remove one" in output


def test_cluster_is_never_taken_by_surprise(clone: TestClone) -> None:
    prepared(clone, {"x": 1})
    kubeconfig = clone.gate / "kubeconfig"
    kubeconfig.write_text("current-context: elsewhere\n")
    base = clone.root / "values/base.yaml"
    base.write_text(base.read_text().replace('context: ""', 'context: "lab"'))
    output = clone.run("plan", "toy", KUBECONFIG=str(kubeconfig))
    assert "on the local engine\n  because kubectl's current context is elsewhere, not lab\n" in output
    kubeconfig.write_text("current-context: lab\n")
    output = clone.run("plan", "toy", KUBECONFIG=str(kubeconfig))
    assert "on the cluster engine\n  because kubectl's current context is lab\n" in output


def test_a_misspelled_objective_trains_once_and_its_numbers_are_there_when_it_is_mended(clone: TestClone) -> None:
    trials = ({"x": 1}, {"x": 2})
    prepared(clone, *trials, objective={"metric": "scores", "direction": "maximize"})
    clone.open_gate()
    output = clone.run("submit", "toy", code=1)
    assert "METRICS_FILE: lacks the objective 'scores'; it has 'score'; name one of those in `objective`" in output
    clone.run("submit", "toy", code=1)
    assert sorted(clone.events("start")) == ["1", "2"]

    clone.edit(*trials)
    clone.run("submit", "toy")
    assert {row["status"] for row in clone.rows().values()} == {"succeeded"}
    assert sorted(clone.events("start")) == ["1", "2"]


def test_an_edited_program_runs_by_one_command(clone: TestClone) -> None:
    prepared(clone, {"x": 1}, {"x": 2})
    clone.open_gate()
    clone.run("drive", "toy")
    before = clone.rows()
    program = clone.root / "toy" / "train.py"
    program.write_text(program.read_text() + "# better\n")
    assert "toy has changed since its code was frozen (train.py); --repin renews it" in clone.run("drive", "toy")
    output = clone.run("drive", "toy", "--repin")
    assert "toy/train.py, the code that is frozen" in output
    assert "2 new: no result yet" in output
    assert not clone.git("status", "--porcelain")
    after = clone.rows()
    assert not before.keys() & after.keys()
    assert {row["status"] for row in after.values()} == {"succeeded"}
    assert sorted(clone.events("start")) == ["1", "1", "2", "2"]
    assert "(2 trials, best score -1)" in " ".join(output.split())
    with (clone.root / "values" / "toy" / "results.csv").open() as opened:
        table = {row["id"]: row for row in csv.DictReader(opened)}
    assert {id: row["superseded"] for id, row in table.items()} == dict.fromkeys(before, "code") | dict.fromkeys(
        after, ""
    )
    assert {row["code"] for row in table.values() if row["superseded"]} == {row["code"] for row in before.values()}
    program.write_text(program.read_text().removesuffix("# better\n"))
    assert "2 already done" in clone.run("drive", "toy", "--repin")
    assert {id: row["objective"] for id, row in clone.rows().items()} == {
        id: row["objective"] for id, row in before.items()
    }


def test_another_terminal_sees_what_runs_and_watches_it_to_its_end(clone: TestClone) -> None:
    prepared(clone)
    assert "nothing runs it on this machine now; `make sweep SWEEP=toy` goes on" in clone.run("watch", "toy", code=2)
    launcher = clone.start("submit", "toy", "--slots", "1")
    until(lambda: clone.events("start"), "the first starts")
    rows = clone.rows().values()
    assert sorted(row["status"] for row in rows) == ["pending", "pending", "running"]
    (running,) = (row["progress"] for row in rows if row["status"] == "running")
    assert running["seconds"] >= 0
    assert " running " in clone.run("status", "toy")
    watcher = clone.start("watch", "toy")
    assert watcher.stderr
    assert "watching 3 trials on this machine" in watcher.stderr.readline()
    clone.open_gate()
    launcher.communicate(timeout=120)
    out = watcher.communicate(timeout=120)[1]
    assert (launcher.returncode, watcher.returncode) == (0, 0), out
    assert "3/3" in out
    assert "nothing runs" not in clone.run("watch", "toy"), "all have ended"


def test_a_watch_ends_with_the_launcher_that_was_killed(clone: TestClone) -> None:
    prepared(clone)
    launcher = clone.start("submit", "toy", "--slots", "1")
    until(lambda: clone.events("start"), "the first starts")
    watcher = clone.start("watch", "toy")
    assert watcher.stderr
    watcher.stderr.readline()
    launcher.kill()
    assert "what ran it has ended before its trials" in watcher.communicate(timeout=120)[1]
    assert watcher.returncode == 1
    assert {row["status"] for row in clone.rows().values()} == {"pending", "missing"}


def test_a_notifier_is_told_of_success_failure_and_error_and_cannot_spoil_them(clone: TestClone) -> None:
    log = clone.root.parent / "notified"
    words = f"sh -c 'cat >> {log}; echo >> {log}; exit 7'"
    prepared(clone, {"x": 1}, backoffLimit=0)
    clone.open_gate()
    assert "--notify sh: ended with 7" in clone.run("drive", "toy", "--notify", words)
    clone.edit({"x": 1}, {"x": -1}, backoffLimit=0)
    clone.run("drive", "toy", "--notify", words, code=1)
    (clone.root / "values/toy/values.yaml").write_text("sweep: [")
    clone.run("drive", "toy", "--notify", words, code=2)
    first, failing, second, third = (json.loads(line) for line in log.read_text().splitlines())
    assert (failing["outcome"], failing["exit_code"]) == ("failing", None)
    assert "x: must not be negative" in failing["message"]
    assert (first["outcome"], first["exit_code"], first["trials"]) == ("done", 0, {"succeeded": 1})
    assert Path(first["report"]).is_file()
    assert (second["outcome"], second["exit_code"], second["trials"]) == ("failed", 1, {"succeeded": 1, "failed": 1})
    assert (third["outcome"], third["exit_code"]) == ("error", 2)
    assert "values/toy/values.yaml:1" in third["message"]


def test_a_notifier_of_the_first_failure_is_no_leaving_of_a_trial_and_holds_up_nothing(clone: TestClone) -> None:
    """It runs on while other trials end, which is when all is ended that trials left behind."""
    log, done = clone.root.parent / "notified", clone.root.parent / "let-go"
    notifier = clone.root.parent / "notifier.sh"
    notifier.write_text(
        f"echo begin $HELM_SWEEP_OUTCOME >> {log}\n"
        f"while [ $HELM_SWEEP_OUTCOME = failing ] && [ ! -e {done} ]; do sleep 0.05; done\n"
        f"echo end $HELM_SWEEP_OUTCOME >> {log}\n"
    )
    prepared(clone, {"x": -1}, {"x": 1}, {"x": 2}, backoffLimit=0)
    launcher = clone.start("drive", "toy", "--slots", "3", "--notify", f"sh {notifier}")
    until(lambda: log.exists() and "begin failing" in log.read_text(), "it is told of the failure")
    clone.open_gate()
    until(lambda: sorted(clone.events("end")) == ["1", "2"], "the others run to their end meanwhile")
    assert log.read_text() == "begin failing\n"
    done.touch()
    output = launcher.communicate(timeout=60)[1]
    assert launcher.returncode == 1
    assert log.read_text().splitlines() == ["begin failing", "end failing", "begin failed", "end failed"]
    assert "--notify" not in output
