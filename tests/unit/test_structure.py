"""The directions that docs/design.md promises: verbs -> nouns, the trainer and the runner alone, scripts thin."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from helm_sweep.verbs import OWN
from sweep.engines.kinds import NAMES

ROOT = Path(__file__).resolve().parents[2]
EDGE = {"cli", "display", "guard"}
VERBS = {path.stem for path in (ROOT / "scripts").glob("*.py")} - EDGE
NOUNS = sorted((ROOT / "scripts" / "sweep").rglob("*.py"))
TRAINER = sorted((ROOT / "trainer").glob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of all modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_verb_imports_no_verb(verb: str) -> None:
    """Only `drive` runs verbs, one after the other; `check` takes what `expand` would write."""
    names = imported(ROOT / "scripts" / f"{verb}.py")
    assert verb == "drive" or names & VERBS == ({"expand"} if verb == "check" else set())
    assert "importlib" not in names


def compared_with(tree: ast.AST, names: set[str]) -> Iterator[str]:
    """What is compared with one of these words, or looked up by it, where it stands as a literal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) and side.value in names for side in sides):
                yield ast.unparse(node)
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant) and node.value.value in names:
            yield ast.unparse(node)


@pytest.mark.parametrize("module", [*NOUNS, *sorted((ROOT / "scripts").glob("*.py"))], ids=lambda path: path.stem)
def test_nobody_asks_which_engine_it_is(module: Path) -> None:
    """What differs is a method or an attribute of the engine (sweep/engines/engine.py)."""
    assert not list(compared_with(ast.parse(module.read_text()), set(NAMES)))


@pytest.mark.parametrize("verb", sorted((ROOT / "scripts").glob("*.py")), ids=lambda path: path.stem)
def test_every_verb_finds_its_project_where_leftovers_go(verb: Path) -> None:
    """By cli.project, or by what opens a sweep there."""
    assert "Clone.here()" not in verb.read_text() or verb.stem in ("cli", "guard")


@pytest.mark.parametrize("noun", NOUNS, ids=lambda path: path.stem)
def test_noun_knows_nothing_of_the_edge(noun: Path) -> None:
    assert not imported(noun) & (VERBS | EDGE | {"argparse"})
    calls = (node.func for node in ast.walk(ast.parse(noun.read_text())) if isinstance(node, ast.Call))
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


@pytest.mark.parametrize("module", TRAINER, ids=lambda path: path.stem)
def test_trainer_imports_nothing_of_the_scripts(module: Path) -> None:
    assert not imported(module) & ((VERBS - {"dataset"}) | EDGE | {"sweep", "scripts"})  # dataset: its own module


OF_THE_IMAGE = {"yaml", "ruamel", "tomli"}
"""Packages that are taken where the image has them, to merge into a file of the user's."""


