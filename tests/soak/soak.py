"""Three sweeps at once in one clone and on one store, and all that can go wrong at random moments: `make soak`.

A round lists new trials in each sweep, types `make sweep` for all three, and does harm: signals to launchers,
terminals, runners, trials, git and helm, a wall clock that jumps, a disk that is full. What has ended is typed again.
Then the harm stops, and the same command is typed until all three end well; judge.py says what must hold. The seed says
what is done; the moments at which it hits are the machine's. Exit code 1 unless nothing was lost, twice or mixed up.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.soak.judge import KINDS, Judge
from tests.soak.world import HABITS, SWEEPS, Launcher, World

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
FAULTS = {
    "launcher": 2, "terminal": 1, "runner": 3, "trial": 2, "git": 3, "commit": 3, "helm": 2, "clock": 3, "disk": 2,
}  # fmt: skip
"""What goes wrong, and how often beside the others."""
JUMPS = (0, 61, 3600, 8 * 3600, 400 * 86400, -3600, -8 * 3600, -40 * 365 * 86400)
ROUNDS = 6
"""In one clone: with its trials the time of every command grows."""
TRIES = 25
"""How often a command is typed after the harm has stopped, until it ends well."""
PATIENCE = 420.0
"""Seconds that this may take: a lock that a dead git left is watched for 20 s, an orphan has 12 s to save."""
ENDS = {0, 1, 2, 3, 4, 130}
"""Exit codes that docs/design.md knows; or a signal's."""
EARLY = re.compile(
    r"Traceback \(most recent call last\):\n"
    r"(  File \"[^\n]*(scripts/drive\.py\"[^\n]*\n *import guard|<frozen [^\n]*))*\nKeyboardInterrupt\n"
)
"""A Ctrl-C in the milliseconds in which Python itself starts: nothing of ours runs yet that could put it in words."""


