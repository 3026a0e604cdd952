"""The Pod that serves outputs, as a process: what is asked for comes whole, and nothing else is read or removed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.engines.serving import Channel
from sweep.errors import BadInput
from tests.unit.trial_support import PYTHON, REPOSITORY

FOLDER = "trials/ab/abcdef012345/attempts/a000001-x"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store" / FOLDER / "outputs" / "deep").mkdir(parents=True)
    (tmp_path / "store" / FOLDER / "outputs" / "model").write_bytes(bytes(range(256)) * 1000)
    (tmp_path / "store" / FOLDER / "outputs" / "deep" / "empty").touch()
    (tmp_path / "store" / FOLDER / "outputs.json").write_text("{}")
    (tmp_path / "store" / FOLDER / "attempt.json").write_text("{}")
    return tmp_path / "store"


@pytest.fixture
def channel(store: Path) -> Iterator[Channel]:
    program = REPOSITORY / "chart" / "files" / "outputs.py"
    words = [PYTHON, "-I", "-S", "-c", program.read_text(), str(store)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
        assert child.stdin
        assert child.stdout
        out, given = child.stdout, child.stdin
        lines = open(out.fileno(), "rb", closefd=False)  # noqa: SIM115
        yield Channel(lambda data: given.write(data) and None, lambda: lines.readline().rstrip(b"\n"))
        given.close()
    assert child.returncode == 0


def content(channel: Channel, path: str, offset: int = 0) -> bytes:
    with channel.open(path, offset) as opened:
        return opened.read()


def test_an_answer_that_is_read_in_part_is_not_taken_for_the_next(channel: Channel) -> None:
    with channel.open(f"{FOLDER}/outputs/model") as opened:
        assert opened.read(70_000) == (bytes(range(256)) * 1000)[:70_000]
    assert content(channel, f"{FOLDER}/outputs.json") == b"{}"


@pytest.mark.parametrize("offset", [0, 1, 100_000, 256_000])
def test_a_file_comes_whole_from_an_offset_on(channel: Channel, offset: int) -> None:
    assert content(channel, f"{FOLDER}/outputs/model", offset) == (bytes(range(256)) * 1000)[offset:]
    assert content(channel, f"{FOLDER}/outputs/deep/empty") == b""


@pytest.mark.parametrize(
    "path", [f"{FOLDER}/outputs/none", f"{FOLDER}/outputs", f"{FOLDER}/outputs/link", f"{FOLDER}/out/passwd"]
)
def test_what_is_no_file_is_refused_and_the_next_request_answered(channel: Channel, store: Path, path: str) -> None:
    (store / FOLDER / "outputs" / "link").symlink_to("/etc/passwd")
    (store / FOLDER / "out").symlink_to("/etc")
    with pytest.raises(BadInput):
        content(channel, path)
    assert content(channel, f"{FOLDER}/outputs.json") == b"{}"


def test_outputs_are_removed_and_may_be_gone(channel: Channel, store: Path) -> None:
    (store / FOLDER / "outputs" / "link").symlink_to(store / FOLDER / "attempt.json")
    assert [channel.remove(f"{FOLDER}/{name}") for name in ("outputs.json", "outputs", "outputs")] == [
        True,
        True,
        False,
    ]
    assert sorted(path.name for path in (store / FOLDER).iterdir()) == ["attempt.json"]


@pytest.mark.parametrize(
    "path",
    [
        f"{FOLDER}/attempt.json",
        FOLDER,
        f"{FOLDER}/outputs/model",
        f"{FOLDER}/../../outputs",
        "/etc",
        "checkpoints/ab",
    ],
)
def test_nothing_else_is_removed(channel: Channel, store: Path, path: str) -> None:
    before = sorted(store.rglob("*"))
    with pytest.raises(BadInput, match="nothing else is removed"):
        channel.remove(path)
    assert sorted(store.rglob("*")) == before


def test_a_link_in_place_of_a_folder_is_not_followed(channel: Channel, store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "outputs"
    other.mkdir(parents=True)
    (store / FOLDER).parent.joinpath("b").symlink_to(other.parent)
    with pytest.raises(BadInput, match=r"Not a directory|symbolic links"):
        channel.remove(f"{FOLDER.rpartition('/')[0]}/b/outputs")
    assert other.exists()


def test_a_malformed_request_ends_it_without_harm(store: Path) -> None:
    program = REPOSITORY / "chart" / "files" / "outputs.py"
    words = [PYTHON, "-I", "-S", "-c", program.read_text(), str(store)]
    done = subprocess.run(words, input=json.dumps([1]).encode() + b"\n", capture_output=True, check=False)
    assert done.returncode
    assert done.stdout == b""
