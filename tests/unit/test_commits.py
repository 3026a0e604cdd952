"""Commits of ours in throwaway repositories: what a dead git left, who else is at work, and what is the person's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweep import commits, git, locks
from sweep.errors import BadInput
from tests import waiting

SCRIPTS = Path(commits.__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n name = Ada\n email = ada@example.org\n[init]\n defaultBranch = main\n")
    for key, value in {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)


def call(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """`ours.csv` is committed and changed since, `new.csv` not known yet; beside them the work of a person:
    `staged` and `added` are staged, `edited` is not, and `unknown` is not known to git.
    """
    root = tmp_path / "a, \"clone\" 'of' ä"
    root.mkdir()
    call(root, "init", "--quiet")
    for name in ("ours.csv", "staged", "edited"):
        (root / name).write_text("1\n")
    call(root, "add", "--all")
    call(root, "commit", "--quiet", "--message=first")
    for name in ("ours.csv", "new.csv", "staged", "added", "edited", "unknown"):
        (root / name).write_text("2\n")
    call(root, "add", "staged", "added")
    return root


OURS = ["ours.csv", "new.csv"]
PERSONS = ["A  added", " M edited", "M  staged", "?? unknown"]


def status(root: Path) -> list[str]:
    return sorted(call(root, "status", "--porcelain", "--no-renames").splitlines(), key=lambda line: line[3:])


def commit(root: Path, messages: list[str] | None = None, paths: list[str] | None = None) -> commits.Commit | None:
    return commits.commit(root, paths or OURS, "results: 2", (messages if messages is not None else []).append)


def check_committed(root: Path, content: str = "2\n", count: int = 2) -> None:
    """Exactly ours is in the commit, the person's work is as it was, and nothing of a turn is left."""
    assert call(root, "rev-list", "--count", "HEAD").strip() == str(count)
    assert call(root, "show", "--name-only", "--format=%s", "HEAD").split() == ["results:", "2", *sorted(OURS)]
    assert {call(root, "show", f"HEAD:{name}") for name in OURS} == {content}
    assert status(root) == PERSONS
    assert not [*(root / ".git").glob("*.lock"), *(root / ".git").glob("refs/heads/*.lock")]
    assert not [*(root / ".git").glob("helm-sweep*"), *(root / ".git").glob("next-index*")]


def hook(root: Path, name: str, text: str) -> Path:
    path = root / ".git" / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\nset -e\n{text}\n")
    path.chmod(0o755)
    return path


# ---- what a dead git left ----


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/main.lock"])
def test_the_lock_of_a_dead_git_is_removed_and_said(repo: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.05)
    (repo / ".git" / name).touch()
    messages: list[str] = []
    assert commit(repo, messages)
    assert messages == [f"git: removed {repo}/.git/{name}, which a git that has ended left behind"]
    check_committed(repo)


@pytest.mark.parametrize("name", ["config.lock", "packed-refs.lock", "MERGE_RR.lock", "shallow.lock"])
def test_a_lock_of_what_a_commit_does_not_need_is_nothing_to_it(repo: Path, name: str) -> None:
    call(repo, "config", "rerere.enabled", "true")
    (repo / ".git" / name).touch()
    assert commit(repo)
    (repo / ".git" / name).unlink()
    check_committed(repo)


def test_indexes_of_the_dead_are_cleared_away(repo: Path) -> None:
    shutil.copy(repo / ".git/index", repo / ".git/next-index-4711.lock")
    (repo / ".git/helm-sweep.abcd").mkdir()
    (repo / ".git/helm-sweep.abcd/commit.lock").touch()
    assert commit(repo)
    check_committed(repo)


def test_what_a_killed_writer_left_in_values_goes_with_the_next_turn(repo: Path) -> None:
    for name in (".ours.csv.k1ll3d_x.tmp", ".new.csv.abcdefgh.tmp", ".edited.abcdefgh.tmp"):
        (repo / name).write_text("half")
    assert commit(repo)
    assert [path.name for path in repo.glob(".*.tmp")] == [".edited.abcdefgh.tmp"], "that of another file is another's"
    (repo / ".edited.abcdefgh.tmp").unlink()
    check_committed(repo)


