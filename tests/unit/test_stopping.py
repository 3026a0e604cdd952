"""The runner with a stop rule: what is stopped, what stands, and that nothing here fails a trial."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sweep.records import verdicts
from tests.unit.trial_support import OBJECTIVE, WRITE_METRICS, Bench, Ended, Running, make_trial, wait_until

GROUP = "0123456789ab"
RULE = {"rule": "asha", "min": 1, "eta": 3, "min_peers": 3, "metric": "accuracy", "direction": "maximize", "nan": True}
ROW = """echo '{"epoch": %s, "accuracy": %s, "loss": 2}' >> "$HISTORY_FILE"; """
WAIT = "echo waiting; sleep 60 & wait"
"""Until SIGTERM ends the shell."""
PEERS = (0.5, 0.6, 0.7)
OFTEN = "import observing; observing.WATCH_SECONDS = 0.05"


def at_rung(rung: int) -> str:
    """A command that waits until the runner has seen it at a rung."""
    path = f'"$CHECKPOINT_DIR/../../../rungs/{GROUP}/{rung}/$(basename "$CHECKPOINT_DIR").json"'
    return f"until [ -e {path} ]; do sleep 0.05; done; "


def start(bench: Bench, trial: dict[str, Any], **options: Any) -> Running:
    return bench.start(trial, patch=OFTEN, **options)


def run(bench: Bench, trial: dict[str, Any], **options: Any) -> Ended:
    return start(bench, trial, **options).end()


def with_rule(command: str, *, lr: float = 0.1, **rule: Any) -> dict[str, Any]:
    """A trial whose sweep has a rule; None takes a setting out."""
    settings = {name: value for name, value in (RULE | rule).items() if value is not None}
    changes: dict[str, Any] = {"stop": {"group": GROUP, "rule": settings}}
    return make_trial(command, identity_hyperparameters={"lr": lr}, **changes)


def row(epoch: int, accuracy: float | str) -> str:
    return ROW % (epoch, accuracy)


def rung(bench: Bench, at: float = 1) -> Path:
    return bench.results / "rungs" / GROUP / str(at)


def put_peers(bench: Bench, values: Sequence[float | None] = PEERS, at: float = 1, **changes: Any) -> None:
    """Peers that have been at a rung."""
    rung(bench, at).mkdir(parents=True, exist_ok=True)
    for number, value in enumerate(values):
        record = {"schema_version": 1, "group": GROUP, "id": f"{number:012x}", "rung": at, "step": at, "value": value}
        (rung(bench, at) / f"{number:012x}.json").write_text(json.dumps(record | changes))


def verdict_of(bench: Bench, trial: dict[str, Any]) -> dict[str, Any]:
    """The record of the stopped trial, whose verdict follows from its evidence."""
    record: dict[str, Any] = json.loads((bench.folder(trial) / verdicts.name_of(GROUP)).read_text())
    assert verdicts.flaw(record, trial["id"], trial["stop"]) == ""
    return record


def is_stopped(bench: Bench, trial: dict[str, Any]) -> bool:
    return (bench.folder(trial) / verdicts.name_of(GROUP)).exists()


def test_a_trial_that_is_behind_enough_peers_is_stopped_at_the_rung(bench: Bench) -> None:
    put_peers(bench)
    trial = with_rule(f'touch "$CHECKPOINT_DIR/epoch-0001.pt" "$CHECKPOINT_DIR/epoch-0000.pt"; {row(1, 0.4)}{WAIT}')
    ended = run(bench, trial)
    assert ended.code == 0, ended.err
    assert "accuracy 0.4 at rung 1: 3 of 3 peers had a better one, and 1 are enough" in ended.err
    record = verdict_of(bench, trial)
    assert (record["status"], record["metrics"]) == ("pruned", {"epoch": 1, "accuracy": 0.4, "loss": 2})
    assert record["verdict"]["peers"] == [[f"{number:012x}", 1, value] for number, value in enumerate(PEERS)]
    assert bench.attempt(trial)["status"] == "pruned"
    assert not (bench.folder(trial) / "result.json").exists()
    kept = [path.name for path in bench.checkpoints(trial).iterdir()]
    assert kept == ["epoch-0001.pt"]  # who wants the whole goes on from there


def test_what_was_stopped_does_not_begin_again_and_another_sweep_trains_the_whole(bench: Bench) -> None:
    put_peers(bench)
    trial = with_rule(f'if [ "$GO" ]; then {WRITE_METRICS}; exit; fi; {row(1, 0.4)}{WAIT}')
    assert run(bench, trial).code == 0
    assert "done already: pruned" in run(bench, trial).err
    others = {name: value for name, value in trial.items() if name != "stop"}
    assert run(bench, others, env={"GO": "1"}).code == 0
    assert bench.result(trial)["metrics"] == {"accuracy": 0.5}
    assert "done already: succeeded" in run(bench, trial).err


@pytest.mark.parametrize("values", [(), (0.5,), (0.3, 0.2, 0.1), (None, None, None), (0.4, 0.4, 0.4)])
def test_with_few_peers_or_worse_ones_it_goes_on(bench: Bench, values: tuple[float | None, ...]) -> None:
    put_peers(bench, values)
    trial = with_rule(f"{row(1, 0.4)}{at_rung(1)}{WRITE_METRICS}", min_peers=6)
    assert run(bench, trial).code == 0
    assert bench.result(trial)["status"] == "succeeded"
    assert json.loads((rung(bench) / f"{trial['id']}.json").read_text())["value"] == 0.4


def test_a_program_that_knows_nothing_of_it_is_stopped_by_what_it_prints(bench: Bench) -> None:
    put_peers(bench)
    trial = with_rule(f"echo 'epoch=1 accuracy=0.4'; {WAIT}")
    trial["identity"]["metrics"] = [{"from": "output", "format": "name=value"}]
    assert run(bench, trial).code == 0
    assert verdict_of(bench, trial)["metrics"] == {"accuracy": 0.4, "epoch": 1}


@pytest.mark.parametrize(
    ("rule", "script", "status", "reason"),
    [
        ({}, row(1, "NaN"), "diverged", "accuracy is not finite at step 1"),
        ({"rule": None, "min": None}, row(1, "null"), "diverged", "accuracy is not finite at step 1"),
        ({"rule": None, "max_wall": "1s"}, row(1, 0.4), "pruned", "max_wall: it has trained for"),
        ({"rule": "threshold", "at": {"1": 0.45}}, row(1, 0.4), "pruned", "accuracy 0.4 at rung 1 is below 0.45"),
        ({"rule": "median"}, row(1, 0.4), "pruned", "3 of 3 peers had a better one, and 2 are enough"),
    ],
)
def test_every_rule_stops(bench: Bench, rule: dict[str, Any], script: str, status: str, reason: str) -> None:
    put_peers(bench)
    trial = with_rule(script + WAIT, **rule)
    ended = run(bench, trial)
    assert (ended.code, reason in ended.err) == (0, True), ended.err
    assert verdict_of(bench, trial)["status"] == status


def test_an_attempt_that_hangs_is_tried_again(bench: Bench) -> None:
    trial = with_rule("echo one line; sleep 60", stuck="0.5s")
    ended = run(bench, trial)
    assert (ended.code, bench.attempt(trial)["status"]) == (75, "failed")
    assert bench.attempt(trial)["reason"].startswith("stuck: ")
    assert not is_stopped(bench, trial)


def test_what_it_had_first_at_a_rung_stands_for_every_later_attempt(bench: Bench) -> None:
    """Killed after a rung, trained again to another value there: peers and verdict know the first."""
    trial = with_rule(row(1, "'$FIRST'") + WAIT)
    first = start(bench, trial, env={"FIRST": "0.4"})
    wait_until(lambda: (rung(bench) / f"{trial['id']}.json").exists(), "no runner got there")
    first.child.kill()
    first.end()
    put_peers(bench)
    ended = run(bench, trial, env={"FIRST": "0.9"})
    assert ended.code == 0, ended.err
    record = verdict_of(bench, trial)
    assert (record["verdict"]["value"], record["metrics"]["accuracy"]) == (0.4, 0.4)
    assert [attempt["status"] for attempt in bench.attempts(trial)] == ["running", "pruned"]


def test_two_attempts_at_once_have_one_verdict(bench: Bench) -> None:
    trial = with_rule(f"{row(1, 0.4)}until [ -e {bench.root}/go ]; do sleep 0.05; done; {row(3, 0.4)}{WAIT}")
    several = [start(bench, trial, scratch=bench.root / f"scratch{number}") for number in range(2)]
    wait_until(lambda: (rung(bench) / f"{trial['id']}.json").exists(), "no runner got there")
    put_peers(bench, at=3)
    (bench.root / "go").touch()
    assert [running.end().code for running in several] == [0, 0]
    verdict_of(bench, trial)
    assert sorted(attempt["status"] for attempt in bench.attempts(trial)) == ["duplicate", "pruned"]


def test_whoever_ends_itself_after_the_verdict_is_no_whole_result(bench: Bench) -> None:
    put_peers(bench)
    trial = with_rule(f"whole() {{ {WRITE_METRICS}; exit 0; }}; trap whole TERM; {row(1, 0.4)}{WAIT}")
    assert run(bench, trial).code == 0
    assert not (bench.folder(trial) / "result.json").exists()
    assert verdict_of(bench, trial)["status"] == "pruned"


def test_a_preemption_after_the_verdict_changes_nothing(bench: Bench) -> None:
    put_peers(bench)
    trial = with_rule(f"trap '' TERM; {row(1, 0.4)}echo waiting; while :; do sleep 0.05; done", lr=0.2)
    running = start(bench, trial, grace=4)
    wait_until(lambda: is_stopped(bench, trial), "no runner got there")
    running.child.send_signal(signal.SIGTERM)
    assert running.end().code == 0
    assert bench.attempt(trial)["status"] == "pruned"


def test_a_preemption_before_it_is_one_and_the_next_attempt_is_judged(bench: Bench) -> None:
    trial = with_rule(row(1, 0.4) + WAIT)
    running = start(bench, trial)
    wait_until(lambda: (rung(bench) / f"{trial['id']}.json").exists(), "no runner got there")
    running.child.send_signal(signal.SIGTERM)
    assert running.end().code == 143
    put_peers(bench)
    assert run(bench, trial).code == 0
    assert [attempt["status"] for attempt in bench.attempts(trial)] == ["preempted", "pruned"]


def test_links_pipes_and_what_is_too_large_or_another_is_no_peer(bench: Bench) -> None:
    put_peers(bench, (0.5,))
    good = (rung(bench) / f"{0:012x}.json").read_bytes()
    record = json.loads(good)
    (bench.root / "elsewhere.json").write_text(json.dumps(record | {"id": "1" * 12}))
    (rung(bench) / f"{'1' * 12}.json").symlink_to(bench.root / "elsewhere.json")
    os.mkfifo(rung(bench) / f"{'2' * 12}.json")
    (rung(bench) / f"{'3' * 12}.json").write_text(json.dumps(record | {"id": "3" * 12, "more": "x" * 5000}))
    for number, change in enumerate(
        (
            {"group": "f" * 12},
            {"id": "f" * 12},
            {"rung": 3},
            {"step": 0},
            {"value": "x"},
            {"audited": True},
            {"step": 2},
        )
    ):
        name = f"a{number:011x}"
        (rung(bench) / f"{name}.json").write_text(json.dumps(record | {"id": name} | change))
    (rung(bench) / "notes.txt").write_text("hello")
    (rung(bench) / f"{'4' * 12}.json").write_text("{")
    trial = with_rule(row(1, 0.4) + WAIT)
    assert run(bench, trial).code == 0
    assert verdict_of(bench, trial)["verdict"]["peers"] == [[f"{0:012x}", 1, 0.5]]


def test_rungs_that_cannot_be_written_fail_no_trial(bench: Bench) -> None:
    bench.results.joinpath("rungs").write_text("a file, where folders are due")
    trial = with_rule(f"{row(1, 0.4)}{WRITE_METRICS}")
    ended = run(bench, trial)
    assert (ended.code, bench.result(trial)["status"]) == (0, "succeeded")
    assert "rung 1 is not kept, and peers do not see it" in ended.err


def test_as_a_check_some_are_left_to_run_and_are_no_peers_beyond_that_rung(bench: Bench) -> None:
    put_peers(bench)
    trial = with_rule(f"{row(1, 0.4)}{at_rung(1)}{row(3, 0.4)}{at_rung(3)}{WRITE_METRICS}", audit=1)
    ended = run(bench, trial)
    assert (ended.code, bench.result(trial)["status"]) == (0, "succeeded")
    assert "left to run as a check: accuracy 0.4 at rung 1" in ended.err
    assert bench.attempt(trial)["audited"] == {"group": GROUP, "rung": 1}
    for at, audited in ((1, False), (3, True)):
        assert json.loads((rung(bench, at) / f"{trial['id']}.json").read_text())["audited"] is audited
    verdict = json.loads((bench.folder(trial) / f"audit-{GROUP}.json").read_text())["verdict"]
    assert verdicts.flaw({"verdict": verdict}, trial["id"], trial["stop"]) == ""


@pytest.mark.parametrize("junk", [b"{", b"\0" * 64, b'{"verdict": {}}'])
def test_a_record_that_is_none_is_set_aside(bench: Bench, junk: bytes) -> None:
    put_peers(bench)
    trial = with_rule(row(1, 0.4) + WAIT)
    bench.folder(trial).mkdir(parents=True)
    (bench.folder(trial) / verdicts.name_of(GROUP)).write_bytes(junk)
    assert run(bench, trial).code == 0
    verdict_of(bench, trial)
    assert [path.read_bytes() for path in bench.folder(trial).glob("stopped-*.invalid-*")] == [junk]


def test_a_verdict_by_other_evidence_is_set_aside_and_the_trial_goes_on(bench: Bench) -> None:
    put_peers(bench)
    trial = with_rule(f'if [ "$GO" ]; then {WRITE_METRICS}; exit; fi; {row(1, 0.4)}{WAIT}')
    assert run(bench, trial).code == 0
    path = bench.folder(trial) / verdicts.name_of(GROUP)
    record = json.loads(path.read_text())
    record["verdict"]["value"] = 0.9
    path.write_text(json.dumps(record))
    assert run(bench, trial, env={"GO": "1"}).code == 0
    assert bench.result(trial)["objective"] == OBJECTIVE


def test_a_reproduction_is_never_stopped(bench: Bench) -> None:
    put_peers(bench)
    trial = with_rule(f"{row(1, 0.4)}{WRITE_METRICS}")
    assert run(bench, trial, env={"REPRODUCTION": "1"}).code == 0
    assert not (rung(bench) / f"{trial['id']}.json").exists()


def test_a_rule_that_is_none_is_bad_input(bench: Bench) -> None:
    ended = run(bench, with_rule(WRITE_METRICS, stuck="soon"))
    assert (ended.code, "stop: expected a duration such as 90s" in ended.err) == (64, True)
