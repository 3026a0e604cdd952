"""The local engine with Jobs of its own: slots, retries, podFailurePolicy, interruption, and what it remembers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sweep import render
from sweep.engines import holding, jobfiles, local
from sweep.engines.attempt import LocalPod
from sweep.engines.local import LocalRun
from sweep.errors import BadInput
from sweep.jobs import JobState
from sweep.layout import Clone
from sweep.render import Rendered, Trial
from tests.unit import git_server, trial_support
from tests.unit.trial_support import Fifo
from tests.waiting import until

DEADLINE_SECONDS = 30
STATE = '{"name": "a", "trial": "a", "failed": 0}'


def job(name: str, script: str, **spec: Any) -> dict[str, Any]:
    """A Job that runs a shell script, with the chart's failure policy."""
    command = ["sh", "-c", script.replace("$", "$$")]  # Kubernetes reads $$ as $
    container = {"name": "trial", "command": command, "env": [], "volumeMounts": []}
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "trial", "operator": "In", "values": [64, 65, 66, 67]}},
    ]
    pod = {"containers": [container], "volumes": [], "terminationGracePeriodSeconds": 10} | spec.pop("pod", {})
    filled = {"backoffLimit": 2, "podFailurePolicy": {"rules": rules}, "template": {"spec": pod}} | spec
    return {"kind": "Job", "metadata": {"name": name}, "spec": filled}


def engine(
    folder: Path,
    *jobs: dict[str, Any],
    slots: int = 2,
    on_tick: Callable[[Any], None] = lambda _: None,
    lost: tuple[str, ...] = (),
    **options: Any,
) -> LocalRun:
    """An engine whose completed Jobs have their results, but for the `lost` ones. A trial is named as its Job."""
    trials = [Trial(item["metadata"]["name"], "", {}, {}, 0, 0, item["metadata"]["name"]) for item in jobs]
    done = {trial.id for trial in trials} - set(lost)
    return LocalRun(Rendered(list(jobs), trials), folder, [[]] * slots, done=done, on_tick=on_tick, **options)


