"""What tests/chart/test_secrets.py says of helm 3 is true of helm 4 too. Needs no cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart.minimal import refusal
from tests.chart.test_secrets import OTHER_NAMES, OTHER_TEXTS, PLACES, SECRET_NAMES, SECRET_TEXTS, URL
from tests.cluster.tools import helm_program


def test_helm_4_refuses_the_same_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM", str(helm_program("helm4")))
    for place, values in PLACES.items():
        assert refusal(tmp_path, **values(URL)), place
    for text in SECRET_TEXTS:
        assert refusal(tmp_path, env={"SOURCE": text}), text
    for text in OTHER_TEXTS:
        assert refusal(tmp_path, env={"SOURCE": text}) == "", text
    for name in SECRET_NAMES:
        assert refusal(tmp_path, trials=[{name: "hunter2hunter2"}]), name
    for name in OTHER_NAMES:
        assert refusal(tmp_path, trials=[{name: "x"}]) == "", name
