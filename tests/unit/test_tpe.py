"""A round of TPE: the same bytes for the same history, in any process; told what was; never a point that is there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep import yamlfile
from sweep.spaces import sampling
from sweep.spaces.history import Observation
from sweep.spaces.samplers import random, tpe
from sweep.spaces.space import Space
from tests.unit.test_samplers import allowed, twisted
from tests.unit.test_space import read

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = """{lr: {type: float, low: 0.00001, high: 1, log: true}, kind: {type: choice, choices: [a, [1, 2], true]},
  width: {type: int, low: 1, high: 512, log: true}, depth: {type: int, low: 2, high: 20, step: 2},
  drop: {type: float, low: 0, high: 0.5, step: 0.1}, size: {type: int, choices: [16, 32, 64]},
  momentum: {type: float, low: 0.8, high: 0.98, when: {kind: a}}}"""


def space_of(per_round: int = 6, seed: int = 0, parameters: str = PARAMETERS, more: str = "") -> Space:
    return read(parameters, f"{{name: tpe, rounds: 1, per_round: {per_round}, seed: {seed}}}", more=more)


def history(space: Space, n: int) -> list[Observation]:
    """n points with a value each."""
    points = [sampling.at(space, row) for row in ROWS[:n]]
    return [Observation(point, "succeeded", ((point["lr"] - 0.01) ** 2 + point["depth"],)) for point in points]


ROWS = [
    [int(hashlib.sha256(f"{row}/{column}".encode()).hexdigest()[:8], 16) / 2**32 for column in range(7)]
    for row in range(40)
]
GOLDEN = "206ccb45eed5caf2"  # numpy 2.4.6, optuna 5.0.0, scipy 1.17.1


def lines() -> str:
    """Rounds with and without a history, as they would stand in values.yaml."""
    space = space_of()
    asked = [tpe.ask(space, history(space, n), 1 + n // 6) for n in (0, 6, 18, 36)]
    return "\n".join(yamlfile.flow(point) for points in asked for point in points)


def test_the_same_history_gives_the_same_bytes_under_the_locked_versions() -> None:
    assert hashlib.sha256(lines().encode()).hexdigest()[:16] == GOLDEN


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_suggests_the_same(seed: str) -> None:
    code = "import sys; sys.path[:0] = ['scripts', '.']; from tests.unit.test_tpe import lines; print(lines())"
    env = os.environ | {"PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=env)
    assert done.stdout.strip() == lines()


@settings(deadline=None, max_examples=15)
@given(twist=twisted(), seed=st.integers(0, 99), count=st.integers(0, 15))
def test_suggestions_are_allowed_new_and_different(twist: tuple[dict[str, Any], str], seed: int, count: int) -> None:
    parameters, more = twist
    space = space_of(1, seed, yamlfile.flow(parameters), more)
    space = replace(space, options={**space.options, "per_round": 5})
    known = [point for point, _ in zip(random.ask(space), range(count), strict=False)]
    states = ["succeeded", "failed", "diverged", "running", "pruned"]
    past = [
        Observation(point, states[place % 5], (float(place),) if states[place % 5] in ("succeeded", "pruned") else ())
        for place, point in enumerate(known)
    ]
    asked = tpe.ask(space, past, 2)
    assert all(allowed(point, parameters, more) for point in asked)
    fresh = [json.dumps(point) for point in asked]
    assert len(set(fresh)) == len(fresh) <= 5
    assert not set(fresh) & {json.dumps(point) for point in known}


def test_a_small_space_is_taken_to_its_last_point() -> None:
    space = space_of(4, parameters="{a: {type: int, low: 1, high: 3}, b: {type: bool}}")
    observations: list[Observation] = []
    for number in (1, 2, 3):
        observations += [
            Observation(point, "succeeded", (point["a"],)) for point in tpe.ask(space, observations, number)
        ]
    assert len(observations) == len({json.dumps(observation.point) for observation in observations}) == 6


def test_it_goes_where_it_is_good_and_not_where_it_diverged() -> None:
    space = space_of(12, parameters="{x: {type: float, low: -8, high: 8}}")
    points = [{"x": place * 16 / 30 - 8} for place in range(31)]
    observations = [
        Observation(point, "diverged") if point["x"] > 0 else Observation(point, "succeeded", ((point["x"] + 1) ** 2,))
        for point in points
    ]
    asked = [point["x"] for point in tpe.ask(space, observations, 2)]
    assert sum(x > 0 for x in asked) <= 4  # 9 or 10 if a divergence were told as a failure, of which TPE learns nothing


def test_points_of_a_round_keep_apart() -> None:
    """The constant liar: what was just asked counts as running, and running is taken for bad."""
    space = space_of(16, parameters="{x: {type: float, low: -8, high: 8}}")
    observations = [
        Observation({"x": place * 16 / 30 - 8}, "succeeded", ((place / 3 - 5) ** 2,)) for place in range(31)
    ]
    asked = sorted(point["x"] for point in tpe.ask(space, observations, 2))
    assert len(asked) == 16
    assert asked[-1] - asked[0] > 1


def told_to_optuna(state: str, values: tuple[float, ...] = ()) -> optuna.trial.FrozenTrial:
    space = space_of(parameters="{x: {type: float, low: 0, high: 1}}")
    return tpe.trial_of(space, Observation({"x": 0.5}, state, values), (9.0,))


def test_optuna_is_told_what_happened() -> None:
    state = optuna.trial.TrialState
    assert told_to_optuna("succeeded", (0.3,)).value == 0.3
    assert told_to_optuna("failed").state == state.FAIL
    assert told_to_optuna("running").state == state.RUNNING
    assert (told_to_optuna("diverged").state, told_to_optuna("diverged").value) == (state.COMPLETE, 9.0)
    pruned = told_to_optuna("pruned", (0.7,))
    assert (pruned.state, pruned.intermediate_values) == (state.PRUNED, {0: 0.7})


def test_the_worst_is_the_worst_by_direction() -> None:
    both = "objective: [{metric: a, direction: minimize}, {metric: b, direction: maximize}]"
    space = read("{x: {type: bool}}", "{name: tpe, rounds: 1, per_round: 1}", more=both)
    observations = [
        Observation({}, "succeeded", (1.0, 5.0)),
        Observation({}, "succeeded", (2.0, 4.0)),
        Observation({}, "pruned", (9.0, 0.0)),
    ]
    assert tpe.worst(space, observations) == (2.0, 4.0)
    assert tpe.worst(space, []) == ()
