"""What a sweep says of its next round: what matters, where the good points lie, whether more of it finds but noise.

In sentences, and none where the data does not carry it: with few points, or where no replicates tell the noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.ranking.noise import Noise
from sweep.ranking.stats import Choice, MeasuredPoint
from sweep.records.strict import is_number
from sweep.words import counted, figure
from sweep.yamlfile import plain

LEAST_POINTS = 12
"""Of the longest budget; with fewer nothing is said."""
LEAST_FREEDOM = 4
"""Degrees of freedom of the noise without which nothing is said of what cannot be told apart."""
LEAST_GOOD = 5
"""Points that cannot be told from the best without which no narrower range is suggested."""
NARROWER = 0.7
"""A suggested range is at most this share of the one that was tried."""
LEAST_LATEST = 4
"""Points of a round by which the round is judged."""


@dataclass(frozen=True)
class Axis:
    """A range of numbers, as space.yaml has it."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class SearchSoFar:
    """What the search says beside its results; empty for a sweep without space.yaml."""

    axes: Mapping[str, Axis] = field(default_factory=dict)
    rounds: Mapping[str, int] = field(default_factory=dict)
    """The round of each trial, by its id; of a sampler that goes in rounds."""
    following: str = ""
    """What comes next by itself: `round 3 of 4`."""


def scales(search: SearchSoFar) -> dict[str, dict[str, bool]]:
    """How each range is drawn, for the axes of charts."""
    return {name: {"log": axis.log, "whole": axis.whole} for name, axis in search.axes.items()}


def sentences(choice: Choice, learnt: Mapping[str, Any] | None, search: SearchSoFar) -> list[str]:
    """`learnt` is figures.importance of the same choice."""
    if len(choice.competitors) < LEAST_POINTS:
        return []
    matter = _matter(learnt) if learnt else []
    lines = [_importance(learnt, matter)] if learnt else []
    if choice.noise and choice.noise.sd and choice.noise.df >= LEAST_FREEDOM:
        good = [point for point in choice.competitors if not is_worse(choice, choice.noise, point)]
        lines += _narrower(choice, good, [name for name, *_ in matter], search.axes)
        lines += _rest_is_noise(choice, choice.noise, search)
    return lines


def is_worse(choice: Choice, noise: Noise, point: MeasuredPoint, than: MeasuredPoint | None = None) -> bool:
    """Whether it lags behind another, the best at first, by more than the 95 % interval of their difference."""
    best = than or choice.points[0]
    if point.diverged:
        return True
    behind = choice.objective.sign * (best.adjusted - point.adjusted)
    return behind > noise.half_width(1 / (1 / best.n + 1 / point.n))


def _matter(learnt: Mapping[str, Any]) -> list[list[Any]]:
    """The shares whose 90 % interval is above 0."""
    return [share for share in learnt["shares"] if share[2] > 0]


def _importance(learnt: Mapping[str, Any], matter: Sequence[Sequence[Any]]) -> str:
    among = f"{learnt['points']} points"
    if learnt["explained"][1] <= 0 or not matter:
        return f"No hyperparameter explains the order of the {among} by more than chance would."
    named = [f"{name} {_percent(mean)} ({_percent(low)} to {_percent(high)})" for name, mean, low, high in matter[:4]]
    rest = [name for name, _, low, _ in learnt["shares"] if low <= 0]
    silent = f"; of {_listed(rest[:4])}{' and others' if rest[4:] else ''} nothing is seen" if rest else ""
    return f"What decides the order of the {among}, as shares with 90 % intervals: {_listed(named)}{silent}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def _narrower(
    choice: Choice, good: Sequence[MeasuredPoint], names: Sequence[str], axes: Mapping[str, Axis]
) -> Iterator[str]:
    """A range of what matters: the values that the good points have, out to the next ones that were tried."""
    if not LEAST_GOOD <= len(good) < len(choice.competitors):
        return
    parts = []
    for name in names:
        if name not in axes:
            continue
        tried, kept = _values(choice.competitors, name), _values(good, name)
        if not kept:
            continue
        below = max((value for value in tried if value < min(kept)), default=min(kept))
        above = min((value for value in tried if value > max(kept)), default=max(kept))
        scale = math.log if axes[name].log else float
        if scale(above) - scale(below) <= NARROWER * (scale(axes[name].high) - scale(axes[name].low)):
            was = f"{plain(axes[name].low)} to {plain(axes[name].high)}"
            parts.append(f"{name} {plain(_round(below, axes[name]))} to {plain(_round(above, axes[name]))} (of {was})")
    if parts:
        yield (
            f"{counted(len(good), 'point')} of {len(choice.competitors)} cannot be told from the best by their seeds; "
            f"a space that holds them and the next values that were tried: {', '.join(parts)}."
        )


def _values(points: Sequence[MeasuredPoint], name: str) -> list[float]:
    values = [point.hyperparameters.get(name) for point in points]
    return [float(value) for value in values if value is not None and is_number(value)]


def _round(value: float, axis: Axis) -> float | int:
    return int(value) if axis.whole else float(f"{value:.3g}")


def _rest_is_noise(choice: Choice, noise: Noise, search: SearchSoFar) -> Iterator[str]:
    """That the last round brought nothing that seeds would not, and was looking where nothing can be told apart."""
    number = max(search.rounds.values(), default=0)
    latest = [point for point in choice.competitors if _first_round(point, search.rounds) == number]
    before = [point for point in choice.competitors if 0 < _first_round(point, search.rounds) < number]
    if len(latest) < LEAST_LATEST or len(before) < LEAST_POINTS - LEAST_LATEST:
        return
    best = max(before, key=lambda point: choice.objective.sign * point.adjusted)
    gained = [point for point in latest if is_worse(choice, noise, best, than=point)]
    alike = [point for point in latest if not is_worse(choice, noise, point, than=best)]
    if not gained and 2 * len(alike) >= len(latest):
        width = figure(noise.half_width(1 / (1 / best.n + 1 / latest[0].n)))
        after = f" {search.following.capitalize()} would look there again." if search.following else ""
        yield (
            f"Stop here, the rest is noise: of the {counted(len(latest), 'point')} of round {number} none is better "
            f"than the best before it by more than their seeds are apart (± {width}), and {len(alike)} cannot be told "
            f"from it.{after} What is left to gain, more seeds for the best would show."
        )


def _first_round(point: MeasuredPoint, rounds: Mapping[str, int]) -> int:
    return min((rounds[row.id] for row in point.rows if row.id in rounds), default=0)
