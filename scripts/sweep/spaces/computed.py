"""Hyperparameters that are not searched: computed from others (`ffn: 4 * d_model`), or constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.spaces.constraint import Constraint
from sweep.spaces.domain import When


@dataclass(frozen=True)
class Computed:
    """A hyperparameter that a point does not say, and a trial does."""

    name: str
    value: Callable[[Mapping[str, Any]], Any]
    """Its value, from all others; raises Absent where it needs one that is not there, BadInput where there is none."""
    needs: frozenset[str]
    when: When = ()
    only: tuple[Constraint, ...] = ()
