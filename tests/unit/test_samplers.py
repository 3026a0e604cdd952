"""Samplers over random spaces: bounds, uniqueness, counts, order, and the same bytes for ever."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep import samplers, space, yamlfile
from sweep.errors import BadInput
from tests.unit.test_space import read

number = st.integers(-1000, 1000)


@st.composite
def domains(draw: st.DrawFn, *, finite: bool = False) -> dict[str, Any]:
    kind = draw(
        st.sampled_from(["bool", "choice", "int", "float step"] + ([] if finite else ["float", "log", "int log"]))
    )
    if kind == "bool":
        return {"type": "bool"}
    if kind == "choice":
        return {
            "type": "choice",
            "choices": draw(st.lists(st.text("abc", min_size=1), min_size=1, max_size=5, unique=True)),
        }
    low = draw(st.integers(1, 500) if "log" in kind else number)
    high = low + draw(st.integers(1, 20))
    if kind == "int":
        return {"type": "int", "low": low, "high": high}
    if kind == "float step":
        return {"type": "float", "low": low / 10, "high": high / 10, "step": draw(st.sampled_from([0.1, 0.05, 0.03]))}
    if kind == "int log":
        return {"type": "int", "low": low, "high": high, "log": True}
    scale = draw(st.sampled_from([1e-6, 1.0, 1e6]))
    return {"type": "float", "low": low * scale, "high": high * scale, "log": kind == "log"}


def spaces(*, finite: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.from_regex(r"[a-z]{1,3}_", fullmatch=True), domains(finite=finite), max_size=4)


def random_space(parameters: dict[str, Any], n: int, seed: int = 0) -> space.Space:
    return read(yamlfile.flow(parameters), f"{{name: random, n: {n}, seed: {seed}}}")


small_spaces = spaces(finite=True).filter(lambda parameters: (random_space(parameters, 1).size or 0) <= 500)


def within(value: Any, domain: dict[str, Any]) -> bool:
    if domain["type"] == "bool":
        return isinstance(value, bool)
    if "choices" in domain:
        return value in domain["choices"]
    if not domain["low"] <= value <= domain["high"]:
        return False
    if "step" in domain:
        steps = (value - domain["low"]) / domain["step"]
        return abs(steps - round(steps)) < 1e-6
    return isinstance(value, int if domain["type"] == "int" else float)


@given(spaces(), st.integers(1, 40), st.integers(0, 2**53))
def test_random_points_are_within_bounds_and_all_different(parameters: dict[str, Any], n: int, seed: int) -> None:
    size = random_space(parameters, 1).size
    n = n if size is None else min(n, size)
    made = random_space(parameters, n, seed)
    trials = samplers.expand(made)
    assert len(trials) == n
    assert len({json.dumps(trial) for trial in trials}) == n
    for trial in trials:
        assert list(trial) == list(parameters)
        assert all(within(trial[name], domain) for name, domain in parameters.items()), trial
    assert trials == samplers.expand(made)


@given(spaces(), st.integers(1, 30), st.integers(1, 30))
def test_a_larger_n_keeps_the_first_points(parameters: dict[str, Any], first: int, more: int) -> None:
    size = random_space(parameters, 1).size
    first, both = (count if size is None else min(count, size) for count in (first, first + more))
    assert samplers.expand(random_space(parameters, both))[:first] == samplers.expand(random_space(parameters, first))


@given(small_spaces)
def test_a_grid_is_the_product_in_the_order_of_the_file(parameters: dict[str, Any]) -> None:
    made = read(yamlfile.flow(parameters), "{name: grid}")
    trials = samplers.expand(made)
    columns = [[parameter.value(index) for index in range(parameter.size or 0)] for parameter in made.parameters]
    assert [tuple(trial.values()) for trial in trials] == list(itertools.product(*columns))
    assert len(trials) == made.size


@settings(max_examples=25, deadline=None)
@given(small_spaces)
def test_random_takes_every_point_of_a_finite_space_once(parameters: dict[str, Any]) -> None:
    size = random_space(parameters, 1).size
    assert size is not None
    drawn = {json.dumps(trial) for trial in samplers.expand(random_space(parameters, size))}
    assert drawn == {json.dumps(trial) for trial in samplers.expand(read(yamlfile.flow(parameters), "{name: grid}"))}


def test_what_luck_does_not_find_is_taken_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "MISSES", 1)
    made = random_space({"a": {"type": "int", "low": 1, "high": 50}}, 50)
    assert sorted(trial["a"] for trial in samplers.expand(made)) == list(range(1, 51))


def test_a_range_with_too_few_floats_is_an_error_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "MISSES", 50)
    made = random_space({"a": {"type": "float", "low": 1.0, "high": 1.0000000000000004}}, 9)
    with pytest.raises(BadInput, match=r"^space.yaml:2: sampler.n: 9 points are due, only 3 different ones were found"):
        samplers.expand(made)


def test_another_parameter_leaves_the_draws_of_the_others_alone() -> None:
    one = {"a": {"type": "float", "low": 0, "high": 1}}
    two = {"b": {"type": "float", "low": 0, "high": 1}} | one
    assert [trial["a"] for trial in samplers.expand(random_space(two, 9))] == [
        trial["a"] for trial in samplers.expand(random_space(one, 9))
    ]
    assert samplers.expand(random_space(one, 9, seed=1)) != samplers.expand(random_space(one, 9))


def test_replicates_are_the_same_point_with_other_seeds() -> None:
    made = read("{a: {type: choice, choices: [x, z]}}", "{name: grid, replicates: 3}")
    assert samplers.expand(made) == [
        {"a": "x"},
        {"a": "x", "seed": 1},
        {"a": "x", "seed": 2},
        {"a": "z"},
        {"a": "z", "seed": 1},
        {"a": "z", "seed": 2},
    ]


def test_a_space_with_nothing_to_search_is_one_trial() -> None:
    assert samplers.expand(read("{}", "{name: grid, replicates: 2}")) == [{}, {"seed": 1}]


def test_log_ranges_are_even_on_a_log_scale() -> None:
    made = random_space({"a": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}, 4000)
    shares = [sum(10.0**k <= trial["a"] < 10.0 ** (k + 1) for trial in samplers.expand(made)) for k in range(-4, 0)]
    assert all(900 < share < 1100 for share in shares), shares


GOLDEN = {
    "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "momentum": {"type": "float", "low": 0.8, "high": 0.98},
    "width": {"type": "int", "low": 1, "high": 512, "log": True},
    "cutout": {"type": "float", "low": 0, "high": 1, "step": 0.1},
    "batch": {"type": "int", "choices": [128, 512]},
    "nesterov": {"type": "bool"},
}
GOLDEN_LINES = [
    '{"lr": 0.000499611, "momentum": 0.846959, "width": 1, "cutout": 0.3, "batch": 512, "nesterov": true}',
    '{"lr": 1.19473e-05, "momentum": 0.831688, "width": 22, "cutout": 0.4, "batch": 512, "nesterov": true}',
    '{"lr": 0.0185705, "momentum": 0.8074, "width": 5, "cutout": 0.5, "batch": 128, "nesterov": false}',
]
GOLDEN_DIGEST = (
    "e55d58bdfec4e9576cca580aa2f2f7708ebc93b15108b56123c74cc0b701b364"  # the same on Python 3.11, 3.12, 3.13
)


def test_the_same_space_gives_the_same_bytes_on_every_machine_and_python() -> None:
    lines = [yamlfile.flow(trial) for trial in samplers.expand(random_space(GOLDEN, 2000, seed=1))]
    assert lines[:3] == GOLDEN_LINES
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == GOLDEN_DIGEST


def test_ten_thousand_trials_take_about_a_second() -> None:
    start = time.process_time()
    samplers.expand(random_space(GOLDEN, 10_000))
    assert time.process_time() - start < 2
