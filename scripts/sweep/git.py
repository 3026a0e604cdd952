"""Git, by thin calls of its command line. A failure is a BadInput of one line; nothing asks or opens an editor."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import BadInput
from sweep.words import shown

NAME, EMAIL = "helm-sweep", "helm-sweep@localhost"
UNFINISHED = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


@dataclass(frozen=True)
class Commit:
    """A commit that was made; `own_identity`: the person has none configured, so it is helm-sweep's."""

    sha: str
    own_identity: bool


@dataclass(frozen=True)
class Version:
    """A file as a commit left it."""

    path: str
    commit: str
    blob: str


def _run(folder: Path, *words: str, said: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    # A hook that calls us (pre-commit, say) sets GIT_DIR and GIT_INDEX_FILE, which would name another repository.
    env = {key: value for key, value in os.environ.items() if key not in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")}
    env.update(LC_ALL="C", GIT_TERMINAL_PROMPT="0", GIT_LITERAL_PATHSPECS="1")
    try:
        call = ["git", "-C", str(folder), *words]
        return subprocess.run(call, env=env, input=said, capture_output=True, check=False)
    except FileNotFoundError:
        raise BadInput("git: not installed, or not in PATH; install it") from None


def _git(folder: Path, *words: str) -> str:
    """Stdout of a git command that has to succeed."""
    done = _run(folder, *words)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace")
        lines = [line.removeprefix("fatal: ").removeprefix("error: ") for line in said.splitlines() if line.strip()]
        verb = next(word for word in words if word != "-c" and "=" not in word)
        raise BadInput(f"git {verb}: {' | '.join(lines[:4]) or f'ended with {done.returncode}'}")
    return done.stdout.decode(errors="surrogateescape")


def root(folder: Path) -> Path:
    """Top folder of the repository that `folder` lies in; raises BadInput where there is none."""
    done = _run(folder, "rev-parse", "--show-toplevel")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [""]
        if "not a git repository" in said[0]:
            raise BadInput(f"{folder}: not in a git repository; clone it with git, or run `git init`")
        raise BadInput(f"{folder}: {said[0].removeprefix('fatal: ')}")
    return Path(done.stdout.decode(errors="surrogateescape").removesuffix("\n"))


def head(repo: Path) -> str | None:
    """Commit that is checked out; None before the first one."""
    done = _run(repo, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return None if done.returncode else done.stdout.decode().strip()


def tree(repo: Path, folder: str, commit: str = "HEAD") -> str | None:
    """Git's hash of `folder` (relative to the top) in a commit; None if it is not in there."""
    done = _run(repo, "rev-parse", "--verify", "--quiet", f"{commit}:{folder}")
    return None if done.returncode else done.stdout.decode().strip()


def show(repo: Path, commit: str, path: str) -> bytes | None:
    """Content of a file at a commit, `path` relative to the top; None if it is not in there."""
    done = _run(repo, "show", f"{commit}:{path}")
    return None if done.returncode else done.stdout


def blob(repo: Path, sha: str) -> bytes | None:
    """The content that Git keeps under this hash; None if this clone has it not."""
    done = _run(repo, "cat-file", "blob", sha)
    return None if done.returncode else done.stdout


def commits(repo: Path, path: str) -> list[str]:
    """The commits that changed `path`, newest first."""
    return _git(repo, "log", "--format=%H", "--", path).split()


def versions(repo: Path, folder: str) -> list[Version]:
    """Every file below `folder` as every commit of every branch, tag and stash left it, newest first."""
    words = ["log", "--all", "--full-history", "-m", "--no-renames", "--raw", "--no-abbrev", "--format=%H"]
    made, commit = [], ""
    for line in _git(repo, "-c", "core.quotePath=false", *words, "--", folder).splitlines():
        if line.startswith(":"):
            about, _, path = line.partition("\t")
            if about[-1] != "D":
                made.append(Version(path, commit, about.split(" ")[3]))
        elif line:
            commit = line
    return made


def blobs(repo: Path, shas: Iterable[str]) -> dict[str, bytes]:
    """What Git keeps under these hashes, in one call; those that this clone does not have are left out."""
    wanted = list(dict.fromkeys(shas))
    told = _run(repo, "cat-file", "--batch", said="".join(f"{sha}\n" for sha in wanted).encode()).stdout
    found, at = {}, 0
    for sha in wanted:
        end = told.index(b"\n", at)
        words = told[at:end].split()
        at = end + 1
        if words[-1].isdigit():
            size = int(words[-1])
            found[sha] = told[at : at + size]
            at += size + 1
    return found


def blob_hash(data: bytes, like: str) -> str:
    """The hash that Git gives a file's content, of the same kind as `like`."""
    return hashlib.new("sha256" if len(like) == 64 else "sha1", b"blob %d\0" % len(data) + data).hexdigest()


def reachable(repo: Path) -> set[str]:
    """The commits that some branch, tag or stash contains."""
    return set(_git(repo, "rev-list", "--all").split())


def has_commit(repo: Path, commit: str) -> bool:
    return _run(repo, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def is_shallow(repo: Path) -> bool:
    return _git(repo, "rev-parse", "--is-shallow-repository").strip() == "true"


@contextmanager
def checked_out(repo: Path, commit: str) -> Iterator[Path]:
    """A temporary folder with a commit in it; the work tree, the index and the branches stay as they are."""
    with tempfile.TemporaryDirectory(prefix="helm-sweep-") as made:
        folder = Path(made).resolve() / "clone"
        hooks = ("-c", "core.hooksPath=/dev/null")  # they are about the person's own work
        _git(repo, *hooks, "worktree", "add", "--quiet", "--detach", str(folder), commit)
        try:
            yield folder
        finally:
            _run(repo, "worktree", "remove", "--force", "--force", str(folder))


def is_ancestor(repo: Path, older: str, newer: str) -> bool | None:
    """Whether `newer` contains `older`; None where this clone does not know one of them."""
    return {0: True, 1: False}.get(_run(repo, "merge-base", "--is-ancestor", older, newer).returncode)


def author(repo: Path, commit: str) -> str:
    """`Name <email>` of the author of a commit."""
    return _git(repo, "show", "--no-patch", "--format=%an <%ae>", commit).strip()


def is_on_remote(repo: Path, commit: str) -> bool:
    """Whether a branch of a remote, as last fetched, contains the commit."""
    return bool(_git(repo, "for-each-ref", "--count=1", f"--contains={commit}", "refs/remotes").strip())


def has_remote(repo: Path) -> bool:
    return bool(_git(repo, "remote").strip())


def push(repo: Path) -> None:
    """Push the current branch to where it goes by itself; raises BadInput with git's reason."""
    _git(repo, "push", "--quiet")


def dirty(repo: Path, *paths: str) -> list[str]:
    """Paths under `paths` (all, if none is given) that differ from HEAD or are new; ignored ones do not count."""
    said = _git(repo, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *paths)
    return [entry[3:] for entry in said.split("\0") if entry]


def files(folder: Path) -> list[str]:
    """Files under `folder` that git tracks or would not ignore, relative to it, sorted; deleted ones left out."""
    said = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return sorted(name for name in set(said.split("\0")) if name and os.path.lexists(folder / name))


def check_ready(repo: Path) -> None:
    """Raise BadInput while a merge, rebase, cherry-pick or revert is unfinished: a commit of ours would get into it."""
    for name, verb in UNFINISHED.items():
        path = _git(repo, "rev-parse", "--git-path", name).strip()
        if (repo / path).exists():
            raise BadInput(f"git: a {verb} is in progress; finish it, or stop it with `git {verb} --abort`")


def commit(repo: Path, paths: list[str], message: str) -> Commit | None:
    """Commit exactly `paths` as they lie in the work tree, and nothing else that may be staged.

    None if they are unchanged. The person's hooks run, and may refuse: then the index is as it was before.
    """
    check_ready(repo)
    changed, known = dirty(repo, *paths), set(_git(repo, "ls-files", "-z", "--", *paths).split("\0"))
    for path in paths:
        if (repo / path).is_file() and path not in known and path not in changed:
            raise BadInput(f"{path}: git ignores it, but a sweep is a commit; see `git check-ignore -v {path}`")
    if not changed:
        return None
    new = [path for path in changed if path not in known and (repo / path).exists()]
    own = _run(repo, "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT").returncode != 0
    identity = ["-c", f"user.name={NAME}", "-c", f"user.email={EMAIL}"] if own else []
    if new:
        _git(repo, "add", "--intent-to-add", "--", *new)
    try:
        done = _run(repo, *identity, "commit", "--quiet", "--only", f"--message={shown(message)}", "--", *changed)
        if done.returncode:
            said = (done.stderr + done.stdout).decode(errors="replace").split("\n")
            reason = " | ".join(line.strip() for line in said if line.strip())[:400]
            raise BadInput(f"git commit: refused: {reason or 'a hook failed silently'}; mend it and run the same again")
    except BaseException:
        if new:
            _run(repo, "rm", "--cached", "--quiet", "--force", "--", *new)
        raise
    sha = head(repo)
    assert sha is not None
    return Commit(sha, own)
