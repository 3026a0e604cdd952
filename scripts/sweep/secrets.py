"""What looks like a secret: refused where people write it, before it is kept, and masked in what programs say.

The rules are chart/files/secrets.json, in regular expressions that Go and Python read alike: the chart refuses by the
same list (templates/_secrets.tpl), for those who use plain helm, but knows no lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from sweep.errors import BadInput
from sweep.layout import Kit
from sweep.yamlfile import Document, Flaw, Key

MASK = "***"
LONGEST_NAME = 256
NAMED = "named like a secret"
WAY_ENV = "write `{secret: NAME, key: KEY}` there, with the value in that Secret (docs/cluster.md: Secrets)"
WAY_URL = "leave it out; Pods get a deploy key by code.secret, and you have git's credential helper"
WAY = "hand it over by env, as `NAME: {secret: …, key: …}` (docs/cluster.md: Secrets)"
WAY_NAME = f"{WAY}, or call it something else if it is none"
REFERENCES = re.compile(r"(code|env\.[^.]+)\.secret")
"""Keys that name a Secret, and are named like one."""
_PAIR = re.compile(r"""(["']?([A-Za-z_][\w.-]{0,63})["']?:\s{1,8})("[^"]*"|'[^']*'|[^\s,{}\[\]#][^,{}\[\]#]*)""")
_USER = re.compile("^(?i:https?|ftps?)://[^/?#]*@")


@cache
def _rules() -> dict[str, Any]:
    rules = json.loads((Kit.here().chart / "files" / "secrets.json").read_text())
    shapes = [(what, re.compile(pattern)) for what, pattern in rules.pop("shapes")]
    return {name: re.compile(pattern) for name, pattern in rules.items()} | {"shapes": shapes}


def in_name(name: str, value: str) -> bool:
    """Whether a value stands under a name of secrets, and is none of what may: a reference, a switch, a path."""
    return _is_secret_name(name) and not _may_stand(name, value)


@cache
def _is_secret_name(name: str) -> bool:
    rules = _rules()
    return len(name) <= LONGEST_NAME and bool(rules["name"].search(name)) and not rules["no_name"].search(name)


def _may_stand(name: str, value: str) -> bool:
    rules = _rules()
    return bool(rules["no_value"].search(value) or (rules["path_name"].search(name) and rules["path"].search(value)))


@lru_cache(maxsize=4096)
def in_text(text: str) -> str:
    """What looks like a secret in a text, in words that do not show it; "" if nothing does."""
    for what, shape in _rules()["shapes"]:
        if shape.search(text):
            return str(what)
    for name, value in _assignments(text):
        if in_name(name, value):
            return f"a value for {name}, which is {NAMED}"
    return ""


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """`name=value`, `--name value` and `"name": "value"` within a text."""
    for match in _rules()["assignment"].finditer(text):
        if parts := _rules()["assigned"].search(match[0]):
            yield parts[1], parts[2]


def masked(text: str, *, yaml: bool = False) -> str:
    """A text with `***` in the place of what looks like a secret. `yaml`: `key: value` may stand in it."""
    if yaml:
        text = _PAIR.sub(lambda pair: f"{pair[1]}{MASK}" if in_name(pair[2], pair[3].strip("\"' ")) else pair[0], text)
    for _, shape in _rules()["shapes"]:
        text = shape.sub(_mask, text)
    for name, value in _assignments(text):
        if in_name(name, value):
            text = text.replace(value, MASK)
    return text


def _mask(match: re.Match[str]) -> str:
    """An address keeps its scheme, and whatever comes behind the @."""
    before, mark, _ = match[0].partition("://")
    if match[0].endswith("@"):
        return f"{before}{mark if mark else ''}{MASK}@"
    return MASK


def find(value: Any, key: str = "", path: tuple[Key, ...] = ()) -> Iterator[Flaw]:
    """All that looks like a secret below `value`; no path shows one."""
    if isinstance(value, dict):
        yield from _find_in_map(value, key, path)
    elif isinstance(value, list):
        words = " ".join(value) if all(isinstance(word, str) for word in value) else ""
        if what := in_text(words):
            yield path, f"holds {what}; {_way(key, what)}"
            return
        for index, below in enumerate(value):
            yield from find(below, key, (*path, index))
    elif isinstance(value, str):
        what = in_text(value) or ("a user before the @" if key == "code.url" and _USER.search(value) else "")
        if what:
            yield path, f"holds {what}; {_way(key, what)}"


def _find_in_map(value: dict[str, Any], key: str, path: tuple[Key, ...]) -> Iterator[Flaw]:
    if _named(value.get("name"), value.get("value")):
        yield (*path, "value"), f"{NAMED}; {_way(key, NAMED)}"
    for name, below in value.items():
        inner = f"{key}.{name}" if key else name
        texts = below if isinstance(below, list) else [below]
        if what := in_text(name):
            yield path, f"a key of it holds {what}; {WAY}"
        elif not REFERENCES.fullmatch(inner) and any(_named(name, text) for text in texts):
            yield (*path, name), f"{NAMED}; {_way(inner, NAMED)}"
        else:
            yield from find(below, inner, (*path, name))


def _named(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, str) and in_name(name, value)


def _way(key: str, what: str) -> str:
    if key == "code.url":
        return WAY_URL
    if what != NAMED:
        return WAY
    return WAY_ENV if key.startswith("env.") else WAY_NAME


def check(doc: Document, text: str) -> None:
    """Raise BadInput where a file of people's holds what looks like a secret, before anything of it is committed.

    `text` is the whole file, which a commit takes comments and all.
    """
    for path, problem in find(doc.data):
        raise doc.bad(path, problem)
    check_text(text, doc.shown)


def check_text(text: str, shown: str) -> None:
    """The same of text that is nobody's value, as comments are."""
    for what, shape in _rules()["shapes"]:
        if match := shape.search(text):
            line = text.count("\n", 0, match.end()) + 1
            raise BadInput(f"{shown}:{line}: holds {what}; {WAY}")
