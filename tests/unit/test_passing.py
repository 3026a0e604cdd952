"""How a program gets its hyperparameters: what argparse and readers of files read is what the id was made of."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sweep import passing as sweep_passing
from tests.unit.trial_support import REPOSITORY, Bench, make_trial

sys.path.append(str(REPOSITORY / "chart" / "files"))
import passing

PLACES: dict[str, str | None] = {
    "seed": "3", "trial": "abc", "data_dir": None, "checkpoint_dir": "/ck", "file": "/f.yaml",
}  # fmt: skip
ALL = "{hyperparameters}"

finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**53), 2**53)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
scalars = st.one_of(st.booleans(), whole, finite, texts)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)


def identity(command: list[str] | None = None, seed: int = 3, **given: Any) -> dict[str, Any]:
    """Keywords that `passing` knows are its settings, the others hyperparameters; None is one that is null."""
    known = {"style", "booleans", "dashes", "lists", "floats", "environment", "file", "seed_name"}
    settings = {key.replace("seed_name", "seed"): value for key, value in given.items() if key in known}
    points = given.get("points") or {key: value for key, value in given.items() if key not in known}
    return {
        "command": command or [ALL],
        "hyperparameters": {name: value for name, value in points.items() if value is not None},  # as the chart does
        "seed": seed,
        "env": {"TAKEN": "x"},
        "passing": settings,
    }


def words(command: list[str] | None = None, **given: Any) -> list[str]:
    """Those after the program."""
    argv: list[str] = passing.argv(identity(["p", *(command or [ALL])], **given), PLACES)
    return argv[1:]


# ---- numbers ----


@given(value=finite)
def test_a_float_is_spelled_so_that_every_reader_gets_it_back(value: float) -> None:
    word = passing.spelled(value, {})
    assert math.copysign(1, float(word)) == math.copysign(1, value)
    assert float(word) == value
    assert yaml.safe_load(word) == value
    assert YAML(typ="safe", pure=True).load(word) == value


@given(value=st.one_of(whole, finite), others=st.lists(st.one_of(whole, finite), max_size=3))
def test_what_is_named_a_float_is_one_to_readers_that_are_strict(value: float, others: list[float]) -> None:
    points = {"x": value, "xs": others, "n": 3, "flag": True}
    (word,) = words(["{x}"], points=points, floats=["x", "xs"])
    assert "." in word
    assert float(word) == value
    settings = {"file": {"format": "toml"}, "floats": ["x", "xs", "flag"]}
    read = tomllib.loads(passing.file_text(identity(points=points, **settings)))
    assert read == points
    assert {type(number) for number in [read["x"], *read["xs"]]} == {float}
    assert (type(read["n"]), read["flag"]) == (int, True)


@given(value=whole)
def test_a_whole_number_is_one(value: int) -> None:
    assert int(passing.spelled(value, {})) == value


@given(value=finite | whole, style=st.sampled_from(["--name=value", "--name value", "-n value"]))
def test_argparse_reads_the_number(value: float, style: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("-x" if style == "-n value" else "--x", dest="x", type=type(value))
    assert parser.parse_args(words(x=value, style=style)).x == value


@given(value=texts)
def test_argparse_reads_the_string(value: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--x")
    assert parser.parse_args(words(x=value)).x == value
    try:
        apart = words(x=value, style="--name value")
    except passing.Refused:
        assert value.startswith("-")
    else:
        assert parser.parse_args(apart).x == value


# ---- styles ----


@pytest.mark.parametrize(
    ("settings", "value", "expected"),
    [
        ({}, 5e-05, ["--a_b=5.0e-05"]),
        ({"style": "--name value"}, 0.5, ["--a_b", "0.5"]),
        ({"style": "--name value"}, -5e-05, ["--a_b", "-0.00005"]),
        ({"style": "-n value"}, 4, ["-a_b", "4"]),
        ({"style": "name=value"}, "x y", ["a_b=x y"]),
        ({"dashes": True}, 1, ["--a-b=1"]),
        ({}, True, ["--a_b=true"]),
        ({"booleans": "True/False"}, False, ["--a_b=False"]),
        ({"booleans": "1/0"}, True, ["--a_b=1"]),
        ({"booleans": "flag"}, True, ["--a_b"]),
        ({"booleans": "flag"}, False, []),
        ({"booleans": "switch"}, True, ["--a_b"]),
        ({"booleans": "switch", "dashes": True}, False, ["--no-a-b"]),
        ({"booleans": "inner switch"}, True, ["--a_b"]),
        ({"booleans": "inner switch"}, False, ["--no-a_b"]),
        ({}, [1, 0.5, "x", True], ['--a_b=[1,0.5,"x",true]']),
        ({"booleans": "True/False"}, [True], ["--a_b=[True]"]),
        ({"lists": "commas"}, [1, 2], ["--a_b=1,2"]),
        ({"lists": "repeat"}, [1, 2], ["--a_b=1", "--a_b=2"]),
        ({"lists": "repeat", "style": "--name value"}, [1, 2], ["--a_b", "1", "--a_b", "2"]),
        ({"lists": "words"}, [1, 2], ["--a_b", "1", "2"]),
        ({}, None, []),
        ({}, [], ["--a_b=[]"]),
    ],
)
def test_styles(settings: dict[str, Any], value: Any, expected: list[str]) -> None:
    assert words(points={"a_b": value}, **settings) == expected


@pytest.mark.parametrize(
    ("points", "settings", "reason"),
    [
        ({"a": "-x"}, {"style": "--name value"}, "a: '-x' looks like an option; set `style: --name=value`"),
        ({"a": ["-x"]}, {"lists": "words"}, "a: '-x' looks like an option; set `style: --name=value`"),
        ({"a": ["x,y"]}, {"lists": "commas"}, "'x,y' holds a comma itself; set `lists: json` in passing"),
        ({"a": []}, {"lists": "words"}, "an empty list can be passed as JSON alone; set `lists: json` in passing"),
        ({"a_b": 1, "a-b": 2}, {"dashes": True}, "a_b and a-b would both be passed as --a-b; rename one"),
        ({"a": 1}, {"seed_name": "a"}, "passing.seed: a is a hyperparameter too; rename one"),
    ],
)
def test_what_cannot_be_passed_is_refused(points: dict[str, Any], settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(passing.Refused) as refused:
        words(points=points, **settings)
    assert str(refused.value) == reason


# ---- placeholders ----


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["--lr={lr}", "{n}"], ["--lr=0.1", "4"]),
        (["{model.lr}-{a-b}"], ["0.2-x"]),
        (["-s", "{seed}", "{trial}", "{checkpoint_dir}/x", "{file}"], ["-s", "3", "abc", "/ck/x", "/f.yaml"]),
        (["{{{lr}}}", "{{print}}", "}}", "{", '{"a": {"b": 1}}'], ["{0.1}", "{print}", "}}", "{", '{"a": {"b": 1}}']),
        (["${lr}", "${lr}{lr}"], ["${lr}", "${lr}0.1"]),
        (["{lr}", "{n}", "{model.lr}", ALL], ["0.1", "4", "0.2", "--a-b=x"]),
        (["--x", "{absent?}", "--y={absent?}", "z", "{absent?}"], ["z"]),
        (["-{n}", "{none}", "--y={n}", "{none}"], ["-4", "--y=4"]),
        (["--d", "{data_dir?}", "{none}", "--e={lr}", "{none}"], ["--e=0.1"]),
    ],
)
def test_placeholders(command: list[str], expected: list[str]) -> None:
    points = {"lr": 0.1, "n": 4, "model.lr": 0.2, "a-b": "x", "none": None}
    assert words(command, points=points) == expected


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("{print {lr}}", "'{print {lr}}' has a single brace; double it, as in {{ and }}"),
        ("--x={hyperparameters}", "{hyperparameters} in '--x={hyperparameters}': must be a word of its own"),
        ("{data_dir}", "{data_dir} in '{data_dir}': this sweep has none"),
    ],
)
def test_a_placeholder_that_means_nothing_is_refused(word: str, reason: str) -> None:
    with pytest.raises(passing.Refused) as refused:
        words([word], lr=0.1)
    assert str(refused.value) == reason


def test_a_list_in_a_placeholder() -> None:
    assert words(["{x}", "a{x}"], x=[1, 2]) == ["[1,2]", "a[1,2]"]
    assert words(["{x}", "a{x}"], x=[1, 2], lists="words") == ["1", "2", "a[1,2]"]
    assert words(["{x}"], x=[1, 2], lists="commas") == ["1,2"]
    with pytest.raises(passing.Refused, match="`lists: repeat` is for"):
        words(["{x}"], x=[1, 2], lists="repeat")


@given(texts)
def test_a_word_is_itself_where_its_braces_are_doubled(text: str) -> None:
    word = "{lr}" + text.replace("{", "{{").replace("}", "}}")
    assume("${" not in text)
    assert words([word], lr=1) == ["1" + text]


def test_the_seed_is_passed_under_a_name() -> None:
    assert words(lr=1, seed_name="random_seed") == ["--lr=1", "--random_seed=3"]
    assert words(["{random_seed}", ALL], lr=1, seed_name="random_seed") == ["3", "--lr=1"]


# ---- variables ----


def test_variables() -> None:
    variables = passing.environment(identity(points={"lr": 5e-05, "model.w-x": [1, 2], "t": True}, environment="HP_"))
    assert variables == {"HP_lr": "5.0e-05", "HP_model_w_x": "[1,2]", "HP_t": "true"}
    assert passing.environment(identity(lr=1)) == {}
    assert passing.environment(identity(lr=1, environment="")) == {"lr": "1"}


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ({"a.b": 1, "a_b": 2}, "a_b: another hyperparameter is the variable a_b already; rename one"),
        ({"PATH": 1}, "the variable PATH means something else; set another prefix in passing.environment"),
        ({"LD_PRELOAD": 1}, "the variable LD_PRELOAD means something else; set another prefix in passing.environment"),
        ({"TAKEN": 1}, "the variable TAKEN means something else; set another prefix in passing.environment"),
    ],
)
def test_a_variable_that_is_taken_is_refused(points: dict[str, Any], reason: str) -> None:
    with pytest.raises(passing.Refused) as refused:
        passing.environment(identity(points=points, environment=""))
    assert str(refused.value) == reason


def test_every_variable_of_the_runner_is_taken(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run(make_trial("env > all; echo '{\"accuracy\": 1}' > $METRICS_FILE")).code == 0
    names = {line.partition("=")[0] for line in (tmp_path / "all").read_text().splitlines()}
    assert "METRICS_FILE" in names
    assert [name for name in names - {"PWD", "SHLVL", "_", "OLDPWD"} if not passing.OURS.fullmatch(name)] == []


# ---- files ----


def file_of(form: str, theirs: str | None = None, **points: Any) -> str:
    text: str = passing.file_text(identity(points=points, file={"format": form}), theirs)
    return text


def typed(value: Any) -> Any:
    """Values with their kinds, so that True is not 1, nor 1 a 1.0."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    return [typed(inner) for inner in value] if isinstance(value, list) else (type(value), value)


