"""Programs that know nothing of helm-sweep, swept by the lines of docs/programs.md alone; programs.py has them."""

from __future__ import annotations

import csv
import os

import pytest

from tests.e2e import programs
from tests.e2e.support import TestClone

HERE = [name for name in programs.PROGRAMS if "TEST_PROGRAMS" in os.environ or not name.endswith(", itself")]
"""Those that no package has are only tried where somebody names checkouts of them."""


@pytest.mark.parametrize("name", HERE)
def test_program_is_swept_as_it_is(clone: TestClone, name: str) -> None:
    values = programs.write(name, clone.root)
    if "data" in values:
        values["data"]["volume"] = {"nfs": None, "hostPath": {"path": str(clone.root.parent / "data")}}
    clone.edit(*programs.PROGRAMS[name].trials, **values)
    clone.git("add", "--all")
    clone.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=a program")
    clone.run("drive", "toy")
    with (clone.root / "values/toy/results.csv").open() as opened:
        programs.check(name, list(csv.DictReader(opened)), clone.root / "results")


def test_every_program_of_the_page_is_run() -> None:
    page = (programs.ROOT / "docs" / "programs.md").read_text()
    headings = {line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")}
    assert headings == {name.partition(",")[0] for name in programs.PROGRAMS}
