"""The packaged chart from a real registry: pushed, pulled with its signature checked, rendered, and installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep import render
from sweep.layout import Kit
from tests.cluster.kubernetes import Kubectl
from tests.cluster.release import MINIMAL, SWEEP, Helm
from tests.cluster.tools import helm_program, missing, tool_folder
from tools import chart_package

HELMS = ("helm3", "helm4")
KEY = "Key-Type: RSA\nKey-Length: 2048\nName-Real: test\nName-Email: test@example.org\n%no-protection\n%commit\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`HOST:PORT` of an empty one on this machine."""
    folder = tmp_path_factory.mktemp("registry")
    program, log = tool_folder("crane") / "crane", folder / "log"
    with log.open("w") as output:
        words = [str(program), "registry", "serve", "--address", "127.0.0.1:0", "--disk", str(folder / "blobs")]
        (folder / "blobs").mkdir()
        server = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, text=True)
    try:
        yield address(server, log)
    finally:
        server.terminate()
        server.wait()


def address(server: subprocess.Popen[str], log: Path) -> str:
    while server.poll() is None:
        if serving := re.search(r"serving on port (\d+)", log.read_text()):
            return f"127.0.0.1:{serving[1]}"
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module", autouse=True)
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """GnuPG's folder with a key to throw away, and the public half in `public.gpg`."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    before = os.environ.get("GNUPGHOME")
    os.environ["GNUPGHOME"] = str(home)
    try:
        subprocess.run(["gpg", "--batch", "--quiet", "--generate-key"], input=KEY, text=True, check=True)
    except FileNotFoundError:
        missing("gpg is not installed")
    with (home / "public.gpg").open("wb") as public:
        subprocess.run(["gpg", "--batch", "--export"], stdout=public, check=True)
    yield home
    subprocess.run(["gpgconf", "--kill", "all"], check=False)
    os.environ.pop("GNUPGHOME")
    if before is not None:
        os.environ["GNUPGHOME"] = before


@pytest.fixture(scope="module")
def pushed(registry: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The chart in the registry, signed."""
    folder = tmp_path_factory.mktemp("dist")
    archive = chart_package.package(Kit.here().chart, folder)
    bytes_before = archive.read_bytes()
    chart_package.sign(archive, "test@example.org")
    assert archive.read_bytes() == bytes_before
    run(helm_program("helm3"), "push", str(archive), f"oci://{registry}/charts", "--plain-http")
    return f"oci://{registry}/charts/helm-sweep"


def run(program: Path, *words: str) -> str:
    done = subprocess.run([str(program), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", HELMS)
def test_what_is_pulled_is_what_was_signed(pushed: str, keys: Path, tmp_path: Path, name: str) -> None:
    check = ["--verify", "--keyring", str(keys / "public.gpg")]
    run(helm_program(name), "pull", pushed, "--plain-http", "--destination", str(tmp_path), *check)
    (archive,) = tmp_path.glob("*.tgz")
    assert archive.read_bytes() == chart_package.package(Kit.here().chart, tmp_path / "again").read_bytes()
    archive.write_bytes(archive.read_bytes() + b"x")
    words = [str(helm_program(name)), "verify", str(archive), "--keyring", str(keys / "public.gpg")]
    assert subprocess.run(words, capture_output=True, check=False).returncode


@pytest.mark.parametrize("name", HELMS)
def test_it_renders_as_the_folder_does(pushed: str, tmp_path: Path, name: str) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(MINIMAL | {"trials": [{"lr": 1}, {"lr": 2}]}))
    here, there = (
        run(helm_program(name), "template", "demo", chart, "--values", str(values), *more)
        for chart, more in ((str(Kit.here().chart), ()), (pushed, ("--plain-http",)))
    )
    assert list(render.read_manifest(there)) == list(render.read_manifest(here))


def test_it_is_installed_from_there(pushed: str, helm: Helm, kubectl: Kubectl, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(MINIMAL | {"trials": [{"lr": 1}, {"lr": 2}]}))
    helm("upgrade", "--install", "demo", pushed, "--plain-http", "--values", str(values))
    assert len(kubectl.items("jobs", "--selector", SWEEP)) == 2
    helm("uninstall", "demo")


def test_a_key_that_is_not_there_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chart_package.main([str(tmp_path), "--sign", "nobody@example.org"]) == 2
    assert re.fullmatch(r"error: gpg: .*; `gpg --list-secret-keys` shows the keys there are\n", capsys.readouterr().err)
