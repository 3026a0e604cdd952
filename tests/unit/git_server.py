"""A repository with two commits, served by a real git daemon."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import until

TRAINER = """import json, os
print("secret of", open("sub/.hidden").read())
json.dump({"accuracy": 0.5}, open(os.environ["METRICS_FILE"], "w"))
"""


@dataclass
class GitServer:
    """Serves `folder`/served/repo.git; the folder trainer/ differs between its two commits."""

    folder: Path
    url: str
    first: str
    second: str
    tree: str
    """Of trainer/ at the first commit."""
    daemon: subprocess.Popen[bytes]

    def stop(self) -> None:
        self.daemon.terminate()
        self.daemon.wait()


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def free_port(address: str) -> int:
    with socket.socket() as opened:
        opened.bind((address, 0))
        return int(opened.getsockname()[1])


def answers(address: str, port: int) -> bool:
    with socket.socket() as opened:
        return opened.connect_ex((address, port)) == 0


def serve(folder: Path, address: str = "127.0.0.1") -> GitServer:
    """Make the repository and start the daemon; whoever calls stops it."""
    work = folder / "work"
    (work / "trainer" / "sub").mkdir(parents=True)
    git(work, "init", "--quiet", "--initial-branch=main")
    (work / "trainer" / "train.py").write_text(TRAINER)
    (work / "trainer" / "train.py").chmod(0o755)
    (work / "trainer" / "sub" / ".hidden").write_text("git")
    (work / "trainer" / "link").symlink_to("train.py")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message=1")
    first, tree = git(work, "rev-parse", "HEAD"), git(work, "rev-parse", "HEAD:trainer")
    (work / "trainer" / "train.py").write_text("raise SystemExit(3)\n")
    git(work, "commit", "--quiet", "--all", "--message=2")
    served = folder / "served"
    git(folder, "clone", "--quiet", "--bare", str(work), str(served / "repo.git"))
    port = free_port(address)
    words = [f"--base-path={served}", f"--listen={address}", f"--port={port}", "--export-all", "--reuseaddr"]
    daemon = subprocess.Popen(["git", "daemon", *words, str(served)], stderr=subprocess.DEVNULL)
    until(lambda: answers(address, port), "the git daemon listens")
    return GitServer(folder, f"git://{address}:{port}/repo.git", first, git(work, "rev-parse", "HEAD"), tree, daemon)
