"""Successive halving (Jamieson and Talwalkar 2016): many points at a small budget, the best of them at a larger one.

A round is a rung. Who survives goes on from its lineage's checkpoint, for its trials differ in the budget alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from sweep.errors import TrialsFailed
from sweep.records.same import settings
from sweep.spaces import samplers
from sweep.spaces.history import Told
from sweep.spaces.space import Point, Sampler, Space
from sweep.words import size


def budgets(sampler: Sampler) -> list[int]:
    """The budget of every round: max, max / eta, max / eta^2 … down to min, whole numbers, the smallest first."""
    least, most, eta = sampler.min or 1, sampler.max or 1, sampler.eta or 2
    made = [most]
    while made[0] // eta >= least:
        made.insert(0, made[0] // eta)
    return made


def sizes(space: Space) -> list[int]:
    """Points of every round, the explicit ones among them."""
    first, eta = (space.sampler.n or 0) + len(space.points), space.sampler.eta or 2
    return [max(1, first // eta**rung) for rung in range(len(budgets(space.sampler)))]


def ask(space: Space, told: Sequence[Told], number: int, listed: Sequence[Point] = ()) -> list[Point]:
    """The points of round `number` (from 1), budget and all. Raises TrialsFailed if nobody survived.

    `listed` are the trials so far, in the order of values.yaml, which decides between equals.
    """
    if number == 1:
        points = [*space.points, *itertools.islice(samplers.sobol(space), space.sampler.n)]
    else:
        points = [one.point for one in ranking(space, told, number - 1, listed)[: sizes(space)[number - 1]]]
        if not points:
            metric = space.objectives[0]["metric"]
            raise TrialsFailed(f"no trial of round {number - 1} has a value of {metric}, so none goes on")
    return [{**point, space.budget: budgets(space.sampler)[number - 1]} for point in points]


def ranking(space: Space, told: Sequence[Told], number: int, listed: Sequence[Point] = ()) -> list[Told]:
    """Who may go on from round `number`, the best first; what failed, diverged or has not ended may not.

    Of equals who stands above in `listed`; who does not stand there comes last, smaller hyperparameters first.
    """
    sign = -1 if space.objectives[0]["direction"] == "maximize" else 1
    names = [parameter.name for parameter in space.parameters]
    place: dict[str, int] = {}
    for trial in listed:
        place.setdefault(settings({name: trial[name] for name in names if name in trial}), len(place))
    good = [one for one in rung(space, told, number) if one.state == "succeeded"]

    def merit(one: Told) -> tuple[Any, ...]:
        above = place.get(settings(one.point), len(place))
        return sign * one.values[0], above, [(name, *size(value)) for name, value in one.point.items()]

    return sorted(good, key=merit)


def rung(space: Space, told: Sequence[Told], number: int) -> list[Told]:
    """All points with the budget of round `number`."""
    return [one for one in told if one.budget == budgets(space.sampler)[number - 1]]
