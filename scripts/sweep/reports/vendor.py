"""The chart library of the report: Apache ECharts from its npm package, pinned by web/package-lock.json."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sweep import leftovers
from sweep.errors import Unreachable
from sweep.files import write_atomic
from sweep.layout import Kit, cache_dir

BUILT, LOCKED = (
    ("package.json", "package-lock.json", ".npmrc", "entry.js"),
    ("package.json", "package-lock.json", ".npmrc"),
)


def vendored_echarts() -> Path:
    """The bundle: the one that the kit has built in, else built at the first use and kept in the cache, by content.

    Raises Unreachable where npm is missing or cannot fetch what the lock file names.
    """
    web, bundle, command = Kit.here().web, Path("echarts.min.js"), ("run", "build", "--", "--outfile=echarts.min.js")
    built = web / bundle
    return built if built.exists() else _kept(web, BUILT, "echarts", bundle, command)


def vendored_file(folder: Path, package: str, path: str) -> Path:
    """A file of an npm package that `folder` pins by its lock file, kept in the cache like the bundle."""
    return _kept(folder, LOCKED, package, Path("node_modules", package, path))


def _kept(folder: Path, names: Sequence[str], package: str, wanted: Path, build: Sequence[str] = ()) -> Path:
    sources = {name: (folder / name).read_bytes() for name in names}
    pinned = json.loads(sources["package.json"])
    version = (pinned.get("dependencies", {}) | pinned.get("devDependencies", {}))[package]
    digest = hashlib.sha256(b"\0".join(sources.values())).hexdigest()[:8]
    path = cache_dir() / "tools" / f"{package}-{version}-{digest}" / wanted.name
    if not path.exists():
        npm = shutil.which("npm")
        if not npm:
            raise Unreachable("npm: not found, and the report's charts need it once; install Node.js with npm")
        with leftovers.scratch() as temporary:
            for name, content in sources.items():
                (temporary / name).write_bytes(content)
            _run(temporary, npm, "ci", "--ignore-scripts")
            if build:
                _run(temporary, npm, *build)
            write_atomic(path, (temporary / wanted).read_bytes())
    return path


def _run(folder: Path, *words: str) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        errors = [line for line in (done.stderr + done.stdout).splitlines() if "error" in line.lower()]
        reason = errors[0].strip() if errors else f"ended with {done.returncode}"
        raise Unreachable(
            f"npm {words[1]}: {reason}; is the npm registry reachable? The rest of the report needs it not"
        )
