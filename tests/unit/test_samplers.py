"""Samplers over random spaces: bounds, uniqueness, counts, order, and the same bytes for ever."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sweep import yamlfile
from sweep.errors import BadInput
from sweep.spaces import sampling, search, space
from sweep.spaces.samplers import grid
from tests.unit.test_space import read

ROOT = Path(__file__).resolve().parents[2]
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
    parsed = random_space(parameters, n, seed)
    trials = search.expand(parsed)
    assert len(trials) == n
    assert len({json.dumps(trial) for trial in trials}) == n
    for trial in trials:
        assert list(trial) == list(parameters)
        assert all(within(trial[name], domain) for name, domain in parameters.items()), trial
    assert trials == search.expand(parsed)


@given(spaces(), st.integers(1, 30), st.integers(1, 30))
def test_a_larger_n_keeps_the_first_points(parameters: dict[str, Any], first: int, more: int) -> None:
    size = random_space(parameters, 1).size
    first, both = (count if size is None else min(count, size) for count in (first, first + more))
    assert search.expand(random_space(parameters, both))[:first] == search.expand(random_space(parameters, first))


@given(small_spaces)
def test_a_grid_is_the_product_in_the_order_of_the_file(parameters: dict[str, Any]) -> None:
    parsed = read(yamlfile.flow(parameters), "{name: grid}")
    trials = search.expand(parsed)
    columns = [[parameter.value(index) for index in range(parameter.size or 0)] for parameter in parsed.parameters]
    assert [tuple(trial.values()) for trial in trials] == list(itertools.product(*columns))
    assert len(trials) == parsed.size


@settings(max_examples=25, deadline=None)
@given(small_spaces)
def test_random_takes_every_point_of_a_finite_space_once(parameters: dict[str, Any]) -> None:
    size = random_space(parameters, 1).size
    assert size is not None
    drawn = {json.dumps(trial) for trial in search.expand(random_space(parameters, size))}
    assert drawn == {json.dumps(trial) for trial in search.expand(read(yamlfile.flow(parameters), "{name: grid}"))}


def test_what_luck_does_not_find_is_taken_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MISSES", 1)
    domain = random_space({"a": {"type": "int", "low": 1, "high": 50}}, 50)
    assert sorted(trial["a"] for trial in search.expand(domain)) == list(range(1, 51))


def test_a_range_with_too_few_floats_is_an_error_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MISSES", 50)
    domain = random_space({"a": {"type": "float", "low": 1.0, "high": 1.0000000000000004}}, 9)
    with pytest.raises(
        BadInput, match=r"^space.yaml:2: sampler.n: expected 9 points, only 3 different ones were found"
    ):
        search.expand(domain)


def test_another_parameter_leaves_the_draws_of_the_others_alone() -> None:
    first = {"a": {"type": "float", "low": 0, "high": 1}}
    second = {"b": {"type": "float", "low": 0, "high": 1}} | first
    assert [trial["a"] for trial in search.expand(random_space(second, 9))] == [
        trial["a"] for trial in search.expand(random_space(first, 9))
    ]
    assert search.expand(random_space(first, 9, seed=1)) != search.expand(random_space(first, 9))


def test_replicates_are_the_same_point_with_other_seeds() -> None:
    parsed = read("{a: {type: choice, choices: [x, z]}}", "{name: grid, replicates: 3}")
    assert search.expand(parsed) == [
        {"a": "x"},
        {"a": "x", "seed": 1},
        {"a": "x", "seed": 2},
        {"a": "z"},
        {"a": "z", "seed": 1},
        {"a": "z", "seed": 2},
    ]


def test_a_space_with_nothing_to_search_is_one_trial() -> None:
    assert search.expand(read("{}", "{name: grid, replicates: 2}")) == [{}, {"seed": 1}]


def test_log_ranges_are_even_on_a_log_scale() -> None:
    domain = random_space({"a": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}, 4000)
    shares = [sum(10.0**k <= trial["a"] < 10.0 ** (k + 1) for trial in search.expand(domain)) for k in range(-4, 0)]
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
    lines = [yamlfile.flow(trial) for trial in search.expand(random_space(GOLDEN, 2000, seed=1))]
    assert lines[:3] == GOLDEN_LINES
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == GOLDEN_DIGEST


# ---- every sampler, over spaces with conditions, constraints and exclusions ----


@st.composite
def twisted(draw: st.DrawFn, *, finite: bool = False) -> tuple[dict[str, Any], str]:
    """(parameters, constraints and exclusions): later ones depend on earlier ones, and some points are forbidden."""
    parameters = draw(
        st.lists(domains(finite=finite), min_size=1, max_size=4).map(
            lambda drawn: {f"p{place}": domain for place, domain in enumerate(drawn)}
        )
    )
    for place, name in enumerate(parameters):
        parents = [f"p{above}" for above in range(place) if values_of(parameters[f"p{above}"])]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            chosen = draw(st.lists(st.sampled_from(values_of(parameters[parent])), min_size=1, max_size=2))
            parameters[name] = {**parameters[name], "when": {parent: chosen}}
    rules = [
        rule for rule in (a_constraint(parameters), an_exclusion(draw, parameters)) if rule and draw(st.booleans())
    ]
    return parameters, "".join(rules)


def a_constraint(parameters: dict[str, Any]) -> str:
    """One over the first two numbers, where there are so many."""
    numbers = [name for name, domain in parameters.items() if "low" in domain]
    if len(numbers) < 2:
        return ""
    low, high = (parameters[name] for name in numbers[:2])
    limit = (low["low"] + low["high"]) / 2 + high["high"]
    return f"constraints: ['{numbers[0]} + {numbers[1]} <= {limit!r}']\n"


def an_exclusion(draw: st.DrawFn, parameters: dict[str, Any]) -> str:
    """The first value of a parameter that has another."""
    several = [name for name, domain in parameters.items() if len(values_of(domain)) > 1]
    if not several:
        return ""
    name = draw(st.sampled_from(several))
    return f"exclude: [{{{name}: {yamlfile.flow(values_of(parameters[name])[0])}}}]\n"


def values_of(domain: dict[str, Any]) -> list[Any]:
    if domain["type"] == "bool":
        return [False, True]
    return list(domain.get("choices", []))


def allowed(point: dict[str, Any], parameters: dict[str, Any], more: str) -> bool:
    """Whether a point is one, by another way than the samplers'."""
    for name, domain in parameters.items():
        parents = domain.get("when", {})
        active = all(parent in point and point[parent] in values for parent, values in parents.items())
        if active != (name in point) or (active and not within(point[name], domain)):
            return False
    rules = yaml.safe_load(more) or {}
    return all(keeps(point, text) for text in rules.get("constraints", [])) and not any(
        all(name in point and point[name] == value for name, value in excluded.items())
        for excluded in rules.get("exclude", [])
    )


