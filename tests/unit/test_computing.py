"""Values computed from others, names in backticks, groups, sub-spaces and conditions: what trials come of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BadInput
from sweep.spaces import search
from sweep.spaces.evaluation import Unclear
from sweep.spaces.expression import parse, parse_text
from tests.unit.spaces import read

KNOWN = {name: name for name in ("a", "b", "name", "num-layers", "lambda", "layers.0.width")}
POINT = {"a": 4, "b": 0.5, "name": "sgd", "num-layers": 3, "lambda": 0.1, "layers.0.width": 8}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4 * a", 16),
        ("a / 8", 0.5),
        ("0.1 * 3", 0.3),
        ("a ** 2", 16),
        ("2 ** -a", 0.0625),
        ("b ** 0.5", 0.707106781187),
        ("a if name == 'sgd' else b", 4),
        ("max(a, b, 5)", 5),
        ("round(b * 5)", 2),
        ("`num-layers` - a", -1),
        ("`lambda` * 2", 0.2),
        ("`layers.0.width` // 3", 2),
        ("[a, 2 * a]", [4, 8]),
        ("null if a > 3 else 1", None),
        ("{a}", 4),
        ("{8 if a > 3 else 4}Gi", "8Gi"),
        ("{a / 2}Gi", "2Gi"),
        ("{{{name}}}-{b}", "{sgd}-0.5"),
        ("run-{'}' if a > 3 else name}", "run-}"),
    ],
)
def test_an_expression_keeps_types_and_units(text: str, value: Any) -> None:
    result = parse_text(text, KNOWN).computed(POINT)
    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize("text", ["num-layers > 1", "1 - num-layers", "lambda > 1", "layers.0.width > 1"])
def test_a_name_that_the_grammar_reads_otherwise_is_refused(text: str) -> None:
    with pytest.raises(Unclear, match=r"reads as a subtraction|a word or a number of the grammar"):
        parse(text, KNOWN)


def test_a_subtraction_is_one_where_no_name_looks_like_it() -> None:
    assert parse("a-b", KNOWN).computed(POINT) == 3.5
    assert parse("'num-layers' == name", KNOWN).value(POINT) is False


@pytest.mark.parametrize("text", ["9 ** 9 ** 9", "a ** 1000", "(-a) ** 0.5", "0 ** -1", "a * 2 ** 52"])
def test_what_has_no_value_that_a_trial_can_hold_is_refused(text: str) -> None:
    with pytest.raises(Unclear):
        parse(text, KNOWN).computed(POINT)


@given(st.integers(-40, 40), st.integers(0, 9))
def test_whole_powers_are_exact(base: int, exponent: int) -> None:
    if abs(base**exponent) <= 2**53:
        assert parse(f"a ** {exponent}", KNOWN).computed({"a": base}) == base**exponent


def trials(
    space: str, sampler: str = "{name: grid}", fixed: str = "{epochs: 3}", more: str = ""
) -> list[dict[str, Any]]:
    parsed = read(space, sampler, fixed, more)
    lines = search.expand(parsed)
    for line in lines:
        point = parsed.fit(line)
        assert point is not None
        assert json.dumps(parsed.line(point)) == json.dumps(line)
    return lines


def test_what_is_computed_is_written_out_in_the_order_of_the_file() -> None:
    lines = trials('{d: [8, 16], ffn: 4 * d, max_epochs: {epochs}, note: "{d}x{ffn}", last: [1]}')
    assert json.dumps(lines) == json.dumps(
        [
            {"d": 8, "ffn": 32, "max_epochs": 3, "note": "8x32", "last": 1},
            {"d": 16, "ffn": 64, "max_epochs": 3, "note": "16x64", "last": 1},
        ]
    )


def test_what_is_computed_from_something_absent_is_absent() -> None:
    lines = trials("{a: [1, 2], b: {type: int, choices: [5], when: {a: 2}}, c: b + 1}")
    assert lines == [{"a": 1}, {"a": 2, "b": 5, "c": 6}]


def test_a_constraint_sees_what_is_computed() -> None:
    assert trials("{a: [1, 2, 3], c: 2 * a}", more="constraints: [c < 5]") == [{"a": 1, "c": 2}, {"a": 2, "c": 4}]


def test_a_group_is_repeated_as_often_as_a_hyperparameter_says() -> None:
    lines = trials('{depth: 1..2, "layer{i}": {repeat: depth, space: {width: [8, 16], out: 2 * width}}}')
    assert len(lines) == 2 + 4
    assert lines[0] == {"depth": 1, "layer0.width": 8, "layer0.out": 16}
    last = {"layer0.width": 16, "layer0.out": 32, "layer1.width": 16, "layer1.out": 32}
    assert lines[-1] == {"depth": 2, **last}


def test_a_group_counts_from_where_its_name_says() -> None:
    assert trials('{"l{i + 1}": {repeat: 2, space: {w: [8]}}}') == [{"l1.w": 8, "l2.w": 8}]


SUB = """{optimizer: {type: choice, choices: {
  sgd: {lr: [1, 2], nesterov: {value: true}}, adam: {lr: [3, 4, 5], nesterov: [false]}, lion: }}, last: [0]}"""


def test_a_choice_brings_its_hyperparameters_with_it() -> None:
    lines = trials(SUB)
    assert [(line["optimizer"], line.get("lr"), line.get("nesterov")) for line in lines] == [
        *(("sgd", lr, True) for lr in (1, 2)),
        *(("adam", lr, False) for lr in (3, 4, 5)),
        ("lion", None, None),
    ]
    assert read(SUB).size == 6


@pytest.mark.parametrize("sampler", ["{name: random, n: 6}", "{name: sobol, n: 6}", "{name: lhs, n: 6}"])
def test_every_sampler_takes_one_name_with_a_domain_a_branch(sampler: str) -> None:
    lines = trials(SUB, sampler)
    assert len({json.dumps(line) for line in lines}) == 6


def test_tpe_learns_of_each_branch_by_itself() -> None:
    from sweep.spaces.history import Observation
    from sweep.spaces.samplers import tpe

    parsed = read(SUB.replace("[3, 4, 5]", "{type: float, low: 3, high: 5}"), "{name: tpe, rounds: 3, per_round: 12}")
    first = tpe.ask(parsed)
    observations = [Observation(point, "succeeded", (float(point.get("lr", 9)),)) for point in first]
    second = tpe.ask(parsed, observations, 2)
    assert len(second) == 12
    assert all(parsed.fit(point) == point for point in (*first, *second))


def test_conditions_may_be_expressions() -> None:
    condition = "when: a > 0 and b == 'x'"
    space = f"{{a: {{type: float, low: 0, high: 1, count: 3}}, b: [x, z], c: {{type: int, choices: [1], {condition}}}}}"
    assert [("c" in line) for line in trials(space)] == [False, False, True, False, True, False]


def test_null_is_a_choice_and_a_table_has_nothing_for_it() -> None:
    parsed = read("{depth: [null, 2, 3], a: [1]}", "{name: grid}")
    assert search.expand(parsed) == [{"depth": None, "a": 1}, {"depth": 2, "a": 1}, {"depth": 3, "a": 1}]
    assert parsed.fit({"a": 1}) == {"depth": None, "a": 1}
    weighted = read("{depth: {type: choice, choices: [null, 2, 3, 4], weights: [7, 1, 1, 1]}}", "{name: random, n: 1}")
    assert weighted.parameters[0].at(0) is None


def test_old_spaces_draw_what_they_drew_beside_what_is_computed() -> None:
    plain = search.expand(read("{a: {type: float, low: 0, high: 1}, b: [1, 2, 3]}", "{name: random, n: 20}"))
    more = search.expand(read("{a: {type: float, low: 0, high: 1}, c: 2 * a, b: [1, 2, 3]}", "{name: random, n: 20}"))
    assert [{name: line[name] for name in ("a", "b")} for line in more] == plain


RAY = """resources: {requests: {cpu: "{num_workers + 1}"}, limits: {memory: "{8 if num_workers > 7 else 4}Gi", d: 1Gi}}
gpu: {count: "{1 if num_workers == 0 else 0}"}
"""


def test_resources_follow_hyperparameters() -> None:
    lines = search.expand(read("{num_workers: 0..15, num_envs_per_worker: 1..15}", "{name: grid}", more=RAY))
    assert len(lines) == 16 * 15
    assert lines[0]["gpu"] == {"count": 1}
    assert lines[-1] == {
        "num_workers": 15,
        "num_envs_per_worker": 15,
        "resources": {"requests": {"cpu": 16}, "limits": {"memory": "8Gi", "d": "1Gi"}},
        "gpu": {"count": 0},
    }


def test_resources_of_what_is_not_there_are_not_asked_for() -> None:
    more = 'resources: {limits: {memory: "{b}Gi"}}\n'
    lines = search.expand(read("{a: [1, 2], b: {type: int, choices: [5], when: {a: 2}}}", "{name: grid}", more=more))
    assert lines == [{"a": 1}, {"a": 2, "b": 5, "resources": {"limits": {"memory": "5Gi"}}}]


LIMIT_AND_IMAGE = f"""limit_seconds: {{size == 'big': "{{600 * epochs}}", epochs > 5: 1200}}
image: {{tag: "{{framework}}-2", digest: {{framework == 'jax': "sha256:{7:064d}"}}}}
resources: {{limits: {{memory: {{size == 'big' and epochs > 5: 32Gi, size == 'big': 16Gi, else: 4Gi}}}}}}
"""


def test_limit_and_image_follow_hyperparameters_and_a_table_gives_the_first_that_holds() -> None:
    space = "{size: [small, big], epochs: [5, 10], framework: [torch, jax]}"
    lines = search.expand(read(space, "{name: grid}", more=LIMIT_AND_IMAGE))
    seen = {(line["size"], line["epochs"]): line for line in lines}
    assert {key: (line.get("limit_seconds"), line["resources"]["limits"]["memory"]) for key, line in seen.items()} == {
        ("small", 5): (None, "4Gi"),
        ("small", 10): (1200, "4Gi"),
        ("big", 5): (3000, "16Gi"),
        ("big", 10): (6000, "32Gi"),
    }
    images = {line["framework"]: line["image"] for line in lines}
    assert images == {"torch": {"tag": "torch-2"}, "jax": {"tag": "jax-2", "digest": f"sha256:{7:064d}"}}


def test_a_constant_may_be_a_table_too() -> None:
    space = "{d: [64, 512], o: [sgd, adam], warmup: {value: {o == 'adam': 500, d > 64: 50}}, w: 2 * warmup}"
    lines = search.expand(read(space, "{name: grid}"))
    assert [(line.get("warmup"), line.get("w")) for line in lines] == [
        (None, None),
        (500, 1000),
        (50, 100),
        (500, 1000),
    ]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            'gpu: {count: "{a / 2}"}',
            r":5: gpu.count: it gives 0.5, not a whole number from 0 to 1024; use // or int\(\)",
        ),
        (
            'resources: {limits: {memory: "{c}Gi"}}',
            r":5: resources.limits.memory: c is not a hyperparameter; known here: a",
        ),
        (
            'resources: {limits: {cpu: "{a > 0}"}}',
            r":5: resources.limits.cpu: it gives True, which is not a quantity; ",
        ),
        ("resources: {memory: 4Gi}", r":5: resources.memory: unknown key; "),
        ("gpu: {count: many}", r":5: gpu.count: it gives many, not a whole number from 0 to 1024; write .* braces"),
        ("limit_seconds: 600 * a", r":5: limit_seconds: it gives 600 \* a, not a whole .* in braces, as in {600 \* a}"),
        (
            "limit_seconds: {a > 0: 5, other: 6}",
            r":5: limit_seconds.other: other is not a hyperparameter; ",
        ),
        ("limit_seconds: {else: 5, a > 0: 6}", r":5: limit_seconds.else: nothing below `else` is looked at; move it "),
        ('limit_seconds: {a > 0: "{0 * a}"}', r":5: limit_seconds.a > 0: it gives 0, not a whole number from 1 to "),
        ("image: {name: x}", r":5: image.name: unknown key; known here: repository, tag, digest"),
        ("image: {tag: 1.1}", r":5: image.tag: it gives 1.1, which is not a tag, .*; put a tag such as 1.10 in quotes"),
        ("image: {digest: 'sha256:{a}'}", r":5: image.digest: it gives sha256:1, which is not sha256: and 64 digits"),
        ("image: registry/train:2", r":5: image: expected a map, got the string 'registry/train:2'; write {tag"),
    ],
)
def test_what_is_no_request_is_refused_with_its_line(more: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        search.expand(read("{a: [1]}", "{name: grid}", more=f"{more}\n"))
