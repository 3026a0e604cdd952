"""Where a repository is kept, as provenance names it."""

from __future__ import annotations

import re
from pathlib import Path

from sweep import git


def address_of(repo: Path) -> str:
    """Where the repository is kept: the address of `origin`, or of its first remote; "" of none."""
    names = git.output(repo, "remote").split("\n")
    name = "origin" if "origin" in names else names[0]
    address = git.run(repo, "config", "--get", f"remote.{name}.url").stdout.decode(errors="replace") if name else ""
    return without_credentials(address.strip())


def without_credentials(address: str) -> str:
    """An address of a repository less what may be a secret in it: user, password, query and fragment.

    `git@host:path` stays, for that name is no secret.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
