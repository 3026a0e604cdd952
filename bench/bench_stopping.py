"""What does stopping trials save, and what does it cost? Rules played over learning curves of real trainings.

    make bench-stopping

Trains 81 configurations of a small network on scikit-learn's digits for 27 epochs, once a seed, keeps the curves in
out/bench/, and plays every rule over them on 8 simulated workers, each epoch taking the CPU time that it took. The rule
is ours as the runner applies it (chart/files/rules.py), Optuna's SuccessiveHalvingPruner and Ray Tune's ASHA, asked as
their own programs; halving is in committed rounds. Prints the table of docs/search.md: the epochs trained as a share of
running all, the time until the last trial ends likewise, and the regret, in points of accuracy: by how much the
configuration that is picked ends below the best of all.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import platform
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "chart" / "files"))

import rules  # noqa: E402

TRIALS, EPOCHS, ETA, WORKERS = 81, 27, 3, 8
METRIC = "accuracy"


@dataclass(frozen=True)
class Curves:
    """Of all configurations with one seed."""

    accuracy: list[list[float]]
    """[trial][epoch]"""
    seconds: list[float]
    """CPU time of an epoch, by trial."""


class Policy(Protocol):
    def goes_on(self, trial: int, epoch: int, value: float) -> bool:
        """Whether a trial that had a value after an epoch, counted from 1, is trained further."""


class Whole:
    """Nothing is stopped."""

    def goes_on(self, *_: float) -> bool:
        return True


class Ours:
    """The runner's: judged by the highest rung that was reached, again after every epoch."""

    def __init__(self, rule: str, min_peers: int) -> None:
        self.rule: dict[str, Any] = {
            "rule": rule, "min": 1, "eta": ETA, "max": EPOCHS, "min_peers": min_peers, "metric": METRIC,
            "direction": "maximize",
        }  # fmt: skip
        self.rungs: dict[float, dict[str, tuple[float, float]]] = {}

    def goes_on(self, trial: int, epoch: int, value: float) -> bool:
        rung = rules.rung_at(self.rule, epoch)
        if rung is None or epoch == EPOCHS:
            return True
        there = self.rungs.setdefault(rung, {})
        step, kept = there.setdefault(str(trial), (epoch, value))
        peers = rules.comparable(str(trial), step, ((name, *point) for name, point in there.items()))
        return rules.by_rung(self.rule, (rung, step, kept), peers) is None


class Optuna:
    def __init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA, min_early_stopping_rate=0)
        self.study = optuna.create_study(direction="maximize", pruner=pruner)
        self.trials: dict[int, Any] = {}
        self.pruned = optuna.trial.TrialState.PRUNED

    def goes_on(self, trial: int, epoch: int, value: float) -> bool:
        asked = self.trials.setdefault(trial, None) or self.study.ask()
        self.trials[trial] = asked
        asked.report(value, epoch)
        if epoch < EPOCHS and asked.should_prune():
            self.study.tell(asked, state=self.pruned)
            return False
        if epoch == EPOCHS:
            self.study.tell(asked, value)
        return True


class Ray:
    def __init__(self) -> None:
        from ray.tune.schedulers.async_hyperband import AsyncHyperBandScheduler

        self.scheduler: Any = AsyncHyperBandScheduler(
            time_attr="epoch", metric=METRIC, mode="max", max_t=EPOCHS, grace_period=1, reduction_factor=ETA
        )
        self.known = set[int]()

    def goes_on(self, trial: int, epoch: int, value: float) -> bool:
        asked = type("Trial", (), {"trial_id": str(trial)})()  # all that the scheduler asks of one
        if trial not in self.known:
            self.known.add(trial)
            self.scheduler.on_trial_add(None, asked)
        answer = self.scheduler.on_trial_result(None, asked, {"epoch": epoch, METRIC: value})
        return epoch == EPOCHS or answer != "STOP"


@dataclass(frozen=True)
class Played:
    """What a rule made of a sweep."""

    reached: list[int]
    """Epochs of each trial."""
    ended_at: float
    """Seconds until the last worker was done."""


def play(curves: Curves, policy: Policy, order: list[int]) -> Played:
    """The trials in their order on WORKERS workers, each asked about after every epoch."""
    reached = [0] * TRIALS
    waiting = iter(order)
    now = 0.0
    running = [(curves.seconds[trial], trial) for trial in (next(waiting) for _ in range(WORKERS))]
    heapq.heapify(running)
    while running:
        now, trial = heapq.heappop(running)
        reached[trial] += 1
        goes_on = policy.goes_on(trial, reached[trial], curves.accuracy[trial][reached[trial] - 1])
        following = trial if goes_on and reached[trial] < EPOCHS else next(waiting, None)
        if following is not None:
            heapq.heappush(running, (now + curves.seconds[following], following))
    return Played(reached, now)


