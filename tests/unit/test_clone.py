"""What an init container runs to fetch code from Git, against a real git daemon."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.layout import Clone
from tests.unit import git_server
from tests.unit.git_server import GitServer

SCRIPT = Clone.here().chart / "files" / "clone.sh"
OLD_PROTOCOL = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.version", "GIT_CONFIG_VALUE_0": "0"}
"""In which a server refuses to give a commit by its hash."""
SSH = """#!/bin/sh
echo "$*" > {folder}/seen
while [ "$1" != "-i" ]; do shift; done
stat -c %a "$2" >> {folder}/seen
cat "$2" >> {folder}/seen
{then}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    serving = git_server.serve(tmp_path_factory.mktemp("git"))
    yield serving
    serving.stop()


class Fetch:
    """One call of the script, into `target`."""

    def __init__(self, root: Path, server: GitServer) -> None:
        self.root, self.server = root, server
        self.target, self.work, self.keys = root / "code", root / "work", root / "keys"
        self.target.mkdir()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root)}

    def __call__(self, code: int = 0, *, url: str = "", commit: str = "", tree: str = "", path: str = "trainer") -> str:
        """Returns the one line that was said; none if it went well."""
        at = self.server
        words = [url or at.url, commit or at.first, tree or at.tree, path, self.target, self.work, self.keys]
        done = subprocess.run(
            ["sh", SCRIPT, *map(str, words)], env=self.env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == (1 if code else 0), done.stderr
        assert not self.work.exists()
        return done.stderr.strip().removeprefix(f"code: {url or at.url}: ")

    def use_ssh(self, then: str) -> None:
        """From now on `ssh` is a script that notes its words and its key, and then does `then`."""
        (self.root / "bin").mkdir()
        fake = self.root / "bin" / "ssh"
        fake.write_text(SSH.format(folder=self.root, then=then))
        fake.chmod(0o755)
        self.env["PATH"] = f"{self.root / 'bin'}:{self.env['PATH']}"
        self.keys.mkdir()
        (self.keys / "ssh-privatekey").write_text("the key")
        (self.keys / "ssh-privatekey").chmod(0o444)


@pytest.fixture
def fetch(tmp_path: Path, server: GitServer) -> Fetch:
    return Fetch(tmp_path, server)


def files(folder: Path) -> dict[str, str]:
    """Name -> content; of a link its target."""
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


TREE = {"train.py": git_server.TRAINER, "sub/.hidden": "git", "link": "-> train.py"}


@pytest.mark.parametrize("env", [{}, OLD_PROTOCOL], ids=["by hash", "refused by hash"])
def test_the_folder_of_the_commit_and_nothing_else_arrives(fetch: Fetch, env: dict[str, str]) -> None:
    fetch.env |= env
    fetch()
    assert files(fetch.target) == TREE
    assert (fetch.target / "train.py").stat().st_mode & 0o777 == 0o755
    assert (fetch.target / "sub" / ".hidden").stat().st_mode & 0o777 == 0o644


def test_a_second_start_finds_what_the_first_left(fetch: Fetch) -> None:
    for name in ("train.py", ".left", "..left", "over"):
        (fetch.target / name).write_text("half")
    (fetch.target / "sub").write_text("a file where a folder is due")
    fetch()
    assert files(fetch.target) == TREE


def test_the_whole_repository_is_the_empty_path(fetch: Fetch, server: GitServer) -> None:
    top = git_server.git(server.folder / "work", "rev-parse", f"{server.first}^{{tree}}")
    for path in ("", "."):
        fetch(tree=top, path=path)
        assert files(fetch.target) == {f"trainer/{name}": text for name, text in TREE.items()}


def test_another_tree_is_refused_for_good(fetch: Fetch, server: GitServer) -> None:
    message = fetch(65, commit=server.second)
    assert message.startswith(f"tree of trainer at commit {server.second} is ")
    assert message.endswith(f", not {server.tree}; expand --repin pins it anew")
    assert files(fetch.target) == {}


def test_unknown_commit_is_refused_for_good(fetch: Fetch) -> None:
    assert fetch(65, commit="1" * 40) == f"commit {'1' * 40} is not there; push it"
    fetch.env |= OLD_PROTOCOL
    assert fetch(65, commit="1" * 40) == f"commit {'1' * 40} is not there; push it"


def test_folder_that_is_not_in_the_commit(fetch: Fetch, server: GitServer) -> None:
    assert fetch(65, path="a b") == f"commit {server.first} has no folder a b"


def test_unknown_repository_is_refused_for_good(fetch: Fetch, server: GitServer) -> None:
    message = fetch(65, url=server.url.replace("repo.git", "other.git"))
    assert message.startswith(
        "no such repository, or no access: fatal: remote error: access denied or repository not exp"
    )


def test_server_that_does_not_answer_is_tried_again(fetch: Fetch) -> None:
    message = fetch(75, url="git://127.0.0.1:1/repo.git")
    assert message.startswith("fatal: unable to connect to 127.0.0.1:")
    assert message.endswith("Connection refused")


def test_the_deploy_key_is_used_where_ssh_accepts_it_and_removed(fetch: Fetch, server: GitServer) -> None:
    fetch.use_ssh(f"exec git-upload-pack {server.folder}/served/repo.git")
    fetch(url="ssh://git@git.example.org/repo.git")
    assert files(fetch.target) == TREE
    words, mode, *key = (fetch.root / "seen").read_text().splitlines()
    assert (mode, "\n".join(key)) == ("600", "the key")
    assert "StrictHostKeyChecking=accept-new" in words
    (fetch.keys / "known_hosts").write_text("git.example.org ssh-ed25519 AAAA\n")
    fetch(url="ssh://git@git.example.org/repo.git")
    assert "StrictHostKeyChecking=yes" in (fetch.root / "seen").read_text()


@pytest.mark.parametrize(
    ("ssh", "line"),
    [
        ("Host key verification failed.", "the host key is not the one in the Secret's known_hosts; renew it there"),
        ("git@h: Permission denied (publickey).", "no access: "),
        ('Load key "k": error in libcrypto', "no access: "),
        ("ERROR: Repository not found.", "no such repository, or no access: ERROR: Repository not found."),
    ],
)
def test_refusal_of_ssh_is_told_in_its_words(fetch: Fetch, ssh: str, line: str) -> None:
    fetch.use_ssh(f"echo '{ssh}' >&2; exit 255")
    assert fetch(65, url="ssh://git@git.example.org/repo.git").startswith(line)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("https://git.example.org/code: tree 1, not 2", "https://git.example.org/code: tree 1, not 2"),
        ("https://ann:hun@ter2@h/code: 403", "https://***@h/code: 403"),
        ("http://token@h:80/x and ssh://git@h/x", "http://***@h:80/x and ssh://git@h/x"),
        ("ssh://git:hunter2@h/x", "ssh://***@h/x"),
        ("https://h/a@b * $x `y` a:b@c", "https://h/a@b * $x `y` a:b@c"),
    ],
)
def test_an_address_is_said_without_its_password_in_an_image_without_sed(message: str, shown: str) -> None:
    function = SCRIPT.read_text().partition("\nhide() {")[2].partition("\n}\n")[0]
    call = ["/bin/sh", "-c", f'hide() {{{function}\n}}\nhide "$1"', "sh", message]
    done = subprocess.run(call, capture_output=True, text=True, check=True, env={"PATH": "/nowhere"})
    assert done.stdout == f"{shown}\n"


def test_nothing_is_asked_for(fetch: Fetch) -> None:
    fetch.use_ssh("exit 255")
    fetch(75, url="ssh://git@git.example.org/repo.git")
    assert "BatchMode=yes" in (fetch.root / "seen").read_text()
