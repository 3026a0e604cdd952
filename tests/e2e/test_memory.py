"""Every verb as a process of its own, on what hostile trials have left: none takes more than 500 MB of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helm_sweep import verbs
from tests.e2e.test_disk import SPACE, VALUES

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 500
TRAIN = """x=$(sed -n 's/.*"x": \\([0-9]*\\).*/\\1/p' "$HYPERPARAMETERS_FILE")
echo "$x" >"$OUTPUT_DIR/model"
echo "{\\"score\\": $x}" >"$METRICS_FILE"
"""
WORDS = {
    "init": "", "new": "fresh -- printf {x}", "dataset": "toy --dry-run", "uninstall": "toy --yes",
    "logs": "toy TRIAL", "fetch": "toy TRIAL", "trace": "TRIAL", "reproduce": "TRIAL",
    "ledger": "", "gc": "--yes --unknown-commits", "doctor": "", "role": "", "completion": "bash",
}  # fmt: skip
"""What a verb is told; others are told the sweep."""
CODES = (0, 1, 2, 3, 4)
MEASURED = """
import os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
with open(sys.argv[1], "w") as kept:
    kept.write(f"{os.waitstatus_to_exitcode(status)} {used.ru_maxrss}")
"""
"""Starts a verb from a small process: what Linux counts of a child begins with the memory of whoever forked it."""


def ended(folder: Path, verb: str, *words: str) -> tuple[int, int, str]:
    """(exit code, most MB of memory, end of what it said) of a verb."""
    with (folder.parent / "output").open("w+b") as output:
        env = {"PYTHONPATH": f"{ROOT / 'scripts'}{os.pathsep}{ROOT}", "KUBECONFIG": os.devnull}
        kept = folder.parent / "used"
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", MEASURED, kept, sys.executable, "-m", "helm_sweep", verb, *words],
            cwd=folder,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=True,
        )
        code, used = map(int, kept.read_text().split())
        output.seek(max(0, output.seek(0, os.SEEK_END) - 2000))
        return code, used // 1024, output.read().decode(errors="replace")


def make_hostile(result: Path, history: Path) -> None:
    """1 GiB of log, ten million lines of history, records of megabytes, thousands of metrics."""
    record = json.loads(result.read_text())
    record["metrics"] |= {f"{result.parent.name}{number:0180}": number for number in range(15_000)}
    result.write_text(json.dumps(record | {"more": [[]] * 100_000, "environment": {"node": "n" * 10**5}}))
    (attempt,) = (result.parent / "attempts").iterdir()
    about = json.loads((attempt / "attempt.json").read_text()) | {"status": "failed", "reason": "r" * 10**6}
    for number in range(2, 5):
        other = attempt.with_name(f"a{number:06}-20260102T030405Z-pod")
        other.mkdir()
        (other / "attempt.json").write_text(json.dumps(about | {"more": [[["x"]]] * 200_000}))
    for folder in attempt.parent.iterdir():
        with (folder / "output.log").open("wb") as log:
            log.truncate(1 << 30)
        (folder / "history.jsonl").unlink(missing_ok=True)
        os.link(history, folder / "history.jsonl")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a sweep that has run, and a store that its trials have filled."""
    folder = tmp_path_factory.mktemp("memory") / "project"
    (folder / "values" / "toy").mkdir(parents=True)
    (folder / "values" / "base.yaml").write_text("{}\n")
    (folder / "values" / "toy" / "space.yaml").write_text(SPACE)
    (folder / "values" / "toy" / "values.yaml").write_text(VALUES + 'code: {path: "."}\n')
    (folder / "train.sh").write_text(TRAIN)
    (folder / ".gitignore").write_text("/out/\n/results/\n")
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=start"]):
        subprocess.run(["git", *identity, *words], cwd=folder, check=True)
    code, _, output = ended(folder, "sweep", "toy")
    assert code == 0, output
    history = folder / "history"
    with history.open("wb") as lines:
        for _ in range(100):
            lines.write(b'{"a":1}\n' * 100_000)
    for result in folder.glob("results/trials/*/*/result.json"):
        make_hostile(result, history)
    return folder


@pytest.mark.parametrize("name", verbs.VERBS)
def test_no_verb_takes_more_memory_whatever_trials_have_left(project: Path, name: str) -> None:
    trial = min(path.name for path in project.glob("results/trials/*/*"))
    words = [trial if word == "TRIAL" else word for word in WORDS.get(name, "toy").split()]
    code, most, output = ended(project, name, *words)
    assert code in CODES, output
    assert "Traceback" not in output
    assert most < MOST_MB, (name, most)
