"""People's YAML: what is read, what is refused, and that what is written reads back alike everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sweep import schema, yamlfile
from sweep.errors import BadInput

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), finite, text)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(text, scalars, max_size=3))


def exactly(value: Any) -> str:
    """Text that tells 1 from 1.0 and from true; -0.0 is written as 0.0."""
    return json.dumps(value).replace("-0.0", "0.0")


@given(values)
def test_what_flow_writes_is_read_alike_by_json_ruamel_and_pyyaml(value: Any) -> None:
    line = yamlfile.flow(value)
    assert "\n" not in line
    assert exactly(json.loads(line)) == exactly(value)
    assert exactly(yaml.safe_load(line)) == exactly(value)
    assert exactly(YAML(typ="safe", pure=True).load(line)) == exactly(value)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.one_of(scalars, st.lists(scalars, max_size=2))))
def test_what_plain_writes_is_read_back_by_parse(data: dict[str, Any]) -> None:
    data = {f"{key}_": value for key, value in data.items()}
    text = f"top: {yamlfile.plain(data)}"
    if yamlfile.CONTROL.search(json.dumps(data, ensure_ascii=False)):
        with pytest.raises(BadInput, match="gets lost on its way"):
            yamlfile.parse(text, "x")
        return
    assert exactly(yamlfile.parse(text, "x").data["top"]) == exactly(data)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (5e-05, "5.0e-05"),
        (1e-07, "1.0e-07"),
        (1.5e-07, "1.5e-07"),
        (1e16, "1.0e+16"),
        (-0.0, "0.0"),
        (2.0, "2.0"),
        (True, "true"),
        ("on", '"on"'),
        ("é\x7f\u2028🙂", '"é\\u007f\\u2028🙂"'),
        ({"a": [1, "b"]}, '{"a": [1, "b"]}'),
    ],
)
def test_flow_spells(value: Any, line: str) -> None:
    assert yamlfile.flow(value) == line


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_flow_refuses_what_json_has_no_word_for(value: Any) -> None:
    with pytest.raises(ValueError, match="not finite"):
        yamlfile.flow(value)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("maximize", "maximize"),
        ("on", '"on"'),
        ("null", '"null"'),
        ("1e5", '"1e5"'),
        ("a b", '"a b"'),
        ({"n": 1, "m": 2}, '{"n": 1, m: 2}'),
    ],
)
def test_plain_quotes_only_where_it_must(value: Any, line: str) -> None:
    assert yamlfile.plain(value) == line


def test_scalars_follow_yaml_1_2() -> None:
    doc = yamlfile.parse("a: [1e-4, 1, .5, True, 'on', 0, -3, 1.0, x, \"\", !!str 5]\n", "x")
    assert exactly(doc.data) == exactly({"a": [1e-4, 1, 0.5, True, "on", 0, -3, 1.0, "x", "", "5"]})


def test_an_alias_is_the_value_again() -> None:
    assert yamlfile.parse("a: &x {b: 1}\nc: *x\n", "x").data == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_place_is_the_line_of_the_key_or_of_its_nearest_parent() -> None:
    doc = yamlfile.parse("a:\n  b: 1\n  c:\n    - 5\n    - 6\n", "f")
    assert [doc.where(*path) for path in [("a",), ("a", "c"), ("a", "c", 1), ("a", "x", "y"), ("z",)]] == [
        "f:1",
        "f:3",
        "f:5",
        "f:1",
        "f:1",
    ]


def test_lines_that_were_cut_out_are_counted() -> None:
    doc = yamlfile.parse("a: 1\nb: 2\n", "f", (1, 10))
    assert (doc.where("a"), doc.where("b")) == ("f:1", "f:12")
    with pytest.raises(BadInput, match=r"^f:12: not YAML"):
        yamlfile.parse("a: 1\n@\n", "f", (1, 10))


@pytest.mark.parametrize("key", ["n", "y", "on", "NO"])
def test_a_key_that_is_a_boolean_to_helm_is_refused_where_helm_reads_it(key: str) -> None:
    assert yamlfile.parse(f"{key}: 1\n", "x", helm=False).data == {key: 1}
    with pytest.raises(BadInput, match=f'the key {key} is (true|false) to Helm; write "{key}"'):
        yamlfile.parse(f"{key}: 1\n", "x")


def test_a_folder_in_the_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^x: Is a directory; it must be a readable file$"):
        yamlfile.load(tmp_path, "x")
    with pytest.raises(BadInput, match=r"^y: no such file; `make new"):
        yamlfile.load(tmp_path / "none", "y")


def test_the_first_problem_of_the_file_is_told_and_a_misspelling_before_what_it_misses() -> None:
    rules = {
        "required": ["first", "last"],
        "additionalProperties": False,
        "properties": {"first": {"type": "integer"}, "last": {"type": "integer"}},
    }
    with pytest.raises(BadInput, match=r"^x:1: frist: unknown key; did you mean first\?$"):
        schema.check(yamlfile.parse("frist: 1\nlast: a\n", "x"), rules)
    with pytest.raises(BadInput, match=r"^x:2: last: 'a' is a string, a whole number is due$"):
        schema.check(yamlfile.parse("first: 1\nlast: a\n", "x"), rules)
    schema.check(yamlfile.parse("last: 1\n", "x"), rules, partial=True)


def test_deep_nesting_is_one_line() -> None:
    with pytest.raises(BadInput, match="nested too deeply"):
        yamlfile.parse("a: " + "[" * 1000, "x")
