"""What an expression comes to: its tree is walked, and nothing is executed.

A power is computed in decimals, for libm's differs between machines.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
from collections.abc import Callable
from decimal import Context, Decimal, DecimalException
from typing import Any

from sweep import yamlfile
from sweep.words import CONTROL

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
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "min": (min, 2, 20),
    "max": (max, 2, 20),
    "abs": (abs, 1, 1),
    "round": (round, 1, 1),
    "int": (int, 1, 1),
    "float": (float, 1, 1),
}
"""Name -> (what it does to numbers, how many it takes at least and at most)."""
CONSTANTS = {"true": True, "false": False, "null": None}
DIGITS = 12
"""Of a float that was computed: 0.1 * 3 is 0.3."""
_POWERS = Context(prec=17)
LONGEST = 1_000  # characters of a text that is computed


class Unclear(ValueError):
    """What is wrong with an expression, and what to write; the caller knows the file and the line."""


def dotted(node: ast.AST) -> str | None:
    """`a`, or `optimizer.lr`, which the grammar takes for an attribute."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return None


Look = Callable[[str], Any]
"""The value of a hyperparameter, by the name that stands in the tree."""


def evaluate(node: ast.AST, look: Look) -> Any:
    """The value of a tree that expression.py has checked. Raises Unclear, ZeroDivisionError, OverflowError."""
    if name := dotted(node):
        return CONSTANTS[name] if name in CONSTANTS else look(name)
    return _KINDS[type(node)](node, look)


def _binary(node: ast.BinOp, look: Look) -> int | float:
    left, right = (_number(side, look) for side in (node.left, node.right))
    return _power(left, right) if isinstance(node.op, ast.Pow) else ARITHMETIC[type(node.op)](left, right)


def _joined(node: ast.BoolOp, look: Look) -> bool:
    sides = (_truth(side, look) for side in node.values)
    return all(sides) if isinstance(node.op, ast.And) else any(sides)


def _called(node: ast.Call, look: Look) -> int | float:
    function = FUNCTIONS[dotted(node.func) or ""][0]
    return function(*(_number(argument, look) for argument in node.args))  # type: ignore[no-any-return]


def _chosen(node: ast.IfExp, look: Look) -> Any:
    return evaluate(node.body if _truth(node.test, look) else node.orelse, look)


def _listed(node: ast.List | ast.Tuple, look: Look) -> list[Any]:
    return [evaluate(item, look) for item in node.elts]


def _power(base: int | float, exponent: int | float) -> int | float:
    """Of whole numbers exactly; else by decimals, 17 digits of them. Raises OverflowError, Unclear."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if exponent * max(1, abs(base).bit_length() - 1) > 64 and abs(base) > 1:
            raise OverflowError
        return int(base**exponent)
    try:
        result = float(_POWERS.power(Decimal(repr(base)), Decimal(repr(exponent))))
    except DecimalException:
        raise Unclear(f"{base} has no power {exponent}; write one of a number above 0") from None
    if not math.isfinite(result):
        raise OverflowError
    return result


def _with_sign(node: ast.UnaryOp, look: Look) -> Any:
    """Of `-`, `+` and `not`."""
    if isinstance(node.op, ast.Not):
        return not _truth(node.operand, look)
    number = _number(node.operand, look)
    return -number if isinstance(node.op, ast.USub) else number


def _holds(node: ast.Compare, look: Look) -> bool:
    """Of `a < b <= c`: each pair of neighbours."""
    sides = [evaluate(side, look) for side in (node.left, *node.comparators)]
    return all(_compare(op, *pair) for op, pair in zip(node.ops, itertools.pairwise(sides), strict=True))


def _number(node: ast.AST, look: Look) -> int | float:
    value = evaluate(node, look)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unclear(f"`{ast.unparse(node)}` is {value!r}, and there is no arithmetic with it; use numbers")
    return value


def _truth(node: ast.AST, look: Look) -> bool:
    value = evaluate(node, look)
    if not isinstance(value, bool):
        raise Unclear(f"`{ast.unparse(node)}` is {value!r}, not true or false; write a comparison")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds = {int: "a number", float: "a number", str: "a string", dict: "a map"}
    return kinds.get(type(value), "a list")


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


def kept(value: Any) -> Any:
    """A computed value as a trial holds it. Raises Unclear for one that YAML and JSON cannot carry."""
    if isinstance(value, list):
        return [kept(item) for item in value]
    if isinstance(value, float):
        value = float(f"{value:.{DIGITS}g}") + 0.0
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= 2**53):
        raise Unclear(f"it gives {value}, beyond 2^53, where numbers lose digits; keep it smaller")
    if isinstance(value, str) and (len(value) > LONGEST or CONTROL.search(value)):
        raise Unclear(f"it gives a text of {len(value)} characters, or with a control character; keep it plain")
    return value


def spelled(value: Any, text: str) -> str:
    """A value as a part of a text: a whole number without a point."""
    if value is None or isinstance(value, list | dict):
        raise Unclear(f"`{text}` is {yamlfile.plain(value)}, which is no part of a text; write a number")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return value if isinstance(value, str) else yamlfile.flow(value)


_KINDS: dict[type[ast.AST], Callable[[Any, Look], Any]] = {
    ast.Constant: lambda node, _look: node.value,
    ast.List: _listed,
    ast.Tuple: _listed,
    ast.BinOp: _binary,
    ast.UnaryOp: _with_sign,
    ast.BoolOp: _joined,
    ast.IfExp: _chosen,
    ast.Call: _called,
    ast.Compare: _holds,
}
"""How each kind of node is computed."""
