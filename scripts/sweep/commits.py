"""Committing what a sweep wrote: exactly those paths, on the branch one began on, and nothing else of the person's.

A turn holds `index.lock`, as any git does that changes a repository: sweeps and people wait for each other, and nobody
checks out another branch between our writing a file and committing it. The commit is built in an index of our own, made
from HEAD; the person's index takes over our paths afterwards. Who is killed in between leaves at worst a lock, which
the next turn removes, and an index that lags behind HEAD in our paths, which the next turn mends.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sweep import git, leftovers, locks
from sweep.errors import BadInput, MachineFault, of_program
from sweep.files import check_merged, copy_if_there, exists, read, remove_left
from sweep.words import Say, ended, shown

NAME, EMAIL = "helm-sweep", "helm-sweep@localhost"
LARGEST_BYTES = 256 << 20
"""Of a file that is committed; others have bounds below that."""
PLAIN = ("-c", "core.splitIndex=false", "-c", "core.fsmonitor=false", "-c", "rerere.enabled=false")
"""Of no use for an index that lives for some milliseconds, and each has files and locks of its own."""
NO_GC = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")
"""While our index is git's, what is staged in the person's would count as garbage."""
TRIES = 3


@dataclass(frozen=True)
class Commit:
    """A commit that was made; `own_identity`: the person has none configured, so it is helm-sweep's."""

    sha: str
    own_identity: bool


class _Again(Exception):
    """Somebody else moved HEAD, or holds its lock: nothing is committed yet."""


