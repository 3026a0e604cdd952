"""The trial runner, run as a Pod would run it."""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sweep.records import booking, store
from sweep.render import Trial
from tests.unit.trial_support import (
    OBJECTIVE,
    REPOSITORY,
    RUNNER,
    WRITE_METRICS,
    Bench,
    Fifo,
    load,
    make_trial,
    valid_result,
    wait_for_death,
    wait_until,
)

RESULT, ATTEMPT = (
    json.loads((REPOSITORY / "schemas" / f"{name}.schema.json").read_text()) for name in ("result", "attempt")
)
ENVIRONMENT = load("environment")


def check_files(bench: Bench, trial: Mapping[str, Any]) -> None:
    """Whatever the runner leaves fits the schemas, and nothing half-made lies about."""
    for record in bench.attempts(trial):
        jsonschema.validate(record, ATTEMPT)
    if (bench.folder(trial) / "result.json").exists():
        jsonschema.validate(bench.result(trial), RESULT)
    assert [name for name in bench.names() if re.search(r"/\.", name)] == []


# ---- an attempt that goes well ---------------------------------------------------------------------------------------


def test_a_result_is_kept_with_everything_it_took(bench: Bench) -> None:
    script = """echo '{"accuracy": 0.5, "loss": 2, "durations": {"setup_s": 1, "train_s": 2.5},
        "environment": {"gpu": "H100", "devices": 1}}' > $METRICS_FILE"""
    trial = make_trial(script)

    assert bench.run(trial).line == f"trial.py: {trial['id']}: succeeded"

    check_files(bench, trial)
    result, attempt = bench.result(trial), bench.attempt(trial)
    assert {key: result[key] for key in ("id", "identity", "status", "metrics", "objective", "durations")} == {
        "id": trial["id"],
        "identity": trial["identity"],
        "status": "succeeded",
        "metrics": {"accuracy": 0.5, "loss": 2},
        "objective": OBJECTIVE,
        "durations": {"setup_s": 1, "train_s": 2.5},
    }
    assert result["environment"] == {"gpu": "H100", "devices": 1, "engine": "cluster", "node": "node-1"}
    assert result["attempt"] == attempt["attempt"]
    assert re.fullmatch(r"a000001-\d{8}T\d{6}Z-pod-1", attempt["attempt"])
    assert {key: attempt[key] for key in ("status", "exit_code", "reason", "pod", "pod_uid", "gpus")} == {
        "status": "succeeded",
        "exit_code": 0,
        "reason": "",
        "pod": "pod-1",
        "pod_uid": "uid-1",
        "gpus": 1,
    }
    assert attempt["started_at"] == result["started_at"] <= result["finished_at"] <= attempt["finished_at"]


def test_collect_reads_what_the_runner_wrote(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS)
    bench.run(trial)
    seen = store.read(bench.results, [Trial(trial["id"], trial["id"], trial["identity"], OBJECTIVE, 60, 1, "job")])
    assert seen.problems == []
    stored = seen.trials[trial["id"]]
    assert stored.result
    assert stored.result["metrics"] == {"accuracy": 0.5}
    assert [attempt.status for attempt in stored.attempts] == ["succeeded"]
    assert stored.attempts[0].seconds > 0


