"""The recipe once more, as plainly as it can be said: float32, NCHW, modules, torch.optim.SGD, one image at a time.

It is what the trainer is tested against (test_recipe.py) and measured against (bench/bench_trainer.py), so it shares
no code with it. It takes the random choices of an epoch from outside.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MEAN = np.array([125.31, 122.95, 113.87], np.float32)
STD = np.array([62.99, 62.09, 66.70], np.float32)


def normalise(image: Any) -> Any:
    """(32, 32, 3) uint8 -> (3, 32, 32) float32."""
    return ((image.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1)


def augment(image: Any, crop_y: int, crop_x: int, flip: int, cut_y: int, cut_x: int, size: int) -> Any:
    """(32, 32, 3) uint8 -> (3, 32, 32) float32: pad by 4, crop, flip, cut out."""
    padded = np.pad(image, [(4, 4), (4, 4), (0, 0)], mode="reflect")
    cropped = padded[crop_y : crop_y + 32, crop_x : crop_x + 32]
    done = normalise(cropped[:, ::-1] if flip else cropped).copy()
    done[:, cut_y : cut_y + size, cut_x : cut_x + size] = 0
    return done


def conv(c_in: int, c_out: int, batch_norm: bool, pool: bool = False) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(conv=nn.Conv2d(c_in, c_out, 3, padding=1, bias=not batch_norm))
    if batch_norm:
        parts["norm"] = nn.BatchNorm2d(c_out)
    parts["relu"] = nn.ReLU()
    if pool:
        parts["pool"] = nn.MaxPool2d(2)
    return nn.Sequential(parts)


class Residual(nn.Module):
    def __init__(self, channels: int, batch_norm: bool) -> None:
        super().__init__()
        self.res1, self.res2 = conv(channels, channels, batch_norm), conv(channels, channels, batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        done: Tensor = x + self.res2(self.res1(x))
        return done


class ResNet9(nn.Module):
    def __init__(self, width: int = 64, batch_norm: bool = True, scale: float = 0.125) -> None:
        super().__init__()
        self.scale = scale
        self.prep = conv(3, width, batch_norm)
        self.layer1 = conv(width, 2 * width, batch_norm, pool=True)
        self.residual1 = Residual(2 * width, batch_norm)
        self.layer2 = conv(2 * width, 4 * width, batch_norm, pool=True)
        self.layer3 = conv(4 * width, 8 * width, batch_norm, pool=True)
        self.residual3 = Residual(8 * width, batch_norm)
        self.classifier = nn.Linear(8 * width, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.residual1(self.layer1(self.prep(x)))
        x = self.residual3(self.layer3(self.layer2(x)))
        logits: Tensor = self.classifier(nn.functional.max_pool2d(x, 4).flatten(1)) * self.scale
        return logits

    def named_as_the_trainer_does(self) -> dict[str, Tensor]:
        """Its tensors under the names that the trainer gives them."""
        parts = {"conv.weight": "conv", "conv.bias": "bias", "norm.weight": "scale", "norm.bias": "shift"}
        parts |= {"norm.running_mean": "mean", "norm.running_var": "var"}
        named: dict[str, Tensor] = {"classifier": self.classifier.weight}
        for name, tensor in self.state_dict(keep_vars=True).items():
            block, *part = name.replace("residual", "layer").rsplit(".", 2)
            if ".".join(part) in parts:
                named[f"{block}.{parts['.'.join(part)]}"] = tensor
        return named


def optimizer(model: nn.Module, batch_size: int, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """SGD as the original has it; its learning rate is set before each step."""
    decay = weight_decay * batch_size
    return torch.optim.SGD(model.parameters(), lr=0.0, momentum=momentum, weight_decay=decay, nesterov=momentum > 0)


def rate(epoch: float, peak_rate: float, peak_epoch: float, epochs: float) -> float:
    """The learning rate at a moment in epochs: piecewise linear."""
    return float(np.interp(epoch, [0, peak_epoch, epochs], [0, peak_rate, 0]))


def step(model: nn.Module, sgd: torch.optim.SGD, x: Tensor, y: Tensor, lr: float, smoothing: float = 0.0) -> float:
    """One step at learning rate `lr` for the batch's mean; returns the loss summed over the batch."""
    sgd.param_groups[0]["lr"] = lr / len(y)
    sgd.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y, reduction="sum", label_smoothing=smoothing)
    loss.backward()
    sgd.step()
    return float(loss.detach())
