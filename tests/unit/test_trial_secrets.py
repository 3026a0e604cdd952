"""What a Pod got from a Secret, where its command prints it: not in the log, not in a reason, not on stdout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.trial_support import Bench, make_trial

SECRET = "hunter2hunter2"
FROM_SECRET = {"HF_TOKEN": {"secret": "hugging-face", "key": "token"}}


@pytest.mark.parametrize(
    "script",
    [
        'echo "token $HF_TOKEN is wrong"; exit 3',
        'printf "%s" "a hunter2h"; printf "%s" "unter2 b hunter2"; echo; echo "$HF_TOKEN"; exit 3',
        "for i in h u n t e r 2 h u n t e r 2; do printf $i; done; echo; exit 3",
        'printf "$HF_TOKEN$HF_TOKEN"; kill -9 $$',
        'printf "$HF_TOKEN" >&2; printf hunter2hunter; exit 3',
    ],
)
def test_no_value_of_a_secret_is_printed(bench: Bench, script: str) -> None:
    trial = make_trial(script, identity_env=FROM_SECRET)
    ended = bench.run(trial, env={"HF_TOKEN": SECRET})
    assert ended.code
    everything = [path.read_bytes() for path in bench.results.rglob("*") if path.is_file()]
    for text in (ended.out, ended.err, *(data.decode() for data in everything)):
        assert SECRET not in text
    assert "***" in ended.out
    assert bench.log(trial).decode() == ended.out


def test_all_else_is_printed_to_the_byte(bench: Bench) -> None:
    script = (
        'printf "hunter2hunterX hunter2hunter"; printf "\\377\\000"; head -c 200000 /dev/zero; echo "$PLAIN"; exit 3'
    )
    trial = make_trial(script, identity_env=FROM_SECRET | {"PLAIN": "not a secret"})
    with Path(os.devnull).open("wb") as nowhere:
        bench.run(trial, env={"HF_TOKEN": SECRET, "PLAIN": "not a secret"}, stdout=nowhere.fileno())
    due = b"hunter2hunterX hunter2hunter\xff\0" + bytes(200000) + b"not a secret\n"
    assert bench.log(trial) == due
    assert bench.attempt(trial)["reason"].endswith("not a secret")


def test_a_password_in_an_address_is_in_no_reason(bench: Bench) -> None:
    trial = make_trial("echo fatal: no https://ann:hunter2@git.example.org/code here; exit 3")
    assert bench.run(trial).line.endswith("exit 3: fatal: no https://***@git.example.org/code here")
    assert bench.attempt(trial)["reason"] == "exit 3: fatal: no https://***@git.example.org/code here"
