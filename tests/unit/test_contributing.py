"""What CONTRIBUTING.md points to is there; and no value of the chart is without a use, no use without a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_structure import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
SCHEMA: dict[str, Any] = json.loads((ROOT / "chart/values.schema.json").read_text())
TEMPLATES = {path.name: path.read_text() for path in sorted((ROOT / "chart/templates").iterdir()) if path.is_file()}
OF_THE_SCRIPTS = {"shards", "budget_gpu_hours", "goal", "spend", "until", "failFast", "cluster", "local"}
OF_HELM = {"global"}
"""Values that no template reads; `global` is for charts above this one."""


def places() -> list[str]:
    quoted = re.findall(r"`([^`]+)`", PAGE)
    return sorted({word for word in quoted if "/" in word and " " not in word and not re.search("[A-Z]{4}|[*]", word)})


@pytest.mark.parametrize("place", places())
def test_every_place_on_the_page_is_there(place: str) -> None:
    generated = {".venv", "out/quickstart/report.html"}
    assert place in generated or (ROOT / place).exists()


def test_the_page_names_its_places() -> None:
    assert len(places()) > 20


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)", PAGE))))
def test_every_target_on_the_page_is_one(target: str) -> None:
    assert re.search(f"^{target}:", (ROOT / "Makefile").read_text(), re.M)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    return SCHEMA["definitions"][reference.rsplit("/", 1)[1]] if reference else schema


def paths(schema: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every value that has a name of its own."""
    for key, raw in schema.get("properties", {}).items():
        yield (*above, key)
        yield from paths(resolved(raw), (*above, key))


def uses() -> set[tuple[str, tuple[str, ...]]]:
    named = ((name, use) for name, text in TEMPLATES.items() for use in re.findall(r"\.Values((?:\.\w+)+)", text))
    return {(name, tuple(use.strip(".").split("."))) for name, use in named}


def test_every_use_has_a_value() -> None:
    known = set(paths(SCHEMA))
    assert sorted(use for use in uses() if use[1] not in known) == []
    assert len(uses()) > 50


@pytest.mark.parametrize("value", sorted(set(SCHEMA["properties"]) - OF_THE_SCRIPTS - OF_HELM))
def test_every_value_has_a_use(value: str) -> None:
    named = any(use[0] == value for _, use in uses())
    listed = any(re.search(rf'"{value}"|[ (]\.{value}\b', text) for text in TEMPLATES.values())
    assert named or listed


@pytest.mark.parametrize("value", sorted(OF_THE_SCRIPTS))
def test_a_value_of_the_scripts_is_read_by_them(value: str) -> None:
    texts = [path.read_text() for path in (ROOT / "scripts").rglob("*.py")]
    assert any(f'"{value}"' in text or f".{value}" in text for text in texts)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / Path(target)).exists(), target
