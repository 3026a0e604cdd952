"""A JSON Schema check that says in words where the file is wrong, and what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.vocabulary import OTHER_KEYS, OTHER_VALUES
from sweep.yamlfile import Document, Flaw, Key, plain

if TYPE_CHECKING:
    from jsonschema import ValidationError

KINDS = {
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
}


def check(doc: Document, schema: dict[str, Any], *, partial: bool = False) -> None:
    """Check `doc` by a JSON Schema; raises BadInput about the first problem in the file.

    partial: the file is one of several that are merged, so keys may be missing.
    """
    listed = problems(doc.data, schema, partial=partial)
    if listed:
        # On one line, an unknown key goes before a missing one: it is mostly the same key, misspelled.
        path, problem = min(listed, key=lambda item: (doc.line(*item[0]), "missing" in item[1]))
        raise doc.bad(path, problem)


def problems(data: Any, schema: dict[str, Any], *, partial: bool = False) -> list[Flaw]:
    """All that the schema refuses; see `check`.

    Advice comes from the schema: its `examples`, its known keys, its enum.
    """
    from jsonschema.validators import validator_for  # takes a third of a second to import

    errors = validator_for(schema)(schema).iter_errors(data)
    return [item for error in errors for item in _problems(error) if not (partial and error.validator == "required")]


_KINDS: dict[str, Any] = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}
_RULES = {"type", "enum", "properties", "patternProperties", "additionalProperties", "required", "items", "$ref"}
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "minProperties", "pattern"}
_WORDS = {"$schema", "title", "description", "default", "examples", "definitions"}


def fits(value: Any, part: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether the schema plainly takes `value`: True is what `problems` finds nothing in, and costs no import.

    False may mean no more than that the schema has a rule which is not known here.
    """
    if "$ref" in part:
        part = root["definitions"][part["$ref"].rpartition("/")[2]]
    kinds = part.get("type", [])
    return (
        part.keys() <= _RULES | _BOUNDS | _WORDS
        and ("enum" not in part or value in part["enum"])
        and (not kinds or any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)))
        and _within(value, part)
        and all(rule is not False and fits(item, rule, root) for item, rule in _parts(value, part))
    )


def _within(value: Any, part: dict[str, Any]) -> bool:
    """Whether a value keeps the bounds that a schema has for its kind."""
    match value:
        case dict():
            return set(part.get("required", ())) <= value.keys() and len(value) >= part.get("minProperties", 0)
        case list():
            return bool(len(value) >= part.get("minItems", 0))
        case str():
            long = part.get("minLength", 0) <= len(value) <= part.get("maxLength", len(value))
            return long and re.search(part.get("pattern", ""), value) is not None
        case int() | float() if not isinstance(value, bool):
            above = "exclusiveMinimum" not in part or value > part["exclusiveMinimum"]
            return bool(above and part.get("minimum", value) <= value <= part.get("maximum", value))
    return True


def _parts(value: Any, part: dict[str, Any]) -> list[tuple[Any, Any]]:
    """What is in a value, with what a schema asks of it."""
    if isinstance(value, list):
        return [(item, part.get("items", {})) for item in value]
    if isinstance(value, dict):
        return [(item, rule) for key, item in value.items() for rule in _rules_of(key, part)]
    return []


def _rules_of(key: str, part: dict[str, Any]) -> list[Any]:
    """What a schema of a map asks of the value of a key; False: there may be none."""
    named = [rule for name, rule in part.get("properties", {}).items() if name == key]
    matched = [rule for pattern, rule in part.get("patternProperties", {}).items() if re.search(pattern, key)]
    return [*named, *matched] or [part.get("additionalProperties", {})]


def _is(value: Any, kind: str) -> bool:
    if kind in ("number", "integer"):
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return isinstance(value, int | float) and not isinstance(value, bool) and (whole or kind == "number")
    return isinstance(value, _KINDS[kind])


@dataclass(frozen=True)
class _Refusal:
    """What one rule of the schema refuses."""

    rule: str
    value: Any
    wanted: Any
    """What the schema has for the rule: of `minimum`, the number."""
    schema: dict[str, Any]
    """The part that has the rule."""
    message: str
    """The validator's own."""

    @property
    def advice(self) -> str:
        if self.schema.get("examples"):
            return f"; write {plain(self.schema['examples'][0])}"
        return f"; for example {plain(self.schema['default'])}" if self.schema.get("default") else ""


