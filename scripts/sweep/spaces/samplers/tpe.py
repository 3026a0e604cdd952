"""A round of TPE (Bergstra et al. 2011) by Optuna, asked and told in memory: a pure function of what has come out.

The study is made anew for every round, from all that is known: no database, and nothing that a kill could lose.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from sweep.spaces.domain import Choices, Parameter, Range
from sweep.spaces.history import Observation
from sweep.spaces.sampler import SEED, Option, Sampler
from sweep.spaces.samplers import random, sobol
from sweep.spaces.sampling import key
from sweep.spaces.space import Point, Space, is_active
from sweep.yamlfile import flow

if TYPE_CHECKING:
    import optuna

Maker = Callable[[Space, int], "optuna.samplers.BaseSampler"]
"""The sampler of a round."""
Teller = Callable[[Space, Observation, tuple[float, ...]], "list[optuna.trial.FrozenTrial]"]
"""What Optuna is told of a point, if the worst values so far are these."""
STARTUP = 10
"""Points of a Sobol sequence before TPE takes over, as many as Optuna draws at random."""
BISECTIONS = 20
"""Of the way from a forbidden suggestion to a known point, to find the first that is allowed."""


@dataclass(frozen=True)
class Recipe:
    """How one of Optuna's samplers is asked and told."""

    sampler: Maker
    trials: Teller
    tries: int = 50
    """Suggestions that are thrown away, because they are forbidden or known, before a point is drawn at random."""
    nearest: bool = False
    """Whether a forbidden suggestion is drawn to the nearest known point until it is allowed, and what is thrown away
    counts as running, so that the next suggestion is elsewhere."""


def ask(
    space: Space, observations: Sequence[Observation] = (), number: int = 1, _listed: Sequence[Point] = ()
) -> list[Point]:
    """The points of round `number` (from 1), fewer than `per_round` if the space has no more."""
    return asked(space, observations, number, Recipe(_sampler, _trials))


def asked(space: Space, observations: Sequence[Observation], number: int, recipe: Recipe) -> list[Point]:
    """The points of round `number` by one of Optuna's samplers, once a Sobol sequence has given it a start."""
    due = space.options["per_round"]
    seen = {key(observation.point) for observation in observations}
    fresh = list(space.points) if number == 1 else []
    seen |= {key(point) for point in fresh}
    known = any(observation.state in ("succeeded", "pruned") for observation in observations)
    first = min(due, max(0, STARTUP - len(observations))) if known else due
    fresh += itertools.islice(_new(sobol.ask(space), seen), first)
    if first < due:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `group` is called experimental
            study = _study(space, observations, fresh, recipe.sampler(space, number), recipe.trials)
        known_points = [*(observation.point for observation in observations), *fresh]
        fresh += itertools.islice(_suggest(space, study, seen, known_points, recipe), due - first)
    return fresh


def _new(points: Iterator[Point], seen: set[str]) -> Iterator[Point]:
    """Those not `seen`, which are then noted."""
    for point in points:
        if key(point) not in seen:
            seen.add(key(point))
            yield point


def _study(
    space: Space,
    observations: Sequence[Observation],
    asked: Sequence[Point],
    sampler: optuna.samplers.BaseSampler,
    trials: Teller,
) -> optuna.Study:
    """All that is known; those just `asked` and those before count as running (constant liar, where it is TPE)."""
    import optuna
    from optuna.study import StudyDirection

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        directions=[StudyDirection[objective["direction"].upper()] for objective in space.objectives],
        sampler=sampler,
    )
    lowest = worst(space, observations)
    study.add_trials([trial for observation in observations for trial in trials(space, observation, lowest)])
    study.add_trials([_running(space, point) for point in asked])
    return study


def _suggest(
    space: Space, study: optuna.Study, seen: set[str], known: Sequence[Point], recipe: Recipe
) -> Iterator[Point]:
    """Optuna's suggestions that are allowed and new."""
    from optuna.trial import TrialState

    spare = _new(random.ask(space), seen)
    while True:
        for _ in range(recipe.tries):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trial = study.ask()
                point = space.build(lambda parameter: _decoded(parameter, trial))  # noqa: B023
            if recipe.nearest and space.objection(point):
                point = _allowed(space, point, known)
                study.add_trial(_running(space, point))
            if key(point) not in seen and not space.objection(point):
                seen.add(key(point))
                yield point
                break
            if not recipe.nearest:
                study.tell(trial, state=TrialState.FAIL)
        else:
            point = next(spare, {})
            if not point:
                return
            study.add_trial(_running(space, point))
            yield point