trees = st.recursive(
    st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=4),
    lambda below: st.dictionaries(names, scalars | below, max_size=3),
    max_leaves=8,
)


@given(tree=trees)
@example(tree={"a": {"b": {}}, "x y": "\x7f\x00\u2028"})
def test_toml_is_read_back(tree: dict[str, Any]) -> None:
    assert typed(tomllib.loads(passing.toml_text(tree))) == typed(tree)


printable = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"), max_size=9)
yaml_scalars = st.one_of(st.booleans(), whole, finite, printable)


@settings(max_examples=40)
@given(tree=st.dictionaries(names, yaml_scalars | st.lists(yaml_scalars) | st.dictionaries(names, yaml_scalars)))
def test_yaml_is_read_back_by_both_readers(tree: dict[str, Any]) -> None:
    text = passing.yaml_text(tree)
    assert typed(yaml.safe_load(text)) == typed(tree)
    assert typed(YAML(typ="safe", pure=True).load(text)) == typed(tree)


@given(values=st.dictionaries(st.from_regex("[A-Z]{1,5}", fullmatch=True), texts, max_size=4))
def test_env_lines_mean_the_same_to_a_shell_or_are_refused(values: dict[str, str]) -> None:
    try:
        text = passing.dotenv_text(values, "OTHER=1\n")
    except passing.Refused:
        assert any(set(value) & {"'", "\\", "$"} or min(value, default=" ") < " " for value in values.values())
    else:
        assert shlex.split(text, posix=True) == ["OTHER=1", *(f"{name}={value}" for name, value in values.items())]


