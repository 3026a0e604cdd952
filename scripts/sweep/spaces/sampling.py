"""What samplers share: draws that depend on nothing but a seed, and points that are allowed and new."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence

from sweep.spaces.domain import BITS
from sweep.spaces.space import Line, Point, Space

MISSES = 10_000  # draws in a row that brought nothing new, after which the rest is no longer left to luck


def replicated(space: Space, points: Iterable[Point]) -> list[Line]:
    """The trials of each point, with the same seeds, so that comparisons are paired."""
    lines = ({**line, **space.asked(line)} for line in map(space.line, points))
    return [{**line, "seed": seed} if seed else line for line in lines for seed in range(space.replicates)]


def why_few(space: Space) -> str:
    """Which constraints and exclusions are in the way, with numbers; "" for none."""
    return space.why_few(draws(space))


def key(point: Point) -> str:
    """Text that tells points apart."""
    return json.dumps(point)


def draws(space: Space) -> Iterator[Point]:
    """Points without an end, allowed or not. A parameter's draws depend on its name alone, not on its neighbours."""
    seed = space.options.get("seed", 0)
    for draw in itertools.count():
        yield space.build(lambda parameter: parameter.at(_bits(seed, draw, parameter.name)))  # noqa: B023


def at(space: Space, row: Sequence[float]) -> Point:
    """The point at `row`, a number in [0, 1) for every parameter."""
    places = {parameter.key: int(u * 2**BITS) for parameter, u in zip(space.parameters, row, strict=False)}
    return space.build(lambda parameter: parameter.at(places[parameter.key]))


def distinct(space: Space, drawn: Iterator[Point]) -> Iterator[Point]:
    """The draws that are allowed and new; once luck brings none any more, what is left of a finite space in order."""
    seen = {key(point) for point in space.points}
    misses = 0
    for point in drawn:
        text = key(point)
        if text in seen or space.objection(point):
            misses += 1
        else:
            misses = 0
            seen.add(text)
            yield point
        if misses == MISSES or len(seen) == space.size:
            break
    if space.size is not None and len(seen) < space.size:
        yield from (point for point in space.every() if key(point) not in seen)


def _bits(seed: int, draw: int, name: str) -> int:
    """53 bits that depend on nothing but the arguments; the streams of `random.Random` may change between versions."""
    digest = hashlib.sha256(f"{seed}/{draw}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - BITS)
