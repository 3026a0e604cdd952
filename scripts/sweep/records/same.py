"""What makes two trials the same. Every key that trials, rows or values are compared by is made here, each by its name.

    settings       the hyperparameters alone, or less one: the line of a budget, the point of a search space
    trial          with the seed: one trial of a sweep, where code, image and data are the same for all
    configuration  a row's settings, engine, code, image and data: its replicates differ in the seed alone
    program        the code alone: a trial of other code is another one
    anywhere       a row's settings, seed, code and data: the same trial, whichever engine and so image ran it

None of them is an id: that is the chart's, and hashes more than a table tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

ASKED = ("resources", "gpu", "limit_seconds", "image")
"""What a trial's line may ask for itself, in place of what the sweep asks for all."""
OF_A_TRIAL = ("seed", *ASKED)
"""What a trial's line may set that is no hyperparameter."""


class Like(Protocol):
    """What is compared of a row of results.csv."""

    @property
    def hyperparameters(self) -> dict[str, Any]: ...
    @property
    def seed(self) -> int: ...
    @property
    def engine(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def image(self) -> str: ...
    @property
    def data(self) -> str: ...


def as_helm_sees(value: Any) -> str:
    """Text that is equal for values which the chart takes for the same: 1 and 1.0, but not true and 1."""
    if isinstance(value, list):
        return "[" + ",".join(map(as_helm_sees, value)) + "]"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value) if type(value) is int else json.dumps(value)


def says(hyperparameters: Mapping[str, Any], name: str, value: Any) -> bool:
    """Whether they set `name` to that already."""
    return name in hyperparameters and as_helm_sees(hyperparameters[name]) == as_helm_sees(value)


def settings(hyperparameters: Mapping[str, Any], without: str = "") -> str:
    """The hyperparameters in whatever order; `without` one, such as the budget, what its values have in common.

    One that is None is left out, as the chart leaves it out of an identity.
    """
    given = sorted((name, value) for name, value in hyperparameters.items() if value is not None and name != without)
    return ",".join(f"{name}={as_helm_sees(value)}" for name, value in given)


def trial(hyperparameters: Mapping[str, Any], seed: int) -> str:
    """One trial of a sweep."""
    return f"{settings(hyperparameters)},#{seed}"


def of_line(fixed: Mapping[str, Any], line: Mapping[str, Any]) -> str:
    """`trial` of a line of `trials:` below `fixed`; what it asks for itself is no part of it."""
    own = {name: value for name, value in line.items() if name not in OF_A_TRIAL}
    return trial({**fixed, **own}, line.get("seed", 0))


def configuration(row: Like, without: str = "") -> tuple[str, ...]:
    """What replicates share, on one engine; `without` the budget, what all of its rungs share."""
    return settings(row.hyperparameters, without), row.engine, row.code, row.image, row.data


def program(code: str, image: str) -> str:
    """What was run: the code by its hash, or the image that has it; "" where neither is known."""
    return code or image


def anywhere(row: Like) -> tuple[str, int, str, str]:
    """What stays the same when another engine, and so another image, runs a trial."""
    return settings(row.hyperparameters), row.seed, row.code, row.data