def test_the_command_finds_its_environment(bench: Bench, tmp_path: Path) -> None:
    trial = make_trial("env -0 > seen; cat $HYPERPARAMETERS_FILE; " + WRITE_METRICS)
    bench.run(trial, data=tmp_path / "data", scratch=tmp_path / "s", env={"LANG": "C"})

    seen = dict(entry.split("=", 1) for entry in (tmp_path / "seen").read_text().split("\0") if entry)
    scratch, attempt = tmp_path / "s", bench.folder(trial) / "attempts" / bench.attempt(trial)["attempt"]
    assert json.loads(bench.log(trial)) == trial["identity"]["hyperparameters"]
    expected = {
        "HYPERPARAMETERS_FILE": scratch / "hyperparameters.yaml",
        "METRICS_FILE": scratch / "metrics.json",
        "HISTORY_FILE": attempt / "history.jsonl",
        "CHECKPOINT_DIR": bench.checkpoints(trial),
        "DATA_DIR": tmp_path / "data",
        "DATA_ID": "sha256:da7a",
        "SEED": "3",
        "LANG": "C",
    }
    assert {name: seen[name] for name in expected} == {name: str(value) for name, value in expected.items()}
    for name in ("HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert Path(seen[name]).is_dir()
        assert Path(seen[name]).parent == scratch
    assert seen["USER"]


def test_what_the_sweep_sets_itself_wins(bench: Bench) -> None:
    trial = make_trial('echo "$HOME"; ' + WRITE_METRICS, identity_env={"HOME": "/mine"})
    bench.run(trial, env={"HOME": "/mine"})
    assert bench.log(trial) == b"/mine\n"


def test_without_data_there_is_no_data_dir(bench: Bench) -> None:
    trial = make_trial('echo "${DATA_DIR-unset}"; ' + WRITE_METRICS)
    bench.run(trial, env={"DATA_DIR": "/from/the/image"})
    assert bench.log(trial) == b"unset\n"


def test_the_data_set_is_where_a_program_looks(bench: Bench, tmp_path: Path) -> None:
    """Of a program that has its paths written into it: beside its folder, or in it, beside what the code has there."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.bin").write_text("numbers")
    code = tmp_path / "files.json"
    code.write_text(json.dumps({"data/prepare.py": ""}))
    for at in ("../data", "data/text"):
        trial = make_trial(f"cat {at}/train.bin; {WRITE_METRICS}", identity_data=at)
        for again in range(2):  # another attempt in the same scratch
            (bench.folder(trial) / "result.json").unlink(missing_ok=True)
            ended = bench.run(trial, data=tmp_path / "data", data_at=at, code=code, scratch=tmp_path / "s")
            assert (again, ended.code, ended.out) == (again, 0, "numbers")


@pytest.mark.parametrize("at", ["train.py", "../code", "../home"])
def test_the_data_set_replaces_nothing(bench: Bench, tmp_path: Path, at: str) -> None:
    code = tmp_path / "files.json"
    code.write_text(json.dumps({"train.py": ""}))
    ended = bench.run(make_trial(WRITE_METRICS), data=tmp_path / "data", data_at=at, code=code)
    assert ended.code == 64
    assert ended.line.endswith(
        f"failed: data.at: {at}: is taken by the code, or by the runner itself; take it out of the code, "
        "or name another path"
    )


def test_output_is_teed_as_it_comes(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    """A line without an end and bytes that are no text arrive before the command ends."""
    go = fifo("go")
    trial = make_trial(f"printf 'out \\377'; printf ' err' >&2; read go < {go}; {WRITE_METRICS}")
    reading, writing = os.pipe()
    running = bench.start(trial, stdout=writing)
    os.close(writing)
    with os.fdopen(reading, "rb", 0) as output:
        seen = b""
        while seen != b"out \xff err":
            seen += output.read(1)
        wait_until(lambda: bench.log(trial) == seen, "the log lacks what stdout has")
        go.say("")
        assert running.end().code == 0
        assert output.read() == b""


def test_output_that_nobody_reads_costs_no_trial(bench: Bench) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    trial = make_trial("echo said; " + WRITE_METRICS)
    running = bench.start(trial, stdout=writing)
    os.close(writing)
    assert running.end().code == 0
    assert bench.log(trial) == b"said\n"


def test_much_output_is_kept_whole(bench: Bench) -> None:
    trial = make_trial("seq 200000; " + WRITE_METRICS)
    ended = bench.run(trial)
    assert bench.log(trial).decode() == ended.out == "".join(f"{n}\n" for n in range(1, 200_001))


def test_an_attempt_is_on_record_while_it_runs_and_gives_signs_of_life(
    bench: Bench, fifo: Callable[[str], Fifo]
) -> None:
    up, go = fifo("up"), fifo("go")
    trial = make_trial(f"echo up > {up}; read go < {go}; {WRITE_METRICS}")
    running = bench.start(trial, patch="attempts.HEARTBEAT_SECONDS = 0.01")
    up.line()
    assert bench.attempt(trial)["status"] == "running"
    jsonschema.validate(bench.attempt(trial), ATTEMPT)
    (path,) = bench.folder(trial).glob("attempts/*/attempt.json")
    os.utime(path, (1, 1))
    wait_until(lambda: path.stat().st_mtime > 1, "no heartbeat")
    go.say("")
    assert running.end().code == 0
    check_files(bench, trial)


def test_starts_of_one_moment_that_see_nothing_of_each_other_have_folders_of_their_own(bench: Bench) -> None:
    trial = make_trial("exit 1")
    blind = "attempts.next_number = lambda names: 7; time.strftime = lambda *_: '20260102T030405Z'"
    for _ in range(3):
        bench.run(trial, patch=blind)
    names = [f"a000007-20260102T030405Z-pod-1{again}" for again in ("", "-2", "-3")]
    assert [attempt["attempt"] for attempt in bench.attempts(trial)] == names
    check_files(bench, trial)


def test_outside_of_a_pod_the_host_is_named(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS)
    bench.run(trial, env={"POD_NAME": "", "POD_UID": "", "NODE_NAME": "", "SWEEP_ENGINE": "local"})
    attempt = bench.attempt(trial)
    assert attempt["node"] == os.uname().nodename
    assert attempt["engine"] == bench.result(trial)["environment"]["engine"] == "local"
    check_files(bench, trial)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"commit": "abc", "author": "a", "round": 2, "dirty": true, "chart": "0.1.0"}', "abc"),
        ('{"author": "a"}', "unknown"),
        (None, "unknown"),
        ("{", "unknown"),
    ],
)
def test_provenance_is_copied_at_the_start(bench: Bench, tmp_path: Path, text: str | None, expected: str) -> None:
    path = tmp_path / "provenance.json"
    if text is not None:
        path.write_text(text)
    trial = make_trial(f"rm -f {path}; {WRITE_METRICS}")
    assert bench.run(trial, provenance=path).code == 0
    assert bench.attempt(trial)["provenance"]["commit"] == expected
    check_files(bench, trial)


# ---- hyperparameters.yaml --------------------------------------------------------------------------------------------

scalars = (
    st.text()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-(2.0**53), 2.0**53)
    | st.floats(allow_nan=False, allow_infinity=False)
)
hyperparameters = st.dictionaries(
    st.from_regex("[A-Za-z_][A-Za-z0-9_.-]{0,62}", fullmatch=True), scalars | st.lists(scalars)
)


@given(hyperparameters)
@example({"lr": 1e-7, "big": 1e16, "huge": 2**53, "zero": 0, "off": False, "none": "", "minus": -0.0, "no": "on"})
@example({"text": "1e-4 \x7f\x80\x85\xa0\u2028\u2029\ufeff\ufffe😀 \t\n\\\"' # {[", "list": [True, 5e-05, "null"]})
@example({})
def test_every_reader_reads_the_same_hyperparameters(given_ones: dict[str, Any]) -> None:
    text = ENVIRONMENT.hyperparameters_text(given_ones)
    readers = [json.loads(text), yaml.safe_load(text), YAML(typ="safe", pure=True).load(io.StringIO(text))]
    # By repr: 1, 1.0 and True are equal.
    assert [repr(plain(read)) for read in readers] == [repr(given_ones)] * 3


def plain(value: Any) -> Any:
    """Without the reader's own types."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def test_floats_are_spelled_with_a_dot_and_keys_one_to_a_line(bench: Bench) -> None:
    trial = make_trial(
        "cat $HYPERPARAMETERS_FILE; " + WRITE_METRICS, identity_hyperparameters={"lr": 5e-05, "n": 1, "é": "é"}
    )
    bench.run(trial)
    assert bench.log(trial).decode() == '{\n  "lr": 5.0e-05,\n  "n": 1,\n  "é": "é"\n}\n'


# ---- a result that stands --------------------------------------------------------------------------------------------


def test_a_trial_with_a_result_is_not_begun(bench: Bench, tmp_path: Path) -> None:
    trial = make_trial(f"touch {tmp_path}/trained; {WRITE_METRICS}")
    bench.put_result(trial)
    before = bench.names()
    ended = bench.run(trial)
    assert (ended.code, ended.out) == (0, "")
    assert ended.line == f"trial.py: {trial['id']}: done already: succeeded in attempt 20260102T030405Z-other"
    assert bench.names() == before
    assert not (tmp_path / "trained").exists()
    assert not list(tmp_path.glob("scratch*"))


def test_looking_for_a_result_imports_nothing_slow(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS)
    bench.put_result(trial)
    imported = set(re.findall(r"(\w+)$", bench.run(trial, flags=("-X", "importtime")).err, re.MULTILINE))
    assert "json" in imported
    assert not imported & {"subprocess", "ctypes", "shutil", "selectors", "base64", "dataclasses", "typing", "pathlib"}


INVALID: dict[str, dict[str, Any]] = {
    "another id": {"id": "abcdef123456"},
    "no schema": {"schema_version": None},
    "a schema before the first": {"schema_version": 0},
    "a schema that is no number": {"schema_version": True},
    "durations gone in the first schema": {"durations": None},
    "a failed one": {"status": "failed"},
    "metrics with NaN": {"metrics": {"accuracy": float("nan")}},
    "metrics with text": {"metrics": {"accuracy": "0.5"}},
    "metrics with a huge int": {"metrics": {"accuracy": 10**400}},
    "durations with text": {"durations": {"train_s": "1"}},
    "no environment": {"environment": None},
    "no attempt": {"attempt": None},
}


@pytest.mark.parametrize("changes", INVALID.values(), ids=list(INVALID))
def test_an_invalid_result_is_set_aside(bench: Bench, changes: dict[str, Any]) -> None:
    trial = make_trial(WRITE_METRICS)
    text = bench.put_result(trial, **changes).read_text()
    check_set_aside(bench, trial, text)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "\0" * 100, "[" * 100_000])
def test_garbage_is_set_aside(bench: Bench, text: str) -> None:
    trial = make_trial(WRITE_METRICS)
    bench.put_result(trial).write_text(text)
    check_set_aside(bench, trial, text)


def test_an_almost_equal_identity_is_another_one(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS, identity_hyperparameters={"width": 1})
    other = dict(trial["identity"], hyperparameters={"width": 1.0})
    check_set_aside(bench, trial, bench.put_result(trial, identity=other).read_text())


def check_set_aside(bench: Bench, trial: dict[str, Any], text: str) -> None:
    ended = bench.run(trial)
    assert ended.code == 0, ended.err
    (aside,) = bench.folder(trial).glob("result.json.invalid-*")
    assert aside.read_text() == text
    assert f"set aside as {aside.name}" in ended.err
    assert bench.result(trial)["metrics"] == {"accuracy": 0.5}
    check_files(bench, trial)


def test_garbage_that_comes_while_training_is_set_aside(bench: Bench) -> None:
    trial = make_trial(f'echo garbage > "$(dirname $HISTORY_FILE)/../../result.json"; {WRITE_METRICS}')
    assert bench.run(trial).code == 0
    assert bench.attempt(trial)["status"] == "succeeded"
    (aside,) = bench.folder(trial).glob("result.json.invalid-*")
    assert aside.read_text() == "garbage\n"
    check_files(bench, trial)


