"""Regret of the samplers on functions whose best value is known, against Optuna's own study: `make bench-search`.

Prints the tables of docs/search.md and draws docs/search-regret.svg: the median over seeds of the best value so far,
less the best there is. Everybody gets the same number of evaluations; rounds and batches have 8.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import optuna  # noqa: E402

from sweep import yamlfile  # noqa: E402
from sweep.spaces import search, spacefile  # noqa: E402
from sweep.spaces.history import Observation  # noqa: E402
from sweep.spaces.samplers import SAMPLERS  # noqa: E402
from sweep.spaces.space import Space  # noqa: E402

Point = dict[str, Any]
BATCH = 8
SHOWN = (16, 32, 64, 96)
SCHEMA = json.loads((ROOT / "schemas" / "space.schema.json").read_text())

# ---- functions, all to be minimized ----

HARTMANN_A = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
HARTMANN_P = (
    (1312, 1696, 5569, 124, 8283, 5886),
    (2329, 4135, 8307, 3736, 1004, 9991),
    (2348, 1451, 3522, 2883, 3047, 6650),
    (4047, 8828, 8732, 5743, 1091, 381),
)


def branin(p: Point) -> float:
    """Dixon and Szegö (1978)."""
    valley: float = p["y"] - 5.1 / (4 * math.pi**2) * p["x"] ** 2 + 5 / math.pi * p["x"] - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(p["x"]) + 10


def hartmann(p: Point) -> float:
    """Hartmann's function of six variables (Dixon and Szegö 1978)."""
    x = [p[f"x{place}"] for place in range(6)]
    rows = zip((1, 1.2, 3, 3.2), HARTMANN_A, HARTMANN_P, strict=True)
    return -sum(
        c * math.exp(-sum(a * (v - q / 10_000) ** 2 for a, v, q in zip(line, x, centre, strict=True)))
        for c, line, centre in rows
    )


def mixed(p: Point) -> float:
    """A made-up network: the best learning rate falls with depth. 0 at relu, 5 layers, 128 units."""
    units = (16, 32, 64, 128, 256, 512).index(p["units"])
    layers: float = p["layers"]
    rate = math.log10(p["lr"]) + 2.5 + 0.1 * (layers - 5)
    extra = {"relu": 0.0, "gelu": 0.1, "tanh": 0.5}[p["activation"]]
    return rate**2 + 0.15 * abs(layers - 5) + 0.2 * abs(units - 3) + extra


def conditional(p: Point) -> float:
    """Three optimizers with hyperparameters of their own. 0 at sgd, lr 0.1, momentum 0.9."""
    rate, more = math.log10(p["lr"]), {name: float(p[name]) for name in ("momentum", "beta2") if name in p}
    if p["optimizer"] == "sgd":
        return (rate + 1) ** 2 + (5 * (more["momentum"] - 0.9)) ** 2
    if p["optimizer"] == "adam":
        return 0.1 + (rate + 3) ** 2 + (math.log10(1 - more["beta2"]) + 3) ** 2 / 4
    return 0.3 + (rate + 4) ** 2


FUNCTIONS: dict[str, tuple[Callable[[Point], float], float, str]] = {
    "Branin": (branin, 0.397887, "x: {type: float, low: -5, high: 10}, y: {type: float, low: 0, high: 15}"),
    "Hartmann6": (hartmann, -3.32237, ", ".join(f"x{place}: {{type: float, low: 0, high: 1}}" for place in range(6))),
    "mixed": (
        mixed,
        0.0,
        "activation: {type: choice, choices: [relu, gelu, tanh]}, layers: {type: int, low: 1, high: 12}, "
        "units: {type: int, choices: [16, 32, 64, 128, 256, 512]}, lr: {type: float, low: 1.0e-5, high: 1, log: true}",
    ),
    "conditional": (
        conditional,
        0.0,
        "optimizer: {type: choice, choices: [sgd, adam, lion]}, lr: {type: float, low: 1.0e-6, high: 1.0, log: true}, "
        "momentum: {type: float, low: 0.0, high: 0.99, when: {optimizer: sgd}}, "
        "beta2: {type: float, low: 0.9, high: 0.9999, when: {optimizer: adam}}",
    ),
}


def space_of(parameters: str, sampler: str) -> Space:
    text = f"objective: {{metric: m, direction: minimize}}\nsampler: {sampler}\nspace: {{{parameters}}}\n"
    return spacefile.read(yamlfile.parse(text, "space.yaml", helm=False), SCHEMA)


# ---- strategies: values in the order of evaluation ----


def drawn(name: str) -> Callable[..., Iterator[float]]:
    def values(function: Callable[[Point], float], parameters: str, seed: int, n: int) -> Iterator[float]:
        space = space_of(parameters, f"{{name: {name}, n: {n}, seed: {seed}}}")
        return (function(point) for point in search.expand(space))

    return values


