"""Bringing a cluster's results here: what is said, and what takes the place of a store that cannot be read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweep import collection
from sweep.engines import reader
from sweep.engines.engine import Engine, Target
from sweep.engines.kinds.cluster import ClusterEngine
from sweep.engines.kinds.local import LocalEngine
from sweep.engines.reader import Brought, NoReader
from sweep.errors import Unreachable
from sweep.records import store
from sweep.settings import ClusterPlace, Settings
from tests.unit.kube_objects import ended, job, pod
from tests.unit.stores import result, row, trial

ONE = trial()


def brings(
    refresh: Callable[..., Brought],
    mirror: Path,
    monkeypatch: Any,
    engine: type[Engine] = ClusterEngine,
    mounted: str = "",
) -> list[str]:
    """What is said when `refresh` does the work, in a sweep whose only Pod has left a result."""
    monkeypatch.setattr(reader, "refresh", refresh)
    last = pod("Succeeded", ended(0, json.dumps(result(ONE))), job=job(trial=ONE.id))
    monkeypatch.setattr(ClusterEngine, "cluster", SimpleNamespace(list=lambda *_: [last]))
    sweep: Any = SimpleNamespace(name="toy", rendered=SimpleNamespace(trials=[ONE]))
    files: Any = SimpleNamespace(clone=SimpleNamespace(reader=Path("reader.py")), mirror=mirror)
    messages: list[str] = []
    engine(files, Settings(cluster=ClusterPlace(store=mounted)), Target()).fetch(sweep, messages.append)
    return messages


def test_what_was_brought_is_said_and_what_could_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = Brought(2, ["/sweep/results/trials/x: Permission denied"])
    assert brings(lambda *_: brought, tmp_path, monkeypatch) == [
        "toy: reading the result store in the cluster, through a Pod",
        "toy: 2 trials have changed in the result store",
        "toy: cannot be read in the cluster, and is left as it was: /sweep/results/trials/x: Permission denied",
    ]


def test_without_a_reader_results_come_from_last_words_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_reader(*_: Any) -> Brought:
        raise NoReader("image: ErrImagePull: not found")

    output = brings(no_reader, tmp_path, monkeypatch)[-1]
    assert "cannot be read through the cluster (image: ErrImagePull: not found); 1 results came from" in output
    assert store.read(tmp_path, [ONE]).trials[ONE.id].result


@pytest.mark.parametrize("changes", [{"engine": LocalEngine}, {"mounted": "/mnt"}])
def test_a_store_that_is_at_hand_is_not_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: Any) -> None:
    def never(*_: Any) -> Brought:
        raise Unreachable("asked the cluster")

    assert brings(never, tmp_path, monkeypatch, **changes) == []


def pulled(digest: str, image: str = "torch:2.9", x: int = 0) -> Any:
    return dataclasses.replace(row({"x": x}), image=image, image_id=f"docker.io/library/torch@sha256:{digest}")


def test_one_tag_that_stood_for_several_images_is_told_with_their_digests() -> None:
    rows = [pulled("a" * 64), pulled("b" * 64, x=1), pulled("b" * 64, x=2)]
    assert collection.mixed_images(rows) == (
        "torch:2.9: one tag, several images: 2 trials ran sha256:bbbbbbbbbbbb…, 1 trial ran sha256:aaaaaaaaaaaa…; "
        "pin one by image.digest"
    )


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [pulled("a" * 64), pulled("a" * 64, x=1)],
        [pulled("a" * 64), pulled("b" * 64, "torch:2.8")],
        [pulled("a" * 64), dataclasses.replace(pulled("b" * 64), image_id="sha256:of-the-node-alone")],
        [pulled("a" * 64), dataclasses.replace(pulled("b" * 64), image_id="")],
    ],
    ids=["nothing", "one image", "two tags", "no repository digest", "unknown"],
)
def test_no_warning_where_every_tag_is_one_image(rows: list[Any]) -> None:
    assert collection.mixed_images(rows) == ""
