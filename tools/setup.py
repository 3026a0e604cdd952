"""Make a virtual environment, or add to one, from a lock file with hashes: pip brings uv, uv brings the rest.

    python3 tools/setup.py .venv requirements/dev.lock

uv keeps what it fetched in a cache that all clones share, so the second clone on a machine takes seconds.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

OLDEST = (3, 11)


def main() -> int:
    place, lock = Path(sys.argv[1]), Path(sys.argv[2])
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:3]))
        print(f"error: python3 is {version}, 3.11 or newer is needed; name one as PYTHON=python3.12", file=sys.stderr)
        return 2
    print(f"setup: {place} from {lock}", file=sys.stderr)
    python, uv = place / "bin" / "python", place / "bin" / "uv"
    if not uv.exists():
        venv.create(place, clear=True, symlinks=True, with_pip=True)
        pinned = re.search(r"^uv==.*?(?=^\S|\Z)", lock.read_text(), re.MULTILINE | re.DOTALL)
        assert pinned, f"{lock} does not lock uv"
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as only_uv:
            only_uv.write(pinned[0])
            only_uv.flush()
            run(str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", only_uv.name)
    run(str(uv), "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(lock))
    (place / f".{lock.stem}").touch()
    return 0


def run(*words: str) -> None:
    done = subprocess.run(words, check=False)
    if done.returncode:
        print(f"error: {words[0]}: failed, see above; is the package index reached? run it again", file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    sys.exit(main())
