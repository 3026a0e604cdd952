"""Samplers: pure functions from a space to its points, the same to the byte on every machine and Python.

Each yields distinct, allowed points. In all but lhs their order does not depend on how many are taken: a larger n keeps
the first. sobol and lhs are scipy's, imported where they are used, and the same under the same scipy and numpy.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Any

from sweep.spaces.domain import BITS
from sweep.spaces.space import MAX_TRIALS, Point, Space, too_many

Trial = dict[str, Any]
MISSES = 10_000  # draws in a row that brought nothing new, after which the rest is no longer left to luck
BLOCK = 1024  # points of a Sobol sequence that are drawn at once; a power of 2, as its balance wants
CANDIDATES = 32  # Latin hypercubes from which `maximin` takes the best
LIBRARIES = {
    "sobol": ("numpy", "scipy"),
    "lhs": ("numpy", "scipy"),
    "halving": ("numpy", "scipy"),
    "tpe": ("numpy", "optuna", "scipy"),
}


def expand(space: Space) -> list[Trial]:
    """All trials: each point with the seeds 0 … replicates-1 (0 is not written); BadInput if too few points exist."""
    sampler = space.sampler
    most = MAX_TRIALS // sampler.replicates + 1 if sampler.n is None else sampler.n
    points = [*space.points, *itertools.islice(SAMPLERS[sampler.name](space), most)]
    found = len(points) - len(space.points)
    if sampler.n is not None and found < sampler.n:
        different = f"only {found} different ones were found" if found else "none was found"
        problem = f"{sampler.n} points are due, {different}{why_few(space)}; widen the space"
        raise space.doc.bad(("sampler", "n"), problem)
    if not points:
        raise space.doc.bad(("space",), f"no point is left{why_few(space)}; loosen them")
    if len(points) * sampler.replicates > MAX_TRIALS:
        raise too_many(space, len(points) * sampler.replicates)
    return replicated(points, sampler.replicates)


def replicated(points: Iterable[Point], replicates: int) -> list[Trial]:
    """Each point with the same seeds, so that comparisons are paired."""
    return [{**point, "seed": seed} if seed else point for point in points for seed in range(replicates)]


def why_few(space: Space) -> str:
    """Which constraints and exclusions are in the way, with numbers; "" for none."""
    return space.why_few(_draws(space))


def versions(sampler: str) -> str:
    """`numpy 2.4.6, scipy 1.17.1`: what, beside our own code, the points of a sampler depend on."""
    return ", ".join(f"{name} {version(name)}" for name in LIBRARIES.get(sampler, ()))


def grid(space: Space) -> Iterator[Point]:
    """The product of all parameters in the file's order, the last one varying fastest."""
    given = {key(point) for point in space.points}
    return (point for point in space.every() if not given or key(point) not in given)


def random(space: Space) -> Iterator[Point]:
    """Independent draws, repeats skipped. A parameter's draws depend on its name alone, not on its neighbours."""
    return _distinct(space, _draws(space))


def sobol(space: Space) -> Iterator[Point]:
    """A scrambled Sobol sequence, a dimension a parameter; what is inactive is dropped, what is forbidden skipped."""
    import numpy as np
    from scipy.stats import qmc

    engine = qmc.Sobol(max(1, len(space.parameters)), scramble=True, rng=np.random.default_rng(space.sampler.seed))
    rows = (row for _ in itertools.count() for row in engine.random(BLOCK).tolist())
    return _distinct(space, (_at(space, row) for row in rows))


def lhs(space: Space) -> Iterator[Point]:
    """A Latin hypercube of n points; what is forbidden or repeated is replaced from further ones.

    maximin: of 32 hypercubes the one whose closest two points are farthest apart (Johnson, Moore and Ylvisaker 1990).
    """
    import numpy as np
    from scipy.spatial import cKDTree
    from scipy.stats import qmc

    count, n = max(1, len(space.parameters)), space.sampler.n or 1
    draw = np.random.default_rng(space.sampler.seed)

    def closest(rows: Any) -> float:
        return float(cKDTree(rows).query(rows, k=2)[0][:, 1].min()) if n > 1 else 0.0

    def cubes() -> Iterator[Any]:
        while True:
            made = [qmc.LatinHypercube(count, rng=draw).random(n) for _ in range(candidates)]
            yield max(made, key=closest) if len(made) > 1 else made[0]

    candidates = CANDIDATES if space.sampler.maximin else 1
    return _distinct(space, (_at(space, row) for cube in cubes() for row in cube.tolist()))


def explicit(_space: Space) -> Iterator[Point]:
    """None beside the explicit points, which come first whatever the sampler."""
    return iter(())


def key(point: Point) -> str:
    """Text that tells points apart."""
    return json.dumps(point)


def _draws(space: Space) -> Iterator[Point]:
    for draw in itertools.count():
        yield space.build(lambda parameter: parameter.at(_bits(space.sampler.seed, draw, parameter.name)))  # noqa: B023


def _at(space: Space, row: list[float]) -> Point:
    """The point at `row`, a number in [0, 1) for every parameter."""
    places = {parameter.name: int(u * 2**BITS) for parameter, u in zip(space.parameters, row, strict=False)}
    return space.build(lambda parameter: parameter.at(places[parameter.name]))


def _distinct(space: Space, drawn: Iterator[Point]) -> Iterator[Point]:
    """The draws that are allowed and new; once luck brings none any more, what is left of a finite space in order."""
    seen = {key(point) for point in space.points}
    misses = 0
    for point in drawn:
        told = key(point)
        if told in seen or space.objection(point):
            misses += 1
        else:
            misses = 0
            seen.add(told)
            yield point
        if misses == MISSES or len(seen) == space.size:
            break
    if space.size is not None and len(seen) < space.size:
        yield from (point for point in space.every() if key(point) not in seen)


def _bits(seed: int, draw: int, name: str) -> int:
    """53 bits that depend on nothing but the arguments; the streams of `random.Random` may change between versions."""
    digest = hashlib.sha256(f"{seed}/{draw}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - BITS)


SAMPLERS: dict[str, Callable[[Space], Iterator[Point]]] = {
    "grid": grid,
    "random": random,
    "sobol": sobol,
    "lhs": lhs,
    "explicit": explicit,
}