def run_by_runner(name: str, script: str, results: Path, *, x: int = 0, limit: float = 600) -> dict[str, Any]:
    """A Job whose trial is a shell script that the real runner runs, as the chart would have it."""
    trial = trial_support.make_trial(script, id=name, lineage=name, limit_seconds=limit)
    trial["identity"]["hyperparameters"] = {"x": x}
    words = [
        sys.executable,
        "-I",
        "-S",
        str(trial_support.RUNNER),
        "--results=/results",
        "--scratch=/scratch",
        "--grace=20",
    ]
    env = [{"name": "TRIAL", "value": json.dumps(trial).replace("$", "$$")}]
    env.append({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    mounts = [{"name": "results", "mountPath": "/results"}, {"name": "scratch", "mountPath": "/scratch"}]
    volumes = [{"name": "results", "hostPath": {"path": str(results)}}, {"name": "scratch", "emptyDir": {}}]
    task = job(name, "", pod={"volumes": volumes, "terminationGracePeriodSeconds": 20})
    task["spec"]["template"]["spec"]["containers"][0] |= {"command": words, "env": env, "volumeMounts": mounts}
    return task


def test_jobs_complete_and_are_not_run_again(tmp_path: Path) -> None:
    task = job("a", f"echo ran >> {tmp_path}/log")
    first = engine(tmp_path / "jobs", task).run()["a"]
    assert (first.condition, first.attempts, first.failed) == ("Complete", 1, 0)
    assert engine(tmp_path / "jobs", task).run()["a"].attempts == 1
    assert (tmp_path / "log").read_text() == "ran\n"


def test_complete_job_whose_result_is_gone_starts_over(tmp_path: Path) -> None:
    task = job("a", f"echo ran >> {tmp_path}/log")
    engine(tmp_path / "jobs", task).run()
    assert engine(tmp_path / "jobs", task, lost=("a",)).run()["a"].condition == "Complete"
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
    assert set(jobfiles.read(tmp_path / "jobs")) == {"b"}
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


GIVE_BACK = f'{sys.executable} -c \'import os; os.write(int(os.environ["SWEEP_SLOT"]), b"1")\''
"""What the runner does when its command has ended well, in a script."""


def test_a_slot_that_is_given_back_goes_to_the_next_trial_at_once(tmp_path: Path) -> None:
    """The first does not end before the second has run."""
    os.mkfifo(tmp_path / "ran")
    pod = {"activeDeadlineSeconds": DEADLINE_SECONDS}
    first = job("a", f"{GIVE_BACK}; read word < {tmp_path}/ran", pod=pod)
    run = engine(tmp_path / "jobs", first, job("b", f"echo yes > {tmp_path}/ran", pod=pod), slots=1)
    assert [state.condition for state in run.run().values()] == ["Complete", "Complete"]
    assert run.free == [0]


def test_a_slot_is_given_back_once_by_a_trial_that_fails_afterwards(tmp_path: Path) -> None:
    run = engine(tmp_path / "jobs", job("a", f"{GIVE_BACK}; exit 1"), job("b", "exit 1"), slots=1)
    assert [state.attempts for state in run.run().values()] == [3, 3]
    assert run.free == [0]


@pytest.mark.parametrize(
    ("script", "gives_back"), [(trial_support.WRITE_METRICS, True), ("exit 64", False), ("true", False)]
)
def test_the_runner_gives_its_slot_back_when_the_trial_has_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, gives_back: bool
) -> None:
    """Not where it has failed: what that means for the others is to be known before the next one starts."""
    (tmp_path / "results").mkdir()
    heard = []
    ask = LocalPod.gives_back
    monkeypatch.setattr(LocalPod, "gives_back", lambda self: heard.append(ask(self)) or heard[-1])
    task = run_by_runner("aaaa", f'test -z "$SWEEP_SLOT" && {script}', tmp_path / "results")
    engine(tmp_path / "jobs", task).run()
    assert gives_back in heard
    assert any(heard) == gives_back


def test_gpus_are_handed_out_by_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,4,5,6")
    places = local.slots_for(2)
    assert places == [["0", "1"], ["4", "5"]]
    task = job("a", f'echo "$CUDA_VISIBLE_DEVICES $OMP_NUM_THREADS" > {tmp_path}/seen')
    trial = Trial("a", "", {}, {}, 0, 2, "a")
    LocalRun(Rendered([task], [trial]), tmp_path / "jobs", places, done=(), on_tick=lambda _: None).run()
    assert (tmp_path / "seen").read_text() == "0,1 1\n"


def test_a_slot_gives_each_trial_as_many_gpus_as_it_asks_for(tmp_path: Path) -> None:
    jobs = [job(name, f'echo "$CUDA_VISIBLE_DEVICES" > {tmp_path}/{name}') for name in "abc"]
    trials = [Trial(name, "", {}, {}, 0, gpus, name) for name, gpus in (("a", 3), ("b", 1), ("c", 0))]
    LocalRun(Rendered(jobs, trials), tmp_path / "jobs", [["4", "5", "6"]], done=(), on_tick=lambda _: None).run()
    assert [(tmp_path / name).read_text() for name in "abc"] == ["4,5,6\n", "4\n", "\n"]


def test_more_gpus_than_the_machine_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(BadInput, match=r"gpu\.count: a trial asks for 2 and this machine has 1; set `gpu"):
        local.slots_for(2)


def test_deadline_of_the_pod_ends_it(tmp_path: Path) -> None:
    task = job("a", "exec sleep 1000", backoffLimit=0, pod={"activeDeadlineSeconds": 1})
    state = engine(tmp_path / "jobs", task).run()["a"]
    assert state.condition == "Failed"
    assert state.reason.startswith("exit 143")


def test_second_process_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    refused = pytest.raises(BadInput, match=f"by process {os.getpid()}; wait for it")
    with holding.only_one(tmp_path, "demo"), refused, holding.only_one(tmp_path, "demo"):
        pass
    with holding.only_one(tmp_path, "demo"):
        pass


def test_process_that_is_stopping_already_is_waited_for(tmp_path: Path) -> None:
    script = f"""import os, sys, time; sys.path[:0] = {[str(Clone.here().root / "scripts")]!r}
from pathlib import Path
from sweep.engines import holding
with holding.only_one(Path({str(tmp_path)!r}), "demo"):
    Path({str(tmp_path)!r}, holding.LOCK).write_text(f"{{os.getpid()}} {{holding.STOPPING}}")
    print(os.getpid(), flush=True)
    sys.stdin.readline()"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdin
        pid, output = int(other.stdout.readline()), []

        def say(text: str) -> None:
            output.append(text)
            other.communicate(b"\n")

        with pytest.raises(BadInput, match=f"by process {pid}; wait"), holding.only_one(tmp_path, "demo"):
            pass
        with holding.only_one(tmp_path, "demo", say):
            assert output == [f"demo: waiting for process {pid}, which ends its trials in order"]


# ---- launchers that are interrupted, killed, or not alone ----

LAUNCHER = """
import json, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from tests.unit.test_local import engine
jobs = json.loads(sys.argv[2])
store = Path(sys.argv[3]) if sys.argv[3] else None
engine(Path(sys.argv[1]), *jobs, store=store, say=lambda text: print(text, file=sys.stderr, flush=True)).run()
"""


class Launcher:
    """An engine in a process of its own; what it says goes into a file."""

    def __init__(self, folder: Path, *jobs: dict[str, Any], store: Path | None = None) -> None:
        root = Path(__file__).resolve().parents[2]
        folder.mkdir(exist_ok=True)
        self.output = folder / "said"
        text = LAUNCHER.format(paths=[str(root), str(root / "scripts")])
        with self.output.open("w") as log:
            words = [sys.executable, "-c", text, str(folder / "jobs"), json.dumps(jobs), str(store or "")]
            self.process = subprocess.Popen(words, stderr=log)

    def says(self, words: str) -> None:
        until(lambda: words in self.output.read_text(), f"{words!r} is said", DEADLINE_SECONDS)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(DEADLINE_SECONDS)


@pytest.fixture
def launch() -> Iterator[Callable[..., Launcher]]:
    launchers: list[Launcher] = []

    def start(*words: Any, **options: Any) -> Launcher:
        launchers.append(Launcher(*words, **options))
        return launchers[-1]

    yield start
    for launcher in launchers:
        if launcher.process.poll() is None:
            launcher.process.kill()
            launcher.process.wait()


def pid_in(path: Path) -> int:
    """The process that has written its number into a file, by `note`."""
    until(path.exists, f"a process notes itself in {path.name}", DEADLINE_SECONDS)
    return int(path.read_text())


def note(path: Path) -> str:
    """Shell: write the shell's process number into a file, whole."""
    return f"echo $$ > {path}.new; mv {path}.new {path}"


def gone(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    return True


def hang(folder: Path, name: str) -> str:
    """Shell: note the own number, and never end; with `trap` before it, do that when told to end."""
    os.mkfifo(folder / f"{name}.fifo")
    return f"exec 9<> {folder / name}.fifo; {note(folder / name)}; while :; do read line <&9; done"


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupt_ends_the_children_and_leaves_the_job_pending(
    tmp_path: Path, launch: Callable[..., Launcher], asked: signal.Signals
) -> None:
    trap = f"trap 'echo asked >> {tmp_path}/log; exit 143' TERM; "
    launcher = launch(tmp_path, job("a", trap + hang(tmp_path, "pid")))
    child = pid_in(tmp_path / "pid")
    launcher.end(asked)
    assert gone(child)
    assert (tmp_path / "log").read_text() == "asked\n"
    assert jobfiles.read(tmp_path / "jobs")["a"].condition == "Pending"
    assert list((tmp_path / "jobs" / "attempts").iterdir()) == []


def test_second_interrupt_ends_all_at_once(tmp_path: Path, launch: Callable[..., Launcher]) -> None:
    jobs = [
        job(name, f"trap '' TERM; {hang(tmp_path, name)}", pod={"terminationGracePeriodSeconds": 3600}) for name in "ab"
    ]
    launcher = launch(tmp_path, *jobs)
    children = [pid_in(tmp_path / name) for name in "ab"]
    launcher.process.send_signal(signal.SIGINT)
    launcher.says("stopping: trials have up to 3600 s to save; Ctrl-C again ends them at once")
    assert (tmp_path / "jobs" / holding.LOCK).read_text() == f"{launcher.process.pid} {holding.STOPPING}"
    launcher.end(signal.SIGINT)
    assert all(map(gone, children))


def test_terminal_that_hangs_up_twice_still_lets_trials_save(tmp_path: Path, launch: Callable[..., Launcher]) -> None:
    trap = f"trap 'read go < {tmp_path}/go; touch {tmp_path}/saved; exit 143' TERM; "
    os.mkfifo(tmp_path / "go")
    launcher = launch(tmp_path, job("a", trap + hang(tmp_path, "a"), pod={"terminationGracePeriodSeconds": 3600}))
    pid_in(tmp_path / "a")
    launcher.process.send_signal(signal.SIGHUP)
    launcher.says("stopping")
    launcher.process.send_signal(signal.SIGHUP)
    (tmp_path / "go").write_text("\n")
    launcher.process.wait(DEADLINE_SECONDS)
    assert (tmp_path / "saved").exists()


def test_no_child_outlives_a_killed_launcher(tmp_path: Path, launch: Callable[..., Launcher]) -> None:
    launcher = launch(tmp_path, job("a", hang(tmp_path, "pid")))
    child = pid_in(tmp_path / "pid")
    launcher.end(signal.SIGKILL)
    until(lambda: gone(child), "the trial ends with its launcher")
    assert jobfiles.read(tmp_path / "jobs")["a"].condition == "Pending"
    states = engine(tmp_path / "jobs", job("a", "exit 0")).run()
    assert (states["a"].condition, states["a"].attempts, states["a"].failed) == ("Complete", 2, 0)


# ---- a slot is not a place ----


def slow_to_end(folder: Path, x: int) -> str:
    """A trial that goes on for ever at first; told to end, it saves what it has, when `go` lets it."""
    os.mkfifo(folder / f"{x}.go")
    write = f"""echo '{{"accuracy": {x}}}' > "$METRICS_FILE" """
    end = f"read go < {folder}/{x}.go; {write}; echo saved {x} $METRICS_FILE >> {folder}/events; exit 0"
    return f"""{write}; test -e {folder}/{x} && {{ echo again {x} $METRICS_FILE >> {folder}/events; exit 0; }}
        {end.replace("read", "end() { read")}; }}; trap end TERM; {hang(folder, str(x))}"""


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGHUP])
def test_result_of_a_trial_is_never_what_another_has_measured(
    tmp_path: Path, launch: Callable[..., Launcher], killed_by: signal.Signals
) -> None:
    """Two runners still save their work when the same sweep is started again, with other trials in their slots."""
    store = tmp_path / "results"
    store.mkdir()
    scripts = ['echo \'{"accuracy": 1}\' > "$METRICS_FILE"', slow_to_end(tmp_path, 2), slow_to_end(tmp_path, 3)]
    jobs = [run_by_runner(f"{x:012x}", script, store, x=x) for x, script in enumerate(scripts, 1)]
    first = launch(tmp_path, *jobs, store=store)
    for name in "23":
        pid_in(tmp_path / name)
    first.process.send_signal(killed_by)
    if killed_by == signal.SIGKILL:
        first.process.wait()
        second = launch(tmp_path, *jobs, store=store)
        second.says("ending 2 trials that a launcher which died (process ")
    else:  # in order: it is there until they have ended
        first.says("stopping")
    for x in "23":
        (tmp_path / f"{x}.go").write_text("\n")
    if killed_by == signal.SIGHUP:
        first.process.wait(DEADLINE_SECONDS)
        second = launch(tmp_path, *jobs, store=store)
    assert second.process.wait(DEADLINE_SECONDS) == 0, second.output.read_text()
    for x in (1, 2, 3):
        path = store / "trials" / f"{x:012x}"[:2] / f"{x:012x}" / "result.json"
        assert json.loads(path.read_text())["metrics"] == {"accuracy": x}
    events = [line.split() for line in (tmp_path / "events").read_text().splitlines()]
    assert [event[0] for event in events] == ["saved", "saved", "again", "again"]
    assert len({event[2] for event in events}) == 4, "no two attempts share a file"


