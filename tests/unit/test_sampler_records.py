"""A sampler is one record: schema, docs and checks follow from it, and nobody else knows its name."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from sweep.spaces.samplers import SAMPLERS, sobol
from tools import sampler_docs

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "schemas" / "space.schema.json").read_text())["properties"]["sampler"]["properties"]


def test_the_schema_is_what_the_records_say() -> None:
    assert sampler_docs.properties(SCHEMA["replicates"]) == SCHEMA


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_page_has_a_row_for_each(name: str) -> None:
    sampler = SAMPLERS[name]
    assert f"| {sampler.fits} | `{name}` | {sampler.because} |\n" in (ROOT / "docs" / "search.md").read_text()
    assert (ROOT / "scripts/sweep/spaces/samplers" / f"{name}.py").exists()


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_that_goes_in_rounds_says_what_each_was_made_from(name: str) -> None:
    sampler = SAMPLERS[name]
    assert bool(sampler.evidence) == sampler.adaptive
    assert sampler.describe({key: option.example for key, option in sampler.options.items()}, 1).startswith(name)


def test_options_of_one_name_are_one_option() -> None:
    """Its bounds and sentence stand in the schema once."""
    for key, takers in sampler_docs.options().items():
        assert len({id(option) for _, option in takers}) == 1, key


def test_no_other_module_asks_for_a_sampler_by_its_name() -> None:
    asked = []
    for path in sorted((ROOT / "scripts").rglob("*.py")):
        if path.parent.name == "samplers":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                names = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)} & set(SAMPLERS)
                names -= set() if path.parent.name == "spaces" else {"auto"}  # a word for engines too
                asked += [f"{path.name}:{node.lineno} compares with {name}" for name in names]
    assert asked == []


def test_what_a_sampler_needs_is_imported_where_it_is_used() -> None:
    assert not {"numpy", "scipy", "optuna"} & set(vars(sobol))
