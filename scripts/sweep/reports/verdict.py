"""What won, by how much, how sure, at what cost: the numbers of stats as words, the same in terminal and report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep import prices
from sweep.jobs import HELD_BACK
from sweep.prices import Money
from sweep.ranking.stats import Choice, MeasuredPoint, is_test_metric, test_metrics
from sweep.ranking.stopped import Stopped
from sweep.records.results import Row, counts
from sweep.words import MOST_PLACES, counted, figure, hours, number
from sweep.yamlfile import flow, plain

SETTLED = 0.95
"""Above this probability of being the best nothing more is asked for."""
RESOLUTION = 1e-15
"""Digits of a number beyond this share of it are none."""
TOO_MANY = 100
"""Seeds a point beyond which telling two points apart is not worth it."""


@dataclass(frozen=True)
class Spent:
    """What a sweep used, over all attempts of its trials."""

    trial_seconds: float
    gpu_seconds: float
    money: Money = field(default_factory=dict)
    """What the GPUs cost, as far as their price is known."""
    unpriced_gpu_seconds: float = 0.0

    def __str__(self) -> str:
        cost = f", {self.cost}" if self.money else ""
        return f"{hours(self.gpu_seconds)} GPU-hours, {hours(self.trial_seconds)} trial-hours{cost}"

    @property
    def cost(self) -> str:
        """In words; "" where nothing is known of it."""
        missing = f"; {hours(self.unpriced_gpu_seconds)} GPU-hours have no price" if self.unpriced_gpu_seconds else ""
        return prices.text(self.money) + missing if self.money else ""


def decimals(size: float) -> int:
    """Decimal places that show two significant digits of `size`, an interval's half width or a standard deviation."""
    return min(MOST_PLACES, max(0, 1 - math.floor(math.log10(size)))) if size > 0 else MOST_PLACES


def places(choice: Choice) -> int:
    """Decimal places of all values in a table: by the winner's interval, without one four digits of its mean."""
    if not choice.points or not choice.points[0].mean:
        return 4
    best = choice.points[0]
    return decimals(half_width(choice, best) or abs(best.mean) / 100)


def half_width(choice: Choice, point: MeasuredPoint) -> float | None:
    """Half of the 95 % interval of the point's mean; None where nothing is known of the noise, at its budget."""
    return choice.noise.half_width(point.n) if choice.noise and point.budget == choice.points[0].budget else None


def probability(choice: Choice, place: int) -> float | None:
    """Of being the best, of the point at `place`; None where nothing is known, or it does not compete."""
    if not choice.p_best or place >= len(choice.competitors):
        return None
    return choice.p_best[place] if place < len(choice.p_best) else 0.0


def is_adjusted(choice: Choice, points: Sequence[MeasuredPoint]) -> bool:
    """Whether some of the points are compared by another value than their mean, since their seeds differ."""
    shown = places(choice)
    return any(number(point.adjusted, shown) != number(point.mean, shown) for point in points)


def value(choice: Choice, point: MeasuredPoint) -> str:
    """`0.9421 ± 0.0012`, or the bare mean."""
    shown, half = places(choice), half_width(choice, point)
    is_known = half and half > RESOLUTION * abs(
        point.mean
    )  # the noise of other points says nothing of one that exploded
    return number(point.mean, shown) + (f" ± {number(half or 0.0, shown)}" if is_known else "")


def chance(probability: float) -> str:
    """A probability in words that claim no more than 10,000 draws can tell."""
    if probability >= 0.995:
        return "> 99 %"
    return "< 1 %" if probability < 0.005 else f"{probability:.0%}".replace("%", " %")


def varied(rows: Sequence[Row]) -> list[str]:
    """The hyperparameters that are not the same in all rows, sorted: the ones worth a column."""
    seen: dict[str, list[str]] = {}
    for row in rows:
        for name, given in row.hyperparameters.items():
            seen.setdefault(name, []).append(json.dumps(given))
    return sorted(name for name, given in seen.items() if len(set(given)) > 1 or len(given) < len(rows))


def sentences(choice: Choice, names: Sequence[str]) -> list[str]:
    """The honest summary, the most important first; `names` are the hyperparameters to name the winner by."""
    metric = plain(choice.objective.metric)
    if not choice.points:
        return [f"No trial has a {metric} yet, so there is nothing to choose from."]
    best = choice.points[0]
    where = ", ".join(f"{name} {plain(best.hyperparameters[name])}" for name in names if name in best.hyperparameters)
    seeds = f"mean of {best.n} seeds" if best.n > 1 else "one seed"
    interval = ", 95 % interval" if choice.noise else ""
    lines = [f"Best {metric}: {value(choice, best)} ({seeds}{interval}){where and f' at {where}'}."]
    lines += _how_sure(choice, best)
    if choice.budget:
        lines.append(_rung(choice))
    if is_adjusted(choice, choice.competitors):
        lines.append(
            "Points ran with different seeds: they are compared by their means less what a seed does to all alike."
        )
    if best.diverged:
        lines.append(f"It diverged with {best.diverged} of its seeds.")
    if is_test_metric(choice.objective.metric):
        lines.append(
            f"{metric} was measured on the test set and chose the winner, so it is no estimate of its quality."
        )
    else:
        for name, measured in test_metrics(best).items():
            lines.append(
                f"{plain(name)} of the winner, which took no part in the choice: {number(measured, places(choice))} "
                f"({'mean of ' if best.n > 1 else ''}{best.n} seed{'s' if best.n > 1 else ''})."
            )
    return lines


