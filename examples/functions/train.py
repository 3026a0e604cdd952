"""A trainer that trains nothing: functions with a known best value, for trying samplers in seconds. No packages."""

import json
import math
import os
import pathlib
import random

with open(os.environ["HYPERPARAMETERS_FILE"]) as file:
    hp = json.load(file)
noise = random.Random(os.environ["SEED"]).gauss(0, hp.get("noise", 0))


def branin(x, y):
    """Dixon and Szegö (1978): three minima of 0.397887 over [-5, 10] x [0, 15]."""
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def conditional(optimizer, lr, momentum=None):
    """0 at sgd, lr 0.1, momentum 0.9; adam is best at lr 0.001, and never better than 0.2."""
    if optimizer == "sgd":
        return (math.log10(lr) + 1) ** 2 + (10 * (momentum - 0.9)) ** 2
    return 0.2 + (math.log10(lr) + 3) ** 2


def curve(lr, decay, stop_epoch):
    """The loss of every epoch up to stop_epoch; goes on from the newest checkpoint that is no later."""
    folder = pathlib.Path(os.environ["CHECKPOINT_DIR"])
    saved = [int(path.stem) for path in folder.glob("*.json")]
    start = max((epoch for epoch in saved if epoch <= stop_epoch), default=0)
    print(f"from epoch {start}", flush=True)
    loss = 1.0
    if start:
        loss = json.loads((folder / f"{start}.json").read_text())["loss"]
    for epoch in range(start, stop_epoch):
        goal = (math.log10(lr) + 1.5) ** 2 / 4 + decay
        loss = loss + lr * (goal - loss) if lr <= 0.9 else math.inf
        folder.mkdir(parents=True, exist_ok=True)
        half = folder / f"{epoch + 1}.tmp"  # a checkpoint is there whole, or not at all
        half.write_text(json.dumps({"loss": loss}))
        half.rename(folder / f"{epoch + 1}.json")
    return loss, start


kind = hp.pop("function")
hp.pop("noise", None)
metrics = {}
if kind == "branin":
    metrics["loss"] = branin(**hp) + noise
elif kind == "conditional":
    metrics["loss"] = conditional(**hp) + noise
elif kind == "curve":
    metrics["loss"], metrics["from_epoch"] = curve(**hp)
elif kind == "two":
    metrics["error"] = 1 / (hp["width"] * hp["depth"]) ** 0.5 + 0.02 * hp["depth"] + noise
    metrics["cost"] = float(hp["width"] * hp["depth"])
else:
    raise SystemExit(f"function: {kind!r} is none of branin, conditional, curve, two")
with open(os.environ["METRICS_FILE"], "w") as file:
    json.dump(metrics, file)