def test_dotted_names_make_nested_keys() -> None:
    points = {"model.opt.lr": 5e-05, "model.width": 8, "name": "no", "none": None}
    expected = {"model": {"opt": {"lr": 5e-05}, "width": 8}, "name": "no"}
    assert json.loads(file_of("json", **points)) == expected
    assert yaml.safe_load(file_of("yaml", **points)) == expected
    assert tomllib.loads(file_of("toml", **points)) == expected
    assert file_of("env", **points) == "model_opt_lr=5.0e-05\nmodel_width=8\nname=no\n"


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ({"a": 1, "a.b": 2}, "a.b: a has a value of its own; rename one"),
        ({"a.b": 2, "a": 1}, "a: there are hyperparameters below it; rename one"),
    ],
)
def test_a_name_within_another_is_refused(points: dict[str, Any], reason: str) -> None:
    with pytest.raises(passing.Refused) as refused:
        file_of("json", **points)
    assert str(refused.value) == reason


def merge(form: str, theirs: str, folder: Path, hide: str = "", **points: Any) -> tuple[int, str, str]:
    """What the program does: exit code, stdout, stderr. `hide`: packages that cannot be imported."""
    path = folder / "theirs"
    path.write_text(theirs)
    start = f"import runpy, sys; sys.modules.update(dict.fromkeys({hide.split()!r})); "
    code = start + f"sys.argv = {['p', form, str(path)]!r}; runpy.run_path({passing.__file__!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], input=file_of(form, **points), capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr.strip()


