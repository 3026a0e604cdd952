"""The leaderboard in the terminal, and the words about the winner."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from sweep import words
from sweep.ranking import stats
from sweep.records.results import Objective, Row
from sweep.reports import leaderboard, verdict
from sweep.words import number
from tests.unit.stores import row

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "markup": "[red]x[/red]",
    "escape": "\x1b[2J\x9b31m",
    "long": "x" * 300,
    "wide": "模型" * 20,
    "emoji": "😀",
    "line": "a\nb\u2028c",
    "quotes": "\"'`",
}
SPENT = verdict.Spent(3600.0, 7200.0)


def shown(rows: list[Row], metric: str = "val_accuracy", **options: Any) -> str:
    choice = stats.choose(rows, Objective(metric, "maximize"), "local")
    return leaderboard.text(choice, rows, SPENT, **options)


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("seeds", [1, 3])
def test_no_line_is_wider_than_asked_for(width: int, seeds: int) -> None:
    hyperparameters: list[dict[str, Any]] = [dict.fromkeys(HOSTILE, n) for n in range(4)]
    hyperparameters += [HOSTILE | {"lr": n / 7} | {"x" * 63: n} for n in range(4)]
    rows = [
        row(values, seed, 0.9 + n / 100 + seed / 1000)
        for n, values in enumerate(hyperparameters)
        for seed in range(seeds)
    ]
    text = shown(rows, width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert all(char.isprintable() or char == "\n" for char in text)
    ids = [line for line in text.splitlines() if any(entry.id in line for entry in rows)]
    assert len(ids) == 8, "a column that fits is whole, one that does not is left out and named"
    assert "(no room for " in text


def test_values_are_shown_as_in_values_yaml_and_never_act() -> None:
    text = shown(
        [row({"name": "[red]x[/red]"}), row({"name": "\x1b[2J"}, value=0.1), row({"name": True}, value=0.0)], width=120
    )
    assert '"[red]x[/red]"' in text.splitlines()[1]
    assert '"\\u001b[2J"' in text
    assert "true" in text


def test_ranking_and_rest() -> None:
    text = shown(
        [row({"lr": n}, value=n / 100) for n in range(12)] + [row({"lr": 99}, value=None, status="failed")], top=3
    )
    lines = text.splitlines()
    assert lines[0].split() == ["#", "val_accuracy", "trial", "lr"]
    assert [line.split()[:2] for line in lines[1:4]] == [["1", "0.1100"], ["2", "0.1000"], ["3", "0.0900"]]
    assert lines[4] == "(9 more)"
    assert "13 trials: 12 succeeded, 1 failed. Spent: 2.00 GPU-hours, 1.00 trial-hours." in text


def test_equals_share_a_rank_and_rungs_follow_each_other() -> None:
    rows = [row({"lr": n, "epochs": 9}, value=0.5 - (n > 2)) for n in (1, 2, 3)]
    rows += [row({"lr": n, "epochs": 1}, value=0.9) for n in (1, 2, 3, 4)]
    choice = stats.choose(rows, Objective("val_accuracy", "maximize"), "local", "epochs")
    text = leaderboard.text(choice, rows, SPENT, width=120)
    lines = [line.split() for line in text.splitlines()]
    assert [line[0] for line in lines[1:5]] == ["1", "1", "3", "4"]
    assert [line[-2:] for line in lines[1:5]] == [["9", "1"], ["9", "2"], ["9", "3"], ["1", "4"]]
    assert "3 configurations of 4 had the longest training, epochs 9" in text


def test_where_seeds_differ_the_value_that_ranks_is_shown() -> None:
    rows = [row({"lr": n}, s, n / 99 + (s + n) % 3 / 999 + (s == 0)) for n in range(4) for s in range(3)]
    text = shown([*rows, row({"lr": 9}, 0, 0.99)])
    lines = [line.split() for line in text.splitlines()]
    assert "adjusted" in lines[0]
    assert lines[5][1].startswith("0.99")
    assert "Points ran with different seeds: they are compared by their means less what a seed does to all" in " ".join(
        text.split()
    )
    assert "adjusted" not in shown(rows)


def test_with_one_seed_it_says_so_plainly_and_names_the_winners_curse() -> None:
    text = " ".join(shown([row({"lr": n}, value=0.9 + n / 1000) for n in range(8)]).split())
    assert "Every point ran with one seed, so nothing here tells how much of its lead of 0.001 is luck" in text
    assert "winner's curse" in text
    assert "±" not in text
    assert "best?" not in text


def test_with_replicates_it_says_how_sure_it_is() -> None:
    rows = [row({"lr": n}, s, 0.9 + n / 1000 + (0.001, -0.001, 0.0)[(s + n) % 3]) for n in range(8) for s in range(3)]
    text = " ".join(shown(rows).split())
    choice = stats.choose(rows, Objective("val_accuracy", "maximize"), "local")
    assert f"best of the 8 points with a probability of {verdict.chance(choice.p_best[0])}" in text
    assert "0.9070 ± 0.0012" in text
    assert "expect about 0.906" in text
    assert f"{choice.more} more seeds for each of the best two points" in text


def test_a_borrowed_interval_is_called_that() -> None:
    rows = [row({"lr": n}, s, 0.9 + n / 1000 + s / 1000) for n in range(6) for s in range(2)] + [
        row({"lr": 9}, 0, 0.95)
    ]
    assert "its interval is borrowed" in " ".join(shown(rows).split())


def test_a_test_metric_as_objective_is_said_in_table_and_words() -> None:
    rows = [row({"lr": n}, metrics={"test_accuracy": n / 10}) for n in range(3)]
    text = shown(rows, "test_accuracy")
    assert "test_accuracy (test set!)" in text.splitlines()[0]
    assert "no estimate of its quality" in " ".join(text.split())


def test_the_winners_test_metric_is_told_once_and_apart() -> None:
    rows = [row({"lr": n}, metrics={"val_accuracy": n / 10, "test_accuracy": 0.777}) for n in range(3)]
    text = " ".join(shown(rows).split())
    assert text.count("0.777") == 1
    assert "test_accuracy of the winner, which took no part in the choice: 0.7770 (1 seed)" in text


def test_the_other_engines_trials_are_counted_apart() -> None:
    text = shown([row({"lr": 1}), row({"lr": 2}, engine="cluster"), row({"lr": 1}, id="0" * 12, engine="cluster")])
    assert "2 trials of the other engine are not ranked with these" in " ".join(text.split())
    assert "1 trial: 1 succeeded" in text


def test_without_any_value_it_says_so() -> None:
    text = shown([row({"lr": 1}, value=None, status="failed")])
    assert text.startswith("No trial has a val_accuracy yet")


@pytest.mark.parametrize(
    ("size", "places"), [(0.00123, 4), (0.0999, 3), (0.1, 2), (1.2, 1), (12.0, 0), (5600.0, 0), (1e-30, 12), (0.0, 12)]
)
def test_two_digits_of_an_interval_are_shown(size: float, places: int) -> None:
    assert verdict.decimals(size) == places


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.91, "0.9100"), (1234.5, "1234"), (12.345, "12.35"), (0.0, "0.0000"), (-0.00012, "-0.0001200")],
)
def test_without_an_interval_four_digits_are_shown(value: float, shown: str) -> None:
    choice = stats.choose([row({"lr": 1}, 0, value)], Objective("val_accuracy", "maximize"), "local")
    assert verdict.value(choice, choice.points[0]) == shown


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "> 99 %"), (0.994, "99 %"), (0.5, "50 %"), (0.004, "< 1 %"), (0.0, "< 1 %")]
)
def test_chances_claim_no_more_than_is_known(p: float, text: str) -> None:
    assert verdict.chance(p) == text


def test_only_hyperparameters_that_differ_are_shown() -> None:
    assert verdict.varied([row({"a": 1, "b": 1, "c": 1}), row({"a": 1, "b": 1.0})]) == ["b", "c"]
    assert verdict.varied([]) == []


def test_a_command_asks_for_the_seeds_that_would_settle_it() -> None:
    rows = [row({"lr": n}, s, 0.9 + n / 1000 + (0.001, -0.001, 0.0)[(s + n) % 3]) for n in range(8) for s in range(3)]
    choice = stats.choose(rows, Objective("val_accuracy", "maximize"), "local")
    command = f'make expand SWEEP=toy ARGS="--replicate-top 2 --replicates {3 + (choice.more or 0)}"'
    assert verdict.settle_command(choice, "toy") == command
    assert shown(rows, command=command).endswith(f"which `make sweep` then runs:\n  {command}\n")
    assert "make expand" not in shown(rows)


def test_a_command_asks_for_replicates_where_nothing_is_known_of_the_noise() -> None:
    choice = stats.choose([row({"lr": n}, value=n) for n in range(3)], Objective("val_accuracy", "maximize"), "local")
    assert verdict.settle_command(choice, "toy") == 'make expand SWEEP=toy ARGS="--replicate-top 3 --replicates 3"'


def test_no_command_where_nothing_is_left_to_settle() -> None:
    rows = [row({"lr": n}, s, n + (0.001, -0.001, 0.0)[(s + n) % 3]) for n in range(3) for s in range(3)]
    settled = stats.choose(rows, Objective("val_accuracy", "maximize"), "local")
    alone = stats.choose(rows[:3], Objective("val_accuracy", "maximize"), "local")
    assert [verdict.settle_command(choice, "toy") for choice in (settled, alone)] == ["", ""]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0"), (8.2, "0.0023"), (360, "0.10"), (3600, "1.00"), (36_000, "10"), (7.2e6, "2,000")]
)
def test_hours_keep_two_digits_however_few(seconds: float, text: str) -> None:
    assert words.hours(seconds) == text


def test_lines_to_settle_it_give_new_seeds_to_the_best_two() -> None:
    rows = [
        row({"lr": n, "x": 1e-7}, s, 0.9 + n / 1000 + (0.001, -0.001, 0.0)[(s + n) % 3])
        for n in range(8)
        for s in range(3)
    ]
    choice = stats.choose(rows, Objective("val_accuracy", "maximize"), "local")
    lines = verdict.replicate_lines(choice)
    assert choice.more
    assert len(lines) == 2 * choice.more
    assert lines[0] == '  - {"lr": 7, "x": 1.0e-07, "seed": 3}'


@pytest.mark.parametrize(
    ("size", "shown", "text"),
    [
        (0.94214, 4, "0.9421"),
        (-2.8, 1, "-2.8"),
        (1e200, 4, "1e+200"),
        (-1.7976931348623157e308, 0, "-1.79769e+308"),
        (123456789.0, 0, "123456789"),
        (1e-200, 12, "1e-200"),
        (0.0, 12, "0.000000000000"),
        (1e-5, 4, "0.0000"),
    ],
)
def test_a_number_of_any_size_fits_a_cell(size: float, shown: int, text: str) -> None:
    assert number(size, shown) == text