def _allowed(space: Space, point: Point, known: Sequence[Point]) -> Point:
    """The first allowed point on the way from a forbidden one to the nearest of the points `known`, all allowed."""
    start, distributions = _encoded(space, point)
    goals = [_encoded(space, goal)[0] for goal in known]
    goal = min(goals, key=lambda params: sum(_apart(distributions[name], start[name], params[name]) for name in start))
    allowed, low, high = point, 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        params = {name: _between(distributions[name], start[name], goal[name], middle) for name in start}
        tried = _at(space, params)
        if space.objection(tried):
            low = middle
        else:
            allowed, high = tried, middle
    return _at(space, goal) if space.objection(allowed) else allowed


def _apart(distribution: Any, first: Any, second: Any) -> float:
    """Squared distance on the scale of the distribution, 0 to 1."""
    if not hasattr(distribution, "low"):
        return float(first != second)
    scale = math.log if distribution.log else float
    wide = scale(distribution.high) - scale(distribution.low)
    return float(((scale(first) - scale(second)) / wide) ** 2) if wide else 0.0


def _between(distribution: Any, first: Any, second: Any, share: float) -> Any:
    """`share` of the way from the first value to the second, on the scale of the distribution."""
    if not hasattr(distribution, "low"):
        return first if share < 0.5 else second
    if distribution.log:
        value = math.exp(math.log(first) + share * (math.log(second) - math.log(first)))
    else:
        value = first + share * (second - first)
    value = min(max(value, distribution.low), distribution.high)
    return round(value) if isinstance(distribution.low, int) else value


def _at(space: Space, params: dict[str, Any]) -> Point:
    """The point with these encoded values."""
    from optuna.trial import FixedTrial

    return space.build(lambda parameter: _decoded(parameter, FixedTrial(params)))


def seed_of(space: Space, number: int) -> int:
    """Of the sampler in round `number`."""
    digest = hashlib.sha256(f"{space.options['seed']}/{space.sampler}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _sampler(space: Space, number: int) -> optuna.samplers.TPESampler:
    from optuna.samplers import TPESampler

    conditional = any(parameter.when or parameter.only for parameter in space.parameters)
    return TPESampler(
        seed=seed_of(space, number),
        n_startup_trials=1,
        constant_liar=True,
        group=conditional,  # needed where a point lacks some hyperparameters
        multivariate=True if conditional else None,
    )


def worst(space: Space, observations: Sequence[Observation]) -> tuple[float, ...]:
    """The worst value of each objective so far, which stands for a divergence: finite, and so no outlier to TPE."""
    known = [observation.values for observation in observations if observation.state == "succeeded"]
    sides = [max if objective["direction"] == "minimize" else min for objective in space.objectives]
    return tuple(side(column) for side, column in zip(sides, zip(*known, strict=True), strict=True)) if known else ()


def _trials(space: Space, observation: Observation, lowest: tuple[float, ...]) -> list[optuna.trial.FrozenTrial]:
    return [trial_of(space, observation, lowest)]


def trial_of(space: Space, observation: Observation, lowest: tuple[float, ...]) -> optuna.trial.FrozenTrial:
    """What Optuna is told: failed as FAIL, diverged as complete with the worst value, pruned as PRUNED."""
    from optuna.trial import TrialState, create_trial

    params, distributions = _encoded(space, observation.point)
    if observation.state == "running":
        return _running(space, observation.point)
    values = {"succeeded": observation.values, "diverged": lowest}.get(observation.state, ())
    if values:
        return create_trial(values=list(values), params=params, distributions=distributions)
    if observation.state == "pruned" and len(observation.values) == 1:
        kept = {0: observation.values[0]}
        return create_trial(
            state=TrialState.PRUNED, params=params, distributions=distributions, intermediate_values=kept
        )
    return create_trial(state=TrialState.FAIL, params=params, distributions=distributions)


def _running(space: Space, point: Point) -> optuna.trial.FrozenTrial:
    from optuna.trial import TrialState, create_trial

    params, distributions = _encoded(space, point)
    return create_trial(state=TrialState.RUNNING, params=params, distributions=distributions)


def _encoded(space: Space, point: Point) -> tuple[dict[str, Any], dict[str, Any]]:
    """(params, distributions) of a point. Values of a list and of steps go by their index."""
    params: dict[str, Any] = {}
    distributions: dict[str, Any] = {}
    for parameter in space.parameters:
        if parameter.name in point and is_active(parameter, point):
            value = point[parameter.name]
            params[parameter.key] = parameter.learnt(value) if _is_continuous(parameter) else parameter.index(value)
            distributions[parameter.key] = _distribution(parameter)
    return params, distributions


def _is_continuous(parameter: Parameter) -> TypeGuard[Range]:
    return isinstance(parameter, Range) and (parameter.log or parameter.size is None)


def _distribution(parameter: Parameter) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Choices):
        size = parameter.size
        return IntDistribution(0, size - 1) if parameter.ordered else CategoricalDistribution(list(range(size)))
    if not _is_continuous(parameter):
        return IntDistribution(0, (parameter.size or 1) - 1)
    if _is_whole(parameter):
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    low, high = _bounds(parameter)
    return FloatDistribution(low, high, log=parameter.log)


