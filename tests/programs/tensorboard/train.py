"""A program that writes TensorBoard event files into ./runs and prints nothing."""

import argparse

from torch.utils.tensorboard import SummaryWriter

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--layers", type=int, nargs="+", default=[8])
parser.add_argument("--epochs", type=int, default=3)
arguments = parser.parse_args()

x = 4.0
with SummaryWriter("runs") as writer:
    for epoch in range(arguments.epochs):
        x -= arguments.lr * 2 * x / len(arguments.layers)
        writer.add_scalar("loss/validation", x * x, epoch)
