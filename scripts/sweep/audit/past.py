"""A sweep as a commit has it, checked out elsewhere: what it renders is what was rendered then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sweep import git, session, worktrees
from sweep.errors import BadInput
from sweep.layout import Checkout, Clone
from sweep.session import Session, Target


@contextmanager
def opened(clone: Clone, sweep: str, commit: str, target: Target) -> Iterator[Session]:
    """The sweep by that commit's chart and values. Raises BadInput where this clone lacks the commit, or it the sweep.

    The result store and the data set are those of the clone, and so they are in the rendered Jobs.
    """
    if not git.has_commit(clone.root, commit):
        raise BadInput(f"commit {commit[:12]}: this clone does not have it; `git fetch` every branch")
    with worktrees.checked_out(clone.root, commit) as folder:
        yield session.open_sweep(Checkout(folder, clone), sweep, target)