@dataclass(frozen=True)
class Turn:
    """The right to commit `paths`, which are relative to the top of `repo`, for as long as it is held."""

    repo: Path
    paths: tuple[str, ...]
    places: Places
    work: Path
    """A folder for our indexes."""
    patience: locks.LockPatience
    base: str | None = None
    """HEAD, from which our index was made."""
    before: dict[str, str] = field(default_factory=dict)
    """What it has of the paths; see _listed."""

    def commit(self, message: str) -> Commit | None:
        """Commit the paths as they lie in the work tree; None if HEAD has them so.

        The person's index has of these paths what HEAD has, afterwards. The person's hooks run, and may refuse: that
        is a BadInput, and HEAD is where it was.
        """
        _check_merged(self.repo, self.paths)
        turn = self
        for _ in range(TRIES):
            try:
                return turn._commit(message)
            except _Again:
                self.places.wait_refs(self.patience)
                turn = self.begun()
        raise BadInput("git: HEAD is being moved by something else; end that, then run the same again")

    def begun(self) -> Turn:
        """This turn, with an index of ours that is as HEAD is now. Raises BadInput for a path that git ignores."""
        theirs, index, base = self.places.own / "index", self.work / "commit", git.head(self.repo)
        index.unlink(missing_ok=True)
        if base:
            copy_if_there(theirs, index)  # it knows unchanged files by their time, so git need not read them
            git.output(self.repo, *PLAIN, "read-tree", "-i", "--reset", base, index=index)
        before = self._listed(base)
        for path in self.paths:
            if path not in before and git.is_ignored(self.repo, path):
                raise BadInput(f"{path}: git ignores it, but a sweep is a commit; see `git check-ignore -v {path}`")
        if before:
            self._put(before, before, index)  # without the flags by which git overlooks changes
        return replace(self, base=base, before=before)

    def _commit(self, message: str) -> Commit | None:
        wanted = self._as_it_lies()
        if wanted == self.before:
            if git.dirty(self.repo, *self.paths):  # an edit staged and taken back, or a commit that was cut off
                self._settle(self.base)
            return None
        head, own_identity = self._run(message)
        sha = self._child()
        committed = self._listed(sha)
        if not sha or (sha != head and committed == self.before):  # ours is not upon what it was made from
            self._take_back(git.output(self.repo, "rev-parse", f"{head}^").strip())
            raise _Again
        if committed != wanted:
            names = ", ".join(path for path in self.paths if committed.get(path) != wanted.get(path))
            if self.begun()._as_it_lies() != committed:
                self._take_back(self.base)
                raise self._not_what_lies(names)
            self.patience.say(f"git: a hook has rewritten {names}")
        self._settle(head)
        if not self.places.branch:
            self.patience.say(f"git: {sha[:12]} is on no branch, for HEAD is detached; `git switch -c NAME` keeps it")
        return Commit(sha, own_identity)

    def _as_it_lies(self) -> dict[str, str]:
        """Take the paths into our index as they lie in the work tree; what they are there."""
        listed = os.fsencode("".join(f"{path}\0" for path in self.paths))
        words = ("update-index", "--add", "--remove", "-z", "--stdin")
        git.output(self.repo, *PLAIN, *words, stdin=listed, index=self.work / "commit")
        return self._staged()

    def _run(self, message: str) -> tuple[str, bool]:
        """Have git make the commit, with all that the person has set up for one; (HEAD then, the identity is ours)."""
        own = git.run(self.repo, "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT").returncode != 0
        identity = ["-c", f"user.name={NAME}", "-c", f"user.email={EMAIL}"] if own else []
        call = (*PLAIN, *NO_GC, *identity, "commit", "--quiet", "--cleanup=whitespace", "--file=-")
        text = shown(message).encode()
        done = git.run(self.repo, *call, stdin=text, index=self.work / "commit", literal=False, killed=True)
        head = git.head(self.repo)
        if head and head != self.base:  # whatever befell git afterwards
            return head, own
        output = (done.stderr + done.stdout).decode(errors="replace")
        if "cannot lock ref" in output and ("File exists" in output or "but expected" in output):
            raise _Again
        if done.returncode < 0:
            raise MachineFault(f"git commit: {ended(done.returncode)}")
        if self._staged() == self.before:
            raise self._not_what_lies(", ".join(self.paths))
        lines = " | ".join(line.strip() for line in output.split("\n") if line.strip())[:400]
        raise of_program("git commit", output) or BadInput(
            f"git commit: refused: {lines or 'a hook failed silently'}; mend it and run the same again"
        )

    def _not_what_lies(self, names: str) -> BadInput:
        return BadInput(
            f"git commit: a hook commits something else than what lies in {names}, so nobody could tell what ran; "
            "have it leave values/ alone, or change the files too"
        )

    def _child(self) -> str:
        """The first commit of HEAD's after our base; "" where HEAD does not go on from there."""
        since = f"{self.base}..HEAD" if self.base else "HEAD"
        lines = git.output(self.repo, "rev-list", "--first-parent", "--parents", since).splitlines()
        sha, *parents = lines[-1].split() if lines else [""]
        return sha if parents[:1] == ([self.base] if self.base else []) else ""

    def _take_back(self, to: str | None) -> None:
        """Have HEAD name `to` (nothing, for None) instead of what was just committed."""
        change = ["HEAD", to] if to else ["-d", "HEAD"]
        git.output(self.repo, "update-ref", "-m", "helm-sweep: taken back", *change, git.head(self.repo) or "")

    def _settle(self, head: str | None) -> None:
        """Have the person's index hold of our paths what HEAD has; what else is staged stays so."""
        paths = [*self.paths, *self._added_by_hooks(head)]
        theirs, index = self.places.own / "index", self.work / "index"
        copy_if_there(theirs, index)
        listed = _entries(git.output(self.repo, "ls-tree", "-z", "--full-tree", head, "--", *paths)) if head else {}
        self._put(listed, paths, index)
        git.run(self.repo, *PLAIN, "update-index", "-q", "--refresh", index=index)  # whatever it says of other files
        index.replace(theirs)

    def _added_by_hooks(self, head: str | None) -> list[str]:
        """What a hook committed beside our paths, less what the person has staged something of."""
        if not self.base or not head or self.base == head:
            return []
        changed = _names(git.output(self.repo, "diff-tree", "-r", "-z", "--name-only", self.base, head))
        more = [path for path in changed if path not in self.paths]
        if not more:
            return []
        staged = _names(git.output(self.repo, "diff-index", "--cached", "-z", "--name-only", self.base, "--", *more))
        return [path for path in more if path not in staged]

    def _put(self, entries: dict[str, str], paths: Iterable[str], index: Path) -> None:
        """Have an index hold these entries of `paths`, and no other of them."""
        absent = f"0 {'0' * len(self.base or 40 * '0')}"
        lines = os.fsencode("".join(f"{entries.get(path, absent)}\t{path}\0" for path in paths))
        git.output(self.repo, *PLAIN, "update-index", "-z", "--index-info", stdin=lines, index=index)

    def _staged(self) -> dict[str, str]:
        """Path -> mode and blob in our index, of the paths that are in it."""
        index = self.work / "commit"
        return _entries(git.output(self.repo, "ls-files", "--stage", "-z", "--", *self.paths, index=index))

    def _listed(self, commit: str | None) -> dict[str, str]:
        """Path -> mode and blob in a commit, of the paths that are in it."""
        if not commit:
            return {}
        return _entries(git.output(self.repo, "ls-tree", "-z", "--full-tree", commit, "--", *self.paths))