def leaving_daemons(folder: Path, then: str) -> tuple[str, list[Path]]:
    """Shell that starts processes in its group, in a session of their own, orphaned, and without any environment."""
    ways = {"group": "{} &", "session": "setsid {} &", "twice": "(setsid {} &) &", "bare": "(env -i setsid {} &) &"}
    for name in ways:
        (folder / f"{name}.sh").write_text(f"trap '' TERM HUP; {hang(folder, name)}")
    shell = "/bin/sh"
    lines = [way.format(f"{shell} {folder}/{name}.sh > /dev/null 2>&1") for name, way in ways.items()]
    waits = [f"until test -e {folder / name}; do /bin/sleep 0.01; done" for name in ways]
    return "\n".join([*lines, *waits, then]), [folder / name for name in ways]


@pytest.mark.parametrize("runner", [True, False], ids=["runner", "bare"])
@pytest.mark.parametrize(
    ("then", "condition"),
    [
        ("""echo '{"accuracy": 1}' > ${METRICS_FILE:-/dev/null}; exit 0""", "Complete"),
        ("exit 64", "Failed"),
        ("kill -9 $PPID; exit 64", "Failed"),
    ],
    ids=["success", "failure", "killed"],
)
def test_nothing_that_a_trial_started_outlives_it(tmp_path: Path, runner: bool, then: str, condition: str) -> None:
    if not runner:
        then = then.replace("$PPID", "$$")
    script, noted = leaving_daemons(tmp_path, then)
    task = run_by_runner("aaaa", script, tmp_path) if runner else job("aaaa", script)
    task["spec"]["backoffLimit"] = 0
    assert engine(tmp_path / "jobs", task).run()["aaaa"].condition == condition
    assert [path.name for path in noted if not gone(pid_in(path))] == []


