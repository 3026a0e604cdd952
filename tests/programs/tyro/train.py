"""A stand-in for programs with tyro's options (--model.no-bias) that print a table as fastai's Learner does."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--model.lr", type=float, default=0.1)
parser.add_argument("--model.bias", dest="bias", action="store_true", default=True)
parser.add_argument("--model.no-bias", dest="bias", action="store_false")
parser.add_argument("--model.widths", type=int, nargs="+", default=[8])
settings = vars(parser.parse_args())
print(f"told: {settings}")
print("epoch     train_loss  valid_loss  accuracy  time    ")
x = 1.0
for epoch in range(3):
    x -= settings["model.lr"] * x
    print(f"{epoch:<10}{x:<12.6f}{x + 0.1 + settings['bias']:<12.6f}{1 - x:<10.6f}00:{epoch:02}    ")
