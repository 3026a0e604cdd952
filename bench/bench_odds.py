"""Does the winner's stated probability of being the best come true? Sweeps made up, whose truth is known.

    make bench-odds

Prints the table of docs/results.md: for each design what was stated and what came true, on average over all sweeps, and
over those of which 0.9 or more was said.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import numpy as np  # noqa: E402

from sweep.ranking import stats  # noqa: E402
from sweep.records.results import Objective, Row  # noqa: E402

GOAL = Objective("m", "maximize")
NOISES = (0.2, 0.5, 1.0)
"""Standard deviations between seeds, taken in turn; that between points is 1."""


@dataclass(frozen=True)
class Design:
    """How a made-up sweep looks."""

    name: str
    seeds: tuple[int, ...]
    """Of each point, in no order of merit."""
    ratio: float = 1.0
    """By how much the noise of some points exceeds that of the others, as standard deviations."""
    noisier: str = "none"
    """none | best (the truly best point alone) | half (each by a toss) | any (each by a factor up to the ratio)"""
    effect: float = 0.0
    """What a seed does to all points alike, as a multiple of the noise (standard deviation)."""


DESIGNS = (
    *(Design(f"8 points, {df} with 2 seeds (df {df})", (2,) * df + (1,) * (8 - df)) for df in (1, 2, 4)),
    Design("2 points, 2 seeds (df 2)", (2,) * 2),
    Design("4 points, 2 seeds (df 4)", (2,) * 4),
    Design("8 points, 3 seeds", (3,) * 8),
    *(Design(f"8 points, 3 seeds, the best {r}x noisier", (3,) * 8, r, "best") for r in (2, 4)),
    *(Design(f"8 points, 3 seeds, half of them {r}x noisier", (3,) * 8, r, "half") for r in (2, 4)),
    Design("8 points, 2 seeds, each up to 4x noisier", (2,) * 8, 4, "any"),
    Design("16 points, 5 seeds, each up to 4x noisier", (5,) * 16, 4, "any"),
    Design("8 points, 3 seeds, a seed's effect 2x the noise", (3,) * 8, effect=2.0),
)


def rows(seeds: Sequence[int], values: Sequence[Sequence[float]]) -> list[Row]:
    return [
        Row(f"{place}/{seed}", "succeeded", {"x": place}, seed, "present", "local", value, {"m": value})
        for place, count in enumerate(seeds)
        for seed, value in enumerate(values[place][:count])
    ]


def sweep(design: Design, number: int) -> tuple[float, bool]:
    """(what is said of the winner, whether it is the truly best one) in the made-up sweep of this number."""
    draw = np.random.default_rng(number)
    count, most = len(design.seeds), max(design.seeds)
    truth = draw.standard_normal(count)
    factor = {
        "none": np.ones(count),
        "best": np.where(truth == truth.max(), design.ratio, 1),
        "half": np.where(draw.random(count) < 0.5, design.ratio, 1),
        "any": design.ratio ** draw.random(count),
    }[design.noisier]
    noise = NOISES[number % len(NOISES)]
    own = noise * factor[:, None] * draw.standard_normal((count, most))
    values = truth[:, None] + own + noise * design.effect * draw.standard_normal(most)
    choice = stats.choose(rows(design.seeds, values.tolist()), GOAL, "local")
    return choice.p_best[0], choice.points[0].hyperparameters["x"] == int(truth.argmax())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    os.nice(10)
    start = time.monotonic()
    print("| design | stated | right | said 0.9 or more | stated | right |\n|---|---|---|---|---|---|")
    for design in DESIGNS:
        if args.only in design.name:
            outcomes = [sweep(design, number) for number in range(args.sweeps)]
            sure = [outcome for outcome in outcomes if outcome[0] >= 0.9]
            cells = [
                f"{np.mean([p for p, _ in part]):.3f} | {np.mean([right for _, right in part]):.3f}" if part else "|"
                for part in (outcomes, sure)
            ]
            print(f"| {design.name} | {cells[0]} | {len(sure)} | {cells[1]} |", flush=True)
    print(f"\n{args.sweeps} sweeps each, {time.monotonic() - start:.0f} s; numpy {np.__version__}")


if __name__ == "__main__":
    main()