@dataclass(frozen=True)
class Places:
    """Where git keeps what a commit changes, and where a git works that may be about to change it."""

    own: Path
    """Git's folder of this work tree."""
    shared: Path
    """That of all work trees of the repository."""
    around: tuple[Path, ...]
    branch: str

    @classmethod
    def of(cls, repo: Path) -> Places:
        own, shared = git.folders(repo)
        main = (shared.parent,) if shared.name == ".git" else ()
        return cls(own, shared, (repo.resolve(), own, shared, *main), git.position(repo).branch)

    def wait_refs(self, patience: locks.LockPatience) -> None:
        """Wait until nobody holds HEAD or the branch; the locks of the dead are removed."""
        for path in (self.own / "HEAD", *([self.shared / self.branch] if self.branch else [])):
            locks.wait_gone(path.with_name(f"{path.name}.lock"), self.around, patience)

    def wait_finished(self, patience: locks.LockPatience) -> None:
        """Wait for a merge, rebase … that is at work. Raises BadInput for one that waits for the person."""
        suspects = None
        while verb := git.unfinished(self.own):
            alive = locks.holders(self.around)
            suspects = alive if suspects is None else {key: who for key, who in alive.items() if key in suspects}
            if not suspects:
                end = "reset" if verb == "bisect" else "--abort"
                raise BadInput(f"git: a {verb} is in progress; finish it, or stop it with `git {verb} {end}`")
            patience.wait(f"a {verb} is in progress", next(iter(suspects.values())))

    def clean(self) -> None:
        """Remove what a dead turn or a dead `git commit` left: nobody else is at it, for we hold the index."""
        for path in self.own.glob(f"{leftovers.STEM}*/"):
            shutil.rmtree(path, ignore_errors=True)
        leftovers.clear(self.own)
        for path in self.own.glob("next-index-*.lock"):
            path.unlink(missing_ok=True)


@contextmanager
def turn(repo: Path, paths: Iterable[str], say: Say, since: git.Position | None = None) -> Iterator[Turn]:
    """Hold the repository of the folder `repo`, to write `paths`, which are spelled from there, and commit them.

    Waits for others that hold it; what a dead git left is mended. Raises BadInput, before anything is written, where
    the repository waits for its owner (a merge, say), git would not take the paths, or HEAD is not on the branch of
    `since` any more.
    """
    patience, paths = locks.LockPatience(say), tuple(f"{git.prefix(repo)}{path}" for path in paths)
    places = Places.of(repo := git.root(repo))
    while True:
        places.wait_finished(patience)
        places.wait_refs(patience)
        with locks.taken(places.own / "index.lock", places.around, patience):
            places = replace(places, branch=git.position(repo).branch)
            committing = locks.holders(places.around, verbs=("commit",))  # its editor is open: HEAD must not move
            if not committing and not git.unfinished(places.own):
                yield from _held(repo, paths, places, patience, since)
                return
        for who in committing.values():
            patience.wait(repo, who)


def _held(
    repo: Path, paths: tuple[str, ...], places: Places, patience: locks.LockPatience, since: git.Position | None
) -> Iterator[Turn]:
    if since:
        check_unmoved(repo, since)
    _check_merged(repo, paths)
    places.clean()
    remove_left(repo / path for path in paths)  # of a turn that was killed: nobody else writes there now
    with leftovers.scratch(places.own) as work:  # for its indexes
        yield Turn(repo, paths, places, work, patience).begun()  # whatever git refuses, it refuses now


def commit(repo: Path, paths: Sequence[str], message: str, say: Say) -> Commit | None:
    """Commit `paths` as they lie in the work tree; None if HEAD has them so. Raises BadInput."""
    with turn(repo, paths, say) as held:
        return held.commit(message)


def check_unmoved(repo: Path, since: git.Position) -> None:
    """Raise BadInput where another branch is checked out than then, or its history was rewritten."""
    now = check_branch(repo, since)
    if since.commit and since.commit != now.commit and not git.is_ancestor(repo, since.commit, now.commit or "HEAD"):
        raise BadInput(f"git: {since.commit[:12]} is not in {now.name} any more; run the same again")


def check_branch(repo: Path, since: git.Position) -> git.Position:
    """What is checked out now. Raises BadInput where that is another branch than then."""
    now = git.position(repo)
    if now.branch == since.branch:
        return now
    back = f"`git switch {since.name}` and run" if since.branch else "run"
    raise BadInput(
        f"git: {now.name} is checked out now, and it was {since.name} when this began; {back} the same again: "
        "nothing is lost"
    )


def _check_merged(repo: Path, paths: Iterable[str]) -> None:
    for path in paths:
        if exists(repo / path, repo):
            check_merged(read(repo / path, LARGEST_BYTES, repo), path)


def _entries(listing: str) -> dict[str, str]:
    """Path -> mode and blob, of what ls-files or ls-tree says."""
    pairs = (entry.partition("\t") for entry in listing.split("\0") if entry)
    return {path: about.removesuffix(" 0").replace(" blob ", " ") for about, _, path in pairs}


def _names(listing: str) -> set[str]:
    return {name for name in listing.split("\0") if name}
