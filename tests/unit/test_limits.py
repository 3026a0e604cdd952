"""When a sweep has reached a goal, spent what it may, or come to its time; and how that is written and refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep import limits, settings, yamlfile
from sweep.errors import BadInput
from sweep.limits import Limits, Standing

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = st.floats(-1e6, 1e6)
STANDINGS = st.lists(
    st.builds(
        Standing,
        st.text("0123456789abcdef", min_size=12, max_size=12),
        st.integers(0, 8),
        st.floats(0, 1e6),
        st.dictionaries(st.sampled_from(["up", "down", "other"]), NUMBERS | st.none()),
    ),
    max_size=8,
)
BOTH = st.fixed_dictionaries({}, optional={"up": NUMBERS, "down": NUMBERS}).filter(bool)


@given(STANDINGS, BOTH)
def test_a_goal_is_reached_by_a_trial_that_is_as_good_in_all_of_it(
    trials: list[Standing], goal: dict[str, float]
) -> None:
    def is_as_good(metrics: Any) -> bool:
        by_sign = {"up": 1, "down": -1}
        return all(
            metrics.get(name) is not None and by_sign[name] * (metrics[name] - wanted) >= 0
            for name, wanted in goal.items()
        )

    good = [trial.trial for trial in trials if is_as_good(trial.metrics)]
    reason = limits.reached(Limits(goal, frozenset({"down"})), trials, 0)
    assert bool(reason) == bool(good)
    assert not good or f"by trial {good[0]} (" in reason


@given(STANDINGS, st.floats(0.001, 1e3))
def test_what_is_spent_is_of_all_trials_and_weighs_by_gpus(trials: list[Standing], hours: float) -> None:
    seconds = sum(trial.seconds for trial in trials)
    gpu_seconds = sum(trial.gpus * trial.seconds for trial in trials)
    assert bool(limits.reached(Limits(trial_hours=hours), trials, 0)) == (seconds / 3600 >= hours)
    assert bool(limits.reached(Limits(gpu_hours=hours), trials, 0)) == (gpu_seconds / 3600 >= hours)


@given(STANDINGS, st.floats(0, 4e9))
def test_without_limits_nothing_is_reached(trials: list[Standing], now: float) -> None:
    assert not limits.reached(Limits(), trials, now)
    assert not Limits()


ZONES = st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1))


@given(TIMES, ZONES, st.floats(-1e6, 1e6), st.sampled_from([" ", "T"]), st.sampled_from(["minutes", "seconds"]))
def test_a_time_is_of_its_day_here_or_in_its_zone(
    day: datetime, zone: timezone | None, later: float, between: str, spec: str
) -> None:
    day = day.replace(microsecond=0, second=0 if spec == "minutes" else day.second, tzinfo=zone)
    text = day.isoformat(between, spec)
    moment = day.timestamp()
    assert limits.moment(text).timestamp() == moment
    assert bool(limits.reached(Limits(until=text), [], moment + later)) == (moment + later >= moment)


def head(text: str) -> settings.Settings:
    lines = "sweep: toy\nobjective: {metric: score, direction: maximize}\ncommand: [x]\n" + text
    return settings.read(ROOT / "chart", yamlfile.parse(lines, "values.yaml"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("goal: {accuracy: 0.9}", "goal.accuracy: is not an objective of the sweep; write score"),
        ("goal: {score: high}", "goal.score: expected a number, got the string 'high'"),
        ("goal: 0.9", "goal: expected a map, got the number 0.9; write {val_accuracy: 0.94}"),
        ("goal: {}", "goal: must not be empty; write {val_accuracy: 0.94}"),
        ("spend: {gpu_hours: 0}", "spend.gpu_hours: 0 is out of bounds; write more than 0"),
        ("spend: {hours: 3}", "spend.hours: unknown key; did you mean gpu_hours?"),
        ("spend: 3", "spend: expected a map, got the number 3; write {trial_hours: 12}"),
        ("until: tomorrow", "until: expected a day and a time, got 'tomorrow'; write \"2026-12-24 07:00\""),
        ("until: 2026-12-24", "until: expected a day and a time, got '2026-12-24'; write \"2026-12-24 07:00\""),
        ("until: 2026-13-24 07:00", "until: expected a day and a time, got '2026-13-24 07:00'; write "),
        ("until: 7", 'until: expected a string, got the number 7; write "2026-12-24 07:00"'),
    ],
)
def test_what_is_no_limit_is_refused_in_a_line(text: str, problem: str) -> None:
    with pytest.raises(BadInput) as error:
        head(text)
    assert str(error.value).startswith(f"values.yaml:4: {problem}")
    assert "\n" not in str(error.value)


def test_a_time_of_any_day_is_answered_with_the_next() -> None:
    with pytest.raises(BadInput, match="expected a day and a time, got '07:00'; write ") as error:
        head("until: 07:00")
    offered = str(error.value).rpartition('write "')[2].removesuffix('"')
    assert 0 < limits.moment(offered).timestamp() - datetime.now().timestamp() <= 86400
    assert offered.endswith(" 07:00")


@pytest.mark.parametrize(
    "text", ["", "goal: null", "spend: null", "until: null", "spend: {gpu_hours: null, trial_hours: 1}"]
)
def test_null_is_no_limit(text: str) -> None:
    given = head(text)
    assert limits.of(given, {}) == Limits(trial_hours=given.spend.trial_hours)


def test_settings_have_their_limits_with_the_direction_of_the_objective() -> None:
    given = head('goal: {score: 0.5}\nspend: {gpu_hours: 2.5}\nuntil: "2026-12-24 07:00"')
    limit = limits.of(given, {"score": "minimize"})
    assert limit == Limits({"score": 0.5}, frozenset({"score"}), 2.5, None, "2026-12-24 07:00")
    assert limit.lines == [
        "starts no trial once a trial has score <= 0.5",
        "starts no trial after 2.5 GPU-hours",
        "starts no trial after 2026-12-24 07:00",
    ]
