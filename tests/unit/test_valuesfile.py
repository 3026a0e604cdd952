"""values.yaml: the block is expand's, every other byte the person's."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sweep import yamlfile
from sweep.errors import BadInput
from sweep.spaces import block, space, valuesfile
from sweep.spaces.block import Section
from tests.unit.test_space import read

HELM = str(Path(sys.executable).with_name("helm"))
SPACE = read("{lr: {type: float, low: 0.01, high: 1}}")
OTHER = read("{lr: {type: float, low: 0.02, high: 1}}")
TRIALS: list[dict[str, Any]] = [{"lr": 0.5}, {"lr": 5e-05, "name": "é on"}]
EMPTY = """\
# mine
sweep: demo
objective: {metric: m, direction: minimize}
retries: {}   # none yet
trials:
  # expanded from space.yaml: not yet
  # end
  - {"lr": 0.3}   # by hand
# trailing text without a newline"""


def with_trials(values: valuesfile.ValuesFile, domain: space.Space, trials: list[dict[str, Any]]) -> str:
    return valuesfile.with_sections(values, domain, [Section("", tuple(trials))])


def parse(text: str) -> valuesfile.ValuesFile:
    return valuesfile.parse(text, "v.yaml")


def rest(text: str) -> str:
    """Everything but the block."""
    head, _, tail = text.partition("  # expanded from space.yaml")
    return head + tail.partition("  # end")[2]


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True).filter(lambda name: name != "seed")
texts = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: not yamlfile.CONTROL.search(text))
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(-(2.0**53), 2.0**53),
    st.sampled_from([1e-7, 5e-5, 0.0, "", "on", "$(X)", "1e-4", "null"]),
    texts,
)
trials = st.dictionaries(names, st.one_of(scalars, st.lists(scalars, max_size=3)), min_size=1, max_size=5)


def exactly(value: Any) -> str:
    return json.dumps(value, sort_keys=True).replace("-0.0", "0.0")


def as_numbers(value: Any) -> str:
    """Text in which 1 and 1.0 are the same, as they are to Helm."""
    return exactly(json.loads(exactly(value), parse_int=float))


