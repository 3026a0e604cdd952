"""Where a submission comes from: what is said of it, and that what was rendered is of the commit that is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep import code, git, secrets, yamlfile
from sweep.code import Bundle
from sweep.errors import BadInput
from sweep.layout import SweepFiles
from sweep.origin import address_of
from sweep.session import Session


def provenance(session: Session, allow_dirty: bool) -> dict[str, Any]:
    """Commit and author for <release>-provenance. Raises BadInput for uncommitted changes in what all sweeps share."""
    clone, files = session.files.clone, session.files
    dirty = git.dirty(clone.root, *clone.shared_sources)
    if dirty and not allow_dirty:
        more = f" and {len(dirty) - 1} more" if len(dirty) > 1 else ""
        raise BadInput(
            f"{dirty[0]}{more}: has uncommitted changes; commit them, or record them as such by ALLOW_DIRTY=1"
        )
    commit = git.head(clone.root)
    if not commit:
        raise BadInput("git: no commit yet; a result is traced to a commit, so make one")
    unsaved = git.dirty(clone.root, clone.relative(files.values), clone.relative(files.code))
    return {
        "commit": commit,
        "repository": secrets.masked(address_of(clone.root)),
        "author": git.author(clone.root, commit),
        "dirty": bool(dirty or unsaved) or code_is_unsaved(files),
    }


def code_is_unsaved(files: SweepFiles) -> bool:
    """Whether the frozen code had changes that no commit of its folder has, as `--allow-dirty` freezes them."""
    if not files.clone.has(files.code):
        return False
    shown = files.clone.relative(files.code)
    frozen = code.parse(yamlfile.read_text(files.code, shown, files.clone.values), shown)
    return isinstance(frozen, Bundle) and frozen.dirty


def record(session: Session, allow_dirty: bool) -> dict[str, Any]:
    """The provenance, written down for helm: it has to be there before the sweep is rendered. Raises BadInput."""
    origin = provenance(session, allow_dirty)
    session.write_provenance(origin)
    return origin


def check_provenance(session: Session, provenance: Mapping[str, Any]) -> None:
    """Raise BadInput where what was rendered is not of the commit that it is said to come from."""
    session.rendered  # noqa: B018 - from here on nobody reads the files again
    clone, files = session.files.clone, session.files
    sources = [*clone.shared_sources, clone.relative(files.values), clone.relative(files.code)]
    if not provenance["dirty"] and git.differs(clone.root, provenance["commit"], *sources):
        raise BadInput(
            f"git: the files of {session.name} were changed, or another branch was checked out, while they were read; "
            "run the same again"
        )
