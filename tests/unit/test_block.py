"""Sections of the block: what is written is read back, whatever stands beside it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.spaces import block
from sweep.spaces.block import Section
from tests.unit.test_valuesfile import trials

BLOB = "e643a65ed636509321f371c49aca957e85b45712"
VERSIONS = "numpy 2.4.6, optuna 5.0.0rc1+cpu, scipy 1.17.1"
titles = st.sampled_from(
    ["round 2 of 4", "sobol", "around best, shrink 0.5, n 8", "race step 1, top 8, at most 9 replicates"]
)
sections = st.lists(
    st.builds(
        lambda what, blob, listed: Section(what, tuple(listed), *((BLOB, "local") if blob else ("", "")), VERSIONS),
        titles,
        st.booleans(),
        st.lists(trials, max_size=3),
    ),
    max_size=4,
)


def read(lines: list[str]) -> block.Block:
    parsed = block.find(["trials:", *lines], "v.yaml")
    assert parsed
    return parsed


@given(sections, st.booleans())
def test_sections_are_read_back_as_they_were_written(sections: list[Section], crlf: bool) -> None:
    parsed = read(block.render("0" * 16, sections, "  ", "\r" if crlf else ""))
    assert parsed.sections == sections
    assert not parsed.edited
    assert [section.what for section in parsed.titles] == [section.what for section in sections]
    assert [trial for _, trial in parsed.trials] == [trial for section in sections for trial in section.trials]


def test_trials_without_a_title_are_a_section_too() -> None:
    plain: tuple[dict[str, Any], ...] = ({"x": 1}, {"x": 2})
    parsed = read(block.render("0" * 16, [Section("", plain), Section("sobol", plain, versions=VERSIONS)], "", ""))
    assert [(section.what, section.trials) for section in parsed.sections] == [("", plain), ("sobol", plain)]


def test_comments_of_people_are_no_titles_and_rounds_are_counted() -> None:
    lines = block.render(
        "0" * 16, [Section(f"round {k} of 3", ({"x": k},), versions=VERSIONS) for k in (1, 2)], "  ", ""
    )
    lines[2:2] = ["  # good ones, found by Ada", ""]
    lines[4] += "   # mine"
    parsed = read(lines)
    assert parsed.edited
    assert parsed.rounds == 2
    assert [section.trials for section in parsed.sections] == [({"x": 1},), ({"x": 2},)]


def test_a_trial_that_is_no_json_any_more_is_told_where_json_is_needed() -> None:
    parsed = read(["# expanded from space.yaml: not yet", "- {x: 1}", "# end"])
    with pytest.raises(
        BadInput, match=r"^values.yaml:2: a trial in the block of expand is not one line of JSON any more"
    ):
        parsed.sections  # noqa: B018


@pytest.mark.parametrize(
    "line",
    [
        '- {"x": 1, "x": 2}',
        '- {"x": 1e5}',
        '- {"x": NaN}',
        '- {"x": "\\ud83d\\ude00"}',
        '- {"x": "a\u2028b"}',
        '- {"x": -0}',
        '- {"x": ' + "9" * 5000 + "}",
        '- {"x": ' + "[" * 5000 + "]" * 5000 + "}",
        "- [1]",
        "# harmless\u2028- {x: 1}",
        "x: 1",
    ],
    ids=lambda line: ascii(line[:30]),
)
def test_a_line_that_expand_would_not_write_is_read_as_yaml_though_the_digest_is_right(line: str) -> None:
    """Anybody can make a digest; what json and Helm may read in two ways goes the way of an edited block."""
    begin = f"# expanded from space.yaml sha256:{'0' * 16} (1 trial, sha256:{block.digest([line])})"
    assert read([begin, line, "# end"]).edited
