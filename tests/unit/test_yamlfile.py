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

from sweep import composer, schema, yamlfile
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
        with pytest.raises(BadInput, match="cannot be written in YAML"):
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
    doc = yamlfile.parse("a: [1e-4, 1, .5, True, 'on', 0, -3, 1.0, x, \"\", !!str 5, !!str on]\n", "x")
    assert exactly(doc.data) == exactly({"a": [1e-4, 1, 0.5, True, "on", 0, -3, 1.0, "x", "", "5", "on"]})


@pytest.mark.parametrize("word", ["2026-01-01", "2026-01-01T00:00:00Z", "=", "1:30", "yEs", "é"])
def test_a_word_that_is_text_to_every_reader_of_values_is_text(word: str) -> None:
    """PyYAML takes some of them for dates; it reads nothing of people's here."""
    assert yamlfile.parse(f"{word}: {word}\n", "x").data == {word: word}


@pytest.mark.parametrize("word", ["0X10", "0O10", "0B1", "010", "1_000", "! 5"])
def test_a_word_that_only_helm_takes_for_a_number_is_refused(word: str) -> None:
    with pytest.raises(BadInput, match=r"^x:2: (a: YAML readers disagree|unknown tag !)"):
        yamlfile.parse(f"b: 1\na: {word}\n", "x")


@pytest.mark.parametrize("char", ["\u0085", "\u2028", "\u2029", "\ufeff", "\r"])
def test_what_ends_a_line_to_some_readers_is_refused_in_a_comment_too(char: str) -> None:
    """To Helm the comment below ends before `sweep`."""
    with pytest.raises(BadInput, match=r"^x:2: (the character U\+|a carriage return)"):
        yamlfile.parse(f"a: 1\n# harmless{char}sweep: other\n", "x")


@pytest.mark.parametrize("text", ["a: 1\n---\nb: 2\n", "%YAML 1.1\n---\na: 1\n", "--- {a: 1}\n", "a: 1\n...\n"])
def test_a_file_is_one_document(text: str) -> None:
    """Helm 3 reads the first of several, helm 4 lays them over each other."""
    with pytest.raises(BadInput, match="begins another document or a directive"):
        yamlfile.parse(text, "x")


@pytest.mark.parametrize("text", ["---\na: 1\n", "# c\n\n---\na: 1\n", "\ufeffa: 1\n", "a: 1\r\n"])
def test_a_file_may_begin_with_a_mark(text: str) -> None:
    assert yamlfile.parse(text, "x").data == {"a": 1}


def test_of_two_anchors_with_one_name_the_later_holds_without_a_warning() -> None:
    assert yamlfile.parse("a: &x 1\nb: &x 2\nc: *x\n", "x").data == {"a": 1, "b": 2, "c": 2}


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
    with pytest.raises(BadInput, match=r": is a folder and no file; move it away$"):
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
    with pytest.raises(BadInput, match=r"^x:2: last: expected a whole number, got the string 'a'$"):
        schema.check(yamlfile.parse("first: 1\nlast: a\n", "x"), rules)
    schema.check(yamlfile.parse("last: 1\n", "x"), rules, partial=True)


# ---- bounds ----

BOMB = "".join(f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9))
BOUNDS = {
    "depth in brackets": ("b: 1\na: " + "[" * 340 + "]" * 340, r"^x:2: nested more than 60 levels deep"),
    "depth that is not closed": ("a: " + "{a: " * 100_000, r"^x:1: nested more than 60 levels deep"),
    "depth by indentation": ("\n".join(" " * level + "a:" for level in range(400)), r"^x:\d+: nested more than 60 "),
    "aliases": ("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + BOMB, r"^x:2: a2\[\d\]: aliases stand for more than 500 "),
    "digits": ("a: " + "9" * 5000, r"^x:1: a: 9{60}… is beyond 2\^53"),
    "digits after a sign": ("a: -" + "9" * 5000, r"^x:1: a: -9{59}… is beyond 2\^53"),
    "exponent": ("a: 1e" + "9" * 5000, r"^x:1: a: 1e9{58}… is not a finite number"),
    "hexadecimal digits": ("a: 0x" + "f" * 5000, r"^x:1: a: YAML readers disagree about 0xf{58}…;"),
    "code of a character": ('a: "\\UFFFFFFFF"', r"^x:1: not YAML that can be read"),
    "key": (f"{'k' * 2000}: 1", r"^x:1: not YAML: "),
}


@pytest.mark.parametrize("case", BOUNDS)
def test_what_is_too_much_is_one_short_line(case: str) -> None:
    text, message = BOUNDS[case]
    with pytest.raises(BadInput, match=message) as caught:
        yamlfile.parse(text, "x")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composer, "MAX_VALUES", 1000)
    lines = "".join(f"  - {{a: {number}}}\n" for number in range(200))
    yamlfile.parse(f"trials:\n{lines}", "x")
    with pytest.raises(BadInput, match=r"^x:334: more than 1,000 values; let space.yaml and expand make the trials"):
        yamlfile.parse(f"trials:\n{lines}{lines}", "x")


def test_a_file_is_read_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "MAX_BYTES", 2**20)
    path = tmp_path / "values.yaml"
    path.write_bytes(b"#" * 2**20)
    assert len(yamlfile.read_text(path, "x")) == 2**20
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(BadInput, match=r"^x: more than 1 MiB; spread the trials over several sweeps"):
        yamlfile.read_text(path, "x")
