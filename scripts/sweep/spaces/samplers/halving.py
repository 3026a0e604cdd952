"""Successive halving (Jamieson and Talwalkar 2016): many points at a small budget, the best of them at a larger one.

A round is a rung. Who survives goes on from its lineage's checkpoint, for its trials differ in the budget alone.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from sweep.errors import TrialsFailed
from sweep.records.same import settings
from sweep.spaces.history import Observation
from sweep.spaces.sampler import SEED, N, Option, Sampler
from sweep.spaces.samplers import sobol
from sweep.spaces.space import Point, Space
from sweep.words import size
from sweep.yamlfile import flow

LISTED = 30
"""Lines of evidence of a kind in a commit message."""


def budgets(space: Space) -> list[int]:
    """The budget of every round: max, max / eta, max / eta^2 … down to min, whole numbers, the smallest first."""
    least, most, eta = (space.options[key] for key in ("min", "max", "eta"))
    rungs = [most]
    while rungs[0] // eta >= least:
        rungs.insert(0, rungs[0] // eta)
    return rungs


def sizes(space: Space) -> list[int]:
    """Points of every round, the explicit ones among them."""
    first, eta = space.options["n"] + len(space.points), space.options["eta"]
    return [max(1, first // eta**rung) for rung in range(len(budgets(space)))]


def ask(
    space: Space, observations: Sequence[Observation] = (), number: int = 1, listed: Sequence[Point] = ()
) -> list[Point]:
    """The points of round `number` (from 1), budget and all. Raises TrialsFailed if nobody survived.

    `listed` are the trials so far, in the order of values.yaml, which decides between equals.
    """
    if number == 1:
        points = [*space.points, *itertools.islice(sobol.ask(space), space.options["n"])]
    else:
        points = [
            observation.point
            for observation in ranking(space, observations, number - 1, listed)[: sizes(space)[number - 1]]
        ]
        if not points:
            metric = space.objectives[0]["metric"]
            raise TrialsFailed(f"no trial of round {number - 1} has a value of {metric}, so none goes on")
    return [{**point, space.budget: budgets(space)[number - 1]} for point in points]


def ranking(
    space: Space, observations: Sequence[Observation], number: int, listed: Sequence[Point] = ()
) -> list[Observation]:
    """Who may go on from round `number`, the best first; what failed, diverged or has not ended may not.

    Of equals who stands above in `listed`; who does not stand there comes last, smaller hyperparameters first.
    """
    sign = -1 if space.objectives[0]["direction"] == "maximize" else 1
    names = [parameter.name for parameter in space.parameters]
    place: dict[str, int] = {}
    for trial in listed:
        place.setdefault(settings({name: trial[name] for name in names if name in trial}), len(place))
    good = [observation for observation in rung(space, observations, number) if observation.state == "succeeded"]

    def merit(observation: Observation) -> tuple[Any, ...]:
        above = place.get(settings(observation.point), len(place))
        return sign * observation.values[0], above, [(name, *size(value)) for name, value in observation.point.items()]

    return sorted(good, key=merit)


def rung(space: Space, observations: Sequence[Observation], number: int) -> list[Observation]:
    """All points with the budget of round `number`."""
    return [observation for observation in observations if observation.budget == budgets(space)[number - 1]]


def evidence(space: Space, observations: Sequence[Observation], number: int, listed: Sequence[Point]) -> list[str]:
    """Who goes on to round `number` and who does not, with the values that say so."""
    entered = rung(space, observations, number - 1)
    ranked = ranking(space, observations, number - 1, listed)
    count = min(sizes(space)[number - 1], len(ranked))
    kept, beaten = ranked[:count], ranked[count:]
    lost = [observation for observation in entered if observation not in ranked]
    metric = f"{space.objectives[0]['metric']} at {space.budget} {budgets(space)[number - 2]}"
    lines = [f"{len(kept)} of {len(entered)} points go on, by {metric}:"]
    lines += [f"+ {flow(observation.values[0])} {flow(observation.point)}" for observation in kept[:LISTED]]
    lines += [
        "eliminated:",
        *(f"- {flow(observation.values[0])} {flow(observation.point)}" for observation in beaten[:LISTED]),
    ]
    lines += [f"- {observation.state} {json.dumps(observation.point)}" for observation in lost[:LISTED]]
    left_out = sum(max(0, len(group) - LISTED) for group in (kept, beaten, lost))
    return lines + ([f"({left_out} more)"] if left_out else [])


def _check(space: Space) -> None:
    doc, data, budget = space.doc, space.doc.data, space.budget
    least, most = space.options["min"], space.options["max"]
    if least >= most:
        raise doc.bad(("sampler", "min"), f"min {least} is not below max {most}; change one of them")
    if not budget:
        problem = "budget is missing; name the hyperparameter that halving raises, as in `budget: stop_epoch`"
        raise doc.bad(("sampler",), problem)
    eta, n = space.options["eta"], space.options["n"]
    if most // eta < least:
        raise doc.bad(
            ("sampler", "min"),
            f"from min {least} to max {most} by eta {eta} there is one rung only, so nothing is halved; write min "
            f"{max(1, most // eta)}, or sampler {{name: sobol, n: {n}}} with {budget}: {most} among the "
            "hyperparameters",
        )
    if len(space.objectives) > 1:
        raise doc.bad(("objective",), "halving ranks by one objective; name one, or take tpe for several")
    for section in ("space", "hyperparameters"):
        if budget in data.get(section, {}):
            raise doc.bad((section, budget), "halving sets it, from min to max; remove it here")


SAMPLER = Sampler(
    name="halving",
    summary="n points at a small budget, of which every round keeps the best 1/eta at eta times the budget",
    fits="training that shows early who is bad",
    because="most points get a small budget, survivors go on from their checkpoints; one objective",
    ask=ask,
    options={
        "n": N,
        "eta": Option(
            "a round keeps the best 1/eta of its points and multiplies their budget by eta.", 3, least=2, most=100
        ),
        "min": Option("the least budget a point may be judged by.", 1),
        "max": Option("the budget of the last round.", 9, least=2),
        "seed": SEED,
    },
    libraries=("numpy", "scipy"),
    sizes=sizes,
    evidence=evidence,
    sets_budget=True,
    check=_check,
)
