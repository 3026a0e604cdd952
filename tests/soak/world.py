"""The place of a soak: a clone on a small disk of its own, and programs that do what they are told at the wrong moment.

<root>/disk/clone   the clone, on a tmpfs where that can be mounted
      /bin          git, helm and python3: they end early, or see another clock, when the soak says so
      /ledger       what the trials note, out of reach of every fault
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import signal
import struct
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sweep import helm, yamlfile
from sweep.engines import processes
from tests.e2e.support import copy_tree

HERE = Path(__file__).parent
DISK_MB = 64
SWEEPS = ("aa", "bb", "cc")
"""The first two list their trials by hand, the third has a space.yaml."""
KILLED_SOON = """#!/bin/sh
# {name}, which dies a moment after its start where there is an order to: of its signal, and how many seconds that is.
case " $* " in *" commit "*) set_of="{name} commit" ;; *) set_of="{name}" ;; esac
for name in $set_of; do
  if mv "$SOAK/kill-$name" "$SOAK/order.$$" 2>/dev/null; then
    read -r signal seconds <"$SOAK/order.$$"
    rm "$SOAK/order.$$"
    (sleep "$seconds"; kill -s "$signal" $$ && echo "$name $signal" >>"$SOAK/hits") </dev/null >/dev/null 2>&1 &
  fi
