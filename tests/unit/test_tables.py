"""Every results.csv that there ever was, found again in Git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sweep import git, worktrees
from sweep.audit import ledger, tables, tracing
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.records import results
from tests.unit.stores import row

ONE, TWO, THREE = (row({"lr": lr}) for lr in (0.1, 0.2, 0.3))


def call(root: Path, *words: str) -> str:
    own = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", *words]
    return subprocess.run(own, cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def commit(root: Path) -> str:
    call(root, "add", "--all")
    call(root, "commit", "--quiet", "--message=m")
    return call(root, "rev-parse", "HEAD")


def write(root: Path, sweep: str, *rows: results.Row) -> None:
    results.write(root / "values" / sweep / "results.csv", rows)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    call(tmp_path, "init", "--quiet")
    (tmp_path / "values").mkdir()
    return Clone(tmp_path)


def seen(clone: Clone, sweep: str = "") -> list[tuple[str, str, bool, set[str]]]:
    return [(table.sweep, table.commit, table.current, table.ids) for table in tables.everywhere(clone, sweep)]


def test_the_work_tree_comes_first_then_history_from_new_to_old_each_version_once(clone: Clone) -> None:
    assert seen(clone) == []
    write(clone.root, "s", ONE)
    assert seen(clone) == [("s", "", True, {ONE.id})], "before the first commit"
    first = commit(clone.root)
    write(clone.root, "s", ONE, TWO)
    (clone.root / "values/s/values.yaml").write_text("a: 1\n")
    second = commit(clone.root)
    assert seen(clone) == [("s", second, True, {ONE.id, TWO.id}), ("s", first, False, {ONE.id})]
    write(clone.root, "s", THREE)
    write(clone.root, "other", ONE)
    assert [version[:3] for version in seen(clone, "s")] == [("s", "", True), ("s", second, False), ("s", first, False)]
    assert len(seen(clone)) == 4


def test_other_branches_merges_and_deleted_files_are_history_too(clone: Clone) -> None:
    write(clone.root, "s", ONE)
    commit(clone.root)
    call(clone.root, "checkout", "--quiet", "-b", "other")
    write(clone.root, "s", ONE, TWO)
    commit(clone.root)
    call(clone.root, "checkout", "--quiet", "main")
    write(clone.root, "t", THREE)
    commit(clone.root)
    call(clone.root, "merge", "--quiet", "--no-edit", "other")
    call(clone.root, "branch", "-D", "other")
    call(clone.root, "rm", "-r", "--quiet", "values")
    commit(clone.root)
    assert {(name, frozenset(ids)) for name, _, _, ids in seen(clone)} == {
        ("s", frozenset({ONE.id})),
        ("s", frozenset({ONE.id, TWO.id})),
        ("t", frozenset({THREE.id})),
    }
    ((table, row),), problems = tables.find(clone, THREE.id[:6])
    assert problems == []
    assert (table.sweep, row) == ("t", THREE)
    assert git.show(clone.root, table.commit, "values/t/results.csv") == table.data


def test_a_table_that_cannot_be_read_still_names_its_trials(clone: Clone) -> None:
    path = clone.root / "values/s/results.csv"
    path.parent.mkdir()
    path.write_text(f"schema_version,id,other\n99,{ONE.id},x\n")
    (table,) = tables.everywhere(clone)
    assert (table.ids, table.rows) == ({ONE.id}, {})
    assert table.problem == "values/s/results.csv:1: the header lacks status, seed"
    assert tables.find(clone, ONE.id[:6]) == ([], [table.problem])
    with pytest.raises(BadInput, match=f"^TRIAL={ONE.id}: what names it cannot be read: values/s/results.csv:1: the"):
        tracing.of(clone, ONE.id)
    assert table.problem in ledger.read(clone).problems
    path.write_text("not a table at all\n")
    assert ledger.read(clone).problems == ["values/s/results.csv:1: the header lacks schema_version, id, status, seed"]


def test_blobs_that_are_not_there_are_left_out(clone: Clone) -> None:
    write(clone.root, "s", ONE)
    commit(clone.root)
    ((version,),) = (git.versions(clone.root, "values"),)
    held = git.blobs(clone.root, ["0" * 40, version.blob, version.blob])
    assert held == {version.blob: (clone.root / version.path).read_bytes()}
    assert git.blob_hash(held[version.blob], like=version.blob) == version.blob


def test_a_commit_is_checked_out_elsewhere_and_the_work_tree_stays(clone: Clone) -> None:
    write(clone.root, "s", ONE)
    first = commit(clone.root)
    call(clone.root, "rm", "-r", "--quiet", "values")
    commit(clone.root)
    hook = clone.root / ".git/hooks/post-checkout"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with worktrees.checked_out(clone.root, first) as folder:
        assert (folder / "values/s/results.csv").exists()
    assert not folder.exists()
    assert call(clone.root, "worktree", "list").count("\n") == 0
    assert call(clone.root, "status", "--porcelain") == ""