def _problems(error: ValidationError) -> Iterator[Flaw]:
    """All that one error of the validator says is wrong: of an unknown key it is that key's, one each."""
    path, schema = tuple(error.absolute_path), error.schema
    assert isinstance(schema, dict)
    rule = "propertyNames" if "propertyNames" in error.schema_path else str(error.validator)
    refusal = _Refusal(rule, error.instance, error.validator_value, schema, error.message)
    if rule == "propertyNames":
        yield (*path, refusal.value), f"invalid name; {schema['description']}"
    elif rule == "additionalProperties":
        yield from (((*path, key), problem) for key, problem in _unknown_keys(refusal))
    elif rule == "required":
        for key in (key for key in refusal.wanted if key not in refusal.value):
            yield path, f"{key} is missing; write `{key}: {plain(_example(key, refusal.value, schema))}`"
    else:
        yield path, _WORDING.get(rule, _as_it_says)(refusal)


def _unknown_keys(refusal: _Refusal) -> Iterator[tuple[Key, str]]:
    known, patterns = list(refusal.schema.get("properties", {})), list(refusal.schema.get("patternProperties", {}))
    for key in refusal.value:
        if key not in known and not any(re.search(pattern, key) for pattern in patterns):
            yield key, f"unknown key; {_hint(key, known, [f'what matches {pattern}' for pattern in patterns])}"


def _wrong_kind(refusal: _Refusal) -> str:
    kinds = [refusal.wanted] if isinstance(refusal.wanted, str) else refusal.wanted
    return f"{expected(*(kind for kind in kinds if kind != 'null'), value=refusal.value)}{refusal.advice}"


def _not_in_list(refusal: _Refusal) -> str:
    value, words = str(refusal.value), [item if isinstance(item, str) else plain(item) for item in refusal.wanted]
    near = [word for word in OTHER_VALUES.get(value, ()) if word.partition(",")[0] in words]
    near = near or difflib.get_close_matches(value, words, 1)
    hint = f"did you mean {near[0]}?" if near else "write one of them"
    return f"{_show(refusal.value)} is not one of {', '.join(words)}; {hint}"


def _out_of_bounds(refusal: _Refusal) -> str:
    word = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}[refusal.rule]
    return f"{_show(refusal.value)} is out of bounds; write {word} {refusal.wanted}"


def _empty(refusal: _Refusal) -> str:
    return f"must not be empty{refusal.advice or '; fill it'}"


def _no_match(refusal: _Refusal) -> str:
    return f"{_show(refusal.value)} does not match {refusal.wanted}{refusal.advice or '; write what does'}"


def _forbidden(refusal: _Refusal) -> str:
    return str(refusal.schema["description"])


def _as_it_says(refusal: _Refusal) -> str:
    return " ".join(refusal.message.split()) + refusal.advice


_WORDING: dict[str, Callable[[_Refusal], str]] = {
    "type": _wrong_kind,
    "enum": _not_in_list,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum"), _out_of_bounds),
    **dict.fromkeys(("minItems", "minLength", "minProperties"), _empty),
    "pattern": _no_match,
    "not": _forbidden,
}


def _hint(key: str, known: list[str], others: list[str]) -> str:
    """What an unknown key was to be: as other tools call it, or nearly written so; else what there is."""
    near = [word for word in OTHER_KEYS.get(key, ()) if word in known]
    if near:
        return f"it is `{near[0]}` here"
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known + others)}"


def _example(key: str, value: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """What to write for a missing key: as in the example of the whole that has most of the keys which are there."""
    whole = [
        example
        for example in schema.get("examples", [])
        if isinstance(example, dict) and key in example and example.keys() & value
    ]
    if whole:
        return max(whole, key=lambda example: len(example.keys() & value))[key]
    wanted = schema.get("properties", {}).get(key, {})
    return wanted["examples"][0] if wanted.get("examples") else (wanted.get("enum") or ["…"])[0]


def _show(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else plain(value)
    return text if len(text) <= 60 else text[:57] + "…"


def expected(*kinds: str, value: Any) -> str:
    """`expected a number, got the string 'abc'`, and so on for every kind of value; `kinds` are the schema's words."""
    names = [KINDS[kind] for kind in kinds]
    either = f"{', '.join(names[:-1])}{' or ' if names[1:] else ''}{names[-1]}"
    return f"expected {either}, got {_kind(value)}"


def _kind(value: Any) -> str:
    if value is None:
        return "no value (null)"
    names = {bool: "the boolean", str: "the string", int: "the number", float: "the number", list: "the list"}
    return f"{names.get(type(value), 'the map')} {_show(value)}"
