"""Expressions over hyperparameters: `4 * d_model`, `batch_size * width <= 4096`, `"{8 if width > 256 else 4}Gi"`.

Read by Python's grammar, and never executed: evaluation.py walks the tree. What is not named below is refused. Known
are numbers, strings, true, false, null, lists, hyperparameters, + - * / // % **, comparisons (also chained, and
`in [a, b]`), and, or, not, `a if b else c`, and the functions in FUNCTIONS. A name that the grammar would take for
something else stands in backticks.
"""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.spaces.evaluation import ARITHMETIC, CONSTANTS, FUNCTIONS, Unclear, dotted, evaluate, kept, spelled

LONGEST = 1_000  # characters
DEEPEST = 100  # levels: a chain `a + b + c` has as many as it has operators
WORDS = {"and", "or", "not", "in", "if", "else"}
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`([^`]*)`")


class Absent(Exception):
    """The expression asks for a hyperparameter that is not there."""


@dataclass(frozen=True)
class Expression:
    """What a string of space.yaml says of a point."""

    text: str
    node: ast.expr
    aliases: Mapping[str, str]
    """A name in the node -> the hyperparameter."""

    @property
    def names(self) -> frozenset[str]:
        """The hyperparameters that it may ask for."""
        return frozenset(self.aliases.values())

    def value(self, point: Mapping[str, Any]) -> Any:
        """Raises Absent where it needs what the point lacks, and Unclear where there is no value."""

        def look(name: str) -> Any:
            if self.aliases[name] not in point:
                raise Absent(self.aliases[name])
            return point[self.aliases[name]]

        try:
            return evaluate(self.node, look)
        except (ZeroDivisionError, OverflowError) as error:
            shown = ", ".join(f"{name}={point[name]}" for name in sorted(self.names) if name in point)
            what = "division by zero" if isinstance(error, ZeroDivisionError) else "a number too large"
            raise Unclear(f"{what} at {shown}; rule that out, as in `b > 0 and a / b < 2`") from None

    def computed(self, point: Mapping[str, Any]) -> Any:
        """The value as a trial holds it: a float of at most 12 digits, a whole number within 2^53."""
        return kept(self.value(point))


@dataclass(frozen=True)
class Text:
    """Text with expressions in braces: `{8 * gpus}Gi`. One that is nothing but `{x}` is an Expression instead."""

    text: str
    parts: tuple[str | Expression, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for part in self.parts if isinstance(part, Expression) for name in part.names)

    def computed(self, point: Mapping[str, Any]) -> str:
        """Raises Absent and Unclear, as an expression does."""
        words = (part if isinstance(part, str) else spelled(part.computed(point), part.text) for part in self.parts)
        return str(kept("".join(words)))


# ---- reading ----


def parse(text: str, known: Mapping[str, str]) -> Expression:
    """Read an expression over hyperparameters, by the names `known` -> the hyperparameters' own; raises Unclear."""
    if len(text) > LONGEST:
        raise Unclear(f"{len(text)} characters, at most {LONGEST} are read; write several constraints")
    bare, quoted = _unquoted(text.strip())
    _check_spelling(bare, known)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a doubtful escape, say: it is checked below
            node = ast.parse(bare, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "nested too deeply"
        raise Unclear(f"not an expression: {reason}; write one, as in `a * b <= 512`") from None
    aliases: dict[str, str] = {}
    _check(node, {**known, **{word: known[name] for word, name in quoted.items() if name in known}}, aliases, quoted)
    return Expression(text.strip(), node, aliases)


def parse_text(text: str, known: Mapping[str, str]) -> Expression | Text:
    """Read text that may hold expressions in braces; without any it is an expression itself. Raises Unclear."""
    if not re.search("[{}]", _QUOTED.sub("", text)):
        return parse(text, known)
    parts = tuple(_parts(text, known))
    if len(parts) == 1 and isinstance(parts[0], Expression):
        return parts[0]
    return Text(text, parts)


def _parts(text: str, known: Mapping[str, str]) -> Iterator[str | Expression]:
    """What is text, and what is between braces; a doubled brace is a brace."""
    place = 0
    plain = ""
    while place < len(text):
        if text[place : place + 2] in ("{{", "}}"):
            plain += text[place]
            place += 2
        elif text[place] == "{":
            end = _closing(text, place)
            if plain:
                yield plain
            plain = ""
            yield parse(text[place + 1 : end], known)
            place = end + 1
        elif text[place] == "}":
            raise Unclear("a brace closes that was not opened; write }} for one that is meant")
        else:
            plain += text[place]
            place += 1
    if plain:
        yield plain


def _closing(text: str, opening: int) -> int:
    """Where the brace closes that opens there; one in quotes is none."""
    masked = _QUOTED.sub(lambda match: "_" * len(match[0]), text[opening:])
    end = masked.find("}")
    if end < 0:
        raise Unclear("a brace opens and does not close; write {{ for one that is meant")
    return opening + end


def _unquoted(text: str) -> tuple[str, dict[str, str]]:
    """(the text with a plain name for each name in backticks, plain name -> what stood there)."""
    quoted: dict[str, str] = {}
    lead = next(word for word in map("q{}_".format, itertools.count()) if word not in text)

    def plain(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        word = f"{lead}{len(quoted)}"
        quoted[word] = match[1]
        return word

    return _QUOTED.sub(plain, text), quoted


def _check_spelling(text: str, known: Mapping[str, str]) -> None:
    """Raise Unclear for a name without backticks that the grammar takes for something else."""
    bare = _QUOTED.sub("", text)
    for name in known:
        if name in WORDS or _is_plain(name) or name not in bare:
            continue
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", bare):
            if "-" in name:
                problem = f"{name} reads as a subtraction; write `{name}` in backticks, or spaces around a minus"
            else:
                problem = f"{name} is a word or a number of the grammar; write `{name}` in backticks"
            raise Unclear(problem)


def _is_plain(name: str) -> bool:
    """Whether the grammar takes it for a name."""
    try:
        return dotted(ast.parse(name, mode="eval").body) == name
    except SyntaxError:
        return False


def _check(
    node: ast.AST, known: Mapping[str, str], aliases: dict[str, str], quoted: Mapping[str, str], depth: int = 0
) -> None:
    """Refuse what is not known here, and note the hyperparameters that are named."""
    if depth > DEEPEST:
        raise Unclear(f"more than {DEEPEST} operators within each other; write several constraints")
    if name := dotted(node):
        if name in known:
            aliases[name] = known[name]
        elif name not in CONSTANTS:
            listed = ", ".join(word for word in known if word not in quoted)
            raise Unclear(f"{quoted.get(name, name)} is not a hyperparameter; known here: {listed}")
        return
    children = _children(node)
    if children is None:
        shown = ast.unparse(node)
        for word, given in quoted.items():
            shown = shown.replace(word, given)
        raise Unclear(
            f"`{shown}` is not supported; supported are + - * / // % **, comparisons, and, or, not, `a if b else c`, "
            f"{', '.join(FUNCTIONS)}"
        )
    for child in children:
        _check(child, known, aliases, quoted, depth + 1)


def _children(node: ast.AST) -> Sequence[ast.AST] | None:
    """What stands in a node, None for one that is not known here."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return []
        case ast.BinOp(op=op) if type(op) in ARITHMETIC or isinstance(op, ast.Pow):
            return [node.left, node.right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not()):
            return [node.operand]
        case ast.BoolOp():
            return node.values
        case ast.IfExp():
            return [node.test, node.body, node.orelse]
        case ast.Compare() if not any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
            return [node.left, *node.comparators]
        case ast.Call(func=ast.Name(id=name), keywords=[]) if _takes(name, len(node.args)):
            return node.args
        case ast.List() | ast.Tuple():
            return node.elts
    return None


def _takes(name: str, count: int) -> bool:
    _, least, most = FUNCTIONS.get(name, (None, 1, 0))
    return least <= count <= most
