"""The Gaussian process in rounds: a pure function, which needs torch and says so."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

import pytest

from sweep.engines import environments
from sweep.errors import BadInput
from sweep.spaces import search
from sweep.spaces.history import Observation
from sweep.spaces.samplers import gp
from sweep.spaces.space import Space
from tests.unit.test_space import read

LOCK = Path(__file__).resolve().parents[2] / "requirements" / "trainer.lock"
SPACE = "{x: {type: float, low: 0, high: 1}, y: {type: float, low: 0.001, high: 1, log: true}, k: {type: bool}}"


def gp_space(per_round: int = 4, **more: str) -> Space:
    sampler = f"{{name: gp, rounds: 4, per_round: {per_round}, seed: 0}}"
    rest = "".join(f"{key}: {value}\n" for key, value in more.items())
    return read(SPACE, sampler, more=f"objective: {{metric: m, direction: minimize}}\n{rest}")


def loss(point: dict[str, float]) -> float:
    return (point["x"] - 0.3) ** 2 + (0.0 if point["k"] else 0.1)


def first(count: int = 12) -> list[Observation]:
    """So many points of the start, and what they gave."""
    start = read(SPACE, f"{{name: gp, rounds: 1, per_round: {count}, seed: 0}}", more="")
    return [Observation(point, "succeeded", (loss(point),)) for point in gp.ask(start)]


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch, from here or from the trainer's environment."""
    for place in sorted((environments.folder(LOCK) / "lib").glob("python*/site-packages")):
        monkeypatch.setattr(sys, "path", [*sys.path, str(place)])
    if not importlib.util.find_spec("torch"):
        pytest.skip("no torch here: `make gp`, or any sweep of the trainer, brings it")


@pytest.mark.usefixtures("torch")
@pytest.mark.filterwarnings("ignore")
def test_a_round_is_pure_allowed_new_spread_and_near_the_best() -> None:
    space = gp_space(constraints='["x < 0.9"]')
    observations = first()
    points = gp.ask(space, observations, 2)
    assert points == gp.ask(space, observations, 2)
    assert points != gp.ask(space, observations, 3), "a round has its own seed"
    assert len({str(point) for point in [*points, *(known.point for known in observations)]}) == len(points) + 12
    assert all(point["x"] < 0.9 for point in points)
    assert sum(abs(point["x"] - 0.3) < 0.2 and point["k"] for point in points) >= 2
    assert min(abs(a["y"] - b["y"]) + abs(a["x"] - b["x"]) for a in points for b in points if a is not b) > 0.005


@pytest.mark.usefixtures("torch")
@pytest.mark.filterwarnings("ignore")
def test_what_failed_diverged_or_runs_is_no_obstacle() -> None:
    space = gp_space()
    observations = first()
    for place, state in enumerate(("failed", "diverged", "running", "pruned")):
        observations[place] = Observation(observations[place].point, state)
    assert len(gp.ask(space, observations, 2)) == 4
    assert len(gp.ask(space, [Observation(known.point, "failed") for known in observations], 2)) == 4


@pytest.mark.usefixtures("torch")
@pytest.mark.filterwarnings("ignore")
def test_where_the_best_is_forbidden_it_goes_to_the_edge_of_what_is_allowed() -> None:
    space = gp_space(constraints='["x > 0.4"]')
    points = gp.ask(space, [known for known in first(20) if known.point["x"] > 0.4], 2)
    assert all(point["x"] > 0.4 for point in points)
    assert sum(point["x"] < 0.5 and point["k"] for point in points) >= 2, "as random it would be every twelfth"


def test_replicates_are_told_one_by_one() -> None:
    space = gp_space()
    point = {"x": 0.5, "y": 0.1, "k": True}
    trials = gp._trials(space, Observation(point, "succeeded", (2.0,), each=((1.0,), (3.0,))), (9.0,))
    assert [trial.values for trial in trials] == [[1.0], [3.0]]
    assert [trial.values for trial in gp._trials(space, Observation(point, "diverged"), (9.0,))] == [[9.0]]


def test_a_space_with_branches_is_refused_with_what_takes_it() -> None:
    branches = "{k: {type: bool}, x: {type: float, low: 0, high: 1, when: {k: true}}}"
    with pytest.raises(BadInput, match=r"space\.x: not in every point, and gp needs that; take tpe, or a sweep for"):
        read(branches, "{name: gp, rounds: 2, per_round: 2}", more="objective: {metric: m, direction: minimize}\n")


def test_without_torch_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr("sweep.spaces.sampler.version", version)
    with pytest.raises(BadInput, match=r"^sampler gp: torch is not installed; `pip install 'helm-sweep\[gp\]'`"):
        search.first(gp_space())
