"""The local engine with Jobs of its own: slots, retries, podFailurePolicy, interruption, and what it remembers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sweep import render
from sweep.engines import local
from sweep.engines.local import JobState, LocalEngine
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.render import Rendered, Trial
from tests.unit import git_server
from tests.waiting import until

DEADLINE_SECONDS = 30


def job(name: str, script: str, **spec: Any) -> dict[str, Any]:
    """A Job that runs a shell script, with the chart's failure policy."""
    container = {"name": "trial", "command": ["sh", "-c", script], "env": [], "volumeMounts": []}
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "trial", "operator": "In", "values": [64, 65, 66, 67]}},
    ]
    pod = {"containers": [container], "volumes": [], "terminationGracePeriodSeconds": 10} | spec.pop("pod", {})
    filled = {"backoffLimit": 2, "podFailurePolicy": {"rules": rules}, "template": {"spec": pod}} | spec
    return {"kind": "Job", "metadata": {"name": name}, "spec": filled}


def engine(
    folder: Path, *jobs: dict[str, Any], slots: int = 2, on_tick: Any = None, lost: tuple[str, ...] = ()
) -> LocalEngine:
    """An engine whose completed Jobs have their results, but for the `lost` ones."""
    trials = [Trial(made["metadata"]["name"], "", {}, {}, 0, 0, made["metadata"]["name"]) for made in jobs]
    done = {trial.id for trial in trials} - set(lost)
    return LocalEngine(
        Rendered(list(jobs), trials), folder, [[]] * slots, done=done, on_tick=on_tick or (lambda _: None)
    )


def test_jobs_complete_and_are_not_run_again(tmp_path: Path) -> None:
    made = job("a", f"echo ran >> {tmp_path}/log")
    first = engine(tmp_path / "jobs", made).run()["a"]
    assert (first.condition, first.attempts, first.failed) == ("Complete", 1, 0)
    assert engine(tmp_path / "jobs", made).run()["a"].attempts == 1
    assert (tmp_path / "log").read_text() == "ran\n"


def test_complete_job_whose_result_is_gone_starts_over(tmp_path: Path) -> None:
    made = job("a", f"echo ran >> {tmp_path}/log")
    engine(tmp_path / "jobs", made).run()
    assert engine(tmp_path / "jobs", made, lost=("a",)).run()["a"].condition == "Complete"
    assert (tmp_path / "log").read_text() == "ran\nran\n"


def test_failure_is_tried_again_up_to_backoff_limit(tmp_path: Path) -> None:
    state = engine(tmp_path / "jobs", job("a", "echo out of luck; exit 1")).run()["a"]
    assert (state.condition, state.attempts, state.failed) == ("Failed", 3, 3)
    assert state.reason == "exit 1: out of luck"


def test_success_after_a_failure_completes(tmp_path: Path) -> None:
    state = engine(tmp_path / "jobs", job("a", f"mkdir {tmp_path}/once || exit 0; exit 75")).run()["a"]
    assert (state.condition, state.attempts, state.failed) == ("Complete", 2, 1)


@pytest.mark.parametrize("code", [64, 65, 66, 67])
def test_exit_code_of_the_policy_fails_the_job_at_once(tmp_path: Path, code: int) -> None:
    state = engine(tmp_path / "jobs", job("a", f"exit {code}")).run()["a"]
    assert (state.condition, state.attempts) == ("Failed", 1)


def test_policy_is_read_from_the_job(tmp_path: Path) -> None:
    rules = [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}}]
    script = f"echo x >> {tmp_path}/log; test $(wc -l < {tmp_path}/log) = 5 || exit 3"
    state = engine(tmp_path / "jobs", job("a", script, backoffLimit=0, podFailurePolicy={"rules": rules})).run()["a"]
    assert (state.condition, state.attempts, state.failed) == ("Complete", 5, 0)


def test_failed_job_stays_failed_until_it_has_another_name(tmp_path: Path) -> None:
    engine(tmp_path / "jobs", job("a", "exit 64")).run()
    assert engine(tmp_path / "jobs", job("a", "exit 0")).run()["a"].condition == "Failed"
    assert engine(tmp_path / "jobs", job("a-r1", "exit 0")).run()["a-r1"].condition == "Complete"


def test_job_that_is_no_longer_listed_is_forgotten(tmp_path: Path) -> None:
    engine(tmp_path / "jobs", job("a", "exit 64"), job("b", "exit 0")).run()
    engine(tmp_path / "jobs", job("b", "exit 0")).run()
    assert set(local.read_states(tmp_path / "jobs")) == {"b"}
    assert engine(tmp_path / "jobs", job("a", "exit 0")).run()["a"].condition == "Complete"


def test_never_more_processes_than_slots(tmp_path: Path) -> None:
    most = 0

    def watch(states: Mapping[str, JobState]) -> None:
        nonlocal most
        most = max(most, sum(state.condition == "Running" for state in states.values()))

    jobs = [job(f"j{index}", "exit 0") for index in range(6)]
    states = engine(tmp_path / "jobs", *jobs, slots=2, on_tick=watch).run()
    assert {state.condition for state in states.values()} == {"Complete"}
    assert most == 2


def test_gpus_are_handed_out_by_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,4,5,6")
    places = local.slots_for(2)
    assert places == [["0", "1"], ["4", "5"]]
    made = job("a", f'echo "$CUDA_VISIBLE_DEVICES $OMP_NUM_THREADS" > {tmp_path}/seen')
    trial = Trial("a", "", {}, {}, 0, 2, "a")
    LocalEngine(Rendered([made], [trial]), tmp_path / "jobs", places, done=(), on_tick=lambda _: None).run()
    assert (tmp_path / "seen").read_text() == "0,1 1\n"


