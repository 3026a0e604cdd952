"""Git as the scripts use it, in throwaway repositories without anybody's configuration."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweep import commits, git
from sweep.errors import BadInput, MachineFault, SweepError
from sweep.origin import address_of


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)
    for key in ("EMAIL", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(key, raising=False)


def call(root: Path, *words: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    return subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True).stdout


def commit(root: Path, paths: list[str], message: str) -> commits.Commit | None:
    return commits.commit(root, paths, message, lambda _: None)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository under a nasty name, with a.txt and b.txt committed."""
    root = tmp_path / "my [re]po é"
    root.mkdir()
    call(root, "init", "--quiet", "--initial-branch=main")
    for name in ("a.txt", "b.txt"):
        (root / name).write_text("1\n")
    call(root, "add", "--all")
    call(root, "commit", "--quiet", "--message=first")
    return root


def test_a_commit_holds_exactly_the_paths_and_leaves_the_rest_staged(repo: Path) -> None:
    (repo / "a.txt").write_text("mine\n")
    (repo / "other.txt").write_text("staged by the person\n")
    call(repo, "add", "a.txt", "other.txt")
    (repo / "b.txt").write_text("2\n")
    (repo / "new file [1].txt").write_text("x\n")
    (repo / "new file 1.txt").write_text("not named, only like a pattern\n")
    committed = commit(repo, ["b.txt", "new file [1].txt"], "demo: 8 trials\n\n# not a comment")
    assert committed
    assert committed.sha == git.head(repo)
    assert call(repo, "show", "--name-only", "--format=%B", "HEAD").split("\n") == [
        "demo: 8 trials",
        "",
        "# not a comment",
        "",
        "",
        "b.txt",
        "new file [1].txt",
        "",
    ]
    assert call(repo, "status", "--porcelain").split("\n") == ["M  a.txt", "A  other.txt", '?? "new file 1.txt"', ""]


def test_nothing_changed_is_no_commit(repo: Path) -> None:
    before = git.head(repo)
    assert commit(repo, ["a.txt", "b.txt"], "x") is None
    assert git.head(repo) == before


def test_without_an_identity_it_uses_its_own_and_says_so(repo: Path) -> None:
    (repo / "a.txt").write_text("2\n")
    committed = commit(repo, ["a.txt"], "x")
    assert committed
    assert committed.own_identity
    assert git.author(repo, committed.sha) == "helm-sweep <helm-sweep@localhost>"


def test_a_configured_identity_is_used(repo: Path) -> None:
    call(repo, "config", "user.name", "Ada")
    call(repo, "config", "user.email", "ada@example.org")
    (repo / "a.txt").write_text("2\n")
    committed = commit(repo, ["a.txt"], "x")
    assert committed
    assert not committed.own_identity
    assert git.author(repo, committed.sha) == "Ada <ada@example.org>"


