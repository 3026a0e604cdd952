"""The one place that reads people's YAML, and that writes values back as one line which every reader takes alike.

YAML 1.2 rules (ruamel), stricter where Helm, ruamel and PyYAML disagree about a spelling: what one of them would take
for something else is refused with advice. Every problem is a BadInput of one line: `file:line: key: what; what to do`.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from sweep.errors import BadInput
from sweep.words import CONTROL

Key = str | int
TRUTHY = {"on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
LIMIT = 2**53  # beyond it Helm's numbers, which are doubles, lose digits
UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # YAML wants these escaped; JSON does not mind


@dataclass(frozen=True)
class Document:
    """A YAML file as plain dicts, lists, strings, booleans, ints and finite floats, and where each of them stands.

    `cut` is the 0-based line before which lines were taken out of the text, and how many.
    """

    shown: str
    data: Any
    root: Any
    cut: tuple[int, int] = (0, 0)

    def node(self, *path: Key) -> tuple[Any, Any]:
        """The key's node and the value's node at `path`, or of the nearest parent that exists."""
        key = value = self.root
        for part in path:
            if isinstance(value, MappingNode):
                pairs = [pair for pair in value.value if pair[0].value == part]
                if not pairs:
                    break
                key, value = pairs[0]
            elif isinstance(value, SequenceNode) and isinstance(part, int) and part < len(value.value):
                key = value = value.value[part]
            else:
                break
        return key, value

    def line(self, *path: Key) -> int:
        """1-based line of the key at `path`."""
        return _line(self.node(*path)[0].start_mark, self.cut)

    def where(self, *path: Key) -> str:
        """`file:line` of the key at `path`."""
        return f"{self.shown}:{self.line(*path)}"

    def bad(self, path: tuple[Key, ...], problem: str) -> BadInput:
        """The one-line error about `path`."""
        return _bad(self.shown, self.line(*path), path, problem)


def _bad(shown: str, line: int, path: tuple[Key, ...], problem: str) -> BadInput:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return BadInput(f"{shown}:{line}: {key}{': ' if key else ''}{problem}")


def _line(mark: Any, cut: tuple[int, int]) -> int:
    return int(mark.line) + 1 + (cut[1] if mark.line >= cut[0] else 0)


# ---- reading ----


def read_text(path: Path, shown: str) -> str:
    """The file as text, line ends as they are; raises BadInput where it is missing, no file or not UTF-8."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise BadInput(f"{shown}: no such file; `make new SWEEP=<name>` starts a sweep") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{shown}:{line}: not UTF-8 text; save the file as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{shown}: {error.strerror}; it must be a readable file") from None


def load(path: Path, shown: str, *, helm: bool = True) -> Document:
    """Read a YAML file of people; its top level is a map. helm: Helm reads it too, and takes the key `n` for false."""
    return parse(read_text(path, shown), shown, helm=helm)


def parse(text: str, shown: str, cut: tuple[int, int] = (0, 0), *, helm: bool = True) -> Document:
    """Read YAML text whose top level is a map; see Document for `cut`, load for `helm`."""
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        opened = any(word in str(error.context) for word in ("flow", "quoted"))
        line = _line(error.context_mark if opened else error.problem_mark or error.context_mark, cut)
        problem = " ".join(str(error.problem or error.context).split())
        advice = "look at the bracket or quote that opens here" if opened else "look at this line and the one above"
        advice = "indent with spaces" if r"'\t'" in problem else advice
        raise BadInput(f"{shown}:{line}: not YAML: {problem}; {advice}") from None
    except YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        raise BadInput(f"{shown}:{line}: not YAML: a control character; remove it") from None
    except RecursionError:
        raise BadInput(f"{shown}:1: nested too deeply; a few levels are all that is needed") from None
    if root is None:
        raise BadInput(f"{shown}:1: the file is empty; write at least one `key: value`")
    if not isinstance(root, MappingNode):
        raise BadInput(f"{shown}:{_line(root.start_mark, cut)}: the file is no map; write `key: value` lines")
    return Document(shown, _Reader(shown, cut, helm).value(root, ()), root, cut)