def test_a_lock_of_a_dead_sweep_is_removed_at_once(repo: Path) -> None:
    (repo / ".git/index.lock").write_bytes(b"helm-sweep 4711\n")
    messages: list[str] = []
    assert commit(repo, messages)
    assert messages == []
    check_committed(repo)


def test_a_half_commit_is_mended(repo: Path) -> None:
    """HEAD was moved, and the index was not."""
    before = (repo / ".git/index").read_bytes()
    assert commit(repo)
    (repo / ".git/index").write_bytes(before)
    assert status(repo) == [
        "A  added",
        " M edited",
        "D  new.csv",
        "?? new.csv",
        "MM ours.csv",
        "M  staged",
        "?? unknown",
    ]
    assert commit(repo) is None
    check_committed(repo)


def test_entries_that_were_only_announced_are_mended(repo: Path) -> None:
    """What an earlier helm-sweep left behind when it was killed."""
    call(repo, "add", "--intent-to-add", "new.csv")
    assert commit(repo)
    check_committed(repo)


# ---- who else is at it ----


EDITORS = pytest.mark.parametrize(("words", "held"), [([], ""), (["--all"], "/.git/index.lock")])
"""Only with --all, or paths, does `git commit` hold the index while its editor is open."""


@pytest.fixture
def editor(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Start a `git commit` of a repository that waits for its editor; returns the file that closes the editor."""
    started: list[subprocess.Popen[bytes]] = []
    gate, opened = tmp_path / "gate", tmp_path / "opened"
    script = f'touch "{opened}"; while [ ! -e "{gate}" ]; do sleep 0.01; done; echo by hand >"$1"'

    def start(root: Path, *more: str) -> Path:
        words = ["git", "-c", f"core.editor=sh -c '{script}' -", "commit", "--quiet", *more]
        started.append(subprocess.Popen(words, cwd=root))
        until(opened.exists, "the editor is open")
        return gate

    yield start
    gate.touch()
    for process in started:
        assert process.wait(60) == 0


def until(condition: Callable[[], object], what: str) -> None:
    waiting.until(condition, what)


@EDITORS
def test_an_open_editor_is_waited_for_and_then_both_commits_are_there(
    repo: Path, editor: Callable[..., Path], words: list[str], held: str
) -> None:
    gate = editor(repo, *words)
    messages: list[str] = []

    def say(text: str) -> None:
        messages.append(text)
        gate.touch()

    assert commits.commit(repo, OURS, "results: 2", say)
    assert [text.partition("(process")[0] for text in messages] == [f"git: {repo}{held}: waits for `git commit` "]
    assert messages[0].endswith("), 10 minutes at most")
    assert call(repo, "log", "--format=%s").split("\n") == ["results: 2", "by hand", "first", ""]
    assert status(repo) == [*([] if words else [" M edited"]), "?? unknown"]


@EDITORS
def test_an_editor_that_stays_open_is_named_before_anything_is_written(
    repo: Path, editor: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, words: list[str], held: str
) -> None:
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.0)
    editor(repo, *words)
    before = git.head(repo)
    message = r"`git commit` \(process \d+\) has not ended in 0\.3 seconds; end it, then run the same again"
    with pytest.raises(BadInput, match=f"^git: .*{held}: {message}$"), commits.turn(repo, OURS, print):
        raise AssertionError("that is where files are written")
    assert git.head(repo) == before


def test_whoever_has_the_lock_open_is_no_dead_one(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An IDE that works without the git program."""
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.0)
    with (repo / ".git/index.lock").open("w") as held:
        holder = subprocess.Popen(["sleep", "600"], stdout=held, cwd="/")
    try:
        with pytest.raises(BadInput, match=rf"index\.lock: sleep \(process {holder.pid}\) has not ended in 0\.2 sec"):
            commit(repo)
    finally:
        holder.kill()
        holder.wait()
    assert commit(repo)
    check_committed(repo)


def test_a_git_that_only_reads_or_works_elsewhere_holds_nothing(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "STALE_SECONDS", 0.0)
    (repo / ".git/index.lock").touch()
    readers = [
        subprocess.Popen(["git", "cat-file", "--batch"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for folder in (repo, SCRIPTS)
    ]
    assert commit(repo)
    for reader in readers:
        reader.communicate()
    check_committed(repo)


def test_three_at_once_all_commit_and_the_index_is_clean(repo: Path) -> None:
    rounds = 20
    gate = repo.parent / "begin"
    program = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(SCRIPTS)!r})
