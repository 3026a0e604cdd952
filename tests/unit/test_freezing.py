"""Whether code.yaml is written, and with what: bundle or git."""

from __future__ import annotations

import subprocess

import pytest

from sweep import code, freezing
from sweep.code import Pin
from sweep.errors import BadInput
from sweep.layout import Clone, SweepFiles
from sweep.spaces import valuesfile

HEAD = "sweep: demo\ntrials: [{}]\n"
FROM_GIT = "code: {source: git, url: 'ssh://git@h/r.git'}\n"


def git(clone: Clone, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=clone.root, check=True, capture_output=True, text=True).stdout.strip()


def frozen(files: SweepFiles, head: str, *, repin: bool = False, dirty_allowed: bool = False) -> tuple[str | None, str]:
    values = valuesfile.parse(HEAD + head, "values.yaml")
    text, said = freezing.text(files, values, None, repin=repin, dirty_allowed=dirty_allowed)
    if text is not None:
        files.code.write_text(text)
    return text, said


def test_git_is_pinned_and_kept_until_repin(clone: Clone) -> None:
    files = clone.sweep("demo")
    text, said = frozen(files, FROM_GIT)
    commit = git(clone, "rev-parse", "HEAD")
    assert said == f"code pinned at trainer of commit {commit[:12]}"
    assert code.parse(text or "", "code.yaml") == Pin(
        "ssh://git@h/r.git", "trainer", git(clone, "rev-parse", "HEAD:trainer"), commit
    )
    assert frozen(files, FROM_GIT) == (None, "")
    (clone.trainer / "train.py").write_text("new")
    git(clone, "commit", "--quiet", "--all", "--message=new")
    kept = "trainer has changed since its code was frozen (trainer); --repin renews it"
    assert frozen(files, FROM_GIT) == (None, kept)
    renewed, _ = frozen(files, FROM_GIT, repin=True)
    assert git(clone, "rev-parse", "HEAD:trainer") in (renewed or "")


def test_what_is_not_committed_is_refused_even_where_dirt_is_allowed(clone: Clone) -> None:
    (clone.trainer / "train.py").write_text("new")
    with pytest.raises(BadInput, match=r"^trainer/train\.py: has uncommitted changes, which code\.source: git cannot"):
        frozen(clone.sweep("demo"), FROM_GIT, dirty_allowed=True)


def test_another_source_needs_repin(clone: Clone) -> None:
    files = clone.sweep("demo")
    frozen(files, "")
    with pytest.raises(BadInput, match=r"^values/demo/code\.yaml: code\.source: is bundle, and values\.yaml says git"):
        frozen(files, FROM_GIT)
    text, _ = frozen(files, FROM_GIT, repin=True)
    assert "source: git" in (text or "")
    back, _ = frozen(files, "code: {source: bundle}\n", repin=True)
    assert "source: bundle" in (back or "")
