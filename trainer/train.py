"""Train ResNet-9 on CIFAR-10 once: one trial of a sweep, in one file that reads top to bottom.

The recipe is David Page's cifar10-fast: pad, crop, flip and cutout; SGD with Nesterov momentum on the loss summed over
the batch (so lr / batch, and weight decay x batch); a learning rate that rises and falls in straight lines, per step.

    HYPERPARAMETERS_FILE  JSON, the fields of `Hyperparameters` below. SEED: an integer, all randomness comes from it
    DATA_DIR, DATA_ID     what dataset.py made, and the id it must have (empty: any)
    METRICS_FILE          written at the end: one JSON object of metrics, status, environment, durations
    HISTORY_FILE          optional: a JSON line an epoch. CHECKPOINT_DIR: optional, epoch-0003.pt and the one before

Exit codes: 0 done (also when diverged, which METRICS_FILE tells), 64 bad hyperparameters, 65 bad data, 67 out of GPU
memory, 143 after SIGTERM, 1 anything else. The last line on stderr says why.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import hardware
import knobs
import numpy as np
from checkpoints import Checkpoints
from knobs import BAD_HYPERPARAMETERS, TrialError, knob

import dataset

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor

START = time.perf_counter()
FAILED, BAD_DATA, OUT_OF_GPU_MEMORY, TERMINATED = 1, 65, 67, 143


def import_torch() -> None:
    """Import torch, which takes seconds, once everything that can be refused without it has been."""
    global torch, F
    import torch
    import torch.nn.functional as F


def say(text: str) -> None:
    print(f"train: {text}", file=sys.stderr, flush=True)


# ---- Hyperparameters ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Hyperparameters:
    """Every knob with its type, default, bounds and meaning. The defaults are the original's 24-epoch recipe."""

    epochs: int = knob(24, 1, 10_000, "epochs of the full schedule")
    stop_epoch: int = knob(None, 1, 10_000, "train this prefix of the schedule only; default: epochs")
    max_learning_rate: float = knob(0.4, 0, 1e6, "the rate at its peak; a step uses rate / batch_size")
    peak_epoch: float = knob(None, 0, 10_000, "when the rate peaks; default: 5, or 5/24 of fewer than 24 epochs")
    batch_size: int = knob(512, 1, 50_000, "images a step; the rest of an epoch that fills no batch is dropped")
    momentum: float = knob(0.9, 0, 0.9999, "Nesterov momentum")
    weight_decay: float = knob(5e-4, 0, 1, "on all weights; a step uses weight_decay x batch_size")
    label_smoothing: float = knob(0.0, 0, 0.99, "share of the target spread over all classes")
    data_aug_cutout_size: int = knob(8, 0, 32, "side of the square cut out of each image, wholly inside it")
    batch_norm: bool = knob(True, None, None, "batch norm after each convolution; false: a bias instead")
    width: int = knob(64, 1, 1024, "channels of the first layer; the others have 2, 4 and 8 times as many")
    classifier_scale: float = knob(0.125, 1e-6, 1e3, "factor on the logits")
    ema: float = knob(0.0, 0, 0.99999, "decay a step of an average of the weights, to be evaluated; 0: no average")
    test_time_flip: bool = knob(False, None, None, "evaluate the mean logits of an image and its mirror image")
    train_examples: int = knob(None, 1, 50_000, "training images; default: all but the validation images")
    validation_examples: int = knob(5000, 0, 49_999, "images taken from the training set, the same in every trial")
    deterministic: bool = knob(False, None, None, "use only kernels that give the same bits every time")
    precision: str = knob("auto", None, None, "auto: half if native", "auto", "float32", "bfloat16", "float16")

    def __post_init__(self) -> None:
        """Fill in what follows from `epochs`. Raises ValueError."""
        derived = {"stop_epoch": self.epochs, "peak_epoch": min(5.0, self.epochs * 5 / 24)}
        for name, default in derived.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        late = [name for name in derived if getattr(self, name) > self.epochs]
        if late:
            raise ValueError("; ".join(f"{n}: {getattr(self, n)} is more than epochs ({self.epochs})" for n in late))