def test_more_gpus_than_the_machine_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(BadInput, match=r"gpu\.count: a trial asks for 2 and this machine has 1; set `gpu"):
        local.slots_for(2)


def test_deadline_of_the_pod_ends_it(tmp_path: Path) -> None:
    made = job("a", "exec sleep 1000", backoffLimit=0, pod={"activeDeadlineSeconds": 1})
    state = engine(tmp_path / "jobs", made).run()["a"]
    assert state.condition == "Failed"
    assert state.reason.startswith("exit 143")


def test_second_process_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    refused = pytest.raises(BadInput, match=f"by process {os.getpid()}; wait for it")
    with local.only_one(tmp_path, "demo"), refused, local.only_one(tmp_path, "demo"):
        pass
    with local.only_one(tmp_path, "demo"):
        pass


LAUNCHER = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_local import engine, job
folder = Path({folder!r})
script = "trap 'echo asked >> {folder}/log; exit 143' TERM; echo $$$$ > {folder}/new; mv {folder}/new {folder}/pid; "
script += "while :; do sleep 0.02; done"
engine(folder / "jobs", job("a", script)).run()
"""


def launched(tmp_path: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A launcher in another process, and the pid of the trial it has started."""
    here = Path(__file__).resolve()
    text = LAUNCHER.format(
        folder=str(tmp_path), paths=[str(here.parent), str(here.parents[2] / "scripts"), str(here.parents[2])]
    )
    launcher = subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], stderr=subprocess.DEVNULL)
    until((tmp_path / "pid").exists, "the trial starts")
    return launcher, int((tmp_path / "pid").read_text())


def gone(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    return True


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_the_children_and_leaves_the_job_pending(tmp_path: Path, asked: signal.Signals) -> None:
    launcher, child = launched(tmp_path)
    launcher.send_signal(asked)
    launcher.wait(DEADLINE_SECONDS)
    assert gone(child)
    assert (tmp_path / "log").read_text() == "asked\n"
    assert local.read_states(tmp_path / "jobs")["a"].condition == "Pending"


def test_no_child_outlives_a_killed_launcher(tmp_path: Path) -> None:
    launcher, child = launched(tmp_path)
    launcher.kill()
    launcher.wait()
    until(lambda: gone(child), "the trial ends with its launcher")
    assert local.read_states(tmp_path / "jobs")["a"].condition == "Pending"
    (tmp_path / "pid").unlink()
    states = engine(tmp_path / "jobs", job("a", "exit 0")).run()
    assert (states["a"].condition, states["a"].attempts, states["a"].failed) == ("Complete", 2, 0)


# ---- init containers ----


def with_init(name: str, fetch: str, script: str, **spec: Any) -> dict[str, Any]:
    """A Job whose init container runs `fetch` in the same volumes."""
    volumes = [{"name": "code", "emptyDir": {}}]
    mounts = [{"name": "code", "mountPath": "/sweep/code"}]
    init = {"name": "code", "command": ["sh", "-c", fetch], "env": [], "volumeMounts": mounts}
    made = job(name, script, pod={"initContainers": [init], "volumes": volumes}, **spec)
    made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = mounts
    return made


def test_init_container_runs_first_in_the_same_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/person")
    script = f'cat /sweep/code/file > {tmp_path}/seen; echo "[$HOME]" >> {tmp_path}/seen'
    made = with_init("a", 'echo "fetched by $HOME" > /sweep/code/file', script)
    state = engine(tmp_path / "jobs", made).run()["a"]
    assert (state.condition, state.attempts) == ("Complete", 1)
    assert (tmp_path / "seen").read_text() == "fetched by /home/person\n[]\n"


@pytest.mark.parametrize(("code", "attempts"), [(65, 1), (75, 3)])
def test_init_container_that_fails_is_the_attempts_end(tmp_path: Path, code: int, attempts: int) -> None:
    made = with_init("a", f"echo no such commit; exit {code}", f"touch {tmp_path}/ran")
    state = engine(tmp_path / "jobs", made).run()["a"]
    assert (state.condition, state.attempts, state.reason) == ("Failed", attempts, f"exit {code}: no such commit")
    assert not (tmp_path / "ran").exists()


def test_code_from_git_is_fetched_for_every_trial(tmp_path: Path) -> None:
    """The chart, the script that it ships, the runner and a real git daemon."""
    server = git_server.serve(tmp_path)
    try:
        values = tmp_path / "values.yaml"
        made = {
            "sweep": "demo",
            "objective": {"metric": "accuracy", "direction": "maximize"},
            "command": ["python3", "train.py"],
            "image": {"repository": "local", "tag": "1"},
            "gpu": {"count": 0},
            "results": {"volume": {"hostPath": {"path": str(tmp_path / "results")}}},
            "code": {"source": "git", "url": server.url, "commit": server.first, "tree": server.tree},
        }
        made["code"] |= {"path": "trainer", "secret": "deploy-key"}
        values.write_text(json.dumps(made | {"trials": [{"lr": 1}, {"lr": 2}]}))
        (tmp_path / "results").mkdir()
        rendered = render.render(Clone.here().chart, "demo", [values])
        run = LocalEngine(rendered, tmp_path / "jobs", [[], []], done=(), on_tick=lambda _: None).run()
        assert {state.condition for state in run.values()} == {"Complete"}, run
        for trial in rendered.trials:
            assert (tmp_path / "results" / "trials" / trial.id[:2] / trial.id / "result.json").exists()
        assert "secret of git" in (tmp_path / "jobs" / f"{rendered.trials[0].job}.log").read_text()
    finally:
        server.stop()
