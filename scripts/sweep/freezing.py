"""Whether code.yaml is to be written, and with what: the code of a sweep is frozen once, and anew only when asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweep import code, yamlfile
from sweep.code import Bundle, Pin
from sweep.errors import BadInput
from sweep.layout import Clone, SweepFiles
from sweep.spaces.valuesfile import ValuesFile


@dataclass(frozen=True)
class Origin:
    """Where a sweep has its code from."""

    repo: Path
    folder: Path
    source: str
    """bundle | git | image"""
    url: str

    def take(self) -> Bundle | Pin:
        """The code as it is there now. Raises BadInput."""
        return code.take(self.repo, self.folder, self.source, self.url)


def text(
    files: SweepFiles, values: ValuesFile, folder: str | None, *, repin: bool, dirty_allowed: bool
) -> tuple[str | None, str]:
    """(text of a new code.yaml or None to leave it, what to say about it).

    `folder` is what a person names in place of the sweep's own. Raises BadInput for code with uncommitted changes.
    """
    clone, shown = files.clone, files.clone.relative(files.code)
    there = clone.has(files.code)
    frozen = code.parse(yamlfile.read_text(files.code, shown, clone.values), shown) if there else None
    stays = there and not repin
    if stays and folder:
        _check_folder(clone, folder, frozen, shown)
    origin = _origin(clone, values, frozen, folder)
    if origin.source == "image":  # by hand in one of the two files
        return None, ""
    if not stays:
        return _renewed(clone, frozen, origin, dirty_allowed=dirty_allowed)
    return None, _notice(frozen, origin, shown) if frozen else ""


def _check_folder(clone: Clone, folder: str, frozen: Bundle | Pin | None, shown: str) -> None:
    """Raise BadInput where a person names another folder than the one that is frozen."""
    if frozen is None or (clone.root / folder).resolve() != (clone.root / frozen.path).resolve():
        raise BadInput(f"--code {folder}: {shown} exists; add --repin to freeze the code anew")


def _origin(clone: Clone, values: ValuesFile, frozen: Bundle | Pin | None, folder: str | None) -> Origin:
    """By the person's `folder`, then values.yaml, then what is frozen."""
    default = frozen.path if frozen else clone.relative(clone.trainer)
    return Origin(
        clone.root,
        clone.root / (folder or values.head.said("code", "path") or default),
        values.head.said("code", "source") or (frozen.source if frozen else "bundle"),
        str(values.head.said("code", "url") or getattr(frozen, "url", "")),
    )


def _notice(frozen: Bundle | Pin, origin: Origin, shown: str) -> str:
    """What to say of code that stays as it is frozen; "" where its folder is still the same."""
    if frozen.source != origin.source:
        raise BadInput(f"{shown}: code.source: is {frozen.source}, and values.yaml says {origin.source}; add --repin")
    try:
        changed = code.differences(frozen, origin.take())
    except BadInput as error:
        return f"{error}; the sweep keeps its frozen code"
    if not changed:
        return ""
    return f"{frozen.path} has changed since its code was frozen ({', '.join(changed)}); --repin renews it"


def _renewed(
    clone: Clone, frozen: Bundle | Pin | None, origin: Origin, *, dirty_allowed: bool
) -> tuple[str | None, str]:
    """As `text`, of code that is frozen now; the file stays where it would not differ."""
    taken = origin.take()
    if frozen and frozen.path == taken.path and not code.differences(frozen, taken):
        return None, ""
    dirty = code.changed(clone.root, taken.path)
    if dirty and not dirty_allowed:
        raise BadInput(f"{dirty[0]}: has uncommitted changes; commit them, or record them as such by --allow-dirty")
    return code.dump(taken), f"code {taken.told}"