THEIRS = """\
# theirs
base: &base {lr: 1e-4, steps: 010}
model: {opt: *base, name: off}
classes: {0: cat, 1: dog}
when: 2026-01-01
special: !custom [1]
empty:
"""


@pytest.mark.parametrize("hide", ["", "yaml"])
def test_yaml_is_merged_and_what_is_theirs_stays_as_it_was_spelled(tmp_path: Path, hide: str) -> None:
    points = {"model.opt.lr": 5e-05, "empty.x": 1, "new": "no"}
    code, out, err = merge("yaml", THEIRS, tmp_path, hide, **points)
    assert (code, err) == (0, "")
    expected = yaml.compose(
        "base: {lr: 1e-4, steps: 010}\nmodel: {opt: {lr: 5.0e-05, steps: 010}, name: off}\nclasses: {0: cat, 1: dog}\n"
        'when: 2026-01-01\nspecial: !custom [1]\nempty: {x: 1}\nnew: "no"\n'
    )
    assert plain(yaml.compose(out)) == plain(expected)


def plain(node: Any) -> Any:
    """A node without its place."""
    if node.id == "scalar":
        return node.tag, node.value
    pairs = [tuple(map(plain, entry)) if isinstance(entry, tuple) else plain(entry) for entry in node.value]
    return node.tag, pairs


def test_toml_and_json_are_merged(tmp_path: Path) -> None:
    code, out, _ = merge(
        "toml", 'd = 2026-01-01\n[[runs]]\nx = 1\n[opt]\nlr = 1\nname = "n"\n', tmp_path, **{"opt.lr": 2}
    )
    assert code == 0
    assert json.dumps(tomllib.loads(out), default=str) == (
        '{"d": "2026-01-01", "runs": [{"x": 1}], "opt": {"lr": 2, "name": "n"}}'
    )
    assert json.loads(file_of("json", '{"a": {"b": 1, "c": null}}', **{"a.b": 2})) == {"a": {"b": 2, "c": None}}
    assert file_of("env", "# c\nexport A=1\nB=2\n", A=3) == "# c\nB=2\nA=3\n"


NO_YAML = "this python3 has neither PyYAML nor ruamel.yaml to read YAML; install one of them"
NO_TOML = "this python3 has neither tomllib (3.11) nor tomli to read TOML; install tomli"


