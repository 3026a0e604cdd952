"""A round by a Gaussian process: Optuna's GPSampler, asked and told in memory; a pure function of what has come out.

Matern 5/2 with a length scale a hyperparameter, and log expected improvement. Those of a round that are asked already
count as running: the improvement is expected over what they may give (qLogEI), so that a batch does not pile up. A
suggestion that is forbidden gives way to the first allowed point on the way to the nearest known one: where the best is
forbidden, the edge of what is allowed is searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sweep.spaces.history import Observation
from sweep.spaces.sampler import SEED, Sampler
from sweep.spaces.samplers import tpe
from sweep.spaces.space import Point, Space

if TYPE_CHECKING:
    import optuna

TRIES = 12
"""Suggestions that are thrown away before a point is drawn at random: each is a second or so of fitting."""
LEAST = 3
"""Values without which nothing can be fitted: points are drawn at random."""


def ask(
    space: Space, observations: Sequence[Observation] = (), number: int = 1, _listed: Sequence[Point] = ()
) -> list[Point]:
    """The points of round `number` (from 1), fewer than `per_round` if the space has no more."""
    return tpe.asked(space, observations, number, tpe.Recipe(_sampler, _trials, TRIES, nearest=True))


def _sampler(space: Space, number: int) -> optuna.samplers.GPSampler:
    from optuna.samplers import GPSampler

    return GPSampler(seed=tpe.seed_of(space, number), n_startup_trials=LEAST, warn_independent_sampling=False)


def _trials(space: Space, observation: Observation, lowest: tuple[float, ...]) -> list[optuna.trial.FrozenTrial]:
    """A value a seed, so that replicates tell the noise; what diverged has the worst value so far."""
    seeds = observation.each or (observation.values,)
    return [tpe.trial_of(space, replace(observation, values=values), lowest) for values in seeds]


def _check(space: Space) -> None:
    for parameter in space.parameters:
        if parameter.when or parameter.only:
            problem = "not in every point, and gp needs that; take tpe, or a sweep for each branch"
            raise space.doc.bad(("space", parameter.name), problem)


SAMPLER = Sampler(
    name="gp",
    summary="rounds of points that a Gaussian process (Optuna's) makes from the results so far; needs helm-sweep[gp]",
    fits="10 to 100 dear trials, few hyperparameters that are all always there",
    because="ahead of tpe after 32 trials on two of three functions, see below; replicates tell it the noise",
    ask=ask,
    options={"rounds": tpe.SAMPLER.options["rounds"], "per_round": tpe.SAMPLER.options["per_round"], "seed": SEED},
    libraries=("greenlet", "numpy", "optuna", "scipy", "torch"),
    sizes=tpe.sizes,
    evidence=tpe.evidence,
    check=_check,
)
