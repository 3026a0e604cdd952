"""What a trial asks of the cluster by its hyperparameters: `resources` and `gpu` of space.yaml, written into its line.

Text with an expression in braces is computed, all other text is a quantity as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sweep.spaces.evaluation import Unclear
from sweep.spaces.expression import Absent, parse_text
from sweep.yamlfile import Document

MOST_GPUS = 1024


@dataclass(frozen=True)
class Request:
    """One value of a trial's `resources` or `gpu`."""

    path: tuple[str, ...]
    value: Callable[[Mapping[str, Any]], Any]
    """From all hyperparameters of the trial; raises Absent, BadInput."""


def read(doc: Document, names: Iterable[str]) -> tuple[Request, ...]:
    """What space.yaml asks for; raises BadInput with the line."""
    known = {name: name for name in names}
    return tuple(
        Request(path, _value(doc, path, given, known))
        for section in ("resources", "gpu")
        for path, given in _leaves(doc.data.get(section, {}), (section,))
    )


def _leaves(given: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(given, dict):
        yield path, given
        return
    for key, below in given.items():
        yield from _leaves(below, (*path, key))


def _value(
    doc: Document, path: tuple[str, ...], given: Any, known: Mapping[str, str]
) -> Callable[[Mapping[str, Any]], Any]:
    if not isinstance(given, str) or "{" not in given:
        return lambda _values: given
    try:
        text = parse_text(given, known)
    except Unclear as error:
        raise doc.bad(path, str(error)) from None

    def value(values: Mapping[str, Any]) -> Any:
        try:
            computed = text.computed(values)
        except Unclear as error:
            raise doc.bad(path, str(error)) from None
        if path == ("gpu", "count") and not (type(computed) is int and 0 <= computed <= MOST_GPUS):
            raise doc.bad(path, f"it gives {computed}, not a whole number from 0 to {MOST_GPUS}; use // or int()")
        if isinstance(computed, bool | list) or computed is None:
            raise doc.bad(path, f"it gives {computed}, which is not a quantity; write a number, or text as in {{n}}Gi")
        return computed

    return value


def asked(requests: Iterable[Request], values: Mapping[str, Any]) -> dict[str, Any]:
    """`resources` and `gpu` of a trial with these hyperparameters; what needs one that it lacks is left out."""
    whole: dict[str, Any] = {}
    for request in requests:
        with suppress(Absent):
            value = request.value(values)
            place = whole
            for key in request.path[:-1]:
                place = place.setdefault(key, {})
            place[request.path[-1]] = value
    return whole
