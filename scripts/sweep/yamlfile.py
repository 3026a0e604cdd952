"""The one place that reads people's YAML, and that writes values back as one line which every reader takes alike.

YAML 1.2 rules (ruamel), stricter where Helm, ruamel and PyYAML disagree about a spelling: what one of them would take
for something else is refused with advice. Every problem is a BadInput of one line: `file:line: key: what; what to do`.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep import scalars
from sweep.errors import BadInput, naming
from sweep.files import check_merged, holds, open_handle, write_atomic
from sweep.scalars import TRUTHY
from sweep.words import CONTROL

Key = str | int
KeyPath = tuple[Key, ...]
"""Where something stands in a document."""
Flaw = tuple[KeyPath, str]
"""Where something is wrong, and what, with what to do."""
UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # YAML wants these escaped; JSON does not mind
__all__ = ["CONTROL", "UNSAFE", "Document", "Flaw", "Key", "KeyPath", "flow", "load", "parse", "plain", "read_text"]

# ---- bounds: what a file of people's may ask of this machine ----

MAX_BYTES = 32 * 2**20
"""Of a file, its expanded trials included: about 250,000 of them."""
MAX_ALIASED = 500
"""Values that aliases may stand for. From 1,000 on Helm (go-yaml) refuses what is mostly aliases."""


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
            if _kind(value) == "mapping":
                pairs = [pair for pair in value.value if pair[0].value == part]
                if not pairs:
                    break
                key, value = pairs[0]
            elif _kind(value) == "sequence" and isinstance(part, int) and part < len(value.value):
                key = value = value.value[part]
            else:
                break
        return key, value

    def value(self, *path: str) -> Any:
        """The value at `path`; None where there is none, or null."""
        value = self.data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

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


def _kind(node: Any) -> str:
    """`mapping`, `sequence` or `scalar`, of a node of ruamel's."""
    return str(getattr(node, "id", ""))


def _line(mark: Any, cut: tuple[int, int]) -> int:
    return int(mark.line) + 1 + (cut[1] if mark.line >= cut[0] else 0)


# ---- reading ----


