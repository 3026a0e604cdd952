"""A short run of `make fuzz` for every reader; and that it finds what it is there to find."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.errors import BadInput
from tests.fuzz import fuzz
from tests.fuzz.readers import READERS
from tests.unit.test_structure import ROOT


@pytest.mark.parametrize("name", READERS)
def test_whatever_is_read_is_taken_or_refused_in_bounds_and_read_alike_twice(name: str) -> None:
    """In a process of its own, whose memory is bounded."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.fuzz", "--seconds", "3", "--seed", "1", name],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "scripts"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def raises(data: bytes, _: Path) -> str:
    if b"x" in data:
        raise KeyError("x")
    return ""


def never_ends(data: bytes, _: Path) -> str:
    while b"x" in data:
        pass
    return ""


def says_nothing(data: bytes, _: Path) -> str:
    raise BadInput("a line\nand another" if b"x" in data else "a line")


def differs(data: bytes, folder: Path) -> str:
    return str(folder) if b"x" in data else ""


@pytest.mark.parametrize("read", [raises, never_ends, says_nothing, differs])
def test_a_reader_that_breaks_the_law_is_found_and_the_document_made_small(
    read: Callable[[bytes, Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "CPU_SECONDS", 0.1)
    findings = fuzz.hunt(read, [b"so far so good", b"and then an x comes"], 0, 1)
    assert [data for data, _ in findings.broken.values()] == [b"x"]
    assert fuzz.hunt(read, [b"so far so good"], 0, 1).broken == {}
