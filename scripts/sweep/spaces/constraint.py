"""Constraints between hyperparameters: `batch_size * width <= 4096`, an expression that is true or false."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.spaces import expression
from sweep.spaces.evaluation import Unclear
from sweep.spaces.expression import Absent, Expression

EXAMPLE = "write a comparison, as in `a * b <= 512`"


@dataclass(frozen=True)
class Constraint:
    """A condition that every point must meet."""

    expression: Expression
    where: Callable[[str], Exception] = Unclear
    """The error about what is wrong with it at a point."""

    @property
    def text(self) -> str:
        return self.expression.text

    @property
    def names(self) -> frozenset[str]:
        return self.expression.names

    def holds(self, point: Mapping[str, Any]) -> bool:
        """Whether `point` meets it; so does one that lacks a hyperparameter named in it. Raises Unclear."""
        return True if any(name not in point for name in self.names) else self._decided(point)

    def is_met(self, point: Mapping[str, Any]) -> bool:
        """The same of a condition (`when`), which a point that lacks what decides it does not meet. Raises Unclear."""
        try:
            return self._decided(point)
        except Absent:
            return False

    def _decided(self, point: Mapping[str, Any]) -> bool:
        try:
            value = self.expression.value(point)
            if not isinstance(value, bool):
                raise Unclear(f"it gives {value}, not true or false; {EXAMPLE}")
        except Unclear as error:
            raise self.where(str(error)) from None
        return value


def parse(text: str, known: Mapping[str, str]) -> Constraint:
    """Read a constraint over hyperparameters, by the names `known` -> their own; raises Unclear."""
    constraint = Constraint(expression.parse(text, known))
    if not constraint.names:
        raise Unclear(f"it names no hyperparameter; {EXAMPLE}")
    return constraint
