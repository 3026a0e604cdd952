"""values/<sweep>/code.yaml: the code of a sweep, frozen as readable text, so that the commit alone can run it again.

Or, with `code: {source: git, url: …}` in values.yaml, pinned: the commit and the hash of the folder in it.
What is frozen is what git tracks or would not ignore, as it lies in the work tree. Helm, ruamel and PyYAML must read it
back to the byte: text that a literal block would not keep is a JSON string, bytes that a manifest would not are base64.
"""

from __future__ import annotations

import base64
import fnmatch
import os
import re
import zlib
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from sweep import git, remote, yamlfile
from sweep.errors import BadInput, naming
from sweep.words import counted

LIMIT = 100_000  # bytes compressed: the code lies twice in the release, which is one Secret of at most 1 MiB
LARGEST = 32 << 20  # bytes of all files, before anything is read: a sparse file may claim any size
# For people and for images; no trial reads them. A module may well be called requirements_check.py.
LEFT_OUT = ("README", "README.*", "Dockerfile", "requirements*.txt", "requirements*.in", "requirements*.lock")
DIRTY = "-dirty"
LITERAL = re.compile("[^\x00-\x08\x0b-\x1f]*")


@dataclass(frozen=True)
class Bundle:
    """The frozen code. `files` is the chart's value `code.files`; the rest is for people and no part of an id."""

    path: str  # the folder, relative to the project
    tree: str  # git's hash of the folder; empty if it had uncommitted changes
    commit: str  # HEAD at that time; ends with `-dirty` if it had
    files: dict[str, Any]
    source = "bundle"

    @property
    def dirty(self) -> bool:
        return self.commit.endswith(DIRTY)

    @property
    def label(self) -> str:
        return f"frozen from {self.path} ({counted(len(self.files), 'file')})"


@dataclass(frozen=True)
class Pin:
    """Code that every Pod fetches from `url`. Only `tree` is part of a trial's identity."""

    url: str
    path: str  # the folder, relative to the top of the repository
    tree: str
    commit: str
    source = "git"

    @property
    def label(self) -> str:
        return f"pinned at {self.path} of commit {self.commit[:12]} of {self.url}"


def freeze(repo: Path, folder: Path) -> Bundle:
    """Freeze `folder` of the clone `repo`. BadInput for a folder outside it, empty or too large for a release."""
    bundle = gather(repo, folder)
    size = len(zlib.compress(dump(bundle).encode(), 9))
    if size > LIMIT:
        raise BadInput(
            f"{bundle.path}: {size:,} bytes compressed, at most {LIMIT:,} fit into a release; "
            "name a smaller folder with --code, ignore files in .gitignore, or put the code into the image"
        )
    return bundle


def gather(repo: Path, folder: Path) -> Bundle:
    """The files of a folder as they lie there. Raises BadInput as `freeze` does."""
    folder = folder.resolve()
    path = _inside(repo, folder)
    own = path == "."
    names = [name for name in git.files(folder) if not _left_out(name) and not (own and _of_project(name))]
    if not names:
        raise BadInput(f"{path}: no files that git would take; commit the code, or name its folder with --code")
    head = git.head(repo) or ""
    if changed(repo, path):
        tree, head = "", head + DIRTY
    else:
        tree = git.tree(repo, "" if own else path) or ""
    _check_sizes(path, folder, names)
    return Bundle(path, tree, head, {name: _entry(folder / name, f"{path}/{name}") for name in names})


def pin(url: str, path: str, ref: str = "", tree: str = "") -> Pin:
    """Pin the folder `path` of what the repository `url` calls `ref`, its HEAD by default.

    Raises BadInput where it is not there, or is another than `tree`, if that is named.
    """
    if not url:
        raise BadInput("code.url: is missing; write the repository that Pods can fetch the code from")
    folder = remote.look(url, ref, path)
    if tree and tree != folder.tree:
        raise BadInput(
            f"code.tree: is {tree[:12]}, but {path} in commit {folder.commit[:12]} of {url} is {folder.tree[:12]}; "
            "name both of one commit, or leave them to `expand --repin`"
        )
    return Pin(url, path, folder.tree, folder.commit)


def changed(repo: Path, path: str) -> list[str]:
    """Files of the code that differ from HEAD, or are new."""
    return [name for name in git.dirty(repo, path) if path != "." or not _of_project(name)]


def _of_project(name: str) -> bool:
    """Whether a file of a project that is code from its top is none of the code: sweeps and results, and git's own."""
    return name.startswith(("values/", ".git"))


def _inside(repo: Path, folder: Path) -> str:
    """`folder` relative to the clone."""
    if not folder.is_dir() or not folder.is_relative_to(repo.resolve()):
        raise BadInput(
            f"--code {folder}: not a folder of this project; copy the code into it, or fetch it by code.source: git"
        )
    return folder.relative_to(repo.resolve()).as_posix()


