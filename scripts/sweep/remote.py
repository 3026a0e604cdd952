"""A repository at an address: which commit its HEAD, a branch or a tag is there now, and its folders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sweep import git, leftovers
from sweep.errors import BadInput

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class Folder:
    """A folder of a repository elsewhere."""

    commit: str
    tree: str


def look(url: str, ref: str, path: str) -> Folder:
    """`path` ("." for all of it) in what `url` calls `ref` ("" for its HEAD), which may be a commit too.

    Asks with the person's own access. Raises BadInput where it is not there.
    """
    with leftovers.scratch() as repo:
        git.output(repo, "init", "--quiet", "--bare")
        git.output(repo, "remote", "add", "origin", url)
        commit = _fetch(repo, url, ref or "HEAD")
        if path == ".":
            return Folder(commit, git.output(repo, "rev-parse", f"{commit}^{{tree}}").strip())
        listed = git.output(repo, "ls-tree", "-d", "-z", commit, "--", path)
    if not listed:
        raise BadInput(f"code.path: {path} is not a folder in commit {commit[:12]} of {url}; commit and push it there")
    return Folder(commit, listed.partition("\t")[0].split()[2])


def _fetch(repo: Path, url: str, ref: str) -> str:
    """The commit, fetched without its files where the server can leave them out."""
    fetch = ("fetch", "--quiet", "--no-tags", "--filter=blob:none")
    done = git.run(repo, *fetch, "--depth=1", "origin", ref)
    if done.returncode and COMMIT.fullmatch(ref):  # a server that gives none by its hash gives all that it names
        done = git.run(repo, *fetch, "origin", "+refs/*:refs/*")
        if not done.returncode and git.run(repo, "cat-file", "-e", ref).returncode:
            raise BadInput(f"code.commit: {url} has no commit {ref}; push it")
        return ref if not done.returncode else _refused(url, ref, git.reason(done))
    if done.returncode:
        return _refused(url, ref, git.reason(done))
    return git.output(repo, "rev-parse", "FETCH_HEAD^{commit}").strip()


def _refused(url: str, ref: str, why: str) -> str:
    if "couldn't find remote ref" in why:
        raise BadInput(f"code.ref: {url} has no {ref}; write a branch or tag that is there, or push it")
    raise BadInput(f"code.url: {url}: {why}; check the address, and that you may read it")