@pytest.mark.parametrize(
    ("form", "theirs", "hide", "reason"),
    [
        ("yaml", "a: 1", "yaml ruamel.yaml", NO_YAML),
        ("toml", "a = 1", "tomllib tomli", NO_TOML),
        ("yaml", "[1]", "", "the file is not a map there, but has keys here"),
        ("yaml", "a: 1", "", "a is not a map there, but has keys here"),
        ("yaml", "a: {b: {c: 1}}", "", "a.b is a map there, and a value here"),
        ("yaml", "x: &x {b: {c: 1}}\na: {<<: *x, d: 1}", "", "a.b.c"),
        ("toml", "a.b.c = 1", "", "a.b is a map there, and a value here"),
    ],
)
def test_what_cannot_be_merged_is_one_line(tmp_path: Path, form: str, theirs: str, hide: str, reason: str) -> None:
    if reason == "a.b.c":
        code, out, err = merge(form, theirs, tmp_path, hide, **{"a.b.c": 2})
        assert (code, out, err) == (64, "", "a.b may come from a merge key (<<) there; write it out")
    else:
        assert merge(form, theirs, tmp_path, hide, **{"a.b": 2}) == (64, "", reason)


# ---- the runner ----


def passed_trial(command: list[str], settings: dict[str, Any], **points: Any) -> dict[str, Any]:
    return make_trial(command, identity_passing=settings, identity_hyperparameters=points)


PROGRAM = """\
import json, os, sys
told = {"argv": sys.argv[1:], "HP_lr": os.environ.get("HP_lr"), "file": open("out/t.json").read()}
json.dump(told, open("../told", "w"))
json.dump({"accuracy": 1}, open(os.environ["METRICS_FILE"], "w"))
"""


def code_of(folder: Path, **files: str) -> Path:
    path = folder / "files.json"
    path.write_text(json.dumps(files))
    return path


def test_the_runner_passes_words_variables_and_a_merged_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    code = code_of(tmp_path, **{"p.py": PROGRAM, "base.json": '{"x": 1, "lr": 2}'})
    settings = {"environment": "HP_", "file": {"path": "out/t.json", "format": "json", "merge": "base.json"}}
    trial = passed_trial([sys.executable, "p.py", "{seed}", "{trial}", ALL], settings, lr=5e-05)
    ended = bench.run(trial, code=code)
    assert (ended.code, ended.line) == (0, f"trial.py: {trial['id']}: succeeded")
    record = json.loads((tmp_path / "scratch-0" / "told").read_text())
    assert record.pop("file") == '{\n  "x": 1,\n  "lr": 5e-05\n}\n'
    assert record == {"argv": ["3", trial["id"], "--lr=5.0e-05"], "HP_lr": "5.0e-05"}
    assert bench.result(trial)["identity"]["passing"] == settings