def split(hp: Hyperparameters, images: int) -> tuple[Tensor, Tensor]:
    """Indices of the validation and of the training images, out of `images`; TrialError 64 if there are too few.

    The validation images are the same whatever the seed; numpy promises that RandomState never changes.
    """
    rest = images - hp.validation_examples
    wanted = max(rest, 1) if hp.train_examples is None else hp.train_examples
    if wanted > rest:
        left = f"{max(rest, 0):,} of {images:,} images are left beside validation_examples ({hp.validation_examples:,})"
        raise TrialError(BAD_HYPERPARAMETERS, f"train_examples: {wanted:,} asked for, but {left}")
    if hp.batch_size > wanted:
        raise TrialError(BAD_HYPERPARAMETERS, f"batch_size: {hp.batch_size:,} is more than {wanted:,} training images")
    order = torch.from_numpy(np.random.RandomState(0).permutation(images))
    return order[: hp.validation_examples], order[hp.validation_examples :][:wanted]


def learning_rate(hp: Hyperparameters, epoch: float) -> float:
    """The rate at a moment in epochs: from 0 straight up to the peak, then straight down to 0."""
    if epoch < hp.peak_epoch:
        return hp.max_learning_rate * epoch / hp.peak_epoch
    return hp.max_learning_rate * (hp.epochs - epoch) / max(hp.epochs - hp.peak_epoch, 1e-9)


# ---- Images and their augmentation ----------------------------------------------------------------------------------

MEAN, STD = (125.31, 122.95, 113.87), (62.99, 62.09, 66.70)  # of the training set, as the original rounds them


class Draws(NamedTuple):
    """The random choices of an epoch, int64 (N,) each: which image comes when, and what is done to it."""

    order: Tensor
    crop_y: Tensor  # 0 to 8: corner of the crop, in the image padded by 4
    crop_x: Tensor
    flip: Tensor  # 0 or 1
    cut_y: Tensor  # 0 to 32 - size: corner of the cutout, which never leaves the image
    cut_x: Tensor


def draw(hp: Hyperparameters, train: Tensor, generator: torch.Generator) -> Draws:
    """An epoch's choices for the images at the indices `train`: on the CPU, so the same for every device."""
    n = len(train) // hp.batch_size * hp.batch_size
    corners = 32 - hp.data_aug_cutout_size + 1
    order = train[torch.randperm(len(train), generator=generator)[:n]]
    return Draws(order, *(torch.randint(high, (n,), generator=generator) for high in (9, 9, 2, corners, corners)))


