"""best.yaml: the winning trial as a values file of its own, which renders to the same trial id as in the sweep."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sweep import settings
from sweep.errors import BadInput, TrialsFailed
from sweep.ranking.stats import Choice, MeasuredPoint
from sweep.records import same
from sweep.records.results import Row
from sweep.render import Trial
from sweep.reports.verdict import flow_trial
from sweep.words import figure
from sweep.yamlfile import flow

LEFT_OUT = ("trials", "retries", "shards")
"""Keys of values.yaml that are about all of the sweep's trials."""


def winners(choice: Choice, top: int = 1, max_seconds: float | None = None) -> list[MeasuredPoint]:
    """The best points that are not dearer than `max_seconds` of training. Raises SweepError without any."""
    if not choice.points:
        raise TrialsFailed(f"no trial has a {choice.objective.metric} yet; `make status` shows where they stand")
    cheap = [point for point in choice.points if max_seconds is None or _cost(point) <= max_seconds]
    if not cheap:
        least = min(map(_cost, choice.points))
        raise BadInput(
            f"--max-cost {figure(max_seconds or 0, 6)}: the cheapest point trains for {figure(least, 3)} s; allow more"
        )
    return cheap[:top]


def _cost(point: MeasuredPoint) -> float:
    """Mean seconds of training; what is not known to be cheap is not."""
    known = [row.train_s for row in point.rows if row.train_s is not None]
    return sum(known) / len(known) if known else float("inf")


def values(
    head: Mapping[str, Any],
    rows: Sequence[Row],
    sentences: Sequence[str],
    with_outputs: Collection[str] = (),
    unseen: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> str:
    """The text of best.yaml: the sweep's own settings (`head`, of values.yaml) with `rows` as its only trials.

    A comment says how, by helm alone, and `sentences` why it is the best; `with_outputs` are the trials that left some,
    `unseen` by trial what its line says that no row has.
    """
    sweep = head["sweep"]
    shared = settings.of(head).hyperparameters
    lines = [
        f"# The best of the sweep {sweep}, written by `make best`. In place of values/{sweep}/values.yaml helm",
        "# renders it to the same trial id, so a result that is there is not made again.",
        *(f"# {sentence}" for sentence in sentences),
        *(f"{key}: {flow(value)}" for key, value in head.items() if key not in LEFT_OUT),
        "trials:",
    ]
    for row in rows:
        own = {name: given for name, given in row.hyperparameters.items() if not same.says(shared, name, given)}
        own |= unseen.get(row.id, {})
        left = f"; `make fetch SWEEP={sweep} TRIAL={row.id}` brings what it left" if row.id in with_outputs else ""
        lines += [f"  # {row.id}: {flow(row.objective)}{left}", f"  - {flow_trial(own, row.seed)}"]
    return "\n".join(lines) + "\n"


def check(rendered: Sequence[Trial], rows: Sequence[Row]) -> None:
    """Raises BadInput unless best.yaml renders to exactly the trials it was made of."""
    if [trial.id for trial in rendered] != [row.id for row in rows]:
        there = rendered[0].id if rendered else "nothing"
        raise BadInput(
            f"best.yaml: renders to {there}, not to {rows[0].id}; values.yaml or code.yaml changed: `make sweep` first"
        )
