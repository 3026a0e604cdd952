"""How long collecting 10,000 results takes, and how much memory, against plain json.loads: `make bench-collect`.

A sweep of 10,000 trials with two attempts each, in a throwaway clone: from the rendered sweep to a results.csv on disk.
Every measurement is a process of its own, in turn; told are the medians of five. All files are in the page cache, so
this is the cost of our own work.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from sweep import session  # noqa: E402
from sweep.layout import Clone  # noqa: E402

N = 10_000
HEAD = """\
sweep: big
objective: {metric: val_accuracy, direction: maximize}
command: [python, train.py]
data: {id: "", volume: null}
code: {source: image}
gpu: {count: 1}
local: {requirements: null}
trials:
"""
PLAIN = """\
import json, sys, time
paths = sys.stdin.read().splitlines()
start = time.perf_counter(), time.process_time()
for path in paths:
    with open(path) as file:
        json.loads(file.read())
print(json.dumps([time.perf_counter() - start[0], time.process_time() - start[1]]))
"""
OURS = """\
import json, pathlib, resource, sys, time
sys.path.insert(0, {scripts!r})
from sweep import session
from sweep.records import results
from sweep.layout import Clone
opened = session.open_sweep(Clone(pathlib.Path({clone!r})), "big", session.Target("local"))
opened.rendered
start = time.perf_counter(), time.process_time()
rows, snapshot = opened.look()
results.write(opened.files.results, rows)
took = time.perf_counter() - start[0], time.process_time() - start[1]
assert sum(row.store == "present" for row in rows) == len(rows)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([*took, peak, snapshot.read]))
"""


def fill(clone: Clone) -> list[Path]:
    """Make the store that the sweep would leave; returns its files."""
    opened = session.open_sweep(clone, "big", session.Target("local"))
    paths = []
    for trial in opened.rendered.trials:
        folder = clone.store / "trials" / trial.id[:2] / trial.id
        times = {"started_at": "2026-01-02T03:04:05.000Z", "finished_at": "2026-01-02T03:05:05.000Z"}
        for name, status in (("20260101T000000Z-a", "preempted"), ("20260102T030405Z-b", "succeeded")):
            record = {
                "schema_version": 1, "id": trial.id, "attempt": name, "sweep": "big", "status": status, "exit_code": 0,
                "reason": "", "engine": "local", "node": "node-1", "pod": "b", "pod_uid": "u" * 36, "gpus": 1,
                "limit_seconds": 600, "provenance": {"commit": "a" * 40, "author": "A <a@x>", "dirty": False}, **times,
            }  # fmt: skip
            paths.append(folder / "attempts" / name / "attempt.json")
            paths[-1].parent.mkdir(parents=True)
            paths[-1].write_text(json.dumps(record, indent=2))
        metrics = {"val_accuracy": 0.9, "val_loss": 0.31234567, "test_accuracy": 0.89, "test_loss": 0.33, "epochs": 24}
        environment = {"engine": "local", "node": "node-1", "gpu": "NVIDIA H100", "driver": "550.1", "torch": "2.9.1"}
        result = {
            "schema_version": 1, "id": trial.id, "status": "succeeded", "identity": trial.identity, "metrics": metrics,
            "objective": trial.objective, "attempt": "20260102T030405Z-b", **times,
            "durations": {"setup_s": 3.25, "train_s": 51.125}, "environment": environment,
        }  # fmt: skip
        paths.append(folder / "result.json")
        paths[-1].write_text(json.dumps(result, indent=2))
    return paths


def run(code: str, given: str = "") -> Any:
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="collect-bench-") as folder:
        clone = Clone(Path(folder))
        shutil.copytree(ROOT / "chart", clone.chart)
        (clone.root / "values" / "big").mkdir(parents=True)
        shutil.copy(ROOT / "values" / "base.yaml", clone.base)
        trials = (
            f"  - {json.dumps({'lr': n / 7, 'momentum': 0.9, 'batch': 512, 'width': n % 64})}\n" for n in range(N)
        )
        block = "  # expanded from space.yaml: not yet\n  # end\n"
        (clone.root / "values" / "big" / "values.yaml").write_text(HEAD + block + "".join(trials))
        paths = fill(clone)
        listed = "\n".join(map(str, paths))
        ours = OURS.format(scripts=str(ROOT / "scripts"), clone=str(clone.root))
        cache = clone.sweep("big").store_cache
        rounds: list[tuple[list[float], ...]] = []
        for _ in range(5):
            cache.unlink(missing_ok=True)
            clone.sweep("big").results.unlink(missing_ok=True)
            plain, first, again = run(PLAIN, listed), run(ours), run(ours)
            assert (first[3], again[3]) == (len(paths), 0)
            rounds.append((plain, first, again))
        medians = [
            [statistics.median(column) for column in zip(*repeats, strict=True)]
            for repeats in zip(*rounds, strict=True)
        ]
        print(f"| {len(paths):,} files | CPU | wall clock | against plain | memory |\n|---|---|---|---|---|")
        for name, (wall, cpu, *rest) in zip(("plain json.loads", "first collect", "the next"), medians, strict=True):
            memory = f"{rest[0]:.0f} MB" if rest else ""
            print(f"| {name} | {cpu:.2f} s | {wall:.2f} s | {cpu / medians[0][1]:.1f} | {memory} |")


if __name__ == "__main__":
    main()
