"""Git, by thin calls of its command line, for whoever only reads; commits.py makes commits.

A failure is one line, BadInput or MachineFault; nothing asks, opens an editor or takes a lock of the person's.
`repo` is the top of a work tree, or a folder in it, as of a project in a monorepo: paths are spelled from there, to and
fro.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sweep.errors import BadInput, MachineFault, SweepError, of_program
from sweep.words import ended

KEPT = (
    *("GIT_SSH", "GIT_ASKPASS", "GIT_HTTP_", "GIT_SSL_", "GIT_PROXY_", "GIT_ALLOW_PROTOCOL"),
    *("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_EXEC_PATH", "GIT_ATTR_NOSYSTEM", "GIT_DISCOVERY_ACROSS_FILESYSTEM"),
    *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
    *("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"),
)
"""How the variables begin that people set on purpose: access, identity, configuration. All other GIT_* are dropped: a
hook that calls us has them name its own repository and index (`git rev-parse --local-env-vars`), and those for
debugging and for showing differences change what git prints."""
BROKEN = re.compile(
    rb"^error: (inflate|unable to|could not read|hash mismatch|object file|garbage at|bad object|corrupt)"
    rb"|is corrupt|unable to read|not a tree object|mmap failed|input/output error"
    rb"|object file .* is empty|bad packed object",
    re.MULTILINE | re.IGNORECASE,
)
"""What git says of an object that it has or should have, and cannot read."""
MEND = "look at `git fsck`, and clone anew what is pushed"
IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply/applying": "am",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "sequencer": "cherry-pick",
    "BISECT_LOG": "bisect",
}
"""What git keeps in its folder while something is unfinished that a commit of ours would get into; see wt-status.c."""


@dataclass(frozen=True)
class Version:
    """A file as a commit left it."""

    path: str
    commit: str
    blob: str


@dataclass(frozen=True)
class Position:
    """What is checked out: the full name of the branch, "" for none (a detached HEAD), and its commit, if any."""

    branch: str
    commit: str | None

    @property
    def name(self) -> str:
        """For people."""
        return self.branch.removeprefix("refs/heads/") or f"no branch ({(self.commit or '')[:12]})"


def environment(index: Path | None = None, *, literal: bool = True) -> dict[str, str]:
    """What git is started with. `index`: another index than the person's; `literal`: no path is a pattern."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(KEPT)}
    env.update(LC_ALL="C", GIT_TERMINAL_PROMPT="0", GIT_EDITOR=":", GIT_OPTIONAL_LOCKS="0")
    return env | ({"GIT_LITERAL_PATHSPECS": "1"} if literal else {}) | ({"GIT_INDEX_FILE": str(index)} if index else {})


