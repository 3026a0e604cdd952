"""new: what a program offers is read from its own words, and becomes a sweep that can be expanded as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import new
from sweep import layout, yamlfile
from sweep.errors import BadInput
from sweep.layout import Clone, Kit
from sweep.spaces import configurations, helptexts, offered, spacefile
from sweep.spaces.offered import ProgramOption
from tests.unit.test_init import git

PROGRAM = """
import argparse, sys, {module}
parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
parser.add_argument("-l", "--lr", type=float, default=1, metavar="LR", help="learning rate")
parser.add_argument("--batch-size", type=int, default=64, help="images, with a line that is so long that it is broken")
parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
parser.add_argument("--momentum", type=float, default=0.9)
parser.add_argument("--amp", action="store_true")
parser.add_argument("--name", default=None)
open("asked", "a").write(repr(sys.argv[1:]))
parser.parse_args()
"""
KNOWN = {"lr": 1.0, "batch_size": 64, "optimizer": "sgd", "momentum": 0.9, "amp": False, "name": None}
SCHEMA = json.loads((Kit.here().schemas / "space.schema.json").read_text())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "repo"
    (root / "values").mkdir(parents=True)
    (root / "values" / "base.yaml").write_text("image: {repository: python}\n")
    (root / "src").mkdir()
    (root / "src" / "train.py").write_text(PROGRAM.format(module="json"))
    git(tmp_path, "init", "--quiet", str(root))
    monkeypatch.setattr(layout, "_named", [root])
    monkeypatch.chdir(root / "src")
    return root


def start(project: Path, *words: str, options: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The space and the head of values.yaml that `new mine` writes, and the text of the space."""
    assert new.main(["mine", *options, "--", *words]) == 0
    folder = project / "values" / "mine"
    text = (folder / "space.yaml").read_text()
    values = yamlfile.parse((folder / "values.yaml").read_text(), "values.yaml")
    doc = yamlfile.parse(text, "space.yaml", helm=False)
    spacefile.read(doc, SCHEMA)
    return doc.data, values.data, text


def test_a_program_is_asked_and_its_options_have_ranges_around_their_defaults(project: Path) -> None:
    space, values, text = start(project, "python3", "train.py", "--lr", "{lr}", "--batch-size={bs}")
    assert space["space"] == {
        "lr": {"type": "float", "low": 0.1, "high": 10.0, "log": True},
        "bs": {"type": "int", "low": 16, "high": 256, "log": True},
    }
    assert values["command"] == ["python3", "train.py", "--lr", "{lr}", "--batch-size={bs}"]
    assert values["code"] == {"path": "src"}
    assert [source["format"] for source in values["metrics"]] == ["name=value", "name: value"]
    assert values["objective"] == space["objective"] == {"metric": "val_loss", "direction": "minimize"}
    assert (project / "src" / "asked").read_text() == "['--help']"
    for line in (
        "  # optimizer: {type: choice, choices: [sgd, adam]}  # default sgd",
        "  # momentum: {type: float, low: 0.5, high: 0.98}  # default 0.9",
        "  # amp: {type: bool}  # default false",
    ):
        assert line in text.splitlines()


def test_all_hyperparameters_are_passed_as_the_program_wants_its_words(project: Path) -> None:
    _, values, _ = start(project, "python3", "train.py", "{hyperparameters}")
    assert values["passing"] == {"dashes": True, "booleans": "flag"}


def test_a_program_that_ends_with_an_error_after_its_options_is_read(project: Path) -> None:
    (project / "src" / "train.py").write_text(
        "import absl\nprint('flags:\\n  --lr: a rate\\n    (default: 0.2)')\nexit(1)"
    )
    (project / "src" / "absl.py").touch()
    assert start(project, "python3", "train.py", "--lr={lr}")[0]["space"]["lr"]["high"] == 2.0