def read_text(path: Path, shown: str, root: Path | None = None) -> str:
    """The file as text, line ends as they are; raises BadInput where it is missing, no file, too large or not UTF-8.

    It may be a link that stays below `root` (default: its folder).
    """
    try:
        with naming(path), os.fdopen(open_handle(path, root=root), "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise BadInput(f"{shown}: more than {MAX_BYTES // 2**20} MiB; spread the trials over several sweeps")
        check_merged(data, shown)
        return data.decode()
    except FileNotFoundError:
        raise BadInput(f"{shown}: no such file; `make new SWEEP=<name>` starts a sweep") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{shown}:{line}: not UTF-8 text; save the file as UTF-8") from None
    except (IsADirectoryError, NotADirectoryError) as error:
        raise BadInput(f"{shown}: {error.strerror}; it must be a readable file") from None


def load(path: Path, shown: str, *, helm: bool = True) -> Document:
    """Read a YAML file of people; its top level is a map. helm: Helm reads it too, and takes the key `n` for false."""
    return parse(read_text(path, shown), shown, helm=helm)


def parse(text: str, shown: str, cut: tuple[int, int] = (0, 0), *, helm: bool = True) -> Document:
    """Read YAML text whose top level is a map; see Document for `cut`, load for `helm`."""
    text = text.removeprefix("\ufeff")
    _check_text(text, shown, cut)
    from sweep import composer  # with ruamel, which takes a quarter of a second to import

    try:
        root = composer.compose(text)
    except composer.RefusedYAML as error:
        raise _bad(shown, _line(error.problem_mark, cut), (), str(error.problem)) from None
    except composer.MarkedYAMLError as error:
        opened = any(word in str(error.context) for word in ("flow", "quoted"))
        line = _line(error.context_mark if opened else error.problem_mark or error.context_mark, cut)
        problem = scalars.shown(" ".join(str(error.problem or error.context).split()))
        advice = "look at the bracket or quote that opens here" if opened else "look at this line and the one above"
        advice = "indent with spaces" if r"'\t'" in problem else advice
        raise BadInput(f"{shown}:{line}: not YAML: {problem}; {advice}") from None
    except composer.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        raise BadInput(f"{shown}:{line}: not YAML: a control character; remove it") from None
    except (ValueError, ArithmeticError, AttributeError, LookupError, TypeError) as error:  # of ruamel itself
        raise BadInput(f"{shown}:1: not YAML that can be read ({error}); write plain `key: value` lines") from None
    if root is None:
        raise BadInput(f"{shown}:1: the file is empty; write at least one `key: value`")
    if _kind(root) != "mapping":
        raise BadInput(f"{shown}:{_line(root.start_mark, cut)}: the file is not a map; write `key: value` lines")
    return Document(shown, _Reader(shown, cut, helm).value(root, ()), root, cut)


_STRANGE = re.compile(
    "(?P<character>[\x85\u2028\u2029\ufeff])|(?P<return>\r(?!\n))|^(?P<marker>---(?=\\s|$)|\\.\\.\\.(?=\\s|$)|%)", re.M
)


def _check_text(text: str, shown: str, cut: tuple[int, int]) -> None:
    """Refuse what readers see as the end of a line or of a document, or not, before one of them is asked."""
    for match in _STRANGE.finditer(text):
        above = text[: match.start()]
        number = above.count("\n")
        line = number + 1 + (cut[1] if number >= cut[0] else 0)
        if match["character"]:
            code = f"U+{ord(match['character']):04X}"
            raise BadInput(f"{shown}:{line}: the character {code} is a line break to some readers of YAML; remove it")
        if match["return"]:
            raise BadInput(f"{shown}:{line}: a carriage return within a line; end lines with \\n or \\r\\n")
        rest = text[match.end() :].partition("\n")[0]
        if match["marker"] == "---" and not rest.strip() and not re.search(r"^\s*[^\s#]", above, re.M):
            continue  # the file begins with it, as many do
        word = match["marker"]
        raise BadInput(f"{shown}:{line}: `{word}` begins another document or a directive; write one map, without it")


class _Reader:
    """Turns nodes into values, each node once (an alias is the same node), and refuses what readers disagree about."""

    def __init__(self, shown: str, cut: tuple[int, int], helm: bool) -> None:
        self.shown, self.cut, self.helm = shown, cut, helm
        self.done: dict[int, tuple[Any, int]] = {}
        self.open: set[int] = set()
        self.aliased = 0

    def bad(self, node: Any, path: tuple[Key, ...], problem: str) -> BadInput:
        return _bad(self.shown, _line(node.start_mark, self.cut), path, problem)

    def value(self, node: Any, path: tuple[Key, ...]) -> Any:
        return self.sized(node, path)[0]

    def sized(self, node: Any, path: tuple[Key, ...]) -> tuple[Any, int]:
        """The value, and of how many values it consists once every alias is written out."""
        if id(node) in self.open:
            raise self.bad(node, path, "this alias contains itself; write the value out")
        if id(node) in self.done:
            self.aliased += self.done[id(node)][1]
            if self.aliased > MAX_ALIASED:
                raise self.bad(node, path, f"aliases stand for more than {MAX_ALIASED} values here; write them out")
            return self.done[id(node)]
        self.open.add(id(node))
        self.done[id(node)] = self.fresh(node, path)
        self.open.remove(id(node))
        return self.done[id(node)]

    def fresh(self, node: Any, path: tuple[Key, ...]) -> tuple[Any, int]:
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if _kind(node) == "scalar":
            try:
                return scalars.value(str(node.value), kind, plain=node.style is None), 1
            except scalars.Disagreement as error:
                raise self.bad(node, path, str(error)) from None
        if kind not in ("map", "seq"):
            raise self.bad(node, path, f"unknown tag {node.tag}; remove it")
        if _kind(node) == "sequence":
            pairs = [self.sized(item, (*path, index)) for index, item in enumerate(node.value)]
            return [value for value, _ in pairs], 1 + sum(size for _, size in pairs)
        mapping: dict[str, Any] = {}
        whole = 1
        for key, value in node.value:
            name = self.key(key, path)
            if name in mapping:
                first = next(pair[0] for pair in node.value if pair[0].value == name)
                raise self.bad(
                    key,
                    (*path, name),
                    f"duplicate key, first set on line {_line(first.start_mark, self.cut)}; keep one",
                )
            mapping[name], size = self.sized(value, (*path, name))
            whole += size
        return mapping, whole

    def key(self, node: Any, path: tuple[Key, ...]) -> str:
        if _kind(node) != "scalar":
            raise self.bad(node, path, "a key must be one word, not a list or a map")
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        try:
            return scalars.key(str(node.value), kind, plain=node.style is None, helm=self.helm)
        except scalars.Disagreement as error:
            raise self.bad(node, path, str(error)) from None


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
    words = ("true", "false", "null", *(word.lower() for word in TRUTHY))
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value, re.ASCII) and value.lower() not in words:
        return value
    return flow(value)


def write_generated(path: Path, what: str, values: Mapping[str, Any]) -> None:
    """Write a values file that is not committed; one that holds the same is left alone. Raises BadInput."""
    text = f"# {what}. Generated; not committed.\n{lines(values)}\n"
    if not holds(path, text.encode()):
        write_atomic(path, text)
