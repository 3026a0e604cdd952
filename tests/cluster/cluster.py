"""A Kubernetes control plane of one's own, on loopback, ready in seconds; nothing of it is installed.

    python -m tests.cluster.cluster up      start one, and print how to use it
    python -m tests.cluster.cluster down    stop it and delete all it knew

Tests use the class: its processes die with the test process, however that ends.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import build
from tests.cluster.kubernetes import Kubectl, Refused, create_fake_nodes, until, write_private

READY_SECONDS = 120
"""It takes 2 s on an idle machine; a machine that compiles on every core needs far longer."""
ADMIN = "admin"
NODE = "real-node"
"""Name of the node that runs Pods for real; tests/cluster/node.py starts it."""
_USERS = {
    ADMIN: "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    f"system:node:{NODE}": "system:nodes",
}
"""User -> group. The system users have the rights that Kubernetes gives them on any cluster."""
FAKE_GPUS = {"nvidia.com/gpu": "8", "nvidia.com/mig-1g.10gb": "8"}


@dataclass
class Daemon:
    """A process that is started, stopped and started again, with its output in `<folder>/<name>.log`."""

    name: str
    words: list[str]
    folder: Path
    lasting: bool = False
    """It outlives the process that started it. Otherwise the kernel kills it when that process dies."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def start(self) -> None:
        # setpriv, and no preexec_fn: that is unsafe, and warned of, in a process with threads.
        words = self.words if self.lasting else ["setpriv", "--pdeathsig", "KILL", "--", *self.words]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in pytest is pytest's to handle
            )
        self.pid_file.write_text(str(self.process.pid))

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and wait for its end; harmless if it has ended."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(sign)
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        self.pid_file.unlink(missing_ok=True)

    def last_words(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        ended = f" (ended with {self.process.returncode})" if self.process and self.process.poll() is not None else ""
        return "\n".join([f"--- {self.log}{ended}", *lines[-25:]])


class Cluster:
    """etcd, API server, controller manager and scheduler in one folder; kwok where fake nodes are asked for."""

    def __init__(self, folder: Path, *, lasting: bool = False) -> None:
        self.folder = folder
        self.lasting = lasting
        self.tools = build.TOOLS["kube"].folder
        self.kubeconfig = folder / "kubeconfig"
        self.daemons: dict[str, Daemon] = {}
        """By name, in the order of their start."""

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the administrator."""
        return Kubectl(self.tools / "kubectl", self.kubeconfig)

    # ---- up and down ----

    def start(self) -> None:
        """Start everything; returns when objects can be made. On failure prints the logs and stops everything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        port = free_port()
        subprocess.run([self.tools / "kube", "keys", self.folder, "127.0.0.1"], check=True)
        tokens = {user: secrets.token_hex(16) for user in _USERS}
        rows = (f'{tokens[user]},{user},{user},"{group}"' for user, group in _USERS.items())
        write_private(self.folder / "tokens.csv", "\n".join(rows))
        write_private(self.kubeconfig, self._kubeconfig(port, tokens[ADMIN]))
        for user in _USERS:
            write_private(self.folder / f"{user.rpartition(':')[2]}.kubeconfig", self._kubeconfig(port, tokens[user]))
        try:
            self._start("etcd", *self._etcd())
            self._start("kube-apiserver", *self._apiserver(port))
            self.wait_ready()
            self._start("kube-controller-manager", *self._controller_manager())
            self._start("kube-scheduler", *self._scheduler())
            kubectl = self.kubectl.within("default")  # the controller manager's first deed
            self._until(lambda: kubectl.items("serviceaccounts"))
        except BaseException:
            self.stop()
            raise

    def wait_ready(self) -> None:
        """Wait until the API server answers that it is ready, RBAC included."""
        self._until(lambda: self.kubectl("get", "--raw", "/readyz") == "ok")

    def stop(self) -> None:
        """Stop everything and drop its data; the logs stay."""
        for daemon in reversed(self.daemons.values()):
            daemon.stop()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def add_fake_nodes(self, count: int) -> None:
        """Start kwok and give it nodes of eight GPUs each. Pods of Jobs succeed on them as soon as they start."""
        self.daemons["kwok"] = kwok(self.kubeconfig, self.folder, lasting=self.lasting)
        self.daemons["kwok"].start()
        create_fake_nodes(self.kubectl, count, FAKE_GPUS, tainted=False)

    @contextlib.contextmanager
    def without(self, name: str, sign: signal.Signals = signal.SIGKILL) -> Iterator[None]:
        """A while without one of the daemons, which is killed first and started again after."""
        self.daemons[name].stop(sign)
        try:
            yield
        finally:
            self.daemons[name].start()
            self.wait_ready()

    # ---- how each is started ----

    def _etcd(self) -> list[str]:
        client, peer = (f"unix://{self.folder}/{name}.sock" for name in ("client", "peer"))
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # what a test cluster knows need not survive a power cut
            "--log-level=warn",
        ]

    def _apiserver(self, port: int) -> list[str]:
        return [
            f"--etcd-servers=unix://{self.folder}/client.sock",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={self.folder / 'serving.crt'}",
            f"--tls-private-key-file={self.folder / 'serving.key'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'accounts.key'}",
            f"--service-account-signing-key-file={self.folder / 'accounts.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",  # a loopback address may not stand in the Service `kubernetes`
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _controller_manager(self) -> list[str]:
        return [
            f"--kubeconfig={self.folder / 'kube-controller-manager.kubeconfig'}",
            f"--root-ca-file={self.folder / 'serving.crt'}",
            f"--service-account-private-key-file={self.folder / 'accounts.key'}",
            "--use-service-account-credentials",  # each controller with its own rights, as on a real cluster
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=400",  # the default of 20 completes 5 Jobs a second
            "--kube-api-burst=800",
        ]

    def _scheduler(self) -> list[str]:
        config = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {
                "kubeconfig": str(self.folder / "kube-scheduler.kubeconfig"),
                "qps": 400,
                "burst": 800,
            },
        }
        (self.folder / "scheduler.json").write_text(json.dumps(config))
        return [f"--config={self.folder / 'scheduler.json'}", "--secure-port=0"]

    def _start(self, name: str, *words: str) -> None:
        self.daemons[name] = Daemon(name, [str(self.tools / name), *words], self.folder, self.lasting)
        self.daemons[name].start()

    def _kubeconfig(self, port: int, token: str) -> str:
        """A kubeconfig; JSON is YAML too."""
        authority = base64.b64encode((self.folder / "serving.crt").read_bytes()).decode()
        server = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority}
        name = "helm-sweep-test"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": server}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        }
        return json.dumps(config)

    def _until(self, condition: Callable[[], object]) -> None:
        def met() -> bool:
            ended = [daemon.name for daemon in self.daemons.values() if daemon.process and daemon.process.poll()]
            assert not ended, f"{ended[0]} has ended:\n{self.daemons[ended[0]].last_words()}"
            with contextlib.suppress(Refused, subprocess.TimeoutExpired):
                return bool(condition())
            return False

        until(met, lambda: "\n".join(daemon.last_words() for daemon in self.daemons.values()), READY_SECONDS)


