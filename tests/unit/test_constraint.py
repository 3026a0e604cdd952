"""Constraints: what they mean, what they refuse, and that nothing is ever executed."""

from __future__ import annotations

import contextlib
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.spaces.constraint import parse
from sweep.spaces.evaluation import Unclear

KNOWN = {name: name for name in ("a", "b", "flag", "name", "optimizer.lr")}
POINT = {"a": 4, "b": 0.5, "flag": True, "name": "sgd", "optimizer.lr": 0.1}


def holds(text: str, point: dict[str, Any] | None = None) -> bool:
    return parse(text, KNOWN).holds(POINT if point is None else point)


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("a * b <= 2", True),
        ("a * b < 2", False),
        ("1 < a < 5", True),
        ("1 < a < 4", False),
        ("a // 3 == 1 and a % 3 == 1", True),
        ("a / 8 == b", True),
        ("-a + 4 == 0", True),
        ("not flag", False),
        ("flag and a > 1", True),
        ("flag == true", True),
        ("flag == 1", False),  # true is not 1
        ("name == 'sgd' or a > 100", True),
        ("name in ['adam', \"lion\"]", False),
        ("name not in ['adam']", True),
        ("name < 'zzz'", True),
        ("optimizer.lr >= 0.1", True),
        ("a == 4.0", True),
    ],
)
def test_a_constraint_means_what_it_says(text: str, true: bool) -> None:
    assert holds(text) is true


def test_one_that_names_what_the_point_lacks_does_not_apply() -> None:
    assert holds("a > 100 and b > 100", {"a": 1})
    assert not holds("a > 100", {"a": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a <", "; write one, as in `a * b <= 512`"),
        ("c < 1", "c is not a hyperparameter; known here: a, b, flag, name, optimizer.lr"),
        ("1 < 2", "it names no hyperparameter; write a comparison, as in `a * b <= 512`"),
        ("open('x') == a", "`open('x')` is not supported; "),
        ("a.__class__ == 1", "a.__class__ is not a hyperparameter; "),
        ("(lambda: a)() < 1", " is not supported; "),
        ("[x for x in a]", " is not supported; "),
        ("a[0] < 1", " is not supported; "),
        ("a is b", " is not supported; "),
        ("f'{a}' == name", " is not supported; "),
        ("(a := 1) < 2", " is not supported; "),
        ("a < 1" + " + 1" * 400, "1605 characters, at most 1000 are read; "),
        ("(" * 300 + "a" + ")" * 300, "not an expression: "),
    ],
)
def test_what_is_not_known_is_refused_before_any_point(text: str, message: str) -> None:
    with pytest.raises(Unclear) as caught:
        parse(text, KNOWN)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a * b", "it gives 2.0, not true or false; write a comparison, as in `a * b <= 512`"),
        ("a / (b - 0.5) < 1", "division by zero at a=4, b=0.5; rule that out, as in `b > 0 and a / b < 2`"),
        ("name * 2 == 'sgdsgd'", "`name` is 'sgd', and there is no arithmetic with it; use numbers"),
        ("flag + 1 == 2", "`flag` is True, and there is no arithmetic with it; use numbers"),
        ("name < a", "'sgd' is a string and 4 a number; they have no order"),
        ("a and flag", "`a` is 4, not true or false; write a comparison"),
        ("a in b", "`in` needs a list, 0.5 is a number; write `in [a, b]`"),
    ],
)
def test_what_only_a_point_shows_is_told_with_its_values(text: str, message: str) -> None:
    with pytest.raises(Unclear) as caught:
        holds(text)
    assert str(caught.value) == message


DEEP = [
    "a" + " * a" * 240 + " < 1",
    "-" * 900 + "a < 1",
    "not " * 240 + "flag",
    "a < " + "1+" * 400 + "1",
    ".".join(["a"] * 480) + " < 1",
    "a < " + "9" * 990,
    "a < 1e999",
    "(" * 10_000 + "a" + ")" * 10_000,
    "a < " + "9" * 10_000,
    "a < 2 ** 9 ** 9 ** 9",
    "a" + " < a" * 240,
    "a in [" + "1, " * 300 + "1]",
]


@pytest.mark.parametrize("text", DEEP, ids=lambda text: text[:12])
def test_however_deep_or_large_it_holds_or_is_refused_in_words(text: str) -> None:
    with contextlib.suppress(Unclear):
        holds(text, POINT | {"a": 2**53})


OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
COMPARISONS = {"<": operator.lt, "<=": operator.le, "==": operator.eq, ">": operator.gt, "!=": operator.ne}


@given(
    st.sampled_from(sorted(OPERATORS)),
    st.sampled_from(sorted(COMPARISONS)),
    st.integers(-50, 50),
    st.integers(-50, 50),
    st.integers(-2500, 2500),
)
def test_arithmetic_is_that_of_python(sign: str, comparison: str, a: int, b: int, limit: int) -> None:
    due = COMPARISONS[comparison](OPERATORS[sign](a, b), limit)
    assert holds(f"a {sign} b {comparison} {limit}", {"a": a, "b": b}) is due
