"""Which point is best, and how sure is that: replicates pooled, intervals, the probability of being the best.

A point is everything that a trial's identity says but the seed. All formulas, with their sources and what they assume,
are in docs/results.md; a test holds the stated probabilities against simulated sweeps whose truth is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import NormalDist
from typing import Any

from sweep.ranking import noise, posterior
from sweep.ranking.noise import CONFIDENCE, Layout, Noise
from sweep.records import same
from sweep.records.results import Objective, Row
from sweep.records.strict import is_number
from sweep.words import size

POWER = 0.8
LEAST_CONTENDERS, CONTENDERS, MOST_CONTENDERS = 6, 0.25, 400
"""The best quarter of the points, at least six, may be the best; the rest is left out of that question."""
LEAST_QUIET, QUIET = 8, 0.5
"""Noise is measured among the better half: bad points (a learning rate on the brink) are often noisier."""
EXPLODED = 1e30
"""A point is out of reach that trails the best by so many times what the one before it does: its training exploded."""
MOST_RATIO = 1e6
"""Of noise to a gap: no number of seeds that anyone has would tell such a gap."""
TO_THE_END = math.inf
"""The budget of a trial that sets none."""


@dataclass(frozen=True)
class MeasuredPoint:
    """A point and its replicates that have an objective, by seed."""

    hyperparameters: dict[str, Any]
    rows: tuple[Row, ...]
    values: dict[int, float]
    diverged: int = 0
    """Seeds at which it diverged, at this budget or a larger one: such a point is ranked behind all that never did."""
    budget: float = TO_THE_END
    """For how long it was trained, of a sweep that names a budget."""
    outgrown: bool = False
    """Whether the same configuration was trained for longer, too, and has a value there."""
    adjusted: float = 0.0
    """The mean less what its seeds do to all points alike: what points with unequal seeds are compared by."""

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return noise.mean(self.values.values())

    @property
    def trial(self) -> Row:
        """The trial that stands for the point: the one with the lowest seed, so that luck does not choose it."""
        return self.rows[0]


@dataclass(frozen=True)
class Choice:
    """The ranking, best first, and what can be said about its top. What is unknown without replicates is None."""

    objective: Objective
    points: tuple[MeasuredPoint, ...]
    """Each configuration once, at its longest budget; a longer budget stands above a shorter one."""
    noise: Noise | None = None
    """Of a point's seeds: what intervals are made of."""
    paired: Noise | None = None
    """Of differences between points, once what a seed does to all points alike is taken out."""
    p_best: tuple[float, ...] = ()
    """Probability of being the best, for the first len(p_best) points."""
    expected: float | None = None
    """What the winner should give with fresh seeds: its mean less the luck that made it win."""
    more: int | None = None
    """Further seeds each that the best two points need to be told apart."""
    places: tuple[int, ...] = ()
    """The rank of each point, from 1; equals share theirs."""
    outgrown: tuple[MeasuredPoint, ...] = ()
    """Configurations of `points` at shorter budgets: history, which competes with nobody."""
    budget: str = ""
    """The hyperparameter that says how long a trial trains, where the trials differ in it."""

    @property
    def competitors(self) -> tuple[MeasuredPoint, ...]:
        """Those that were trained for the longest budget, the first of `points`: only they are compared."""
        return tuple(point for point in self.points if point.budget == self.points[0].budget)

    @property
    def gap(self) -> float | None:
        """By how much the winner leads, seeds taken out; negative where the second leads with fewer seeds."""
        if len(self.competitors) < 2:
            return None
        first, second = self.points[:2]
        return self.objective.sign * noise.difference(first.adjusted, second.adjusted)


def points(rows: Iterable[Row], objective: Objective, engine: str, budget: str = "") -> list[MeasuredPoint]:
    """Pool the replicates of one engine's rows, best point first; points without a value of the objective are left out.

    Only succeeded trials count: a pruned one has its objective from an earlier epoch. With a `budget`, the name of a
    hyperparameter, points come by rungs, the longest budget first.
    """
    pooled: dict[tuple[str, ...], dict[float, list[Row]]] = {}
    for row in rows:
        if row.engine == engine and row.status in ("succeeded", "diverged"):
            rungs = pooled.setdefault(same.configuration(row, budget), {})
            rungs.setdefault(_budget(row, budget), []).append(row)
    listed = [point for rungs in pooled.values() for point in _at_every_budget(rungs, objective)]
    listed.sort(key=lambda point: -point.budget)
    return [point for _, rung in groupby(listed, lambda point: point.budget) for point in _ranked([*rung], objective)]


