"""Whether code.yaml is written, and with what: bundle or git."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sweep import code, freezing
from sweep.code import Pin
from sweep.errors import BadInput
from sweep.layout import Clone, SweepFiles
from sweep.spaces import valuesfile

HEAD = "sweep: demo\ntrials: [{}]\n"


def git(clone: Clone, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=clone.root, check=True, capture_output=True, text=True).stdout.strip()


def frozen(files: SweepFiles, head: str, *, repin: bool = False, dirty_allowed: bool = False) -> tuple[str | None, str]:
    values = valuesfile.parse(HEAD + head, "values.yaml")
    text, note = freezing.text(files, values, None, repin=repin, dirty_allowed=dirty_allowed)
    if text is not None:
        files.code.write_text(text)
    return text, note


@pytest.fixture
def served(clone: Clone, tmp_path: Path) -> Path:
    """A repository elsewhere, to which the clone has been pushed."""
    place = tmp_path / "served.git"
    git(clone, "clone", "--quiet", "--bare", str(clone.root), str(place))
    git(clone, "remote", "add", "origin", str(place))
    return place


def commit(clone: Clone, *, push: bool) -> str:
    git(clone, "commit", "--quiet", "--all", "--message=new")
    if push:
        git(clone, "push", "--quiet", "origin", "HEAD")
    return git(clone, "rev-parse", "HEAD")


def test_git_is_pinned_at_the_head_of_its_url_and_kept_until_repin(clone: Clone, served: Path) -> None:
    files, head = clone.sweep("demo"), f"code: {{source: git, url: '{served}'}}\n"
    text, note = frozen(files, head)
    first, tree = git(clone, "rev-parse", "HEAD"), git(clone, "rev-parse", "HEAD:trainer")
    assert note == f"code pinned at trainer of commit {first[:12]} of {served}"
    assert code.parse(text or "", "code.yaml") == Pin(str(served), "trainer", tree, first)
    assert frozen(files, head) == (None, "")
    (clone.trainer / "train.py").write_text("new")
    second = commit(clone, push=False)
    assert frozen(files, head) == (None, "")  # nobody could fetch that
    renewed, note = frozen(files, head, repin=True)
    assert (renewed, note) == (None, "")
    git(clone, "push", "--quiet", "origin", "HEAD")
    kept = "trainer has changed since its code was frozen (trainer); --repin renews it"
    assert frozen(files, head) == (None, kept)
    renewed, note = frozen(files, head, repin=True)
    assert f'commit: "{second}"' in (renewed or "")


def test_code_that_is_not_pushed_is_told(clone: Clone, served: Path) -> None:
    (clone.trainer / "train.py").write_text("new")
    _, note = frozen(clone.sweep("demo"), f"code: {{source: git, url: '{served}'}}\n")
    assert note.endswith(f" of {served}; trainer is different here: commit and push it, then --repin")


def test_a_ref_or_a_commit_that_is_named_is_pinned(clone: Clone, served: Path) -> None:
    files, first, tree = clone.sweep("demo"), git(clone, "rev-parse", "HEAD"), git(clone, "rev-parse", "HEAD:trainer")
    git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/old", "HEAD:refs/tags/v1")
    (clone.trainer / "train.py").write_text("new")
    second = commit(clone, push=True)
    for named in ("ref: old", "ref: v1", f"commit: '{first}'", f"commit: '{first}', tree: '{tree}'"):
        text, _ = frozen(files, f"code: {{source: git, url: '{served}', {named}}}\n", repin=True)
        assert f'commit: "{first}"' in (text or files.code.read_text())
    with pytest.raises(BadInput, match=rf"^code\.ref: {served} has no nowhere; write a branch or tag that is there"):
        frozen(files, f"code: {{source: git, url: '{served}', ref: nowhere}}\n", repin=True)
    with pytest.raises(BadInput, match=rf"^code\.tree: is {tree[:12]}, but trainer in commit {second[:12]} of "):
        frozen(files, f"code: {{source: git, url: '{served}', commit: '{second}', tree: '{tree}'}}\n", repin=True)


def test_a_pin_written_by_hand_is_checked(clone: Clone, served: Path) -> None:
    files, head = clone.sweep("demo"), f"code: {{source: git, url: '{served}'}}\n"
    text, _ = frozen(files, head)
    assert text
    for wrong, line in (
        ("commit", r"^code\.commit: .* has no commit 1{40}; push it$"),
        ("tree", r"^code\.tree: is 1{12}, but"),
    ):
        files.code.write_text(re.sub(f'{wrong}: "[0-9a-f]+"', f'{wrong}: "{"1" * 40}"', text))
        with pytest.raises(BadInput, match=line):
            frozen(files, head)


def test_what_nobody_could_fetch_is_not_pinned(clone: Clone, served: Path) -> None:
    files = clone.sweep("demo")
    with pytest.raises(BadInput, match=r"^code\.url: is missing; write the repository"):
        frozen(files, "code: {source: git}\n")
    with pytest.raises(BadInput, match=r"^code\.url: /nowhere: .*; check the address, and that you may read it$"):
        frozen(files, "code: {source: git, url: /nowhere}\n")
    with pytest.raises(BadInput, match=r"^code\.path: empty is not a folder in commit [0-9a-f]{12} of "):
        frozen(files, f"code: {{source: git, url: '{served}', path: empty}}\n")


def test_a_project_in_a_monorepo_is_pinned_from_the_top(clone: Clone, tmp_path: Path) -> None:
    shutil.rmtree(clone.root / ".git")
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=all"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)
    text, _ = frozen(clone.sweep("demo"), f"code: {{source: git, url: '{tmp_path}'}}\n")
    pin = code.parse(text or "", "code.yaml")
    assert isinstance(pin, Pin)
    assert (pin.path, pin.tree) == ("clone/trainer", git(clone, "rev-parse", "HEAD:./trainer"))
    bundle, _ = frozen(clone.sweep("demo"), "code: {source: bundle, path: trainer}\n", repin=True)
    assert 'path: "trainer"' in (bundle or "")


def test_another_source_needs_repin(clone: Clone, served: Path) -> None:
    files, from_git = clone.sweep("demo"), f"code: {{source: git, url: '{served}'}}\n"
    frozen(files, "")
    with pytest.raises(BadInput, match=r"^values/demo/code\.yaml: code\.source: is bundle, and values\.yaml says git"):
        frozen(files, from_git)
    text, _ = frozen(files, from_git, repin=True)
    assert "source: git" in (text or "")
    back, _ = frozen(files, "code: {source: bundle}\n", repin=True)
    assert "source: bundle" in (back or "")
