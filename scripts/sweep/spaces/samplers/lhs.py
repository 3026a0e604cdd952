"""A Latin hypercube. scipy's, imported where it is used; the same under the same scipy and numpy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from sweep.spaces.sampler import SEED, N, Option, Sampler
from sweep.spaces.sampling import at, distinct
from sweep.spaces.space import Point, Space

CANDIDATES = 32  # Latin hypercubes from which `maximin` takes the best


def ask(space: Space, *_: Any) -> Iterator[Point]:
    """A Latin hypercube of n points; what is forbidden or repeated is replaced from further ones.

    maximin: of 32 hypercubes the one whose closest two points are farthest apart (Johnson, Moore and Ylvisaker 1990).
    """
    import numpy as np
    from scipy.spatial import cKDTree
    from scipy.stats import qmc

    dimensions, n = max(1, len(space.parameters)), space.options["n"]
    candidates = CANDIDATES if space.options["maximin"] else 1

    engine = qmc.LatinHypercube(dimensions)

    def cube(number: int) -> Any:
        """The hypercube with that number, which has a stream of its own: one that nobody looks at is not drawn.

        The stream is that of `LatinHypercube(dimensions, rng=generator)` at its call `number`, which copies it besides.
        """
        engine.rng = np.random.default_rng(np.random.SeedSequence(space.options["seed"], spawn_key=(number,)))
        return engine.random(n)

    def closest(rows: Any) -> float:
        return float(cKDTree(rows).query(rows, k=2)[0][:, 1].min())

    def cubes() -> Iterator[Any]:
        for first in itertools.count(0, candidates):
            drawn = map(cube, range(first, first + candidates))
            yield max(drawn, key=closest) if candidates > 1 and n > 1 else next(drawn)  # a point alone has no other

    return distinct(space, (at(space, row) for cube in cubes() for row in cube.tolist()))


SAMPLER = Sampler(
    name="lhs",
    summary="a Latin hypercube of n points",
    fits="one batch of a fixed size",
    because="each range is cut into n shares, with one point in each (`maximin: true` spreads them); does not extend",
    ask=ask,
    options={
        "n": N,
        "seed": SEED,
        "maximin": Option(
            "of 32 hypercubes the one whose closest points are farthest apart (default false).", True, default=False
        ),
    },
    libraries=("numpy", "scipy"),
)