class Soak:
    def __init__(self, seed: int, longest: float, say: Callable[[str], None]) -> None:
        """longest: seconds of harm in a round, at most."""
        self.longest = longest
        self.chance, self.say = random.Random(seed), say
        self.faults: Counter[str] = Counter()
        self.findings: dict[str, str] = {}
        self.trials = self.rounds = self.typed = 0
        self.xs = itertools.count(1)

    # ---- a clone's life ----

    def clone(self, end: float) -> None:
        """Some rounds in a new clone, begun before `end`."""
        root = Path(tempfile.mkdtemp(prefix="soak-"))
        shutil.rmtree(root)
        world = World(root)
        tables = {sweep: world.clone / "values" / sweep / "results.csv" for sweep in SWEEPS}
        judge = Judge(world.store, tables, world.git("rev-parse", "HEAD").strip())
        try:
            if not self.rounds:
                disk = "a full tmpfs" if world.tmpfs else "ENOSPC injected" if world.has_clock else "none: no cc here"
                clock = "by LD_PRELOAD" if world.has_clock else "none: no cc here"
                self.say(f"soak: full disk: {disk}; clock jumps: {clock}; clone: {world.clone}")
            for _ in range(ROUNDS):
                self.round(world, judge)
                if judge.findings or time.monotonic() > end:
                    break
            if judge.findings:
                kept = Path(tempfile.mkdtemp(prefix="soak-kept-"))
                shutil.copytree(world.root, kept / "world", symlinks=True, dirs_exist_ok=True)
                self.say(f"soak: kept for a look: {kept}")
        finally:
            self.findings |= {f"{what} (clone {root.name})": kind for what, kind in judge.findings.items()}
            world.close()

    def round(self, world: World, judge: Judge) -> None:
        self.rounds += 1
        began, faults = time.monotonic(), self.faults.total()
        before = {int(str(trial["x"])) for trials in world.trials.values() for trial in trials}
        shared = self.trial()
        for sweep in SWEEPS:
            world.add(sweep, shared, *(self.trial() for _ in range(self.chance.randint(2, 5))))
        self.harm(world, judge, began + min(self.longest, self.chance.uniform(10, 40)))
        self.calm(world, judge)
        listed = {sweep: [int(str(trial["x"])) for trial in world.trials[sweep]] for sweep in SWEEPS}
        judge.end(listed, world.ledger.read_text())
        self.tidy(world, judge)
        self.trials += len(set(itertools.chain(*listed.values())) - before)
        took, hits = time.monotonic() - began, self.faults.total() - faults
        self.say(f"soak: round {self.rounds}: {hits} faults, {took:.0f} s, found {self.counted(judge.findings)}")

    def trial(self) -> dict[str, object]:
        return {"x": next(self.xs), "steps": self.chance.randint(1, 20), "habit": self.chance.choice(HABITS)}

    # ---- harm, and its end ----

    def harm(self, world: World, judge: Judge, end: float) -> None:
        """Type the commands, over and over, and do harm."""
        running: dict[str, Launcher] = {}
        # Each round has kinds of its own, for one fault hides another: who is killed at the start never trains.
        weights = {kind: weight * self.chance.choice((0, 1, 1, 4)) for kind, weight in FAULTS.items()} | {"none": 1}
        pause, freed = self.chance.choice((0.2, 0.5, 1.0)), 0.0
        while time.monotonic() < end:
            for sweep in SWEEPS:
                if (sweep not in running or self.ended(running[sweep], judge)) and self.chance.random() < 0.7:
                    running[sweep] = self.type(world, sweep)
            time.sleep(self.chance.uniform(0.02, 2 * pause))
            if freed and time.monotonic() > freed:
                world.free_disk()
            what = self.chance.choices([*weights], [*weights.values()])[0]
            if self.chance.random() < 0.5 and world.marked("trial.py"):  # they live for a small part of a round
                what = self.chance.choice(("runner", "trial"))
            if what == "disk":
                world.fill_disk()
                freed = time.monotonic() + self.chance.uniform(0.1, 1.5)
                self.faults[what] += 1
            else:
                self.fault(world, what, [launcher for launcher in running.values() if launcher.process.poll() is None])
            judge.look()
        world.free_disk()
        world.cancel_orders()
        self.faults.update(hit.split()[0] for hit in world.hits())
        (world.root / "hits").unlink(missing_ok=True)

    def fault(self, world: World, what: str, running: list[Launcher]) -> None:
        number = self.chance.choice(SIGNALS)
        if what == "clock":
            if world.has_clock:
                world.set_clock(self.chance.choice(JUMPS))
                self.faults[what] += 1
        elif what in ("git", "commit", "helm"):  # counted once it is carried out
            world.order(what, number, self.chance.uniform(0, 0.3 if what == "helm" else 0.012))
        elif what in ("runner", "trial"):
            pids = world.marked("trial.py" if what == "runner" else "train.py")
            if pids:
                self.hit(what, lambda: os.kill(self.chance.choice(pids), number))
        elif running and what != "none":
            pid = self.chance.choice(running).process.pid
            ends = os.kill if what == "launcher" else os.killpg
            self.hit(what, lambda: ends(pid, number))

    def hit(self, what: str, act: Callable[[], None]) -> None:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            act()
            self.faults[what] += 1

    def calm(self, world: World, judge: Judge) -> None:
        """Type the commands until they end well."""
        until, tries = time.monotonic() + PATIENCE, dict.fromkeys(SWEEPS, 0)
        well: set[str] = set()
        running = {started.sweep: started for started in world.launchers if started.process.poll() is None}
        while len(well) < len(SWEEPS):
            for sweep in set(SWEEPS) - well:
                launcher = running.get(sweep)
                if launcher and not self.ended(launcher, judge):
                    if time.monotonic() > until:
                        launcher.process.kill()
                        judge.say("lost", f"{sweep} does not end: {launcher.output[-500:]!r}")
                        well.add(sweep)
                elif launcher and launcher.process.returncode == 0:
                    well.add(sweep)
                elif tries[sweep] >= TRIES:
                    judge.say("lost", f"{sweep} never ends well: {launcher.output[-500:] if launcher else ''!r}")
                    well.add(sweep)
                else:
                    tries[sweep] += 1
                    running[sweep] = self.type(world, sweep)
            judge.look()
            time.sleep(0.1)

    def type(self, world: World, sweep: str) -> Launcher:
        self.typed += 1
        return world.start(sweep, "drive", "--slots", "2")

    def ended(self, launcher: Launcher, judge: Judge) -> bool:
        """Whether it has; and how, where that is told nowhere."""
        code = launcher.process.poll()
        if code is None:
            return False
        if code > 0 and code not in ENDS and code - 128 not in map(int, SIGNALS):
            judge.say("other", f"{launcher.sweep} ended with {code}: {launcher.output[-500:]!r}")
        if "Traceback" in EARLY.sub("", launcher.output):
            judge.say("other", f"a traceback of {launcher.sweep}: {launcher.output[-1500:]!r}")
        return True

    def tidy(self, world: World, judge: Judge) -> None:
        """Nothing half-done is left where all has ended well."""
        if changed := world.git("status", "--porcelain"):
            judge.say("other", f"git status: {changed!r}")
        if drafts := [path.name for path in (world.clone / "values").rglob(".*")]:
            judge.say("other", f"left in values/: {drafts}")
        if alive := world.marked(""):
            judge.say("other", f"processes of trials live on: {alive}")
        done = subprocess.run(
            ["git", "fsck", "--no-progress", "--no-dangling"],
            cwd=world.clone,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            judge.say("other", f"git fsck: {done.stdout}{done.stderr}")
        for sweep in SWEEPS:
            path = f"values/{sweep}/results.csv"
            for commit in reversed(world.git("log", "--format=%h", f"{judge.head}..", "--", path).split()):
                judge.table(f"{sweep} in git", world.git("show", f"{commit}:{path}").encode())
        judge.head = world.git("rev-parse", "HEAD").strip()

    # ---- telling ----

    @staticmethod
    def counted(findings: dict[str, str]) -> str:
        count = Counter(findings.values())
        return ", ".join(f"{kind} {count[kind]}" for kind in KINDS)

    def summary(self) -> str:
        by_kind = ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items()))
        return (
            f"trials {self.trials}, faults {self.faults.total()} ({by_kind}), commands typed {self.typed}, "
            f"rounds {self.rounds}, {self.counted(self.findings)}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=1800, help="begin no round after so many (default: 1800)")
    parser.add_argument("--seed", type=int, default=None, help="what is done, and in which order")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.randrange(10**6)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # ignored ones would be ignored by all we start
        signal.signal(number, signal.default_int_handler)

    def say(text: str) -> None:
        print(text, flush=True)

    cores = len(os.sched_getaffinity(0))
    say(
        f"soak: seed {seed}, {args.seconds} s, {cores} cores, {platform.platform()}, Python {platform.python_version()}"
    )
    soak, end = Soak(seed, args.seconds, say), time.monotonic() + args.seconds
    try:
        while not soak.rounds or time.monotonic() < end:
            soak.clone(end)
    except KeyboardInterrupt:
        say("soak: interrupted")
    for what, kind in soak.findings.items():
        say(f"soak: {kind}: {what}")
    say(f"soak: {soak.summary()}")
    if not soak.findings:
        return 0
    say(f"soak: the same faults again: make soak SECONDS={args.seconds} SEED={seed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
