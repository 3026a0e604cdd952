"""One value of several by conditions: `{width > 256: 8Gi, depth > 9: 6Gi, else: 4Gi}`, the first that holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sweep.spaces import constraint
from sweep.spaces.constraint import Constraint
from sweep.spaces.evaluation import Unclear
from sweep.spaces.expression import Absent
from sweep.yamlfile import Document, KeyPath

ELSE = "else"
Value = Callable[[Mapping[str, Any]], Any]
"""Of a trial, from its hyperparameters; raises Absent where it has none, BadInput where there cannot be one."""


def read(
    doc: Document, path: KeyPath, given: Any, known: Mapping[str, str], leaf: Callable[[KeyPath, Any], Value]
) -> tuple[Value, frozenset[str]]:
    """(the value, the hyperparameters that decide) of what stands at `path`: a table, or what `leaf` reads.

    A condition that asks for a hyperparameter which a trial lacks does not hold; where none does and there is no
    `else`, the trial has no such value.
    """
    if not isinstance(given, dict):
        return leaf(path, given), frozenset()
    if ELSE in given and next(reversed(given)) != ELSE:
        raise doc.bad((*path, ELSE), "nothing below `else` is looked at; move it to the end")
    rows = [(_condition(doc, (*path, text), text, known), leaf((*path, text), below)) for text, below in given.items()]

    def value(point: Mapping[str, Any]) -> Any:
        for condition, below in rows:
            if condition is None or condition.is_met(point):
                return below(point)
        raise Absent("no condition holds")

    return value, frozenset().union(*(condition.names for condition, _ in rows if condition))


def _condition(doc: Document, path: KeyPath, text: str, known: Mapping[str, str]) -> Constraint | None:
    """None for `else`."""
    try:
        condition = None if text == ELSE else constraint.parse(text, known)
    except Unclear as error:
        raise doc.bad(path, str(error)) from None
    return condition and replace(condition, where=lambda problem: doc.bad(path, problem))
