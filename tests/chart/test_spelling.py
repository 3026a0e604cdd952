"""A word means the same to the scripts and to helm, or the scripts refuse it; tests/cluster holds helm 4 to it too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweep import helm
from tests.chart import spelling


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=0)
def test_no_document_means_two_things(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    spelling.check_documents(helm.binary(), tmp_path_factory.mktemp("probe"), seed)


def test_no_word_means_two_things(tmp_path: Path) -> None:
    spelling.check_words(helm.binary(), tmp_path)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=0)
def test_names_and_values_arrive_in_the_job_as_written(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    spelling.check_chart(helm.binary(), tmp_path_factory.mktemp("values"), seed)
