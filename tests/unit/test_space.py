"""space.yaml becomes a frozen Space; what is refused is tried in test_expand, by the tables in bad_inputs/."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sweep import yamlfile
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.spaces import space, spacefile
from sweep.spaces.domain import BITS, Choices, Range
from tests.unit.spaces import LAST, SCHEMA, only, read


def test_a_space_holds_what_the_file_says() -> None:
    parsed = read("{a: {type: bool}, b: {type: int, low: 1, high: 3}}", "{name: random, n: 4, seed: 7}", "{e: 1.0}")
    assert parsed.objective == {"metric": "m", "direction": "minimize"}
    assert (parsed.sampler, parsed.options, parsed.replicates) == ("random", {"n": 4, "seed": 7}, 1)
    assert parsed.hyperparameters == {"e": 1.0}
    assert [parameter.name for parameter in parsed.parameters] == ["a", "b"]
    assert parsed.size == 6


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
    values_ = [parameter.value(index) for index in range(len(values))]
    assert json.dumps(values_) == json.dumps(values)
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
    parsed = read("{a: {type: float, low: 0.10, high: 1.0}} # a comment")
    assert parsed.digest == read("\n  a:\n    type: float\n    low: 1e-1\n    high: 1.0").digest
    assert parsed.digest != read("{a: {type: float, low: 0.10, high: 1.1}}").digest
    assert len(parsed.digest) == 16


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        ("{name: random, n: 8}", "random, n=8, seed=0"),
        ("{name: random, n: 8, seed: 3, replicates: 2}", "random, n=8, seed=3, replicates=2"),
        ("{name: grid, replicates: 3}", "grid, replicates=3"),
    ],
)
def test_a_sampler_describes_itself(sampler: str, message: str) -> None:
    assert read("{a: {type: int, low: 1, high: 9}}", sampler).sampled == message


def test_domains_are_frozen() -> None:
    assert isinstance(only("{type: bool}"), Choices)
    parameter = only("{type: float, low: 0, high: 1}")
    assert isinstance(parameter, Range)
    with pytest.raises(AttributeError):
        parameter.log = True  # type: ignore[misc]


# ---- conditions, constraints, exclusions, points ----

NESTED = """{optimizer: {type: choice, choices: [sgd, adam]}, nesterov: {type: bool, when: {optimizer: sgd}},
  momentum: {type: int, low: 1, high: 3, when: {nesterov: true}},
  warm: {type: int, choices: [5, 10], when: {optimizer: [sgd, adam], momentum: [2, 3]}}}"""


def test_a_parameter_is_there_only_where_those_it_depends_on_say_so() -> None:
    parsed = read(NESTED)
    first = parsed.build(lambda parameter: parameter.at(0))
    last = parsed.build(lambda parameter: parameter.at(LAST))
    assert first == {"optimizer": "sgd", "nesterov": False}
    assert last == {"optimizer": "adam"}
    whole = parsed.build(lambda parameter: parameter.at(0 if parameter.name == "optimizer" else LAST))
    assert whole == {"optimizer": "sgd", "nesterov": True, "momentum": 3, "warm": 10}


def test_the_size_counts_every_branch_once() -> None:
    parsed = read(NESTED)
    assert parsed.size == 1 + 1 + (1 + 2 * 2)  # adam; sgd without nesterov; momentum 1, and 2 or 3 with two warm
    points = list(parsed.every())
    assert len(points) == parsed.size == len({json.dumps(point) for point in points})


def test_the_size_of_many_branches_is_counted_without_walking_them() -> None:
    many = ", ".join(
        f"a{k}: {{type: bool}}, b{k}: {{type: int, low: 1, high: 9, when: {{a{k}: true}}}}" for k in range(30)
    )
    assert read(f"{{{many}}}").size == 10**30


def test_a_continuous_branch_makes_the_space_endless() -> None:
    assert read("{a: {type: bool}, b: {type: float, low: 0, high: 1, when: {a: true}}}").size is None


def test_true_does_not_stand_for_one() -> None:
    parsed = read("{a: {type: choice, choices: [1, true]}, b: {type: bool, when: {a: true}}}")
    assert [sorted(point) for point in parsed.every()] == [["a"], ["a", "b"], ["a", "b"]]


def test_constraints_see_what_is_fixed_and_prune_a_grid() -> None:
    rules = "constraints: ['a + b <= top', 'a != 1 or b > 0']\nexclude: [{a: [2, 3], b: 0}]"
    parsed = read("{a: {type: int, low: 0, high: 9}, b: {type: int, low: 0, high: 9}}", fixed="{top: 3}", more=rules)
    pairs = [(point["a"], point["b"]) for point in parsed.every()]
    assert pairs == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1)]
    assert parsed.size == 100


def test_a_grid_that_is_hopeless_ends_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "VISITS", 1000)
    parsed = read(
        "{a: {type: int, low: 0, high: 99}, b: {type: int, low: 0, high: 99}}", more="constraints: [a * b > 9999]"
    )
    with pytest.raises(BadInput, match=r"^space.yaml:4: space: 1,000 points were tried and there are more; make the"):
        list(parsed.every())


@pytest.mark.parametrize(
    ("values", "point"),
    [
        ({"lr": 1, "kind": "a"}, {"kind": "a", "lr": 1.0}),
        ({"lr": 0.5, "kind": "b", "depth": 3.0}, {"kind": "b", "lr": 0.5, "depth": 3}),
        ({"lr": 0.5, "kind": "b"}, None),
        ({"lr": 0.5, "kind": "a", "depth": 3}, None),
        ({"lr": 1.5, "kind": "a"}, None),
        ({"lr": True, "kind": "a"}, None),
        ({"lr": 0.5, "kind": "c"}, None),
        ({"lr": 0.5, "kind": "b", "depth": 2}, None),
        ({"lr": 0.5, "kind": "b", "depth": 3.5}, None),
        ({"lr": 0.01, "kind": "a"}, None),
    ],
)
def test_values_are_a_point_or_none(values: dict[str, Any], point: Any) -> None:
    parsed = read(
        "{kind: {type: choice, choices: [a, b]}, lr: {type: float, low: 0, high: 1}, "
        "depth: {type: int, low: 1, high: 9, step: 2, when: {kind: b}}}",
        more="constraints: [lr > 0.1]",
    )
    assert json.dumps(parsed.fit(values)) == json.dumps(point)


@pytest.mark.parametrize(
    ("domain", "value", "shrink", "first", "last"),
    [
        ("{type: float, low: 0, high: 1}", 0.5, 0.5, 0.25, 0.75),
        ("{type: float, low: 0, high: 1}", 0.9, 0.5, 0.65, 1.0),
        ("{type: float, low: 0.0001, high: 1, log: true}", 0.01, 0.5, 0.001, 0.1),
        ("{type: int, low: 0, high: 100}", 50, 0.1, 45, 55),
        ("{type: float, low: 0, high: 1, step: 0.25}", 0.5, 0.5, 0.25, 0.75),
        ("{type: float, low: 0, high: 1, step: 0.25}", 0.5, 0.1, 0.5, 0.5),
        ("{type: int, choices: [16, 32, 64, 128, 256]}", 64, 0.5, 32, 128),
        ("{type: int, choices: [16, 32, 64, 128, 256]}", 256, 0.5, 64, 256),
        ("{type: choice, choices: [s, m, l], ordered: true}", "s", 0.6, "s", "m"),
        ("{type: choice, choices: [a, b, c]}", "b", 0.9, "b", "b"),
        ("{type: bool}", True, 1, True, True),
    ],
)
def test_around_a_value_is_a_smaller_domain_with_it(
    domain: str, value: Any, shrink: float, first: Any, last: Any
) -> None:
    near = only(domain).around(value, shrink)
    assert (near.at(0), near.at(LAST)) == (first, last)
    assert near.fit(value) == value


def test_numbers_in_order_are_ordered_unless_told_otherwise() -> None:
    def ordered(text: str) -> bool:
        parameter = only(text)
        assert isinstance(parameter, Choices)
        return parameter.ordered

    assert ordered("{type: int, choices: [1, 2, 4]}")
    assert ordered("{type: float, choices: [4, 2, 1]}")
    assert not ordered("{type: int, choices: [1, 4, 2]}")
    assert not ordered("{type: choice, choices: [a, b]}")
    assert ordered("{type: choice, choices: [a, b], ordered: true}")
    assert not ordered("{type: int, choices: [1, 2], ordered: false}")
    assert ordered("{type: choice, choices: [1, 2.5, 4]}"), "as the schema says, of whatever type"
    assert not ordered("{type: choice, choices: [1, 4, 2]}")
    assert not ordered("{type: choice, choices: [1, 2], ordered: false}")
    assert not ordered("{type: choice, choices: [false, true]}")
    assert not ordered("{type: choice, choices: [1, 2, large]}")


def test_more_rounds_are_no_other_space() -> None:
    first, more, other = (
        read("{a: {type: float, low: 0, high: 1}}", f"{{name: tpe, rounds: {rounds}, per_round: 4, seed: {seed}}}")
        for rounds, seed in ((2, 0), (9, 0), (2, 1))
    )
    assert first.digest == more.digest != other.digest


def test_explicit_needs_no_space() -> None:
    text = "objective: {metric: m, direction: minimize}\nsampler: {name: explicit}\npoints: [{a: 1}, {b: [x]}]\n"
    domain = spacefile.read(yamlfile.parse(text, "space.yaml", helm=False), SCHEMA)
    assert domain.points == ({"a": 1}, {"b": ["x"]})


def test_the_example_of_the_docs_is_a_space() -> None:
    page = (Clone.here().root / "docs" / "search.md").read_text()
    example = page[page.index("    objective: {metric: val_accuracy") : page.index("- **Domains**")]
    text = "\n".join(line[4:] for line in example.split("\n"))
    domain = spacefile.read(yamlfile.parse(text, "search.md", helm=False), SCHEMA)
    assert [parameter.name for parameter in domain.parameters][:2] == ["optimizer", "lr"]
    assert len(domain.rules) == 3
    assert len(domain.points) == 1


def test_every_key_of_the_schema_has_a_description() -> None:
    def bare(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        keys = node.get("properties", {})
        bare_keys = [f"{path}.{key}" for key, value in keys.items() if "description" not in value]
        return bare_keys + [key_path for key, value in node.items() for key_path in bare(value, f"{path}.{key}")]

    assert bare(SCHEMA, "space") == []
