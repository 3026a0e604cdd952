"""What a trial leaves in OUTPUT_DIR is kept with its result, listed with sizes and hashes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep import schema
from tests.unit.trial_support import REPOSITORY, WRITE_METRICS, Bench, make_trial

SCHEMA = json.loads((REPOSITORY / "schemas" / "result.schema.json").read_text())
SAVE = 'mkdir -p "$OUTPUT_DIR/deep/er"; printf model > "$OUTPUT_DIR/model.pt"; printf a > "$OUTPUT_DIR/deep/er/a"; '


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("outputs", REPOSITORY / "chart" / "files" / "outputs.py")
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


OUTPUTS = module()


def folder(bench: Bench, trial: dict[str, Any], which: int = -1) -> Path:
    """OUTPUT_DIR of an attempt."""
    return sorted((bench.folder(trial) / "attempts").iterdir())[which] / "outputs"


def files(bench: Bench, trial: dict[str, Any]) -> dict[str, dict[str, Any]]:
    record: dict[str, dict[str, Any]] = json.loads((folder(bench, trial).parent / "outputs.json").read_text())["files"]
    return record


def test_what_is_put_there_is_kept_and_named_in_the_result(bench: Bench) -> None:
    trial = make_trial(SAVE + WRITE_METRICS)
    assert bench.run(trial, outputs="2Gi").code == 0
    result = bench.result(trial)
    listed = files(bench, trial)
    assert listed == {
        path: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in (("deep/er/a", b"a"), ("model.pt", b"model"))
    }
    assert result["outputs"] == {"files": 2, "bytes": 6, "sha256": OUTPUTS.digest_of(listed)}
    assert (folder(bench, trial) / "model.pt").read_bytes() == b"model"
    assert not list(schema.problems(result, SCHEMA))


def test_nothing_there_is_nothing_in_the_result(bench: Bench) -> None:
    trial = make_trial(WRITE_METRICS)
    assert bench.run(trial, outputs="2Gi").code == 0
    assert "outputs" not in bench.result(trial)
    assert not folder(bench, trial).exists()


def test_with_none_it_is_a_scratch_folder(bench: Bench) -> None:
    trial = make_trial(SAVE + WRITE_METRICS)
    assert bench.run(trial, outputs="none").code == 0
    assert "outputs" not in bench.result(trial)
    assert not [path for path in bench.names() if "model.pt" in path]


@pytest.mark.parametrize("end", ["exit 1", "kill -9 $$"])
def test_of_a_trial_that_failed_it_stays_apart(bench: Bench, end: str) -> None:
    trial = make_trial(
        f"if test -f {bench.root}/again; then {WRITE_METRICS}; else touch {bench.root}/again; {SAVE} {end}; fi"
    )
    assert bench.run(trial, outputs="2Gi").code
    assert bench.run(trial, outputs="2Gi").code == 0
    assert (folder(bench, trial, 0) / "model.pt").read_bytes() == b"model"
    assert "outputs" not in bench.result(trial)


def test_of_a_duplicate_nothing_stays(bench: Bench) -> None:
    """The result that stands names the other's."""
    trial = make_trial(
        ["sh", "-c", f"{SAVE} cp $0 $(dirname $HISTORY_FILE)/../../result.json; {WRITE_METRICS}", "other"]
    )
    path = bench.put_result(trial)
    other = bench.root / "other"
    path.rename(other)
    trial["identity"]["command"][-1] = str(other)
    other.write_text(json.dumps(json.loads(other.read_text()) | {"identity": trial["identity"]}))
    assert bench.run(trial, outputs="2Gi").code == 0
    assert bench.attempts(trial)[-1]["status"] == "duplicate"
    assert not list(bench.folder(trial).glob("attempts/*/outputs"))


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("head -c 2000 /dev/zero > $OUTPUT_DIR/big", "2000 bytes in 1 files"),
        ("rm -r $OUTPUT_DIR; ln -s /etc $OUTPUT_DIR", "outputs"),
        ("rm -r $OUTPUT_DIR; touch $OUTPUT_DIR", "outputs"),
        ("cd $OUTPUT_DIR; for i in $(seq 40); do mkdir d; cd d; done; touch f", "deep"),
    ],
)
def test_what_cannot_be_kept_is_said_and_costs_no_result(bench: Bench, script: str, why: str) -> None:
    trial = make_trial(f"({script}); {WRITE_METRICS}")
    ended = bench.run(trial, outputs="1k")
    assert ended.code == 0, ended.err
    assert why in bench.result(trial)["outputs"]["left_out"]
    assert "OUTPUT_DIR: not kept" in ended.err
    assert not os.path.lexists(folder(bench, trial))
    assert Path("/etc/passwd").exists()


