"""How much longer a sweep takes on this machine than xargs takes for the same commands: `make bench-local`.

Each round runs `xargs -P` and `helm-sweep run` in turn, in a project of its own, with the same shell script: a sleep
between two notes of the time. Told are medians of the rounds. Other work on the machine is part of both; what is beside
it is CPU time, and the load average is printed with it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """\
date "+begin %s.%N" >> {times}
sleep {seconds}
echo "loss=0.$1"
date "+end %s.%N" >> {times}
"""
BASE = """\
image: {repository: none, tag: none}
gpu: {count: 0}
local: {requirements: null}
"""
VALUES = """\
sweep: s
objective: {metric: loss, direction: minimize}
command: [sh, run.sh, "{n}"]
metrics: [{from: output, format: name=value}]
code: {path: .}
trials:
  # expanded from space.yaml: not yet
  # end
"""
SPACE = """\
objective: {{metric: loss, direction: minimize}}
sampler: {{name: grid}}
space:
  n: {{type: choice, choices: {choices}}}
"""
LEADING = 100
"""Of so many trials the time is compared, the first ones with the last ones."""


@dataclass(frozen=True)
class Timing:
    """One run of all commands."""

    wall: float
    cpu: float
    """Seconds of the run and of all that it started."""
    first: float
    """From the beginning to the first command's."""
    gap: float
    """From the end of a command to the beginning of the next in its place: the median."""
    rest: float
    """From the last command's end to the end of all."""
    growth: float
    """How much longer the last LEADING commands took than the first, from end to end; 1.0 where there are fewer."""


def project(folder: Path, args: argparse.Namespace, times: Path) -> None:
    """A project with a sweep, committed."""
    (folder / "values/s").mkdir(parents=True)
    (folder / "run.sh").write_text(SCRIPT.format(seconds=args.seconds, times=times))
    (folder / ".gitignore").write_text("/out/\n/results/\n")
    (folder / "values/base.yaml").write_text(BASE)
    (folder / "values/s/values.yaml").write_text(VALUES)
    (folder / "values/s/space.yaml").write_text(SPACE.format(choices=list(range(1, args.trials + 1))))
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "A project"]):
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True)


def timed(call: list[str], folder: Path, times: Path, given: str, args: argparse.Namespace) -> Timing:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPATH"] = str(ROOT)
    times.unlink(missing_ok=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    done = subprocess.run(call, cwd=folder, env=env, input=given, capture_output=True, text=True, check=False)
    wall, after = time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(call)}: ended with {done.returncode}\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    events = sorted((float(moment), word) for word, moment in map(str.split, times.read_text().splitlines()))
    ends = [moment for moment, word in events if word == "end"]
    assert len(ends) == args.trials, f"{call[0]} ran {len(ends)} commands"
    free, gaps = list[float](), []
    for moment, word in events:
        if word == "end":
            free.append(moment)
        elif free:
            gaps.append(moment - free.pop(0))
    spans = [ends[LEADING] - ends[0], ends[-1] - ends[-1 - LEADING]] if len(ends) > 2 * LEADING else [1.0, 1.0]
    rest = start + wall - ends[-1]
    return Timing(wall, cpu, events[0][0] - start, statistics.median(gaps), rest, spans[1] / spans[0])


def row(name: str, timings: list[Timing], ideal: float, xargs: list[Timing]) -> str:
    def middle(values: list[float], shape: str) -> str:
        return f"{statistics.median(values):{shape}} ({min(values):{shape}} to {max(values):{shape}})"

    cells = [
        name,
        middle([timing.wall for timing in timings], ".2f"),
        f"{statistics.median(timing.wall for timing in timings) / ideal:.2f}",
        middle([mine.wall / theirs.wall for mine, theirs in zip(timings, xargs, strict=True)], ".2f"),
        f"{statistics.median(timing.cpu for timing in timings):.2f}",
        f"{statistics.median(timing.first for timing in timings):.2f}",
        f"{statistics.median(timing.gap for timing in timings) * 1000:.0f}",
        f"{statistics.median(timing.rest for timing in timings):.2f}",
        f"{statistics.median(timing.growth for timing in timings):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a command sleeps (1.0)")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    ours, xargs = list[Timing](), list[Timing]()
    numbers = "\n".join(map(str, range(1, args.trials + 1)))
    print(f"load average before: {os.getloadavg()[0]:.1f}", flush=True)
    for number in range(-1, args.rounds):  # the first compiles what is imported, and does not count
        with tempfile.TemporaryDirectory(prefix="bench-local-") as temporary:
            folder, times = Path(temporary) / "project", Path(temporary) / "times"
            project(folder, args, times)
            by_xargs = timed(["xargs", f"-P{args.slots}", "-n1", "sh", "run.sh"], folder, times, numbers, args)
            call = [sys.executable, "-m", "helm_sweep", "run", "s", f"--slots={args.slots}"]
            by_us = timed(call, folder, times, "", args)
        if number >= 0:
            ours.append(by_us)
            xargs.append(by_xargs)
    ideal = args.seconds * -(-args.trials // args.slots)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"load average after: {os.getloadavg()[0]:.1f}; largest process: {memory:.0f} MB; node: {shutil.which('node')}"
    )
    print("|  | seconds | over the ideal | over xargs | CPU s | first after s | between ms | afterwards s | growth |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(row("xargs", xargs, ideal, xargs))
    print(row("helm-sweep run", ours, ideal, xargs))


if __name__ == "__main__":
    main()
