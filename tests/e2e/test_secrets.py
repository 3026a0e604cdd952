"""A secret of the person's, through a whole sweep: the trial has it, and nothing that is kept or shown does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.support import TestClone
from tests.waiting import until

SECRET = "-".join(("open", "sesame", "42"))  # whole in no file of the tree, which the clone commits
OWN = "a word of the person's own"
TRAINER = """
import json, os, sys, time
gate = json.load(open(os.environ["HYPERPARAMETERS_FILE"]))["gate"]
json.dump(dict(os.environ), open(f"{gate}/trial.json.new", "w"))
os.rename(f"{gate}/trial.json.new", f"{gate}/trial.json")
while not os.path.exists(f"{gate}/open"):
    time.sleep(0.01)
print("no access with", os.environ["HF_TOKEN"])
print("fatal: https://ann:{0}@git.example.org/code {0}".format(os.environ["HF_TOKEN"]))
sys.exit(3)
"""
PREPARE = 'import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], "w"))'
UNLIKE = {"HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "PWD", "OLDPWD", "_"}
"""Variables that name a folder or program, of which each process has its own."""


def command_lines() -> str:
    listed = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            listed.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(listed)


@pytest.fixture
def sweep(clone: TestClone) -> TestClone:
    (clone.root / "toy" / "train.py").write_text(TRAINER)
    clone.git("add", "toy")
    clone.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=toy")
    data = {"id": "d", "volume": {"hostPath": {"path": str(clone.gate)}}}
    data |= {"prepare": ["python3", "-c", PREPARE, str(clone.gate / "prepare.json")]}
    env = {"HF_TOKEN": {"secret": "hugging-face", "key": "token"}, "GREETING": "hello", "TMPDIR": "/tmp"}
    clone.edit({"x": 1}, env=env, data=data, backoffLimit=0)
    clone.run("expand", "toy", "--code", "toy")
    return clone


def test_a_secret_reaches_the_trial_and_nothing_that_is_kept_or_shown(sweep: TestClone) -> None:
    assert "env.HF_TOKEN: comes from the Secret hugging-face" in sweep.run("drive", "toy", code=2)
    launcher = sweep.start("drive", "toy", HF_TOKEN=SECRET, PRIVATE=OWN)
    until((sweep.gate / "trial.json").exists, "the trial started")
    assert SECRET not in command_lines()
    sweep.open_gate()
    out, err = launcher.communicate(timeout=300)
    assert launcher.returncode == 1, err
    in_trial = json.loads((sweep.gate / "trial.json").read_text())
    assert in_trial["HF_TOKEN"] == SECRET
    shown = {
        "talk": out + err,
        "commits": sweep.git("log", "-p", "--all"),
        "release": sweep.run("render", "toy"),
        "status": sweep.run("status", "toy", "--json"),
        "logs": sweep.run("logs", "toy", next(iter(sweep.rows()))),
    }
    kept = [path for name in ("values", "out", "results") for path in (sweep.root / name).rglob("*") if path.is_file()]
    assert {"results.csv", "report.html", "attempt.json", "output.log"} <= {path.name for path in kept}
    shown |= {str(path): path.read_bytes().decode(errors="replace") for path in kept}
    assert [where for where, text in shown.items() if SECRET in text] == []
    assert "https://***@git.example.org/code ***" in shown["status"]


def test_data_prepare_has_the_environment_of_a_trial_and_no_more(sweep: TestClone) -> None:
    sweep.open_gate()
    sweep.run("drive", "toy", HF_TOKEN=SECRET, PRIVATE=OWN, TZ="UTC", code=1)
    prepared, in_trial = (json.loads((sweep.gate / f"{name}.json").read_text()) for name in ("prepare", "trial"))
    assert "PRIVATE" not in prepared.keys() | in_trial.keys()
    assert (prepared["HF_TOKEN"], prepared["GREETING"], prepared["TZ"]) == (SECRET, "hello", "UTC")
    assert prepared["TMPDIR"] == "/tmp"  # as the values say
    assert prepared.keys() <= in_trial.keys()
    for name in prepared.keys() - UNLIKE - {name for name in prepared if name.startswith("PYENV_")}:
        assert prepared[name] == in_trial[name], name
