"""What a verb imports before it knows what it is asked: a list, for a time would depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from helm_sweep import verbs
from tests.unit.test_structure import EDGE, ROOT, VERBS

HELP = """
import sys
before = set(sys.modules)
import contextlib, io, json, runpy
sys.path[:0] = ["scripts", "."]
import guard
guard.run = lambda main: main()
guard.begin = lambda: None
word = sys.argv[1]
sys.argv = [word, "--help"] if word.endswith(".py") else ["helm-sweep", word, "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    runpy.run_path(word if word.endswith(".py") else "helm_sweep/__main__.py", run_name="__main__")
print(json.dumps(sorted(set(sys.modules) - before)))
"""
HEAVY = {"asyncio", "concurrent", "http", "multiprocessing", "pdb", "sqlite3", "ssl", "unittest", "xml"}
"""Of the standard library, what takes long to import and has no part in starting up."""
MOST = 260
"""Modules in all. There were 640 before heavy ones were imported where they are used."""


@pytest.mark.parametrize("word", [*sorted(verbs.VERBS.keys() - {"completion"}), "scripts/status.py"])
def test_help_imports_nothing_heavy(word: str) -> None:
    """By the program, and by a script alone."""
    call = [sys.executable, "-c", HELP, word]
    done = subprocess.run(call, capture_output=True, text=True, check=True, cwd=ROOT)
    modules = json.loads(done.stdout.splitlines()[-1])
    names = {name.split(".")[0] for name in modules}
    ours = {"sweep", "__main__", "helm_sweep"} | VERBS | EDGE
    site = {"_distutils_hack"}  # of the environment's start, not of ours
    assert sorted(names - ours - site - sys.stdlib_module_names) == []
    assert sorted(names & HEAVY) == []
    assert len(modules) <= MOST


def test_a_report_of_trials_without_replicates_needs_no_scipy() -> None:
    """Half of the time of a small report would be that import."""
    script = "import sys; from sweep.reports import best, leaderboard, report; print('scipy' in sys.modules)"
    call, folder = [sys.executable, "-c", script], ROOT / "scripts"
    done = subprocess.run(call, capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout == "False\n"
