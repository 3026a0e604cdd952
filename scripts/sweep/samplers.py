"""Samplers: pure functions from a space to its trials, the same to the byte on every machine and Python.

A sampler yields distinct points in an order that does not depend on how many are taken: a larger n keeps the first.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from sweep.space import BITS, Space

Point = dict[str, Any]
Trial = dict[str, Any]
MISSES = 10_000  # draws in a row that brought nothing new, after which the rest is no longer left to luck


def expand(space: Space) -> list[Trial]:
    """All trials: each point with the seeds 0 … replicates-1 (0 is not written); BadInput if too few points exist."""
    sampler = space.sampler
    points = list(itertools.islice(SAMPLERS[sampler.name](space), sampler.n))
    if sampler.n is not None and len(points) < sampler.n:
        problem = f"{sampler.n} points are due, only {len(points)} different ones were found; widen the space"
        raise space.doc.bad(("sampler", "n"), problem)
    return [{**point, "seed": seed} if seed else point for point in points for seed in range(sampler.replicates)]


def grid(space: Space) -> Iterator[Point]:
    """The product of all parameters in the file's order, the last one varying fastest."""
    names = [parameter.name for parameter in space.parameters]
    columns = [[parameter.value(index) for index in range(parameter.size or 0)] for parameter in space.parameters]
    return (dict(zip(names, row, strict=True)) for row in itertools.product(*columns))


def random(space: Space) -> Iterator[Point]:
    """Independent draws, repeats skipped. A parameter's draws depend on its name alone, not on its neighbours."""
    seen: set[str] = set()
    misses = 0
    for draw in itertools.count():
        point = {
            parameter.name: parameter.at(_bits(space.sampler.seed, draw, parameter.name))
            for parameter in space.parameters
        }
        key = json.dumps(point)
        misses = misses + 1 if key in seen else 0
        if misses == 0:
            seen.add(key)
            yield point
        elif misses == MISSES or len(seen) == space.size:
            break
    if space.size is not None:
        yield from (point for point in grid(space) if json.dumps(point) not in seen)


def _bits(seed: int, draw: int, name: str) -> int:
    """53 bits that depend on nothing but the arguments; the streams of `random.Random` may change between versions."""
    digest = hashlib.sha256(f"{seed}/{draw}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - BITS)


SAMPLERS: dict[str, Callable[[Space], Iterator[Point]]] = {"grid": grid, "random": random}
