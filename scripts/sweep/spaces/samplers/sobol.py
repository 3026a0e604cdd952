"""A sequence without gaps. scipy's, imported where it is used; the same under the same scipy and numpy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from sweep.spaces.sampler import SEED, N, Sampler
from sweep.spaces.sampling import at, distinct
from sweep.spaces.space import Point, Space

BLOCK = 1024  # points that are drawn at once; a power of 2, as the balance of a Sobol sequence wants


def ask(space: Space, *_: Any) -> Iterator[Point]:
    """A scrambled Sobol sequence, a dimension a parameter; what is inactive is dropped, what is forbidden skipped."""
    import numpy as np
    from scipy.stats import qmc

    draw = np.random.default_rng(space.options.get("seed", 0))
    engine = qmc.Sobol(max(1, len(space.parameters)), scramble=True, rng=draw)
    rows = (row for _ in itertools.count() for row in engine.random(BLOCK).tolist())
    return distinct(space, (at(space, row) for row in rows))


SAMPLER = Sampler(
    name="sobol",
    summary="n points of a scrambled Sobol sequence, which leaves no gaps",
    fits="a first look at a space, or no idea",
    because="no gaps and no clusters; `n: 64` today and `n: 256` tomorrow keeps the first 64",
    ask=ask,
    options={"n": N, "seed": SEED},
    libraries=("numpy", "scipy"),
)