class Images:
    """Images, uint8, and labels, resident on a device; given out normalised, in `half`, channels last."""

    def __init__(self, images: Any, labels: Any, device: torch.device, half: torch.dtype) -> None:
        self.pixels = torch.from_numpy(images).to(device).view(-1, 3)  # (N, 32, 32, 3) -> (N * 1024, 3)
        self.labels = torch.from_numpy(labels).to(device, torch.int64)  # (N,)
        self.half, self.side = half, torch.arange(32, device=device)
        # Column 0 to 39 of an image padded by 4 -> the column it mirrors: 4 3 2 1 | 0 ... 31 | 30 29 28 27.
        self.mirror = torch.tensor([*range(4, 0, -1), *range(32), *range(30, 26, -1)], device=device)
        # Repeated to (3072,), because torch broadcasts over an inner dimension of 3 several times slower.
        self.mean, self.std = (torch.tensor(c, device=device).repeat(1024) for c in (MEAN, STD))

    def pick(self, index: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Of the images at `index` (B,) the pixels at rows (B, 32) and columns (B, 32): (B, 3, 32, 32)."""
        pixel = (index[:, None] * 32 + rows)[:, :, None] * 32 + columns[:, None, :]  # (B, 32, 32)
        x = self.pixels.index_select(0, pixel.view(-1)).view(-1, 3072)  # (B * 1024, 3) -> (B, 3072)
        x = x.to(torch.float32).sub_(self.mean).div_(self.std).to(self.half)
        return x.view(-1, 32, 32, 3).permute(0, 3, 1, 2)  # (B, 3072) -> (B, 32, 32, 3) -> (B, 3, 32, 32)

    def augmented(self, draws: Draws, cutout: int) -> Tensor:
        """Padded, cropped, flipped and cut out: (B, 3, 32, 32). All but cutout only says which pixel comes where."""
        along = torch.where(draws.flip[:, None] == 1, 31 - self.side, self.side)  # (B, 32)
        rows, columns = draws.crop_y[:, None] + self.side, draws.crop_x[:, None] + along  # (B, 32), 0 to 39
        x = self.pick(draws.order, self.mirror[rows], self.mirror[columns])
        image = torch.arange(len(x), device=x.device)[:, None]  # (B, 1)
        rows, columns = draws.cut_y[:, None] + self.side[:cutout], draws.cut_x[:, None] + self.side[:cutout]
        cut = (image * 32 + rows)[:, :, None] * 32 + columns[:, None, :]  # (B, cutout, cutout)
        x.permute(0, 2, 3, 1).view(-1, 3).index_fill_(0, cut.view(-1), 0)  # (B, 3, 32, 32) -> (B * 1024, 3)
        return x

    def batches(self, draws: Draws, hp: Hyperparameters) -> Iterator[tuple[Tensor, Tensor]]:
        """An epoch's batches: images (B, 3, 32, 32) and labels (B,)."""
        # A GPU augments many batches at once, as it waits for launches; a CPU one, as that stays in its cache.
        size = hp.batch_size * (max(1, 16_384 // hp.batch_size) if self.pixels.is_cuda else 1)
        for part in map(Draws, *(drawn.to(self.pixels.device).split(size) for drawn in draws)):
            x, y = self.augmented(part, hp.data_aug_cutout_size), self.labels[part.order]
            yield from zip(x.split(hp.batch_size), y.split(hp.batch_size), strict=True)


# ---- Network --------------------------------------------------------------------------------------------------------


def new_network(hp: Hyperparameters, generator: torch.Generator) -> dict[str, Tensor]:
    """Fresh weights and statistics by name, float32, as torch's modules have them; on the CPU, whatever the device."""

    def uniform(*shape: int, inputs: int) -> Tensor:
        return torch.empty(shape).uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)

    a, b, c, d = (hp.width * factor for factor in (1, 2, 4, 8))
    layers = {"prep": (3, a), "layer1": (a, b), "layer1.res1": (b, b), "layer1.res2": (b, b)}
    layers |= {"layer2": (b, c), "layer3": (c, d), "layer3.res1": (d, d), "layer3.res2": (d, d)}
    network = {"classifier": uniform(10, d, inputs=d)}
    for name, (c_in, c_out) in layers.items():
        conv = uniform(c_out, c_in, 3, 3, inputs=9 * c_in)
        network[f"{name}.conv"] = conv.to(memory_format=torch.channels_last)
        if hp.batch_norm:
            network |= {f"{name}.{part}": torch.ones(c_out) for part in ("scale", "var")}
            network |= {f"{name}.{part}": torch.zeros(c_out) for part in ("shift", "mean")}
        else:
            network[f"{name}.bias"] = uniform(c_out, inputs=9 * c_in)
    return network


def to_half(network: dict[str, Tensor], half: torch.dtype) -> dict[str, Tensor]:
    """The network to compute with: copies in half precision, but batch norm as it is, in float32."""
    norm = (".scale", ".shift", ".mean", ".var")
    return {name: t if name.endswith(norm) else t.to(half, copy=True) for name, t in network.items()}


def forward(network: dict[str, Tensor], x: Tensor, factor: float, train: bool) -> Tensor:
    """Logits, float32 (B, 10), of images (B, 3, 32, 32); training updates the statistics in place."""

    def block(name: str, x: Tensor, pool: bool = False) -> Tensor:
        x = F.conv2d(x, network[f"{name}.conv"], network.get(f"{name}.bias"), padding=1)
        if f"{name}.scale" in network:
            mean, var, scale, shift = (network[f"{name}.{part}"] for part in ("mean", "var", "scale", "shift"))
            x = F.batch_norm(x, mean, var, scale, shift, train)
        # The original pools after the ReLU: the same numbers, for four times the work.
        return F.relu_(hardware.max_pool2(x) if pool else x)

    x = block("layer1", block("prep", x), pool=True)  # (B, 2w, 16, 16)
    x = x + block("layer1.res2", block("layer1.res1", x))
    x = block("layer3", block("layer2", x, pool=True), pool=True)  # (B, 8w, 4, 4)
    x = x + block("layer3.res2", block("layer3.res1", x))
    x = F.max_pool2d(x, 4).flatten(1)  # (B, 8w, 1, 1) -> (B, 8w)
    return F.linear(x, network["classifier"]).float() * factor


# ---- Training step, evaluation --------------------------------------------------------------------------------------


class Trainee:
    """The network and all that training changes; `state` is what a checkpoint holds of it."""

    def __init__(self, hp: Hyperparameters, random: torch.Generator, device: torch.device, half: torch.dtype) -> None:
        self.hp, self.half = hp, half
        self.network = {name: t.to(device) for name, t in new_network(hp, random).items()}
        self.average = {name: t.clone() for name, t in self.network.items()} if hp.ema else {}
        names = [name for name in self.network if not name.endswith((".mean", ".var"))]
        self.weights = [self.network[name] for name in names]
        self.gradients = [torch.zeros_like(w) for w in self.weights]
        self.momenta = [torch.zeros_like(w) for w in self.weights] if hp.momentum else []
        self.live = to_half(self.network, half)  # what a step computes with, and gets gradients for
        self.live |= {name: self.live[name].clone().requires_grad_() for name in names}
        self.trained = [self.live[name] for name in names]
        self.totals = torch.zeros(2, dtype=torch.float64, device=device)  # an epoch's loss and right answers so far
        self.state = [*self.network.values(), *self.momenta, *self.average.values()]

    def restore(self, state: list[Tensor]) -> None:
        """Take over a saved state, in place."""
        with torch.no_grad():
            torch._foreach_copy_(self.state, state)
            torch._foreach_copy_(self.trained, self.weights)

    def step(self, x: Tensor, y: Tensor, rate: Tensor) -> None:
        """Train on images (B, 3, 32, 32) and labels (B,), at a learning rate per image, (). Never waits for a GPU."""
        hp = self.hp
        logits = forward(self.live, x, hp.classifier_scale, train=True)
        loss = F.cross_entropy(logits, y, reduction="sum", label_smoothing=hp.label_smoothing)
        gradients = torch.autograd.grad(loss, self.trained)
        with torch.no_grad():
            torch._foreach_copy_(self.gradients, gradients)
            # What torch.optim.SGD(fused=True) calls; but to make one imports torch._dynamo, for more than a second.
            # Never the first step, as a momentum of 0 is as good as none.
            torch._fused_sgd_(
                self.weights, self.gradients, self.momenta, weight_decay=hp.weight_decay * hp.batch_size,
                momentum=hp.momentum, lr=rate, dampening=0.0, nesterov=True, maximize=False, is_first_step=False,
            )  # fmt: skip
            torch._foreach_copy_(self.trained, self.weights)
            if self.average:
                torch._foreach_lerp_(list(self.average.values()), list(self.network.values()), 1 - hp.ema)
            self.totals += torch.stack((loss, (logits.argmax(1) == y).sum()))

    def fastest_step(self) -> Callable[[Tensor, Tensor, Tensor], None]:
        """`step`, on a GPU as one CUDA graph; the state is afterwards as it was."""
        if not self.totals.is_cuda:
            return self.step
        before, x = [t.clone() for t in self.state], torch.zeros(self.hp.batch_size, 3, 32, 32).to(self.totals.device)
        y, rate = torch.zeros_like(x[:, 0, 0, 0], dtype=torch.int64), torch.zeros_like(x[0, 0, 0, 0])
        replay = hardware.captured(self.step, x.to(self.half, memory_format=torch.channels_last), y, rate)
        self.restore(before)
        self.totals.zero_()
        return replay

    def evaluate(self, images: Images, index: Tensor) -> tuple[float, float]:
        """(mean loss, accuracy as a fraction) on the images at `index`, not augmented."""
        network, totals = to_half(self.average or self.network, self.half), torch.zeros_like(self.totals)
        with torch.inference_mode():
            for part in index.to(totals.device).split(2500 if totals.is_cuda else 500):
                x, y = images.pick(part, images.side[None], images.side[None]), images.labels[part]
                logits = forward(network, x, self.hp.classifier_scale, train=False)
                if self.hp.test_time_flip:
                    logits = (logits + forward(network, x.flip(3), self.hp.classifier_scale, train=False)) / 2
                totals += torch.stack((F.cross_entropy(logits, y, reduction="sum"), (logits.argmax(1) == y).sum()))
        loss, right = (totals / len(index)).tolist()
        return loss, right


# ---- The trial ------------------------------------------------------------------------------------------------------


NOTHING = (math.nan, math.nan)  # loss and accuracy of a network that diverged


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: null stands for it."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


def summary(history: list[dict[str, Any]], images: int) -> dict[str, Any]:
    """What training came to, and how fast it was with so many images an epoch."""
    last = {name: value for name, value in history[-1].items() if name.startswith(("train_", "val_"))}
    return last | {"images_per_second": len(history) * images / sum(row["seconds"] for row in history)}


def train(hp: Hyperparameters, seed: int, data: Path, manifest: dataset.Manifest) -> dict[str, Any]:
    """Train on from the newest checkpoint, if there is one, and return what METRICS_FILE is to hold."""
    hardware.choose_kernels(deterministic=hp.deterministic)
    validation, training = split(hp, manifest.train)
    device, random, arrays = hardware.device(), torch.Generator(), dataset.load(data, manifest)
    half = hardware.precision(hp.precision, device)
    trainee = Trainee(hp, random.manual_seed(seed), device, half)
    images = Images(arrays.train_images, arrays.train_labels, device, half)
    history: list[dict[str, Any]] = []
    # What must agree for one trial to go on where another stopped: all but how far it goes.
    same = dataclasses.asdict(hp) | {"stop_epoch": None, "seed": seed, "data": manifest.id}
    checkpoints = Checkpoints(os.environ.get("CHECKPOINT_DIR"), json.dumps(same))
    if saved := checkpoints.newest(hp.stop_epoch):
        trainee.restore(saved["state"])
        random.set_state(saved["random"])
        history = saved["history"]
        say(f"going on after epoch {len(history)}, from {checkpoints.folder}")
    step, steps, diverged = trainee.fastest_step(), len(training) // hp.batch_size, False
    setup_s = time.perf_counter() - START
    with Path(os.environ.get("HISTORY_FILE") or os.devnull).open("w") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in history)
        for epoch in range(len(history), hp.stop_epoch):
            began = time.perf_counter()
            rates = torch.tensor([learning_rate(hp, epoch + i / steps) / hp.batch_size for i in range(steps)])
            batches = images.batches(draw(hp, training, random), hp)
            for (x, y), rate in zip(batches, rates.to(device), strict=True):
                step(x, y, rate)
            loss, right = (trainee.totals / (steps * hp.batch_size)).tolist()  # here an epoch waits, once, for its GPU
            trainee.totals.zero_()
            row = {"epoch": epoch + 1, "learning_rate": learning_rate(hp, epoch + 1)}
            row |= {"train_loss": loss, "train_accuracy": right, "seconds": time.perf_counter() - began}
            if hp.validation_examples:
                result = trainee.evaluate(images, validation) if math.isfinite(loss) else NOTHING
                row["val_loss"], row["val_accuracy"] = result
            history.append(finite(row))
            checkpoints.settle()  # an epoch is told once the one before is safe: at most one is lost
            print(json.dumps(history[-1]), file=lines, flush=True)
            print(*(f"{key} {value:.4g} " for key, value in row.items()), flush=True)
            if diverged := not all(map(math.isfinite, row.values())):
                break
            checkpoints.save(epoch + 1, trainee.state, random.get_state(), history)
    metrics = summary(history, steps * hp.batch_size)
    test = Images(arrays.test_images, arrays.test_labels, device, half)
    result = NOTHING if diverged else trainee.evaluate(test, torch.arange(manifest.test))
    metrics["test_loss"], metrics["test_accuracy"] = result
    metrics = finite(metrics) | {"status": "succeeded" if math.isfinite(result[0]) else "diverged"}
    checkpoints.settle()
    durations = {"setup_s": setup_s, "train_s": time.perf_counter() - START - setup_s}
    return metrics | {"environment": hardware.environment(device, half), "durations": durations}


def main() -> None:
    codes = {"HYPERPARAMETERS_FILE": BAD_HYPERPARAMETERS, "DATA_DIR": BAD_DATA, "METRICS_FILE": FAILED}
    for name in [name for name in codes if not os.environ.get(name)]:
        raise TrialError(codes[name], f"{name} is not set in the environment")
    hp = knobs.read(Path(os.environ["HYPERPARAMETERS_FILE"]), Hyperparameters)
    if not re.fullmatch(r"\d{1,18}", seed := os.environ.get("SEED") or "0"):
        raise TrialError(BAD_HYPERPARAMETERS, f"SEED: {seed!r} is not a whole number from 0 on")
    manifest = dataset.check(data := Path(os.environ["DATA_DIR"]), os.environ.get("DATA_ID", ""))
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
    import_torch()
    try:
        metrics = train(hp, int(seed), data, manifest)
    except torch.OutOfMemoryError:
        free, total = (f"{size / 2**30:.1f} GiB" for size in torch.cuda.mem_get_info())
        settings = f"batch_size {hp.batch_size}, width {hp.width}: {free} of {total} are free"
        raise TrialError(OUT_OF_GPU_MEMORY, f"out of GPU memory with {settings}") from None
    dataset.replace(Path(os.environ["METRICS_FILE"]), json.dumps(metrics, indent=2).encode())


def terminate(*_: object) -> None:
    say("stopped by SIGTERM; the next attempt goes on from the newest checkpoint")
    os._exit(TERMINATED)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminate)
    try:
        main()
    except (TrialError, dataset.DatasetError) as error:
        say(f"error: {error}")
        sys.exit(error.code)
    except Exception as error:
        if not isinstance(error, OSError):
            traceback.print_exc()
        say(f"error: {type(error).__name__}: {error}".splitlines()[0])
        sys.exit(FAILED)
