"""Every point of a finite space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweep.spaces.sampler import Sampler
from sweep.spaces.sampling import key
from sweep.spaces.space import Point, Space


def ask(space: Space, *_: Any) -> Iterator[Point]:
    """The product of all parameters in the file's order, the last one varying fastest."""
    given = {key(point) for point in space.points}
    return (point for point in space.every() if not given or key(point) not in given)


def _check(space: Space) -> None:
    endless = next((parameter.name for parameter in space.parameters if parameter.size is None), None)
    if endless is not None:
        raise space.doc.bad(("space", endless), "a grid needs a finite list; write `choices: […]`, a step or a count")
    for parameter in space.parameters:
        if parameter.uneven:
            path = ("space", parameter.name, parameter.uneven)
            raise space.doc.bad(path, "a grid takes every value once; remove it, or take `random`")


SAMPLER = Sampler(
    name="grid",
    summary="every point of a finite space, the last parameter varying fastest",
    fits="a few values each, and want a table of all",
    because="every point, in the file's order",
    ask=ask,
    check=_check,
)