def rounds_of(name: str) -> Callable[..., Iterator[float]]:
    """Our own, every round made from what is known, as expand does from results.csv."""

    def values(function: Callable[[Point], float], parameters: str, seed: int, n: int) -> Iterator[float]:
        space = space_of(parameters, f"{{name: {name}, rounds: {n // BATCH}, per_round: {BATCH}, seed: {seed}}}")
        observations: list[Observation] = []
        for number in range(1, n // BATCH + 1):
            asked = SAMPLERS[name].ask(space, observations, number, ())
            observations += [Observation(point, "succeeded", (function(point),)) for point in asked]
        return (observation.values[0] for observation in observations)

    return values


def optuna_in(batch: int, sampler: type[Any] = optuna.samplers.TPESampler) -> Callable[..., Iterator[float]]:
    """Optuna's study as it comes, told after every `batch` evaluations."""

    def values(function: Callable[[Point], float], parameters: str, seed: int, n: int) -> Iterator[float]:
        space = space_of(parameters, "{name: random, n: 1}")
        study = optuna.create_study(sampler=sampler(seed=seed))
        for _ in range(n // batch):
            trials = [study.ask() for _ in range(batch)]
            results = [function(space.build(lambda parameter: native(parameter, trial))) for trial in trials]  # noqa: B023
            for trial, value in zip(trials, results, strict=True):
                study.tell(trial, value)
            yield from results

    return values


def native(parameter: Any, trial: optuna.trial.Trial) -> Any:
    """A parameter as one would declare it to Optuna."""
    if hasattr(parameter, "values"):
        return trial.suggest_categorical(parameter.name, parameter.values)
    name, low, high, log = parameter.name, parameter.low, parameter.high, parameter.log
    if parameter.whole:
        return trial.suggest_int(name, int(low), int(high), log=log)
    return trial.suggest_float(name, float(low), float(high), log=log)


STRATEGIES: dict[str, tuple[Callable[..., Iterator[float]], str]] = {
    "random": (drawn("random"), "#9aa0a6"),
    "sobol": (drawn("sobol"), "#c58a00"),
    f"tpe, rounds of {BATCH}": (rounds_of("tpe"), "#c5221f"),
    f"Optuna, batches of {BATCH}": (optuna_in(BATCH), "#1a73e8"),
    "Optuna, one by one": (optuna_in(1), "#188038"),
}
GAUSSIAN: dict[str, tuple[Callable[..., Iterator[float]], str]] = {
    f"gp, rounds of {BATCH}": (rounds_of("gp"), "#a142f4"),
    f"Optuna's GP, batches of {BATCH}": (optuna_in(BATCH, optuna.samplers.GPSampler), "#1a73e8"),
    f"tpe, rounds of {BATCH}": (rounds_of("tpe"), "#c5221f"),
}
"""With --gp, instead: they take a hundred times as long."""


def regrets(name: str, strategy: str, seeds: int, n: int) -> list[list[float]]:
    """[seed][evaluation]: the best so far less the best there is."""
    function, best, parameters = FUNCTIONS[name]
    values = (STRATEGIES | GAUSSIAN)[strategy][0]
    return [
        [low - best for low in itertools.accumulate(values(function, parameters, seed, n), min)]
        for seed in range(seeds)
    ]


# ---- the table and the plot ----


def table(name: str, strategies: dict[str, list[list[float]]], n: int) -> str:
    """Median regret (lower and upper quartile) after some evaluations, in Markdown."""
    shown = [count for count in SHOWN if count <= n]
    lines = [f"| {name} | " + " | ".join(f"after {count}" for count in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for strategy, runs in strategies.items():
        cells = []
        for count in shown:
            low, middle, high = statistics.quantiles([run[count - 1] for run in runs], n=4, method="inclusive")
            cells.append(f"{middle:.3g} ({low:.2g} to {high:.2g})")
        lines.append(f"| {strategy} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(by_function: dict[str, dict[str, list[list[float]]]], n: int) -> str:
    """Four panels, evaluations against median regret (logarithmic), as SVG."""
    width, height, left, top = 400, 260, 55, 30
    parts = []
    for panel, (name, strategies) in enumerate(by_function.items()):
        x0, y0 = panel % 2 * (width + 40) + left, panel // 2 * (height + 60) + top
        curves = {
            strategy: [max(1e-6, statistics.median(column)) for column in zip(*runs, strict=True)]
            for strategy, runs in strategies.items()
        }
        logs = [math.log10(value) for curve in curves.values() for value in curve[3:]]
        low, high = math.floor(min(logs)), math.ceil(max(logs))
        parts.append(f'<text x="{x0}" y="{y0 - 8}" font-weight="bold">{name}</text>')
        for power in range(low, high + 1):
            y = y0 + height * (high - power) / (high - low)
            parts.append(f'<line x1="{x0}" x2="{x0 + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>')
        for count in range(0, n + 1, 16):
            x = x0 + width * count / n
            parts.append(f'<text x="{x:.1f}" y="{y0 + height + 16}" text-anchor="middle">{count}</text>')
        for strategy, curve in curves.items():
            line = " ".join(
                f"{x0 + width * (place + 1) / n:.1f},{y0 + height * (high - math.log10(value)) / (high - low):.1f}"
                for place, value in enumerate(curve)
                if place >= 3
            )
            colour = STRATEGIES[strategy][1]
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    bottom = 2 * (height + 60) + top
    for place, (strategy, (_, colour)) in enumerate(STRATEGIES.items()):
        x = left + place * 170
        parts.append(f'<rect x="{x}" y="{bottom - 12}" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="{bottom - 6}">{strategy}</text>')
    size = f'width="{2 * width + 40 + left + 20}" height="{bottom + 8}"'
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=96)
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "search-regret.svg")
    parser.add_argument("--gp", action="store_true", help="the Gaussian process alone, where torch is; draws nothing")
    args = parser.parse_args()
    os.nice(10)
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    start = time.monotonic()
    by_function = {}
    strategies = GAUSSIAN if args.gp else STRATEGIES
    for name, (*_, parameters) in FUNCTIONS.items():
        if args.gp and "when:" in parameters:
            continue  # gp refuses it
        by_function[name] = {strategy: regrets(name, strategy, args.seeds, args.evaluations) for strategy in strategies}
        print(table(name, by_function[name], args.evaluations), end="\n\n", flush=True)
    if not args.gp:
        args.plot.write_text(plot(by_function, args.evaluations))
    versions = ", ".join(f"{package} {version(package)}" for package in ("optuna", "scipy", "numpy"))
    print(f"{args.seeds} seeds, {time.monotonic() - start:.0f} s; {versions}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
