"""Damaged documents, made of sound ones: bytes moved, cut and repeated, other numbers and words in their place."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Sequence
from typing import Any

LARGEST = 40_000
"""Bytes of a document that is made."""
NUMBERS = (
    b"0", b"-1", b"-0.0", b"1e308", b"1e999", b"-1e999", b"1e-400", b"NaN", b"Infinity", b"9007199254740993",
    b"18446744073709551616", b"1" * 400, b"1" * 5000, b".5", b"0x10", b"1_000", b"2026-01-01", b"true", b"null", b'""',
)  # fmt: skip
WORDS = (
    b"\n", b"\r", b"\r\n", b"\0", b"\t", b" ", b": ", b",", b"'", b'"', b"{", b"}", b"[", b"]", b"# ", b"- ", b"&a ",
    b"*a", b"<<: ", b"!!str ", b"---\n", b"...\n", b"|\n", b"? ", b"\\", b"\\ud800", b"\\u0000", b"\xff", b"\xc3\x28",
    b"\xed\xa0\x80", "\u2028".encode(), "\u202e".encode(), "\ufeff".encode(), "\U0001f600".encode(), b"../../x",
    b"=1+1", b"@", b"'=", b"\x1b[31m", b"sampler", b"when", b"seed", b"trials:\n", b"# end\n", b"choices", b"log",
    b"a" * 5000,
)  # fmt: skip
DEEP = 20_000
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 2**53 + 1, 2**64, 10**400, float("nan"), float("inf"), "", "x", "../../x",
    ".", "a/b", "\0", "\ud800", "\u202e", "=1", "x" * 5000, [], [[]], {}, {"": 1}, {"a": None}, "\0deep",
)  # fmt: skip


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A document that is mostly `data`, in a few places something else."""
    if chance.random() < 0.4:
        data = _other_values(data, chance)
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        data = chance.choice(CHANGES)(data, others, chance)[:LARGEST]
    return data


# ---- bytes ----


def _piece(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + chance.choice((1, 1, 2, 5, 20, 100, 1000)))


def _flip(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


def _cut(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _piece(data, chance)
    return data[:start] + data[end:]


def _end(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def _repeat(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _piece(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 2, 10, 1000, 20_000)) + data[end:]


def _move(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start, end = _piece(data, chance)
    rest, place = data[:start] + data[end:], chance.randint(0, len(data) - (end - start))
    return rest[:place] + data[start:end] + rest[place:]


def _word(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    return data[:place] + chance.choice(WORDS) + data[place:]


def _number(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    numbers = list(re.finditer(rb"[-+.\w]+", data))
    if not numbers:
        return data
    number = chance.choice(numbers)
    return data[: number.start()] + chance.choice(NUMBERS) + data[number.end() :]


def _splice(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    other = chance.choice(others)
    start, end = _piece(other, chance)
    place = chance.randint(0, len(data))
    return data[:place] + other[start:end] + data[place:]


CHANGES = (_flip, _cut, _end, _repeat, _move, _word, _word, _number, _number, _splice)


# ---- JSON ----


def _other_values(data: bytes, chance: random.Random) -> bytes:
    """JSON with a few other values; what is no JSON as it is."""
    try:
        holder = [json.loads(data)]
    except (ValueError, RecursionError):
        return data
    for _ in range(chance.choice((1, 1, 2, 3))):
        places = list(_places(holder))
        container, key = chance.choice(places)
        if chance.random() < 0.25 and len(places) > 1:
            other, name = chance.choice(places)
            container[key] = json.loads(json.dumps(other[name]))
        elif isinstance(container, dict) and chance.random() < 0.3:
            value = container.pop(key)
            if chance.random() < 0.5:
                container[chance.choice((f"{key}x", "", "status", "id", "\ud800", "x" * 300))] = value
        else:
            container[key] = copy.deepcopy(chance.choice(VALUES))  # or one might come to lie in itself
    text = json.dumps(holder[0], ensure_ascii=chance.random() < 0.5)
    return text.replace('"\\u0000deep"', "[" * DEEP + "]" * DEEP).encode(errors="surrogatepass")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of JSON, the outermost included."""
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        container = waiting.pop()
        for key in container if isinstance(container, dict) else range(len(container)):
            places.append((container, key))
            if isinstance(container[key], dict | list):
                waiting.append(container[key])
    return places
