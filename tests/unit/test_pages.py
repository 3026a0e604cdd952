"""Every page of the repository: its links lead somewhere, its commands exist, its values are ones that the chart takes.

Every block is of one kind, and every block of commands is either run, walked, run on a cluster, or says why it is not.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import cli
from helm_sweep import verbs
from tests import pages
from tests.pages import PAGES, ROOT, Block

SCHEMA = json.loads((ROOT / "chart/values.schema.json").read_text())
SPACE = json.loads((ROOT / "schemas/space.schema.json").read_text())
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
VARIABLES = set(re.search("^NAMES := (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()) | {"ARGS"}  # type: ignore[index]
OTHER = Counter({"README.md": 3, "docs/cluster.md": 1, "docs/design.md": 3, "docs/search.md": 4, "docs/tutorial.md": 1})
"""Blocks that are no commands and no values: listings, what is printed, a program. Count a new one here."""
EXAMPLE_ID = "fa77f959c6e3"


class Parsed(Exception):
    """The words of a command were taken."""


@cache
def inline() -> list[tuple[str, str]]:
    """(page, command) of every command in the text of a page."""
    commands = []
    for page in PAGES:
        plain = re.sub(r"\s+", " ", re.sub("^ {4}.*$", "", page.read_text(), flags=re.M))
        commands += [
            (str(page.relative_to(ROOT)), command)
            for command in re.findall(r"`((?:helm-sweep|make) [^`]+)`", plain)
            if not re.search(r"\b(VERB|COMMAND)\b|…", command)
        ]
    return commands


def typed() -> list[tuple[str, str]]:
    return [
        (block.page, command)
        for block in pages.ALL
        for command in block.commands
        if command.split()[0] in ("helm-sweep", "make")
    ]


def parse(command: str, monkeypatch: pytest.MonkeyPatch, *, whole: bool) -> None:
    """Have a verb's own parser take the words; where they are not `whole`, something that is needed may be missing."""
    words = shlex.split(command.replace("[", "").replace("]", ""))
    words = [EXAMPLE_ID if word in ("ID", "TRIAL") else word for word in words[1:]]
    if words[0] in ("--help", "--version", "completion"):
        return
    verb = verbs.VERBS[verbs.ALIASES.get(words[0], words[0])]
    monkeypatch.setattr(sys, "argv", [f"helm-sweep {words[0]}", *words[1:]])
    monkeypatch.setattr(cli, "look_from", lambda _: None)
    try:
        import_module(verb.module).main()
    except Parsed:
        return
    except cli.BadInput as error:
        if whole or "arguments are required" not in str(error):
            raise AssertionError(f"{command}: {error}") from None


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verbs end once their words are parsed."""
    own = cli.Parser.parse_args

    def parse_args(self: Any, args: Any = None, namespace: Any = None) -> Any:
        own(self, args, namespace)
        raise Parsed

    monkeypatch.setattr(cli.Parser, "parse_args", parse_args)


@pytest.mark.usefixtures("taken")
def test_every_command_of_the_program_is_one_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [(command, True) for _, command in typed()] + [(command, False) for _, command in inline()]
    ours = [(command, whole) for command, whole in commands if command.startswith("helm-sweep ")]
    assert len(ours) > 45
    for command, whole in ours:
        parse(command, monkeypatch, whole=whole)


@pytest.mark.usefixtures("taken")
def test_a_wrong_verb_or_option_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="unrecognized arguments: --repinn"):
        parse("helm-sweep run mine --repinn", monkeypatch, whole=True)
    with pytest.raises(AssertionError, match="required"):
        parse("helm-sweep run", monkeypatch, whole=True)
    with pytest.raises(KeyError):
        parse("helm-sweep rnu mine", monkeypatch, whole=True)


@pytest.mark.usefixtures("taken")
def test_every_target_and_variable_of_make_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what its ARGS say is taken by the verb behind it."""
    commands = [command for _, command in [*typed(), *inline()] if command.startswith("make ")]
    assert len(commands) > 40
    for command in commands:
        words = [word for word in shlex.split(command)[1:] if word != "-s"]
        given = dict(word.partition("=")[::2] for word in words if "=" in word)
        (target,) = [word for word in words if "=" not in word] or ["help"]
        assert target in TARGETS, command
        assert given.keys() <= VARIABLES, command
        if given.get("ARGS") and target in verbs.VERBS and target != "dataset":
            named = {"logs": "quickstart ID", "fetch": "quickstart best", "trace": "ID", "reproduce": "ID"}
            alone = {"ledger": "", "gc": "", "doctor": "", "role": ""}
            parse(
                f"helm-sweep {target} {({'': ''} | named | alone).get(target, 'quickstart')} {given['ARGS']}",
                monkeypatch,
                whole=True,
            )


