"""A bench for the trial runner: starts the real chart/files/trial.py as a Pod would, and reads what it left behind."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORY = Path(__file__).parents[2]
RUNNER = REPOSITORY / "chart" / "files" / "trial.py"
PYTHON = os.environ.get("TRIAL_PYTHON", sys.executable)
"""The image's python3. TRIAL_PYTHON=/usr/bin/python3.9 tries the runner under another one."""

DEADLINE_SECONDS = 30.0
"""For anything that is waited for; only a broken runner gets there."""

OBJECTIVE = {"metric": "accuracy", "direction": "maximize"}
WRITE_METRICS = """echo '{"accuracy": 0.5}' > "$METRICS_FILE" """

PATCHED = """
import errno, os, sys, time
sys.path.insert(0, {folder!r})
import attempts, command, ending, trial
{patch}
sys.exit(trial.main())
"""


def load(name: str = "trial") -> ModuleType:
    """The runner, or what lies beside it, as a module, for what needs no process."""
    if str(RUNNER.parent) not in sys.path:
        sys.path.append(str(RUNNER.parent))
    return importlib.import_module(name)


def make_trial(command: list[str] | str, **changes: Any) -> dict[str, Any]:
    """TRIAL as the chart would spell it; a string is a shell script. Keywords change TRIAL, or its identity."""
    identity = {
        "hyperparameters": {"lr": 5e-05, "width": 8},
        "seed": 3,
        "command": ["sh", "-c", command] if isinstance(command, str) else command,
        "env": {},
        "code": "c0de",
        "image": "repository:tag",
        "data": "sha256:da7a",
    }
    identity |= {key[len("identity_") :]: changes.pop(key) for key in list(changes) if key.startswith("identity_")}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return {
        "sweep": "bench",
        "id": digest,
        "lineage": digest,
        "identity": identity,
        "objective": OBJECTIVE,
        "limit_seconds": 60,
    } | changes


@dataclass(frozen=True)
class Ended:
    """How a runner ended."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line it said; anything more is a failure."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


class Running:
    """A runner under way. Killed when the test is over, with its command."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child

    def end(self) -> Ended:
        out, err = self.child.communicate(timeout=DEADLINE_SECONDS)
        return Ended(self.child.returncode, out, err)


