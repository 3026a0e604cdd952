"""What tests/chart/test_names.py says of helm 3 is true of helm 4 too, which only the cluster tests have built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart.test_names import FREE, PLACES, REFUSED, SPELLED, check, refusal
from tests.cluster.tools import helm_program


def test_helm_4_refuses_the_same_names_in_the_same_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [("podLabels", "helm-sweep/trial"), ("env", "SEED"), ("extraVolumes", "results"), ("pod", "hostPID")]
    messages: list[list[str]] = []
    for helm in ("helm3", "helm4"):
        monkeypatch.setenv("HELM", str(helm_program(helm)))
        for place, name in [*refused, *(("extraVolumeMounts", path) for path in SPELLED)]:
            check(tmp_path, place, name)
        for place, names in FREE.items():
            assert refusal(tmp_path, **PLACES[place](names[0])) == ""
        messages.append([refusal(tmp_path, **changes) for changes, _ in REFUSED.values()])
    assert messages[0] == messages[1]
