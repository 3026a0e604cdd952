"""What a submission would do, before anything happens: pure comparison of the rendered trials with what is known."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.errors import BadInput
from sweep.prices import Money, Price
from sweep.render import Rendered, Trial
from sweep.words import counted, figure

ACTIONS = {
    "new": "new: no result yet, and no Job that works on it",
    "done": "already done: a valid result exists",
    "unchanged": "unchanged: the same Job as before, not finished yet",
    "failed": "failed before under this Job; `make retry` gives it a new one",
    "replaced": "Job replaced, trial kept: it goes on from its checkpoint",
    "removed": "no longer listed: its Job would be removed, its result stays",
}
"""Every trial has exactly one of these."""


@dataclass(frozen=True)
class Plan:
    """What would happen to each trial, and what it may cost at most."""

    actions: dict[str, str]
    """Trial id -> one of ACTIONS."""
    ceiling_gpu_hours: float
    """trials x GPUs x limit_seconds over all listed trials, as hours."""
    to_run_gpu_hours: float
    """The same over the trials that would run."""
    to_run_hours: float
    """Trial-hours (without regard to GPUs) of the trials that would run."""
    release_bytes: int
    """About what the helm release would take in its Secret."""
    price: Price | None = None
    """Of a GPU-hour, where the values name one."""

    def of(self, action: str) -> list[str]:
        return [trial for trial, planned in self.actions.items() if planned == action]

    def money(self, gpu_hours: float) -> Money:
        """What these cost at the price of the plan, nothing without one."""
        return self.price.of(gpu_hours) if self.price and gpu_hours else {}

    @property
    def to_run(self) -> list[str]:
        return [trial for trial, planned in self.actions.items() if planned in ("new", "unchanged", "replaced")]


def make(
    trials: Sequence[Trial],
    done: Collection[str],
    jobs: Mapping[str, tuple[str, str]],
    size: int,
    price: Price | None = None,
) -> Plan:
    """Compare. `done` are ids with a valid result; `jobs` maps the names of known Jobs to (trial id, condition)."""
    with_job = {trial for trial, _ in jobs.values()}
    conditions = {name: condition for name, (_, condition) in jobs.items()}
    actions = {
        trial.id: _action(conditions.get(trial.job, ""), done=trial.id in done, known=trial.id in with_job)
        for trial in trials
    }
    actions |= dict.fromkeys(sorted(with_job - actions.keys()), "removed")
    run = [trial for trial in trials if actions[trial.id] in ("new", "unchanged", "replaced")]
    return Plan(
        actions,
        ceiling_gpu_hours=sum(trial.gpus * trial.limit_seconds for trial in trials) / 3600,
        to_run_gpu_hours=sum(trial.gpus * trial.limit_seconds for trial in run) / 3600,
        to_run_hours=sum(trial.limit_seconds for trial in run) / 3600,
        release_bytes=size,
        price=price,
    )


def _action(condition: str, *, done: bool, known: bool) -> str:
    """Of a trial by the condition of its Job, "" where there is none; `known`: it has a Job of some spec."""
    if done:
        return "done"
    if condition == "Failed":
        return "failed"
    if condition == "Complete":
        return "new"
    if condition:
        return "unchanged"
    return "replaced" if known else "new"


def check_budget(plan: Plan, budget_gpu_hours: float | None) -> None:
    """Raise BadInput when the sweep's ceiling is above its budget."""
    listed = len(plan.actions) - len(plan.of("removed"))
    if budget_gpu_hours is not None and plan.ceiling_gpu_hours > budget_gpu_hours:
        raise BadInput(
            f"budget_gpu_hours: {counted(listed, 'trial')} may take up to {plan.ceiling_gpu_hours:.1f} "
            f"GPU-hours and {figure(budget_gpu_hours, 6)} are allowed; "
            "list fewer trials, lower limit_seconds, or raise the budget"
        )


def release_bytes(rendered: Rendered, chart: Path, values: Mapping[str, Any]) -> int:
    """About the size of the helm release: base64 of the gzipped record of manifest, values and chart.

    The record as in helm's pkg/release/v1 and pkg/storage/driver/util.go: values, the rendered objects and every file
    of the chart go in (but for those of .helmignore), the latter as base64. `values` is what helm was given.
    """
    manifest = "\n".join(
        "\n".join(f"{key}: {json.dumps(value)}" for key, value in item.items()) for item in rendered.objects
    )
    files = {
        str(path.relative_to(chart)): base64.b64encode(path.read_bytes()).decode()
        for path in sorted(chart.rglob("*"))
        if path.is_file() and path.name != "README.md" and path.parent.name not in ("ci", "__pycache__")
    }
    record = json.dumps({"manifest": manifest, "config": values, "chart": files})
    return len(base64.b64encode(gzip.compress(record.encode(), 9, mtime=0)))
