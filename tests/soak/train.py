"""A trial of the soak: its metric is a function of its own x, so another trial's is recognised. No packages.

It writes its metric as it goes, goes on from its checkpoint, and saves when it is told to end, as trainers do; some do
what trainers also do: take their time to end, end as if nothing had happened, leave a daemon behind.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

hyperparameters = json.loads(Path(os.environ["HYPERPARAMETERS_FILE"]).read_text())
x, steps, habit = (hyperparameters[name] for name in ("x", "steps", "habit"))
metrics, checkpoint = Path(os.environ["METRICS_FILE"]), Path(os.environ["CHECKPOINT_DIR"], "state.json")


def note(what: str) -> None:
    with Path(hyperparameters["ledger"]).open("a") as ledger:
        ledger.write(f"{what} {x} {os.getpid()}\n")


def save(path: Path, value: dict[str, Any]) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(value))
    draft.replace(path)


def tell() -> None:
    save(metrics, {"score": x * 7919 % 10007, "x": x})


def end(*_: object) -> None:
    if habit == "slow":
        time.sleep(0.5)
    tell()
    sys.exit(0 if habit == "calm" else 1)


signal.signal(signal.SIGTERM, end)
trial = json.loads(os.environ["TRIAL"])["id"]
store = checkpoint.parents[3]
done = 0
note("begin")
if Path(store, "trials", trial[:2], trial, "result.json").exists():
    note("again")
if checkpoint.exists():
    state = json.loads(checkpoint.read_text())
    done = state["done"]
    if state["x"] != x:
        note("foreign")
print(f"x={x}", flush=True)
if habit == "daemon" and os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(100):
        time.sleep(0.1)
        tell()
    os._exit(0)
for step in range(done, steps):
    time.sleep(0.1)
    tell()
    save(checkpoint, {"x": x, "done": step + 1})
tell()
note("end")
