"""Names of hyperparameters in trials by hand: misspelt ones are refused with their line, new ones are mentioned."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import expand
import plan
import submit
from sweep import settings as values_settings
from sweep.engines.engine import Options
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.session import open_sweep
from sweep.spaces import strangers, valuesfile
from sweep.spaces.block import Section
from sweep.spaces.strangers import nearest
from tests.unit.test_space import read

SPACE = read("{learning_rate: {type: float, low: 0.01, high: 1}, beta1: {type: float, low: 0, high: 1}}")
EXPANDED: list[dict[str, Any]] = [{"learning_rate": 0.1, "beta1": 0.9}]
NAMES = st.from_regex(r"[a-z]{6,12}", fullmatch=True)


def notes(*by_hand: dict[str, Any], space: bool = True, **head: Any) -> list[str]:
    head = {"sweep": "demo", "objective": {"metric": "m", "direction": "minimize"}, **head}
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in head.items()) + "trials:\n"
    if space:
        text += "  # expanded from space.yaml: not yet\n  # end\n"
    text += "".join(f"  - {json.dumps(trial)}\n" for trial in by_hand)
    values = valuesfile.parse(text, "v.yaml")
    if space:
        values = valuesfile.parse(valuesfile.with_sections(values, SPACE, [Section("", tuple(EXPANDED))]), "v.yaml")
    return strangers.notes(values, SPACE if space else None, values_settings.of(head))


def slipped(name: str) -> st.SearchStrategy[str]:
    """The name with one slip of the fingers."""

    def at(place: int) -> st.SearchStrategy[str]:
        left, right = name[:place], name[place:]
        return st.one_of(
            st.just(left + right[1:]),
            st.just(left + right[:1] * 2 + right[1:]),
            st.just(left + right[1:2] + right[:1] + right[2:]),
            st.sampled_from("aeiouxyz_").map(lambda letter: left + letter + right[1:]),
        )

    return st.integers(1, len(name) - 2).flatmap(at)


@settings(max_examples=50)
@given(st.data(), st.sampled_from(["learning_rate", "warmup_epochs", "momentum", "seed"]))
def test_whatever_slip_of_the_fingers_is_refused_with_the_name_that_was_meant(data: st.DataObject, name: str) -> None:
    wrong = data.draw(slipped(name))
    assume(wrong.replace("_", "") != name.replace("_", ""))
    head: dict[str, Any] = {"hyperparameters": {"warmup_epochs": 3}, "command": ["train", "{momentum?}"]}
    with pytest.raises(
        BadInput, match=rf"v\.yaml:9: trials: {wrong} is not .* did you mean {name}\?.*{{{wrong}: null}}`$"
    ):
        notes({"beta1": 0.5, wrong: 1}, **head)
    head["hyperparameters"] = {"warmup_epochs": 3, wrong: None}
    assert notes({"beta1": 0.5, wrong: 1}, **head) == []


@settings(max_examples=30)
@given(NAMES, NAMES)
def test_a_slip_is_as_far_as_it_is_back(name: str, other: str) -> None:
    assert strangers.slips(name, other) == strangers.slips(other, name) <= max(len(name), len(other))
    assert strangers.slips(name, name) == 0


def test_names_of_the_space_of_all_trials_of_the_command_and_of_every_trial_are_no_news() -> None:
    trial = {"learning_rate": 1, "beta1": 0.5, "epochs": 2, "momentum": 0.9, "seed": 1, "gpu": {"count": 0}}
    assert notes(trial, hyperparameters={"epochs": 3}, command=["t", "--momentum={momentum?}"]) == []


@pytest.mark.parametrize(
    "names", [("beta1", "beta2"), ("lr", "l2"), ("x", "y"), ("dropout", "depth"), ("decay", "decay_bias")]
)
def test_names_that_are_two_names_are_not_taken_for_one(names: tuple[str, str]) -> None:
    assert nearest(names[0], names[1:]) == ""


def test_separators_and_case_are_no_difference() -> None:
    assert nearest("batchSize", ["batch_size", "epochs"]) == "batch_size"


def test_a_name_like_none_is_mentioned_once_with_its_first_line() -> None:
    assert notes({"beta1": 1, "dropout": 0.1}, {"beta1": 1, "dropout": 0.2}) == [
        "v.yaml:7: dropout is set by 2 trials by hand, by nothing else of the sweep"
    ]


def test_a_trial_that_sets_both_names_means_both() -> None:
    (note,) = notes({"learning_rate": 1, "learning_rates": 2})
    assert "learning_rates is set by 1 trial by hand" in note


def test_without_a_space_the_trials_speak_for_each_other() -> None:
    with pytest.raises(BadInput, match=r"v\.yaml:6: trials: momentm is not .* did you mean momentum\?"):
        notes({"momentum": 1}, {"momentum": 2}, {"momentm": 3}, space=False)
    assert notes({"momentum": 1, "x": 1}, {"momentm": 2, "x": 1}, space=False) == [
        "v.yaml:4: momentum is set by 1 trial by hand, by nothing else of the sweep",
        "v.yaml:5: momentm is set by 1 trial by hand, by nothing else of the sweep",
    ], "nobody can say which of the two is wrong"
    assert notes({"momentum": 1}, space=False) == []


def test_plan_and_submit_refuse_it_before_anything_is_rendered(clone: Clone) -> None:
    expand.main(["demo"], clone)
    with clone.sweep("demo").values.open("a") as values:
        values.write('  - {"max_learning_rate": 0.3, "batchsize": 512}\n')
    clone.base.write_text("local: {}\n")
    session = open_sweep(clone, "demo")
    for verb in (lambda: plan.run(session), lambda: submit.run(session, {}, Options())):
        with pytest.raises(BadInput, match="batchsize is not a hyperparameter of this sweep; did you mean batch_size"):
            verb()


@pytest.mark.parametrize("sweep", Clone.here().sweeps)
def test_no_sweep_of_the_tree_has_a_misspelt_name(sweep: str) -> None:
    open_sweep(Clone.here(), sweep).check_names()