def test_the_first_commit_and_a_detached_head_are_fine(repo: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    call(fresh, "init", "--quiet")
    (fresh / "a.txt").write_text("1\n")
    assert git.head(fresh) is None
    assert git.dirty(fresh) == ["a.txt"]
    assert commit(fresh, ["a.txt"], "x")
    call(repo, "checkout", "--quiet", "--detach")
    (repo / "a.txt").write_text("2\n")
    assert commit(repo, ["a.txt"], "x")


def test_a_hook_is_honoured_and_the_index_is_as_before(repo: Path) -> None:
    hook = repo / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no trailing whitespace >&2\necho line two >&2\nexit 1\n")
    hook.chmod(0o755)
    (repo / "a.txt").write_text("2\n")
    (repo / "new.txt").write_text("x\n")
    with pytest.raises(BadInput, match=r"^git commit: refused: no trailing whitespace \| line two; mend it and run"):
        commit(repo, ["a.txt", "new.txt"], "x")
    assert call(repo, "status", "--porcelain").split("\n") == [" M a.txt", "?? new.txt", ""]
    hook.unlink()
    assert commit(repo, ["a.txt", "new.txt"], "x")


def test_a_merge_and_a_rebase_in_progress_are_refused(repo: Path) -> None:
    call(repo, "checkout", "--quiet", "-b", "side")
    (repo / "a.txt").write_text("side\n")
    call(repo, "commit", "--quiet", "--all", "--message=side")
    call(repo, "checkout", "--quiet", "main")
    (repo / "a.txt").write_text("main\n")
    call(repo, "commit", "--quiet", "--all", "--message=main")
    for verb in ("merge", "rebase", "cherry-pick"):
        with pytest.raises(subprocess.CalledProcessError):
            call(repo, verb, "side")
        message = f"^git: a {verb} is in progress; finish it, or stop it with `git {verb} --abort`$"
        with pytest.raises(BadInput, match=message):
            commit(repo, ["a.txt"], "x")
        call(repo, verb, "--abort")


def test_an_ignored_path_is_refused(repo: Path) -> None:
    (repo / ".gitignore").write_text("*.yaml\n")
    (repo / "values.yaml").write_text("x\n")
    with pytest.raises(BadInput, match=r"^values.yaml: git ignores it, but a sweep is a commit; see `git check-ignore"):
        commit(repo, ["values.yaml"], "x")


def test_dirty_names_what_differs_below_the_paths(repo: Path) -> None:
    assert git.dirty(repo) == []
    (repo / "trainer").mkdir()
    (repo / "trainer" / "neu ä.py").write_text("x\n")
    (repo / "a.txt").unlink()
    assert sorted(git.dirty(repo)) == ["a.txt", "trainer/neu ä.py"]
    assert git.dirty(repo, "trainer", "b.txt") == ["trainer/neu ä.py"]


def test_content_and_tree_of_a_commit(repo: Path) -> None:
    first = git.head(repo)
    assert first
    (repo / "a.txt").write_text("2\n")
    (repo / "d").mkdir()
    (repo / "d" / "f").write_text("x\n")
    commit(repo, ["a.txt", "d/f"], "x")
    assert (git.show(repo, first, "a.txt"), git.show(repo, "HEAD", "a.txt")) == (b"1\n", b"2\n")
    assert git.show(repo, "HEAD", "none") is None
    assert git.tree(repo, "none") is None
    assert git.tree(repo, "d") == call(repo, "rev-parse", "HEAD:d").strip()


BREAK = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"garbage"),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("how", BREAK)
@pytest.mark.parametrize("broken", ["HEAD", "HEAD^{tree}", "HEAD:d", "HEAD:d/f"])
def test_what_git_cannot_read_is_no_file_that_is_not_there(repo: Path, broken: str, how: str) -> None:
    (repo / "d").mkdir()
    (repo / "d" / "f").write_text("x\n" * 1000)
    call(repo, "add", "--all")
    call(repo, "commit", "--quiet", "--message=second")
    head, sha, blob = (call(repo, "rev-parse", name).strip() for name in ("HEAD", broken, "HEAD:d/f"))
    assert git.show(repo, head, "d/f") == git.blob(repo, blob) == git.blobs(repo, [blob])[blob]
    path = repo / ".git" / "objects" / sha[:2] / sha[2:]
    path.chmod(0o644)
    BREAK[how](path)
    reads: dict[str, Callable[[], Any]] = {}
    if broken == "HEAD":
        reads["head"] = lambda: git.head(repo)
        if how != "gone":  # a commit that is not there may be one of another clone
            reads["show"] = lambda: git.show(repo, head, "d/f")
            reads["has_commit"] = lambda: git.has_commit(repo, head)
            reads["is_ancestor"] = lambda: git.is_ancestor(repo, head, "HEAD")
            reads["differs"] = lambda: git.differs(repo, head, "d")
    else:
        reads["show"] = lambda: git.show(repo, head, "d/f")
    if broken == "HEAD:d/f" and how != "gone":
        reads["blob"] = lambda: git.blob(repo, blob)
        reads["blobs"] = lambda: git.blobs(repo, ["0" * 40, blob])
    for name, read in reads.items():
        with pytest.raises(MachineFault, match=r"; look at `git fsck`, and clone anew what is pushed$") as caught:
            pytest.fail(f"{name}: {read()}")
        assert "\n" not in str(caught.value)


