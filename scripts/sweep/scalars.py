"""What one word of YAML means: alike to YAML 1.2 (ruamel) and to Helm (Go, mostly YAML 1.1), or refused with advice.

Helm 3 and helm 4 read every word alike (go.yaml.in/yaml/v2, resolve.go). They take `y` for true, `010` for 8 and `0X1F`
for 31, and never say so; a chart sees only what came of it. So a word that they would take for something else than
YAML 1.2 does is refused here, where the file is still text.
"""

from __future__ import annotations

import math
import re
from typing import Any

from sweep.words import CONTROL

LIMIT = 2**53  # beyond it Helm's numbers, which are doubles, lose digits
SHOWN = 60
"""Characters of a word that a message repeats."""

_BOOLEANS = {"on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}
TRUTHY = {spelled: meant for word, meant in _BOOLEANS.items() for spelled in (word, word.capitalize(), word.upper())}
"""Words that are booleans to Helm and strings to YAML 1.2, as what."""
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_GO_NUMBER = re.compile(rf"[-+]?(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)|{_FLOAT.pattern}")
"""What Go takes for a number once every `_` is taken out."""


class Disagreement(ValueError):
    """A word that readers take for different things; the text says what, and what to write instead."""


def shown(text: str) -> str:
    """The word as a message repeats it."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def value(text: str, kind: str, *, plain: bool) -> Any:
    """The value of a scalar: a string, a boolean, None, an int within 2^53 or a finite float.

    kind: what YAML 1.2 resolves it to (str, int, float, bool, null, timestamp, merge, value); plain: without quotes.
    Raises Disagreement.
    """
    if kind == "str" or (plain and kind in ("timestamp", "merge", "value")):  # Helm leaves these three as they stand
        return _string(text, plain)
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "int" and _INTEGER.fullmatch(text):
        return _whole(text)
    if kind == "float" and "_" not in text:
        return _finite(text)
    if kind.startswith("!"):
        raise Disagreement(f"unknown tag {shown(kind)}; remove it")
    raise _disagreement(text)


def _whole(text: str) -> int:
    if len(text) > len(str(LIMIT)) + 1 or abs(int(text)) > LIMIT:
        raise Disagreement(f'{shown(text)} is beyond 2^53, where numbers lose digits; write "{shown(text)}"')
    return int(text)


def _finite(text: str) -> float:
    number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(number):
        raise Disagreement(f"{shown(text)} is not a finite number, JSON has no word for it; write a number")
    return number + 0.0  # -0.0 is 0 to Helm


def key(text: str, kind: str, *, plain: bool, helm: bool) -> str:
    """A key, which must be a string to every reader; helm: Helm reads the file too. Raises Disagreement."""
    if text == "<<":  # helm 3 forgets the quotes when it checks the schema
        raise Disagreement("merge keys (<<) are not YAML 1.2; write the keys out")
    if plain and text in TRUTHY:
        if helm:
            raise Disagreement(f'the key {text} is {TRUTHY[text]} to Helm; write "{text}"')
        return text
    if not isinstance(value(text, kind, plain=plain), str):
        raise Disagreement(f'the key {shown(text)} is not a string to YAML; write "{shown(text)}"')
    return text


def _string(text: str, plain: bool) -> str:
    if plain and text in TRUTHY:
        raise Disagreement(
            f'{text} is {TRUTHY[text]} to Helm but a string in YAML 1.2; write {TRUTHY[text]} or "{text}"'
        )
    if plain and _GO_NUMBER.fullmatch(text.replace("_", "")):
        raise _disagreement(text)
    if control := CONTROL.search(text):
        raise Disagreement(f"the character U+{ord(control[0]):04X} cannot be written in YAML; remove it")
    return text


def _disagreement(text: str) -> Disagreement:
    return Disagreement(f'YAML readers disagree about {shown(text)}; write a plain decimal number, or "{shown(text)}"')