class _Reader:
    """Turns nodes into values, each node once (an alias is the same node), and refuses what readers disagree about."""

    def __init__(self, shown: str, cut: tuple[int, int], helm: bool) -> None:
        self.shown, self.cut, self.helm = shown, cut, helm
        self.done: dict[int, Any] = {}
        self.open: set[int] = set()

    def bad(self, node: Any, path: tuple[Key, ...], problem: str) -> BadInput:
        return _bad(self.shown, _line(node.start_mark, self.cut), path, problem)

    def value(self, node: Any, path: tuple[Key, ...]) -> Any:
        if id(node) in self.open:
            raise self.bad(node, path, "this alias contains itself; write the value out")
        if id(node) not in self.done:
            self.open.add(id(node))
            self.done[id(node)] = self.fresh(node, path)
            self.open.remove(id(node))
        return self.done[id(node)]

    def fresh(self, node: Any, path: tuple[Key, ...]) -> Any:
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if isinstance(node, ScalarNode):
            return self.scalar(node, kind, path)
        if kind not in ("map", "seq"):
            raise self.bad(node, path, f"the tag {node.tag} is not known here; remove it")
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        made: dict[str, Any] = {}
        for key, value in node.value:
            name = self.key(key, path)
            if name in made:
                first = next(pair[0] for pair in node.value if pair[0].value == name)
                raise self.bad(
                    key, (*path, name), f"this key stands already on line {_line(first.start_mark, self.cut)}; keep one"
                )
            made[name] = self.value(value, (*path, name))
        return made

    def key(self, node: Any, path: tuple[Key, ...]) -> str:
        if not isinstance(node, ScalarNode):
            raise self.bad(node, path, "a key must be one word, not a list or a map")
        if node.value == "<<" and node.style is None:
            raise self.bad(node, path, "merge keys (<<) are not YAML 1.2; write the keys out")
        if node.style is None and node.value.lower() in TRUTHY:
            if self.helm:
                boolean = TRUTHY[node.value.lower()]
                raise self.bad(node, path, f'the key {node.value} is {boolean} to Helm; write "{node.value}"')
        elif not isinstance(self.value(node, path), str):
            raise self.bad(node, path, f'the key {node.value} is not a string to YAML; write "{node.value}"')
        return str(node.value)

    def scalar(self, node: Any, kind: str, path: tuple[Key, ...]) -> Any:
        text = str(node.value)
        if kind == "str":
            if node.style is None and text.lower() in TRUTHY:
                boolean = TRUTHY[text.lower()]
                raise self.bad(
                    node, path, f'{text} is {boolean} to Helm but a string in YAML 1.2; write {boolean} or "{text}"'
                )
            if control := CONTROL.search(text):
                raise self.bad(node, path, f"the character U+{ord(control[0]):04X} gets lost on its way; remove it")
            return text
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind == "int" and INTEGER.fullmatch(text):
            if abs(int(text)) > LIMIT:
                raise self.bad(node, path, f'{text} is beyond 2^53, where numbers lose digits; write "{text}"')
            return int(text)
        if kind == "float" and "_" not in text:
            number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            if not math.isfinite(number):
                raise self.bad(node, path, f"{text} is not a finite number, JSON has no word for it; write a number")
            return number
        if kind.startswith("!"):
            raise self.bad(node, path, f"the tag {kind} is not known here; remove it")
        raise self.bad(node, path, f'YAML readers disagree about {text}; write a plain decimal number, or "{text}"')


# ---- writing ----


def flow(value: Any) -> str:
    """One line of JSON that json, ruamel, PyYAML and Helm read as the same value; ValueError for inf and nan.

    Floats are spelled with a dot (5.0e-05), for PyYAML takes 5e-05 for a string. Characters beyond U+FFFF stay as they
    are, for YAML has no surrogate pairs.
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not finite")
        mantissa, mark, exponent = repr(value + 0.0).partition("e")  # -0.0 + 0.0 is 0.0
        return mantissa + ("" if "." in mantissa else ".0") + mark + exponent
    return json.dumps(value)


def lines(value: Any) -> str:
    """As `flow`, a key to a line."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def plain(value: Any) -> str:
    """Like `flow`, without quotes where a word needs none: for what people read and go on editing."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{plain(key)}: {plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(plain, value)) + "]"
    words = ("true", "false", "null", *TRUTHY)
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value, re.ASCII) and value.lower() not in words:
        return value
    return flow(value)
