"""What a report says of trials whose code the sweep has no longer: how many, and how good the best was."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.records import same
from sweep.records.results import Objective, Row
from sweep.words import counted, figure

MOST = 3
"""Versions of the code that are named."""


def sentences(rows: Sequence[Row], objective: Objective) -> list[str]:
    """`rows`: those of earlier code."""
    versions: dict[str, list[Row]] = {}
    for row in rows:
        versions.setdefault(same.program(row.code, row.image), []).append(row)
    ranked = sorted(versions.items(), key=lambda item: _best(item[1], objective)[1])
    named = [f"{short(name)} ({_summary(of, objective)})" for name, of in ranked[:MOST]]
    more = [f"{len(ranked) - MOST} more"] if len(ranked) > MOST else []
    return [f"Earlier code, in results.csv and in no ranking: {', '.join([*named, *more])}."] if rows else []


def short(program: str) -> str:
    """A code's hash as people tell it apart; of code in an image the image."""
    return program.removeprefix("git-tree:")[:12] if "/" not in program else program


def _best(rows: Sequence[Row], objective: Objective) -> tuple[float | None, float]:
    """(the best value, what sorts the best first)."""
    metric, sign = objective.metric, objective.sign
    values = [row.metrics[metric] for row in rows if row.status == "succeeded" and metric in row.metrics]
    best = max(values, key=lambda value: sign * value, default=None)
    return best, float("inf") if best is None else -sign * best


def _summary(rows: Sequence[Row], objective: Objective) -> str:
    best, _ = _best(rows, objective)
    return counted(len(rows), "trial") + ("" if best is None else f", best {objective.metric} {figure(best, 4)}")