def test_a_program_that_cannot_start_is_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "src" / "train.py").write_text(PROGRAM.format(module="nowhere_to_be_found"))
    space, _, text = start(project, "python3", "train.py", "{hyperparameters}", options=("--objective", "f1:maximize"))
    assert (
        "ModuleNotFoundError: No module named 'nowhere_to_be_found'; its options are not known"
        in capsys.readouterr().err
    )
    assert space["space"] == {"lr": {"type": "float", "low": 0.1, "high": 10.0, "log": True}}
    assert space["objective"] == {"metric": "f1", "direction": "maximize"}
    assert "  # batch_size: {type: int, low: 16, high: 256, log: true}" in text


def test_a_script_that_knows_no_options_is_not_started(project: Path) -> None:
    (project / "src" / "train.py").write_text("open('asked', 'a')\n")
    _, _, text = start(project, "python3", "train.py", "{lr}")
    assert not (project / "src" / "asked").exists()
    assert "no default is known: set the range" in text


def test_a_configuration_file_is_read_with_its_nested_names(project: Path) -> None:
    (project / "src" / "train.py").write_text("print('no options')\n")
    (project / "src" / "conf.yaml").write_text("model: {lr: 0.01, layers: 4}\ndata: [1]\nname: x\n")
    words = ("python3", "train.py", "model.lr={model.lr}", "{hyperparameters}")
    space, values, text = start(project, *words, options=("--config", "conf.yaml"))
    assert space["space"]["model.lr"] == {"type": "float", "low": 0.001, "high": 0.1, "log": True}
    assert space["space"]["model.layers"] == {"type": "int", "low": 1, "high": 16, "log": True}
    assert values["passing"] == {"style": "name=value"}
    assert "  # name: {type: choice, choices: [x]}  # default x" in text


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], r"^new: names no program; write `helm-sweep new mine -- python train.py --lr {lr}`$"),
        (["--", "python3", "train.py"], r"^new: the command has no hyperparameter; put {name} where"),
        (["--", "python3", "-c", "1", "{hyperparameters}"], r"^new: nothing is known of the program's options; name"),
        (["--objective", "loss"], r"write NAME:minimize or NAME:maximize, as in val_loss:minimize"),
    ],
)
@pytest.mark.usefixtures("project")
def test_what_cannot_be_a_sweep_is_told_in_a_line(words: list[str], line: str) -> None:
    with pytest.raises(BadInput, match=line):
        new.main(["mine", *words])
    assert Clone.here().sweeps == []


def test_a_sweep_that_is_there_stays(project: Path) -> None:
    """Made once more alike it is what it was: a call that was cut off is typed again."""
    words = ("python3", "train.py", "--lr", "{lr}")
    assert start(project, *words) == start(project, *words)
    path = project / "values" / "mine" / "space.yaml"
    path.write_text(path.read_text() + "# edited\n")
    with pytest.raises(BadInput, match=r"^values/mine/space.yaml: exists already; choose another name, or edit it$"):
        new.main(["mine", "--", *words])
    assert path.read_text().endswith("# edited\n")


def test_help_as_argparse_and_click_print_it() -> None:
    options = {option.name: option for option in helptexts.of_help(
        "usage: x [-h]\n\noptions:\n  -h, --help            show this help message and exit\n"
        "  -b N, --batch-size N  images at\n                        once (default: 32)\n"
        "  --kind {a,b}          which (default: a)\n  --amp, --no-amp\n"
        "  --drop P              Dropout.  [default: 0.1]\n"
        "  --lr FLOAT            Learning rate\n  --verbose             talk\n"
    )}  # fmt: skip
    described = {name: (option.default, option.choices, option.help) for name, option in options.items()}
    assert described == {
        "batch_size": (32, (), "images at once"),
        "kind": ("a", ("a", "b"), "which"),
        "amp": (False, (), ""),
        "drop": (0.1, (), "Dropout."),
        "lr": (None, (), "Learning rate"),
        "verbose": (False, (), "talk"),
    }


HYDRA = """app is powered by Hydra.

== Configuration groups ==
Compose your configuration from those groups (group=option)

optimizer: adam, sgd
data/set: cifar, mnist


== Config ==
Override anything in the config (foo.bar=value)

optimizer:
  lr: 0.001
  betas:
  - 0.9
  nesterov: false
epochs: 8
name: ???


Powered by Hydra (https://hydra.cc)
Use --hydra-help to view Hydra specific help
"""


