"""Whether code.yaml is to be written, and with what: the code of a sweep is frozen once, and anew only when asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sweep import code, commits, git, yamlfile
from sweep.code import Bundle, Pin
from sweep.errors import BadInput
from sweep.layout import Clone, SweepFiles
from sweep.spaces import valuesfile
from sweep.spaces.valuesfile import ValuesFile


@dataclass(frozen=True)
class CodeSource:
    """Where a sweep has its code from."""

    clone: Clone
    path: str
    """The folder: of a bundle from the project's, else from the top of the repository at `url`."""
    source: str
    """bundle | git | image"""
    url: str = ""
    ref: str = ""
    """The branch, tag or commit of the repository there; "" for its HEAD."""
    tree: str = ""
    """What a person says that the folder is."""

    def take(self) -> Bundle | Pin:
        """The code as it is there now. Raises BadInput."""
        if self.source == "git":
            return code.pin(self.url, self.path, self.ref, self.tree)
        return code.freeze(self.clone.root, self.here)

    @property
    def here(self) -> Path:
        """The folder on this machine."""
        own = PurePosixPath(git.prefix(self.clone.root) if self.source == "git" else "")
        within = PurePosixPath(self.path).is_relative_to(own)
        return self.clone.root / (PurePosixPath(self.path).relative_to(own) if within else self.path)


def save(files: SweepFiles, folder: str | None, *, repin: bool, say: Callable[[str], None]) -> None:
    """Commit the code that `text` is about to freeze, where it was edited: a result has a commit that holds it.

    Raises BadInput, with nothing changed, where it cannot be frozen.
    """
    clone = files.clone
    if not clone.has(files.values) or (clone.has(files.code) and not repin):
        return
    origin = origin_of(files, valuesfile.load(files), folder)
    names = code.changed(clone.root, origin.take().path) if origin.source == "bundle" else []
    if not names:
        return
    message = "\n".join([f"{files.name}: the code of its trials", "", *names])
    commit = commits.commit(clone.root, names, message, say)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    if commit:
        say(f"{files.name}: committed {commit.sha[:12]}: {', '.join(names[:5])}{more}, the code that is frozen")


def text(
    files: SweepFiles, values: ValuesFile, folder: str | None, *, repin: bool, dirty_allowed: bool
) -> tuple[str | None, str]:
    """(text of a new code.yaml or None to leave it, what to say about it).

    `folder` is what a person names in place of the sweep's own. Raises BadInput for code with uncommitted changes, and
    for a pin that was written by hand and is not there.
    """
    clone, shown = files.clone, files.clone.relative(files.code)
    there, frozen = clone.has(files.code), _frozen(files)
    stays = there and not repin
    origin = origin_of(files, values, folder)
    if stays and folder and (frozen is None or frozen.path != origin.path):
        raise BadInput(f"--code {folder}: {shown} exists; add --repin to freeze the code anew")
    if origin.source == "image":  # by hand in one of the two files
        return None, ""
    if not stays:
        return _renewed(clone, frozen, origin, dirty_allowed=dirty_allowed)
    if isinstance(frozen, Pin) and git.dirty(clone.root, shown):
        code.pin(frozen.url, frozen.path, frozen.commit, frozen.tree)
    return None, _notice(frozen, origin, shown) if frozen else ""


def _frozen(files: SweepFiles) -> Bundle | Pin | None:
    """What code.yaml holds, where there is one."""
    if not files.clone.has(files.code):
        return None
    shown = files.clone.relative(files.code)
    return code.parse(yamlfile.read_text(files.code, shown, files.clone.values), shown)


def origin_of(files: SweepFiles, values: ValuesFile, folder: str | None) -> CodeSource:
    """By the person's `folder`, then values.yaml, then what is frozen."""
    clone, frozen, setting = files.clone, _frozen(files), values.head.value
    source = str(setting("code", "source") or (frozen.source if frozen else "bundle"))
    if folder:
        path = _spelled(clone, source, folder)
    elif named := setting("code", "path"):
        path = PurePosixPath(str(named)).as_posix()
    elif frozen and frozen.source == source:
        path = frozen.path
    else:
        path = _spelled(clone, source, frozen.path if frozen else clone.relative(clone.code))
    if source != "git":
        return CodeSource(clone, path, source)
    url = str(setting("code", "url") or getattr(frozen, "url", ""))
    ref = str(setting("code", "commit") or setting("code", "ref") or "")
    return CodeSource(clone, path, source, url, ref, str(setting("code", "tree") or ""))


def _spelled(clone: Clone, source: str, folder: str) -> str:
    """A folder of the project as code.yaml names it, from the top of the repository where that is fetched."""
    root, place = clone.root.resolve(), (clone.root / folder).resolve()
    path = str(place.relative_to(root)) if place.is_relative_to(root) else str(place)
    return PurePosixPath(git.prefix(clone.root) if source == "git" else "", path).as_posix()


def _notice(frozen: Bundle | Pin, origin: CodeSource, shown: str) -> str:
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
    clone: Clone, frozen: Bundle | Pin | None, origin: CodeSource, *, dirty_allowed: bool
) -> tuple[str | None, str]:
    """As `text`, of code that is frozen now; the file stays where it would not differ."""
    taken = origin.take()
    same = frozen and frozen.path == taken.path and not code.differences(frozen, taken)
    if same and not (isinstance(frozen, Bundle) and frozen.dirty):  # which may have been committed since
        return None, ""
    if isinstance(taken, Pin):
        return code.dump(taken), f"code {taken.label}{_behind(clone, taken)}"
    dirty = code.changed(clone.root, taken.path)
    if dirty and not dirty_allowed:
        raise BadInput(f"{dirty[0]}: has uncommitted changes; commit them, or record them as such by --allow-dirty")
    more = f" and {len(dirty) - 5} more" if len(dirty) > 5 else ""
    marked = f", with uncommitted changes: {', '.join(dirty[:5])}{more}" if dirty else ""
    return code.dump(taken), f"code {taken.label}{marked}"


def _behind(clone: Clone, pin: Pin) -> str:
    """That the folder lies here otherwise than in the repository that this one is a clone of."""
    if pin.url not in git.output(clone.root, "remote", "--verbose").split():
        return ""
    path = PurePosixPath(pin.path)
    above = PurePosixPath(git.prefix(clone.root))
    if not path.is_relative_to(above):
        return ""
    here = path.relative_to(above).as_posix()
    differs = git.dirty(clone.root, here) or git.tree(clone.root, "" if here == "." else here) != pin.tree
    return f"; {here} is different here: commit and push it, then --repin" if differs else ""