def test_a_valid_result_that_came_before_the_rename_is_put_back(bench: Bench) -> None:
    trial = make_trial("exit 1")
    path = bench.put_result(trial)
    path.write_text("garbage")
    patch = f"""
rename = os.rename
def late(source, target, **handles):
    open({str(path)!r}, "w").write({json.dumps(valid_result(trial))!r})
    rename(source, target, **handles)
os.rename = late
"""
    ended = bench.run(trial, patch=patch)
    assert ended.code == 0
    assert "done already" in ended.line
    assert json.loads(path.read_text()) == valid_result(trial)
    assert not list(bench.folder(trial).glob("*invalid*"))


def test_a_stale_file_handle_is_opened_again(bench: Bench) -> None:
    trial = make_trial("exit 1")
    bench.put_result(trial)
    patch = """
import errno
left, plain = [4], os.open
def stale(path, *arguments, **handles):
    if str(path).endswith("result.json") and left[0]:
        left[0] -= 1
        raise OSError(errno.ESTALE, "Stale file handle", path)
    return plain(path, *arguments, **handles)
os.open = stale
"""
    assert bench.run(trial, patch=patch).code == 0
    ended = bench.run(trial, patch=patch.replace("[4]", "[5]"))
    assert (ended.code, "(ESTALE)" in ended.line, str(bench.folder(trial)) in ended.line) == (75, True, True)


# ---- two that finish the same trial ----------------------------------------------------------------------------------


@pytest.mark.parametrize("racing", [2, 3])
def test_of_several_runners_exactly_one_result_is_kept(bench: Bench, fifo: Callable[[str], Fifo], racing: int) -> None:
    linking, go = fifo("linking"), [fifo(f"go-{n}") for n in range(racing)]
    trial = make_trial("""echo '{"accuracy": '$$'}' > $METRICS_FILE""")
    # All stand at the link before one makes it.
    patch = f"""
link = os.link
def at_once(*paths, **handles):
    open({str(linking)!r}, "wb", 0).write(b"!")
    open("go-" + os.environ["POD_NAME"]).readline()
    link(*paths, **handles)
os.link = at_once
"""
    racers = [bench.start(trial, patch=patch, env={"POD_NAME": str(n)}) for n in range(racing)]
    heard = ""
    while len(heard) < racing:
        heard += linking.line()
    for gate in go:
        gate.say("")
    assert [racer.end().code for racer in racers] == [0] * racing
    attempts = bench.attempts(trial)
    (winner,) = (attempt["attempt"] for attempt in attempts if attempt["status"] == "succeeded")
    assert bench.result(trial)["attempt"] == winner
    losers = [(attempt["status"], attempt["reason"]) for attempt in attempts if attempt["attempt"] != winner]
    assert losers == [("duplicate", f"attempt {winner} was first")] * (racing - 1)
    assert not bench.checkpoints(trial).exists()
    check_files(bench, trial)


def test_a_link_whose_answer_was_lost_is_our_own(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS)
    patch = """
link = os.link
def repeated(*paths, **handles):
    link(*paths, **handles)
    link(*paths, **handles)
os.link = repeated
"""
    assert bench.run(trial, patch=patch).code == 0
    assert bench.attempt(trial)["status"] == "succeeded"
    check_files(bench, trial)


WITHOUT_LINKS = """
def link(*paths, **handles):
    raise PermissionError(1, "Operation not permitted")
os.link = link
"""


def test_a_store_without_hard_links_keeps_one_result_too(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS)
    assert bench.run(trial, patch=WITHOUT_LINKS).code == 0
    assert bench.attempt(trial)["status"] == "succeeded"

    other = make_trial("echo other; " + WRITE_METRICS)
    bench.back(other)
    first = json.dumps(valid_result(other))
    path = str(bench.folder(other) / "result.json")
    publish_late = WITHOUT_LINKS.replace("raise", f"open({path!r}, 'w').write({first!r}); raise")
    assert bench.run(other, patch=publish_late).code == 0
    assert [attempt["status"] for attempt in bench.attempts(other)] == ["succeeded", "duplicate"]
    assert bench.result(other) == valid_result(other)
    check_files(bench, trial)
    check_files(bench, other)


def test_a_signal_after_the_command_ended_loses_no_result(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS)
    patch = """
link = os.link
def signalled(*paths, **handles):
    os.kill(os.getpid(), 15)
    link(*paths, **handles)
os.link = signalled
"""
    assert bench.run(trial, patch=patch).code == 0
    assert bench.attempt(trial)["status"] == "succeeded"


# ---- what the command tells ------------------------------------------------------------------------------------------


def tell(bench: Bench, text: str, **changes: Any) -> tuple[dict[str, Any], int]:
    trial = make_trial(["sh", "-c", 'printf %s "$0" > "$METRICS_FILE"', text], **changes)
    code = bench.run(trial).code
    check_files(bench, trial)
    return trial, code


BAD_METRICS = {
    "": r'Expecting value: .*; it begins with ""$',
    "{": r'Expecting property name .*; it begins with "\{"$',
    '{"accuracy": 1': "Expecting ',' delimiter",
    '{"accuracy": 1}{"accuracy": 2}': "Extra data",
    "{'accuracy': 1}": "Expecting property name",
    "[1]": 'not a JSON object; it begins with "\\[1\\]"$',
    "{}": "lacks the objective 'accuracy'; it has no metric; mend the trainer$",
    '{"loss": 1}': "lacks the objective 'accuracy'; it has 'loss'; name one of those in `objective` and submit again: ",
    '{"zeal": 1, "acuracy": 2}': "lacks the objective 'accuracy'; it has 'acuracy', 'zeal'; name",
    '{"accuracy": "0.5"}': "the objective 'accuracy' is not a number but \"0.5\"; mend the trainer$",
    '{"accuracy": true}': "the objective 'accuracy' is not a number but true; mend",
    '{"accuracy": [1]}': r"the objective 'accuracy' is not a number but \[1\]; mend",
    '{"accuracy": 1, "status": "failed"}': "status 'failed' is none of succeeded, diverged, pruned",
    '{"accuracy": 1, "status": ["pruned"]}': "status .* is none of",
    '{"accuracy": 1, "environment": 1}': "environment and durations must be objects",
    "[" * 100_000: "nested too deeply",
}


@pytest.mark.parametrize(("text", "reason"), BAD_METRICS.items(), ids=[text[:30] for text in BAD_METRICS])
def test_metrics_that_are_none_fail_the_trial(bench: Bench, text: str, reason: str) -> None:
    trial, code = tell(bench, text)
    attempt = bench.attempt(trial)
    assert (code, attempt["status"], attempt["exit_code"]) == (64, "failed", 0)  # by podFailurePolicy it fails for good
    assert re.match(f"METRICS_FILE: .*{reason}", attempt["reason"])
    assert not (bench.folder(trial) / "result.json").exists()
    kept = bench.folder(trial) / "attempts" / attempt["attempt"] / "metrics.txt"
    assert "kept" in attempt or kept.read_text() == text


def test_metrics_that_were_not_written_fail_the_trial(bench: Bench, tmp_path: Path) -> None:
    trial = make_trial("true")
    scratch = tmp_path / "s"
    scratch.mkdir()
    (scratch / "metrics.json").write_text('{"accuracy": 1}')  # of an earlier attempt
    ended = bench.run(trial, scratch=scratch)
    assert ended.code == 64
    assert ended.line == f"trial.py: {trial['id']}: failed: METRICS_FILE: the command did not write it"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("head -c 2000000 /dev/zero > $METRICS_FILE", "has 2000000 bytes, more than 1048576 bytes"),
        ("mkdir $METRICS_FILE", "is not a file but a drwx"),
        ("mkfifo $METRICS_FILE", "is not a file but a prw-"),
        ("ln -s /dev/zero $METRICS_FILE", "is not a file but a link"),
    ],
)
def test_what_is_no_file_of_metrics_fails_the_trial(bench: Bench, script: str, reason: str) -> None:
    trial = make_trial(script)
    assert bench.run(trial).code == 64
    assert bench.attempt(trial)["reason"].startswith(f"METRICS_FILE: {reason}")
    check_files(bench, trial)


