"""More trials around or of the best points: a smaller space, replicates, and a race that drops who cannot win."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sweep.errors import BadInput
from sweep.records import same
from sweep.records.results import Objective, Row
from sweep.reports import stats
from sweep.spaces import samplers
from sweep.spaces.history import own
from sweep.spaces.space import Space

STEP = 2
"""Replicates that a step of a race adds to every contender."""
Trial = dict[str, Any]


def choose(space: Space, rows: Sequence[Row], engine: str) -> stats.Choice:
    """The ranking by the (first) objective; raises BadInput where nothing has one."""
    first = space.objectives[0]
    choice = stats.choose(rows, Objective(first["metric"], first["direction"]), engine)
    if not choice.points:
        raise BadInput(f"results.csv: no trial has a {first['metric']} yet; `make sweep` first")
    return choice


def around(space: Space, rows: Sequence[Row], engine: str, which: str, shrink: float, n: int) -> list[Trial]:
    """n new points of the space shrunk around the best one, or around the trial with the id `which`.

    A sobol sequence over a share `shrink` of every range; what is neither a number nor ordered keeps its value.
    """
    if which == "best":
        row = choose(space, rows, engine).points[0].trial
    else:
        found = [row for row in rows if row.id == which]
        if not found:
            raise BadInput(f"--around {which}: no such trial in results.csv; write `best` or an id that is there")
        row = found[0]
    given = own(space, row)
    extra = {name: value for name, value in given.items() if name not in {one.name for one in space.parameters}}
    point = {name: value for name, value in given.items() if name not in extra}
    if space.fit(point) is None:
        raise BadInput(f"--around {which}: trial {row.id} is no point of space.yaml; write an id of one that is")
    parameters = tuple(one.around(point[one.name], shrink) for one in space.parameters if one.name in point)
    free = tuple(replace(one, when=()) for one in parameters)  # the values they depend on may no longer be listed
    near = replace(space, parameters=free, points=(), sampler=replace(space.sampler, name="sobol", n=n))
    seen = _listed(rows)
    fixed = space.hyperparameters
    fresh = (trial for made in samplers.sobol(near) if same.of_line(fixed, trial := {**made, **extra}) not in seen)
    return list(itertools.islice(fresh, n))


def top(space: Space, rows: Sequence[Row], engine: str, count: int, replicates: int) -> list[Trial]:
    """The seeds 0 … replicates-1 of the best `count` points, as far as they are not there yet."""
    best = choose(space, rows, engine).points[:count]
    return [trial for point in best for trial in _seeds(space, rows, point, replicates)]


def race(
    space: Space, rows: Sequence[Row], engine: str, step: int, count: int, most: int, before: Sequence[Trial]
) -> list[Trial]:
    """Replicates of those still in the race, up to 1 + 2 step seeds each; [] once it is over.

    `before` are the trials of the previous step. Over: one is left, or all have `most` seeds.
    """
    choice = choose(space, rows, engine)
    left, _ = judge(choice, contenders(space, choice, step, count, before))
    if step > 1 and len(left) < 2:
        return []
    return [trial for point in left for trial in _seeds(space, rows, point, min(most, 1 + STEP * step))]


def contenders(space: Space, choice: stats.Choice, step: int, count: int, before: Sequence[Trial]) -> list[stats.Point]:
    """Who is in the race at the start of a step: the best `count`, later those that had trials in the previous step."""
    if step == 1:
        return list(choice.points[:count])
    racing = {same.of_line(space.hyperparameters, _without_seed(trial)) for trial in before}
    return [point for point in choice.points if same.trial(point.hyperparameters, 0) in racing]


def judge(choice: stats.Choice, racing: Sequence[stats.Point]) -> tuple[list[stats.Point], list[stats.Point]]:
    """(still in, out). Out is who diverged, or whose mean is worse than the leader's beyond the 95 % interval of the

    difference, by the noise between seeds (paired where all share theirs); every test by itself, at 2.5 % one-sided.
    """
    noise = choice.paired or choice.noise
    if not noise or not racing:
        return list(racing), []
    sign = choice.objective.sign
    leader = max(racing, key=lambda point: (point.diverged == 0, sign * point.mean))
    left: list[stats.Point] = []
    out: list[stats.Point] = []
    for point in racing:
        gap = sign * (leader.mean - point.mean)
        limit = noise.half_width(1 / (1 / leader.n + 1 / point.n))
        (out if point is not leader and (point.diverged or gap > limit) else left).append(point)
    return left, out


def _seeds(space: Space, rows: Sequence[Row], point: stats.Point, count: int) -> Iterator[Trial]:
    """The point with those of the seeds 0 … count-1 that are not listed yet."""
    seen = _listed(rows)
    for seed in range(count):
        if same.trial(point.hyperparameters, seed) not in seen:
            yield {**own(space, point.trial), **({"seed": seed} if seed else {})}


def _listed(rows: Sequence[Row]) -> set[str]:
    return {same.trial(row.hyperparameters, row.seed) for row in rows}


def _without_seed(trial: Trial) -> Trial:
    return {name: value for name, value in trial.items() if name != "seed"}
