"""Helm 4 reads every word as helm 3 and the scripts do. Needs no cluster, only helm 4 as built for these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart import spelling
from tests.cluster.tools import helm_program

HELMS = ("helm3", "helm4")


@pytest.mark.parametrize("seed", range(3))
def test_no_document_means_two_things_to_helm_4(tmp_path: Path, seed: int) -> None:
    spelling.check_documents(str(helm_program("helm4")), tmp_path, seed)


def test_every_word_is_the_same_to_helm_3_and_helm_4_even_where_the_scripts_refuse_it(tmp_path: Path) -> None:
    three, four = (spelling.check_words(str(helm_program(name)), tmp_path / name) for name in HELMS)
    assert three == four


@pytest.mark.parametrize("seed", range(5))
def test_names_and_values_arrive_by_helm_4_as_written(tmp_path: Path, seed: int) -> None:
    spelling.check_chart(str(helm_program("helm4")), tmp_path, seed)