def test_without_passing_no_word_means_anything(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    command = "printf '%s' '{lr} {hyperparameters}' > told; echo '{\"accuracy\": 1}' > $METRICS_FILE"
    assert bench.run(make_trial(command)).code == 0
    assert (tmp_path / "told").read_text() == "{lr} {hyperparameters}"


def merging(path: str) -> dict[str, Any]:
    return {"file": {"path": "a.json", "format": "json", "merge": path}}


@pytest.mark.parametrize(
    ("command", "settings", "reason"),
    [
        (["{x}"], {}, "no word of `command` is left, for what they stand for has no value; begin it with a program"),
        (["x"], merging("no.json"), "{}/no.json: No such file or directory (ENOENT)"),
        (["x"], merging("p.json"), "p.json: lr is a map there, and a value here"),
    ],
)
def test_what_cannot_be_passed_fails_the_trial_once(
    tmp_path: Path, command: list[str], settings: dict[str, Any], reason: str
) -> None:
    bench = Bench(tmp_path)
    trial = passed_trial(command, settings, lr=1)
    ended = bench.run(trial, code=code_of(tmp_path, **{"p.json": '{"lr": {"a": 1}}'}))
    shown = reason.replace("{}/", f"{tmp_path}/scratch-0/code/")
    assert (ended.code, ended.line) == (64, f"trial.py: {trial['id']}: failed: passing: {shown}")
    assert bench.attempt(trial)["status"] == "failed"


def test_a_file_without_a_path_lies_in_the_scratch(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    command = ["sh", "-c", 'cat "$1" > told; echo \'{"accuracy": 1}\' > "$METRICS_FILE"', "sh", "{file}"]
    assert bench.run(passed_trial(command, {"file": {"format": "yaml"}}, lr=1)).code == 0
    assert (tmp_path / "told").read_text() == '"lr": 1\n'


# ---- what the scripts say ----


@pytest.mark.parametrize(
    ("command", "settings", "expected"),
    [
        (["p"], None, ""),
        (["p", "{lr}", "{a.b}"], None, ""),
        (["p", "{lr}", ALL], None, ""),
        (["p", "{lr}"], None, "a.b: the program is not passed it, but by HYPERPARAMETERS_FILE; "),
        (["p"], {}, "lr, a.b: the program is not passed it, but by HYPERPARAMETERS_FILE; "),
        (["p"], {"environment": ""}, ""),
        (["p"], {"file": {"format": "json"}}, ""),
        (["awk", "{print}"], None, "command: {print} in `{print}` names no hyperparameter and is passed as it stands"),
        (
            ["p", "{seed}"],
            None,
            "command: {seed} in `{seed}` names no hyperparameter and is passed as it stands; `",
        ),
    ],
)
def test_what_may_not_be_meant_is_said(command: list[str], settings: dict[str, Any] | None, expected: str) -> None:
    messages = sweep_passing.notes(command, settings, ["lr", "a.b"])
    assert len(messages) == bool(expected)
    assert "".join(messages).startswith(expected)


# ---- a file that is a text ----


def filled(text: str, **given: Any) -> str:
    return passing.file_text(identity(file={"format": "text", "text": text}, **given), places=PLACES)  # type: ignore[no-any-return]


def test_a_switch_of_a_group_has_no_before_its_own_name() -> None:
    points = {"model.bias": False, "model.deep.amp": False, "x": True}
    assert words(points=points, booleans="inner switch") == ["--model.no-bias", "--model.deep.no-amp", "--x"]
    assert words(points=points, booleans="switch") == ["--no-model.bias", "--no-model.deep.amp", "--x"]


def test_a_text_is_filled_line_by_line_as_words_are() -> None:
    text = "&run\n  lr = {lr}, n = {n}\n  amp = .{amp?}.\n  seed = {seed} in {checkpoint_dir}\n  { kept } ${HOME}\n/\n"
    expected = "&run\n  lr = 5.0e-05, n = 3\n  amp = .true.\n  seed = 3 in /ck\n  { kept } ${HOME}\n/\n"
    assert filled(text, lr=5e-05, n=3, amp=True) == expected
    assert filled(text, lr=5e-05, n=3, amp=None) == expected.replace("  amp = .true.\n", "")
    assert filled("f({{{lr}}})", lr=1) == "f({1})\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = {rate}", r"{rate} in 'x = {rate}': the trial has none; {rate\?} leaves the line out where it has none"),
        ("f{ {lr} }", "has a single brace; double it"),
        ("x = {data_dir}", "this sweep has none"),
    ],
)
def test_a_text_that_cannot_be_filled_is_refused(text: str, message: str) -> None:
    with pytest.raises(passing.Refused, match=message):
        filled(text, lr=1)


@given(st.dictionaries(names, scalars, min_size=1, max_size=4))
def test_an_ini_file_has_what_was_passed(points: dict[str, Any]) -> None:
    import configparser

    assume(len({name.lower() for name in points}) == len(points))
    assume(
        all(not isinstance(value, str) or (value.isprintable() and value == value.strip()) for value in points.values())
    )
    text = "[run]\n" + "".join(f"{name} = {{{name}}}\n" for name in points)
    ini = configparser.RawConfigParser(comment_prefixes=("//",))
    ini.read_string(filled(text, points=points))
    assert {name: ini["run"][name] for name in points} == {
        name: passing.spelled(value, {}) for name, value in points.items()
    }
