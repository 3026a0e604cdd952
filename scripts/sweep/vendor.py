"""The chart library of the report: Apache ECharts from its npm package, pinned by web/package-lock.json."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from sweep.errors import Unreachable
from sweep.files import write_atomic
from sweep.layout import Clone, cache_dir

SOURCES = ("package.json", "package-lock.json", ".npmrc", "entry.js")


def vendored_echarts(clone: Clone) -> Path:
    """The bundle, built at the first use and then kept in the cache, by version and content of web/.

    Raises Unreachable where npm is missing or cannot fetch what the lock file names.
    """
    sources = {name: (clone.root / "web" / name).read_bytes() for name in SOURCES}
    version = json.loads(sources["package.json"])["dependencies"]["echarts"]
    digest = hashlib.sha256(b"\0".join(sources.values())).hexdigest()[:8]
    made = cache_dir() / "tools" / f"echarts-{version}-{digest}" / "echarts.min.js"
    if not made.exists():
        npm = shutil.which("npm")
        if not npm:
            raise Unreachable("npm: not found, and the report's charts need it once; install Node.js with npm")
        with tempfile.TemporaryDirectory() as folder:
            for name, content in sources.items():
                (Path(folder) / name).write_bytes(content)
            _run(folder, npm, "ci", "--ignore-scripts")
            _run(folder, npm, "run", "build", "--", "--outfile=echarts.min.js")
            write_atomic(made, (Path(folder) / "echarts.min.js").read_bytes())
    return made


def _run(folder: str, *words: str) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if "error" in line.lower()]
        reason = said[0].strip() if said else f"ended with {done.returncode}"
        raise Unreachable(
            f"npm {words[1]}: {reason}; is the npm registry reachable? The rest of the report needs it not"
        )
