"""Laws of all spaces, over random ones that have every feature: bounds, determinism, extension, conditions, replay.

`pytest --hypothesis-profile thousand tests/unit/test_any_space.py` tries a thousand of them.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from sweep import yamlfile
from sweep.errors import BadInput
from sweep.spaces import search
from sweep.spaces.domain import OUTSIDE
from sweep.spaces.space import Space, is_active
from tests.unit.spaces import read

N = 8
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.sampled_from(["a", "b", "sgd"]))


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, Any]:
    """A range of any kind."""
    kind = draw(st.sampled_from(["int", "float"]))
    low = draw(st.integers(1, 50))
    high = low + draw(st.integers(1, 200))
    domain: dict[str, Any] = {"type": kind, "low": low, "high": high}
    extra = draw(st.sampled_from(["", "log", "step", "log step", "count", "normal", "log normal", "base", "reverse"]))
    if extra == "base":
        return {"type": kind, "low": draw(st.integers(0, 3)), "high": draw(st.integers(4, 9)), "base": 2}
    if extra == "reverse":
        return {"type": "float", "low": low / 100, "high": 0.999, "log": "reverse"}
    domain |= {"log": True} if "log" in extra else {}
    domain |= {"step": draw(st.integers(1, high - low))} if "step" in extra else {}
    domain |= {"count": 2} if extra == "count" else {}
    normal = draw(st.one_of(st.just(True), st.fixed_dictionaries({"mean": st.just(low), "sd": st.integers(1, 99)})))
    return domain | ({"normal": normal if "log" not in extra else True} if "normal" in extra else {})


@st.composite
def listed(draw: st.DrawFn) -> dict[str, Any]:
    """Choices, with weights or without."""
    values = draw(st.lists(SCALARS, min_size=1, max_size=4, unique_by=json.dumps))
    weights = draw(st.one_of(st.none(), st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values))))
    return {"type": "choice", "choices": values, **({"weights": weights} if weights else {})}


@st.composite
def spaces(draw: st.DrawFn) -> str:
    """The text of `space:`, in which each feature may be."""
    domains = st.one_of(ranges(), listed())
    space: dict[str, Any] = {"kind": {"type": "choice", "choices": ["x", "y"]}, "first": draw(ranges())}
    features = draw(
        st.lists(st.sampled_from(["when", "only", "computed", "group", "sub", "copy", "text"]), unique=True)
    )
    for feature in features:
        if feature == "when":
            space["a"] = {**draw(domains), "when": {"kind": "x"}}
        elif feature == "only":
            space["b"] = {**draw(domains), "when": f"first > {draw(st.integers(-9, 200))} and kind == 'y'"}
        elif feature == "computed":
            space["c-c"] = draw(
                st.sampled_from(
                    ["2 * first", "first ** 0.5", "1 if kind == 'x' else null", "a"][: 4 if "a" in space else 3]
                )
            )
        elif feature == "group":
            space["depth"] = f"0..{draw(st.integers(1, 3))}"
            space["layer{i}"] = {"repeat": "depth", "space": {"w": draw(ranges()), "out": "2 * w"}}
        elif feature == "sub":
            branches = {"s": {"lr": draw(ranges()), "z": {"value": 0.5}}, "t": {"lr": draw(domains)}, "u": None}
            space["sub"] = {"type": "choice", "choices": branches}
        else:
            space[f"{feature}.of.first"] = "first" if feature == "copy" else "{kind}-{first}"
    space["last"] = draw(domains)
    return yamlfile.flow(space)


def trials(space: Space) -> list[str]:
    return [yamlfile.flow(trial) for trial in search.first(space).trials]


@given(spaces(), st.sampled_from(["random", "sobol", "lhs"]), st.integers(0, 99), st.booleans())
def test_any_space_keeps_its_laws(text: str, sampler: str, seed: int, constrained: bool) -> None:
    more = "constraints: [\"kind == 'x' or last != 3\"]\n" if constrained else ""
    options = f"{{name: {sampler}, n: %d, seed: {seed}}}"
    try:
        space = read(text, options % N, more=more)
        lines = trials(space)
    except BadInput as error:
        if "sampler.n: " not in str(error):
            raise
        event("fewer points than are due")
        return
    assert len(set(lines)) == N
    assert trials(read(text, options % N, more=more)) == lines, "the same again"
    if sampler != "lhs":
        assert trials(read(text, options % 3, more=more)) == lines[:3], "more points keep those that are there"
    for line in map(json.loads, lines):
        point = space.fit(line)
        assert point is not None
        assert yamlfile.flow(space.line(point)) == yamlfile.flow(line), "read back from a table it is the same trial"
        assert not space.objection(point)
        for parameter in space.parameters:
            if is_active(parameter, point):
                assert parameter.fit(line[parameter.name]) is not OUTSIDE
        for computed in space.computed:
            assert (computed.name in line) <= any(
                is_active(other, point) for other in (*space.computed, *space.parameters) if other.name == computed.name
            )
