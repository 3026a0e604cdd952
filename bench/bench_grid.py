"""The 16-trial grid as this clone's results.csv has it, against the published one: ranking, effects, noise.

    make bench-grid                    # of values/cifar10-narrow; ARGS=cifar10-grid for another sweep

Every figure is of the accuracies that are there; a point with several seeds counts with its mean. Prints the tables of
docs/reproduction.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import product
from math import atanh, isnan, sqrt, tanh
from pathlib import Path
from statistics import fmean, stdev

from scipy.stats import chi2, norm, spearmanr, t

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts")]

from sweep.layout import Clone  # noqa: E402
from sweep.ranking.noise import pooled  # noqa: E402
from sweep.records import results  # noqa: E402

Point = tuple[float, int, int, float]
"""max_learning_rate, data_aug_cutout_size, batch_size, momentum."""
NAMES = ("max_learning_rate", "data_aug_cutout_size", "batch_size", "momentum")
LEVELS = ((0.4, 0.6), (5, 12), (128, 512), (0.9, 0.99))
_ACCURACIES = """
    .9347 .8285 .9426 .8883 .9301 .8129 .9397 .8737
    .9274 .8182 .9419 .8741 .9213 .8042 .9376 .8634
"""
PUBLISHED: dict[Point, float] = dict(zip(product(*LEVELS), map(float, _ACCURACIES.split()), strict=True))
"""Test accuracy after 24 epochs at full width on a V100, one run each (docs/reproduction.md)."""
SUBSETS = {"all": list(PUBLISHED)} | {f"momentum {m}": [p for p in PUBLISHED if p[3] == m] for m in LEVELS[3]}
METRIC = "test_accuracy"
Seeds = dict[Point, dict[int, float]]
"""Point -> seed -> its accuracy."""


def measured(sweep: str) -> Seeds:
    """What the committed results.csv has; points of another grid are left out."""
    seeds: Seeds = {}
    for row in results.read(Clone.here().sweep(sweep).results):
        point = tuple(row.hyperparameters.get(name) for name in NAMES)
        if row.status == "succeeded" and point in PUBLISHED:
            seeds.setdefault(point, {})[row.seed] = row.metrics[METRIC]
    return {point: seeds[point] for point in PUBLISHED if point in seeds}


def rank_correlation(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Spearman's rho and its 95 % interval: Fisher's z with the variance of Bonett and Wright (2000)."""
    rho = float(spearmanr(ours, theirs).statistic)
    if len(ours) < 5 or abs(rho) > 0.9999:
        return rho, float("nan"), float("nan")
    half = norm.ppf(0.975) * sqrt((1 + rho**2 / 2) / (len(ours) - 3))
    return rho, tanh(atanh(rho) - half), tanh(atanh(rho) + half)


def effect(of: Mapping[Point, float], name: str) -> tuple[float, float]:
    """(mean difference of the higher level to the lower, half of its 95 % interval), over the pairs that differ in
    this hyperparameter alone; the interval is Student's, so it holds interactions and noise alike."""
    place = NAMES.index(name)
    low, high = LEVELS[place]
    pairs = [
        of[(*point[:place], high, *point[place + 1 :])] - value  # type: ignore[index]
        for point, value in of.items()
        if point[place] == low and (*point[:place], high, *point[place + 1 :]) in of
    ]
    if len(pairs) < 2:
        return fmean(pairs) if pairs else float("nan"), float("nan")
    return fmean(pairs), float(t.ppf(0.975, len(pairs) - 1)) * stdev(pairs) / sqrt(len(pairs))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for cells in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(cells)} |")
    print()


def ranking(ours: Mapping[Point, float]) -> None:
    places = [{p: i for i, p in enumerate(sorted(of, key=lambda p: -of[p]), 1)} for of in (ours, PUBLISHED)]
    rows = []
    for point in sorted(PUBLISHED, key=lambda p: -PUBLISHED[p]):
        cells = [f"{100 * of[point]:.2f} | {place[point]}" for of, place in zip((ours, PUBLISHED), places, strict=True)]
        rows.append([*map(str, point), *cells])
    table(["learning rate", "cutout", "batch", "momentum", "here, %", "rank", "published, %", "rank"], rows)


def agreement(ours: Mapping[Point, float]) -> None:
    rows = []
    for subset, kept in SUBSETS.items():
        rho, low, high = rank_correlation([ours[p] for p in kept], [PUBLISHED[p] for p in kept])
        interval = "the same order" if isnan(low) else f"{low:.2f} to {high:.2f}"
        rows.append([subset, str(len(kept)), f"{rho:.2f}", interval])
    table(["points", "n", "Spearman's rho", "95 %"], rows)


def effects(ours: Mapping[Point, float]) -> None:
    rows = []
    for subset, kept in SUBSETS.items():
        for name in NAMES[: None if subset == "all" else 3]:
            both = [effect({point: of[point] for point in kept}, name) for of in (ours, PUBLISHED)]
            low, high = LEVELS[NAMES.index(name)]
            rows.append([subset, f"{name} {low} → {high}", *(f"{100 * m:+.2f} ± {100 * h:.2f}" for m, h in both)])
    table(["points", "change", "here, percentage points", "published"], rows)


def one_run_a_point(seeds: Seeds) -> None:
    """What each seed would have said, had it been the only one, beside the mean of the others."""
    rows = []
    for subset, kept in SUBSETS.items():
        shared = sorted(set.intersection(*(set(seeds[point]) for point in kept)))
        for seed in shared if len(shared) > 1 else []:
            alone = [seeds[point][seed] for point in kept]
            rest = [fmean(seeds[point][other] for other in shared if other != seed) for point in kept]
            first = max(range(len(kept)), key=alone.__getitem__)
            place = 1 + sum(value > rest[first] for value in rest)
            best = " / ".join(map(str, kept[first]))
            rows.append([subset, str(seed), best, str(place), f"{rank_correlation(alone, rest)[0]:.2f}"])
    if rows:
        table(["points", "seed", "its best", "place of that by the other seeds", "rho with the other seeds"], rows)


def noise(seeds: Seeds) -> None:
    for subset, kept in SUBSETS.items():
        if noise := pooled([seeds[point] for point in kept]):
            low, high = (100 * noise.sd * sqrt(noise.df / chi2.ppf(q, noise.df)) for q in (0.975, 0.025))
            sd = f"{100 * noise.sd:.2f} points, 95 %: {low:.2f} to {high:.2f}"
            print(f"seeds spread by {sd} ({subset}; {noise.df} degrees of freedom)")
        else:
            print(f"one seed a point: nothing here tells the noise ({subset})")


def main() -> int:
    sweep = sys.argv[1] if len(sys.argv) > 1 else "cifar10-narrow"
    seeds = measured(sweep)
    if len(seeds) < len(PUBLISHED):
        message = f"error: {sweep}: has {len(seeds)} of the {len(PUBLISHED)} points; `make sweep SWEEP={sweep}`"
        print(message, file=sys.stderr)
        return 2
    counted = sorted({len(values) for values in seeds.values()})
    print(f"{sweep}: {len(seeds)} points, seeds a point: {' or '.join(map(str, counted))}\n")
    ours = {point: fmean(values.values()) for point, values in seeds.items()}
    ranking(ours)
    agreement(ours)
    effects(ours)
    one_run_a_point(seeds)
    noise(seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
