"""`auto` stands for another sampler: by the space and n alone, and to the byte as if that one were written there."""

from __future__ import annotations

import pytest

from sweep.spaces import search
from tests.unit.test_space import read

FLOATS = ", ".join(f"x{number}: {{type: float, low: 0, high: 1}}" for number in range(5))
FINITE = "{a: [1, 2, 3], b: [true, false]}"
BRANCHES = "{kind: [a, b], x: {type: float, low: 0, high: 1, when: {kind: a}}}"


@pytest.mark.parametrize(
    ("space", "given", "taken", "why"),
    [
        (FINITE, "n: 6", "{name: grid}", "the space has 6 points, and n is 6"),
        (FINITE, "n: 5", "{name: sobol, n: 5, seed: 0}", "n is 5, and rounds pay from 24 on"),
        (f"{{{FLOATS}}}", "n: 23, seed: 3", "{name: sobol, n: 23, seed: 3}", "n is 23, and rounds pay from 24 on"),
        (f"{{{FLOATS}}}", "n: 24", "{name: tpe, rounds: 3, per_round: 8, seed: 0}", "5 hyperparameters are in every"),
        ("{x: {type: float, low: 0, high: 1}}", "n: 50", "{name: tpe, rounds: 6, per_round: 8, seed: 0}", "gp may do"),
        (BRANCHES, "n: 100", "{name: sobol, n: 100, seed: 0}", "tpe may settle in a branch"),
    ],
)
def test_what_is_taken_is_as_if_it_were_written(space: str, given: str, taken: str, why: str) -> None:
    of_auto, written = read(space, f"{{name: auto, {given}}}"), read(space, taken)
    assert of_auto.sampled.startswith(f"{written.sampled}, by auto: ")
    assert why in of_auto.sampled
    assert (of_auto.sampler, of_auto.options, of_auto.digest) == (written.sampler, written.options, written.digest)
    assert search.expand(of_auto) == search.expand(written)


def test_replicates_stay() -> None:
    of_auto = read(FINITE, "{name: auto, n: 6, replicates: 3}")
    assert (of_auto.replicates, len(search.expand(of_auto))) == (3, 18)
    assert of_auto.digest == read(FINITE, "{name: grid, replicates: 3}").digest