def test_what_is_not_there_is_none(repo: Path) -> None:
    head = git.head(repo)
    assert head
    for commit in (head, "HEAD", "0" * 39 + "1", "unknown", "no such branch"):
        for path in ("none", "d/none", "a.txt/none", "d", "x blob 5"):
            assert git.show(repo, commit, path) is None
    assert (git.blob(repo, "0" * 39 + "1"), git.blob(repo, head)) == (None, None)
    assert git.blobs(repo, ["0" * 39 + "1", head]) == {}
    assert not git.has_commit(repo, "unknown")
    assert git.is_ancestor(repo, "0" * 39 + "1", "HEAD") is None
    assert git.is_ancestor(repo, "HEAD", head) is True


def test_before_the_first_commit_there_is_nothing(tmp_path: Path) -> None:
    call(tmp_path, "init", "--quiet", "--initial-branch=main")
    assert git.position(tmp_path) == git.Position("refs/heads/main", None)
    assert git.show(tmp_path, "HEAD", "a.txt") is None
    assert git.is_ancestor(tmp_path, "HEAD", "HEAD") is None


def test_no_exit_code_but_no_is_an_answer(repo: Path) -> None:
    head = git.head(repo) or ""
    with (repo / ".git" / "config").open("a") as opened:
        opened.write("[broken\n")
    reads = [
        lambda: git.show(repo, "HEAD", "none"),
        lambda: git.blob(repo, "0" * 40),
        lambda: git.blobs(repo, ["0" * 40]),
        lambda: git.head(repo),
        lambda: git.position(repo),
        lambda: git.has_commit(repo, head),
        lambda: git.is_ancestor(repo, head, "HEAD"),
        lambda: git.differs(repo, head, "a.txt"),
        lambda: git.is_ignored(repo, "a.txt"),
    ]
    for number, read in enumerate(reads):
        with pytest.raises(SweepError, match="bad config line"):
            pytest.fail(f"{number}: {read()}")


def test_a_commit_is_on_a_remote_once_it_is_pushed(repo: Path, tmp_path: Path) -> None:
    call(tmp_path, "init", "--quiet", "--bare", "remote.git")
    call(repo, "remote", "add", "origin", str(tmp_path / "remote.git"))
    head = git.head(repo)
    assert head
    assert not git.is_on_remote(repo, head)
    call(repo, "push", "--quiet", "origin", "main")
    assert git.is_on_remote(repo, head)


def test_no_repository_and_no_git_are_one_line(tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git.root(repo / ".git" / "..") == repo
    with pytest.raises(BadInput, match=r"not in a git repository; clone it with git, or run `git init`$"):
        git.root(tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BadInput, match=r"^git: not installed"):
        git.root(repo)


def test_a_surrounding_hook_does_not_name_our_repository(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent/index")
    assert git.root(repo) == repo
    assert git.files(repo) == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:secret@git.example.org:8443/a/b.git", "https://git.example.org:8443/a/b.git"),
        ("https://token@git.example.org/a?private_token=x", "https://git.example.org/a"),
        ("ssh://git@git.example.org/a/b", "ssh://git.example.org/a/b"),
        ("https://a@b:p@ss@git.example.org/c@d", "https://git.example.org/c@d"),
        ("git@git.example.org:a/b.git", "git@git.example.org:a/b.git"),
        ("/srv/git/a", "/srv/git/a"),
    ],
)
def test_the_address_of_a_repository_is_told_without_credentials(repo: Path, address: str, shown: str) -> None:
    assert address_of(repo) == ""
    git.output(repo, "remote", "add", "mine", address)
    assert address_of(repo) == shown
    git.output(repo, "remote", "add", "origin", "https://git.example.org/o")
    assert address_of(repo) == "https://git.example.org/o"
