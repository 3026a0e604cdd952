"""expand and new as a person calls them, in throwaway clones: what they write, commit, keep and refuse."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import expand
import new
from sweep.errors import BadInput
from sweep.layout import Clone, SweepFiles

HERE = Clone.here().root
TABLES = {
    name: tomllib.loads((Path(__file__).parent / "bad_inputs" / f"{name}.toml").read_text())
    for name in ("space", "values")
}
SPACE = TABLES["space"]["base"]
OBJECTIVE = "objective: {metric: loss, direction: minimize}\n"
BAD = [
    pytest.param(name, case, id=f"{name}: {case['name']}") for name, table in TABLES.items() for case in table["case"]
]


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def demo(clone: Clone) -> SweepFiles:
    return clone.sweep("demo")


def run(clone: Clone, *words: str) -> None:
    assert expand.main(["demo", *words], clone) == 0


def state(clone: Clone) -> dict[str, bytes]:
    """Every file of the work tree but out/, and HEAD."""
    files = {
        str(path): path.read_bytes()
        for path in clone.root.rglob("*")
        if path.is_file() and not {".git", "out"} & set(path.relative_to(clone.root).parts)
    }
    return files | {"HEAD": git(clone.root, "rev-parse", "HEAD").encode()}


def message(clone: Clone) -> str:
    return git(clone.root, "show", "--no-patch", "--format=%B")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def trials(clone: Clone) -> list[Any]:
    return [
        json.loads(line.strip()[2:]) for line in demo(clone).values.read_text().split("\n") if line.startswith("  - {")
    ]


def test_a_first_expansion_writes_and_commits_all_three(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    run(clone)
    assert message(clone) == "demo: 8 trials (random, n=8, seed=0)\n\ncode frozen from trainer (1 file)"
    names = git(clone.root, "show", "--name-only", "--format=").split()
    assert names == ["values/demo/code.yaml", "values/demo/space.yaml", "values/demo/values.yaml"]
    assert git(clone.root, "status", "--porcelain") == ""
    assert len(trials(clone)) == 8
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("demo: 8 trials (random, n=8, seed=0); each at most 600 s, 1.3 h in all\n")


def test_the_second_expansion_does_nothing(clone: Clone) -> None:
    run(clone)
    before = state(clone)
    run(clone)
    run(clone, "--force", "--repin")
    assert state(clone) == before


def test_a_hand_written_line_is_kept_counted_and_committed(clone: Clone) -> None:
    run(clone)
    line = '  - {"lr": 0.3, "batch_size": 128, "seed": 1}   # why not'
    edit(demo(clone).values, "  # end\n", f"  # end\n{line}\n")
    before = demo(clone).values.read_bytes()
    run(clone)
    assert demo(clone).values.read_bytes() == before
    assert message(clone) == f"demo: 9 trials, edited by hand\n\nBy hand in values.yaml:\n+ {line.strip()}"
    edit(demo(clone).space, "n: 8", "n: 12")
    run(clone)
    assert line in demo(clone).values.read_text()
    assert message(clone) == "demo: 13 trials (random, n=12, seed=0; 1 by hand)"


def test_a_larger_n_adds_lines_and_changes_none(clone: Clone) -> None:
    run(clone)
    first = trials(clone)
    edit(demo(clone).space, "n: 8", "n: 20")
    run(clone)
    assert len(trials(clone)) == 20
    assert trials(clone)[:8] == first


def test_whatever_was_edited_stays_while_the_space_is_the_same(clone: Clone) -> None:
    run(clone)
    edit(demo(clone).values, "batch_size", "width")
    edit(demo(clone).values, "limit_seconds: 600", "limit_seconds: 60   # enough")
    edit(demo(clone).space, "objective:", "# a comment\nobjective:")
    before = demo(clone).values.read_bytes()
    run(clone)
    assert demo(clone).values.read_bytes() == before
    assert "+ limit_seconds: 60   # enough" in message(clone)


def test_force_replaces_an_edited_block(clone: Clone) -> None:
    run(clone)
    edit(demo(clone).values, "batch_size", "width")
    edit(demo(clone).space, "n: 8", "n: 9")
    before = state(clone)
    with pytest.raises(
        BadInput, match=r"^values/demo/values.yaml:11: space.yaml has changed, and so have trials in its block"
    ):
        run(clone)
    assert state(clone) == before
    run(clone, "--force")
    assert len(trials(clone)) == 9


def test_an_unexpanded_file_gets_its_trials_and_keeps_its_head(clone: Clone) -> None:
    demo(clone).values.write_text(TABLES["values"]["base"])
    run(clone)
    head, _, tail = demo(clone).values.read_text().partition("  # expanded")
    assert head == TABLES["values"]["base"].partition("  # expanded")[0]
    assert tail.endswith('  # end\n  - {"lr": 0.3, "batch_size": 128}\n')
    assert message(clone).startswith("demo: 9 trials (random, n=8, seed=0; 1 by hand)\n")


def test_values_without_a_space_are_a_sweep_too(clone: Clone) -> None:
    demo(clone).space.unlink()
    demo(clone).values.write_text(f'sweep: demo\n{OBJECTIVE}command: [x]\ntrials:\n  - {{"lr": 0.3}}\n')
    run(clone)
    assert message(clone).startswith("demo: 1 trial (1 by hand)\n")
    assert demo(clone).code.exists()


def test_a_sweep_without_trials_is_refused(clone: Clone) -> None:
    demo(clone).space.unlink()
    demo(clone).values.write_text("sweep: demo\ncommand: [x]\n")
    with pytest.raises(
        BadInput, match=r"^values/demo/values.yaml:1: trials: no trials; write one below `trials:`, or a space.yaml"
    ):
        run(clone)


def test_a_broken_file_that_was_committed_may_be_mended(clone: Clone) -> None:
    demo(clone).values.write_text("sweep: [\n")
    git(clone.root, "add", "--all")
    git(clone.root, "commit", "--quiet", "--message=broken")
    demo(clone).values.write_text(TABLES["values"]["base"])
    run(clone)
    assert message(clone).startswith("demo: 9 trials")


def test_changed_code_is_said_and_kept_until_repin(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    run(clone)
    frozen = demo(clone).code.read_bytes()
    (clone.trainer / "train.py").write_text("changed\n")
    run(clone)
    assert demo(clone).code.read_bytes() == frozen
    assert "trainer has changed since its code was frozen (train.py); --repin renews it" in capsys.readouterr().err
    run(clone, "--repin")
    assert b"changed" in demo(clone).code.read_bytes()
    assert message(clone) == "demo: 8 trials (random, n=8, seed=0)\n\ncode frozen from trainer (1 file)"
    assert git(clone.root, "show", "--format=%B", "--name-only", "HEAD^").split("\n") == [
        *("demo: the code of its trials", "", "trainer/train.py", "", "", "trainer/train.py"),
    ]
    assert "trainer/train.py, the code that is frozen" in capsys.readouterr().err
    assert not git(clone.root, "status", "--porcelain")


def test_new_code_is_committed_before_it_is_frozen_and_nothing_else_is(clone: Clone) -> None:
    run(clone)
    demo(clone).code.unlink()
    (clone.trainer / "more.py").write_text("new\n")
    (clone.root / "notes.txt").write_text("mine\n")
    run(clone)
    assert "more.py" in demo(clone).code.read_text()
    assert "-dirty" not in demo(clone).code.read_text()
    assert git(clone.root, "status", "--porcelain") == "?? notes.txt"


def test_code_that_cannot_be_frozen_is_not_committed(clone: Clone) -> None:
    run(clone)
    (clone.trainer / "link").symlink_to("/etc/passwd")
    before = state(clone)
    with pytest.raises(BadInput, match="a link or a special file, which cannot be frozen"):
        run(clone, "--repin")
    assert state(clone) == before


def test_allow_dirty_freezes_what_lies_there_and_records_it(clone: Clone) -> None:
    (clone.trainer / "train.py").write_text("changed\n")
    run(clone, "--allow-dirty")
    assert '-dirty"\n' in demo(clone).code.read_text()


def test_another_folder_may_be_frozen(clone: Clone) -> None:
    (clone.root / "mine").mkdir()
    (clone.root / "mine" / "run.py").write_text("1\n2\n")
    git(clone.root, "add", "mine")
    git(clone.root, "commit", "--quiet", "--message=mine")
    run(clone, "--code", "mine")
    assert 'path: "mine"' in demo(clone).code.read_text()
    with pytest.raises(BadInput, match=r"^--code trainer: values/demo/code.yaml exists; add --repin to freeze"):
        run(clone, "--code", "trainer")


def test_code_in_the_image_is_not_frozen(clone: Clone) -> None:
    demo(clone).values.write_text(TABLES["values"]["base"] + "code: {source: image}\n")
    run(clone)
    assert not demo(clone).code.exists()


def test_dry_run_writes_nothing_and_json_says_what_it_would(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(clone)
    run(clone, "--dry-run", "--json")
    assert state(clone) == before
    output = capsys.readouterr()
    assert json.loads(output.out) == {
        "sweep": "demo",
        "trials": 8,
        "sampler": "random, n=8, seed=0",
        "written": ["values/demo/values.yaml", "values/demo/code.yaml"],
        "by_hand": [],
        "note": "",
        "commit": None,
    }
    assert "values/demo/values.yaml: would be written\n" in output.err


def test_no_commit_writes_and_leaves_the_commit_to_the_person(clone: Clone) -> None:
    head = state(clone)["HEAD"]
    run(clone, "--no-commit")
    assert state(clone)["HEAD"] == head
    assert len(trials(clone)) == 8
    run(clone)
    assert message(clone) == "demo: 8 trials (random, n=8, seed=0)"


def test_what_the_person_has_staged_stays_staged(clone: Clone) -> None:
    (clone.root / "notes.txt").write_text("x\n")
    git(clone.root, "add", "notes.txt")
    run(clone)
    assert git(clone.root, "status", "--porcelain") == "A  notes.txt"


def test_without_an_identity_it_commits_as_itself_and_says_so(
    clone: Clone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    run(clone)
    assert "as helm-sweep <helm-sweep@localhost>, for git knows no user.name" in capsys.readouterr().err


@pytest.mark.parametrize(("table", "case"), BAD)
def test_bad_input_is_one_line_and_changes_nothing(table: str, case: dict[str, str], clone: Clone) -> None:
    base = TABLES[table]["base"]
    old = case.get("old", base)
    assert old in base
    path = demo(clone).space if table == "space" else demo(clone).values
    path.write_bytes(base.replace(old, case["new"], 1).encode(case.get("encoding", "utf-8")))
    before = state(clone)
    with pytest.raises(BadInput) as caught:
        run(clone)
    assert str(caught.value) == case["message"]
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert state(clone) == before


def test_at_least_forty_bad_files_of_different_kinds_are_tried() -> None:
    assert len({case.values[1]["message"] for case in BAD if isinstance(case.values[1], dict)}) >= 100


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "values/none: no space.yaml and no values.yaml; `make new SWEEP=none` starts a sweep"),
        (
            "Demo",
            "SWEEP=Demo: not a sweep name; use at most 32 of a-z, 0-9 and '-', "
            "starting with a letter and not ending with '-'",
        ),
    ],
)
def test_a_sweep_that_is_none_is_refused(clone: Clone, name: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        expand.main([name], clone)
    assert str(caught.value) == message


def test_no_repository_is_refused(clone: Clone) -> None:
    shutil.rmtree(clone.root / ".git")
    with pytest.raises(BadInput, match=r"not in a git repository"):
        run(clone)


def test_a_project_in_a_monorepo_commits_its_own_files_there(clone: Clone, tmp_path: Path) -> None:
    shutil.rmtree(clone.root / ".git")
    top = tmp_path
    (top / "other").write_text("somebody's")
    git(top, "init", "--quiet")
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "--message=all")
    (top / "other").write_text("somebody's work")
    run(clone)
    folder = clone.root.relative_to(top)
    changed = git(top, "show", "--name-only", "--format=", "HEAD").split()
    assert changed == [f"{folder}/values/demo/{name}" for name in ("code.yaml", "values.yaml")]
    assert git(top, "status", "--porcelain") == "M other"
    assert 'path: "trainer"' in demo(clone).code.read_text()
    run(clone)
    assert git(top, "rev-list", "--count", "HEAD") == "2"


def test_an_unfinished_merge_is_refused_before_anything_is_written(clone: Clone) -> None:
    (clone.root / ".git" / "MERGE_HEAD").write_text(git(clone.root, "rev-parse", "HEAD") + "\n")
    before = state(clone)
    with pytest.raises(BadInput, match=r"^git: a merge is in progress"):
        run(clone)
    assert state(clone) == before


def test_new_starts_a_sweep_that_expands_as_it_is(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    assert new.main(["fresh"], clone) == 0
    assert capsys.readouterr().err == "values/fresh/space.yaml: edit it, then `make sweep SWEEP=fresh`\n"
    assert expand.main(["fresh"], clone) == 0
    assert message(clone).startswith("fresh: 8 trials (random, n=8, seed=0)\n")
    with pytest.raises(BadInput, match=r"^values/fresh/space.yaml: exists already; choose another name, or edit it$"):
        new.main(["fresh"], clone)


def test_the_command_line_says_one_line_and_ends_with_2(clone: Clone) -> None:
    shutil.copytree(HERE / "scripts", clone.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    demo(clone).space.write_text(SPACE.replace("low: 0.05", "low: abc"))
    call = [sys.executable, str(clone.root / "scripts" / "expand.py"), "demo"]
    done = subprocess.run(
        call, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "error: values/demo/space.yaml:5: space.lr.low: expected a number, got the string 'abc'; write 0.1\n"
    )


def test_a_sweep_grows_to_ten_thousand_trials(clone: Clone) -> None:
    run(clone)
    edit(demo(clone).space, "n: 8", "n: 10000")
    run(clone)
    assert len(trials(clone)) == 10_000


# ---- secrets ----

TOKEN = "ghp_" + "Zz9" * 12
SECRETS = {
    "a value": (
        "values",
        "command:",
        "env: {HF_TOKEN: hunter2hunter2}\ncommand:",
        "env.HF_TOKEN: named like a secret; ",
    ),
    "a URL": (
        "values",
        "command:",
        f"env: {{FROM: 'https://a:{TOKEN}@x.org'}}\ncommand:",
        "env.FROM: holds an address ",
    ),
    "a trial": (
        "values",
        "  # end\n",
        '  # end\n  - {"token": "hunter2hunter2"}\n',
        "trials.token: named like a secret; ",
    ),
    "a comment": ("values", "command:", f"# {TOKEN}\ncommand:", "holds a token of GitHub; "),
    "a hyperparameter": (
        "space",
        "space:",
        "space:\n  api_key: {type: str, choices: [hunter2hunter2, b]}",
        "space.api_key: ",
    ),
    "a comment of a space": ("space", "space:", f"# {TOKEN}\nspace:", "holds a token of GitHub; "),
    "the base": (
        "base",
        "\n",
        f"\nenv: {{PASSWORD: hunter2hunter2}}\n# {TOKEN}\n",
        "env.PASSWORD: named like a secret; ",
    ),
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_committed(clone: Clone, name: str) -> None:
    run(clone)
    place, old, new, message = SECRETS[name]
    path = clone.base if place == "base" else getattr(demo(clone), place)
    if place == "base":
        path.write_text("strict: false\n")
        git(clone.root, "add", "values/base.yaml")
    edit(path, old, new)
    before = state(clone)
    with pytest.raises(BadInput) as caught:
        expand.main(["demo"], clone)
    assert re.match(rf"{clone.relative(path)}:\d+: {re.escape(message)}", str(caught.value)), caught.value
    assert "{secret: " in str(caught.value)
    assert state(clone) == before
    assert not {word for word in ("hunter2", TOKEN) if word in f"{caught.value}{git(clone.root, 'log', '-p', '--all')}"}


def test_the_commit_that_takes_a_secret_out_does_not_repeat_it(clone: Clone) -> None:
    run(clone)
    edit(demo(clone).values, "command:", f"env: {{HF_TOKEN: hunter2hunter2}}  # {TOKEN}\ncommand:")
    git(clone.root, "commit", "--all", "--message=oh no")
    edit(demo(clone).values, f"env: {{HF_TOKEN: hunter2hunter2}}  # {TOKEN}\n", "")
    run(clone)
    assert "- env: {HF_TOKEN: " in message(clone)
    assert "hunter2" not in message(clone)
    assert TOKEN not in message(clone)