def test_help_as_hydra_prints_it() -> None:
    options = configurations.of_hydra(HYDRA)
    assert {option.name: option.default for option in options if not option.choices} == {
        "optimizer.lr": 0.001, "optimizer.nesterov": False, "epochs": 8, "name": "???",
    }  # fmt: skip
    assert [(option.name, option.choices) for option in options if option.choices] == [
        ("optimizer", ("adam", "sgd")),
        ("data/set", ("cifar", "mnist")),
    ]


@given(st.text(alphabet="ab:=- \n?1e.{}[]", max_size=60))
def test_any_text_below_the_heading_is_borne(text: str) -> None:
    configurations.of_hydra(f"== Config ==\nOverride anything\n{text}")


def test_a_hydra_program_is_asked_for_its_settings(project: Path) -> None:
    (project / "src" / "app.py").write_text(
        f"import sys  # hydra\nassert sys.argv[1:] == ['--help']\nprint({HYDRA!r})\n"
    )
    space, values, text = start(project, "python3", "app.py", "optimizer.lr={optimizer.lr}", "epochs={epochs}")
    assert space["space"]["optimizer.lr"] == {"type": "float", "low": 0.0001, "high": 0.01, "log": True}
    assert space["space"]["epochs"] == {"type": "int", "low": 2, "high": 32, "log": True}
    assert "# optimizer: {type: choice, choices: [adam, sgd]}" in text
    assert values["command"] == ["python3", "app.py", "optimizer.lr={optimizer.lr}", "epochs={epochs}"]


@pytest.mark.parametrize("words", [["--config", "conf.yaml"], ["--config=conf.yaml"], ["conf.yaml"]])
def test_a_configuration_that_the_command_names_is_read(project: Path, words: list[str]) -> None:
    (project / "src" / "conf.yaml").write_text("model: {width: 16}\n")
    (project / "src" / "run.py").write_text("import yaml\n")
    space, _, _ = start(project, "python3", "run.py", *words, "model.width={model.width}")
    assert space["space"]["model.width"] == {"type": "int", "low": 4, "high": 64, "log": True}


def test_a_source_tells_what_help_does_not() -> None:
    source = offered.of_source(PROGRAM.format(module="json"))
    assert {option.name: option.default for option in source} == KNOWN
    assert offered.of_source("def broken(:\n") == []


@given(st.booleans() | st.integers(-9, 10**9) | st.floats(0, 1e9) | st.text(max_size=5) | st.none())
def test_any_default_makes_a_domain_that_space_yaml_takes(default: Any) -> None:
    head = "objective: {metric: x, direction: minimize}\nsampler: {name: random, n: 1}\n"
    text = f"{head}space: {{x: {offered.domain(ProgramOption('x', default))}}}\n"
    doc = yamlfile.parse(text, "space.yaml", helm=False)
    spacefile.read(doc, SCHEMA)


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (["python", "t.py", "--lr", "{lr}", "--x=3"], ["python", "t.py", "--x=3", "--help"]),
        (["python", "-m", "t", "lr={lr}", "{hyperparameters}"], ["python", "-m", "t", "--help"]),
        (["./train", "-c", "{c}", "-g", "{g?}"], ["./train", "--help"]),
    ],
)
def test_help_is_asked_without_what_is_filled_in(command: list[str], asked: list[str]) -> None:
    assert offered.asking_help(command) == asked


def test_a_program_that_writes_metrics_itself_is_left_to_it() -> None:
    assert offered.reading("open(os.environ['METRICS_FILE'])") == ""


def test_a_seed_is_no_hyperparameter(project: Path) -> None:
    """It is a trial's own, and the command is passed it by {seed}."""
    program = project / "src" / "train.py"
    program.write_text(program.read_text().replace('"--momentum", type=float', '"--seed", type=int'))
    _, _, text = start(project, "python3", "train.py", "--lr", "{lr}", "--seed", "{seed}")
    assert "seed:" not in text.replace("seed: 0}", "")
