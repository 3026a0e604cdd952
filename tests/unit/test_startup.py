"""What a verb imports before it knows what it is asked: a list, for a time would depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.unit.test_structure import EDGE, ROOT, VERBS

HELP = """
import sys
before = set(sys.modules)
import contextlib, io, json, runpy
sys.path.insert(0, "scripts")
import guard
guard.run = lambda main: main()
verb = sys.argv[1]
sys.argv = [f"{verb}.py", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    runpy.run_path(f"scripts/{verb}.py", run_name="__main__")
print(json.dumps(sorted(set(sys.modules) - before)))
"""
HEAVY = {"asyncio", "concurrent", "http", "multiprocessing", "pdb", "sqlite3", "ssl", "unittest", "xml"}
"""Of the standard library, what takes long to import and has no part in starting up."""
MOST = 260
"""Modules in all. There were 640 before heavy ones were imported where they are used."""


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_help_imports_nothing_heavy(verb: str) -> None:
    call = [sys.executable, "-c", HELP, verb]
    done = subprocess.run(call, capture_output=True, text=True, check=True, cwd=ROOT)
    modules = json.loads(done.stdout.splitlines()[-1])
    names = {name.split(".")[0] for name in modules}
    ours = {"sweep", "__main__", verb} | EDGE
    site = {"_distutils_hack"}  # of the environment's start, not of ours
    assert sorted(names - ours - site - sys.stdlib_module_names) == []
    assert sorted(names & HEAVY) == []
    assert len(modules) <= MOST
