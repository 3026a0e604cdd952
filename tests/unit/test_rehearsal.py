"""What the chart alone refuses is refused by expand too, and changes nothing."""

from __future__ import annotations

import subprocess

import pytest

import expand
from sweep import yamlfile
from sweep.errors import BadInput
from sweep.layout import Clone
from tests.chart import minimal
from tests.chart.test_chart import REFUSED

HEAD = minimal.VALUES | {"sweep": "demo"}
NOT_READ_HERE = {"image", "results", "code", "strict"}
"""What the local engine has in its own way, and what expand reads and writes by itself."""
CASES = [case for case, (changes, _) in REFUSED.items() if not NOT_READ_HERE & set(changes)]


def committed(clone: Clone) -> str:
    return subprocess.run(
        ["git", "log", "--format=%H"], cwd=clone.root, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("case", CASES)
def test_what_the_chart_refuses_is_refused_before_anything_is_written(clone: Clone, case: str) -> None:
    files = clone.sweep("demo")
    files.space.unlink()
    files.values.write_text(yamlfile.lines(HEAD | REFUSED[case][0]) + "\n")
    before, text = committed(clone), files.values.read_text()
    with pytest.raises(BadInput, match=r"^values/demo/values\.yaml(:\d+)?: "):
        expand.main(["demo"], clone)
    assert (committed(clone), files.values.read_text()) == (before, text)
    assert not clone.has(files.code)
