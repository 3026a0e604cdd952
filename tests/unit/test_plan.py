"""What a plan says of each trial, its ceiling and its budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep import plan
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.render import Rendered, Trial


def trial(name: str, job: str | None = None, gpus: int = 2, seconds: int = 1800) -> Trial:
    return Trial(name, name, {}, {}, seconds, gpus, job or f"demo-{name}-0")


def action(*, done: bool = False, jobs: dict[str, tuple[str, str]] | None = None) -> str:
    return plan.make([trial("a")], {"a"} if done else set(), jobs or {}, 0).actions["a"]


def test_each_trial_is_told_apart() -> None:
    assert action() == "new"
    assert action(jobs={"demo-a-0": ("a", "Pending")}) == "unchanged"
    assert action(jobs={"demo-a-0": ("a", "Failed")}) == "failed"
    assert action(jobs={"demo-a-1": ("a", "Running")}) == "replaced"
    assert action(done=True) == "done"
    assert action(done=True, jobs={"demo-a-0": ("a", "Failed")}) == "done"


def test_complete_job_without_a_result_would_run_again() -> None:
    planned = plan.make([trial("a")], set(), {"demo-a-0": ("a", "Complete")}, 0)
    assert planned.to_run == ["a"]


def test_trial_that_is_no_longer_listed_is_named() -> None:
    planned = plan.make([trial("a")], set(), {"demo-b-0": ("b", "Running")}, 0)
    assert planned.of("removed") == ["b"]
    assert "b" not in planned.to_run


def test_ceiling_is_trials_times_gpus_times_limit() -> None:
    planned = plan.make([trial("a"), trial("b"), trial("c")], {"c"}, {}, 0)
    assert (planned.ceiling_gpu_hours, planned.to_run_gpu_hours, planned.to_run_hours) == (3.0, 2.0, 1.0)


def test_budget_refuses_what_is_above_it_and_nothing_else() -> None:
    planned = plan.make([trial("a"), trial("b"), trial("c")], set(), {"demo-x-0": ("x", "Running")}, 0)
    plan.check_budget(planned, None)
    plan.check_budget(planned, 3.0)
    with pytest.raises(BadInput, match=r"budget_gpu_hours: 3 trials may take up to 3\.0 GPU-hours and 2\.9 "):
        plan.check_budget(planned, 2.9)
    with pytest.raises(BadInput):
        plan.check_budget(planned, 0)


def test_release_grows_with_its_objects(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("name: x")
    few, many = (Rendered([{"kind": "Job", "n": str(hash(str(n)))} for n in range(count)], []) for count in (1, 100))
    assert plan.release_bytes(few, tmp_path, {}) < plan.release_bytes(many, tmp_path, {})
    assert plan.release_bytes(few, Clone.here().chart, {}) > plan.release_bytes(few, tmp_path, {})
