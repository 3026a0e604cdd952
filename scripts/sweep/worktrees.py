"""A commit of a repository, checked out beside it for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep import git, leftovers


@contextmanager
def checked_out(repo: Path, commit: str) -> Iterator[Path]:
    """`repo` as a commit has it, in a temporary folder; the work tree, the index and the branches stay as they are."""
    _forget_dead(repo)
    with leftovers.scratch() as temporary:
        folder = temporary.resolve() / "clone"
        hooks = ("-c", "core.hooksPath=/dev/null")  # they are about the person's own work
        git.output(repo, *hooks, "worktree", "add", "--quiet", "--detach", str(folder), commit)
        try:
            yield folder / git.prefix(repo)
        finally:
            git.run(repo, "worktree", "remove", "--force", "--force", str(folder))


def _forget_dead(repo: Path) -> None:
    """Have git forget the work trees of ours that a killed process has left, whose folders are gone."""
    for line in git.output(repo, "worktree", "list", "--porcelain").splitlines():
        folder = Path(line.removeprefix("worktree "))
        if leftovers.OWNER.fullmatch(folder.parent.name) and not folder.exists():
            git.run(repo, "worktree", "remove", "--force", "--force", str(folder))
