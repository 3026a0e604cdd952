"""Constraints between hyperparameters: `batch_size * width <= 4096`, read by Python's grammar and computed here.

Nothing is ever executed: the grammar's tree is walked, and what is not named below is refused. Known are numbers,
strings, true, false, hyperparameters, + - * / // %, comparisons (also chained, and `in [a, b]`), and, or, not. There is
no power, for libm's differs between machines.
"""

from __future__ import annotations

import ast
import itertools
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
ORDER: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
LONGEST = 1_000  # characters
DEEPEST = 100  # levels: a chain `a + b + c` has as many as it has operators
CONSTANTS = {"true": True, "false": False}


class Unclear(ValueError):
    """What is wrong with a constraint, and what to write; the caller knows the file and the line."""


@dataclass(frozen=True)
class Constraint:
    """A condition that every point must meet."""

    text: str
    names: frozenset[str]
    node: ast.expr

    def holds(self, point: Mapping[str, Any]) -> bool:
        """Whether `point` meets it; so does one that lacks a hyperparameter named in it. Raises Unclear."""
        if any(name not in point for name in self.names):
            return True
        try:
            value = _value(self.node, point)
        except (ZeroDivisionError, OverflowError) as error:
            shown = ", ".join(f"{name}={point[name]}" for name in sorted(self.names))
            what = "division by zero" if isinstance(error, ZeroDivisionError) else "a number too large"
            raise Unclear(f"{what} at {shown}; rule that out, as in `b > 0 and a / b < 2`") from None
        if not isinstance(value, bool):
            raise Unclear(f"it gives {value}, not true or false; write a comparison, as in `a * b <= 512`")
        return value


def parse(text: str, known: Mapping[str, Any]) -> Constraint:
    """Read a constraint over the hyperparameters `known`; raises Unclear."""
    if len(text) > LONGEST:
        raise Unclear(f"{len(text)} characters, at most {LONGEST} are read; write several constraints")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a doubtful escape, say: it is checked below
            node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "nested too deeply"
        raise Unclear(f"not a constraint: {reason}; write a comparison, as in `a * b <= 512`") from None
    names: set[str] = set()
    _check(node, known, names)
    if not names:
        raise Unclear("it names no hyperparameter; write a comparison, as in `a * b <= 512`")
    return Constraint(text.strip(), frozenset(names), node)


def _name(node: ast.AST) -> str | None:
    """`a`, or `optimizer.lr`, which the grammar takes for an attribute."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _name(node.value)):
        return f"{before}.{node.attr}"
    return None


def _check(node: ast.AST, known: Mapping[str, Any], names: set[str], depth: int = 0) -> None:
    """Refuse what is not known here, and note the hyperparameters that are named."""
    if depth > DEEPEST:
        raise Unclear(f"more than {DEEPEST} operators within each other; write several constraints")
    if name := _name(node):
        if name not in CONSTANTS:
            if name not in known:
                raise Unclear(f"{name} is no hyperparameter; known here: {', '.join(known)}")
            names.add(name)
        return
    children = _children(node)
    if children is None:
        raise Unclear(
            f"`{ast.unparse(node)}` is not known here; there are + - * / // %, comparisons, and, or, not; "
            "no calls and no powers"
        )
    for child in children:
        _check(child, known, names, depth + 1)


def _children(node: ast.AST) -> Sequence[ast.AST] | None:
    """What stands in a node, None for one that is not known here."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str):
        return []
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd | ast.Not):
        return [node.operand]
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.Compare) and not any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
        return [node.left, *node.comparators]
    return node.elts if isinstance(node, ast.List | ast.Tuple) else None


def _value(node: ast.AST, point: Mapping[str, Any]) -> Any:
    if name := _name(node):
        return CONSTANTS[name] if name in CONSTANTS else point[name]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item, point) for item in node.elts]
    if isinstance(node, ast.BinOp):
        left, right = (_number(side, point) for side in (node.left, node.right))
        return ARITHMETIC[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp):
        return _with_sign(node, point)
    if isinstance(node, ast.BoolOp):
        sides = (_truth(side, point) for side in node.values)
        return all(sides) if isinstance(node.op, ast.And) else any(sides)
    assert isinstance(node, ast.Compare)
    return _holds(node, point)


def _with_sign(node: ast.UnaryOp, point: Mapping[str, Any]) -> Any:
    """Of `-`, `+` and `not`."""
    if isinstance(node.op, ast.Not):
        return not _truth(node.operand, point)
    number = _number(node.operand, point)
    return -number if isinstance(node.op, ast.USub) else number


def _holds(node: ast.Compare, point: Mapping[str, Any]) -> bool:
    """Of `a < b <= c`: each pair of neighbours."""
    sides = [_value(side, point) for side in (node.left, *node.comparators)]
    return all(_compare(op, *pair) for op, pair in zip(node.ops, itertools.pairwise(sides), strict=True))


def _number(node: ast.AST, point: Mapping[str, Any]) -> int | float:
    value = _value(node, point)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unclear(f"`{ast.unparse(node)}` is {value!r}, and there is no arithmetic with it; use numbers")
    return value


def _truth(node: ast.AST, point: Mapping[str, Any]) -> bool:
    value = _value(node, point)
    if not isinstance(value, bool):
        raise Unclear(f"`{ast.unparse(node)}` is {value!r}, not true or false; write a comparison")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "a string" if isinstance(value, str) else "a list"


def _compare(op: ast.cmpop, left: Any, right: Any) -> bool:
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, list):
            raise Unclear(f"`in` needs a list, {right!r} is {_kind(right)}; write `in [a, b]`")
        return any(_same(left, item) for item in right) == isinstance(op, ast.In)
    if isinstance(op, ast.Eq | ast.NotEq):
        return _same(left, right) == isinstance(op, ast.Eq)
    if _kind(left) != _kind(right) or _kind(left) not in ("a number", "a string"):
        raise Unclear(f"{left!r} is {_kind(left)} and {right!r} {_kind(right)}; they have no order")
    return ORDER[type(op)](left, right)


def _same(left: Any, right: Any) -> bool:
    """Equal, and of one kind: true is not 1."""
    return _kind(left) == _kind(right) and bool(left == right)
