"""Filling a cluster's data volume: the Job is followed to its end whatever its Pods do, and deleted then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweep.engines import dataset_job
from sweep.engines.cluster import Cluster, Refused
from sweep.errors import TrialsFailed
from sweep.render import Object
from tests.unit.kube_objects import job, pod, unschedulable, waiting

Look = tuple[Object | None, list[Object]]
"""The Job and its Pods."""
OBJECTS = [{"kind": kind, "metadata": {"name": "fill"}} for kind in ("ConfigMap", "Job")]
RUNS = pod("Running")
COMPLETE, FAILED = ("Complete", "", ""), ("Failed", "", "")
CLEANED = ["delete ConfigMap", "delete Job"]


class Looks(Cluster):
    """A cluster that shows the next of `looks` each time its Pods are listed."""

    def __init__(self, *looks: Look) -> None:
        super().__init__("", "ns")
        self.looks = list(looks)
        self.calls: list[str] = []
        self.sent = b""

    def create(self, item: Object) -> Object:
        self.calls.append(f"create {item['kind']}")
        if item["kind"] == "ConfigMap":
            raise Refused(409, "is there")  # of a run that was cut off
        return item

    def list(self, kind: str, *_: str, **__: bool) -> list[Object]:
        return [*self.looks[0][1]] if kind == "Pod" else []

    def get(self, *_: str) -> Object | None:
        return (self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])[0]

    def log(self, *_: str, **__: object) -> Iterator[bytes]:
        yield from (b"10 files", b"sha256:abc")

    @contextlib.contextmanager
    def attach(self, pod: str, *_: str) -> Iterator[Callable[[bytes], None]]:
        def send(data: bytes) -> None:
            self.sent += data

        yield send
        self.calls.append(f"sent to {pod}")

    def delete(self, kind: str, *_: str) -> None:
        self.calls.append(f"delete {kind}")


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_job.time, "sleep", lambda _: None)


def test_it_says_what_is_waited_for_once_sends_once_and_ends_with_the_last_lines(tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_bytes(b"images")
    wait = (job(), [pod("Pending", waiting("ContainerCreating"), unschedulable("0/3 nodes: Insufficient memory"))])
    cluster, messages = Looks((job(), []), wait, wait, (job(), [RUNS]), (job(), [RUNS]), (job(COMPLETE), [RUNS])), []
    dataset_job.fill(cluster, OBJECTS, tmp_path, messages.append)
    assert messages == [
        "dataset: queued: 0/3 nodes: Insufficient memory",
        f"dataset: sending {tmp_path}",
        "dataset: 10 files",
        "dataset: sha256:abc",
    ]
    assert b"train.bin" in cluster.sent
    assert cluster.calls == ["create ConfigMap", "create Job", "sent to p0", *CLEANED]


def test_what_downloads_by_itself_is_sent_nothing() -> None:
    cluster = Looks((job(), [RUNS]), (job(COMPLETE), [RUNS]))
    dataset_job.fill(cluster, OBJECTS, None, lambda _: None)
    assert cluster.calls == ["create ConfigMap", "create Job", *CLEANED]


@pytest.mark.parametrize(
    ("look", "why"),
    [
        ((job(FAILED), [pod("Failed", message="no space left")]), "no space left"),
        ((job(FAILED), []), "its Pod was deleted"),
        ((None, []), "its Pod was deleted"),
    ],
)
def test_a_job_that_fails_or_goes_away_ends_in_one_line_and_is_deleted(look: Look, why: str) -> None:
    cluster = Looks((job(), [RUNS]), look)
    with pytest.raises(TrialsFailed, match=f"^dataset: Job fill failed: {why}; mend it, and type the same again$"):
        dataset_job.fill(cluster, OBJECTS, None, lambda _: None)
    assert cluster.calls[-2:] == CLEANED
