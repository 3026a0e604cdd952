"""The trainer's own Python, with pytest laid over it, both made at the first call.

.venv/bin/python tools/trainer_python.py -m pytest tests/trainer
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from sweep.engines import environments  # noqa: E402 - only now on the path


def main() -> int:
    lock, overlay_lock = (ROOT / "requirements" / f"{name}.lock" for name in ("trainer", "trainer-test"))
    python = environments.ensure(lock) / "python"
    overlay = environments.folder(overlay_lock)
    if not (overlay / ".complete").exists():
        words = ["--quiet", "--require-hashes", "--python", str(python), "--target", str(overlay)]
        subprocess.run([sys.executable, "-m", "uv", "pip", "install", *words, "-r", str(overlay_lock)], check=True)
        (overlay / ".complete").touch()
    env = os.environ | {"PYTHONPATH": str(overlay), "OMP_NUM_THREADS": "1"}
    return subprocess.run([str(python), *sys.argv[1:]], cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    sys.exit(main())
