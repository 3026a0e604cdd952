"""One real node for the test cluster: the kubelet, containerd and runc run Pods of the real trial runner.

It needs root, and Debian's containerd, runc and containernetworking-plugins. Whatever it makes outside its folder
(mounts, a bridge, an address, cgroups, processes of containers) is undone by a guard process of its own, also when the
test process is killed.

    python -m tests.cluster.node guard FOLDER SLOT      clean up as soon as stdin ends
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.cluster import build
from tests.cluster.cluster import NODE, Cluster, Daemon, free_port
from tests.cluster.image import write_images
from tests.cluster.kubernetes import Kubectl, is_true, until

SLOTS = 8
"""Nodes at a time on a machine."""
GPUS = 2
PROGRAMS = ("containerd", "ctr", "runc", "ip")
PLUGINS = Path("/usr/lib/cni")
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Slot:
    """What a node takes of its machine, and no other node may have: network, cgroups."""

    number: int

    @property
    def address(self) -> str:
        """Of the node, put on lo: the kubelet refuses a loopback address. Only this machine reaches it."""
        return f"10.244.255.{self.number + 1}"

    @property
    def pod_network(self) -> str:
        return f"10.244.{self.number}.0/24"

    @property
    def bridge(self) -> str:
        return f"helm-sweep{self.number}"

    @property
    def cgroup(self) -> str:
        """Below which the kubelet has its Pods: it ends whatever it does not know there."""
        return f"/helm-sweep{self.number}"

    @property
    def cgroups(self) -> list[Path]:
        """The folders of `cgroup`: of each controller where they are apart (v1), else one (v2)."""
        apart = not (_CGROUPS / "cgroup.controllers").exists()
        return [place / self.cgroup[1:] for place in (_CGROUPS.iterdir() if apart else [_CGROUPS]) if place.is_dir()]

    def make_cgroups(self) -> None:
        if (listed := _CGROUPS / "cgroup.controllers").exists():
            enabled = " ".join(f"+{name}" for name in listed.read_text().split())
            (_CGROUPS / "cgroup.subtree_control").write_text(enabled)
        for folder in self.cgroups:
            with contextlib.suppress(PermissionError):  # not every folder there is a controller's
                folder.mkdir(exist_ok=True)


def take_slot() -> tuple[Slot, IO[str]]:
    """The first free slot of this machine, and the lock that holds it; waits where all are taken."""
    for number in range(SLOTS):
        lock = Path(f"/run/helm-sweep-node-{number}.lock").open("w")  # noqa: SIM115 - held while the node lives
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if number < SLOTS - 1 else 0))
        except BlockingIOError:
            lock.close()
        else:
            return Slot(number), lock
    raise AssertionError("the last slot is waited for")


def what_lacks() -> str:
    """Why this machine cannot have a real node; empty if it can."""
    if os.geteuid():
        return "a real node needs root"
    lacking = [program for program in PROGRAMS if not shutil.which(program)]
    if not (PLUGINS / "bridge").exists():
        lacking.append("containernetworking-plugins")
    return f"a real node needs {', '.join(lacking)} (apt-get install them)" if lacking else ""


class Node:
    """The real node of a cluster."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.folder = folder
        self.cluster = cluster
        self.socket = folder / "containerd.sock"
        words = ["containerd", "--config", str(folder / "containerd.toml")]
        self.containerd = Daemon("containerd", words, folder)
        self._slot, self._lock = take_slot()
        self.kubelet = Daemon("kubelet", self._kubelet(), folder)
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def kubectl(self) -> Kubectl:
        return self.cluster.kubectl

    @property
    def address(self) -> str:
        """Where Pods reach this machine."""
        return self._slot.address

    def start(self) -> None:
        """Start it; returns when it is ready and has GPUs. On failure prints the logs and cleans up."""
        words = [sys.executable, "-m", "tests.cluster.node", "guard", str(self.folder), str(self._slot.number)]
        self._guard = subprocess.Popen(
            words,
            cwd=build.HERE.parents[1],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[self._lock.fileno()],  # the slot is taken until this node is cleaned up
        )
        try:
            subprocess.run(["ip", "address", "replace", f"{self.address}/32", "dev", "lo"], check=True)
            self._slot.make_cgroups()
            self._configure()
            self.containerd.start()
            self._until(lambda: not self.ctr("version", check=False).returncode)
            write_images(self.folder / "images.tar")
            self.ctr("images", "import", str(self.folder / "images.tar"))
            (self.folder / "images.tar").unlink()
            self.kubelet.start()
            self._until(self.ready)
            capacity = {"nvidia.com/gpu": str(GPUS)}
            patch = json.dumps({"status": {"capacity": capacity, "allocatable": capacity}})
            self.kubectl("patch", "node", NODE, "--subresource=status", "--type=merge", "--patch", patch)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and undo whatever it did to the machine."""
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            self._guard.wait(timeout=60)
        for daemon in (self.kubelet, self.containerd):
            daemon.stop(signal.SIGKILL)
        self._lock.close()

    def ready(self) -> bool:
        nodes = self.kubectl.items("nodes", "--field-selector", f"metadata.name={NODE}")
        return any(is_true(node, "Ready") for node in nodes)

    def ctr(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """containerd's own client."""
        at = ["--address", str(self.socket), "--namespace", "k8s.io"]
        return subprocess.run(["ctr", *at, *words], capture_output=True, text=True, check=check, timeout=120)

    def _until(self, condition: Callable[[], object]) -> None:
        def met() -> object:
            for daemon in (self.containerd, self.kubelet):
                ended = daemon.process and daemon.process.poll() is not None
                assert not ended, f"{daemon.name} has ended:\n{daemon.last_words()}"
            return condition()

        until(met, lambda: f"{self.containerd.last_words()}\n{self.kubelet.last_words()}", 120)

    # ---- configuration ----

    def _configure(self) -> None:
        (self.folder / "cni").mkdir()
        network = {
            "cniVersion": "0.4.0",
            "name": "helm-sweep-test",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": self._slot.bridge,
                    "isGateway": True,  # so that Pods reach servers on this machine
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(self.folder / "addresses"),
                        "ranges": [[{"subnet": self._slot.pod_network}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                }
            ],
        }
        (self.folder / "cni" / "10-test.conflist").write_text(json.dumps(network))
        (self.folder / "containerd.toml").write_text(
            f"""version = 2
root = "{self.folder}/containerd"
state = "{self.folder}/state"
[grpc]
address = "{self.socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{self.folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "helm-sweep.test/pause:1"
# A container of this machine may lack CAP_SYS_RESOURCE, and then not lower the score of others.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{self._snapshotter()}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{PLUGINS}"
conf_dir = "{self.folder}/cni"
"""
        )
        (self.folder / "kubelet.json").write_text(json.dumps(self._kubelet_configuration()))

    def _snapshotter(self) -> str:
        """overlayfs where a folder of this disk can be an upper layer; in a container it often cannot."""
        trial = self.folder / "overlay"
        parts = [trial / name for name in ("lower", "upper", "work", "merged")]
        for part in parts:
            part.mkdir(parents=True)
        options = "lowerdir={},upperdir={},workdir={}".format(*parts[:3])
        words = ["mount", "-t", "overlay", "overlay", "-o", options, str(parts[3])]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            return "native"
        subprocess.run(["umount", str(parts[3])], check=True)
        return "overlayfs"

    def _kubelet(self) -> list[str]:
        return [
            str(self.cluster.tools / "kubelet"),
            f"--config={self.folder / 'kubelet.json'}",
            f"--kubeconfig={self.cluster.folder / NODE}.kubeconfig",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--cert-dir={self.folder / 'pki'}",
            f"--hostname-override={NODE}",
            f"--node-ip={self.address}",
            # Nothing lands here but what a test sends here.
            f"--node-labels=helm-sweep.test/node={NODE}",
            f"--register-with-taints=helm-sweep.test/node={NODE}:NoSchedule",
        ]

    def _kubelet_configuration(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address,
            "port": free_port(),
            "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self._slot.cgroup,
            "failCgroupV1": False,
            "failSwapOn": False,
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "podLogsDir": str(self.folder / "pods"),
            "enforceNodeAllocatable": ["pods"],
            "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "0%"},
            "imageGCHighThresholdPercent": 100,
            "nodeStatusUpdateFrequency": "2s",
            "syncFrequency": "10s",
        }