def _check_sizes(path: str, folder: Path, names: list[str]) -> None:
    """Raise BadInput for more than is worth reading, with the largest file."""
    sizes = {name: os.lstat(folder / name).st_size for name in names if os.path.lexists(folder / name)}
    if sum(sizes.values()) > LARGEST:
        largest = max(sizes, key=sizes.__getitem__)
        raise BadInput(
            f"{path}/{largest}: {sizes[largest]:,} bytes; all files of the code may have {LARGEST:,} together: "
            "name a smaller folder with --code, ignore files in .gitignore, or put the code into the image"
        )


def _left_out(name: str) -> bool:
    path = PurePosixPath(name)
    return len(path.parts) == 1 and any(fnmatch.fnmatchcase(path.name, pattern) for pattern in LEFT_OUT)


def _entry(path: Path, shown: str) -> Any:
    """One file as the chart takes it: its text, or {text | base64, executable}."""
    try:
        shown.encode()
        if path.is_symlink() or not path.is_file():
            if (path / ".git").exists():
                raise BadInput(
                    f"{shown}: a submodule, a repository of its own, which is not frozen with this one; "
                    f"`helm-sweep init` in {shown} makes it a project, or name another folder: `code: {{path: …}}`"
                )
            raise BadInput(f"{shown}: a link or a special file, which cannot be frozen; copy the files in")
        with naming(path):
            data, executable = path.read_bytes(), bool(path.stat().st_mode & 0o100)
    except UnicodeEncodeError as error:
        raise BadInput(f"{shown!a}: cannot be frozen: {error}; rename it") from None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or yamlfile.UNSAFE.search(text):
        entry: dict[str, Any] = {"base64": base64.b64encode(data).decode()}
    elif not executable:
        return text
    else:
        entry = {"text": text}
    return entry | {"executable": True} if executable else entry


def dump(bundle: Bundle | Pin) -> str:
    """The text of code.yaml, the same for the same bundle."""
    if isinstance(bundle, Pin):
        lines = [
            f"# Pinned by expand at {bundle.path}; `expand --repin` renews it. Only `tree` is part of a trial's id.",
            "code:",
            "  source: git",
            *(f"  {key}: {yamlfile.flow(getattr(bundle, key))}" for key in ("url", "path", "tree", "commit")),
        ]
        return "\n".join(lines) + "\n"
    lines = [
        f"# Frozen by expand from {bundle.path}; `expand --repin` renews it. Only `files` is part of a trial's id.",
        "code:",
        "  source: bundle",
        *(f"  {key}: {yamlfile.flow(getattr(bundle, key))}" for key in ("path", "tree", "commit")),
        "  files:",
    ]
    for name, entry in sorted(bundle.files.items()):
        key = f"    {yamlfile.flow(name)}:"
        if isinstance(entry, str):
            lines.append(f"{key} {_scalar(entry, 6)}")
        else:
            lines += [key, *(f"      {part}: {_scalar(entry[part], 8)}" for part in sorted(entry))]
    return "\n".join(lines) + "\n"


def _scalar(value: Any, indent: int) -> str:
    """A value after its key: a literal block indented by `indent` where that keeps the text to the byte, else JSON."""
    if not isinstance(value, str) or "\n" not in value or not LITERAL.fullmatch(value):
        return yamlfile.flow(value)
    body = value.rstrip("\n")
    if not body.rpartition("\n")[2].strip():
        return yamlfile.flow(value)  # readers disagree about blanks on the last line
    keep = "" if value == body + "\n" else "-" if value == body else "+"
    hint = "2" if value[0] in " \t\n" else ""  # else the indentation would be guessed from the first line
    lines = [f"|{hint}{keep}", *(" " * indent + line if line else "" for line in body.split("\n"))]
    return "\n".join(lines) + "\n" * (len(value) - len(body) - 1)


def parse(text: str, shown: str) -> Bundle | Pin | None:
    """Read a code.yaml back; None if its code is in the image (`source: image`)."""
    doc = yamlfile.parse(text, shown)
    code = doc.data.get("code")
    if not isinstance(code, dict):
        raise doc.bad((), "code is missing; `expand --repin` writes this file anew")
    kind: type[Bundle | Pin] | None = {"bundle": Bundle, "git": Pin}.get(str(code.get("source")))
    if kind is None:
        return None
    for key in fields(kind):
        if not isinstance(code.get(key.name), dict if key.name == "files" else str):
            problem = f"{key.name} is {'of the wrong kind' if key.name in code else 'missing'}"
            raise doc.bad(("code",), f"{problem}; `expand --repin` writes this file anew")
    return kind(**{key.name: code[key.name] for key in fields(kind)})


def differences(frozen: Bundle | Pin, now: Bundle | Pin) -> list[str]:
    """Names of the files that were added, removed or changed since; of code that is pinned, the folder."""
    if not isinstance(frozen, Bundle) or not isinstance(now, Bundle):
        same = isinstance(frozen, Pin) and isinstance(now, Pin) and (frozen.tree, frozen.url) == (now.tree, now.url)
        return [] if same else [now.path]
    return sorted(name for name in {*frozen.files, *now.files} if frozen.files.get(name) != now.files.get(name))