def keeps(point: dict[str, Any], constraint: str) -> bool:
    """Whether a point keeps `a + b <= 1`, or has not both."""
    left, right = constraint.split(" <= ")
    names = left.split(" + ")
    return not all(name in point for name in names) or sum(point[name] for name in names) <= float(right)


def taken(parameters: dict[str, Any], more: str, sampler: str, n: int, seed: int) -> list[dict[str, Any]]:
    """n points, or all there are if they are fewer."""
    maximin = ", maximin: true" if sampler == "lhs" and seed % 2 else ""
    domain = read(yamlfile.flow(parameters), f"{{name: {sampler}, n: 1, seed: {seed}{maximin}}}", more=more)
    domain = replace(domain, options={**domain.options, "n": n})
    return list(itertools.islice(search.sampler(domain).ask(domain), n))


@pytest.mark.parametrize("sampler", ["random", "sobol", "lhs"])
@settings(deadline=None, max_examples=60)
@given(twist=twisted(), n=st.integers(1, 24), seed=st.integers(0, 99))
def test_points_are_allowed_and_all_different(
    sampler: str, twist: tuple[dict[str, Any], str], n: int, seed: int
) -> None:
    parameters, more = twist
    points = taken(parameters, more, sampler, n, seed)
    assert all(allowed(point, parameters, more) for point in points)
    assert len({json.dumps(point) for point in points}) == len(points)
    assert points == taken(parameters, more, sampler, n, seed)


@pytest.mark.parametrize("sampler", ["random", "sobol"])
@settings(deadline=None, max_examples=60)
@given(twist=twisted(), first=st.integers(1, 20), more_points=st.integers(1, 40), seed=st.integers(0, 99))
def test_extension_keeps_the_first_whatever_the_space(
    sampler: str, twist: tuple[dict[str, Any], str], first: int, more_points: int, seed: int
) -> None:
    few, many = (taken(*twist, sampler, count, seed) for count in (first, first + more_points))
    assert many[: len(few)] == few


@pytest.mark.parametrize("sampler", ["grid", "random", "sobol", "lhs"])
@settings(deadline=None, max_examples=40)
@given(twist=twisted(finite=True))
def test_a_finite_space_is_taken_whole(sampler: str, twist: tuple[dict[str, Any], str]) -> None:
    parameters, more = twist
    parsed = read(yamlfile.flow(parameters), "{name: random, n: 1}", more=more)
    assume((parsed.size or 0) <= 300)
    every = {json.dumps(point) for point in parsed.every()}
    if sampler == "grid":
        points = list(grid.ask(parsed))
    else:
        points = taken(parameters, more, sampler, 400, 0)
    assert {json.dumps(point) for point in points} == every
    assert len(points) == len(every)
    assert all(allowed(point, parameters, more) for point in points)