def flaws(schema: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Why it is no part of what the schema says, but for places that a reader fills in (…)."""
    messages = []
    for error in jsonschema.Draft7Validator(schema).iter_errors(document):
        filled_in = "…" in json.dumps(error.instance, ensure_ascii=False)
        if error.validator != "required" and not filled_in:
            messages.append(error.message)
    return messages


@pytest.mark.parametrize(
    "block", [block for block in pages.ALL if block.kind == "values"], ids=lambda block: f"{block.page}:{block.line}"
)
def test_values_are_such_that_the_chart_or_a_space_takes(block: Block) -> None:
    for document in block.documents:
        as_values = flaws(SCHEMA, document)
        as_space = flaws(SPACE, document)
        inside = flaws(SPACE, {"space": document})
        assert not (as_values and as_space and inside), (as_values, as_space, inside)


def test_manifests_name_what_kubernetes_has() -> None:
    listed = [document for block in pages.ALL if block.kind == "manifests" for document in block.documents]
    assert {(document["apiVersion"], document["kind"]) for document in listed} == {
        ("v1", "PersistentVolume"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "ResourceQuota"),
    }


def test_every_block_is_of_a_kind_and_other_ones_are_counted() -> None:
    others = [block for block in pages.ALL if block.kind == "other"]
    assert Counter(block.page for block in others) == OTHER, [(block.page, block.line) for block in others]
    assert len(pages.ALL) > 100


@pytest.mark.parametrize(
    "block", [block for block in pages.ALL if block.mark], ids=lambda block: f"{block.page}:{block.line}"
)
def test_a_mark_stands_before_commands_and_says_what_is_so(block: Block) -> None:
    if block.mark != "walked":
        assert block.kind == "commands"
    if block.mark == "cluster":  # tests/cluster/test_pages.py types the former; the latter have tests of their own
        assert {command.split()[0] for command in block.commands} <= {"kubectl", "helm-sweep"}
    if block.mark == "not run":
        assert block.why
    for place in re.findall(r"tests/[\w/.]+\w|\.ci/run", block.why):
        assert (ROOT / place).exists(), place
    if block.mark == "walked":
        assert Path(block.page).name in (ROOT / block.why).read_text()


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", heading)).lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize(
    "page",
    [*PAGES, *sorted((ROOT / "docs/decisions").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "chart/README.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", re.sub(r"^ {4}.*$", "", page.read_text(), flags=re.M))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match("[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def test_every_page_is_reached_from_the_readme() -> None:
    seen, left = set[Path](), [ROOT / "README.md"]
    while left:
        page = left.pop()
        seen.add(page)
        for target in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text()):
            place = Path(os.path.normpath(page.parent / target))
            if place not in seen and place.exists():
                left.append(place)
    assert set(PAGES) - seen == set()


def test_helm_has_the_verbs_and_options_that_pages_type() -> None:
    helm = ROOT / ".venv/bin/helm"
    for block in pages.ALL:
        for command in block.commands:
            words = shlex.split(command)
            if words[0] != "helm":
                continue
            shown = subprocess.run([helm, words[1], "--help"], capture_output=True, text=True, check=True).stdout
            for option in (word.partition("=")[0] for word in words if word.startswith("-")):
                assert re.search(rf"(^|\s){option}\b", shown), (command, option)
