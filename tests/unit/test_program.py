"""The program: one verb a script, named as its target of make; what it says is spelled as it is called itself."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helm_sweep import verbs
from sweep import kit
from tests.unit.test_makefile import VERB_TARGETS
from tests.unit.test_structure import ROOT
from tests.unit.test_structure import VERBS as SCRIPTS


def program(
    *words: str, folder: Path = ROOT, env: dict[str, str] | None = None, talk: str = ""
) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "helm_sweep", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | (env or {})
    done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    assert re.search(talk, done.stderr), done.stderr
    return done


def test_every_script_is_a_verb_by_the_name_of_its_target() -> None:
    assert {verb.module for verb in verbs.VERBS.values()} - verbs.OWN == SCRIPTS - verbs.OWN
    assert verbs.VERBS.keys() - verbs.OWN == set(VERB_TARGETS)
    makefile = (ROOT / "Makefile").read_text()
    for name in VERB_TARGETS:
        recipe = re.search(rf"^{name}: setup .*\n\t@(.*)$", makefile, re.M)
        assert recipe
        assert f"$(RUN)/{verbs.VERBS[name].module}.py" in recipe[1]


def test_help_lists_every_verb_in_a_line() -> None:
    done = program()
    assert done.stdout == program("--help").stdout == f"{verbs.usage()}\n"
    assert done.returncode == 0
    for name in verbs.VERBS:
        assert len(re.findall(rf"^  {name} +\S", done.stdout, re.M)) == 1
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("word", "line"),
    [
        (
            "stats",
            "error: helm-sweep: no verb 'stats'; did you mean `helm-sweep status`? `helm-sweep --help` lists all\n",
        ),
        ("xyzzy", "error: helm-sweep: no verb 'xyzzy'; `helm-sweep --help` lists all\n"),
    ],
)
def test_an_unknown_verb_is_told_in_a_line_with_the_nearest(word: str, line: str) -> None:
    done = program(word)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_the_usage_of_a_verb_names_the_program() -> None:
    done = program("resume", "--help")
    assert done.stdout.startswith("usage: helm-sweep resume [-h]")
    assert program("run", "--help").stdout.startswith("usage: helm-sweep run [-h]")
    assert program("plan", talk=r"^error: helm-sweep plan: .* sweep; see --help\n$").returncode == 2


def test_version_names_program_commit_and_chart() -> None:
    about = kit.about()
    assert program("--version").stdout == f"helm-sweep 0.1.0 (commit {about.commit}, chart {about.chart})\n"
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", about.commit)


def test_the_project_is_found_from_where_one_is_or_named(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "values").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "values" / "base.yaml").touch()
    missing = "^error: SWEEP=x: no values/x/values.yaml; `helm-sweep new x` starts one\n$".replace("SWEEP=", "")
    program("plan", "x", folder=tmp_path / "sub", talk=missing)
    program("--project", "sub", "plan", "x", folder=tmp_path, talk=missing)
    program(f"--project={tmp_path}", "plan", "x", folder=Path("/"), talk=missing)
    program("plan", "x", "--project", str(tmp_path / "sub"), folder=Path("/"), talk=missing)
    outside = "^error: /: no project here: .*; `helm-sweep init` makes one"
    assert program("plan", "x", folder=Path("/"), talk=outside).returncode == 2


def complete(line: str, folder: Path) -> list[str]:
    """What a shell is told of `line`, as argcomplete's own functions for shells ask: over file number 8."""
    call = f"exec {sys.executable} -m helm_sweep 8>&1 9>&2 1>/dev/null 2>/dev/null"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_SHELL": "bash"}
    env = os.environ | {"PYTHONPATH": str(ROOT), "IFS": "\013", "COMP_TYPE": "9"} | asked
    done = subprocess.run(["bash", "-c", call], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return [word.strip() for word in done.stdout.split("\013") if word]


def test_a_shell_completes_verbs_options_and_sweeps() -> None:
    assert set(complete("helm-sweep st", ROOT)) == {"status", "stop"}
    assert complete("helm-sweep status quick", ROOT) == ["quickstart"]
    assert complete("helm-sweep --project . status --js", ROOT) == ["--json"]
    for shell in ("bash", "zsh", "fish"):
        assert "helm-sweep" in program("completion", shell).stdout
    program("completion", "tcsh", talk="invalid choice: 'tcsh'")


def strings(path: Path) -> str:
    """All text of a module that is no comment, with `x` where something is filled in."""
    parts = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts.append("".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts.append(node.value)
    return "\n".join(parts)


def test_commands_in_messages_are_spelled_for_the_program() -> None:
    commands = {
        command for path in (ROOT / "scripts").rglob("*.py") for command in re.findall("`make [^`\n]*`", strings(path))
    }
    assert len(commands) > 20
    assert not [text for text in map(verbs.spelled, commands - {"`make setup`"}) if not text.startswith("`helm-sweep ")]
    assert not [text for text in map(verbs.spelled, commands) if re.search(r"\b[A-Z]+=", text)]


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("`make retry SWEEP=x`, then", "`helm-sweep retry x`, then"),
        ("  make expand SWEEP=q ARGS=\"--replicate-top 5\"", "  helm-sweep expand q --replicate-top 5"),
        ("`make sweep SWEEP=x` goes on; so does `make sweep`", "`helm-sweep run x` goes on; so does `helm-sweep run`"),
        ("merge it, or submit over it by TAKEOVER=1", "merge it, or submit over it by --takeover"),
        ("ENGINE=moon: write one of", "--engine moon: write one of"),
        ("make it so; NAME=x", "make it so; NAME=x"),
    ],
)  # fmt: skip
def test_a_message_with_its_commands_as_they_are_typed(text: str, spelled: str) -> None:
    assert verbs.spelled(text) == spelled
