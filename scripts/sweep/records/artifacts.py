"""What a trial left in OUTPUT_DIR, as its result names it: listed, copied out with every hash checked, removed.

<store>/trials/<id[:2]>/<id>/attempts/<attempt>/outputs.json    {"schema_version", "id", "files": {path: …}}
                                                outputs/<path>
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sweep.errors import BadInput, naming
from sweep.files import Tree
from sweep.records.store import path_of
from sweep.records.strict import parse_object

LARGEST_LIST = 8 << 20
"""Bytes of an outputs.json: 10,000 files, which is what the runner lists at most."""
CHUNK_BYTES = 1 << 20
PART = ".part"
"""How a file ends that is not whole yet."""


class Gone(BadInput):
    """They were there once."""


@dataclass(frozen=True)
class File:
    path: str
    """Relative to OUTPUT_DIR."""
    size: int
    sha256: str


@dataclass(frozen=True)
class Outputs:
    """What stands with the result of a trial."""

    trial: str
    attempt: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def path(self) -> str:
        """Of the folder they lie in, below the store."""
        return f"{path_of(self.trial)}/attempts/{self.attempt}/outputs"


Read = Callable[[File, int], contextlib.AbstractContextManager[BinaryIO]]
"""Opens a file of the outputs, from an offset on."""


def parse(data: bytes, trial: str, result: Mapping[str, Any]) -> Outputs:
    """The list in an outputs.json. Raises BadInput unless it is the one that the trial's result names."""
    where = f"TRIAL={trial}: outputs.json"
    try:
        told: Any = parse_object(data)["files"]
        listed = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
        if hashlib.sha256(listed).hexdigest() != result["outputs"].get("sha256"):
            raise BadInput(f"{where}: is not the list that its result names; it was changed since")
        files = tuple(File(path, int(one["bytes"]), str(one["sha256"])) for path, one in sorted(told.items()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{where}: cannot be read: {error}") from error
    for file in files:
        if not {"", ".", ".."}.isdisjoint(file.path.split("/")):
            raise BadInput(f"{where}: names {file.path!r}, which leads elsewhere")
    return Outputs(trial, str(result["attempt"]), files)


def count(result: Mapping[str, Any] | None) -> int:
    """How many files a result names."""
    named = result["outputs"] if result and "outputs" in result else None
    files = named.get("files") if isinstance(named, dict) else None
    return files if isinstance(files, int) else 0


def of(store: Path, trial: str, result: Mapping[str, Any]) -> Outputs:
    """What a store that lies here has. Raises BadInput where the trial left nothing, Gone where it was removed."""
    if not count(result):
        why = "its command puts into OUTPUT_DIR what is to stay"
        if "outputs" in result:
            why = result["outputs"].get("left_out", why)
        raise BadInput(f"TRIAL={trial}: left no outputs: {why}")
    try:
        with Tree(store) as tree:
            data = tree.read(f"{path_of(trial)}/attempts/{result['attempt']}/outputs.json", LARGEST_LIST)
    except FileNotFoundError:
        cure = f"`make reproduce TRIAL={trial}` makes them again, `outputs: {{keep: all}}` keeps them"
        raise Gone(f"TRIAL={trial}: its outputs were removed, as `outputs` says; {cure}") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"TRIAL={trial}: outputs.json: {error}") from error
    return parse(data, trial, result)


def reading(store: Path, outputs: Outputs) -> Read:
    """Reads from a store that lies here."""

    @contextlib.contextmanager
    def read(file: File, offset: int) -> Any:
        with Tree(store) as tree, os.fdopen(tree.open(f"{outputs.path}/{file.path}"), "rb") as opened:
            opened.seek(offset)
            yield opened

    return read


def fetch(outputs: Outputs, read: Read, folder: Path, progress: Callable[[int], None]) -> int:
    """Copy the outputs into `folder`; what is there already and whole is left, what is there in part is gone on with.

    `progress` is told of bytes that are there now. Returns how many files were copied. Raises BadInput for a file that
    does not have the hash it was listed with; those before it stay.
    """
    copied = 0
    for file in outputs.files:
        target = folder / file.path
        if _digest(target) == file.sha256:
            progress(file.size)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + PART)
        digest, size = _begun(part, file)
        progress(size)
        try:
            with naming(part), part.open("ab") as out, read(file, size) as source:
                while chunk := source.read(CHUNK_BYTES):
                    out.write(chunk)
                    digest.update(chunk)
                    progress(len(chunk))
                out.flush()
                os.fsync(out.fileno())
        except ValueError as error:
            raise BadInput(f"TRIAL={outputs.trial}: {file.path}: {error}") from error
        if digest.hexdigest() != file.sha256:
            part.unlink()
            raise BadInput(f"TRIAL={outputs.trial}: {file.path}: is not what the trial left; it was changed since")
        part.replace(target)
        copied += 1
    return copied


def _begun(part: Path, file: File) -> tuple[Any, int]:
    """(hash, size) of what an earlier call has left of a file; more than all of it is not of this file."""
    digest = hashlib.sha256()
    try:
        size = part.stat().st_size
    except FileNotFoundError:
        return digest, 0
    if size > file.size:
        part.unlink()
        return digest, 0
    with part.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest, size


def _digest(path: Path) -> str:
    """SHA-256 of a file; "" where there is none."""
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        return ""


def remove(store: Path, outputs: Outputs) -> None:
    """Remove them from a store that lies here: the list first, for what it names is there. Raises OSError."""
    with Tree(store) as tree:
        above = tree.folder(outputs.path.rpartition("/")[0])
        with contextlib.suppress(FileNotFoundError):
            os.unlink("outputs.json", dir_fd=above)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree("outputs", dir_fd=above)