from sweep import commits
root, name = Path(sys.argv[1]), sys.argv[2]
while not Path({str(gate)!r}).exists(): time.sleep(0.001)
for n in range({rounds}):
    with commits.turn(root, [name], print) as turn:
        (root / name).write_text(f"{{n}}\\n")
        assert turn.commit(f"{{name}} {{n}}")
"""
    names = ["aa", "bb", "cc"]
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(repo), name], stdout=subprocess.PIPE) for name in names
    ]
    gate.touch()
    for process in started:
        process.communicate(timeout=300)
    assert [process.returncode for process in started] == [0, 0, 0]
    subjects = call(repo, "log", "--format=%s", "--reverse").splitlines()[1:]
    assert len(subjects) == 3 * rounds
    for name in names:
        assert [line for line in subjects if line.startswith(name)] == [f"{name} {n}" for n in range(rounds)]
    assert status(repo) == sorted([*PERSONS, "?? new.csv", " M ours.csv"], key=lambda line: line[3:])
    for line in call(repo, "log", "--format=%s %H", f"-{3 * rounds}").splitlines():
        name, n, sha = line.split()
        assert call(repo, "show", "--format=", "--name-only", sha).split() == [name]
        assert call(repo, "show", f"{sha}:{name}") == f"{n}\n"


def test_a_request_to_end_takes_the_locks_along(repo: Path) -> None:
    """As when the terminal is closed: no lock stays in the person's way."""
    hook(repo, "pre-commit", "touch ../at-it; while [ ! -e ../go-on ]; do sleep 0.01; done")
    program = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\nfrom sweep import commits\nfrom pathlib import Path\n"
    program += f"commits.commit(Path(sys.argv[1]), {OURS!r}, 'x', print)"
    for number in (signal.SIGTERM, signal.SIGHUP):
        (repo.parent / "at-it").unlink(missing_ok=True)
        started = subprocess.Popen([sys.executable, "-c", program, str(repo)], stderr=subprocess.PIPE)
        until((repo.parent / "at-it").exists, "the hook runs")
        started.send_signal(number)
        assert b"KeyboardInterrupt" in started.communicate(timeout=60)[1]
        assert not [*(repo / ".git").glob("*.lock"), *(repo / ".git").glob("helm-sweep*")]
    (repo.parent / "go-on").touch()
    assert commit(repo)
    check_committed(repo)


# ---- what the person has begun ----


def conflict(root: Path) -> None:
    """Two branches that cannot be merged by themselves; `side` has two commits more."""
    call(root, "stash", "--quiet")
    call(root, "checkout", "--quiet", "-b", "side")
    for text in ("side", "more"):
        (root / "edited").write_text(f"{text}\n")
        call(root, "commit", "--quiet", "--all", f"--message={text}")
    call(root, "checkout", "--quiet", "main")
    (root / "edited").write_text("main\n")
    call(root, "commit", "--quiet", "--all", "--message=main")