COUNTED = """echo trained >> {path}; echo '{{"loss": %s, "acc": 0.5}}' > $METRICS_FILE"""
LOSS = {"metric": "loss", "direction": "minimize"}


@pytest.mark.parametrize(("written", "status", "loss"), [("2.5", "succeeded", 2.5), ("NaN", "diverged", None)])
def test_an_objective_that_is_mended_trains_nothing_anew(
    bench: Bench, tmp_path: Path, written: str, status: str, loss: float | None
) -> None:
    trial = make_trial(COUNTED.format(path=tmp_path / "trained") % written)
    assert bench.run(trial).code == 64
    failed = bench.attempt(trial)

    mended = trial | {"objective": LOSS}
    output = bench.run(mended).err.splitlines()
    assert (
        output[0] == f"trial.py: {trial['id']}: has what attempt {failed['attempt']} trained, by the objective of today"
    )

    assert (tmp_path / "trained").read_text() == "trained\n"
    check_files(bench, trial)
    result = bench.result(mended)
    assert {key: result[key] for key in ("status", "metrics", "objective", "attempt", "finished_at")} == {
        "status": status,
        "metrics": {"loss": loss, "acc": 0.5},
        "objective": LOSS,
        "attempt": failed["attempt"],
        "finished_at": failed["kept"]["finished_at"],
    }
    assert bench.attempts(trial) == [failed]
    (booked,) = booking.book(store.read(bench.results, [trial["id"]]).trials[trial["id"]])
    assert (booked.attempt and booked.attempt.name, booked.cause) == (failed["attempt"], "useful")


KEPT_FLAWS: dict[str, Any] = {
    "of another trial": {"id": "0123456789ab"},
    "of another identity": {"identity": {}},
    "of another version": {"schema_version": 2},
    "of no attempt": {"attempt": "20260102T030405Z-nobody"},
    "of an attempt elsewhere": {"attempt": "../attempts/20260102T030405Z-other"},
    "with text for a metric": {"metrics": {"accuracy": "0.5"}},
    "without the objective": {"metrics": {"acc": 1}},
}


@pytest.mark.parametrize("flaw", KEPT_FLAWS.values(), ids=KEPT_FLAWS)
def test_kept_metrics_that_cannot_be_believed_are_trained_anew(bench: Bench, flaw: dict[str, Any]) -> None:
    trial = make_trial(WRITE_METRICS)
    kept = {**valid_result(trial), **flaw}
    bench.put_attempt(trial, "20260102T030405Z-other", alive_at=0, status="failed", kept=kept)
    assert bench.run(trial).code == 0
    assert bench.result(trial)["metrics"] == {"accuracy": 0.5}


@pytest.mark.parametrize("kept", [None, 1, [], "x", {}])
def test_kept_metrics_of_another_kind_are_trained_anew(bench: Bench, kept: Any) -> None:
    trial = make_trial(WRITE_METRICS)
    bench.put_attempt(trial, "20260102T030405Z-other", alive_at=0, status="failed", kept=kept)
    assert bench.run(trial).code == 0


@pytest.mark.parametrize(
    ("text", "status", "metrics"),
    [
        ('{"accuracy": NaN, "loss": 1}', "diverged", {"accuracy": None, "loss": 1}),
        ('{"accuracy": -Infinity}', "diverged", {"accuracy": None}),
        ('{"accuracy": 1e999}', "diverged", {"accuracy": None}),
        ('{"accuracy": null}', "diverged", {"accuracy": None}),
        (f'{{"accuracy": 1{"0" * 400}}}', "diverged", {"accuracy": None}),
        ('{"accuracy": NaN, "status": "pruned"}', "diverged", {"accuracy": None}),
        ('{"accuracy": 0.5, "loss": NaN}', "succeeded", {"accuracy": 0.5, "loss": None}),
        ('{"accuracy": 0.5, "status": "diverged"}', "diverged", {"accuracy": 0.5}),
        ('{"accuracy": 0, "status": "pruned"}', "pruned", {"accuracy": 0}),
        ('{"accuracy": 1, "note": "x", "flag": true, "list": [1]}', "succeeded", {"accuracy": 1}),
    ],
)
def test_numbers_are_metrics_and_decide_the_status(
    bench: Bench, text: str, status: str, metrics: dict[str, float | None]
) -> None:
    trial, code = tell(bench, text)
    result = bench.result(trial)
    assert (code, result["status"], result["metrics"]) == (0, status, metrics)
    assert bench.attempt(trial)["status"] == status


def test_all_objectives_are_asked_for(bench: Bench) -> None:
    two = [OBJECTIVE, {"metric": "loss", "direction": "minimize"}]
    trial, code = tell(bench, '{"accuracy": 1, "loss": 2}', objective=two)
    assert (code, bench.result(trial)["objective"]) == (0, two)
    trial, _ = tell(bench, '{"accuracy": 1, "loss": NaN}', objective=two)
    assert bench.result(trial)["status"] == "diverged"
    trial, code = tell(bench, '{"accuracy": 1}', objective=two)
    assert code == 64
    assert bench.attempt(trial)["reason"].startswith(
        "METRICS_FILE: lacks the objective 'loss'; it has 'accuracy'; name"
    )


def test_of_many_metrics_the_nearest_names_are_shown(bench: Bench) -> None:
    text = json.dumps({f"metric_{number}" + "x" * 180: 1 for number in range(40)} | {"val_accuracy": 1})
    trial, code = tell(bench, text)
    reason = bench.attempt(trial)["reason"]
    assert code == 64
    assert reason.startswith("METRICS_FILE: lacks the objective 'accuracy'; it has 'val_accuracy', 'metric_")
    assert len(reason) <= 500


def test_letters_beyond_ascii_are_the_same_in_any_locale(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS, identity_hyperparameters={"größe": "é"})
    raw = json.dumps(trial, ensure_ascii=False)
    assert bench.run(raw, flags=("-X", "utf8=0"), env={"LC_ALL": "C", "LANG": "C"}).code == 0
    assert bench.result(trial)["identity"] == trial["identity"]


def test_a_fault_of_the_runner_is_one_line_and_an_end(bench: Bench) -> None:
    patch = "def broken(*words):\n    raise KeyError('two\\nlines')\ntrial.prepare = broken"
    trial = make_trial(WRITE_METRICS)
    ended = bench.run(trial, patch=patch)
    assert ended.code == 70
    assert re.search(r": failed: a fault of the runner: KeyError: .*, by way of run:\d+ train:\d+ broken:", ended.line)
    assert (bench.attempt(trial)["status"], bench.attempt(trial)["exit_code"]) == ("failed", None)


def test_what_a_result_cannot_hold_is_left_out_and_said(bench: Bench) -> None:
    text = """{"accuracy": 1, "durations": {"train_s": 1, "setup_s": NaN, "coffee_s": 3},
        "environment": {"torch": "2.9", "sm": 90, "node": "liar", "flags": ["a"], "inf": Infinity}}"""
    trial = make_trial(["sh", "-c", 'printf %s "$0" > "$METRICS_FILE"', text])
    assert "METRICS_FILE: left out" in bench.run(trial).err
    result = bench.result(trial)
    assert result["durations"] == {"train_s": 1}
    assert result["environment"] == {"torch": "2.9", "sm": 90, "node": "node-1", "engine": "cluster"}
    check_files(bench, trial)