ON_REAL_NODE: dict[str, Any] = {
    "nodeSelector": {"helm-sweep.test/node": NODE},
    "tolerations": [{"key": "helm-sweep.test/node", "operator": "Equal", "value": NODE, "effect": "NoSchedule"}],
}


# ---- the guard ----


def clean_up(folder: Path, slot: Slot) -> None:
    """Undo whatever a node in `folder` did to this machine, the folder included; harmless if there is nothing."""
    text = str(folder)
    for pid in sorted(descendants(processes_of(text)), reverse=True):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for mount in sorted(mounts_below(folder), reverse=True):
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
    for words in (["link", "delete", slot.bridge], ["address", "delete", f"{slot.address}/32", "dev", "lo"]):
        subprocess.run(["ip", *words], capture_output=True, check=False)
    for group in slot.cgroups:
        for inner, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(inner).rmdir()
    if not mounts_below(folder):  # never delete through a volume that is still mounted
        shutil.rmtree(folder, ignore_errors=True)


def mounts_below(folder: Path) -> list[str]:
    """Mount points inside a folder."""
    mounts = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [mount for mount in mounts if mount.startswith(f"{folder}/")]


def processes_of(text: str) -> set[int]:
    """Processes that name the folder: kubelet, containerd and its shims, but not this one."""
    pids = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if text.encode() in command and int(process.name) != os.getpid():
                pids.add(int(process.name))
    return pids


def descendants(roots: set[int]) -> set[int]:
    """These processes and all below them: the containers are children of their shims."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    family = set(roots)
    while True:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        if not more:
            return family
        family |= more


def main() -> int:
    _, word, folder, number = sys.argv
    assert word == "guard"
    sys.stdin.buffer.read()  # ends when the test process closes it, or dies
    clean_up(Path(folder), Slot(int(number)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
