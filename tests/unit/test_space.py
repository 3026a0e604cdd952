"""space.yaml becomes a frozen Space; what is refused is tried in test_expand, by the tables in bad_inputs/."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sweep import space, yamlfile
from sweep.layout import Clone
from sweep.space import BITS, Choice, Range

SCHEMA = json.loads((Clone.here().schemas / "space.schema.json").read_text())
LAST = 2**BITS - 1


def read(parameters: str, sampler: str = "{name: random, n: 1}", fixed: str = "{}") -> space.Space:
    text = f"objective: {{metric: m, direction: minimize}}\nsampler: {sampler}\nhyperparameters: {fixed}\n"
    return space.read(yamlfile.parse(f"{text}space: {parameters}\n", "space.yaml", helm=False), SCHEMA)


def only(domain: str) -> space.Parameter:
    (parameter,) = read(f"{{p: {domain}}}").parameters
    return parameter


def test_a_space_holds_what_the_file_says() -> None:
    made = read("{a: {type: bool}, b: {type: int, low: 1, high: 3}}", "{name: random, n: 4, seed: 7}", "{e: 1.0}")
    assert made.objective == {"metric": "m", "direction": "minimize"}
    assert made.sampler == space.Sampler("random", 4, 7, 1)
    assert made.hyperparameters == {"e": 1.0}
    assert [parameter.name for parameter in made.parameters] == ["a", "b"]
    assert made.size == 6


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        ("{type: bool}", [False, True]),
        ("{type: choice, choices: [sgd, 1, true, [1, 2]]}", ["sgd", 1, True, [1, 2]]),
        ("{type: int, choices: [512, 128]}", [512, 128]),
        ("{type: float, choices: [1, 0.5]}", [1.0, 0.5]),
        ("{type: int, low: 2, high: 8, step: 3}", [2, 5, 8]),
        ("{type: int, low: -1, high: 1}", [-1, 0, 1]),
        ("{type: float, low: 0, high: 0.3, step: 0.1}", [0.0, 0.1, 0.2, 0.3]),
        ("{type: float, low: 0.1, high: 1, step: 0.4}", [0.1, 0.5, 0.9]),
    ],
)
def test_a_finite_domain_has_exactly_these_values(domain: str, values: list[Any]) -> None:
    parameter = only(domain)
    assert parameter.size == len(values)
    found = [parameter.value(index) for index in range(len(values))]
    assert json.dumps(found) == json.dumps(values)
    drawn = [parameter.at((2 * index + 1) * 2**BITS // (2 * len(values))) for index in range(len(values))]
    assert json.dumps(drawn) == json.dumps(values)
    assert (parameter.at(0), parameter.at(LAST)) == (values[0], values[-1])


@pytest.mark.parametrize(
    ("domain", "low", "middle", "high"),
    [
        ("{type: float, low: 0.8, high: 0.98}", 0.8, 0.89, 0.98),
        ("{type: float, low: 1.0e-5, high: 1.0e-1, log: true}", 1e-5, 1e-3, 0.1),
        ("{type: float, low: 0.123456789, high: 0.987654321}", 0.123457, 0.555556, 0.987654),
        ("{type: float, low: 1000, high: 1000.001}", 1000.0, 1000.0005, 1000.001),
        ("{type: int, low: 1, high: 10000, log: true}", 1, 71, 10000),
    ],
)
def test_a_range_goes_from_end_to_end_evenly_on_its_scale(domain: str, low: Any, middle: Any, high: Any) -> None:
    parameter = only(domain)
    assert [parameter.at(u) for u in (0, 2 ** (BITS - 1), LAST)] == [low, middle, high]


def test_a_narrow_range_keeps_enough_different_values() -> None:
    parameter = only("{type: float, low: 1000, high: 1000.001}")
    assert len({parameter.at(k * 2**BITS // 5000) for k in range(5000)}) == 5000


def test_a_space_without_an_end_has_no_size() -> None:
    assert read("{a: {type: bool}, b: {type: float, low: 0, high: 1}}").size is None
    assert read("{}").size == 1


def test_the_digest_is_of_the_meaning() -> None:
    one = read("{a: {type: float, low: 0.10, high: 1.0}} # a comment")
    assert one.digest == read("\n  a:\n    type: float\n    low: 1e-1\n    high: 1.0").digest
    assert one.digest != read("{a: {type: float, low: 0.10, high: 1.1}}").digest
    assert len(one.digest) == 16


@pytest.mark.parametrize(
    ("sampler", "said"),
    [
        ("{name: random, n: 8}", "random, n=8, seed=0"),
        ("{name: random, n: 8, seed: 3, replicates: 2}", "random, n=8, seed=3, replicates=2"),
        ("{name: grid, replicates: 3}", "grid, replicates=3"),
    ],
)
def test_a_sampler_describes_itself(sampler: str, said: str) -> None:
    assert str(read("{a: {type: int, low: 1, high: 9}}", sampler).sampler) == said


def test_domains_are_frozen() -> None:
    assert isinstance(only("{type: bool}"), Choice)
    parameter = only("{type: float, low: 0, high: 1}")
    assert isinstance(parameter, Range)
    with pytest.raises(AttributeError):
        parameter.log = True  # type: ignore[misc]
