"""What make is given is text: no value of a variable runs anything, and every verb gets it to the letter."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_structure import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
NAMES = re.search("^NAMES := (.*)$", MAKEFILE, re.M)[1].split()  # type: ignore[index]
VERB_TARGETS = re.findall(r"^([a-z]+): setup ", MAKEFILE, re.M)
HOSTILE = [
    "$(shell touch pwned)",
    "$$(touch pwned)",
    "$(touch pwned)`touch pwned`",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "x; touch pwned #",
    "x\ntouch pwned #",
    "$(error pwned) ${HOME} $@ a  b\\",
]
TOLD = {"ENGINE", "CONTEXT", "NAMESPACE", "SWEEP", "TRIAL", "SLOTS", "QUORUM", "USER", "UPLOAD"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place where every verb only notes how it was called."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements/launcher.lock", "tools/setup.py", ".venv/.launcher"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "run").mkdir()
    for verb in {path.stem for path in (ROOT / "scripts").glob("*.py")}:
        program = f"#!{sys.executable} -IS\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"
        (tmp_path / "run" / f"{verb}.py").write_text(program)
        (tmp_path / "run" / f"{verb}.py").chmod(0o755)
    return tmp_path


def make(folder: Path, target: str, value: str, *words: str, environment: bool = False) -> list[str]:
    """The words that the verb got, where every variable has this value."""
    given = dict.fromkeys(NAMES, value)
    env = {name: text for name, text in os.environ.items() if name not in given and not name.startswith("MAKE")}
    call = ["make", "--ignore-errors", *words, f"RUN={folder}/run", target]
    if environment:
        env |= given
    else:
        call += [f"{name}={text}" for name, text in given.items()]
    done = subprocess.run(call, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert not (folder / "pwned").exists(), done.stdout + done.stderr
    listed = done.stdout.splitlines()
    return json.loads(listed[-1]) if not words else listed


@pytest.mark.parametrize("target", VERB_TARGETS)
def test_no_value_runs_anything_and_every_verb_gets_it_to_the_letter(folder: Path, target: str) -> None:
    for value in HOSTILE[:1] + HOSTILE[-2:]:
        words = make(folder, target, value)
        assert {word for word in words if word != value and not word.startswith("--")} == set()


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("environment", [False, True])
def test_whatever_the_value_and_wherever_it_comes_from(folder: Path, value: str, environment: bool) -> None:
    engine = ["--engine", value, "--context", value, "--namespace", value]
    assert make(folder, "logs", value, environment=environment) == [value, value, *engine]
    flags = ["--allow-dirty", "--push", "--takeover", "--yes"]
    words = make(folder, "sweep", value, environment=environment)
    assert words == [value, *engine, "--slots", value, "--quorum", value, *flags]
    assert make(folder, "role", value, environment=environment) == ["--namespace", value, "--user", value]
    make(folder, "image", value, "--silent", environment=environment)
    make(folder, "logs", value, "--dry-run", environment=environment)


def test_a_sweep_is_named_to_trace_only_where_a_person_names_one(folder: Path) -> None:
    def trace(*words: str) -> list[str]:
        call = ["make", f"RUN={folder}/run", "trace", *words]
        env = {name: text for name, text in os.environ.items() if name not in NAMES}
        done = subprocess.run(call, cwd=folder, env=env, capture_output=True, text=True, check=True)
        record: list[str] = json.loads(done.stdout)
        return record

    assert trace() == [""]
    assert trace("TRIAL=abcd", "SWEEP=s") == ["abcd", "--sweep", "s"]
    assert trace("TRIAL=abcd", "ARGS=--json  'a b'") == ["abcd", "--json", "a b"]


def test_no_variable_but_args_is_put_into_a_command() -> None:
    recipes = [line for line in MAKEFILE.splitlines() if line.startswith("\t")]
    own = {"RUN", "ARGS", "MAKEFILE_LIST", "engine", "target", "named", "flags"}
    for line in recipes:
        command = re.sub(r"\$\(if \$\([A-Z_]+\),", "", line)
        assert set(re.findall(r"(?<!\$)\$[({]([A-Za-z_]+)[)}]", command)) <= own, line