def _budget(row: Row, name: str) -> float:
    value: Any = row.hyperparameters.get(name) if name else None
    return float(value) if is_number(value) else TO_THE_END


def _at_every_budget(rungs: Mapping[float, Sequence[Row]], objective: Objective) -> Iterator[MeasuredPoint]:
    """One configuration at each of its budgets, the longest first; what diverged later counts against it before."""
    diverged, outgrown = 0, False
    for budget in sorted(rungs, reverse=True):
        good = sorted(
            (row for row in rungs[budget] if row.status == "succeeded" and objective.metric in row.metrics),
            key=lambda row: (row.seed, row.id),
        )
        diverged += sum(row.status == "diverged" for row in rungs[budget])
        if good:
            values = {row.seed: float(row.metrics[objective.metric]) for row in good}
            yield MeasuredPoint(good[0].hyperparameters, tuple(good), values, diverged, budget, outgrown)
            outgrown, diverged = True, 0


def _ranked(rung: Sequence[MeasuredPoint], objective: Objective) -> list[MeasuredPoint]:
    """Points of one budget, best first, by their means; where seeds differ, less what a seed does to all alike.

    What seeds do is measured among all points first, and then among the better half of the order which that gives.
    """
    ranked = _in_order(rung, Layout(), objective)
    if noise.unequal([point.values for point in rung]):
        ranked = _in_order(ranked, _layout(ranked), objective)
        quiet = _layout(_quiet(ranked))
        ranked = _in_order(ranked, quiet, objective) if quiet.noise else ranked
    return ranked


def _layout(chosen: Sequence[MeasuredPoint]) -> Layout:
    return noise.layout([point.values for point in chosen])


def _in_order(rung: Sequence[MeasuredPoint], fitted: Layout, objective: Objective) -> list[MeasuredPoint]:
    compared = [replace(point, adjusted=fitted.adjusted(point.values)) for point in rung]
    return sorted(compared, key=lambda point: (point.diverged > 0, -objective.sign * point.adjusted, *_modesty(point)))


def _modesty(point: MeasuredPoint) -> tuple[Any, ...]:
    """What decides between equals: less time in training, then smaller hyperparameters, in the order of their names."""
    known = [row.train_s for row in point.rows if row.train_s is not None]
    seconds = noise.mean(known) if known else math.inf
    given = [(name, *size(value)) for name, value in sorted(point.hyperparameters.items())]
    return seconds, given, point.trial.code, point.trial.image, point.trial.data


def choose(rows: Iterable[Row], objective: Objective, engine: str, budget: str = "") -> Choice:
    """Rank the points, and say how sure the winner is as far as replicates allow.

    Of a sweep with a `budget` only configurations at the longest one compete; the others stand behind, rung by rung.
    """
    listed = points(rows, objective, engine, budget)
    standing = tuple(point for point in listed if not point.outgrown)
    outgrown = tuple(point for point in listed if point.outgrown)
    varied = budget if len({point.budget for point in listed}) > 1 else ""
    choice = Choice(objective, standing, outgrown=outgrown, budget=varied)
    choice = replace(choice, noise=noise_within(choice.competitors))
    if not choice.noise or len(choice.competitors) < 2 or not choice.noise.sd:
        return replace(choice, places=_places(standing, {}))
    return _with_odds(choice, choice.noise)


def _with_odds(choice: Choice, measured: Noise) -> Choice:
    """The choice with how probable it is, and its first points in the order of what each should give again."""
    sign, quiet = choice.objective.sign, _quiet(choice.competitors)
    among = quiet if any(point.n > 1 for point in quiet) else choice.competitors
    fitted = noise.layout(_signed(quiet, sign))
    paired = fitted.noise if fitted.noise and fitted.noise.sd else measured
    contenders = _contenders(choice.competitors)
    p_best, each = posterior.simulate(_signed(contenders, sign), _signed(among, sign), fitted)
    expected = _shared(contenders, each)
    # A mean of one lucky seed does not stand above one of five.
    order = sorted(range(len(contenders)), key=lambda place: -expected[place])
    first, second, *others = [*(contenders[place] for place in order), *choice.points[len(contenders) :]]
    choice = replace(choice, points=(first, second, *others))
    needed = replicates_needed(abs(choice.gap or 0.0), paired.sd)
    return replace(
        choice,
        paired=paired,
        p_best=tuple(float(p_best[place]) for place in order),
        expected=sign * expected[order[0]],
        more=None if needed is None else max(0, needed - min(first.n, second.n)),
        places=_places(choice.points, {id(contenders[place]): expected[place] for place in order}),
    )


