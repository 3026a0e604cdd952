"""What a sampler is: one record, from which the schema, the checks, the rounds and the docs follow.

A new one is a file in samplers/, and its line in samplers/__init__.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from sweep.errors import BadInput
from sweep.spaces.history import Observation
from sweep.spaces.space import Point, Space


@dataclass(frozen=True)
class Option:
    """A key of `sampler:` in space.yaml: a whole number between two bounds, or a boolean."""

    description: str
    """A sentence for the schema, without the names of the samplers that take it."""
    example: Any
    default: Any = None
    """None: the sampler cannot do without it."""
    least: int = 1
    most: int = 2**53

    @property
    def schema(self) -> dict[str, Any]:
        """Its JSON schema, less the description."""
        if isinstance(self.example, bool):
            return {"type": "boolean", "examples": [self.example]}
        return {"type": "integer", "minimum": self.least, "maximum": self.most, "examples": [self.example]}


class Ask(Protocol):
    def __call__(
        self, space: Space, observations: Sequence[Observation] = (), number: int = 1, listed: Sequence[Point] = (), /
    ) -> Iterable[Point]:
        """Distinct, allowed points of `space`, without an end where it has none.

        In rounds: those of round `number` (from 1), from what was `told` of points so far and the trials `listed` in
        values.yaml. Pure: the same arguments give the same points, to the byte, on every machine. Raises TrialsFailed
        where nothing is left to go on from.
        """


class Evidence(Protocol):
    def __call__(
        self, space: Space, observations: Sequence[Observation], number: int, listed: Sequence[Point], /
    ) -> list[str]:
        """What round `number` was made from, in lines for people: who went on, what was learnt from."""


@dataclass(frozen=True)
class TakenSampler:
    """What a sampler takes in its place."""

    name: str
    options: Mapping[str, Any]
    why: str


@dataclass(frozen=True)
class Sampler:
    """How the points of a space are taken."""

    name: str
    summary: str
    """What it does, in a clause: the schema's description and an editor's hint."""
    fits: str
    """When to take it: `you have` …"""
    because: str
    """… and why, in docs/search.md."""
    ask: Ask
    options: Mapping[str, Option] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    """The packages, beside our own code, on whose version its points depend."""
    sizes: Callable[[Space], list[int]] | None = None
    """How many points each of its rounds has, the explicit ones among them; None for one that needs no results."""
    evidence: Evidence | None = None
    """Of a sampler that goes in rounds."""
    sets_budget: bool = False
    """Whether it gives every trial its budget, which then is no part of a point."""
    takes_space: bool = True
    """Whether it takes points of the space, and not the explicit ones alone."""
    check: Callable[[Space], None] = lambda _space: None
    """Raises BadInput where a space is none for it, by what a schema cannot say."""
    take: Callable[[Space], TakenSampler] | None = None
    """Which sampler it stands for, by the space and its options alone; None where it takes the points itself."""

    @property
    def adaptive(self) -> bool:
        """Whether its trials come in rounds, each made from the results of those before."""
        return self.sizes is not None

    @property
    def versions(self) -> str:
        """`numpy 2.4.6, scipy 1.17.1`: its libraries, as they are installed here; BadInput without one."""
        try:
            return ", ".join(f"{name} {version(name)}" for name in self.libraries)
        except PackageNotFoundError as error:
            way = f"`pip install 'helm-sweep[{self.name}]'` (in a clone: make {self.name})"
            raise BadInput(f"sampler {self.name}: {error.name} is not installed; {way}") from None

    def describe(self, options: Mapping[str, Any], replicates: int) -> str:
        """`random, n=8, seed=0`, as a commit message says it."""
        numbers = [f"{key}={value}" for key, value in options.items() if not isinstance(value, bool)]
        flags = [key for key, value in options.items() if value is True]
        return ", ".join([self.name, *numbers, *flags, *([f"replicates={replicates}"] if replicates > 1 else [])])


N = Option("number of points; a larger n keeps the points that are there (not with lhs).", 8, most=100_000)
SEED = Option("seed of the sampler (default 0). Not the seed of a trial.", 0, default=0, least=0)
