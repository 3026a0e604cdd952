"""The explicit points alone, which come first whatever the sampler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweep.spaces.sampler import Sampler
from sweep.spaces.space import Point, Space


def ask(_space: Space, *_: Any) -> Iterator[Point]:
    """None beside them."""
    return iter(())


def _check(space: Space) -> None:
    if not space.doc.data.get("points"):
        raise space.doc.bad(("sampler", "name"), "explicit needs points; write `points:` with at least one")


SAMPLER = Sampler(
    name="explicit",
    summary="`points` alone",
    fits="trials that others listed",
    because="`points:` alone; add `replicates`",
    ask=ask,
    takes_space=False,
    check=_check,
)
