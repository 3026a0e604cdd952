"""A stand-in for programs with absl's flags that log as transformers' Trainer does, also in trainer_state.json."""

import json
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_float("learning_rate", 0.1, "of the descent")
flags.DEFINE_integer("epochs", 3, "passes")
flags.DEFINE_bool("amp", False, "half precision")
flags.DEFINE_enum("schedule", "linear", ["linear", "cosine"], "of the rate")


def main(_: list[str]) -> None:
    x, history = 1.0, []
    for epoch in range(1, FLAGS.epochs + 1):
        x -= FLAGS.learning_rate * x
        history += [{"loss": x, "epoch": float(epoch)}, {"eval_loss": x + 0.1 + FLAGS.amp, "epoch": float(epoch)}]
        print(history[-2])
        print(history[-1])
    Path("trainer_state.json").write_text(json.dumps({"log_history": history, "best_metric": None}))


app.run(main)
