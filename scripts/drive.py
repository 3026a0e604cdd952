"""Run the verbs of `make sweep` in turn: from space.yaml to a picked winner. Any of them may be run by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cli
from sweep.layout import Clone
from sweep.session import open_sweep


def verb(name: str, *words: str) -> int:
    """Run one verb as a person would; a failure that stops the sweep ends this process with the same code."""
    code = subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py")), *words], check=False).returncode
    if code not in (0, 1):
        sys.exit(code)
    return code


def main() -> int:
    parser = cli.parser(__doc__)
    cli.submit_arguments(parser)
    args = parser.parse_args()
    engine = ["--engine", args.engine]
    verb("expand", args.sweep, *(["--allow-dirty"] if args.allow_dirty else []))
    session = open_sweep(Clone.here(), args.sweep, args.engine)
    if session.engine == "local" and session.data_folder:
        verb("dataset", args.sweep)
    verb("plan", args.sweep, *engine)
    submitted = ["--slots", str(args.slots)] if args.slots else []
    flags = [f"--{name}" for name in ("allow-dirty", "push") if getattr(args, name.replace("-", "_"))]
    failed = verb("submit", args.sweep, *engine, *submitted, *flags)
    verb("collect", args.sweep, *engine)
    verb("report", args.sweep, *engine)
    verb("best", args.sweep, *engine)
    return failed


if __name__ == "__main__":
    cli.run(main)