def kwok(kubeconfig: Path, folder: Path, *, lasting: bool = False) -> Daemon:
    """kwok for the nodes that are annotated as its own, on whatever cluster."""
    tool = build.TOOLS["kwok"]
    taint = "kwok.x-k8s.io/node=fake"
    words = [
        str(tool.folder / "kwok"),
        f"--kubeconfig={kubeconfig}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={taint}",
        "--node-lease-duration-seconds=40",
        *(f"--config={stage}" for stage in sorted(tool.folder.glob("*.yaml"))),
    ]
    return Daemon("kwok", words, folder, lasting)


def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ---- a cluster that outlives the command ----


def lasting_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "helm-sweep" / "cluster"


def up(fake_nodes: int) -> int:
    """Start the lasting cluster unless it runs; prints the shell command that selects it."""
    folder = lasting_folder()
    cluster = Cluster(folder, lasting=True)
    start = time.monotonic()
    if not running(folder):
        down()
        for name in ("kube", "kwok"):
            if not build.TOOLS[name].built:
                print(f"cluster: building {name}, once, for some minutes", file=sys.stderr)
            build.build(build.TOOLS[name])
        cluster.start()
        try:
            cluster.add_fake_nodes(fake_nodes)
        except BaseException:
            cluster.stop()
            raise
        print(f"cluster: ready in {time.monotonic() - start:.0f} s, {fake_nodes} fake GPU nodes", file=sys.stderr)
    print(f"cluster: kubectl is {cluster.tools / 'kubectl'}; logs are in {folder}", file=sys.stderr)
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def running(folder: Path) -> dict[str, int]:
    """Name -> pid of the daemons that run in a folder; a pid that another program has got since does not count."""
    pids = {}
    for path in sorted(folder.glob("*.pid")):
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.read_text())
            if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                pids[path.stem] = pid
    return pids


def down() -> int:
    """Stop the lasting cluster, and delete its folder; harmless where there is none."""
    folder = lasting_folder()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in running(folder).values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        with contextlib.suppress(AssertionError):
            until(lambda: not running(folder), lambda: "", 15)
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def main() -> int:
    match sys.argv[1:]:
        case ["up"]:
            return up(2)
        case ["up", count] if count.isdigit():
            return up(int(count))
        case ["down"]:
            return down()
    print("usage: python -m tests.cluster.cluster up [FAKE_NODES] | down", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
