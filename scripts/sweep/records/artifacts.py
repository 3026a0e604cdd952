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
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

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
class Named:
    """What the result of a trial says of its outputs."""

    trial: str
    attempt: str
    files: int
    size: int
    """Bytes of all of them."""
    sha256: str

    @property
    def list(self) -> str:
        """Path of outputs.json, below the store."""
        return f"{path_of(self.trial)}/attempts/{self.attempt}/outputs.json"

    @property
    def folder(self) -> str:
        return self.list.removesuffix(".json")


class Place(Protocol):
    """A result store, here or in a cluster, as far as outputs go. Paths are relative to it. Raises BadInput with the
    reason for what cannot be read, OSError, and Unreachable.
    """

    def open(self, path: str, offset: int = 0) -> AbstractContextManager[BinaryIO]: ...
    def remove(self, path: str) -> bool:
        """Remove the outputs of an attempt, or their list; False where they are gone already."""
        ...


class Here:
    """A store that lies on this machine."""

    def __init__(self, store: Path) -> None:
        self.store = store

    @contextlib.contextmanager
    def open(self, path: str, offset: int = 0) -> Iterator[BinaryIO]:
        try:
            with Tree(self.store) as tree:
                handle = tree.open(path)
        except FileNotFoundError:
            raise Gone(f"{path}: is not there") from None
        except ValueError as error:
            raise BadInput(f"{path}: {error}") from error
        with os.fdopen(handle, "rb") as opened:
            opened.seek(offset)
            yield opened

    def remove(self, path: str) -> bool:
        above, _, name = path.rpartition("/")
        with Tree(self.store) as tree:
            try:
                folder = tree.folder(above)
                if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    shutil.rmtree(name, dir_fd=folder)
                else:
                    os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                return False
        return True


def named(trial: str, result: Mapping[str, Any] | None) -> Named | None:
    """None where the trial left nothing that was kept."""
    summary = result["outputs"] if result and "outputs" in result else None
    if not result or not isinstance(summary, dict) or not summary.get("files"):
        return None
    return Named(
        trial, str(result["attempt"]), int(summary["files"]), int(summary["bytes"]), str(summary.get("sha256"))
    )


def why_none(result: Mapping[str, Any]) -> str:
    """Why a result names no outputs."""
    why = result["outputs"].get("left_out") if "outputs" in result else ""
    return why or "its command puts into OUTPUT_DIR what is to stay"


def listed(place: Place, of: Named) -> tuple[File, ...]:
    """The files, in order. Raises BadInput unless the list is the one that the result names, Gone where it is gone."""
    where = f"TRIAL={of.trial}: outputs.json"
    try:
        with place.open(of.list) as opened:
            data = opened.read(LARGEST_LIST)
    except Gone:
        cure = f"`make reproduce TRIAL={of.trial}` makes them again, `outputs: {{keep: all}}` keeps them"
        raise Gone(f"TRIAL={of.trial}: its outputs were removed, as `outputs` says; {cure}") from None
    try:
        entries: Any = parse_object(data)["files"]
        canonical = json.dumps(entries, sort_keys=True, separators=(",", ":")).encode()
        if hashlib.sha256(canonical).hexdigest() != of.sha256:
            raise BadInput(f"{where}: is not the list that its result names; it was changed since")
        files = tuple(File(path, int(entry["bytes"]), str(entry["sha256"])) for path, entry in sorted(entries.items()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{where}: cannot be read: {error}") from error
    for file in files:
        if not {"", ".", ".."}.isdisjoint(file.path.split("/")):
            raise BadInput(f"{where}: names {file.path!r}, which leads elsewhere")
    return files


def remove(place: Place, of: Named) -> bool:
    """Remove them, the list first: what a list names is there. False where it is gone already."""
    there = place.remove(of.list)
    return place.remove(of.folder) or there


def fetch(place: Place, of: Named, files: Sequence[File], folder: Path, progress: Callable[[int], None]) -> int:
    """Copy the files into `folder`; what is there already and whole is left, what is there in part is gone on with.

    `progress` is told of bytes that are there now. Returns how many files were copied. Raises BadInput for a file that
    does not have the hash it was listed with; those before it stay.
    """
    copied = 0
    for file in files:
        target = folder / file.path
        if _digest(target) == file.sha256:
            progress(file.size)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + PART)
        digest, size = _begun(part, file)
        progress(size)
        with naming(part), part.open("ab") as out, place.open(f"{of.folder}/{file.path}", size) as source:
            while chunk := source.read(CHUNK_BYTES):
                out.write(chunk)
                digest.update(chunk)
                progress(len(chunk))
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != file.sha256:
            part.unlink()
            raise BadInput(f"TRIAL={of.trial}: {file.path}: is not what the trial left; it was changed since")
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