def halving(curves: Curves, order: list[int]) -> Played:
    """Committed rounds: the best third of each goes on from its checkpoint when the whole round has ended."""
    reached, standing, ended = [0] * TRIALS, list(order), 0.0
    rung = 1
    while True:
        workers = [0.0] * WORKERS
        for trial in standing:
            start = heapq.heappop(workers)
            heapq.heappush(workers, start + curves.seconds[trial] * (rung - reached[trial]))
            reached[trial] = rung
        ended += max(workers)
        if rung == EPOCHS:
            return Played(reached, ended)
        standing.sort(key=lambda trial: curves.accuracy[trial][rung - 1], reverse=True)
        standing = standing[: len(standing) // ETA]
        rung *= ETA


def regret(curves: Curves, played: Played) -> float:
    """Of the trial with the best value among those that were trained longest, in points of accuracy."""
    longest = max(played.reached)
    picked = max(
        (trial for trial in range(TRIALS) if played.reached[trial] == longest),
        key=lambda trial: curves.accuracy[trial][longest - 1],
    )
    final = [curve[-1] for curve in curves.accuracy]
    return 100 * (max(final) - final[picked])


# ---- the curves ----


def configurations() -> Iterator[dict[str, Any]]:
    """The same for every seed: what differs between seeds is the training."""
    rng = random.Random(0)
    for _ in range(TRIALS):
        yield {
            "learning_rate_init": 10 ** rng.uniform(-4, 0.5),
            "hidden_layer_sizes": (rng.choice([8, 16, 32, 64, 128]),),
            "batch_size": rng.choice([8, 16, 32, 64, 128]),
            "alpha": 10 ** rng.uniform(-6, 1),
            "momentum": rng.uniform(0, 0.99),
            "activation": rng.choice(["relu", "tanh", "logistic"]),
        }


def record(seed: int, cache: Path) -> Curves:
    """The curves of a seed, trained where the cache does not have them."""
    path = cache / f"stopping-{seed}.json"
    if path.exists():
        return Curves(**json.loads(path.read_text()))
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images / 16, labels, test_size=0.5, random_state=0)
    accuracy, seconds = [], []
    warnings.simplefilter("ignore")  # a diverging training warns at every epoch
    for number, configuration in enumerate(configurations()):
        model = MLPClassifier(solver="sgd", random_state=1000 * seed + number, **configuration)
        began, curve = time.process_time(), []
        for _ in range(EPOCHS):
            try:
                model.partial_fit(train_x, train_y, classes=range(10))
                curve.append(float(model.score(test_x, test_y)))
            except ValueError:  # weights that are not finite any more
                curve.append(0.1)
        accuracy.append(curve)
        seconds.append((time.process_time() - began) / EPOCHS)
    cache.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"accuracy": accuracy, "seconds": seconds}))
    return Curves(accuracy, seconds)


# ---- the table ----

POLICIES: dict[str, Callable[[], Policy]] = {
    "all to the end": Whole,
    f"asha, min_peers {ETA * ETA} (the default)": lambda: Ours("asha", ETA * ETA),
    "asha, min_peers 0": lambda: Ours("asha", 0),
    f"asha, min_peers {TRIALS - 1}": lambda: Ours("asha", TRIALS - 1),
    f"median, min_peers {ETA * ETA}": lambda: Ours("median", ETA * ETA),
    "Optuna's SuccessiveHalvingPruner": Optuna,
    "Ray Tune's ASHA": Ray,
}
HALVING = "halving in committed rounds"


def measure(seeds: int, orders: int, cache: Path) -> dict[str, list[tuple[float, float, float]]]:
    """Policy -> (share of epochs, share of time, regret) of each seed and order, all policies over the same ones."""
    measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in [*POLICIES, HALVING]}
    for seed in range(seeds):
        curves = record(seed, cache)
        for number in range(orders):
            order = random.Random(100 * seed + number).sample(range(TRIALS), TRIALS)
            games = {name: play(curves, policy(), order) for name, policy in POLICIES.items()}
            games[HALVING] = halving(curves, order)
            whole = games["all to the end"]
            for name, played in games.items():
                share = sum(played.reached) / (TRIALS * EPOCHS)
                measured[name].append((share, played.ended_at / whole.ended_at, regret(curves, played)))
    return measured


def noise(seeds: int, cache: Path) -> float:
    """Standard deviation of the final accuracy between seeds, of the best tenth of the configurations, in points."""
    finals = list(zip(*([curve[-1] for curve in record(seed, cache).accuracy] for seed in range(seeds)), strict=True))
    best = sorted(finals, key=statistics.mean, reverse=True)[: TRIALS // 10]
    return 100 * math.sqrt(statistics.mean(statistics.variance(values) for values in best))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="of training")
    parser.add_argument("--orders", type=int, default=20, help="in which the trials come, for each seed")
    args = parser.parse_args()
    cache = ROOT / "out" / "bench"
    measured = measure(args.seeds, args.orders, cache)
    print(f"{args.seeds} seeds x {args.orders} orders, Python {platform.python_version()}")
    print(f"noise between seeds, of the best tenth: {noise(args.seeds, cache):.2f} points (standard deviation)")
    print("| rule | epochs | time | regret, mean | in 90 % at most |")
    print("|---|---|---|---|---|")
    for name, games in measured.items():
        epochs, spent, lost = (sorted(column) for column in zip(*games, strict=True))
        worst = lost[int(0.9 * (len(lost) - 1))]
        print(
            f"| {name} | {statistics.mean(epochs):.1%} | {statistics.mean(spent):.1%} "
            f"| {statistics.mean(lost):.2f} | {worst:.2f} |"
        )


if __name__ == "__main__":
    main()