@pytest.mark.parametrize(
    ("words", "verb", "end"),
    [
        (["merge", "side"], "merge", "--abort"),
        (["rebase", "side"], "rebase", "--abort"),
        (["rebase", "--apply", "side"], "rebase", "--abort"),
        (["cherry-pick", "side"], "cherry-pick", "--abort"),
        (["revert", "--no-edit", "side"], "revert", "--abort"),
        (["am", "../0001-side.patch"], "am", "--abort"),
        (["bisect", "start"], "bisect", "reset"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_the_person_has_begun_is_named_before_anything_is_written(
    repo: Path, words: list[str], verb: str, end: str
) -> None:
    conflict(repo)
    call(repo, "format-patch", "--quiet", "-1", "side~1", "--output-directory=..")
    subprocess.run(["git", *words], cwd=repo, capture_output=True, check=False)
    message = f"^git: a {verb} is in progress; finish it, or stop it with `git {verb} {end}`$"
    with pytest.raises(BadInput, match=message), commits.turn(repo, OURS, print):
        raise AssertionError("that is where files are written")
    call(repo, verb, end)
    (repo / "ours.csv").write_text("2\n")
    assert commit(repo, paths=["ours.csv"])


def test_between_two_picks_a_commit_of_ours_would_get_in_too(repo: Path) -> None:
    conflict(repo)
    subprocess.run(["git", "cherry-pick", "side~1", "side"], cwd=repo, capture_output=True, check=False)
    (repo / "edited").write_text("by hand\n")
    call(repo, "commit", "--quiet", "--all", "--message=picked")
    with pytest.raises(BadInput, match=r"^git: a cherry-pick is in progress"):
        commit(repo)


def test_a_rebase_that_is_at_work_is_waited_for(repo: Path, tmp_path: Path) -> None:
    gate, opened = tmp_path / "gate", tmp_path / "opened"
    call(repo, "stash", "--quiet")
    call(repo, "commit", "--quiet", "--allow-empty", "--message=second")
    script = f'touch "{opened}"; while [ ! -e "{gate}" ]; do sleep 0.01; done'
    words = ["git", "-c", f"sequence.editor=sh -c '{script}'", "rebase", "--quiet", "--interactive", "HEAD~1"]
    rebase = subprocess.Popen(words, cwd=repo)
    until(opened.exists, "the editor is open")
    (repo / "new.csv").write_text("2\n")
    messages: list[str] = []

    def say(text: str) -> None:
        messages.append(text)
        gate.touch()

    assert commits.commit(repo, OURS, "results: 2", say)
    assert rebase.wait(60) == 0
    assert messages[0].startswith("git: a rebase is in progress: waits for `git rebase` (process ")


def test_an_edit_that_was_staged_and_taken_back_is_nothing_to_commit(repo: Path) -> None:
    call(repo, "add", "ours.csv")
    (repo / "ours.csv").write_text("1\n")
    assert commit(repo, paths=["ours.csv"]) is None
    assert call(repo, "diff", "--name-only", "HEAD", "--", "ours.csv") == ""
    assert call(repo, "diff", "--name-only", "--cached").split() == ["added", "staged"]


def test_a_file_that_was_removed_is_removed(repo: Path) -> None:
    (repo / "ours.csv").unlink()
    assert commit(repo, paths=["ours.csv", "never there"])
    assert call(repo, "show", "--name-status", "--format=").split() == ["D", "ours.csv"]
    assert status(repo) == [*PERSONS[:2], "?? new.csv", *PERSONS[2:]]


def test_conflicts_elsewhere_in_the_index_stay(repo: Path) -> None:
    """As after a `git stash pop` that did not go through: there is no merge to finish."""
    call(repo, "stash", "--quiet")
    (repo / "edited").write_text("3\n")
    call(repo, "commit", "--quiet", "--all", "--message=second")
    assert subprocess.run(["git", "stash", "pop"], cwd=repo, capture_output=True, check=False).returncode == 1
    assert "UU edited" in status(repo)
    assert commit(repo)
    assert "UU edited" in status(repo)
    with pytest.raises(BadInput, match=r"^edited:1: a conflict of a merge; keep what is right, and remove the marked"):
        commit(repo, paths=["edited"])
    (repo / "edited").write_text("4\n")
    assert commit(repo, paths=["edited"])
    assert "edited" not in " ".join(status(repo))


def test_nothing_is_committed_to_another_branch_than_one_began_on(repo: Path) -> None:
    began = git.position(repo)
    call(repo, "checkout", "--quiet", "-b", "other")
    words = "git: other is checked out now, and it was main when this began; `git switch main` and run the same again"
    with pytest.raises(BadInput, match=f"^{words}: nothing is lost$"), commits.turn(repo, OURS, print, began):
        raise AssertionError("that is where files are written")
    call(repo, "checkout", "--quiet", "main")
    with commits.turn(repo, OURS, print, began) as turn:
        assert turn.commit("results: 2")
    check_committed(repo)


def test_a_history_that_was_rewritten_meanwhile_is_read_anew(repo: Path) -> None:
    began = git.position(repo)
    call(repo, "commit", "--quiet", "--amend", "--message=another first")
    assert began.commit
    with pytest.raises(BadInput, match=f"^git: {began.commit[:12]} is not in main any more; run the same again$"):
        commits.turn(repo, OURS, print, began).__enter__()


def test_on_a_detached_head_the_commit_is_made_and_said_to_be_on_no_branch(repo: Path) -> None:
    call(repo, "checkout", "--quiet", "--detach")
    messages: list[str] = []
    committed = commit(repo, messages)
    assert committed
    assert messages == [
        f"git: {committed.sha[:12]} is on no branch, for HEAD is detached; `git switch -c NAME` keeps it"
    ]
    check_committed(repo)


def test_the_first_commit_of_a_branch_holds_ours_alone(repo: Path) -> None:
    call(repo, "checkout", "--quiet", "--orphan", "fresh")
    assert commit(repo)
    assert call(repo, "ls-tree", "--name-only", "HEAD").split() == sorted(OURS)
    assert status(repo) == ["A  added", "AM edited", "A  staged", "?? unknown"]


# ---- line ends, filters, flags ----


@pytest.mark.parametrize("how", ["autocrlf", "attribute", "filter"])
def test_a_work_tree_that_git_holds_for_the_same_is_nothing_to_commit(repo: Path, how: str) -> None:
    assert commit(repo)
    if how == "autocrlf":
        call(repo, "config", "core.autocrlf", "true")
        (repo / "ours.csv").write_bytes(b"2\r\n")
    elif how == "attribute":
        (repo / ".git/info/attributes").write_text("*.csv text eol=crlf\n")
        (repo / "ours.csv").write_bytes(b"2\r\n")
    else:
        (repo / ".git/info/attributes").write_text("*.csv filter=upper\n")
        call(repo, "config", "filter.upper.clean", "sed s/TWO/2/")
        (repo / "ours.csv").write_text("TWO\n")
    assert commit(repo) is None
    check_committed(repo)
    (repo / "ours.csv").write_bytes((repo / "ours.csv").read_bytes() * 2)
    assert commit(repo)
    assert call(repo, "show", "HEAD:ours.csv") == "2\n2\n"
    assert commit(repo) is None
    assert status(repo) == PERSONS


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_what_git_was_told_to_overlook_is_no_secret_to_a_sweep(repo: Path, flag: str) -> None:
    call(repo, "update-index", flag, "ours.csv", "staged")
    (repo / "staged").write_text("3\n")
    assert sorted(git.dirty(repo)) == ["added", "edited", "new.csv", "ours.csv", "staged", "unknown"]
    assert git.dirty(repo, "staged") == ["staged"]
    assert commit(repo)
    assert call(repo, "show", "HEAD:ours.csv") == "2\n"
    assert git.dirty(repo, *OURS) == []


# ---- hooks ----


def test_a_hook_that_reformats_the_files_is_said_and_its_files_are_what_runs(repo: Path) -> None:
    hook(repo, "pre-commit", "for f in *.csv; do echo neat >$f; done; git add *.csv")
    messages: list[str] = []
    assert commit(repo, messages)
    assert messages == ["git: a hook has rewritten new.csv, ours.csv"] or messages == [
        "git: a hook has rewritten ours.csv, new.csv"
    ]
    check_committed(repo, "neat\n")


def test_a_hook_that_commits_something_else_than_the_files_is_refused_and_head_stays(repo: Path) -> None:
    before = git.head(repo)
    path = hook(
        repo, "pre-commit", "git update-index --cacheinfo 100644,$(echo neat | git hash-object -w --stdin),ours.csv"
    )
    with pytest.raises(
        BadInput, match=r"^git commit: a hook commits something else than what lies in ours.csv, so nob"
    ):
        commit(repo)
    assert git.head(repo) == before
    path.unlink()
    assert commit(repo)
    check_committed(repo)


def test_a_hook_that_takes_everything_back_is_named(repo: Path) -> None:
    path = hook(repo, "pre-commit", "git reset --quiet")
    before = git.head(repo)
    with pytest.raises(
        BadInput, match=r"^git commit: a hook commits something else than what lies in ours.csv, new.csv, "
    ):
        commit(repo)
    assert git.head(repo) == before
    path.unlink()
    assert commit(repo)
    check_committed(repo)


def test_what_a_hook_adds_to_the_commit_does_not_stay_staged(repo: Path) -> None:
    hook(repo, "pre-commit", "echo more >>log; git add log; echo 3 >staged; git add staged; echo 2 >staged")
    (repo / "log").write_text("")
    assert commit(repo)
    assert sorted(call(repo, "show", "--name-only", "--format=").split()) == ["log", "new.csv", "ours.csv", "staged"]
    assert status(repo) == PERSONS, "and what the person had staged is staged"


def test_hooks_run_as_in_any_commit(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TRACE", "1")
    hook(
        repo,
        "pre-commit",
        'test "$(git diff --cached --name-only | tr \'\\n\' \' \')" = "new.csv ours.csv "; git diff --quiet -- "*.csv"',
    )
    hook(repo, "prepare-commit-msg", 'echo "by $2" >>"$1"')
    hook(repo, "commit-msg", 'echo "Reviewed-by: a hook" >>"$1"')
    hook(repo, "post-commit", '[ -n "$AGAIN" ] || AGAIN=1 git commit --quiet --allow-empty --no-verify --message=after')
    committed = commit(repo)
    assert committed
    assert call(repo, "log", "-2", "--format=%s").split("\n") == [
        "after by message",
        "results: 2 by message Reviewed-by: a hook",
        "",
    ]
    assert "by message\nReviewed-by: a hook" in call(repo, "show", "--no-patch", "--format=%B", committed.sha)
    assert committed.sha == call(repo, "rev-parse", "HEAD^").strip()
    assert status(repo) == PERSONS


def test_a_long_message_is_kept_to_the_letter(repo: Path) -> None:
    call(repo, "config", "commit.cleanup", "strip")
    lines = [f"+ {n} ä" for n in range(30_000)]
    text = "\n".join(["results: 2", "", "# no comment", *lines])
    assert commits.commit(repo, OURS, text, print)
    assert call(repo, "show", "--no-patch", "--format=%B") == f"{text}\n\n"


def test_commits_are_signed_where_the_person_signs(repo: Path, tmp_path: Path) -> None:
    signer = tmp_path / "signer"
    signer.write_text("#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho signed by test\n")
    signer.chmod(0o755)
    call(repo, "config", "commit.gpgSign", "true")
    call(repo, "config", "gpg.program", "false")
    with pytest.raises(BadInput, match=r"^git commit: refused: error: gpg failed to sign the data"):
        commit(repo)
    call(repo, "config", "gpg.program", str(signer))
    assert commit(repo)
    assert "signed by test" in call(repo, "cat-file", "commit", "HEAD")
    check_committed(repo)


# ---- the environment ----


def test_variables_of_git_name_no_other_repository_and_change_nothing(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True)
    others = ["GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES", "GIT_EDITOR", "GIT_EXTERNAL_DIFF", "GIT_QUARANTINE_PATH"]
    others += ["GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_DIFF_OPTS", "GIT_PAGER", "GIT_SEQUENCE_EDITOR"]
    traces = ["GIT_TRACE", "GIT_TRACE2", "GIT_TRACE_SETUP", "GIT_TRACE_PACKET"]
    names = [name for name in local.stdout.split() if name != "GIT_CONFIG_COUNT"]
    assert {"GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_PARAMETERS"} <= set(names)
    for name in [*names, *others]:
        monkeypatch.setenv(name, str(tmp_path))
    for name in traces:
        monkeypatch.setenv(name, "1")
    (repo / "sub").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repo))
    assert git.root(repo / "sub") == repo
    assert commit(repo)
    monkeypatch.undo()
    check_committed(repo)


def test_variables_that_people_set_on_purpose_are_kept(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"GIT_SSH_COMMAND": "ssh -i key", "GIT_ASKPASS": "x", "GIT_CONFIG_GLOBAL": os.environ["GIT_CONFIG_GLOBAL"]}
    wanted |= {"GIT_AUTHOR_NAME": "Eve", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z", "GIT_SSL_CAINFO": "/ca"}
    wanted |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.email", "GIT_CONFIG_VALUE_0": "eve@example.org"}
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    assert git.environment().items() >= wanted.items()
    assert commit(repo)
    assert call(repo, "show", "--no-patch", "--format=%an <%ae> %cd", "HEAD").startswith(
        "Eve <eve@example.org> Wed Jan 1"
    )


def test_a_repository_of_somebody_else_is_refused_with_the_way_to_allow_it(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexport GIT_TEST_ASSUME_DIFFERENT_OWNER=1\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    for ask in (git.root, git.head, git.dirty, commit):
        with pytest.raises(
            BadInput, match=r"belongs to another user, so git does not read it; `git config --global --add"
        ):
            ask(repo)
