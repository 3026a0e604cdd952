"""Spaces of real projects in our terms: each gives the trials that its authors meant. docs/search.md has the table."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sweep import yamlfile
from sweep.spaces import search, spacefile
from sweep.spaces.domain import BITS
from sweep.spaces.space import Space
from tests.unit.spaces import SCHEMA

FOLDER = Path(__file__).parent / "real_spaces"
Trials = Sequence[dict[str, Any]]


def load(path: Path) -> Space:
    return spacefile.read(yamlfile.load(path, path.name, helm=False), SCHEMA)


def shares(space: Space, name: str, n: int = 1000) -> Counter[str]:
    """How many of `n` evenly spread draws of a hyperparameter each value has."""
    (parameter,) = (parameter for parameter in space.parameters if parameter.name == name)
    return Counter(json.dumps(parameter.at((2 * k + 1) * 2**BITS // (2 * n))) for k in range(n))


def distributions(space: Space, trials: Trials) -> bool:
    rates = shares(space, "lr")
    assert list(rates) == ["0.01", "0.02", "0.03", "0.04", "0.05"]
    assert max(rates, key=rates.__getitem__) == "0.03"
    assert set(shares(space, "epochs")) == {"1", "2", "3"}
    sizes = shares(space, "batch_size")
    assert 44 <= sorted(int(size) for size in sizes.elements())[500] <= 46
    return all(0.001 <= trial["momentum"] <= 1 for trial in trials)


def hyperband(space: Space, trials: Trials) -> bool:
    assert search.most_trials(space) == 12 + 6 + 3
    return all(trial["num-layers"] < 5 or trial["optimizer"] != "ftrl" for trial in trials)


def nested(space: Space, trials: Trials) -> bool:
    assert space.size == (1 + 4 + 3 + 3) ** 4
    sizes = {"Empty": None, "Conv": "kernel_size", "Max_pool": "pooling_size", "Avg_pool": "pooling_size"}
    for trial in trials:
        for layer in range(4):
            own = {name.split(".")[1] for name in trial if name.startswith(f"layer{layer}.")}
            assert own == {"_name", sizes[trial[f"layer{layer}._name"]]} - {None}
    return len({trial["layer0._name"] for trial in trials}) == 4


def ppo(space: Space, trials: Trials) -> bool:
    cut = [trial for trial in trials if trial["batch"] > trial["n_steps"]]
    assert cut
    assert all(trial["batch_size"] == trial["n_steps"] for trial in cut)
    assert {math.log2(trial["n_steps"]) for trial in trials} <= set(range(5, 12))
    assert all(0.97 <= trial["gamma"] <= 0.9999 for trial in trials)
    middle = shares(space, "gamma", 3)
    assert 1 - float(list(middle)[1]) == pytest.approx(math.sqrt(0.03 * 0.0001), rel=1e-3)
    arch = {trial["net"]: trial["net_arch.pi"] for trial in trials}
    return arch == {"tiny": [64], "small": [64, 64], "medium": [256, 256]}


def by_count(_space: Space, trials: Trials) -> bool:
    return sorted({trial["learning_rate"] for trial in trials}) == [0.001, 0.02575, 0.0505, 0.07525, 0.1]


def weighted(space: Space, _trials: Trials) -> bool:
    return shares(space, "dropout") == {"0.25": 800, "0.3": 200}


def resources(_space: Space, trials: Trials) -> bool:
    return all(
        trial["resources"]["requests"]["cpu"] == trial["num_workers"] + 1
        and trial["gpu"]["count"] == (trial["num_workers"] == 0)
        for trial in trials
    )


def none(space: Space, trials: Trials) -> bool:
    assert space.hyperparameters["evaluation_config.env_config.obs_filter"] is None
    return {(trial["env_config.obs_filter"] is None) for trial in trials} == {True, False}


def hydra(space: Space, _trials: Trials) -> bool:
    assert search.most_trials(space) == 25
    return [parameter.name for parameter in space.parameters][:2] == ["datamodule.batch_size", "model.lr"]


def tabular(space: Space, trials: Trials) -> bool:
    assert shares(space, "max_depth") == {"null": 700, "2": 100, "3": 100, "4": 100}
    features = shares(space, "max_features", 4500)
    assert features['"sqrt"'] == 2 * features['"log2"'] == 2 * features["null"] == 2 * 9 * features["0.5"]
    assert shares(space, "min_impurity_decrease")["0.0"] == 850
    return all(10 <= trial["n_estimators"] <= 3000 for trial in trials)


def adaptive(_space: Space, trials: Trials) -> bool:
    return {trial["batches"] for trial in trials} == {58} and all(8 <= trial["n_filters2"] <= 72 for trial in trials)


MEANT: dict[str, tuple[int, Callable[[Space, Trials], bool]]] = {
    "01-katib-distributions": (12, distributions),
    "02-katib-hyperband": (12, hyperband),
    "03-katib-median": (15, lambda _space, trials: {trial["num-epochs"] for trial in trials} == {3, 4}),
    "04-nni-nested": (40, nested),
    "05-optuna-ppo": (60, ppo),
    "06-grid-by-count": (40, by_count),
    "07-random-weighted": (20, weighted),
    "08-ray-resources": (240, resources),
    "09-ray-none": (9, none),
    "10-hydra-optuna": (5, hydra),
    "11-wandb-tabular": (50, tabular),
    "12-determined-adaptive": (16, adaptive),
}
"""How many trials are expanded (at first, of a search in rounds), and what holds for them."""


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_real_space_gives_the_trials_that_were_meant(path: Path) -> None:
    space = load(path)
    trials = search.first(space).trials
    due, holds = MEANT[path.stem]
    assert len(trials) == due
    assert holds(space, trials)


def test_each_has_its_laws() -> None:
    assert sorted(MEANT) == sorted(path.stem for path in FOLDER.glob("*.yaml"))