def test_links_and_special_files_are_left_out(bench: Bench) -> None:
    trial = make_trial(f"ln -s /etc/passwd $OUTPUT_DIR/link; mkfifo $OUTPUT_DIR/fifo; {SAVE} {WRITE_METRICS}")
    ended = bench.run(trial, outputs="2Gi")
    assert "left out what is no plain file: fifo link" in ended.err
    assert set(files(bench, trial)) == {"deep/er/a", "model.pt"}


SAVE_CHECKPOINTS = "cd $CHECKPOINT_DIR; mkdir 9 10 .11 12.tmp; for d in 9 10 .11 12.tmp; do echo $d > $d/model; done; "


@pytest.mark.parametrize(
    ("more", "mode", "budget", "kept"),
    [
        ("", "auto", "", {"checkpoint/10/model"}),
        (SAVE, "auto", "", {"deep/er/a", "model.pt"}),
        ("", "keep", "", None),
        ("", "auto", "width", None),
    ],
)
def test_a_program_that_knows_of_checkpoints_alone_leaves_its_newest(
    bench: Bench, more: str, mode: str, budget: str, kept: set[str] | None
) -> None:
    """With a budget that of the own epoch at most: a trial that trains for longer writes beside it. Width is 8."""
    trial = make_trial(SAVE_CHECKPOINTS + more + WRITE_METRICS)
    assert bench.run(trial, outputs="2Gi", checkpoints=mode, budget=budget).code == 0
    assert (set(files(bench, trial)) if "outputs" in bench.result(trial) else None) == kept


def test_the_newest_of_checkpoints_without_numbers_is_the_last_written(tmp_path: Path) -> None:
    for at, name in enumerate(("b", "c", "a")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    handle = os.open(tmp_path, os.O_RDONLY)
    assert OUTPUTS.newest_checkpoint(handle, None) == "a"
    os.close(handle)


NAMES = st.sampled_from(["a", "b", "c.pt", "é", "with space", "-rf"])


@given(
    tree=st.recursive(st.binary(max_size=40), lambda below: st.dictionaries(NAMES, below, max_size=3), max_leaves=12)
)
def test_a_list_names_every_file_once(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    root = tmp_path_factory.mktemp("tree")
    expected: dict[str, dict[str, Any]] = {}

    def put(path: Path, below: Any) -> None:
        if isinstance(below, bytes):
            path.write_bytes(below)
            entry = {"bytes": len(below), "sha256": hashlib.sha256(below).hexdigest()}
            expected[str(path.relative_to(root))] = entry
            return
        path.mkdir(exist_ok=True)
        for name, item in below.items():
            put(path / name, item)

    put(root, tree if isinstance(tree, dict) else {"a": tree})
    handle = os.open(root, os.O_RDONLY)
    try:
        assert OUTPUTS.listed(handle, 1 << 20, lambda: None) == (expected, [])
        if (total := sum(file["bytes"] for file in expected.values())) > 0:
            with pytest.raises(OUTPUTS.TooMuch):
                OUTPUTS.listed(handle, total - 1, lambda: None)
    finally:
        os.close(handle)


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("17", 17), ("2k", 2000), ("2Gi", 2 << 30), ("1T", 10**12)])
def test_sizes_as_kubernetes_spells_them(text: str, size: int) -> None:
    assert OUTPUTS.quantity(text) == size


def test_a_checkpoint_that_is_too_large_is_not_even_copied(bench: Bench) -> None:
    trial = make_trial(f"mkdir $CHECKPOINT_DIR/3; head -c 2000 /dev/zero > $CHECKPOINT_DIR/3/model; {WRITE_METRICS}")
    patch = "import outputs; outputs.copy = None"
    assert bench.run(trial, outputs="1k", patch=patch).code == 0
    assert "a checkpoint of 2000 bytes" in bench.result(trial)["outputs"]["left_out"]
    assert not folder(bench, trial).exists()
