"""A trial on several nodes: real runners beside each other on one store, as the Pods of an Indexed Job."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from tests.unit.trial_support import REPOSITORY, WRITE_METRICS, Bench, Ended, Fifo, Running, make_trial, wait_until

QUICK = "import nodes; nodes.LOOK_SECONDS = 0.05; nodes.BEAT_SECONDS = 0.1"
WAIT_OR = 'case "$NODE_RANK" in {rank}) {script};; *) read hang < {hang};; esac'
"""A command that one node ends, while the others hang."""


def start(bench: Bench, trial: dict[str, Any], rank: int, count: int = 2, patch: str = QUICK, **more: Any) -> Running:
    """The runner of one Pod."""
    env = {"JOB_COMPLETION_INDEX": str(rank), "POD_NAME": f"pod-{rank}", "POD_IP": "127.0.0.1"}
    return bench.start(trial, env=env, patch=patch, nodes=count, **more)


def run(bench: Bench, trial: dict[str, Any], count: int = 2) -> list[Ended]:
    """One attempt of all nodes, from start to end."""
    runners = [start(bench, trial, rank, count) for rank in reversed(range(count))]
    return [runner.end() for runner in reversed(runners)]


def wait_for_both(up: Fifo) -> None:
    """Until two commands have written a line."""
    begun: list[str] = []
    while len(begun) < 2:
        begun += up.line().split()


def two_that_hang(bench: Bench, fifo: Callable[[str], Fifo]) -> tuple[dict[str, Any], Running, Running]:
    """A trial, and the runners of its two nodes, whose commands hang; any that starts from now on does its work."""
    up, hang = fifo("up"), fifo("hang")
    first = f"echo $NODE_RANK > {up}; read hang < {hang}"
    trial = make_trial(f"if [ -e {bench.root}/again ]; then {WRITE_METRICS}; else {first}; fi")
    runners = start(bench, trial, 0), start(bench, trial, 1)
    wait_for_both(up)
    (bench.root / "again").touch()
    return trial, *runners


def codes(ended: list[Ended]) -> list[int]:
    return [one_node.code for one_node in ended]


def nodes_of(bench: Bench, trial: dict[str, Any]) -> list[dict[str, Any]]:
    """What the other nodes said of themselves, in the order of their ranks."""
    paths = (bench.folder(trial) / "attempts").glob("*/nodes/*/node.json")
    return sorted((json.loads(path.read_text()) for path in paths), key=lambda record: record["rank"])


def test_all_nodes_train_together_and_node_0_alone_writes_the_result(bench: Bench) -> None:
    names = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "NNODES", "RANK", "WORLD_SIZE", "PET_NODE_RANK", "PET_NNODES")
    show = " ".join(f"${name}" for name in names)
    trial = make_trial(f'echo "{show}"; {WRITE_METRICS}; echo "$NODE_RANK" > "$CHECKPOINT_DIR/node-$NODE_RANK"')
    assert codes(run(bench, trial, 3)) == [0, 0, 0]
    attempt = bench.attempt(trial)
    schema = json.loads((REPOSITORY / "schemas/attempt.schema.json").read_text())
    jsonschema.validate(attempt, schema)
    assert bench.result(trial)["attempt"] == attempt["attempt"]
    assert attempt["gpus"] == 3, "those of all nodes are booked"
    assert [(peer["rank"], peer["pod"]) for peer in attempt["peers"]] == [(1, "pod-1"), (2, "pod-2")]
    address, _, port = attempt["master"].rpartition(":")
    folder = bench.folder(trial) / "attempts" / attempt["attempt"]
    for rank in range(3):
        (log,) = folder.glob("output.log" if not rank else f"nodes/{rank}-*/output.log")
        assert log.read_text() == f"{address} {port} {rank} 3 {rank} 3 {rank} 3\n"
    assert [record["status"] for record in nodes_of(bench, trial)] == ["done", "done"]
    assert codes(run(bench, trial, 3)) == [0, 0, 0], "and nobody waits for anybody where the result stands"
    assert len(bench.attempts(trial)) == 1


@pytest.mark.parametrize(("code", "counted"), [(3, 3), (64, 64), (69, 1)])
@pytest.mark.parametrize("rank", [0, 2])
def test_one_that_fails_ends_all_and_is_counted_once(
    bench: Bench, fifo: Callable[[str], Fifo], rank: int, code: int, counted: int
) -> None:
    trial = make_trial(WAIT_OR.format(rank=rank, script=f"echo broken; exit {code}", hang=fifo("hang")))
    ended = run(bench, trial, 3)
    assert codes(ended) == [counted, 69, 69]
    attempt = bench.attempt(trial)
    assert (attempt["status"], attempt["exit_code"]) == ("failed", code)
    assert attempt["reason"].endswith("broken")
    assert attempt["reason"].startswith("node 2 (pod-2): exit " if rank else "exit ")
    assert f"failed: {attempt['reason']}" in ended[0].err
    assert not (bench.folder(trial) / "result.json").exists()


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_preempted_preempts_all_and_the_next_attempt_goes_on(
    bench: Bench, fifo: Callable[[str], Fifo], rank: int
) -> None:
    up, hang = fifo("up"), fifo("hang")
    save = 'touch "$CHECKPOINT_DIR/saved-$NODE_RANK"; exit 0'
    first = f"trap '{save}' TERM; echo $NODE_RANK > {up}; read hang < {hang}"
    trial = make_trial(f'if [ -e "$CHECKPOINT_DIR/saved-1" ]; then {WRITE_METRICS}; else {first}; fi')
    runners = [start(bench, trial, index) for index in (0, 1)]
    wait_for_both(up)
    runners[rank].child.terminate()
    assert [runner.end().code for runner in runners] == ([143, 69] if rank == 0 else [69, 143])
    assert bench.attempt(trial)["status"] == "preempted"
    assert codes(run(bench, trial)) == [0, 0]
    assert [attempt["status"] for attempt in bench.attempts(trial)] == ["preempted", "succeeded"]


def test_a_failure_that_another_nodes_preemption_caused_is_no_failure(
    bench: Bench, fifo: Callable[[str], Fifo]
) -> None:
    """As of a collective operation whose peer leaves: node 0's command fails at once, and by itself."""
    up, gone = fifo("up"), fifo("gone")
    leave = f"trap 'echo x > {gone}; exit 0' TERM; echo up > {up}; read hang < {fifo('hang')}"
    trial = make_trial(f'if [ "$NODE_RANK" = 1 ]; then {leave}; else read x < {gone}; exit 5; fi')
    runners = [start(bench, trial, rank) for rank in (0, 1)]
    up.line()
    runners[1].child.terminate()
    assert [runner.end().code for runner in runners] == [69, 143]
    assert bench.attempt(trial)["status"] == "preempted"