def test_nothing_that_a_trial_started_outlives_its_time_limit(tmp_path: Path) -> None:
    script, noted = leaving_daemons(tmp_path, hang(tmp_path, "itself"))
    task = run_by_runner("aaaa", script, tmp_path, limit=1)
    state = engine(tmp_path / "jobs", task).run()["aaaa"]
    assert "limit: the 1 s of all attempts are used up" in state.reason
    assert [path.name for path in noted if path.exists() and not gone(pid_in(path))] == []


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_nothing_that_a_trial_started_outlives_an_interrupt(
    tmp_path: Path, launch: Callable[..., Launcher], asked: signal.Signals
) -> None:
    script, noted = leaving_daemons(tmp_path, hang(tmp_path, "itself"))
    launcher = launch(tmp_path, run_by_runner("aaaa", script, tmp_path))
    pid_in(tmp_path / "itself")
    launcher.end(asked)
    assert [path.name for path in noted if not gone(pid_in(path))] == []


def test_processes_of_others_are_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sh", "-c", hang(tmp_path, "own")]) as own:
        pid_in(tmp_path / "own")
        engine(tmp_path / "jobs", job("a", "exit 0")).run()
        assert own.poll() is None
        own.kill()


def test_what_is_left_of_a_killed_launcher_is_ended_before_anything_starts(
    tmp_path: Path, launch: Callable[..., Launcher]
) -> None:
    """Launcher and runner were both killed, and what the trial started minds no SIGTERM."""
    script, noted = leaving_daemons(tmp_path, hang(tmp_path, "itself"))
    task = run_by_runner("aaaa", script, tmp_path)
    launcher = launch(tmp_path, task)
    command = pid_in(tmp_path / "itself")
    runner = int(Path(f"/proc/{command}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(launcher.process.pid, signal.SIGSTOP)  # it must not see the runner end
    os.kill(runner, signal.SIGKILL)
    launcher.end(signal.SIGKILL)
    until(lambda: gone(command), "the command ends with its runner")
    marked = [path for path in noted if path.name != "bare"]  # nothing tells whose a process without environment is
    assert not any(gone(pid_in(path)) for path in marked)
    messages: list[str] = []
    then = job("aaaa", f"touch {tmp_path}/began", pod={"terminationGracePeriodSeconds": 0.2})
    state = engine(tmp_path / "jobs", then, say=messages.append).run()["aaaa"]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid_in(tmp_path / "bare"), signal.SIGKILL)
    assert state.condition == "Complete"
    assert [path.name for path in marked if not gone(pid_in(path))] == []
    died = f"a launcher which died (process {launcher.process.pid})"
    assert messages == [f"ending a trial that {died} left running; up to 0 s to save"]


def test_interrupt_while_an_earlier_launchers_trials_end_starts_nothing(
    tmp_path: Path, launch: Callable[..., Launcher]
) -> None:
    task = job("a", f"trap '' TERM; {hang(tmp_path, 'a')}", pod={"terminationGracePeriodSeconds": 3600})
    first = launch(tmp_path, task)
    child = pid_in(tmp_path / "a")
    first.end(signal.SIGKILL)
    second = launch(tmp_path, task)
    second.says("ending a trial that a launcher which died")
    second.end(signal.SIGINT)
    assert not gone(child)
    assert jobfiles.read(tmp_path / "jobs")["a"].attempts == 1
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_trial_of_two_sweeps_runs_once_at_a_time(tmp_path: Path, launch: Callable[..., Launcher], killed: bool) -> None:
    (tmp_path / "results").mkdir()
    trap = f"trap 'read go < {tmp_path}/go; touch {tmp_path}/over; exit 0' TERM; "
    os.mkfifo(tmp_path / "go")
    first = launch(tmp_path / "one", job("aaaa", trap + hang(tmp_path, "pid")), store=tmp_path / "results")
    child = pid_in(tmp_path / "pid")
    second = launch(
        tmp_path / "two",
        job("aaaa", f"test -e {tmp_path}/over && touch {tmp_path}/good"),
        job("bbbb", f"touch {tmp_path}/other"),
        store=tmp_path / "results",
    )
    second.says("1 trial waiting, since another launcher runs the same now: aaaa")
    until((tmp_path / "other").exists, "another trial takes the slot")
    if killed:
        first.end(signal.SIGKILL)  # its trial was told to end by that, and is not yet through
    else:
        os.kill(child, signal.SIGTERM)
    (tmp_path / "go").write_text("\n")
    assert second.process.wait(DEADLINE_SECONDS) == 0
    assert (tmp_path / "good").exists()


def test_a_store_that_cannot_hold_a_trial_holds_nobody_up(tmp_path: Path) -> None:
    assert holding.hold(tmp_path / "missing", "aaaa") is None


def test_each_attempt_has_a_folder_that_goes_with_it(tmp_path: Path) -> None:
    script = f"pwd >> {tmp_path}/log; test $(wc -l < {tmp_path}/log) = 3"
    engine(tmp_path / "jobs", job("a", script)).run()
    assert len(set((tmp_path / "log").read_text().splitlines())) == 3
    assert list((tmp_path / "jobs" / "attempts").iterdir()) == []


def test_on_a_full_disk_what_runs_may_end_and_nothing_new_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second Job cannot start; the first one, which waits for that, ends well, and is not run again."""
    real, messages = jobfiles.write, list[str]()
    full = Fifo(tmp_path / "full")

    def write(folder: Path, state: JobState) -> None:
        if state.name == "b":
            full.say("go")
            raise OSError(28, "No space left on device", str(folder / "b.json"))
        real(folder, state)

    jobs = [job("a", f"read go <{full}"), job("b", "exit 0"), job("c", "exit 0")]
    monkeypatch.setattr(jobfiles, "write", write)
    with pytest.raises(OSError, match=r"b\.json"):
        engine(tmp_path / "jobs", *jobs, say=messages.append).run()
    full.close()
    (line,) = messages
    assert "b.json: No space left on device (ENOSPC); free space there" in line
    assert line.endswith("; 1 trial may end first, none is started")
    states = jobfiles.read(tmp_path / "jobs")
    assert {name: (state.condition, state.attempts) for name, state in states.items()} == {"a": ("Complete", 1)}
    monkeypatch.undo()
    ended = engine(tmp_path / "jobs", *jobs).run()
    assert [(state.condition, state.attempts) for state in ended.values()] == [("Complete", 1)] * 3


@pytest.mark.parametrize(
    "text",
    ["", '{"name": "a", "tri', "[]", "null", '{"name": "a", "from": "the future"}', "\0\0", STATE.replace("0", '"0"')],
)
def test_state_file_that_holds_no_state_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "a.json").write_text(text)
    (tmp_path / "jobs" / "forgotten.json").write_text(text)
    assert engine(tmp_path / "jobs", job("a", "exit 0")).run()["a"].condition == "Complete"
    assert list(jobfiles.read(tmp_path / "jobs")) == ["a"]
    assert not (tmp_path / "jobs" / "forgotten.json").exists()


# ---- init containers ----


def with_init(name: str, fetch: str, script: str, **spec: Any) -> dict[str, Any]:
    """A Job whose init container runs `fetch` in the same volumes."""
    volumes = [{"name": "code", "emptyDir": {}}]
    mounts = [{"name": "code", "mountPath": "/sweep/code"}]
    init = {"name": "code", "command": ["sh", "-c", fetch], "env": [], "volumeMounts": mounts}
    task = job(name, script, pod={"initContainers": [init], "volumes": volumes}, **spec)
    task["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = mounts
    return task


def test_init_container_runs_first_in_the_same_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/person")
    script = f'cat /sweep/code/file > {tmp_path}/seen; echo "[$HOME]" >> {tmp_path}/seen'
    task = with_init("a", 'echo "fetched by $HOME" > /sweep/code/file', script)
    state = engine(tmp_path / "jobs", task).run()["a"]
    assert (state.condition, state.attempts) == ("Complete", 1)
    assert (tmp_path / "seen").read_text() == "fetched by /home/person\n[]\n"


@pytest.mark.parametrize(("code", "attempts"), [(65, 1), (75, 3)])
def test_init_container_that_fails_is_the_attempts_end(tmp_path: Path, code: int, attempts: int) -> None:
    task = with_init("a", f"echo no such commit; exit {code}", f"touch {tmp_path}/ran")
    state = engine(tmp_path / "jobs", task).run()["a"]
    assert (state.condition, state.attempts, state.reason) == ("Failed", attempts, f"exit {code}: no such commit")
    assert not (tmp_path / "ran").exists()


def test_code_from_git_is_fetched_for_every_trial(tmp_path: Path) -> None:
    """The chart, the script that it ships, the runner and a real git daemon."""
    server = git_server.serve(tmp_path)
    try:
        values = tmp_path / "values.yaml"
        head = {
            "sweep": "demo",
            "objective": {"metric": "accuracy", "direction": "maximize"},
            "command": ["python3", "train.py"],
            "image": {"repository": "local", "tag": "1"},
            "gpu": {"count": 0},
            "results": {"volume": {"hostPath": {"path": str(tmp_path / "results")}}, "isolate": False},
            "code": {"source": "git", "url": server.url, "commit": server.first, "tree": server.tree},
        }
        head["code"] |= {"path": "trainer", "secret": "deploy-key"}
        values.write_text(json.dumps(head | {"trials": [{"lr": 1}, {"lr": 2}]}))
        (tmp_path / "results").mkdir()
        rendered = render.render(Clone.here().chart, "demo", [values])
        run = LocalRun(rendered, tmp_path / "jobs", [[], []], done=(), on_tick=lambda _: None).run()
        assert {state.condition for state in run.values()} == {"Complete"}, run
        for trial in rendered.trials:
            assert (tmp_path / "results" / "trials" / trial.id[:2] / trial.id / "result.json").exists()
        assert "secret of git" in (tmp_path / "jobs" / f"{rendered.trials[0].job}.log").read_text()
    finally:
        server.stop()


# ---- first trials that all fail alike ----

TYPO = "echo \"ModuleNotFoundError: No module named 'x', line $$\"; exit 1"


def attempts_of(states: Mapping[str, JobState]) -> int:
    return sum(state.attempts for state in states.values())


def test_first_trials_that_fail_alike_hold_back_the_rest_and_the_next_run_goes_on(tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    jobs = [job(f"j{index}", f"test -e {mended} && exit 0; {TYPO}") for index in range(8)]
    first = engine(tmp_path / "jobs", *jobs, fail_fast=3)
    states = first.run()
    assert 3 <= attempts_of(states) <= 3 + 2  # what ran beside the third
    assert first.held.startswith("exit 1: ModuleNotFoundError: No module named 'x', line ")
    assert {state.condition for state in states.values()} == {"Pending"}
    assert {state.reason.partition(" line ")[0] for state in first.ended.values()} == {
        "retrying: after exit 1: ModuleNotFoundError: No module named 'x',"
    }
    again = engine(tmp_path / "jobs", *jobs, fail_fast=3)  # nothing was mended
    assert 3 <= attempts_of(again.run()) - attempts_of(states) <= 3 + 2
    mended.touch()
    last = engine(tmp_path / "jobs", *jobs, fail_fast=3)
    assert {state.condition for state in last.run().values()} == {"Complete"}
    assert {state.reason for state in last.states.values()} == {""}


def test_failures_that_no_retry_mends_hold_back_the_rest_too(tmp_path: Path) -> None:
    states = engine(tmp_path / "jobs", *(job(f"j{index}", "exit 64") for index in range(8)), fail_fast=3).run()
    assert 3 <= sum(state.condition == "Failed" for state in states.values()) <= 3 + 2


@pytest.mark.parametrize("needed", [0, 3])
def test_trials_fewer_than_it_takes_are_retried_as_ever(tmp_path: Path, needed: int) -> None:
    count = 2 if needed else 4
    run = engine(tmp_path / "jobs", *(job(f"j{index}", TYPO) for index in range(count)), fail_fast=needed)
    assert {(state.condition, state.attempts) for state in run.run().values()} == {("Failed", 3)}
    assert not run.held


def test_first_trials_that_fail_differently_hold_nothing_back(tmp_path: Path) -> None:
    jobs = [job(f"j{index}", f"echo {'even' if index % 2 else 'odd'}; exit 64") for index in range(6)]
    assert {state.condition for state in engine(tmp_path / "jobs", *jobs, fail_fast=3).run().values()} == {"Failed"}


def test_one_success_among_the_first_holds_nothing_back(tmp_path: Path) -> None:
    jobs = [job("a", "exit 0"), *(job(f"j{index}", "exit 64") for index in range(5))]
    states = engine(tmp_path / "jobs", *jobs, slots=1, fail_fast=3).run()
    assert [state.condition for state in states.values()] == ["Complete", *["Failed"] * 5]


def test_a_trial_that_runs_on_frees_the_rest_by_its_success(tmp_path: Path) -> None:
    gate, messages = Fifo(tmp_path / "gate"), list[str]()

    def say(text: str) -> None:
        messages.append(text)
        gate.say("go")

    jobs = [job("a", f"read _ < {gate}"), *(job(f"j{index}", "exit 64") for index in range(5))]
    states = engine(tmp_path / "jobs", *jobs, say=say, fail_fast=3).run()
    assert [state.condition for state in states.values()] == ["Complete", *["Failed"] * 5]
    gate.close()
    assert messages == ["3 trials failed alike at once: exit 64: no output; 1 may end first, none is started"]


# ---- the runner itself ----


def test_the_runner_is_written_and_compiled_once_and_run_by_the_python_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever PATH calls python3: a script that looks for one first takes longer than the runner."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "bin/python3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    program = f"""
import importlib.util, os, sys
sys.path.insert(0, os.path.dirname(__file__))
compiled = os.path.exists(importlib.util.cache_from_source(os.path.dirname(__file__) + "/part.py"))
import part
open({str(tmp_path / "log")!r}, "a").write(f"{{sys.executable}} {{compiled}} {{__file__}}\\n")
"""
    jobs = [job(name, "") for name in ("a", "b")]
    for each in jobs:
        pod = each["spec"]["template"]["spec"]
        pod["volumes"] = [{"name": "runner", "configMap": {"name": "r"}}]
        pod["containers"][0] |= {
            "command": ["python3", "-I", "-S", "/sweep/runner/trial.py"],
            "volumeMounts": [{"name": "runner", "mountPath": "/sweep/runner"}],
        }
    run = engine(tmp_path / "state", *jobs, slots=1)
    data = {"trial.py": program, "part.py": ""}
    run.rendered.objects.append({"kind": "ConfigMap", "metadata": {"name": "r"}, "data": data})
    assert {state.condition for state in run.run().values()} == {"Complete"}
    path = f"{tmp_path}/state/attempts/r/trial.py"
    wanted = [f"{sys.executable} {compiled} {path}" for compiled in (False, True)]
    assert (tmp_path / "log").read_text().splitlines() == wanted
