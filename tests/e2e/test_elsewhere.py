"""The launcher where what Linux alone has is missing, as on macOS: a cluster's sweep is submitted, a local one runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.support import TestClone

ELSEWHERE = '''"""Takes away, before anything is imported, what macOS lacks."""
import ctypes, fcntl, os, select, signal, sys

for module, names in {
    os: "pidfd_open pipe2 sched_getaffinity sched_setaffinity memfd_create eventfd O_PATH O_TMPFILE posix_fadvise "
        "posix_fallocate copy_file_range getrandom splice setns unshare waitid P_PIDFD getresuid",
    signal: "pidfd_send_signal sigtimedwait sigwaitinfo",
    fcntl: "F_OFD_SETLK F_OFD_GETLK F_OFD_SETLKW F_ADD_SEALS F_SETPIPE_SZ",
    select: "epoll",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)


class Library:
    """The C library, without Linux's calls."""

    def __init__(self, *_, **__):
        pass


ctypes.CDLL = Library
stat = os.stat


def is_of_linux(path):
    try:
        return os.fspath(path).split("/")[1:2] in (["proc"], ["sys"])
    except (TypeError, AttributeError):
        return False


def without_proc(path, *words, **options):
    if is_of_linux(path):
        raise FileNotFoundError(2, "No such file or directory", path)
    return stat(path, *words, **options)


os.stat = without_proc


def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and arguments and is_of_linux(arguments[0]):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])
    if event == "import" and arguments[0] in ("pyexpat_linux", "spwd", "ossaudiodev"):
        raise ModuleNotFoundError(arguments[0])


sys.addaudithook(refuse)
'''


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(ELSEWHERE)
    return {"PYTHONPATH": str(folder)}


def test_a_local_sweep_runs_and_says_what_is_missing(clone: TestClone, elsewhere: dict[str, str]) -> None:
    clone.edit({"x": 1}, {"x": 2}, {"x": -1}, backoffLimit=0)
    clone.open_gate()
    clone.run("expand", "toy", "--code", "toy", **elsewhere)
    output = clone.run("drive", "toy", "--slots", "2", code=1, **elsewhere)
    assert output.count("toy: this is not Linux: ") == 1
    assert "2 succeeded, 1 failed" in output
    assert "2 succeeded, 1 failed" in clone.run("status", "toy", **elsewhere)
    assert "1 of 3 trials failed" in clone.run("drive", "toy", code=1), "and Linux goes on from there"


def test_what_a_cluster_needs_runs_up_to_its_api(clone: TestClone, elsewhere: dict[str, str]) -> None:
    """As far as the first call that a machine without a cluster cannot make."""
    clone.edit({"x": 1}, {"x": 2})
    config = clone.root.parent / "kubeconfig"
    config.write_text(NOWHERE)
    cluster = {**elsewhere, "KUBECONFIG": str(config)}
    options = ("--engine", "cluster")
    clone.run("expand", "toy", "--code", "toy", *options, **cluster)
    assert "2 new" in clone.run("plan", "toy", *options, **cluster)
    assert clone.run("render", "toy", *options, **cluster).count("kind: Job") == 2
    for verb in ("status", "stop"):  # the others have patience with a cluster that is away
        assert "cluster" in clone.run(verb, "toy", *options, code=3, **cluster), verb
    assert "not Linux" not in clone.run("doctor", code=2, **cluster)


NOWHERE = """apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: nobody, user: {token: none}}]
"""
