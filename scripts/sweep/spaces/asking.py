"""What a trial asks for by its hyperparameters: `resources`, `gpu`, `limit_seconds` and `image` of space.yaml.

It is written into the trial's line, and laid over what values.yaml asks for all. Text with an expression in braces is
computed, all other text stands as it is; a map of conditions is a table of such values (cases.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from sweep.records.same import ASKED
from sweep.spaces import cases
from sweep.spaces.cases import Value
from sweep.spaces.evaluation import Unclear
from sweep.spaces.expression import Absent, parse_text
from sweep.yamlfile import Document, KeyPath

MOST_GPUS = 1024
LONGEST_SECONDS = 2**31 - 1
"""Beyond it Kubernetes takes no deadline."""
DEPTHS = {"resources": 3, "gpu": 2, "limit_seconds": 1, "image": 2}
"""How many keys lead to a value; a map there is a table."""
_IMAGES = {
    "repository": (re.compile(r"\S+"), "the name of an image, as in registry.example.org/train"),
    "tag": (re.compile(r"[\w][\w.-]{0,127}", re.ASCII), "a tag, at most 128 letters, digits, '_', '.' and '-'"),
    "digest": (re.compile(r"(sha256:[0-9a-f]{64})?"), "sha256: and 64 digits of 0 to 9 and a to f"),
}


@dataclass(frozen=True)
class Request:
    """One value that a trial asks for itself."""

    path: tuple[str, ...]
    value: Value
    """From all hyperparameters of the trial; raises Absent, BadInput."""


def read(doc: Document, names: Iterable[str]) -> tuple[Request, ...]:
    """What space.yaml asks for; raises BadInput with the line."""
    known = {name: name for name in names}
    return tuple(
        Request(path, cases.read(doc, path, given, known, partial(_value, doc, known, _checked(path)))[0])
        for section in ASKED
        if section in doc.data
        for path, given in _leaves(doc.data[section], (section,), DEPTHS[section])
    )


def _leaves(given: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    if len(path) == depth:
        yield path, given
        return
    for key, below in given.items():
        yield from _leaves(below, (*path, key), depth)


def _value(doc: Document, known: Mapping[str, str], checked: Callable[[Any], Any], path: KeyPath, given: Any) -> Value:
    """What stands at `path`, as `checked` takes it."""

    def taken(value: Any) -> Any:
        try:
            return checked(value)
        except Unclear as error:
            raise doc.bad(path, str(error)) from None

    if not isinstance(given, str) or "{" not in given:
        constant = taken(given)
        return lambda _values: constant
    try:
        text = parse_text(given, known)
    except Unclear as error:
        raise doc.bad(path, str(error)) from None

    def value(values: Mapping[str, Any]) -> Any:
        try:
            computed = text.computed(values)
        except Unclear as error:
            raise doc.bad(path, str(error)) from None
        return taken(computed)

    return value


def _checked(path: KeyPath) -> Callable[[Any], Any]:
    """What may stand at `path` -> how it is written into a line; raises Unclear."""
    match path:
        case ("gpu", _):
            return partial(_whole, 0, MOST_GPUS)
        case ("limit_seconds",):
            return partial(_whole, 1, LONGEST_SECONDS)
        case ("image", key):
            return partial(_image, str(key))
    return _quantity


def _whole(least: int, most: int, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not least <= value <= most:
        way = f"write what is computed in braces, as in {{{value}}}" if isinstance(value, str) else "use // or int()"
        raise Unclear(f"it gives {value}, not a whole number from {least} to {most}; {way}")
    return value


def _quantity(value: Any) -> Any:
    if isinstance(value, bool | list) or value is None:
        raise Unclear(f"it gives {value}, which is not a quantity; write a number, or text as in {{n}}Gi")
    return value


def _image(key: str, value: Any) -> str:
    pattern, due = _IMAGES[key]
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not pattern.fullmatch(text):
        number = "; put a tag such as 1.10 in quotes" if isinstance(value, float) else ""
        raise Unclear(f"it gives {value}, which is not {due}{number}; correct it")
    return text


def asked(requests: Iterable[Request], values: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial with these hyperparameters asks for itself; what needs one that it lacks is left out."""
    whole: dict[str, Any] = {}
    for request in requests:
        with suppress(Absent):
            value = request.value(values)
            place = whole
            for key in request.path[:-1]:
                place = place.setdefault(key, {})
            place[request.path[-1]] = value
    return whole
