"""How long expand takes, and how much memory, for 10,000 and 100,000 trials: `make bench-expand`.

The trials go into an existing values file of 8.
Every measurement is a process of its own in a throwaway clone; told are the median of three: seconds of CPU (the wall
clock of a busy machine says little), seconds of the wall clock, and the peak of resident memory.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPACE = """\
objective: {{metric: m, direction: minimize}}
sampler: {{name: {sampler}, n: {n}}}
space:
  lr: {{type: float, low: 1.0e-5, high: 1.0, log: true}}
  momentum: {{type: float, low: 0.8, high: 0.98}}
  width: {{type: int, low: 1, high: 512, log: true}}
  cutout: {{type: float, low: 0, high: 1, step: 0.1}}
  batch: {{type: int, choices: [128, 512]}}
  nesterov: {{type: bool, when: {{batch: 512}}}}
constraints: ["width * batch <= 131072"]
"""
ONE = """\
import json, pathlib, resource, sys, time
sys.path.insert(0, {scripts!r})
import expand
from sweep.layout import Clone
start = time.monotonic()
expand.main(["big"], Clone(pathlib.Path({clone!r})))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.process_time(), time.monotonic() - start, peak]))
"""


def measure(clone: Path, sampler: str, n: int) -> list[float]:
    """[CPU seconds, wall seconds, MB] of one expansion, from 8 trials to n."""
    (clone / "values" / "big" / "values.yaml").unlink(missing_ok=True)
    for count in (8, n):
        (clone / "values" / "big" / "space.yaml").write_text(SPACE.format(sampler=sampler, n=count))
        code = ONE.format(scripts=str(ROOT / "scripts"), clone=str(clone))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds: list[float] = json.loads(done.stdout)
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="search-bench-") as folder:
        clone = Path(folder)
        shutil.copytree(ROOT / "schemas", clone / "schemas")
        for name in ("chart", "trainer", "values/big"):
            (clone / name).mkdir(parents=True)
        shutil.copy(ROOT / "chart" / "values.schema.json", clone / "chart")
        (clone / "trainer" / "train.py").write_text("pass\n")
        for words in ("init --quiet", "add --all", "-c user.name=b -c user.email=b@b commit --quiet --message=first"):
            subprocess.run(["git", *words.split()], cwd=clone, check=True)
        print("| sampler | trials | CPU | wall clock | memory |\n|---|---|---|---|---|")
        for sampler in ("random", "sobol", "lhs"):
            for n in (10_000, 100_000):
                runs = [measure(clone, sampler, n) for _ in range(3)]
                cpu, wall, peak = (statistics.median(column) for column in zip(*runs, strict=True))
                print(f"| {sampler} | {n:,} | {cpu:.1f} s | {wall:.1f} s | {peak:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
