"""A program of nanoGPT's kind: settings are globals, `--name=value` replaces one of the same type, data are tokens.

nanoGPT itself lies in no package registry; TEST_PROGRAMS runs the real one (tests/e2e/test_public_programs.py).
"""

import array
import ast
import math
import random
import sys
from pathlib import Path

dataset = "text"
eval_interval = 10
max_iters = 20
batch_size = 64
learning_rate = 6e-4
dropout = 0.0
device = "cuda"
compile = True

settings = {name for name, value in globals().items() if isinstance(value, (bool, int, float, str)) and name[0] != "_"}
for word in sys.argv[1:]:
    name, _, text = word.removeprefix("--").partition("=")
    if name not in settings:
        raise ValueError(f"Unknown config key: {name}")
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = text
    assert type(value) is type(globals()[name]), f"{word}: of another type than the default"
    globals()[name] = value


def tokens(split: str) -> "array.array[int]":
    return array.array("H", Path(f"data/{dataset}/{split}.bin").read_bytes())


train, val = tokens("train"), tokens("val")
random.seed(1337)
scores = [0.0] * (max(*train, *val) + 1)  # one for each token, whatever came before it


def log_probabilities() -> list[float]:
    total = math.log(sum(map(math.exp, scores)))
    return [score - total for score in scores]


def loss(sample: "array.array[int] | list[int]") -> float:
    known = log_probabilities()
    return -sum(known[token] for token in sample) / len(sample)


for step in range(max_iters + 1):
    if step % eval_interval == 0:
        print(f"step {step}: train loss {loss(train):.4f}, val loss {loss(val):.4f}")
    batch = random.choices(train, k=batch_size)
    if step % 5 == 0:
        print(f"iter {step}: loss {loss(batch):.4f}, time 1.00ms, mfu -100.00%")
    chances = [math.exp(value) for value in log_probabilities()]
    for token, chance in enumerate(chances):
        scores[token] += learning_rate * (batch.count(token) / batch_size - chance)