def test_a_node_that_dies_without_a_word_ends_the_attempt_once_another_takes_its_place(
    bench: Bench, fifo: Callable[[str], Fifo]
) -> None:
    trial, leader, other = two_that_hang(bench, fifo)
    other.child.kill()
    successor = start(bench, trial, 1)
    ended = leader.end()
    assert (ended.code, ended.line) == (69, f"trial.py: {trial['id']}: failed: node 1 (pod-1): it is gone")
    again = start(bench, trial, 0)
    assert (again.end().code, successor.end().code) == (0, 0)
    assert [attempt["status"] for attempt in bench.attempts(trial)] == ["failed", "succeeded"]


def test_node_0_that_dies_without_a_word_begins_anew_and_the_others_with_it(
    bench: Bench, fifo: Callable[[str], Fifo]
) -> None:
    trial, leader, other = two_that_hang(bench, fifo)
    leader.child.kill()
    successor = start(bench, trial, 0)
    assert other.end().code == 69
    assert (start(bench, trial, 1).end().code, successor.end().code) == (0, 0)
    assert bench.result(trial)["attempt"] == bench.attempts(trial)[1]["attempt"]


def test_a_node_without_a_sign_of_life_is_gone(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    up = fifo("up")
    trial = make_trial(f"echo $NODE_RANK > {up}; read hang < {fifo('hang')}")
    leader = start(bench, trial, 0, patch=f"{QUICK}; nodes.LOST_SECONDS = 1")
    other = start(bench, trial, 1)
    wait_for_both(up)
    other.child.send_signal(signal.SIGSTOP)
    ended = leader.end()
    other.child.send_signal(signal.SIGCONT)
    assert (ended.code, other.end().code) == (69, 69)
    assert "node 1 (pod-1): it is gone" in ended.line


def test_the_result_waits_until_the_commands_of_all_have_ended_well(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    go = fifo("go")
    trial = make_trial(f'if [ "$NODE_RANK" = 1 ]; then read go < {go}; exit 3; fi; {WRITE_METRICS}; echo ready')
    runners = [start(bench, trial, rank) for rank in (0, 1)]
    logs = bench.folder(trial) / "attempts"
    wait_until(lambda: any(b"ready" in path.read_bytes() for path in logs.glob("*/output.log")), "node 0 is done")
    go.say("")
    assert [runner.end().code for runner in runners] == [3, 69]
    assert not (bench.folder(trial) / "result.json").exists()


def test_the_time_limit_is_one_for_all(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    trial = make_trial(f"read hang < {fifo('hang')}", limit_seconds=1)
    assert codes(run(bench, trial)) == [66, 69]
    assert bench.attempt(trial)["reason"] == "limit"


@pytest.mark.parametrize("rank", [0, 1])
def test_who_waits_in_vain_gives_up_and_has_used_nothing(bench: Bench, rank: int) -> None:
    trial = make_trial(WRITE_METRICS)
    ended = start(bench, trial, rank, patch=f"{QUICK}; nodes.GATHER_SECONDS = 1").end()
    assert ended.code == 69
    assert "within 1 s; a queue admits all" in ended.line
    if rank == 0:
        assert bench.attempt(trial)["used_s"] < 1
    assert codes(run(bench, trial)) == [0, 0]


def test_a_seat_of_the_dead_is_not_counted_on(bench: Bench) -> None:
    """A node that left while it waited, in good order or not: its successor is the one that is named."""
    trial = make_trial(WRITE_METRICS)
    leader = start(bench, trial, 0, count=3)
    for _ in range(2):
        other = start(bench, trial, 1, count=3)
        wait_until(lambda: any(node["status"] == "waiting" for node in nodes_of(bench, trial)), "a seat is taken")
        other.child.terminate()
        assert other.end().code == 143
        assert {node["status"] for node in nodes_of(bench, trial)} == {"preempted"}
    others = [start(bench, trial, rank, count=3) for rank in (1, 2)]
    assert [runner.end().code for runner in (leader, *others)] == [0, 0, 0]
