"""Stands for another sampler, which it takes by the space and by how many points are wanted: by nothing else.

So what it takes is the same on every machine and in every replay, and the sweep is, to the byte, as if that sampler
stood in space.yaml. The rule follows the measurements in docs/search.md.
"""

from __future__ import annotations

from typing import Any

from sweep.spaces.sampler import SEED, N, Sampler, TakenSampler
from sweep.spaces.space import Point, Space

PER_ROUND = 8
"""Of tpe: that which was measured."""
LEAST = 3 * PER_ROUND
"""Below it rounds are too few to learn from: after 16 points no sampler is ahead on most functions."""
FEW = 4
"""Hyperparameters up to which gp was ahead of tpe."""


def take(space: Space) -> TakenSampler:
    """The sampler for a space, by its size, its conditions and `n`."""
    n, seed = space.options["n"], space.options["seed"]
    if space.size is not None and space.size <= n:
        return TakenSampler("grid", {}, f"the space has {space.size:,} points, and n is {n:,}")
    if n < LEAST:
        return TakenSampler("sobol", {"n": n, "seed": seed}, f"n is {n}, and rounds pay from {LEAST} on")
    if any(parameter.when or parameter.only for parameter in space.parameters):
        why = "some hyperparameters are not in every point, and there tpe may settle in a branch"
        return TakenSampler("sobol", {"n": n, "seed": seed}, why)
    why = f"n is {n}, and {len(space.parameters)} hyperparameters are in every point"
    if len(space.parameters) <= FEW:
        why += "; gp may do better with so few, and needs helm-sweep[gp]"
    return TakenSampler("tpe", {"rounds": n // PER_ROUND, "per_round": PER_ROUND, "seed": seed}, why)


def ask(space: Space, *_: Any) -> list[Point]:
    raise AssertionError(f"{space.sampler}: another sampler is asked in its place")


SAMPLER = Sampler(
    name="auto",
    summary="takes grid, sobol or tpe by n and the space, and says why",
    fits="no wish to choose: say how many trials you can pay",
    because="all points where there are few, rounds where they pay; the same sampler for the same space, always",
    ask=ask,
    options={"n": N, "seed": SEED},
    take=take,
)
