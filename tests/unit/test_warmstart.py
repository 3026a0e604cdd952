"""A search that begins with what was good before."""

from __future__ import annotations

import pytest

from sweep import yamlfile
from sweep.errors import BadInput
from sweep.records import results
from sweep.records.results import Row
from sweep.spaces import search, spacefile
from sweep.spaces.space import Space
from sweep.spaces.warmstart import Past
from tests.unit.searching import row
from tests.unit.spaces import SCHEMA

AT = "3f" * 20
VALUES = {0.1: 5.0, 0.2: 1.0, 0.3: 3.0}


def table(engine: str = "local") -> list[Row]:
    return [row({"lr": lr, "old": 1}, {"m": value}, engine=engine) for lr, value in VALUES.items()]


def read(entry: str, rows: list[Row] | None = None, space: str = "{lr: {type: float, low: 0.01, high: 1}}") -> Space:
    data = results.to_csv(table() if rows is None else rows)
    past = Past(lambda name: data if name == AT else None, lambda path: AT if path == "values/o/results.csv" else None)
    head = "objective: {metric: m, direction: minimize}\nsampler: {name: random, n: 2}\n"
    text = f"{head}space: {space}\nwarm_start: [{{from: values/o/results.csv, because: it was good, {entry}}}]\n"
    return spacefile.read(yamlfile.parse(text, "space.yaml", helm=False), SCHEMA, past)


def test_the_best_come_first_and_the_samplers_own_after_them() -> None:
    space = read(f"at: {AT}, best: 2")
    trials = search.expand(space)
    assert trials[:2] == [{"lr": 0.2}, {"lr": 0.3}]
    assert len(trials) == 4
    assert search.expand(read(f"at: {AT}, best: 2")) == trials


@pytest.mark.parametrize(
    ("entry", "rows", "space", "problem"),
    [
        ("best: 2", None, None, f"4: warm_start[0]: at is missing, which says what table it was; write `at: {AT}`, "),
        (f"at: {'ab' * 20}", None, None, "4: warm_start[0].at: abababababab is not in this clone; "),
        ("at: abc", None, None, "4: warm_start[0].at: 'abc' does not match "),
        (f"at: {AT}", [], None, "4: warm_start[0]: no trial there has a m on local; name another table"),
        (
            f"at: {AT}",
            [*table(), *table("cluster")],
            None,
            "rows of cluster and local are there; write `engine: cluster`",
        ),
        (
            f"at: {AT}",
            None,
            "{lr: [1, 2]}",
            "{lr: 0.2} is not a point of this space: lr 0.2 is outside its domain; widen it",
        ),
    ],
)
def test_what_is_no_table_or_no_point_is_refused(
    entry: str, rows: list[Row] | None, space: str | None, problem: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(entry, rows, space or "{lr: {type: float, low: 0.01, high: 1}}")
    assert problem in str(caught.value)