def test_sobol_leaves_no_gaps() -> None:
    square = {"x": {"type": "float", "low": 0, "high": 8}, "y": {"type": "float", "low": 0, "high": 8}}
    points = taken(square, "", "sobol", 64, 3)
    assert len({(int(point["x"]), int(point["y"])) for point in points}) == 64  # one in every square


@pytest.mark.parametrize("seed", [0, 1])
def test_lhs_has_one_point_in_every_share_of_every_range(seed: int) -> None:
    ranges = {name: {"type": "float", "low": 0, "high": 20} for name in "abc"}
    points = taken(ranges, "", "lhs", 20, seed)
    assert all(sorted(int(point[name]) for point in points) == list(range(20)) for name in ranges)


def test_maximin_moves_the_closest_points_apart() -> None:
    def closest(maximin: str) -> float:
        space_ = "{x: {type: float, low: 0, high: 1}, y: {type: float, low: 0, high: 1}}"
        points = search.expand(read(space_, f"{{name: lhs, n: 30, seed: 5{maximin}}}"))
        pairs = itertools.combinations(points, 2)
        return min((first["x"] - other["x"]) ** 2 + (first["y"] - other["y"]) ** 2 for first, other in pairs)

    assert closest(", maximin: true") > 2 * closest("")


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_hypercube_is_that_of_scipys_generator_at_its_turn(n: int) -> None:
    """Those that went before were drawn once; now only their numbers are counted."""
    import numpy as np
    from scipy.stats import qmc

    maximin = f"{{name: lhs, n: {n}, seed: 7, maximin: true}}"
    ranges = "{x: {type: float, low: 0, high: 1}, y: {type: float, low: 0, high: 1}}"
    trials = search.expand(read(ranges, maximin, more="constraints: [x * y < 0.02]\n"))
    draw = np.random.default_rng(7)
    points: list[tuple[float, float]] = []
    while len(points) < n:
        drawn = [qmc.LatinHypercube(2, rng=draw).random(n) for _ in range(32)]
        apart = [min((math.dist(a, b) for a, b in itertools.combinations(rows, 2)), default=0.0) for rows in drawn]
        points += [(x, y) for x, y in drawn[apart.index(max(apart))].tolist() if x * y < 0.02]
    assert [(trial["x"], trial["y"]) for trial in trials] == [pytest.approx(point, rel=1e-5) for point in points[:n]]


@pytest.mark.parametrize(
    "sampler", ["{name: grid}", "{name: random, n: 3}", "{name: sobol, n: 3}", "{name: lhs, n: 3}"]
)
def test_explicit_points_come_first_and_once(sampler: str) -> None:
    parsed = read("{a: {type: int, low: 1, high: 4}, b: {type: bool}}", sampler, more="points: [{a: 3, b: true}]\n")
    trials = search.expand(parsed)
    assert trials[0] == {"a": 3, "b": True}
    assert trials.count(trials[0]) == 1
    assert len(trials) == (8 if "grid" in sampler else 4)


def test_explicit_points_are_all_there_is_with_that_sampler() -> None:
    parsed = read("{a: {type: float, low: 1, high: 4}}", "{name: explicit, replicates: 2}", more="points: [{a: 3}]\n")
    assert search.expand(parsed) == [{"a": 3.0}, {"a": 3.0, "seed": 1}]


TWISTED_GOLDEN = {
    "optimizer": {"type": "choice", "choices": ["sgd", "adam"]},
    "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "momentum": {"type": "float", "low": 0.8, "high": 0.98, "when": {"optimizer": "sgd"}},
    "width": {"type": "int", "low": 1, "high": 512, "log": True},
}
GOLDEN_SCIPY = {"sobol": "3972872a15d28dc3", "lhs": "66108fe08a77dfa2"}  # numpy 2.4.6, scipy 1.17.1


@pytest.mark.parametrize("sampler", GOLDEN_SCIPY)
def test_the_same_space_gives_the_same_bytes_under_the_locked_scipy(sampler: str) -> None:
    points = taken(TWISTED_GOLDEN, "constraints: [lr * width < 10]\n", sampler, 500, 1)
    lines = [yamlfile.flow(point) for point in points]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == GOLDEN_SCIPY[sampler]


def test_samplers_that_need_no_scipy_import_none() -> None:
    code = (
        "import sys; sys.path[:0] = ['scripts', '.']; import expand; from sweep.spaces import samplers, search;"
        "from tests.unit.test_space import read; search.first(read('{a: {type: bool}}', '{name: random, n: 2}'));"
        "print([name for name in ('numpy', 'optuna', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
