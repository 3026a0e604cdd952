"""A clone of this working tree in a temporary folder, to run whole sweeps in as a person would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

TOY = '''"""A trainer for tests: notes when it starts and ends, and waits for its gate to be opened. No packages."""
import json, os, time

hyperparameters = json.load(open(os.environ["HYPERPARAMETERS_FILE"]))
gate = hyperparameters["gate"]


def note(what):
    with open(f"{gate}/events", "a") as log:
        log.write(f"{what} {hyperparameters['x']} {os.getpid()}\\n")


trial = json.loads(os.environ["TRIAL"])["id"]
store = os.path.abspath(os.environ["CHECKPOINT_DIR"] + "/../../..")
note("start")
if os.path.exists(f"{store}/trials/{trial[:2]}/{trial}/result.json"):
    note("again")
if hyperparameters["x"] < 0:
    raise SystemExit("x: must not be negative")
print(os.environ.get("GREETING", ""), "seed", os.environ["SEED"], flush=True)
end = time.monotonic() + 120
while not (os.path.exists(f"{gate}/open") or os.path.exists(f"{gate}/open-{hyperparameters['x']}")):
    assert time.monotonic() < end, "nobody opened the gate"
    time.sleep(0.01)
note("end")
json.dump({"score": -((hyperparameters["x"] - 3) ** 2)}, open(os.environ["METRICS_FILE"], "w"))
'''


def copy_tree(root: Path) -> None:
    """Copy this working tree to `root`, less the results that shipped sweeps have, with the same .venv."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists() and not name.endswith("/results.csv"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (root / ".venv").symlink_to(ROOT / ".venv")


class TestClone:
    """A clone with a toy sweep whose trials wait at a gate."""

    __test__ = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gate = root.parent / "gate"
        self.gate.mkdir()
        self.launchers: list[subprocess.Popen[str]] = []

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout

    def start(self, script: str, *words: str, **env: str) -> subprocess.Popen[str]:
        """Start a verb and do not wait for it."""
        launcher = subprocess.Popen(
            [sys.executable, f"scripts/{script}.py", *words],
            cwd=self.root,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.launchers.append(launcher)
        return launcher

    def run(self, script: str, *words: str, code: int = 0, **env: str) -> str:
        """Run a verb to its end; returns stdout and stderr."""
        out, err = self.start(script, *words, **env).communicate(timeout=600)
        ended = self.launchers[-1].returncode
        assert ended == code, f"{script} {' '.join(words)} ended with {ended}, not {code}:\n{out}\n{err}"
        return out + err

    def rows(self) -> dict[str, dict[str, Any]]:
        """`make status` as data: id -> row."""
        out, _ = self.start("status", "toy", "--json").communicate(timeout=60)
        return {row["id"]: row for row in json.loads(out)}

    def events(self, what: str) -> list[str]:
        """The x of every event of one kind (`start`, `end`, `again`: training begun after a result stood), in order."""
        path = self.gate / "events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[1] for line in lines if line.startswith(f"{what} ")]

    def pid(self, x: int) -> int:
        """Process id of the newest start of a trial."""
        lines = (self.gate / "events").read_text().splitlines()
        return [int(line.split()[2]) for line in lines if line.startswith(f"start {x} ")][-1]

    def open_gate(self, x: int | None = None) -> None:
        (self.gate / ("open" if x is None else f"open-{x}")).touch()

    def edit(self, *trials: dict[str, Any], **head: Any) -> None:
        """Write values/toy/values.yaml by hand, as it would be edited."""
        values: dict[str, Any] = {
            "sweep": "toy",
            "objective": {"metric": "score", "direction": "maximize"},
            "hyperparameters": {"gate": str(self.gate)},
            "command": ["python3", "train.py"],
            "gpu": {"count": 0},
            "limit_seconds": 300,
            "data": {"id": "", "volume": None},
            "local": {"requirements": None},
        } | head
        lines = [f"{key}: {json.dumps(value)}" for key, value in values.items()]
        lines += ["trials:", *(f"  - {json.dumps(trial)}" for trial in trials)]
        folder = self.root / "values" / "toy"
        folder.mkdir(exist_ok=True)
        (folder / "values.yaml").write_text("\n".join(lines) + "\n")
