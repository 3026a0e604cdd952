"""The packaged chart: the same bytes twice, and the same objects as the folder."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

from sweep import helm
from sweep.layout import Kit
from tools import chart_package

CHART = Kit.here().chart
VALUES = CHART / "ci" / "everything-values.yaml"


def test_a_package_is_the_same_whenever_and_wherever_it_is_made(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "chart"
    shutil.copytree(CHART, elsewhere)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1, 1))
    first, second = (chart_package.package(chart, tmp_path / name) for chart, name in ((CHART, "1"), (elsewhere, "2")))
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_a_package_renders_what_the_folder_renders(tmp_path: Path) -> None:
    packed = chart_package.package(CHART, tmp_path)
    rendered = [helm.run("template", "demo", str(chart), "-f", str(VALUES)) for chart in (CHART, packed)]
    assert rendered[0] == rendered[1]
    with tarfile.open(packed) as archive:
        names = archive.getnames()
    assert names[0] == "helm-sweep/Chart.yaml"
    assert "helm-sweep/files/trial.py" in names
    assert not [name for name in names if "/ci/" in name or "__pycache__" in name]
