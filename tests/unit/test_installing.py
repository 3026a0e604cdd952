"""What a submission would end, and the commits over which it is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweep import git
from sweep.engines import installing
from sweep.engines.cluster import Refused
from sweep.errors import BadInput
from sweep.jobs import JobState
from sweep.render import Object, Rendered
from tests.unit.stores import trial


def test_a_submission_ends_running_trials_whose_job_is_changed_or_listed_no_more() -> None:
    first, second, third = trial({"lr": 1}), trial({"lr": 2}), trial({"lr": 3})
    there = [
        JobState(first.job, first.id, "Running"),
        JobState(f"{second.job}-of-another-spec", second.id, "Running"),
        JobState(third.job, third.id, "Running"),
        JobState("waits", "w", "Pending"),
        JobState("done", "d", "Complete"),
    ]
    rendered = Rendered([], [trial({"lr": 1}), trial({"lr": 2})])
    assert installing.to_stop(rendered, {state.name: state for state in there}) == [second.id, third.id]


@pytest.mark.parametrize(
    ("contained", "words"),
    [(True, ""), (False, "which HEAD does not contain; merge it"), (None, "does not have; `git pull` first; merge it")],
)
def test_only_what_head_contains_is_submitted_over(
    contained: bool | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "is_ancestor", lambda *_: contained)
    known = {"toy": {"commit": "0123456789abcdef", "author": "ann"}, "plain": {"commit": "unknown"}}
    if not words:
        installing.check_ancestors(Path("/clone"), known)
        return
    with pytest.raises(BadInput) as raised:
        installing.check_ancestors(Path("/clone"), known)
    assert str(raised.value).startswith("toy: runs commit 0123456789ab of ann, which ")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ('pods "x" is forbidden: exceeded quota: gpus', ""),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": nfs',
            'these Pods: "restricted:latest": nfs; in',
        ),
        ("admission webhook denied", "namespace ml: does not admit these Pods: admission webhook denied"),
    ],
)
def test_a_pod_that_the_namespace_will_not_have_is_told_before_anything_is_changed(refusal: str, words: str) -> None:
    def refuses(item: Object, *, dry_run: bool) -> Object:
        assert dry_run
        assert item["kind"] == "Pod"
        raise Refused(403, refusal)

    cluster: Any = SimpleNamespace(namespace="ml", create=refuses)
    job: Object = {"spec": {"template": {"metadata": {"labels": {}}, "spec": {}}}}
    if not words:
        installing.check_pod(cluster, "toy", job)
        return
    with pytest.raises(BadInput) as raised:
        installing.check_pod(cluster, "toy", job)
    assert words in str(raised.value)
