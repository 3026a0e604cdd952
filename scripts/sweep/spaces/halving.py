"""Successive halving (Jamieson and Talwalkar 2016): many points at a small budget, the best of them at a larger one.

A round is a rung. Who survives goes on from its lineage's checkpoint, for its trials differ in the budget alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sweep.errors import TrialsFailed
from sweep.spaces import samplers
from sweep.spaces.history import Told
from sweep.spaces.space import Point, Sampler, Space


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


def ask(space: Space, told: Sequence[Told], number: int) -> list[Point]:
    """The points of round `number` (from 1), budget and all. Raises TrialsFailed if nobody survived."""
    if number == 1:
        points = [*space.points, *itertools.islice(samplers.sobol(space), space.sampler.n)]
    else:
        points = [one.point for one in ranking(space, told, number - 1)[: sizes(space)[number - 1]]]
        if not points:
            metric = space.objectives[0]["metric"]
            raise TrialsFailed(f"no trial of round {number - 1} has a value of {metric}, so none goes on")
    return [{**point, space.budget: budgets(space.sampler)[number - 1]} for point in points]


def ranking(space: Space, told: Sequence[Told], number: int) -> list[Told]:
    """Who may go on from round `number`, the best first; what failed, diverged or has not ended may not."""
    sign = -1 if space.objectives[0]["direction"] == "maximize" else 1
    good = [one for one in rung(space, told, number) if one.state == "succeeded"]
    return sorted(good, key=lambda one: (sign * one.values[0], samplers.key(one.point)))


def rung(space: Space, told: Sequence[Told], number: int) -> list[Told]:
    """All points with the budget of round `number`."""
    return [one for one in told if one.budget == budgets(space.sampler)[number - 1]]