@given(st.lists(trials, max_size=5))
def test_trials_come_back_from_the_block_and_from_every_reader(drawn: list[dict[str, Any]]) -> None:
    text = with_trials(parse(EMPTY), SPACE, drawn)
    expected = exactly([*drawn, {"lr": 0.3}])
    assert exactly([trial for _, trial in parse(text).trials()]) == expected
    assert exactly(yaml.safe_load(text)["trials"]) == expected
    assert exactly(YAML(typ="safe", pure=True).load(text)["trials"]) == expected
    assert rest(text) == rest(EMPTY)
    block = parse(text).block
    assert block is not None
    assert not block.edited


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(trials, min_size=10, max_size=40))
def test_helm_reads_the_same_trials(tmp_path: Path, drawn: list[dict[str, Any]]) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: t\nversion: 0.1.0\n")
    (chart / "templates" / "all.yaml").write_text("{{ toJson .Values }}\n")
    values = tmp_path / "values.yaml"
    values.write_bytes(with_trials(parse(EMPTY), SPACE, drawn).encode())
    done = subprocess.run([HELM, "template", "t", chart, "-f", values], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = json.loads(done.stdout.partition("all.yaml\n")[2])
    assert as_numbers(rendered["trials"]) == as_numbers([*drawn, {"lr": 0.3}])


def test_the_block_is_written_like_this() -> None:
    text = with_trials(parse(EMPTY), SPACE, TRIALS)
    digest = block.digest(('- {"lr": 0.5}', '- {"lr": 5.0e-05, "name": "é on"}'))
    assert text == EMPTY.replace(
        ": not yet",
        f' sha256:{SPACE.digest} (2 trials, sha256:{digest})\n  - {{"lr": 0.5}}\n  - {{"lr": 5.0e-05, "name": "é on"}}',
    )
    assert "(1 trial, " in with_trials(parse(EMPTY), SPACE, TRIALS[:1])


def test_a_second_expansion_replaces_the_first() -> None:
    text = with_trials(parse(EMPTY), SPACE, TRIALS)
    again = with_trials(parse(text), OTHER, TRIALS[:1])
    assert again == with_trials(parse(EMPTY), OTHER, TRIALS[:1])


def test_crlf_files_stay_crlf() -> None:
    crlf = EMPTY.replace("\n", "\r\n")
    text = with_trials(parse(crlf), SPACE, TRIALS)
    assert text == with_trials(parse(EMPTY), SPACE, TRIALS).replace("\n", "\r\n")
    block = parse(text).block
    assert block is not None
    assert not block.edited
    assert len(parse(text).trials()) == 3


def test_the_markers_indentation_is_kept() -> None:
    flat = EMPTY.replace("\n  ", "\n")
    text = with_trials(parse(flat), SPACE, TRIALS)
    assert '\n- {"lr": 0.5}\n' in text
    assert len(yaml.safe_load(text)["trials"]) == 3


@pytest.mark.parametrize(
    ("old", "new", "edited"),
    [
        ('{"lr": 0.5}', '{"lr": 0.6}', True),
        ('  - {"lr": 0.5}\n', "", True),
        ('{"lr": 0.5}', '{"lr": 0.5}  # best?', True),
        ("# end", "# end\n  - {lr: 0.9}", False),
        ('  - {"lr": 0.5}', '    - {"lr": 0.5}', False),
        ("# mine", "# yours", False),
    ],
)
def test_an_edit_is_seen_inside_the_block_only(old: str, new: str, edited: bool) -> None:
    text = with_trials(parse(EMPTY), SPACE, TRIALS)
    assert old in text
    parsed = block.find(text.replace(old, new, 1).split("\n"), "v.yaml")
    assert parsed is not None
    assert parsed.edited is edited
    assert parsed.space == SPACE.digest


def test_trials_know_their_lines_and_tolerate_what_people_write() -> None:
    text = with_trials(parse(EMPTY), SPACE, TRIALS).replace('{"lr": 0.5}', "{lr: 0.5}  # by hand\n\n  # a comment")
    assert parse(text).trials() == [(7, {"lr": 0.5}), (10, TRIALS[1]), (12, {"lr": 0.3})]


def test_a_file_without_trials_gets_them_at_its_end() -> None:
    for text in ("sweep: demo\n", "sweep: demo"):
        text_with = with_trials(parse(text), SPACE, TRIALS)
        assert text_with.startswith("sweep: demo\ntrials:\n  # expanded from space.yaml sha256:")
        assert [trial for _, trial in parse(text_with).trials()] == TRIALS


def test_hand_written_trials_without_a_block_are_left_alone() -> None:
    with pytest.raises(BadInput, match=r"^v.yaml:1: trials: written by hand, with no block for expand; write "):
        with_trials(parse("trials: []\n"), SPACE, TRIALS)


@pytest.mark.parametrize("sweep", ["n", "on", "true", "null"])
def test_a_generated_file_quotes_a_name_that_is_no_string_bare(sweep: str) -> None:
    assert parse(valuesfile.generate(sweep, SPACE, [Section("", tuple(TRIALS))])).head.data["sweep"] == sweep


def test_a_generated_file_says_what_the_space_says() -> None:
    domain = read("{lr: {type: float, low: 0.01, high: 1}}", fixed="{epochs: 3, flag: true, tiny: 1e-7}")
    text = valuesfile.generate("demo", domain, [Section("", tuple(TRIALS))])
    values = parse(text)
    assert yaml.safe_load(text) == {
        "sweep": "demo",
        "objective": {"metric": "m", "direction": "minimize"},
        "hyperparameters": {"epochs": 3, "flag": True, "tiny": 1e-7},
        "command": ["python", "train.py"],
        "limit_seconds": 600,
        "gpu": {"count": 0},
        "retries": {},
        "trials": TRIALS,
    }
    valuesfile.check_head(values, domain)
    assert valuesfile.retries(values) == {}


def test_edits_are_what_a_person_changed() -> None:
    old = with_trials(parse(EMPTY), SPACE, TRIALS)
    new = with_trials(parse(EMPTY), OTHER, TRIALS[:1])
    assert valuesfile.edits(parse(old), parse(new)) == []
    mine = new.replace("0.3}   # by hand", "0.4}").replace("# mine", "# mine\ngpu: {count: 0}")
    assert valuesfile.edits(parse(old), parse(mine)) == [
        '- - {"lr": 0.3}   # by hand',
        "+ gpu: {count: 0}",
        '+ - {"lr": 0.4}',
    ]
    inside = old.replace('{"lr": 0.5}', '{"lr": 0.6}')
    assert valuesfile.edits(parse(old), parse(inside)) == ['- - {"lr": 0.5}', '+ - {"lr": 0.6}']


A, B = "0123456789ab", "012345678901"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("retries: {}   # none yet\n", f'retries: {{"{A}": 1, "{B}": 2}}   # none yet\n'),
        ('retries: {"0123456789ab": 3} # x\n', f'retries: {{"{A}": 1, "{B}": 2}} # x\n'),
        ("retries: {\n  0123456789ab: 9, # x\n}\n", f'retries: {{"{A}": 1, "{B}": 2}}\n'),
        (
            "retries:\n  # x\n  ffffffffffff: 7 # y\n  0123456789ab: 9 # z\n",
            f'retries: {{"ffffffffffff": 7, "{A}": 1, "{B}": 2}} # z\n',
        ),
        ("retries:\n", f'retries: {{"{A}": 1, "{B}": 2}}\n'),
        ("retries: null # x\n", f'retries: {{"{A}": 1, "{B}": 2}} # x\n'),
        ("", f'retries: {{"{A}": 1, "{B}": 2}}\n'),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_retries_are_set_and_nothing_else_is_touched(before: str, after: str, last: bool) -> None:
    parts = with_trials(parse(EMPTY), SPACE, TRIALS).split("retries: {}   # none yet\n")
    if last and before:
        parts = [parts[0] + parts[1] + "\n", ""]
    text = valuesfile.with_retries(parse(before.join(parts)), {A: 1, B: 2})
    assert text == after.join(parts)
    assert valuesfile.retries(parse(text)) | {A: 1, B: 2} == valuesfile.retries(parse(text))


def test_ten_thousand_trials_into_an_existing_file_take_about_a_second() -> None:
    many = [{"lr": k / 7, "momentum": k / 9, "batch_size": k} for k in range(10_000)]
    text = with_trials(parse(EMPTY), SPACE, many)
    start = time.process_time()
    text = with_trials(parse(text), OTHER, many)
    assert len(parse(text).trials()) == 10_001
    assert time.process_time() - start < 2
