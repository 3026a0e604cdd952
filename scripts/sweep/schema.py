"""A JSON Schema check that says in words where the file is wrong, and what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweep.vocabulary import OTHER_KEYS, OTHER_VALUES
from sweep.yamlfile import Document, Key, plain

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
    found = problems(doc.data, schema, partial=partial)
    if found:
        # On one line, an unknown key goes before a missing one: it is mostly the same key, misspelled.
        path, problem = min(found, key=lambda item: (doc.line(*item[0]), "missing" in item[1]))
        raise doc.bad(path, problem)


def problems(data: Any, schema: dict[str, Any], *, partial: bool = False) -> list[tuple[tuple[Key, ...], str]]:
    """(path, problem; advice) of all that the schema refuses; see `check`.

    Advice comes from the schema: its `examples`, its known keys, its enum.
    """
    from jsonschema.validators import validator_for  # takes a third of a second to import

    errors = validator_for(schema)(schema).iter_errors(data)
    return [item for error in errors for item in _problems(error) if not (partial and error.validator == "required")]


_KINDS: dict[str, Any] = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}
_RULES = {"type", "enum", "properties", "patternProperties", "additionalProperties", "required", "items", "$ref"}
_BOUNDS = {"minimum", "maximum", "minLength", "maxLength", "minItems", "pattern"}
_WORDS = {"$schema", "title", "description", "default", "examples", "definitions"}


def fits(value: Any, part: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether the schema plainly takes `value`: True is what `problems` finds nothing in, and costs no import.

    False may mean no more than that the schema has a rule which is not known here.
    """
    if "$ref" in part:
        part = root["definitions"][part["$ref"].rpartition("/")[2]]
    kinds = part.get("type", [])
    if not part.keys() <= _RULES | _BOUNDS | _WORDS or ("enum" in part and value not in part["enum"]):
        return False
    if kinds and not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if isinstance(value, list):
        items = part.get("items", {})
        return len(value) >= part.get("minItems", 0) and all(fits(item, items, root) for item in value)
    if isinstance(value, dict):
        parts = [(below, rule) for key, below in value.items() for rule in _rules_of(key, part)]
        missing = set(part.get("required", ())) - value.keys()
        return not missing and all(rule is not False and fits(below, rule, root) for below, rule in parts)
    if isinstance(value, str):
        long = part.get("minLength", 0) <= len(value) <= part.get("maxLength", len(value))
        return long and re.search(part.get("pattern", ""), value) is not None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return not number or part.get("minimum", value) <= value <= part.get("maximum", value)


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


def _problems(error: ValidationError) -> Iterator[tuple[tuple[Key, ...], str]]:
    """(path, problem; advice) of one schema error; an unknown key is the problem of that key, one each."""
    path, rule, schema = tuple(error.absolute_path), error.validator, error.schema
    value: Any = error.instance
    rule_value: Any = error.validator_value
    assert isinstance(schema, dict)
    advice = f"; write {plain(schema['examples'][0])}" if schema.get("examples") else ""
    if not advice and schema.get("default"):
        advice = f", as in {plain(schema['default'])}"
    if "propertyNames" in error.schema_path:
        yield (*path, value), f"not a name for it; {schema['description']}"
    elif rule == "additionalProperties":
        known, patterns = list(schema.get("properties", {})), list(schema.get("patternProperties", {}))
        for key in value:
            if key not in known and not any(re.search(pattern, key) for pattern in patterns):
                yield (*path, key), f"unknown key; {_hint(key, known, [f'what matches {one}' for one in patterns])}"
    elif rule == "required":
        for key in rule_value:
            if key not in value:
                yield path, f"{key} is missing; write `{key}: {plain(_example(key, value, schema))}`"
    elif rule == "type":
        due = [KINDS[kind] for kind in ([rule_value] if isinstance(rule_value, str) else rule_value) if kind != "null"]
        yield path, f"{describe(value)}, {', '.join(due[:-1])}{' or ' if due[1:] else ''}{due[-1]} is due{advice}"
    elif rule == "enum":
        words = [str(item) for item in rule_value]
        near = [word for word in OTHER_VALUES.get(str(value), ()) if word.partition(",")[0] in words]
        near = near or difflib.get_close_matches(str(value), words, 1)
        hint = f"did you mean {near[0]}?" if near else "write one of them"
        yield path, f"{_show(value)} is not one of {', '.join(map(str, rule_value))}; {hint}"
    elif rule in ("minimum", "maximum", "exclusiveMinimum"):
        word = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}[str(rule)]
        yield path, f"{_show(value)} is out of bounds; write {word} {rule_value}"
    elif rule in ("minItems", "minLength", "minProperties"):
        yield path, f"it is empty{advice or '; fill it'}"
    elif rule == "not":
        yield path, str(schema["description"])
    elif rule == "pattern":
        yield path, f"{_show(value)} does not match {rule_value}{advice or '; write what does'}"
    else:
        yield path, " ".join(error.message.split()) + advice


def _hint(key: str, known: list[str], others: list[str]) -> str:
    """What an unknown key was to be: as other tools call it, or nearly written so; else what there is."""
    near = [word for word in OTHER_KEYS.get(key, ()) if word in known]
    if near:
        return f"it is `{near[0]}` here"
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known + others)}"


def _example(key: str, value: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """What to write for a missing key: as in the example of the whole that has most of the keys which are there."""
    whole = [one for one in schema.get("examples", []) if isinstance(one, dict) and key in one and one.keys() & value]
    if whole:
        return max(whole, key=lambda one: len(one.keys() & value))[key]
    wanted = schema.get("properties", {}).get(key, {})
    return wanted["examples"][0] if wanted.get("examples") else (wanted.get("enum") or ["…"])[0]


def _show(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else plain(value)
    return text if len(text) <= 60 else text[:57] + "…"


def describe(value: Any) -> str:
    """`'abc' is a string`, and so on for every kind of value."""
    if value is None:
        return "it has no value (null)"
    kinds = {bool: "boolean", str: "string", int: "number", float: "number", list: "array", dict: "object"}
    name = "a boolean" if isinstance(value, bool) else KINDS[kinds[type(value)]]
    return f"{_show(value)} is {name}"
