"""A short `make soak`, so that it goes on working; the long one is run by hand: docs/reliability.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.e2e.support import ROOT


def test_nothing_is_lost_doubled_or_mixed_up_in_a_short_soak() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.soak", "--seconds", "10", "--seed", "4"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "scripts"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    match = re.search(r"trials (\d+), faults (\d+) .*, lost 0, duplicate 0, mixed up 0, other 0$", done.stdout, re.M)
    assert match, done.stdout
    assert all(int(count) > 3 for count in match.groups()), done.stdout