def _signed(chosen: Sequence[MeasuredPoint], sign: int) -> list[dict[int, float]]:
    """Their values, so that more is better."""
    return [{seed: sign * value for seed, value in point.values.items()} for point in chosen]


def _shared(chosen: Sequence[MeasuredPoint], expected: Sequence[float]) -> list[float]:
    """What each should give again, the same for those with equal means of as many seeds: they are equals."""
    merits = [(point.adjusted, point.n) for point in chosen]
    groups: dict[tuple[float, int], list[float]] = {}
    for merit, value in zip(merits, expected, strict=True):
        groups.setdefault(merit, []).append(value)
    return [noise.mean(groups[merit]) for merit in merits]


def _contenders(rung: Sequence[MeasuredPoint]) -> Sequence[MeasuredPoint]:
    """Those of the points, best first, that may be the best."""
    steady = [point for point in rung if not point.diverged] or rung
    count = max(LEAST_CONTENDERS, math.ceil(CONTENDERS * len(steady)))
    return _within_reach(steady[: min(count, MOST_CONTENDERS)])


def _places(standing: Sequence[MeasuredPoint], expected: Mapping[int, float]) -> tuple[int, ...]:
    """Ranks from 1; a point shares that of the one before if nothing but time or looks tells them apart."""
    merits = [(point.budget, point.diverged > 0, expected.get(id(point)), point.adjusted) for point in standing]
    places = [1][: len(merits)]
    for place, (before, merit) in enumerate(pairwise(merits), 2):
        equal = before[:3] == merit[:3] and (merit[2] is not None or before[3] == merit[3])
        places.append(places[-1] if equal else place)
    return tuple(places)


def _quiet(ranked: Sequence[MeasuredPoint]) -> Sequence[MeasuredPoint]:
    return _within_reach(ranked[: max(LEAST_QUIET, math.ceil(QUIET * len(ranked)))])


def _within_reach(ranked: Sequence[MeasuredPoint]) -> Sequence[MeasuredPoint]:
    """The points down to one whose training exploded, though to a finite value: it would drown all the others."""
    before = 0.0
    for place, point in enumerate(ranked):
        behind = abs(noise.difference(point.adjusted, ranked[0].adjusted))
        if before and behind / before > EXPLODED:
            return ranked[:place]
        before = max(before, behind)
    return ranked


def noise_within(ranked: Sequence[MeasuredPoint]) -> Noise | None:
    """Pooled over the better half, or over all points where that has no replicates; None without any."""
    better, everyone = ([point.values for point in chosen] for chosen in (_quiet(ranked), ranked))
    return noise.pooled(better) or noise.pooled(everyone)


def replicates_needed(gap: float, sd: float, power: float = POWER) -> int | None:
    """Seeds per point that tell two means `gap` apart: 2 (z(0.975) + z(power))^2 (sd / gap)^2.

    At a power of 0.8 that is 15.7 (sd / gap)^2, the usual size by the normal approximation (Lehr 1992). None for a
    gap of 0, or next to none, which no number tells.
    """
    if gap <= 0 or sd / gap > MOST_RATIO:
        return None
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) + NormalDist().inv_cdf(power)
    return max(2, math.ceil(2 * (z * (sd / gap)) ** 2))


def is_test_metric(name: str) -> bool:
    """Was it measured on the test set, going by its name?"""
    return name.lower().replace("/", "_").replace(".", "_").split("_")[0] == "test"


def test_metrics(point: MeasuredPoint) -> dict[str, float]:
    """Mean of each test metric over the point's seeds."""
    names = sorted({name for row in point.rows for name in row.metrics if is_test_metric(name)})
    return {name: noise.mean(row.metrics[name] for row in point.rows if name in row.metrics) for name in names}
