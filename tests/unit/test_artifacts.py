"""Outputs are fetched whole or not at all, and go only where a sweep is over and nobody else lists them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.records import artifacts, store
from tests.unit.stores import folder, put_result, trial

TRIAL = trial()
ATTEMPT = "a000001-20260102T030405Z-pod"
FILES = {"model.pt": b"m" * 3000, "plots/a.png": b"a", "plots/deep/empty": b""}


def put_outputs(place: Path, files: dict[str, bytes], of: Any = TRIAL) -> dict[str, Any]:
    """A result with outputs; returns it."""
    listed = {path: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in files.items()}
    digest = hashlib.sha256(json.dumps(listed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    totals = {"files": len(files), "bytes": sum(map(len, files.values())), "sha256": digest}
    put_result(place, of, attempt=ATTEMPT, outputs=totals)
    attempt = folder(place, of) / "attempts" / ATTEMPT
    (attempt / "outputs.json").write_text(json.dumps({"schema_version": 1, "id": of.id, "files": listed}))
    for path, data in files.items():
        (attempt / "outputs" / path).parent.mkdir(parents=True, exist_ok=True)
        (attempt / "outputs" / path).write_bytes(data)
    result = store.read(place, [of]).trials[of.id].result
    assert result
    return result


def fetched(store: Path, to: Path, result: dict[str, Any]) -> int:
    place, outputs = artifacts.Here(store), artifacts.named(TRIAL.id, result)
    assert outputs
    return artifacts.fetch(place, outputs, artifacts.listed(place, outputs), to, lambda _: None)


def put_list(store: Path, data: bytes, sha256: str) -> artifacts.Named:
    path = folder(store, TRIAL) / "attempts" / ATTEMPT / "outputs.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return artifacts.Named(TRIAL.id, ATTEMPT, 1, 1, sha256)


def content(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_what_a_trial_left_is_copied_once(tmp_path: Path) -> None:
    result = put_outputs(tmp_path / "store", FILES)
    assert fetched(tmp_path / "store", tmp_path / "to", result) == 3
    assert content(tmp_path / "to") == FILES
    assert fetched(tmp_path / "store", tmp_path / "to", result) == 0


@settings(max_examples=30)
@given(size=st.integers(0, 4000), wrong=st.booleans())
def test_what_is_there_in_part_is_gone_on_with(
    tmp_path_factory: pytest.TempPathFactory, size: int, wrong: bool
) -> None:
    """A part that is of another file is found by the hash, and the next call begins anew."""
    root = tmp_path_factory.mktemp("part")
    result = put_outputs(root / "store", FILES)
    (root / "to").mkdir()
    part = (b"x" if wrong else b"m") * size
    (root / "to" / "model.pt.part").write_bytes(part)
    if wrong and 0 < size <= 3000:
        with pytest.raises(BadInput, match="is not what the trial left"):
            fetched(root / "store", root / "to", result)
    fetched(root / "store", root / "to", result)
    assert content(root / "to") == FILES


@pytest.mark.parametrize("path", ["../../etc/x", "/etc/x", "a/../../x", "a//b", ""])
def test_no_name_leads_elsewhere(tmp_path: Path, path: str) -> None:
    files = {path: {"bytes": 1, "sha256": "0"}}
    digest = hashlib.sha256(json.dumps(files, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    outputs = put_list(tmp_path, json.dumps({"files": files}).encode(), digest)
    with pytest.raises(BadInput, match="leads elsewhere"):
        artifacts.listed(artifacts.Here(tmp_path), outputs)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"files": []}', b'{"files": {"a": 1}}', b'{"files": {}}'])
def test_a_list_that_is_not_the_results_is_refused(tmp_path: Path, data: bytes) -> None:
    outputs = put_list(tmp_path, data, "0" * 64)
    with pytest.raises(BadInput, match=f"TRIAL={TRIAL.id}: outputs.json: "):
        artifacts.listed(artifacts.Here(tmp_path), outputs)


def test_a_file_that_was_changed_since_is_not_taken_for_the_trials(tmp_path: Path) -> None:
    result = put_outputs(tmp_path / "store", FILES)
    (folder(tmp_path / "store", TRIAL) / "attempts" / ATTEMPT / "outputs" / "model.pt").write_bytes(b"other")
    with pytest.raises(BadInput, match=r"model.pt: is not what the trial left"):
        fetched(tmp_path / "store", tmp_path / "to", result)
    assert "model.pt" not in content(tmp_path / "to")


def test_a_link_in_the_store_is_not_read_through(tmp_path: Path) -> None:
    result = put_outputs(tmp_path / "store", FILES)
    path = folder(tmp_path / "store", TRIAL) / "attempts" / ATTEMPT / "outputs" / "model.pt"
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match=r"model.pt: is a link"):
        fetched(tmp_path / "store", tmp_path / "to", result)


def test_what_was_removed_is_said(tmp_path: Path) -> None:
    result = put_outputs(tmp_path / "store", FILES)
    place, outputs = artifacts.Here(tmp_path / "store"), artifacts.named(TRIAL.id, result)
    assert outputs
    assert artifacts.remove(place, outputs)
    assert not artifacts.remove(place, outputs)
    assert not list(tmp_path.rglob("outputs*"))
    with pytest.raises(artifacts.Gone, match="make reproduce"):
        fetched(tmp_path / "store", tmp_path / "to", result)


@pytest.mark.parametrize("totals", [None, {"files": 0, "bytes": 0, "left_out": "2 GB in 1 files"}])
def test_nothing_left_is_said_with_the_reason(totals: dict[str, Any] | None) -> None:
    result = {"attempt": ATTEMPT} | ({"outputs": totals} if totals else {})
    assert artifacts.named(TRIAL.id, result) is None
    assert ("2 GB in 1 files" if totals else "OUTPUT_DIR") in artifacts.why_none(result)
