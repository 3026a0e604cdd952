"""Every result store that this clone can see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sweep import session
from sweep.engines.kinds import NAMES
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.session import Session, Target


def sweeps(clone: Clone) -> Iterator[Session]:
    """The sweeps that lie in the work tree and can be read, each on the first engine there is."""
    for name in clone.sweeps:
        with suppress(BadInput):
            yield session.open_sweep(clone, name, Target(NAMES[0]))


def sessions(clone: Clone) -> Iterator[Session]:
    """The same, each on every engine."""
    for opened in sweeps(clone):
        yield from map(opened.on, NAMES)


def reproductions(store: Path) -> list[tuple[str, str, Path]]:
    """(trial, number, its own result store) of everything that was reproduced."""
    return [(path.parent.name, path.name, path) for path in sorted(store.glob("reproductions/*/*")) if path.is_dir()]


def folders(clone: Clone, *, mirrors: bool = True) -> list[Path]:
    """The local engine's, those that are mounted here, and what was brought of the others; each once."""
    paths = [clone.store]
    for opened in sessions(clone):
        if opened.engine.has_store_here:
            paths.append(opened.engine.store_folder)
    if mirrors:
        paths += sorted(clone.out.glob("*/store"))
    return list(dict.fromkeys(path for path in paths if (path / "trials").is_dir()))
