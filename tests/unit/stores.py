"""Makes trials, and the result stores that they would leave behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.records.results import Row
from sweep.render import Trial

OBJECTIVE = {"metric": "val_accuracy", "direction": "maximize"}
START, END = "2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z"
"""A minute apart."""


def trial(
    hyperparameters: Mapping[str, Any] | None = None, seed: int = 0, gpus: int = 1, objective: Any = None
) -> Trial:
    """A trial as render reads it back; the id only looks like the chart's."""
    identity = {
        "hyperparameters": dict(hyperparameters or {"lr": 0.1}),
        "seed": seed,
        "command": ["python", "train.py"],
        "env": {},
        "code": "c0de",
        "image": "sha256:1mage",
        "data": "sha256:da7a",
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return Trial(digest, digest, identity, objective or OBJECTIVE, 600, gpus, f"s-{digest}-00000000")


def folder(store: Path, of: Trial) -> Path:
    return store / "trials" / of.id[:2] / of.id


def result(of: Trial, **changes: Any) -> dict[str, Any]:
    """A valid result.json."""
    return {
        "schema_version": 1,
        "id": of.id,
        "status": "succeeded",
        "identity": of.identity,
        "metrics": {"val_accuracy": 0.9},
        "objective": of.objective,
        "attempt": "20260102T030405Z-pod",
        "started_at": START,
        "finished_at": END,
        "durations": {"setup_s": 2.0, "train_s": 50.5},
        "environment": {"engine": "local", "node": "n1", "gpu": "H100", "torch": "2.9"},
    } | changes


def put_result(store: Path, of: Trial, **changes: Any) -> Path:
    """Write a trial's result.json, and the attempt that backs it where there is none of that name."""
    path, record = folder(store, of) / "result.json", result(of, **changes)
    if isinstance(record["attempt"], str) and not (path.parent / "attempts" / record["attempt"]).exists():
        put_attempt(store, of, record["attempt"], status=record["status"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
    return path


def put_attempt(
    store: Path, of: Trial, name: str = "20260102T030405Z-pod", log: str = "", history: str = "", **changes: Any
) -> Path:
    """Write an attempt of a trial; returns its folder."""
    path = folder(store, of) / "attempts" / name
    path.mkdir(parents=True, exist_ok=True)
    record = {
        "schema_version": 1,
        "id": of.id,
        "status": "succeeded",
        "exit_code": 0,
        "reason": "",
        "provenance": {"commit": "abc1234"},
        "node": "n1",
        "pod_uid": "u",
        "gpus": of.gpus,
        "engine": "local",
        "started_at": START,
        "finished_at": END,
    } | changes
    (path / "attempt.json").write_text(json.dumps(record))
    (path / "output.log").write_text(log)
    (path / "history.jsonl").write_text(history)
    return path


def row(hyperparameters: Mapping[str, Any], seed: int = 0, value: float | None = 0.9, **changes: Any) -> Row:
    """A row of a trial that succeeded."""
    of = trial(hyperparameters, seed)
    metrics = {} if value is None else {"val_accuracy": value}
    fields: dict[str, Any] = {
        "id": of.id,
        "status": "succeeded",
        "hyperparameters": dict(hyperparameters),
        "seed": seed,
        "store": "present",
        "engine": "local",
        "objective": value,
        "metrics": metrics,
        "attempts": 1,
        "setup_s": 1.0,
        "train_s": 60.0,
        "gpu_seconds": 61.0,
        "gpu_seconds_useful": 61.0,
        "gpu_seconds_failed": 0.0,
        "gpu_seconds_preempted": 0.0,
        "gpu_seconds_duplicate": 0.0,
        "node": "n1",
        "gpu": "H100",
        "commit": "abc1234",
        "code": "c0de",
        "image": "sha256:1mage",
        "data": "sha256:da7a",
    }
    return Row(**(fields | changes))