def test_runner_imports_the_standard_library_alone() -> None:
    import sys

    runner = sorted((ROOT / "chart" / "files").glob("*.py"))
    beside = {path.stem for path in runner}
    for path in runner:
        assert imported(path) - beside - OF_THE_IMAGE <= sys.stdlib_module_names
    assert not beside & sys.stdlib_module_names


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_verb_is_a_make_target_with_help(verb: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert (f"$(RUN)/{verb}.py" in makefile) == (verb not in OWN)
    assert ast.get_docstring(ast.parse((ROOT / "scripts" / f"{verb}.py").read_text()))


def test_every_verb_takes_args_from_make() -> None:
    """`make collect ARGS=--dry-run` must not collect."""
    calls = [line for line in (ROOT / "Makefile").read_text().splitlines() if "$(RUN)/" in line]
    assert len(calls) == len(VERBS - OWN)
    assert not [line for line in calls if not line.endswith(" $(ARGS)")]


def code_lines(path: Path) -> int:
    """Lines of code: what is left when docstrings, comments and blank lines are taken away."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return len(ast.unparse(tree).splitlines())


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_verb_is_thin(verb: str) -> None:
    assert code_lines(ROOT / "scripts" / f"{verb}.py") <= 140


@pytest.mark.parametrize("noun", NOUNS, ids=lambda path: path.stem)
def test_noun_is_read_in_one_sitting(noun: Path) -> None:
    assert code_lines(noun) <= 250


MOST_BRANCHES = 14
PROGRAMS = [
    path
    for folder in ("scripts", "helm_sweep", "chart/files", "trainer", "tools", "bench", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
DECISIONS = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.match_case, ast.Assert)


def branches(function: ast.AST) -> int:
    """Ways through a function, with those within each other: McCabe's number, each `and`, `or` and `for` of an
    expression counted too, as radon does. What ruff's C901 leaves out is what a dense function is made of."""
    count = 1
    for node in ast.walk(function):
        if isinstance(node, DECISIONS):
            count += 1
        elif isinstance(node, ast.comprehension):
            count += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
    return count


@pytest.mark.parametrize("module", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_function_is_read_from_top_to_bottom(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert branches(node) <= MOST_BRANCHES, f"{node.name}: find the step that has a name, or the table in it"


def empty_chains(tree: ast.AST, keys: set[str]) -> Iterator[str]:
    """Keys of which an absent value is made an empty one: `.get(key, {})`, and `.get(key) or {}`, `or []`, `or ""`."""

    def key_of(node: ast.AST) -> str:
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
        name = node.args[0] if called and isinstance(node, ast.Call) and node.args else None
        return str(name.value) if isinstance(name, ast.Constant) and name.value in keys else ""

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) > 1 and isinstance(node.args[1], ast.Dict | ast.List):
            yield key_of(node)
        elif isinstance(node, ast.BoolOp) and isinstance(node.values[-1], ast.Dict | ast.List):
            yield key_of(node.values[0])


@pytest.mark.parametrize("module", [*NOUNS, *sorted((ROOT / "scripts").glob("*.py"))], ids=lambda path: path.stem)
def test_what_an_absent_value_means_is_known_in_one_place(module: Path) -> None:
    """sweep/settings.py; of the head alone, Document.value is asked."""
    schema = json.loads((ROOT / "chart" / "values.schema.json").read_text())
    keys = {key for key in empty_chains(ast.parse(module.read_text()), set(schema["properties"])) if key}
    assert not keys or module.stem == "settings"


SAYS_NOTHING = {"told", "made", "one", "found", "said"}
NAMED_FOLDERS = ("chart/files", "scripts", "helm_sweep", "tools", "bench", "trainer", "examples", "tests")
NAMING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that a module or its functions bind, parameters and patterns too, and its line.

    A record's own fields are not among them: what `--json` prints is named by them, and stays.
    """
    fields = {
        id(field.target)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for field in node.body
        if isinstance(field, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        if id(node) in fields:
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.alias):
            yield node.lineno, node.asname or node.name
        elif isinstance(node, NAMING) and node.name:
            yield node.lineno, node.name


@pytest.mark.parametrize("folder", NAMED_FOLDERS)
def test_a_name_says_what_the_thing_is(folder: str) -> None:
    """These five say where a value came from: say `record`, `trial`, `message`, `rows`, `path` instead."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, name in bound_names(ast.parse(path.read_text()))
        if name in SAYS_NOTHING
    ]
    assert wrong == []


def type_names(path: Path) -> Iterator[str]:
    """Classes of a module, and names that stand for a type: `Point = dict[str, Any]`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp):
            targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
            yield from (name for name in targets if re.fullmatch("[A-Z][a-z]+([A-Z][a-z]*)*", name))


def test_a_type_has_a_name_of_its_own() -> None:
    """One Trial, one Point, one Source: a reader knows by its name what a thing is, whichever module it comes from."""
    modules = [*NOUNS, *sorted((ROOT / "scripts").glob("*.py"))]
    named: dict[str, list[str]] = {}
    for path in modules:
        for name in type_names(path):
            named.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: places for name, places in named.items() if len(places) > 1 and not name.startswith("_")} == {}
