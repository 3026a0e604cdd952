"""Container images made here, out of this machine's own Python: no registry, no download.

What the trial runner needs of an image is `python3`; so the image is this interpreter, its standard library and the
shared libraries that both load. Beside it one with this machine's git.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

TRIAL_IMAGE = {"repository": "helm-sweep.test/python", "tag": "1", "pullPolicy": "Never"}
"""For the values: the image that has Python."""
GIT_IMAGE = "helm-sweep.test/git:1"
"""For the values: the image that has sh, git and what chart/files/clone.sh calls."""
PROGRAMS_IMAGE = TRIAL_IMAGE | {"repository": "helm-sweep.test/programs"}
"""For the values: the same with `python`, and svm-train where this machine has it."""
_GIT_PROGRAMS = ("sh", "git", "cat", "cp", "cut", "grep", "mkdir", "rm", "tr")
_PAUSE = ["/usr/bin/python3", "-I", "-S", "-c", "import signal; signal.pause()"]
_TAKEN_FOR_GRANTED = {
    *("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1"),
    *("libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libutil.so.1"),
}
"""What compiled packages (manylinux) expect of a system and do not bring along; with a volume of them torch runs."""
_LEFT_OUT = {"site-packages", "dist-packages", "__pycache__", "test", "idlelib", "tkinter", "ensurepip", "lib2to3"}


def write_images(path: Path) -> None:
    """Write `docker load` archive of helm-sweep.test/{python,programs,git}:1, and of pause:1, the sandbox's."""
    layers = {"python.tar": python_layer(), "git.tar": git_layer(), "programs.tar": programs_layer()}
    with tarfile.open(path, "w") as archive:
        for name, layer in layers.items():
            add(archive, name, layer)
        listed = []
        for name, places, command in (
            ("python", ["python.tar"], []),
            ("programs", ["python.tar", "programs.tar"], []),
            ("pause", ["python.tar"], _PAUSE),
            ("git", ["git.tar"], []),
        ):
            hashes = [f"sha256:{hashlib.sha256(layers[place]).hexdigest()}" for place in places]
            config = {
                "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
                "os": "linux",
                "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": command},
                "rootfs": {"type": "layers", "diff_ids": hashes},
            }
            add(archive, f"{name}.json", json.dumps(config).encode())
            listed.append({"Config": f"{name}.json", "RepoTags": [f"helm-sweep.test/{name}:1"], "Layers": places})
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
    loaded = {needed for path in files if path == program or path.suffix == ".so" for needed in libraries(path)}
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    listed_at = re.findall(r"^\s*(\S+) \(.*\) => (/\S+)", known, re.MULTILINE)
    loaded |= {Path(place) for name, place in listed_at if name in _TAKEN_FOR_GRANTED}
    return root(files | loaded, {"usr/bin/python3": program})


def git_layer() -> bytes:
    """A root file system with a shell and git, for a repository that a git daemon serves."""
    return layer_of(*_GIT_PROGRAMS)


def programs_layer() -> bytes:
    """What programs ask for that people bring: `python`, and svm-train where this machine has it."""
    return layer_of("svm-train", links={"usr/bin/python": Path("/usr/bin/python3")})


def layer_of(*names: str, links: Mapping[str, Path] = MappingProxyType({})) -> bytes:
    """A root file system with this machine's programs of these names, those that it has, and what they load."""
    located = {name: path for name in names if (path := shutil.which(name))}
    programs = {Path("/usr/bin", name): Path(path).resolve() for name, path in located.items()}
    files = {*programs.values(), *(library for path in programs.values() for library in libraries(path))}
    return root(files, {**links, **{str(at)[1:]: path for at, path in programs.items() if at != path}})


def root(files: set[Path], links: dict[str, Path]) -> bytes:
    """A root file system of these files at their own paths and of symbolic links, as an uncompressed tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder, mode in (("tmp", 0o1777), ("etc", 0o755), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)):
            about = tarfile.TarInfo(folder)
            about.type, about.mode = tarfile.DIRTYPE, mode
            layer.addfile(about)
        for path in sorted(files):
            add_file(layer, path)
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, str(target)
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
    listing = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    return {Path(name) for name in re.findall(r"(?:=> |^\s*)(/\S+)", listing, re.MULTILINE)}
