"""The Job that fills the data volume, run as its Pod would run it."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.trial_support import PYTHON, REPOSITORY

SCRIPT = REPOSITORY / "chart" / "files" / "prepare.py"
SHOW = 'echo "$@" > "$DATA_DIR/words"; echo "$DATA_ID $HOME" > "$DATA_DIR/env"; ls -R . > "$DATA_DIR/cwd"'


class Volume:
    """A data volume and a scratch folder."""

    def __init__(self, root: Path) -> None:
        self.data, self.scratch, self.root = root / "data", root / "scratch", root
        for folder in (self.data, self.scratch):
            folder.mkdir()

    def fill(self, *words: str, sent: bytes = b"", code: int = 0) -> str:
        """Run it; returns what it said."""
        call = [PYTHON, "-I", "-S", str(SCRIPT), f"--data={self.data}", f"--scratch={self.scratch}", *words]
        done = subprocess.run(call, input=sent, capture_output=True, env={"DATA_ID": "d1", "PATH": "/usr/bin:/bin"})
        assert done.returncode == code, done.stderr.decode()
        return done.stderr.decode().strip()

    def content(self, name: str) -> str:
        return (self.data / name).read_text().strip()


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def tar(*names: str, change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> bytes:
    """A tar of small files with these names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            about = tarfile.TarInfo(name)
            about.size = len(name)
            change(about)
            archive.addfile(about, io.BytesIO(name.encode()))
    return buffer.getvalue()


def test_the_command_runs_in_the_code_with_data_dir_and_data_id(volume: Volume) -> None:
    bundle = volume.root / "files.json"
    bundle.write_text(json.dumps({"dataset.py": "x", "sub/more.py": "y"}))
    volume.fill(f"--code={bundle}", "--", "sh", "-c", SHOW, "sh", "--source", "npm")
    assert volume.content("words") == "--source npm"
    assert volume.content("env") == f"d1 {volume.scratch}/home"
    assert "dataset.py" in volume.content("cwd")
    assert "more.py" in volume.content("cwd")


def test_it_ends_as_the_command_does(volume: Volume) -> None:
    volume.fill("--", "sh", "-c", "exit 65", code=65)
    message = volume.fill("--", "no-such-program", code=127)
    assert (
        message == "trial.py: failed: data.prepare: no-such-program: No such file or directory; mend it, or the image"
    )


def test_what_is_sent_becomes_the_source(volume: Volume) -> None:
    (volume.scratch / "upload").mkdir()
    (volume.scratch / "upload" / "of an earlier start").touch()
    message = volume.fill("--upload", "--", "sh", "-c", SHOW, "sh", sent=tar("a", "b/c"))
    assert message == "trial.py: upload: 2 files"
    assert volume.content("words") == f"--source folder {volume.scratch}/upload"
    sent = {path.name: path.read_text() for path in (volume.scratch / "upload").rglob("*") if path.is_file()}
    assert sent == {"a": "a", "c": "b/c"}


def link(about: tarfile.TarInfo) -> None:
    about.type, about.linkname, about.size = tarfile.SYMTYPE, "/etc", 0


@pytest.mark.parametrize(
    ("sent", "name"),
    [(tar("../a"), "../a"), (tar("/a"), "/a"), (tar("a/../../b"), "a/../../b"), (tar("l", change=link), "l")],
)
def test_what_leads_out_of_the_folder_is_refused(volume: Volume, sent: bytes, name: str) -> None:
    message = volume.fill("--upload", "--", "sh", "-c", SHOW, sent=sent, code=65)
    assert message == f"trial.py: failed: upload: {name!r}: leads elsewhere or is not a file; send plain files"
    assert not list(volume.data.iterdir())
    assert not (volume.root / "a").exists()


@pytest.mark.parametrize(
    ("sent", "code", "words"),
    [
        (tar("a" * 80)[:550], 75, "upload: was cut off"),
        (b"", 65, "upload: "),
        (b"x" * 2000, 65, "upload: is not a tar archive"),
        (tar(), 65, "upload: holds no file"),
    ],
)
def test_broken_stream_fills_nothing(volume: Volume, sent: bytes, code: int, words: str) -> None:
    message = volume.fill("--upload", "--", "sh", "-c", SHOW, sent=sent, code=code)
    assert message.startswith(f"trial.py: failed: {words}")
    assert len(message.splitlines()) == 1
    assert not list(volume.data.iterdir())


def test_memory_stays_bounded_however_much_is_sent(volume: Volume) -> None:
    """128 MB and 100,000 names through 40 MB of address space."""
    sender = (
        "import io, sys, tarfile\n"
        "with tarfile.open(fileobj=sys.stdout.buffer, mode='w|') as archive:\n"
        "    about = tarfile.TarInfo('folder')\n"
        "    about.type = tarfile.DIRTYPE\n"
        "    for _ in range(100_000):\n"
        "        archive.addfile(about)\n"
        "        archive.members = []\n"
        "    about = tarfile.TarInfo('big')\n"
        "    about.size = 128 << 20\n"
        "    archive.addfile(about, open('/dev/zero', 'rb'))\n"
    )
    words = f"--data={volume.data} --scratch={volume.scratch} --upload -- true"
    script = f'ulimit -v 40960; exec "$0" -I -S {SCRIPT} {words}'
    with subprocess.Popen([PYTHON, "-c", sender], stdout=subprocess.PIPE) as source:
        done = subprocess.run(["bash", "-c", script, PYTHON], stdin=source.stdout, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert (volume.scratch / "upload" / "big").stat().st_size == 128 << 20