class Bench:
    """One result store, and the runners that write to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.results = root / "results"
        self.results.mkdir()
        self.started: list[Running] = []

    def arguments(self, **changes: Any) -> dict[str, Any]:
        scratch = self.root / f"scratch-{len(self.started)}"
        return {"results": self.results, "scratch": scratch, "gpus": 1, "grace": 2, "checkpoints": "auto"} | changes

    def start(
        self,
        trial: Mapping[str, Any] | str | None,
        *,
        env: Mapping[str, str] | None = None,
        patch: str = "",
        flags: tuple[str, ...] = (),
        before: Callable[[], None] | None = None,
        stdout: int = subprocess.PIPE,
        **arguments: Any,
    ) -> Running:
        """Start the runner with a clean environment. `patch` is Python run before main(), for faults of the machine."""
        given = self.arguments(**arguments)
        words = [
            f"--{key.replace('_', '-')}={value}"
            for key, value in given.items()
            if value is not None and value is not True
        ]
        words += [f"--{key.replace('_', '-')}" for key, value in given.items() if value is True]
        source = [str(RUNNER)]
        if patch:
            source = ["-c", PATCHED.format(folder=str(RUNNER.parent), patch=patch)]
        own = {"PATH": os.environ["PATH"], "POD_NAME": "pod-1", "POD_UID": "uid-1", "NODE_NAME": "node-1"}
        if trial is not None:
            own["TRIAL"] = trial if isinstance(trial, str) else json.dumps(trial)
        running = Running(
            subprocess.Popen(
                [PYTHON, "-I", "-S", *flags, *source, *words],
                env=own | dict(env or {}),
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=before,
            )
        )
        self.started.append(running)
        return running

    def run(self, trial: Mapping[str, Any] | str | None, **options: Any) -> Ended:
        """One attempt from start to end."""
        return self.start(trial, **options).end()

    def folder(self, trial: Mapping[str, Any]) -> Path:
        return Path(self.results, "trials", trial["id"][:2], trial["id"])

    def checkpoints(self, trial: Mapping[str, Any]) -> Path:
        return Path(self.results, "checkpoints", trial["lineage"][:2], trial["lineage"])

    def result(self, trial: Mapping[str, Any]) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.folder(trial) / "result.json").read_text())
        return record

    def attempts(self, trial: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All attempt.json, oldest first."""
        paths = sorted((self.folder(trial) / "attempts").glob("*/attempt.json"))
        return [json.loads(path.read_text()) for path in paths]

    def attempt(self, trial: Mapping[str, Any]) -> dict[str, Any]:
        """The only attempt."""
        (only,) = self.attempts(trial)
        return only

    def log(self, trial: Mapping[str, Any]) -> bytes:
        """output.log of the only attempt."""
        (path,) = (self.folder(trial) / "attempts").glob("*/output.log")
        return path.read_bytes()

    def put_result(self, trial: Mapping[str, Any], **changes: Any) -> Path:
        """A valid result of another attempt, which backs it, but for the changes."""
        path = self.folder(trial) / "result.json"
        self.back(trial)
        path.write_text(json.dumps(valid_result(trial) | changes))
        return path

    def put_attempt(self, trial: Mapping[str, Any], name: str, *, alive_at: float, **changes: Any) -> None:
        """An attempt of another Pod whose attempt.json was last touched at `alive_at`, seconds of the epoch."""
        path = self.folder(trial) / "attempts" / name / "attempt.json"
        path.parent.mkdir(parents=True)
        record = {"status": "running", "started_at": "2026-01-02T03:04:05.000Z", "finished_at": None}
        path.write_text(json.dumps(record | changes))
        os.utime(path, (alive_at, alive_at))

    def back(self, trial: Mapping[str, Any], **changes: Any) -> None:
        """The attempt that a valid_result names."""
        result = valid_result(trial)
        record = {name: result[name] for name in ("schema_version", "id", "attempt", "status", "started_at")} | {
            "sweep": "bench", "exit_code": 0, "reason": "", "finished_at": result["finished_at"],
            "engine": "cluster", "node": "n", "pod": "other", "pod_uid": "u", "gpus": 1, "limit_seconds": 60,
            "provenance": {"commit": "unknown"},
        }  # fmt: skip
        self.put_attempt(trial, result["attempt"], alive_at=time.time() - 3600, **record | changes)

    def names(self) -> list[str]:
        """Every path in the store."""
        return sorted(str(path.relative_to(self.results)) for path in self.results.rglob("*"))

    def close(self) -> None:
        for running in self.started:
            if running.child.poll() is None:
                running.child.kill()
            running.child.communicate()


def valid_result(trial: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "id": trial["id"],
        "status": "succeeded",
        "identity": trial["identity"],
        "metrics": {"accuracy": 0.25},
        "objective": trial["objective"],
        "attempt": "20260102T030405Z-other",
        "started_at": "2026-01-02T03:04:05.000Z",
        "finished_at": "2026-01-02T03:05:05.000Z",
        "durations": {},
        "environment": {"engine": "cluster", "node": "n"},
    }


class Fifo:
    """What a command says to the test, or waits for: `echo up > FIFO`, `read go < FIFO`."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def __str__(self) -> str:
        return str(self.path)

    def line(self) -> str:
        """The next thing said, without its end of line."""
        assert readable(self.handle), f"nothing was said to {self.path}"
        return os.read(self.handle, 4096).decode().strip()

    def say(self, text: str) -> None:
        os.write(self.handle, text.encode() + b"\n")

    def close(self) -> None:
        os.close(self.handle)


def readable(handle: int) -> bool:
    """Whether a handle, of whatever number, becomes readable in time."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(DEADLINE_SECONDS * 1000))


def wait_for_death(pid: int) -> None:
    """Until a process that need not be a child is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert readable(handle), f"process {pid} is still there"
    finally:
        os.close(handle)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Until a condition that nothing signals holds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
