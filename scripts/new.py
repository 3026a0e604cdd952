"""Start another sweep: values/<sweep>/space.yaml with a search space that is ready to run, and to be changed."""

from __future__ import annotations

import guard

import cli
from sweep.errors import BadInput
from sweep.files import holds, write_atomic
from sweep.layout import Clone

EXAMPLE = """\
# yaml-language-server: $schema=../../schemas/space.schema.json
# The search space of {name}. `make sweep SWEEP={name}` expands it into trials, commits them and runs them.

# The metric that ranks trials, as the command writes it to METRICS_FILE.
objective: {{metric: val_accuracy, direction: maximize}}

# grid: every point of a finite space. random: n points, none twice; a larger n keeps those that are there.
# Also sobol, lhs, explicit, and in rounds tpe and halving: docs/search.md says which to take.
# `replicates: 3` trains each point with the seeds 0, 1 and 2.
sampler: {{name: random, n: 8, seed: 0}}

# The same in all trials.
hyperparameters: {{epochs: 3, width: 8, train_examples: 10000}}

# What is searched. Also: {{type: bool}}, {{type: choice, choices: [a, b]}}, {{type: int, low: 1, high: 64, log: true}},
# {{type: float, low: 0.0, high: 1.0, step: 0.1}}.
space:
  max_learning_rate: {{type: float, low: 0.05, high: 1.0, log: true}}
  batch_size: {{type: int, choices: [128, 512]}}
  momentum: {{type: float, low: 0.8, high: 0.98}}
"""


def main(argv: list[str] | None = None, clone: Clone | None = None) -> int:
    args = cli.parser(__doc__).parse_args(argv)
    clone = clone or Clone.here()
    files = clone.sweep(args.sweep)
    text = EXAMPLE.format(name=args.sweep)
    for path in (files.space, files.values):
        # One that is as it was made is of a call that was cut off.
        if clone.has(path) and (clone.has(files.values) or not holds(path, text.encode(), clone.values)):
            raise BadInput(f"{clone.relative(path)}: exists already; choose another name, or edit it")
    write_atomic(files.space, text, clone.values)
    cli.say(f"{clone.relative(files.space)}: edit it, then `make sweep SWEEP={args.sweep}`")
    return 0


if __name__ == "__main__":
    guard.run(main)