# ---- a command that fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "flags", "code", "exit_code", "reason"),
    [
        ("echo out; echo 'batch_size: not a number' >&2; exit 64", {}, 64, 64, "exit 64: batch_size: not a number"),
        ("printf 'x\\n\\n  bad\\001data\\n \\n'; exit 65", {}, 65, 65, "exit 65: bad data"),
        ("exit 66", {}, 66, 66, "exit 66: no output"),
        ("echo CUDA out of memory; exit 67", {}, 67, 67, "gpu out of memory"),
        ("exit 67", {"gpu_shared": True}, 75, 67, "gpu out of memory"),
        ("echo busy; exit 75", {}, 75, 75, "exit 75: busy"),
        ("printf 'a\\rlast'; exit 1", {"gpu_shared": True}, 1, 1, "exit 1: last"),
        ("kill -9 $$", {}, 137, 137, "signal 9: killed (out of memory?)"),
        ("exit 137", {}, 137, 137, "exit 137: killed (out of memory?)"),
        (
            "echo 'usage: train.py [-h]'; echo 'train.py: error: no such option: --lrr'; exit 2",
            {},
            64,
            2,
            "usage: train.py: error: no such option: --lrr; mend `command` or the hyperparameters",
        ),
        (
            "echo 'usage: p [-h] [--max-lr LR]'; echo 'p: error: unrecognized arguments: --max_lr=1 --a_b'; exit 2",
            {},
            64,
            2,
            "usage: p: error: unrecognized arguments: --max_lr=1 --a_b; it has --max-lr: set `passing: {dashes: true}`",
        ),
        (
            "echo 'Usage: train [OPTIONS]'; echo 'Error: No such option: --lrr'; exit 2",
            {},
            64,
            2,
            "usage: Error: No such option: --lrr; mend `command` or the hyperparameters",
        ),
        (
            "echo started; no-such-program 2>/dev/null || { set -- $?; echo no-such-program: not found; exit $1; }",
            {},
            64,
            127,
            "exit 127 (not found): no-such-program: not found; mend `command`, the code or the image",
        ),
        (
            "/ 2>/dev/null",
            {},
            64,
            126,
            "exit 126 (cannot be executed): no output; mend `command`, the code or the image",
        ),
        ("echo 'disk usage: 3'; echo gone; exit 2", {}, 2, 2, "exit 2: gone"),
        ("echo 'usage: train.py'; echo gone; exit 1", {}, 1, 1, "exit 1: gone"),
        ("echo oh; kill -11 $$", {}, 139, 139, "signal 11: oh"),
    ],
)
def test_a_failure_is_booked_with_its_reason(
    bench: Bench, script: str, flags: dict[str, bool], code: int, exit_code: int, reason: str
) -> None:
    trial = make_trial(f"{WRITE_METRICS}; {script}")
    ended = bench.run(trial, **flags)
    attempt = bench.attempt(trial)
    assert (ended.code, attempt["status"], attempt["exit_code"]) == (code, "failed", exit_code)
    assert attempt["reason"] == reason
    assert ended.line == f"trial.py: {trial['id']}: failed: {reason}"
    assert not (bench.folder(trial) / "result.json").exists()
    check_files(bench, trial)


def test_a_long_last_line_is_cut(bench: Bench) -> None:
    trial = make_trial("head -c 9999 /dev/zero | tr '\\0' x; exit 1")
    bench.run(trial)
    assert bench.attempt(trial)["reason"] == "exit 1: " + "x" * 300


def test_a_command_that_is_not_there_is_said(bench: Bench, tmp_path: Path) -> None:
    trial = make_trial(["no-such-program"])
    ended = bench.run(trial)
    assert (ended.code, bench.attempt(trial)["exit_code"]) == (64, 127)
    assert "command no-such-program: No such file or directory; mend `command` or the image (PATH is /" in ended.line
    assert bench.run(make_trial(["a\0b"])).code == 64
    (tmp_path / "text").write_text("no program")
    assert bench.run(make_trial([str(tmp_path / "text")])).code == 64
    check_files(bench, trial)


@pytest.mark.parametrize(
    "words", [[sys.executable], ["sh"], ["awk", "-f"], ["perl"]], ids=lambda words: Path(words[0]).name
)
def test_a_script_that_is_not_in_the_code_is_said_whatever_the_interpreter_says(bench: Bench, words: list[str]) -> None:
    trial = make_trial([*words, "src/trian.py", "--lr", "0.1"])
    ended = bench.run(trial)
    assert ended.code == 64
    assert bench.attempt(trial)["reason"].startswith(
        "command src/trian.py: not in the code; mend `command`, or `code: "
    )


# ---- the end of a command --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_lets_the_command_save_and_the_next_attempt_goes_on(
    bench: Bench, fifo: Callable[[str], Fifo], number: int
) -> None:
    up, hang = fifo("up"), fifo("hang")
    trial = make_trial(
        f"""if [ -e $CHECKPOINT_DIR/7 ]; then {WRITE_METRICS}; exit 0; fi
        trap 'touch $CHECKPOINT_DIR/7; exit 0' TERM; echo up > {up}; read hang < {hang}"""
    )
    running = bench.start(trial)
    up.line()
    running.child.send_signal(number)
    running.child.send_signal(number)  # more than one is one
    ended = running.end()
    attempt = bench.attempt(trial)
    assert (ended.code, attempt["status"], attempt["exit_code"], attempt["reason"]) == (143, "preempted", 0, "SIGTERM")
    check_files(bench, trial)
    assert bench.run(trial).code == 0
    assert [attempt["status"] for attempt in bench.attempts(trial)] == ["preempted", "succeeded"]