def _is_whole(parameter: Range) -> bool:
    """Whether it takes every whole number, and so has an Optuna's distribution of its own."""
    return parameter.whole and parameter.step == 1 and not parameter.mirrored


def _bounds(parameter: Range) -> list[float]:
    return sorted(parameter.learnt(float(bound)) for bound in (parameter.low, parameter.high))


def _decoded(parameter: Parameter, trial: optuna.trial.BaseTrial) -> Any:
    """The value that Optuna suggests, as the domain spells it."""
    name, size = parameter.key, parameter.size or 1
    if isinstance(parameter, Choices) and not parameter.ordered:
        return parameter.value(trial.suggest_categorical(name, list(range(size))))
    if isinstance(parameter, Choices) or not _is_continuous(parameter):
        return parameter.value(trial.suggest_int(name, 0, size - 1))
    if _is_whole(parameter):
        return trial.suggest_int(name, int(parameter.low), int(parameter.high), log=parameter.log)
    return parameter.suggested(trial.suggest_float(name, *_bounds(parameter), log=parameter.log))


def sizes(space: Space) -> list[int]:
    """`per_round` points a round, and in the first the explicit ones as well."""
    rounds = [space.options["per_round"]] * space.options["rounds"]
    return [rounds[0] + len(space.points), *rounds[1:]]


def evidence(space: Space, observations: Sequence[Observation], _number: int, _listed: Sequence[Point]) -> list[str]:
    """How many points TPE was told, how they went, and the best so far."""
    states = [observation.state for observation in observations]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    lowest = worst(space, observations)
    note = f" (told as the worst value so far, {flow(list(lowest))})" if "diverged" in states and lowest else ""
    return [
        f"{space.sampler.upper()} was told {len(observations)} points: {counted}{note}",
        *_best(space, observations),
    ]


def _best(space: Space, observations: Sequence[Observation]) -> list[str]:
    sign = -1 if space.objectives[0]["direction"] == "maximize" else 1
    good = [observation for observation in observations if observation.state == "succeeded"]
    best = min(good, key=lambda observation: sign * observation.values[0], default=None)
    return [f"best so far: {flow(best.values[0])} at {flow(best.point)}"] if best else []


SAMPLER = Sampler(
    name="tpe",
    summary="rounds of points that Optuna's TPE makes from the results so far",
    fits="30 to some hundred trials, and time for rounds",
    because="spends them where it is good: see the curves below",
    ask=ask,
    options={
        "rounds": Option("how many rounds; raise it to go on.", 4, most=1000),
        "per_round": Option("points of a round, which run at the same time.", 8, most=10_000),
        "seed": SEED,
    },
    libraries=("numpy", "optuna", "scipy"),
    sizes=sizes,
    evidence=evidence,
)