def run(
    folder: Path, *words: str, stdin: bytes = b"", index: Path | None = None, literal: bool = True, killed: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run git in `folder`, whatever it ends with. Raises BadInput where git will not work there at all.

    Raises MachineFault where the machine refuses it, and where it was killed, for no answer is another than `there is
    none`; `killed`: the caller looks what it has done until then.
    """
    call = ["git", "-C", str(folder), *words]
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(call, env=environment(index, literal=literal), stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError:
        raise BadInput("git: not installed, or not in PATH; install it") from None
    with process:
        try:
            out, err = process.communicate(stdin)
        except BaseException:
            process.terminate()  # no kill: git takes its locks along
            raise
    done = subprocess.CompletedProcess(call, process.returncode, out, err)
    if done.returncode < 0 and not killed:
        raise MachineFault(f"git {_verb(words)}: {ended(done.returncode)}")
    if done.returncode == 128 and b"dubious ownership" in done.stderr:
        allow = f"git config --global --add safe.directory {shlex.quote(str(folder))}"
        raise BadInput(f"{folder}: belongs to another user, so git does not read it; `{allow}` lets it")
    if done.returncode == 128 and done.stderr.startswith(b"fatal: not a git repository"):
        raise BadInput(f"{folder}: not in a git repository; clone it with git, or run `git init`")
    # 1 is an answer to many a question, and never of the machine; all else would be taken for one.
    if (
        done.returncode > 1
        and not killed
        and (fault := of_program(f"git {_verb(words)}", done.stderr.decode(errors="replace")))
    ):
        raise fault
    return done


def _failed(words: Sequence[str], done: subprocess.CompletedProcess[bytes]) -> SweepError:
    """The error of a git that had to succeed."""
    call, message = f"git {_verb(words)}", reason(done)
    if BROKEN.search(done.stderr):
        return MachineFault(f"{call}: {message}; {MEND}")
    return of_program(call, message) or BadInput(f"{call}: {message}")


def reason(done: subprocess.CompletedProcess[bytes]) -> str:
    """What git said of its failure, in one line."""
    output = (done.stderr or done.stdout).decode(errors="replace")
    lines = [line.removeprefix("fatal: ").removeprefix("error: ") for line in output.splitlines() if line.strip()]
    return " | ".join(lines[:4]) or ended(done.returncode)


def _verb(words: Iterable[str]) -> str:
    return next(word for word in words if word != "-c" and "=" not in word)


def output(folder: Path, *words: str, stdin: bytes = b"", index: Path | None = None) -> str:
    """Stdout of a git command that has to succeed. Raises BadInput, and MachineFault where Git's objects are broken."""
    done = run(folder, *words, stdin=stdin, index=index)
    if done.returncode:
        raise _failed(words, done)
    return done.stdout.decode(errors="surrogateescape")


@cache
def root(folder: Path) -> Path:
    """Top folder of the repository that `folder` lies in; raises BadInput where there is none.

    It is asked once, as `folders` and `prefix` are: where a work tree lies does not change while a verb runs.
    """
    return Path(output(folder, "rev-parse", "--show-toplevel").removesuffix("\n"))


@cache
def folders(repo: Path) -> tuple[Path, Path]:
    """(the folder of git for this work tree, the one that all work trees of the repository share)."""
    own, shared = (
        output(repo, "rev-parse", word).removesuffix("\n") for word in ("--absolute-git-dir", "--git-common-dir")
    )
    return Path(own), (repo / shared).resolve()


def position(repo: Path) -> Position:
    """What is checked out now."""
    both = run(repo, "rev-parse", "--quiet", "HEAD^{commit}", "--symbolic-full-name", "HEAD")
    commit, _, branch = both.stdout.decode(errors="surrogateescape").strip().partition("\n")
    if both.returncode == 0 and branch.startswith("refs/heads/"):
        return Position(branch, commit)
    return Position(_answer(repo, "symbolic-ref", "--quiet", "HEAD"), head(repo))


def unfinished(git_folder: Path) -> str:
    """The merge, rebase … that waits for the person to go on with it; "" if there is none."""
    return next((verb for name, verb in IN_PROGRESS.items() if (git_folder / name).exists()), "")


def setting(repo: Path, name: str) -> str:
    """Of git's configuration; "" where it is not set."""
    try:
        return output(repo, "config", "--get", name).strip()
    except BadInput:
        return ""


def head(repo: Path) -> str | None:
    """Commit that is checked out; None before the first one. Raises MachineFault where Git has lost it."""
    commit = _named(repo, "HEAD^{commit}")
    if commit is None and (lost := _named(repo, "HEAD")):
        raise MachineFault(f"git: HEAD: its commit {lost[:12]} is lost; {MEND}")
    return commit


def tree(repo: Path, folder: str, commit: str = "HEAD") -> str | None:
    """Git's hash of `folder` in a commit, "" for `repo` itself; None if it is not in there."""
    return _named(repo, f"{commit}:./{folder}")


@cache
def prefix(repo: Path) -> str:
    """How paths begin that git spells from the top: `sub/folder/`; "" at the top."""
    return output(repo, "rev-parse", "--show-prefix").removesuffix("\n")


def _named(repo: Path, name: str) -> str | None:
    """The hash of what git knows by this name; None if it knows none."""
    return _answer(repo, "rev-parse", "--verify", "--quiet", name) or None


def _answer(repo: Path, *words: str) -> str:
    """The line that a git command says; "" where it ends with 1, for `none`. Raises as `output` does for others."""
    done = run(repo, *words)
    if done.returncode not in (0, 1):
        raise _failed(words, done)
    return "" if done.returncode else done.stdout.decode(errors="surrogateescape").strip()


def _says_yes(repo: Path, *words: str, stdin: bytes = b"", literal: bool = True) -> bool:
    """The answer of a git command that says yes by exit code 0 and no by 1. Raises as `output` does for others."""
    done = run(repo, *words, stdin=stdin, literal=literal)
    if done.returncode not in (0, 1):
        raise _failed(words, done)
    return not done.returncode


def show(repo: Path, commit: str, path: str) -> bytes | None:
    """Content of a file at a commit; None if it is not in there, or the commit not here.

    Raises MachineFault where Git does not have what the commit names, or cannot read it.
    """
    (content,) = _contents(repo, [f"{commit}:./{path}"])
    if content is None and has_commit(repo, commit) and _lists(repo, commit, path):
        raise MachineFault(f"git: {commit[:12]}:{path}: its content is lost; {MEND}")
    return content


def _lists(repo: Path, commit: str, path: str) -> bool:
    """Whether a commit names a file, be its content there or not."""
    return " blob " in output(repo, "ls-tree", "-z", commit, "--", path).partition("\t")[0]


def blob(repo: Path, sha: str) -> bytes | None:
    """The content that Git keeps under this hash; None if this clone has it not. Raises MachineFault as `blobs`."""
    return _contents(repo, [sha])[0]


def commits(repo: Path, path: str) -> list[str]:
    """The commits that changed `path`, newest first."""
    return output(repo, "log", "--format=%H", "--", path).split()


def versions(repo: Path, folder: str) -> list[Version]:
    """Every file below `folder` as every commit of every branch, tag and stash left it, newest first."""
    words = [
        "log",
        "--all",
        "--relative",
        "--full-history",
        "-m",
        "--no-renames",
        "--raw",
        "--no-abbrev",
        "--format=%H",
    ]
    listed, commit = [], ""
    for line in output(repo, "-c", "core.quotePath=false", *words, "--", folder).splitlines():
        if line.startswith(":"):
            about, _, path = line.partition("\t")
            if about[-1] != "D":
                listed.append(Version(path, commit, about.split(" ")[3]))
        elif line:
            commit = line
    return listed


def blobs(repo: Path, shas: Iterable[str]) -> dict[str, bytes]:
    """What Git keeps under these hashes, in one call; those that this clone does not have are left out.

    Raises MachineFault where it has one and cannot read it.
    """
    wanted = list(dict.fromkeys(shas))
    contents = zip(wanted, _contents(repo, wanted), strict=True)
    return {sha: content for sha, content in contents if content is not None}


def _contents(repo: Path, names: Sequence[str]) -> list[bytes | None]:
    """The files that Git knows by these names, in one call; None for what is not there, and for what is no file.

    Git calls what it cannot read `missing` too, and says why on stderr. Raises MachineFault then.
    """
    asked = "".join(f"{name}\n" for name in names).encode(errors="surrogateescape")
    done = run(repo, "cat-file", "--batch", stdin=asked)
    contents: list[bytes | None] = []
    at = 0
    for _ in names:
        end = done.stdout.find(b"\n", at)
        *_, kind, size = (b"", b"", *done.stdout[at:end].split())  # `<hash> <kind> <size>`, or `<name> missing`
        at = end + 1
        content = None
        if size.isdigit():
            content = done.stdout[at : at + int(size)] if kind == b"blob" else None
            at += int(size) + 1
        contents.append(content)
    if done.returncode or (None in contents and BROKEN.search(done.stderr)):
        raise MachineFault(f"git cat-file: {reason(done)}; {MEND}")
    return contents


def blob_hash(data: bytes, like: str) -> str:
    """The hash that Git gives a file's content, of the same kind as `like`."""
    return hashlib.new("sha256" if len(like) == 64 else "sha1", b"blob %d\0" % len(data) + data).hexdigest()


def reachable(repo: Path) -> set[str]:
    """The commits that some branch, tag or stash contains."""
    return set(output(repo, "rev-list", "--all").split())


def has_commit(repo: Path, commit: str) -> bool:
    return _named(repo, f"{commit}^{{commit}}") is not None


def is_shallow(repo: Path) -> bool:
    return output(repo, "rev-parse", "--is-shallow-repository").strip() == "true"


def is_ancestor(repo: Path, older: str, newer: str) -> bool | None:
    """Whether `newer` contains `older`; None where this clone does not know one of them."""
    if not (has_commit(repo, older) and has_commit(repo, newer)):
        return None
    return _says_yes(repo, "merge-base", "--is-ancestor", older, newer)


def author(repo: Path, commit: str) -> str:
    """`Name <email>` of the author of a commit."""
    return output(repo, "show", "--no-patch", "--format=%an <%ae>", commit).strip()


def is_on_remote(repo: Path, commit: str) -> bool:
    """Whether a branch of a remote, as last fetched, contains the commit."""
    return bool(output(repo, "for-each-ref", "--count=1", f"--contains={commit}", "refs/remotes").strip())


def has_remote(repo: Path) -> bool:
    return bool(output(repo, "remote").strip())


def push(repo: Path) -> None:
    """Push the current branch to where it goes by itself; raises BadInput with git's reason."""
    output(repo, "push", "--quiet")


def dirty(repo: Path, *paths: str) -> list[str]:
    """Paths under `paths` (all, if none is given) that differ from HEAD or are new; ignored ones do not count."""
    status = output(repo, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *paths)
    above = prefix(repo)
    changed = (entry[3:] for entry in status.split("\0") if entry)
    return list(dict.fromkeys([*(path.removeprefix(above) for path in changed), *_hidden(repo, *paths)]))


def differs(repo: Path, commit: str, *paths: str) -> bool:
    """Whether the work tree has something else below `paths` than a commit."""
    return not _says_yes(repo, "diff", "--quiet", "--no-ext-diff", commit, "--", *paths)


def _hidden(repo: Path, *paths: str) -> list[str]:
    """Those whose changes git was told to overlook (`update-index --assume-unchanged`, `--skip-worktree`)."""
    tagged = (entry.split(" ", 1) for entry in output(repo, "ls-files", "-v", "-z", "--", *paths).split("\0") if entry)
    overlooked = [path for tag, path in tagged if (tag.islower() or tag == "S") and (repo / path).is_file()]
    return [path for path in overlooked if output(repo, "hash-object", "--", path).strip() != tree(repo, path)]


def is_ignored(repo: Path, path: str) -> bool:
    """Whether git would not take this path, which it does not track yet."""
    return _says_yes(repo, "check-ignore", "--quiet", "-z", "--stdin", stdin=os.fsencode(path), literal=False)


def files(folder: Path) -> list[str]:
    """Files under `folder` that git tracks or would not ignore, relative to it, sorted; deleted ones left out."""
    listing = output(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return sorted(name for name in set(listing.split("\0")) if name and os.path.lexists(folder / name))