done
exec {real} "$@"
"""
SEES_ANOTHER_CLOCK = """#!/bin/sh
LD_PRELOAD='{library}' exec '{real}' "$@"
"""
HABITS = ("plain", "slow", "calm", "daemon")


@dataclass
class Launcher:
    """A `make sweep` that runs, or has run."""

    sweep: str
    process: subprocess.Popen[bytes]
    out: Path

    @property
    def output(self) -> str:
        return self.out.read_text(errors="replace")


class World:
    """A clone with three sweeps. Close it, whatever happens: it may hold a mount and processes."""

    def __init__(self, root: Path) -> None:
        self.root, self.disk, self.clone = root, root / "disk", root / "disk" / "clone"
        self.store, self.ledger = self.clone / "results", root / "ledger"
        for folder in (self.disk, root / "bin", root / "out"):
            folder.mkdir(parents=True)
        self.ledger.touch()
        self.launchers: list[Launcher] = []
        self.clock_file = (root / "clock").open("w+b")
        self.clock_file.write(struct.pack("ll", 0, 0))
        self.clock_file.flush()
        self.clock = mmap.mmap(self.clock_file.fileno(), 16)
        self.tmpfs = _mounted(self.disk)
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        library = self.root / "clock.so"
        compiler = shutil.which("cc") or shutil.which("gcc")
        self.has_clock = compiler is not None
        if compiler:
            words = [f'-DCLOCK="{self.root}/clock"', "-shared", "-fPIC", "-O1", "-o", str(library)]
            subprocess.run([compiler, *words, str(HERE / "clock.c"), "-ldl"], check=True)
        for name, real in (("git", shutil.which("git")), ("helm", helm.binary())):
            assert real, f"{name}: not in PATH"
            self._program(name, KILLED_SOON.format(name=name, real=f"'{real}'"))
        python = shutil.which("python3")
        assert python, "python3: not in PATH"
        if self.has_clock:
            self._program("python3", SEES_ANOTHER_CLOCK.format(library=library, real=python))
            # A launcher starts the runner by its own Python, and what it starts has nothing of LD_PRELOAD.
            (self.root / "bin/sitecustomize.py").write_text(f"import sys\nsys.executable = '{self.root}/bin/python3'\n")
        self.env = os.environ | {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "HELM": f"{self.root}/bin/helm",
            "SOAK": str(self.root),
            **({"LD_PRELOAD": str(library), "PYTHONPATH": f"{self.root}/bin"} if self.has_clock else {}),
        }
        copy_tree(self.clone)
        (self.clone / "soak").mkdir()
        shutil.copy(HERE / "train.py", self.clone / "soak")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=start")
        self.trials: dict[str, list[dict[str, object]]] = {name: [] for name in SWEEPS}

    def _program(self, name: str, text: str) -> None:
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def git(self, *words: str) -> str:
        """Git, out of reach of the faults."""
        done = subprocess.run(["git", *words], cwd=self.clone, capture_output=True, text=True, check=True)
        return done.stdout

    # ---- what people do ----

    def add(self, sweep: str, *trials: dict[str, object]) -> None:
        """List more trials in a sweep: by hand in its values.yaml, or as explicit points of its space."""
        self.trials[sweep] += trials
        folder = self.clone / "values" / sweep
        folder.mkdir(exist_ok=True)
        objective = {"metric": "score", "direction": "maximize"}
        fixed = {"ledger": str(self.ledger)}
        head = {
            "sweep": sweep,
            "objective": objective,
            "hyperparameters": fixed,
            "command": ["python3", "-I", "-S", "train.py"],
            "code": {"path": "soak"},
            "gpu": {"count": 0},
            "limit_seconds": 600,
            "backoffLimit": 100_000,
            "terminationGracePeriodSeconds": 12,
            "data": {"id": "", "volume": None},
            "local": {"requirements": None},
        }
        text = "".join(f"{key}: {yamlfile.flow(value)}\n" for key, value in head.items()) + "trials:\n"
        if sweep == SWEEPS[-1]:
            points = "".join(f"  - {yamlfile.flow(trial)}\n" for trial in self.trials[sweep])
            (folder / "space.yaml").write_text(
                f"objective: {yamlfile.flow(objective)}\nsampler: {{name: explicit}}\n"
                f"hyperparameters: {yamlfile.flow(fixed)}\npoints:\n{points}"
            )
            if not (folder / "values.yaml").exists():
                (folder / "values.yaml").write_text(f"{text}  # expanded from space.yaml: not yet\n  # end\n")
        else:
            lines = "".join(f"  - {yamlfile.flow(trial)}\n" for trial in self.trials[sweep])
            (folder / "values.yaml").write_text(text + lines)

    def start(self, sweep: str, verb: str = "drive", *words: str) -> Launcher:
        """Type a command, in a terminal of its own."""
        out = self.root / "out" / f"{len(self.launchers)}-{verb}-{sweep}"
        with out.open("wb") as file:
            process = subprocess.Popen(
                [str(self.clone / ".venv/bin/python"), "-S", f"scripts/{verb}.py", sweep, *words],
                cwd=self.clone,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.launchers.append(Launcher(sweep, process, out))
        return self.launchers[-1]

    # ---- what goes wrong ----

    def set_clock(self, seconds: int) -> None:
        """Move the wall clock of all that runs in here."""
        self.clock[:8] = struct.pack("l", seconds)

    def fill_disk(self) -> None:
        """Take all the room there is."""
        if not self.tmpfs:
            self.clock[8:] = struct.pack("l", 1)
            return
        with suppress(OSError), (self.disk / "ballast").open("ab", buffering=0) as ballast:
            while ballast.write(bytes(1 << 20)):
                pass
        with suppress(OSError), (self.disk / "ballast").open("ab", buffering=0) as ballast:
            while ballast.write(bytes(512)):
                pass

    def free_disk(self) -> None:
        self.clock[8:] = struct.pack("l", 0)
        (self.disk / "ballast").unlink(missing_ok=True)

    def order(self, program: str, number: signal.Signals, seconds: float) -> None:
        """Have the next start of git, of `git commit` (commit) or of helm end after so many seconds."""
        draft = self.root / "draft"
        draft.write_text(f"{number.name.removeprefix('SIG')} {seconds:.4f}\n")
        draft.rename(self.root / f"kill-{program}")

    def cancel_orders(self) -> None:
        for path in self.root.glob("kill-*"):
            path.unlink(missing_ok=True)

    def hits(self) -> list[str]:
        """`program signal` of every order that was carried out."""
        path = self.root / "hits"
        return path.read_text().splitlines() if path.exists() else []

    def marked(self, program: str) -> list[int]:
        """Process ids of the runners (trial.py) or the commands (train.py) that live in here."""
        pids = []
        for process in processes.everything():
            mark = processes.mark_of(process.pid)
            if mark and mark.work.startswith(str(self.clone)) and _runs(process.pid, program):
                pids.append(process.pid)
        return pids

    # ---- the end ----

    def close(self) -> None:
        """End all that runs in here, and give the disk back."""
        for launcher in self.launchers:
            if launcher.process.poll() is None:
                launcher.process.kill()
            launcher.process.wait()
        for pid in self.marked(""):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.clock.close()
        self.clock_file.close()
        if self.tmpfs:
            _libc.umount2(os.fsencode(self.disk), 2)  # MNT_DETACH
        shutil.rmtree(self.root, ignore_errors=True)


_libc = ctypes.CDLL(None, use_errno=True)


def _mounted(folder: Path) -> bool:
    """Mount a small disk at a folder; False where this user may not."""
    options = f"size={DISK_MB}m".encode()
    failed: int = _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options)
    return not failed


def _runs(pid: int, program: str) -> bool:
    try:
        return program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
