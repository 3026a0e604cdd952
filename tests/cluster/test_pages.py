"""What pages tell people to type at kubectl, and the manifests that they show, judged by a real API server."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests import pages
from tests.cluster.kubernetes import Kubectl

TYPED = [
    pytest.param(command, id=f"{block.page}: {' '.join(command.split()[3:6])}")
    for block in pages.ALL
    for command in block.commands
    if command.startswith("kubectl ")
]
SHOWN = [pytest.param(block, id=f"{block.page}:{block.line}") for block in pages.ALL if block.kind == "manifests"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where one would type it: with the files that the commands name."""
    monkeypatch.chdir(tmp_path)
    for name in ("token.txt", "password.txt"):
        (tmp_path / name).write_text("x")
    (manifest,) = [block for block in pages.ALL if block.page == "docs/howto/pvc.md" and block.kind == "manifests"]
    (tmp_path / "results.yaml").write_text(manifest.text)
    return tmp_path


@pytest.mark.parametrize("command", TYPED)
def test_a_command_for_kubectl_is_taken(kubectl: Kubectl, folder: Path, command: str) -> None:
    words = shlex.split(command.replace('"$(cat password.txt)"', (folder / "password.txt").read_text()))
    assert words[1:3] == ["-n", "ml"]
    if words[3] in ("create", "apply"):
        manifest = folder / "results.yaml"
        manifest.write_text(manifest.read_text().replace("namespace: ml", f"namespace: {kubectl.namespace}"))
        kubectl(*words[3:], "--dry-run=server")
    elif "persistentvolumeclaim" in words:
        kubectl(*words[3:], "--ignore-not-found")
    else:
        kubectl(*words[3:])


@pytest.mark.parametrize("block", SHOWN)
def test_a_manifest_is_one_that_the_api_takes(kubectl: Kubectl, block: pages.Block) -> None:
    for document in block.documents:
        named = document["metadata"].get("namespace") and {"namespace": kubectl.namespace}
        kubectl.create(document | {"metadata": document["metadata"] | (named or {})}, dry_run=True)
