"""The way of the tutorial with something wrong at each step: one line says what, where and what to do.

A step is typed in a repository that each test makes anew; what the right step does is in tests/e2e/test_wheel.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.support import ROOT
from tests.pages import blocks

TUTORIAL = next(block.text for block in blocks(ROOT / "docs" / "tutorial.md") if block.kind == "other")
"""Its train.py."""
NEW = ["new", "mine", "--objective", "val_accuracy:maximize", "--", "python3", "train.py", "--lr", "{lr}"]


class Repository:
    """Somebody's, with the program of the tutorial."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if root.exists():
            return
        self.root.mkdir()
        (self.root / "train.py").write_text(TUTORIAL)
        self.git("init", "--quiet")
        self.git("config", "user.name", "t")
        self.git("config", "user.email", "t@t")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=start")

    def git(self, *words: str, folder: str = "") -> str:
        call = ["git", "-c", "protocol.file.allow=always", *words]
        done = subprocess.run(call, cwd=self.root / folder, capture_output=True, text=True, check=True)
        return done.stdout

    def type(self, *words: str, code: int = 0, folder: str = "") -> str:
        """What helm-sweep says, on both streams; `folder` is the one it is typed in."""
        done = subprocess.run(
            [sys.executable, "-m", "helm_sweep", *words],
            cwd=self.root / folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert bool(errors) == bool(code), done.stderr
        return done.stdout + done.stderr

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One that `init` was typed in; tests leave it as it is."""
    repository = Repository(tmp_path_factory.mktemp("project") / "repository")
    repository.type("init")
    return repository


@pytest.fixture
def repository(project: Repository, tmp_path: Path) -> Repository:
    """A copy of that, to work in."""
    return Repository(shutil.copytree(project.root, tmp_path / "repository"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run mine", "values/mine: no space.yaml and no values.yaml; `helm-sweep new mine` starts a sweep"),
        ("status mine", "mine: no values/mine/values.yaml; `helm-sweep new mine` starts one"),
        ("rnu mine", "no verb 'rnu'; did you mean `helm-sweep run`?"),
        ("run", "the following arguments are required: sweep; see --help"),
        ("run Mine", "Mine: not a sweep name; use at most 32 of a-z, 0-9 and '-', starting with a letter"),
        ("run mine --repinn", "unrecognized arguments: --repinn"),
        ("run mine --slots 0", "argument --slots: expected a whole number of at least 1, got '0'"),
        ("run mine --slots two", "argument --slots: expected a whole number of at least 1, got 'two'"),
        ("run mine --quorum x", "argument --quorum: expected a share above 0, and at most 1, such as 0.9, got 'x'"),
        ("expand mine --replicate-top x", "argument --replicate-top: expected a whole number of at least 1, got 'x'"),
        ("new mine", "new: names no program; write `helm-sweep new mine -- python train.py --lr {lr}`"),
        ("new mine python3 train.py", "the command comes after --, as in -- python train.py --lr {lr}"),
        ("new mine -- python3 train.py", "new: the command has no hyperparameter; put {name} where"),
        ("new mine -- python3 trian.py --lr {lr}", "trian.py: no such file in"),
        ("new mine -- python3 trian.py --lr {lr}", "did you mean train.py?"),
        ("new mine --objective acc -- python3 train.py --lr {lr}", "write NAME:minimize or NAME:maximize"),
        ("trace abcd", "abcd: not in any results.csv of the work tree or of Git's history, nor in a result store"),
        ("trace xyz", "argument trial: write id: at least four of its hex digits, as in fa77f959c6e3"),
    ],
)
def test_words_that_cannot_be_meant_are_one_line_and_change_nothing(
    project: Repository, words: str, message: str
) -> None:
    before = project.git("status", "--porcelain"), project.git("rev-parse", "HEAD")
    output = project.type(*words.split(), code=2)
    assert message in output
    assert len(output.splitlines()) == 1
    assert (project.git("status", "--porcelain"), project.git("rev-parse", "HEAD")) == before


def test_a_command_in_quotes_is_said(project: Repository) -> None:
    message = "the command is one word, 'python3 train.py --lr {lr}'; write it without the quotes around it"
    assert message in project.type("new", "mine", "--", "python3 train.py --lr {lr}", code=2)


def test_without_a_repository_or_a_project_what_makes_one_is_named(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    assert "`helm-sweep init` makes one" in repository.type("run", "mine", code=2)
    (tmp_path / "bare").mkdir()
    assert "not in a git repository; clone it with git, or run `git init`" in repository.type(
        "init", code=2, folder="../bare"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("val_accuracy=", "acc=", "lacks the objective 'val_accuracy'; it has 'acc', 'epoch'; name one of those"),
        ("    print(", "    str(", "lacks the objective 'val_accuracy'; it has no metric; mend `metrics`"),
        ("import random", "import rondom", "exit 1: ModuleNotFoundError: No module named 'rondom'"),
        ("--lr", "--rate", "usage: train.py: error: unrecognized arguments: --lr"),
    ],
    ids=["metric", "silent", "import", "option"],
)
def test_a_program_that_does_not_work_is_seen_by_check_and_mended(
    repository: Repository, old: str, new: str, message: str
) -> None:
    repository.type(*NEW)
    repository.edit("train.py", old, new)
    output = repository.type("check", "mine", code=1)
    assert "error: mine: the program does not work as a trial yet: " in output
    assert message in output.partition("yet: ")[2].splitlines()[0]
    repository.git("checkout", "--quiet", "train.py")
    assert "mine: succeeded in" in repository.type("check", "mine")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("python3", "pyhton3", "command pyhton3: No such file or directory; mend `command` or the image"),
        ('"train.py"', '"trian.py"', "command trian.py: not in the code; mend `command`"),
    ],
    ids=["program", "script"],
)
def test_a_command_that_is_not_there_fails_the_first_trials_alone(
    repository: Repository, old: str, new: str, message: str
) -> None:
    repository.type(*NEW)
    repository.edit("values/mine/space.yaml", "n: 8", "n: 5")
    repository.edit("values/mine/values.yaml", old, new)
    output = repository.type("run", "mine", code=1)
    assert re.search("error: [34] of 5 trials failed alike at once, and [12] (is|are) held back: ", output)
    assert message in output.partition("held back: ")[2].splitlines()[0]


def test_edited_code_is_named_and_runs_once_it_is_asked_for(repository: Repository) -> None:
    repository.type(*NEW)
    repository.edit("values/mine/space.yaml", "n: 8", "n: 2")
    repository.edit("train.py", "0.9 -", "0.8 -")
    assert "train.py, the code that is frozen" in repository.type("run", "mine")
    repository.edit("train.py", "0.8 -", "0.7 -")
    assert "has changed since its code was frozen (train.py); --repin renews it" in repository.type("run", "mine")
    assert "2 new: no result yet" in repository.type("run", "mine", "--repin")


def test_nobody_need_have_told_git_who_they_are(repository: Repository) -> None:
    repository.type(*NEW)
    repository.edit("values/mine/space.yaml", "n: 8", "n: 1")
    repository.git("config", "--unset", "user.name")
    repository.git("config", "--unset", "user.email")
    repository.git("config", "user.useConfigOnly", "true")
    output = repository.type("run", "mine")
    assert "1 succeeded" in output


def test_it_works_in_a_subfolder_a_worktree_and_a_submodule(repository: Repository, tmp_path: Path) -> None:
    repository.type(*NEW)
    repository.edit("values/mine/space.yaml", "n: 8", "n: 1")
    (repository.root / "deep" / "er").mkdir(parents=True)
    assert "1 succeeded" in repository.type("run", "mine", folder="deep/er")
    message = "train.py: no such file in"
    assert message in repository.type("new", "other", *NEW[2:], code=2, folder="deep/er")
    repository.git("worktree", "add", "--quiet", str(tmp_path / "worktree"))
    assert "1 succeeded" in repository.type("run", "mine", folder="../worktree")
    above = Repository(tmp_path / "above")
    above.git("submodule", "--quiet", "add", str(repository.root), "ml")
    above.git("commit", "--quiet", "--message=submodule")
    assert "1 new" in above.type("plan", "mine", folder="ml")
    above.type("init")
    above.type(*NEW)
    assert "./ml: a submodule, a repository of its own" in above.type("run", "mine", code=2)