def _how_sure(choice: Choice, best: MeasuredPoint) -> list[str]:
    count = len(choice.competitors)
    if count == 1:
        return [f"It is the only point with a value{_longest(choice, ' at ')}, so there was no choice."]
    gap = choice.gap or 0.0
    if not choice.noise:
        return [
            f"Every point ran with one seed, so nothing here tells how much of its lead of {figure(gap)} is luck; "
            "run replicates before you believe it.",
            f"It was picked as the best of {count}, which by itself makes it look better than it is (winner's curse).",
        ]
    noise = choice.noise
    if not choice.p_best:
        return [f"Seeds made no difference at all; it leads by {figure(gap)}."]
    shown = decimals(noise.sd)
    lead = f"leads the second by {number(gap, shown)}" if gap >= 0 else "has more seeds than the second"
    lines = [
        f"It is the best of the {count} points with a probability of {chance(choice.p_best[0])}; it {lead}, "
        f"where seeds alone spread by {number(noise.sd, shown)} (standard deviation, {noise.df} degrees of freedom).",
        f"As the winner of {count} it was lucky too (winner's curse): "
        f"expect about {number(choice.expected or 0.0, places(choice))} with fresh seeds.",
    ]
    if best.n == 1:
        lines.insert(
            1, "The winner itself ran with one seed; its interval is borrowed from replicates of other points."
        )
    if choice.p_best[0] >= SETTLED:
        return lines
    if choice.more is None or choice.more > TOO_MANY:
        return [
            *lines,
            f"To tell the best two apart, each would need more than {TOO_MANY} seeds: take the cheaper one.",
        ]
    if not choice.more:
        return [*lines, "The best two can be told apart; the doubt that is left comes from the points behind them."]
    seeds = f"{choice.more} more seed{'s' if choice.more > 1 else ''}"
    return [*lines, f"If that lead is real, {seeds} for each of the best two points would show it (power 0.8)."]


def on_stops(stopped: Stopped | None) -> list[str]:
    """What a stop rule did, and how often it was wrong as far as a check tells; [] where there was none."""
    if not stopped:
        return []
    lines = [f"The stop rule ended {stopped.stopped} of {counted(stopped.trials, 'trial')} early."]
    if not stopped.checked:
        return [
            *lines,
            "Nothing tells how often it was wrong: `audit: 0.1` in `stop` leaves a tenth to run as a check.",
        ]
    were = "was" if stopped.wrong == 1 else "were"
    return [
        *lines,
        f"Of {stopped.checked} that it would have ended and that ran on as a check, {stopped.wrong or 'none'} {were} "
        f"among the best {stopped.top}: at most {100 * stopped.most:.0f} % of such stops are wrong (95 %).",
    ]


def _rung(choice: Choice) -> str:
    """Whom the winner was compared with, of a sweep whose trials differ in their budget."""
    reached, count = len(choice.competitors), len(choice.points)
    if reached == count:
        return f"All {count} configurations were compared after the longest training{_longest(choice, ', ')}."
    return (
        f"{counted(reached, 'configuration')} of {count} had the longest training{_longest(choice, ', ')}, and only "
        "these were compared; the others follow, the longer trained first."
    )


def _longest(choice: Choice, before: str) -> str:
    """`stop_epoch 9` after the text `before`; "" where no trial differs in its budget, or the longest sets none."""
    given = choice.points[0].hyperparameters.get(choice.budget)
    return "" if given is None else f"{before}{plain(choice.budget)} {plain(given)}"


def _more_to_settle(choice: Choice) -> int:
    """Seeds for each of the best two points that would settle it; 0 where none are needed, or too many."""
    if not choice.more or choice.more > TOO_MANY or (choice.p_best and choice.p_best[0] >= SETTLED):
        return 0
    return choice.more


def settle_command(choice: Choice, sweep: str) -> str:
    """What to paste for the seeds that `sentences` ask for, of a sweep with a space.yaml; "" if they ask for none."""
    if len(choice.competitors) > 1 and not choice.noise:
        top, seeds = min(5, len(choice.competitors)), 3
    elif more := _more_to_settle(choice):
        top, seeds = 2, max(max(point.values) for point in choice.points[:2]) + 1 + more
    else:
        return ""
    return f'make expand SWEEP={sweep} ARGS="--replicate-top {top} --replicates {seeds}"'


def replicate_lines(choice: Choice) -> list[str]:
    """Lines for `trials:` in values.yaml that give the best two points the seeds `more` asks for; [] for none."""
    return [
        f"  - {flow_trial(point.hyperparameters, max(point.values) + further)}"
        for point in choice.points[:2]
        for further in range(1, _more_to_settle(choice) + 1)
    ]


def flow_trial(hyperparameters: Mapping[str, Any], seed: int) -> str:
    """A trial as one line of values.yaml."""
    return flow({**hyperparameters, **({"seed": seed} if seed else {})})


def status_line(rows: Sequence[Row]) -> str:
    """`16 trials: 14 succeeded, 2 failed`, and why no other is started, where a limit of the sweep is reached."""
    listed = ", ".join(f"{count} {status}" for status, count in counts(rows).items())
    held = next((f"; {row.reason}" for row in rows if row.reason.startswith(f"{HELD_BACK}: ")), "")
    return f"{len(rows)} trial{'' if len(rows) == 1 else 's'}: {listed}{held}"
