"""More trials around or of the best points: a smaller space, replicates, and a race that drops who cannot win."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sweep.errors import BadInput
from sweep.ranking import stats
from sweep.ranking.noise import Noise, difference, mean
from sweep.records import same
from sweep.records.results import Objective, Row
from sweep.spaces.history import own
from sweep.spaces.samplers import sobol
from sweep.spaces.space import Line, Space, is_active

STEP = 2
"""Replicates that a step of a race adds to every contender."""


def choose(space: Space, rows: Sequence[Row], engine: str) -> stats.Choice:
    """The ranking by the (first) objective; raises BadInput where nothing has one."""
    first = space.objectives[0]
    choice = stats.choose(rows, Objective(first["metric"], first["direction"]), engine, space.budget)
    if not choice.points:
        raise BadInput(f"results.csv: no trial has a {first['metric']} yet; `make sweep` first")
    return choice


def around(space: Space, rows: Sequence[Row], engine: str, which: str, shrink: float, n: int) -> list[Line]:
    """n new points of the space shrunk around the best one, or around the trial with the id `which`.

    A sobol sequence over a share `shrink` of every range; what is neither a number nor ordered keeps its value.
    """
    row = _row(space, rows, engine, which)
    names = {parameter.name for parameter in space.parameters}
    point = {name: value for name, value in own(space, row).items() if name in names}
    names |= {computed.name for computed in space.computed}
    extra = {name: value for name, value in own(space, row).items() if name not in names}
    if space.fit(point) is None:
        raise BadInput(f"--around {which}: trial {row.id} is not a point of space.yaml; write an id of one that is")
    near, listed = _shrunk(space, point, shrink), _listed(rows)
    trials: Iterator[Line] = ({**near.line(new), **extra, **near.asked(near.line(new))} for new in sobol.ask(near))
    fresh = (trial for trial in trials if same.of_line(space.hyperparameters, trial) not in listed)
    return list(itertools.islice(fresh, n))


def _row(space: Space, rows: Sequence[Row], engine: str, which: str) -> Row:
    """The best row, or the one with the id `which`. Raises BadInput."""
    if which == "best":
        return choose(space, rows, engine).points[0].trial
    for row in rows:
        if row.id == which:
            return row
    raise BadInput(f"--around {which}: no such trial in results.csv; write `best` or an id that is there")


def _shrunk(space: Space, point: Line, shrink: float) -> Space:
    """The space around a point, over a share `shrink` of every range."""
    there = [parameter for parameter in space.parameters if parameter.name in point and is_active(parameter, point)]
    around = (parameter.around(point[parameter.name], shrink) for parameter in there)
    free = tuple(
        replace(parameter, when=(), only=()) for parameter in around
    )  # what they depend on may no longer be listed
    return replace(space, parameters=free, points=())


def top(space: Space, rows: Sequence[Row], engine: str, count: int, replicates: int) -> list[Line]:
    """The seeds 0 … replicates-1 of the best `count` points (of the longest budget), as far as they are not there."""
    best = choose(space, rows, engine).competitors[:count]
    return [trial for point in best for trial in _seeds(space, rows, point, replicates)]


def race(
    space: Space, rows: Sequence[Row], engine: str, step: int, count: int, most: int, steps: Sequence[Sequence[Line]]
) -> list[Line]:
    """Replicates of those still in the race, at least up to 1 + 2 step seeds each; [] once it is over.

    `steps` are the trials of the steps before. Where all have as many seeds already: the next that somebody lacks. It
    is over once fewer than two are left, or all have `most` seeds.
    """
    left, _ = contest(space, rows, engine, count, steps)
    if len(left) < 2:
        return []
    for seeds in (*range(1 + STEP * step, most, STEP), most):
        trials = [trial for point in left for trial in _seeds(space, rows, point, min(seeds, most))]
        if trials:
            return trials
    return []


def contest(
    space: Space, rows: Sequence[Row], engine: str, count: int, steps: Sequence[Sequence[Line]]
) -> tuple[list[stats.MeasuredPoint], list[stats.MeasuredPoint]]:
    """(still in, out) of a race of the best `count` points after `steps`, which are the trials that each step added.

    Run again from its start, on the results less those of the later steps: so it is known who is in, whoever had seeds.
    """
    fixed, racing, last = space.hyperparameters, None, choose(space, rows, engine)
    later = [{same.of_line(fixed, trial) for trial in step} for step in steps]
    for done in range(len(steps) + 1):
        hidden = set().union(*later[done:])
        seen = [row for row in rows if same.trial(row.hyperparameters, row.seed) not in hidden]
        choice = last if done == len(steps) else stats.choose(seen, last.objective, engine, space.budget)
        if not racing:
            contenders = list(choice.competitors[:count])
        else:
            contenders = [point for point in choice.competitors if same.settings(point.hyperparameters) in racing]
        left, out = judge(choice, contenders)
        racing = {same.settings(point.hyperparameters) for point in left}
    return left, out


def judge(
    choice: stats.Choice, racing: Sequence[stats.MeasuredPoint]
) -> tuple[list[stats.MeasuredPoint], list[stats.MeasuredPoint]]:
    """(still in, out) of `racing`, best first. Out is who diverged, or lags behind the first.

    That is: beyond the 95 % interval of their difference at the seeds that both have, by the noise between seeds; every
    test by itself, at 2.5 % one-sided. Who shares no seed with the first one cannot be judged, and stays.
    """
    noise = choice.paired or choice.noise
    if not noise or not racing:
        return list(racing), []
    leader = min(racing, key=lambda point: point.diverged > 0)
    left: list[stats.MeasuredPoint] = []
    out: list[stats.MeasuredPoint] = []
    for point in racing:
        worse = not leader.diverged and (point.diverged > 0 or _lags(choice.objective.sign, leader, point, noise))
        (out if worse and point is not leader else left).append(point)
    return left, out


def _lags(sign: int, leader: stats.MeasuredPoint, point: stats.MeasuredPoint, noise: Noise) -> bool:
    """Whether `point` is worse than the leader at the seeds that both have, beyond what noise explains."""
    common = [seed for seed in leader.values if seed in point.values]
    if not common:
        return False
    lead = mean(sign * difference(leader.values[seed], point.values[seed]) for seed in common)
    return lead > noise.half_width(len(common) / 2)


def _seeds(space: Space, rows: Sequence[Row], point: stats.MeasuredPoint, count: int) -> Iterator[Line]:
    """The point with those of the seeds 0 … count-1 that are not listed yet."""
    seen = _listed(rows)
    for seed in range(count):
        if same.trial(point.hyperparameters, seed) not in seen:
            trial = own(space, point.trial)
            yield {**trial, **space.asked(trial), **({"seed": seed} if seed else {})}


def _listed(rows: Sequence[Row]) -> set[str]:
    return {same.trial(row.hyperparameters, row.seed) for row in rows}
