"""How fast the trainer is, against the plain recipe (float32, NCHW, one image at a time) at the same hyperparameters.

    <trainer's python> bench/bench_trainer.py [--rounds 5] [--threads 1] [--seconds 2] [--data DIR]

Both take turns in one process, so that a busy machine slows both; a round gives one ratio, and the median and spread
of the rounds are told. The last line is one JSON object. Start-up is that of whole processes, taking turns likewise.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "trainer"), str(ROOT / "tests" / "trainer")]

import hardware  # noqa: E402
import numpy as np  # noqa: E402
import reference  # noqa: E402
import torch  # noqa: E402
import train  # noqa: E402

import dataset  # noqa: E402

# What a process does until its first step, and then no more; the wall clock, because it is read in another process.
TO_FIRST_STEP = """
import sys, time
import train
def first(*_): print(time.time(), flush=True); sys.exit()
train.Trainee.step = first
train.main()
"""
TO_IMPORT = "import time, torch; print(time.time())"


def ours(images: train.Images, hp: train.Hyperparameters, device: torch.device) -> tuple[Callable[[int], None], ...]:
    """(train n steps, only augment n batches) of the trainer."""
    trainee = train.Trainee(hp, torch.Generator().manual_seed(0), device, images.half)
    step = trainee.fastest_step()
    rate, random = torch.tensor(1e-4, device=device), torch.Generator().manual_seed(1)

    def batches(steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        index = torch.arange(steps * hp.batch_size) % len(images.labels)  # a fast device goes round several times
        return images.batches(train.draw(hp, index, random), hp)

    def both(steps: int) -> None:
        for x, y in batches(steps):
            step(x, y, rate)
        trainee.totals.tolist()  # waits for the device

    def augment(steps: int) -> None:
        *_, (last, _) = batches(steps)
        last[0, 0, 0, 0].item()

    return both, augment


def plain(arrays: dataset.Arrays, hp: train.Hyperparameters, device: torch.device) -> Callable[[int], None]:
    """Train n steps of the reference."""
    model = reference.ResNet9(hp.width).to(device)
    sgd = reference.optimizer(model, hp.batch_size, hp.momentum, hp.weight_decay)
    random = np.random.RandomState(0)

    def steps(count: int) -> None:
        for _ in range(count):
            index = random.permutation(len(arrays.train_labels))[: hp.batch_size]
            how = [random.randint(0, high, hp.batch_size) for high in (9, 9, 2, 25, 25)]
            chosen = zip(arrays.train_images[index], *how, strict=True)
            augmented = [reference.augment(image, top, left, flip, y, x, 8) for image, top, left, flip, y, x in chosen]
            x = torch.from_numpy(np.stack(augmented))
            y = torch.from_numpy(arrays.train_labels[index].astype(np.int64))
            reference.step(model, sgd, x.to(device), y.to(device), 1e-4)

    return steps


def seconds(work: Callable[[int], None], steps: int) -> float:
    """Seconds a step."""
    began = time.perf_counter()
    work(steps)
    return (time.perf_counter() - began) / steps


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def compare(arrays: dataset.Arrays, width: int, batch_size: int, args: argparse.Namespace) -> dict[str, Any]:
    """Images per second of both, their ratio and the share of augmentation: median, low and high over the rounds."""
    device = hardware.device()
    hp = train.Hyperparameters(width=width, batch_size=batch_size, peak_epoch=5, stop_epoch=24)
    half = hardware.precision(hp.precision, device)
    both, augment = ours(train.Images(arrays.train_images, arrays.train_labels, device, half), hp, device)
    alone = plain(arrays, hp, device)
    for work in (both, augment, alone):
        work(1)  # warm
    counts = {work: max(1, round(args.seconds / seconds(work, 1))) for work in (both, alone)}
    rows: dict[str, list[float]] = {"images_per_second": [], "reference": [], "ratio": [], "augmentation_share": []}
    for _ in range(args.rounds):
        fast, slow, part = seconds(both, counts[both]), seconds(alone, counts[alone]), seconds(augment, counts[both])
        values = (batch_size / fast, batch_size / slow, slow / fast, part / fast)
        for row, value in zip(rows.values(), values, strict=True):
            row.append(value)
    spreads = {name: spread(values) for name, values in rows.items()}
    print(f"width {width:2} batch {batch_size:3} {str(half).removeprefix('torch.')}:", end=" ")
    print(*(f"{name} {v['median']:.3g} ({v['low']:.3g} to {v['high']:.3g})" for name, v in spreads.items()), sep=", ")
    return {"width": width, "batch_size": batch_size, **spreads}


def start_up(data: Path, rounds: int) -> dict[str, float]:
    """Seconds from a process's start to its first step, above those to the end of a bare `import torch`."""
    extra = []
    with tempfile.TemporaryDirectory() as scratch:
        given = Path(scratch, "hyperparameters.yaml")
        given.write_text('{"width": 8, "batch_size": 128}')
        env = os.environ | {
            "DATA_DIR": str(data),
            "PYTHONPATH": str(ROOT / "trainer"),
            "HYPERPARAMETERS_FILE": str(given),
        }
        env |= {"METRICS_FILE": f"{scratch}/metrics.json", "CHECKPOINT_DIR": f"{scratch}/checkpoints"}
        for _ in range(rounds):
            took = []
            for code in (TO_FIRST_STEP, TO_IMPORT):
                began = time.time()
                done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
                took.append(float(done.stdout) - began)
            extra.append(took[0] - took[1])
    return spread(extra)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="about so long a turn, at least one step")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "helm-sweep" / "datasets"
    default = cache / dataset.CIFAR10_ID.removeprefix("sha256:")[:16]
    parser.add_argument("--data", type=Path, default=default, help="what dataset.py made")
    args = parser.parse_args()
    faulthandler.enable()  # the bench crashed once, on an H100, and nothing told where
    train.import_torch()
    hardware.choose_kernels(deterministic=False)
    torch.set_num_threads(args.threads)
    arrays = dataset.load(args.data, dataset.check(args.data))
    facts = hardware.environment(hardware.device(), torch.float32)
    del facts["precision"]
    print(*(f"{name} {value}" for name, value in facts.items()), platform.platform(), sep=", ")
    rows = [compare(arrays, width, batch_size, args) for width, batch_size in ((64, 128), (8, 128), (8, 512))]
    extra = start_up(args.data, args.rounds)
    low, high = extra["low"], extra["high"]
    print(f"start to first step, above `import torch`: {extra['median']:.2f} s ({low:.2f} to {high:.2f})")
    summary = {"ratio_full": rows[0]["ratio"]["median"], "ratio_narrow": rows[1]["ratio"]["median"]}
    summary |= {"augmentation_share": max(row["augmentation_share"]["median"] for row in rows)}
    print(json.dumps(summary | {"startup_over_import_s": extra["median"], "rows": rows, "environment": facts}))


if __name__ == "__main__":
    main()
