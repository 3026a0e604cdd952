"""Independent draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweep.spaces.sampler import SEED, N, Sampler
from sweep.spaces.sampling import distinct, draws
from sweep.spaces.space import Point, Space


def ask(space: Space, *_: Any) -> Iterator[Point]:
    """Independent draws, repeats skipped."""
    return distinct(space, draws(space))


SAMPLER = Sampler(
    name="random",
    summary="n points, none twice",
    fits="a cheap search where order must mean nothing",
    because="the plainest; every point independent of the others",
    ask=ask,
    options={"n": N, "seed": SEED},
)
