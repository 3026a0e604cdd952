"""Helm 4 makes of null, and of values of the wrong kind, what helm 3 and the scripts make of them. Needs no cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart import mistakes, test_null
from tests.chart.test_settings import BASE
from tests.cluster.tools import helm_program


def test_helm_4_refuses_the_same_kinds(tmp_path: Path) -> None:
    mistakes.check_kinds(str(helm_program("helm4")), tmp_path, BASE)


def test_null_is_the_same_to_helm_3_and_helm_4(tmp_path: Path) -> None:
    three, four = (str(helm_program(name)) for name in ("helm3", "helm4"))
    for path in mistakes.NULLABLE:
        same = [mistakes.same_as_absent(helm, tmp_path, BASE, path) for helm in (three, four)]
        assert same[0] == same[1], path


def test_both_helms_take_null_for_no_hyperparameter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM", str(helm_program("helm4")))
    test_null.check_nulls(tmp_path)
