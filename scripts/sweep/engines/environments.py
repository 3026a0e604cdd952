"""Python environments of local trials: content-addressed by their lock file, as images are by their digest."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

from sweep.errors import BadInput, Unreachable
from sweep.files import check_room
from sweep.layout import cache_dir


def lock_digest(lock: Path | None) -> str:
    """`sha256:<hex>` of a lock file, which stands in for the image of a local trial; of nothing if there is none."""
    try:
        content = lock.read_bytes() if lock else b""
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise BadInput(
            f"local.requirements: cannot read {lock}: {error.strerror}; name a lock file, or null"
        ) from error
    return "sha256:" + hashlib.sha256(content).hexdigest()


def folder(lock: Path) -> Path:
    """Where the environment of `lock` lies, whether it is there or not."""
    return cache_dir() / "envs" / lock_digest(lock).removeprefix("sha256:")[:16]


def is_ready(lock: Path) -> bool:
    return _marker(lock).exists()


def ensure(lock: Path) -> Path:
    """Make the environment if it is not there; returns its `bin`. Several callers at once wait for one another.

    Raises Unreachable when packages cannot be fetched, OSError where there is no room for them. uv's own progress goes
    to stderr.
    """
    place = folder(lock)
    if is_ready(lock):
        return place / "bin"
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f"{place.name}.lock").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if not is_ready(lock):
            try:
                _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(place))
                _uv("pip", "sync", "--python", str(place / "bin" / "python"), "--require-hashes", str(lock))
            except Unreachable:
                check_room(place.parent)  # uv's own words are on stderr already
                raise
            _marker(lock).touch()
    return place / "bin"


def _marker(lock: Path) -> Path:
    """Made last: an installation that was cut off is begun again."""
    return folder(lock) / ".complete"


def _uv(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *words], stdout=sys.stderr, check=False)
    if done.returncode:
        raise Unreachable(f"uv {words[0]}: failed for {words[-1]}, see above; run the same command again")
