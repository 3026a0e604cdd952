"""Container images made here, out of this machine's own Python: no registry, no download.

What the trial runner needs of an image is `python3`; so the image is this interpreter, its standard library and the
shared libraries that both load.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import subprocess
import sys
import tarfile
from pathlib import Path

TRIAL_IMAGE = {"repository": "helm-sweep.test/python", "tag": "1", "pullPolicy": "Never"}
"""For the values: the image that has Python."""
_PAUSE = ["/usr/bin/python3", "-I", "-S", "-c", "import signal; signal.pause()"]
_LEFT_OUT = {"site-packages", "dist-packages", "__pycache__", "test", "idlelib", "tkinter", "ensurepip", "lib2to3"}


def write_images(path: Path) -> None:
    """Write `docker load` archive of helm-sweep.test/python:1 and of the sandbox's helm-sweep.test/pause:1."""
    layer = python_layer()
    with tarfile.open(path, "w") as archive:
        add(archive, "layer.tar", layer)
        listed = []
        for name, command in (("python", []), ("pause", _PAUSE)):
            config = {
                "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
                "os": "linux",
                "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": command},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            }
            add(archive, f"{name}.json", json.dumps(config).encode())
            listed.append(
                {"Config": f"{name}.json", "RepoTags": [f"helm-sweep.test/{name}:1"], "Layers": ["layer.tar"]}
            )
        add(archive, "manifest.json", json.dumps(listed).encode())


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    archive.addfile(about, io.BytesIO(content))


def python_layer() -> bytes:
    """A root file system with this Python in it, as an uncompressed tar."""
    program = Path(sys.executable).resolve()
    library = Path(sys.base_prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    listed = (path for path in library.rglob("*") if not _LEFT_OUT & set(path.relative_to(library).parts))
    files = {program, *(path for path in listed if path.suffix in (".py", ".so"))}
    loaded = {found for path in files if path == program or path.suffix == ".so" for found in libraries(path)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder, mode in (("tmp", 0o1777), ("etc", 0o755), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)):
            about = tarfile.TarInfo(folder)
            about.type, about.mode = tarfile.DIRTYPE, mode
            layer.addfile(about)
        for path in sorted(files | loaded):
            add_file(layer, path)
        link = tarfile.TarInfo("usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, str(program)
        layer.addfile(link)
    return buffer.getvalue()


def add_file(layer: tarfile.TarFile, path: Path) -> None:
    """A file at its own path, links followed, readable by all. The runtime makes the folders above it."""
    content = path.read_bytes()
    about = tarfile.TarInfo(str(path)[1:])
    about.size, about.mode = len(content), 0o755
    layer.addfile(about, io.BytesIO(content))


def libraries(path: Path) -> set[Path]:
    """The shared libraries that a binary loads, by the paths it looks for them."""
    told = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(?:=> |^\s*)(/\S+)", told, re.MULTILINE)}
