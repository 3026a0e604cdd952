"""What a sweep says of its next round: nothing that its noise does not carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sweep.ranking import stats
from sweep.ranking.stats import Choice
from sweep.records.results import Objective
from sweep.reports import figures, outlook
from sweep.reports.outlook import Axis, SearchSoFar
from tests.unit.stores import row

AXES = {"lr": Axis(0.0001, 1.0, log=True), "width": Axis(8, 512, whole=True)}
NAMES = ["lr", "width"]


def chosen(
    score: Callable[[dict[str, Any]], float], points: int = 40, seeds: int = 3, sd: float = 0.01, seed: int = 0
) -> tuple[Choice, SearchSoFar]:
    """Made-up results, the last quarter of them as a second round."""
    draw = np.random.default_rng(seed)
    rows, rounds = [], {}
    for number in range(points):
        given = {"lr": float(f"{10 ** draw.uniform(-4, 0):.6g}"), "width": int(draw.integers(8, 513))}
        for of_trial in range(seeds):
            value = score(given) + sd * float(draw.standard_normal())
            rows.append(row(given, of_trial, value=value))
            rounds[rows[-1].id] = 1 + (number >= 0.75 * points)
    return stats.choose(rows, Objective("val_accuracy", "maximize"), "local"), SearchSoFar(AXES, rounds, "round 3 of 4")


def lines(choice: Choice, search: SearchSoFar) -> list[str]:
    return outlook.sentences(choice, figures.importance(choice, NAMES), search)


def peak(given: dict[str, Any]) -> float:
    """Best at lr 0.01; width does nothing."""
    return -0.1 * (float(np.log10(given["lr"])) + 2) ** 2


def test_what_matters_is_named_with_its_interval_and_what_does_not_is_not() -> None:
    first = lines(*chosen(peak))[0]
    assert first.startswith("What decides the order of the 40 points, as shares with 90 % intervals: lr ")
    assert first.endswith("; of width nothing is seen.")


def test_a_narrower_range_holds_the_best_and_is_on_the_hyperparameter_that_matters() -> None:
    _, narrower, *_ = lines(*chosen(peak))
    assert "cannot be told from the best by their seeds" in narrower
    assert "width" not in narrower
    low, high = (float(word) for word in narrower.rpartition(": lr ")[2].partition(" (of")[0].split(" to "))
    assert 0.0001 < low < 0.01 < high < 1
    assert "(of 0.0001 to 1.0)" in narrower


def test_where_nothing_but_seeds_differ_it_says_so_and_to_stop() -> None:
    choice, search = chosen(lambda _: 0.5)
    spoken = lines(choice, search)
    assert spoken[0] == "No hyperparameter explains the order of the 40 points by more than chance would."
    assert spoken[-1].startswith("Stop here, the rest is noise: of the 10 points of round 2 none is better than")
    assert "Round 3 of 4 would look there again." in spoken[-1]
    assert len(spoken) == 2, "nothing matters, so nothing narrower is suggested"


def test_a_round_that_gains_or_that_looks_far_away_is_no_reason_to_stop() -> None:
    choice, search = chosen(peak)
    gains = {id: 2 if id in {trial.id for trial in choice.points[0].rows} else 1 for id in search.rounds}
    best = {trial.id for point in choice.points[:5] for trial in point.rows}
    worst = {trial.id: 2 for point in choice.points[-6:] for trial in point.rows}
    for rounds in (
        {**gains, **worst},  # the best is in the last round
        {id: 1 if id in best else 2 for id in gains},  # the last round is worse all over
        {},
    ):
        assert not [line for line in lines(choice, replace(search, rounds=rounds)) if line.startswith("Stop")]


@pytest.mark.parametrize(("points", "seeds"), [(11, 3), (40, 1)])
def test_with_few_points_or_without_replicates_it_claims_nothing_of_the_noise(points: int, seeds: int) -> None:
    spoken = lines(*chosen(lambda _: 0.5, points, seeds))
    assert not [line for line in spoken if "Stop" in line or "cannot be told" in line]
    assert points >= outlook.LEAST_POINTS or spoken == []


def test_it_seldom_says_stop_while_there_is_something_to_gain() -> None:
    """Rounds that improve by three times the noise of a mean, over many sweeps."""
    wrong = 0
    for seed in range(40):
        choice, search = chosen(peak, seed=seed, sd=0.02)
        ordered = sorted(choice.points, key=lambda point: point.mean)
        last = {trial.id for point in ordered[-10:] for trial in point.rows}
        rounds = {id: 2 if id in last else 1 for id in search.rounds}
        gain = peak(ordered[-1].hyperparameters) - peak(ordered[-11].hyperparameters)
        spoken = outlook.sentences(choice, None, SearchSoFar(AXES, rounds))
        wrong += gain > 3 * 0.02 and any(line.startswith("Stop") for line in spoken)
    assert wrong <= 2
