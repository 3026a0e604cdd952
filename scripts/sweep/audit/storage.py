"""Every result store that this clone can see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sweep import session
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.session import Session, Target


def sessions(clone: Clone) -> Iterator[Session]:
    """The sweeps that lie in the work tree and can be read, each on both engines."""
    for name in clone.sweeps:
        try:
            opened = session.open_sweep(clone, name, Target("local"))
        except BadInput:
            continue
        yield opened
        yield replace(opened, engine="cluster")


def reproductions(store: Path) -> list[tuple[str, str, Path]]:
    """(trial, number, its own result store) of everything that was reproduced."""
    return [(path.parent.name, path.name, path) for path in sorted(store.glob("reproductions/*/*")) if path.is_dir()]


def folders(clone: Clone, *, mirrors: bool = True) -> list[Path]:
    """The local engine's, those that are mounted here, and what was brought of the others; each once."""
    found = [clone.store]
    for opened in sessions(clone):
        if opened.engine == "local" or opened.mounted:
            found.append(opened.store_folder)
    if mirrors:
        found += sorted(clone.out.glob("*/store"))
    return list(dict.fromkeys(path for path in found if (path / "trials").is_dir()))