def test_a_command_that_ignores_sigterm_is_killed_with_its_children(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    up, hang = fifo("up"), fifo("hang")
    trial = make_trial(f"trap '' TERM; sh -c 'echo $$ > {up}; read hang < {hang}' & wait; read hang < {hang}")
    running = bench.start(trial, grace=0.2)
    grandchild = int(up.line())
    running.child.terminate()
    assert running.end().code == 143
    assert (bench.attempt(trial)["status"], bench.attempt(trial)["exit_code"]) == ("preempted", 137)
    wait_for_death(grandchild)


def test_what_a_shell_started_may_save_though_the_shell_is_gone(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    up, go = fifo("up"), fifo("go")
    saving = f"trap 'read go < {go}; touch saved; exit 0' TERM; echo $PPID > {up}; read hang < {fifo('hang')}"
    (bench.root / "save.sh").write_text(saving)
    running = bench.start(make_trial("sh save.sh; true"), grace=60)
    shell = int(up.line())
    running.child.terminate()
    wait_for_death(shell)
    go.say("")
    assert running.end().code == 143
    assert (bench.root / "saved").exists()


def test_what_the_command_leaves_behind_goes_with_it(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    hang = fifo("hang")
    trial = make_trial(f"sh -c 'read hang < {hang}' & echo $!; {WRITE_METRICS}")
    assert bench.run(trial).code == 0
    wait_for_death(int(bench.log(trial)))


def test_a_daemon_that_keeps_the_output_open_holds_nobody_up(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    up, hang = fifo("up"), fifo("hang")
    trial = make_trial(f"setsid sh -c 'echo up > {up}; read hang < {hang}' & read up < {up}; {WRITE_METRICS}")
    assert bench.run(trial, stdout=subprocess.DEVNULL).code == 0
    hang.say("")


@pytest.mark.parametrize("end", [WRITE_METRICS, "exit 3", "kill -TERM $PPID; read hang < hang"])
def test_nothing_that_the_command_started_outlives_it(bench: Bench, fifo: Callable[[str], Fifo], end: str) -> None:
    up, _ = fifo("up"), fifo("hang")
    daemon = f"sh -c 'trap \"\" TERM; echo $$ > {up}; read hang < hang' > /dev/null 2>&1"
    running = bench.start(make_trial(f"(setsid env -i {daemon} &); setsid {daemon} & read go < go; {end}"))
    os.mkfifo(bench.root / "go")
    daemons: list[int] = []
    while len(daemons) < 2:
        daemons += map(int, up.line().split())
    (bench.root / "go").write_text("\n")
    running.end()
    assert [pid for pid in daemons if Path(f"/proc/{pid}").exists()] == []


def test_at_the_time_limit_a_launcher_takes_its_workers_along_that_are_in_sessions_of_their_own(
    bench: Bench, fifo: Callable[[str], Fifo]
) -> None:
    up, hang = fifo("up"), fifo("hang")
    worker = f"setsid sh -c 'trap \"\" TERM; echo $$ > {up}; read hang < {hang}' > /dev/null 2>&1 &"
    running = bench.start(make_trial(f"{worker} {worker} read hang < {hang}", limit_seconds=1))
    workers: list[int] = []
    while len(workers) < 2:
        workers += map(int, up.line().split())
    assert running.end().code == 66
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []


def test_orphans_that_end_leave_no_zombies(bench: Bench) -> None:
    zombies = """grep -l "^PPid:.$PPID$" /proc/[0-9]*/status 2> /dev/null | grep -qv "/$$/" """
    orphan = "(sh -c 'read never < /dev/null' &)"
    assert bench.run(make_trial(f"{orphan}; {orphan}; while {zombies}; do :; done; {WRITE_METRICS}")).code == 0


def test_scratch_of_another_runner_is_refused(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    up, go, scratch = fifo("up"), fifo("go"), bench.root / "scratch"
    first = bench.start(make_trial(f"{WRITE_METRICS}; echo up > {up}; read go < {go}"), scratch=scratch)
    up.line()
    ended = bench.run(make_trial(f"true; {WRITE_METRICS}"), scratch=scratch)
    assert ended.code == 75
    assert f"--scratch {scratch}: another runner has it; each needs a folder of its own" in ended.line
    go.say("")
    assert first.end().code == 0


def test_output_without_an_end_holds_nobody_up(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS)
    assert bench.run(trial, patch="trial.Command._tee = lambda self: b'talk'").code == 0


def test_a_command_that_closed_its_output_costs_no_time(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    beats, go = fifo("beats"), fifo("go")
    trial = make_trial(f"exec >&- 2>&-; read go < {go}; {WRITE_METRICS}")
    patch = f"""
attempts.HEARTBEAT_SECONDS = 0.05
trial.Attempt.heartbeat = lambda self: open({str(beats)!r}, "w").write("!")
tee, count = trial.Command._tee, [0]
def counted(self):
    count[0] += 1
    assert count[0] < 50, "busy waiting"
    return tee(self)
trial.Command._tee = counted
"""
    running = bench.start(trial, patch=patch)
    for _ in range(5):
        beats.line()
    go.say("")
    assert running.end().code == 0


def test_kill_9_of_the_runner_ends_the_command(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    up, hang = fifo("up"), fifo("hang")
    trial = make_trial(f"echo $$ > {up}; read hang < {hang}; {WRITE_METRICS}")
    running = bench.start(trial)
    command = int(up.line())
    running.child.kill()
    wait_for_death(command)
    assert bench.attempt(trial)["status"] == "running"
    assert not (bench.folder(trial) / "result.json").exists()


# ---- the time limit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trap", ["exit 0", ""])
def test_past_its_limit_a_trial_fails(bench: Bench, fifo: Callable[[str], Fifo], trap: str) -> None:
    trial = make_trial(
        f"trap '{trap}' TERM; {WRITE_METRICS}; touch late; read hang < {fifo('hang')}", limit_seconds=600
    )
    fast_forward = """
attempts.HEARTBEAT_SECONDS = 0.01
monotonic = time.monotonic
time.monotonic = lambda: monotonic() + 1000 * os.path.exists("late")
"""
    ended = bench.run(trial, grace=1, patch=fast_forward)
    attempt = bench.attempt(trial)
    assert (ended.code, attempt["status"], attempt["reason"]) == (66, "failed", "limit")
    assert attempt["exit_code"] == (0 if trap else 137)
    assert "the 600 s of all attempts are used up; raise limit_seconds to go on" in ended.line
    assert not (bench.folder(trial) / "result.json").exists()
    check_files(bench, trial)


START = 1767323045.0
"""2026-01-02T03:04:05Z, when bench.put_attempt's start."""


def put_earlier(bench: Bench, trial: Mapping[str, Any]) -> None:
    """30 s that ended, 40 s up to the last sign of life, and what nobody can read."""
    ended = {"status": "failed", "finished_at": "2026-01-02T03:04:35Z"}
    bench.put_attempt(trial, "20260102T030405Z-a", alive_at=START + 3600, **ended)
    bench.put_attempt(trial, "20260102T030405Z-b", alive_at=START + 40)
    bench.put_attempt(trial, "20260102T030405Z-c", alive_at=START, started_at="yesterday")
    (bench.folder(trial) / "attempts" / "20260102T030405Z-d").mkdir()


def test_earlier_attempts_count(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS, limit_seconds=70)
    put_earlier(bench, trial)
    ended = bench.run(trial)
    assert ended.code == 66
    message = "limit: earlier attempts (2) used 70 s, limit_seconds is 70; raise it to go on"
    assert ended.line == f"trial.py: {trial['id']}: {message}"
    assert bench.attempts(trial)[-1]["reason"] == "limit"
    assert bench.run(dict(trial, limit_seconds=100)).code == 0


def test_what_is_left_of_the_limit_is_enforced(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    trial = make_trial(f"read hang < {fifo('hang')}", limit_seconds=70.3)
    put_earlier(bench, trial)
    assert bench.run(trial).code == 66
    assert bench.attempts(trial)[-1]["exit_code"] == 143


def test_a_trial_whose_result_was_lost_has_its_time_again(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS, limit_seconds=60)
    put_earlier(bench, trial)
    bench.put_attempt(
        trial, "20260102T030406Z-a", alive_at=START, status="succeeded", finished_at="2026-01-02T04:00:00Z"
    )
    assert bench.run(trial).code == 0


# ---- a store that fails ----------------------------------------------------------------------------------------------


def check_unwritable(bench: Bench, message: str, *words: str) -> None:
    assert f"not writable by {os.getuid()}:{os.getgid()} (uid:gid)" in message
    assert str(bench.results) in message
    for word in words:
        assert word in message


def test_a_store_that_is_a_file_is_not_writable(bench: Bench) -> None:
    bench.results.rmdir()
    bench.results.write_text("")
    ended = bench.run(make_trial("true"))
    assert ended.code == 75
    check_unwritable(bench, ended.line, "Not a directory (ENOTDIR)")


def test_a_store_that_is_not_mounted_is_not_made(bench: Bench) -> None:
    bench.results.rmdir()
    ended = bench.run(make_trial("true"))
    assert ended.code == 75
    check_unwritable(bench, ended.line, "(ENOENT)")
    assert not bench.results.exists()


def limit_file_size(size: int) -> Callable[[], None]:
    """A disk that is full after `size` bytes of any file, for root as well."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_store_starts_nothing_and_keeps_nothing_half_made(bench: Bench, tmp_path: Path) -> None:
    trial = make_trial(f"touch {tmp_path}/trained")
    ended = bench.run(trial, before=limit_file_size(100))
    assert ended.code == 75
    check_unwritable(bench, ended.line, "attempt.json", "(EFBIG)")
    assert list((bench.folder(trial) / "attempts").iterdir()) == []
    assert not (tmp_path / "trained").exists()


def test_a_store_that_fills_up_ends_the_command_and_is_tried_again(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    up, hang = fifo("up"), fifo("hang")
    trial = make_trial(f"echo $$ > {up}; seq 10000; read hang < {hang}")
    ended = bench.run(trial, before=limit_file_size(4096))
    assert ended.code == 75
    assert re.search(r"failed: \S*/output.log: File too large \(EFBIG\)$", ended.line)
    wait_for_death(int(up.line()))
    assert bench.attempt(trial)["status"] == "failed"
    check_files(bench, trial)


def test_a_store_that_fills_up_before_the_result_keeps_nothing_half(bench: Bench) -> None:
    many = ", ".join(f'"metric_{n}": {n}.5' for n in range(990))
    trial = make_trial(["sh", "-c", 'printf %s "$0" > "$METRICS_FILE"', f'{{"accuracy": 1, {many}}}'])
    ended = bench.run(trial, before=limit_file_size(22_000))
    assert ended.code == 75
    assert re.search(r"failed: \S*result.json\S*: File too large \(EFBIG\)$", ended.line)
    assert not list(bench.folder(trial).glob("*result*"))
    check_files(bench, trial)
    assert bench.run(trial).code == 0


def test_a_store_that_goes_read_only_while_training_is_tried_again(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS)
    patch = "def link(*paths, **handles): raise OSError(30, 'Read-only file system', paths[0])\nos.link = link"
    ended = bench.run(trial, patch=patch)
    assert (ended.code, "Read-only file system (EROFS)" in ended.line) == (75, True)
    assert bench.run(trial).code == 0


def test_a_missed_heartbeat_costs_nothing(bench: Bench, fifo: Callable[[str], Fifo]) -> None:
    tried, go = fifo("tried"), fifo("go")
    trial = make_trial(f"read go < {go}; {WRITE_METRICS}")
    patch = f"""
attempts.HEARTBEAT_SECONDS = 0.01
def rename(*paths, **handles):
    open({str(tried)!r}, "w").write("tried\\n")
    os.rename = real
    raise OSError(5, "Input/output error")
class Attempt(trial.Attempt):
    def heartbeat(self):
        os.rename = rename
        super().heartbeat()
real, trial.Attempt = os.rename, Attempt
"""
    running = bench.start(trial, patch=patch)
    tried.line()
    go.say("")
    assert running.end().code == 0
    check_files(bench, trial)


# ---- bad input -------------------------------------------------------------------------------------------------------

GOOD = make_trial("true")
BAD_TRIALS: dict[str, tuple[str | None, str]] = {
    "none": (None, "is not set"),
    "empty": ("", "is not set"),
    "no JSON": ("{", "Expecting property name"),
    "a list": ("[]", "not a JSON object"),
    "NaN": (json.dumps(GOOD | {"limit_seconds": float("nan")}), "NaN is not JSON"),
    "an id that leads elsewhere": (json.dumps(GOOD | {"id": "../../x"}), "id: not a hash"),
    "a lineage that leads elsewhere": (json.dumps(GOOD | {"lineage": "../abc"}), "lineage: not a hash"),
    "no limit": (json.dumps(GOOD | {"limit_seconds": 0}), "limit_seconds: not above 0"),
    "no objective": (json.dumps(GOOD | {"objective": None}), "objective: names no metric"),
    "no objectives": (json.dumps(GOOD | {"objective": []}), "objective: names no metric"),
    "no identity": (json.dumps(GOOD | {"identity": None}), "identity.hyperparameters: missing"),
    "no seed": (json.dumps(make_trial("true", identity_seed="0")), "identity.seed: missing"),
    "no command": (json.dumps(make_trial([])), "identity.command: not a list of words"),
    "a number in the command": (json.dumps(make_trial(["sleep", 1])), "identity.command"),  # type: ignore[list-item]
}


@pytest.mark.parametrize(("text", "reason"), BAD_TRIALS.values(), ids=list(BAD_TRIALS))
def test_a_bad_trial_is_refused_before_anything_is_made(bench: Bench, text: str | None, reason: str) -> None:
    ended = bench.run(text)
    assert ended.code == 64
    assert ended.line.startswith("trial.py: failed: TRIAL: ")
    assert reason in ended.line
    assert bench.names() == []


@pytest.mark.parametrize("changes", [{"results": None}, {"checkpoints": "some"}, {"gpus": "one"}, {"result": "x"}])
def test_bad_arguments_are_refused_in_one_line(bench: Bench, changes: dict[str, Any]) -> None:
    ended = bench.run(GOOD, **changes)
    assert (ended.code, bench.names()) == (64, [])
    assert ended.line.startswith("trial.py: failed: arguments: ")


# ---- the code --------------------------------------------------------------------------------------------------------


def test_the_code_is_unpacked_where_the_command_runs(bench: Bench, tmp_path: Path) -> None:
    files = {
        "train.py": "print('é')\n",
        "package/blob.bin": {"base64": base64.b64encode(b"\0\xff").decode()},
        "run.sh": {"text": f"#!/bin/sh\npwd\n{WRITE_METRICS}\n", "executable": True},
    }
    (tmp_path / "files.json").write_text(json.dumps(files))
    scratch = tmp_path / "s"
    (scratch / "code").mkdir(parents=True)
    (scratch / "code" / "old.py").touch()
    trial = make_trial(["./run.sh"])
    assert bench.run(trial, code=tmp_path / "files.json", scratch=scratch).code == 0
    assert bench.log(trial).decode().strip() == str(scratch / "code")
    unpacked = {
        str(path.relative_to(scratch / "code")): path.read_bytes()
        for path in scratch.glob("code/**/*")
        if path.is_file()
    }
    assert unpacked == {
        "train.py": "print('é')\n".encode(),
        "package/blob.bin": b"\0\xff",
        "run.sh": unpacked["run.sh"],
    }
    assert not os.access(scratch / "code" / "train.py", os.X_OK)


def test_a_folder_is_copied_as_a_bundle_is_unpacked(bench: Bench, tmp_path: Path) -> None:
    folder, scratch = tmp_path / "cloned", tmp_path / "s"
    (folder / "sub").mkdir(parents=True)
    (folder / "run.sh").write_text(f"#!/bin/sh\npwd\necho mine >> sub/.data\n{WRITE_METRICS}\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "sub" / ".data").write_text("git's\n")
    (folder / "link").symlink_to("sub/.data")
    (scratch / "code").mkdir(parents=True)
    (scratch / "code" / "old.py").touch()
    trial = make_trial(["./run.sh"])
    assert bench.run(trial, code=folder, scratch=scratch).code == 0
    assert bench.log(trial).decode().strip() == str(scratch / "code")
    assert sorted(path.name for path in (scratch / "code").rglob("*")) == [".data", "link", "run.sh", "sub"]
    assert (scratch / "code" / "link").readlink() == Path("sub/.data")
    assert (scratch / "code" / "link").read_text() == "git's\nmine\n"
    assert (folder / "sub" / ".data").read_text() == "git's\n"


@pytest.mark.parametrize(
    "files",
    [
        {"/etc/x": ""},
        {"../x": ""},
        {"a/../../x": ""},
        {"a//b": ""},
        {"": ""},
        {"a": 1},
        {"a": {}},
        {"a": {"text": 1}},
        {"a": {"base64": "!"}},
        ["a"],
    ],
    ids=str,
)
def test_a_bad_bundle_is_refused(bench: Bench, tmp_path: Path, files: Any) -> None:
    (tmp_path / "files.json").write_text(json.dumps(files))
    trial = make_trial("true")
    ended = bench.run(trial, code=tmp_path / "files.json")
    assert ended.code == 64
    assert str(tmp_path / "files.json") in ended.line
    assert bench.attempt(trial)["status"] == "failed"
    assert not list(tmp_path.rglob("x"))


def test_code_in_the_image_runs_where_the_image_says(bench: Bench) -> None:
    trial = make_trial("pwd; " + WRITE_METRICS)
    bench.run(trial)
    assert bench.log(trial).decode().strip() == str(bench.root)


# ---- checkpoints -----------------------------------------------------------------------------------------------------

SAVE = "mkdir $CHECKPOINT_DIR/9; for n in 10.pt 8.pt .11.tmp 12.pt.tmp best.pt 9/a; do touch $CHECKPOINT_DIR/$n; done; "
ALL = {"10.pt", "8.pt", "9", ".11.tmp", "12.pt.tmp", "best.pt"}
NEWEST = ALL - {"8.pt", "9"}


@pytest.mark.parametrize(
    ("mode", "budget", "left"),
    [
        ("auto", None, None),
        ("drop", None, None),
        ("keep", None, ALL),
        ("auto", "width", NEWEST),
        ("drop", "width", set()),
        ("keep", "width", ALL),
        ("auto", "not_a_hyperparameter", None),
    ],
)
@pytest.mark.parametrize("duplicate", [False, True])
def test_checkpoints_go_when_a_result_stands(
    bench: Bench, mode: str, budget: str | None, left: set[str] | None, duplicate: bool
) -> None:
    copy = "cp $0 $(dirname $HISTORY_FILE)/../../result.json; " if duplicate else ""
    trial = make_trial(["sh", "-c", SAVE + copy + WRITE_METRICS, str(bench.root / "other.json")], lineage="abcd")
    (bench.root / "other.json").write_text(json.dumps(valid_result(trial)))
    if duplicate:
        bench.back(trial)
    assert bench.run(trial, checkpoints=mode, budget=budget).code == 0
    assert bench.attempts(trial)[-1]["status"] == ("duplicate" if duplicate else "succeeded")
    folder = bench.checkpoints(trial)
    assert ({path.name for path in folder.iterdir()} if folder.exists() else None) == left


@pytest.mark.parametrize("end", ["exit 1", "kill -9 $$"])
def test_checkpoints_of_a_trial_without_result_stay(bench: Bench, end: str) -> None:
    trial = make_trial(SAVE + end)
    bench.run(trial, checkpoints="drop")
    assert {path.name for path in bench.checkpoints(trial).iterdir()} == ALL


@pytest.mark.parametrize(
    ("mode", "budget", "left"),
    [("auto", None, None), ("drop", None, None), ("auto", "width", {"10"}), ("drop", "width", {"9", "10"})],
)
def test_a_trial_that_is_done_cleans_up_what_was_left(
    bench: Bench, mode: str, budget: str | None, left: set[str] | None
) -> None:
    """But with a budget another trial may be training here: `drop` does not fall upon it."""
    trial = make_trial("true")
    bench.put_result(trial)
    folder = bench.checkpoints(trial)
    folder.mkdir(parents=True)
    for name in ("9", "10"):
        (folder / name).touch()
    assert bench.run(trial, checkpoints=mode, budget=budget).code == 0
    assert ({path.name for path in folder.iterdir()} if folder.exists() else None) == left


@pytest.mark.parametrize(("silent", "stays"), [(5, True), (3600, False)])
def test_the_folder_stays_for_an_attempt_that_is_alive(bench: Bench, silent: int, stays: bool) -> None:
    trial = make_trial(SAVE + WRITE_METRICS)
    bench.put_attempt(trial, "20260102T030405Z-b", alive_at=time.time() - silent, started_at="2199-01-01T00:00:00Z")
    assert bench.run(trial).code == 0
    folder = bench.checkpoints(trial)
    assert ([*folder.iterdir()] if folder.exists() else None) == ([] if stays else None)


# ---- the last words --------------------------------------------------------------------------------------------------


def speak(bench: Bench, script: str, **options: Any) -> str | None:
    log = bench.root / "termination-log"
    bench.run(make_trial(script), patch=f"ending.TERMINATION_LOG = {str(log)!r}", **options)
    return log.read_text() if log.exists() else None


def test_last_words_are_the_result_or_the_reason(bench: Bench) -> None:
    (bench.root / "termination-log").write_text("x" * 9999)
    words = speak(bench, WRITE_METRICS)
    trial = make_trial(WRITE_METRICS)
    assert json.loads(words or "") == bench.result(trial)
    (bench.root / "termination-log").write_text("")
    assert speak(bench, WRITE_METRICS) == words  # done already
    assert speak(bench, "echo no data; exit 65") == "failed: exit 65: no data"


def test_last_words_that_are_too_long_are_not_said(bench: Bench) -> None:
    (bench.root / "termination-log").write_text("")
    many = ", ".join(f'"m{n}": {n}' for n in range(500))
    assert speak(bench, f"""echo '{{"accuracy": 1, {many}}}' > $METRICS_FILE""") == ""


def test_outside_of_a_container_there_is_nobody_to_hear_them(bench: Bench) -> None:
    assert speak(bench, WRITE_METRICS) is None


# ---- what every trial pays for ---------------------------------------------------------------------------------------

SLOW = {"argparse", "gettext", "hashlib", "inspect", "logging", "pathlib", "shutil", "tempfile", "typing", "zipfile"}
"""Modules that take as long to import as the runner, and that it can do without until the command has started."""


def test_nothing_slow_is_imported_before_the_command_starts(bench: Bench) -> None:
    patch = """
start = command.Command.__init__
def watched(self, *given):
    print(*sys.modules)
    start(self, *given)
command.Command.__init__ = watched
"""
    imported = set(bench.run(make_trial(WRITE_METRICS), patch=patch).out.split())
    assert {"trial", "command", "json"} <= imported
    assert not imported & SLOW


# ---- the file itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", sorted(RUNNER.parent.glob("*.py")), ids=lambda path: path.stem)
def test_the_runner_is_python_3_9(module: Path) -> None:
    ast.parse(module.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize("schema", [RESULT, ATTEMPT], ids=["result", "attempt"])
def test_schemas_describe_every_key_and_are_closed(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)

    def visit(part: Any, where: str) -> None:
        for name, inner in part.get("properties", {}).items():
            assert inner.get("description"), f"{where}.{name}"
            visit(inner, f"{where}.{name}")
        if part.get("type") == "object":
            assert "additionalProperties" in part, where
        for name, inner in part.get("$defs", {}).items():
            visit(inner, f"{where}#{name}")
        for inner in part.get("anyOf", []):
            visit(inner, where)

    visit(schema, "")


def test_a_reproduction_runs_as_if_for_the_first_time_and_keeps_to_itself(bench: Bench) -> None:
    trial = make_trial(f'ls "$CHECKPOINT_DIR"; touch "$CHECKPOINT_DIR/1"; {WRITE_METRICS}')
    old = bench.put_result(trial)
    (bench.checkpoints(trial)).mkdir(parents=True)
    (bench.checkpoints(trial) / "9").touch()
    before = bench.names()
    ended = bench.run(trial, env={"REPRODUCTION": "12"})
    assert (ended.code, ended.out) == (0, ""), "it has seen no checkpoint"
    own = f"reproductions/{trial['id']}/12"
    record = json.loads((bench.results / own / old.relative_to(bench.results)).read_text())
    assert record["metrics"] == {"accuracy": 0.5}
    assert json.loads(old.read_text())["metrics"] == {"accuracy": 0.25}
    assert [name for name in bench.names() if not name.startswith("reproductions")] == before


@pytest.mark.parametrize("number", ["../x", "1/2", "x", "1" * 13])
def test_a_reproduction_that_is_no_number_is_refused(bench: Bench, number: str) -> None:
    ended = bench.run(make_trial(WRITE_METRICS), env={"REPRODUCTION": number})
    assert ended.code == 64
    assert "REPRODUCTION" in ended.line
    assert bench.names() == []


def test_a_reproduction_makes_no_store(bench: Bench) -> None:
    bench.results.rmdir()
    ended = bench.run(make_trial(WRITE_METRICS), env={"REPRODUCTION": "1"})
    assert ended.code == 75
    assert not bench.results.exists()
