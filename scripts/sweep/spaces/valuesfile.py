"""values/<sweep>/values.yaml: one marked block of trials is expand's (block.py), every other byte is the person's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweep import secrets, yamlfile
from sweep.errors import BadInput
from sweep.layout import Clone, SweepFiles
from sweep.records import same
from sweep.schema import check as schema_check
from sweep.schema import expected
from sweep.spaces import block as blocks
from sweep.spaces.block import ADVICE, Block, Section
from sweep.spaces.space import Line, Space
from sweep.yamlfile import Document


@dataclass(frozen=True)
class ValuesFile:
    """A values.yaml: its exact text, its block, and as `head` all the rest (with the block, where that was edited)."""

    text: str
    shown: str
    block: Block | None
    head: Document

    def trials(self) -> list[tuple[int, Line]]:
        """All trials with their 1-based lines, expanded and hand-written. Raises BadInput where they are no maps."""
        written = self.block.trials if self.block and not self.block.edited else []
        own = self.head.value("trials") or []
        if not isinstance(own, list):
            raise self.head.bad(("trials",), expected("array", value=own))
        for index, trial in enumerate(own):
            if not isinstance(trial, dict):
                raise self.head.bad(("trials", index), expected("object", value=trial))
        return written + [(self.head.line("trials", index), trial) for index, trial in enumerate(own)]


def base(clone: Clone) -> Document:
    """Read values/base.yaml, what all sweeps share; raises BadInput where it is missing, broken or holds a secret."""
    shown = clone.relative(clone.base)
    text = yamlfile.read_text(clone.base, shown, clone.values)
    document = yamlfile.parse(text, shown)
    secrets.check(document, text)
    return document


def load(files: SweepFiles) -> ValuesFile:
    """Read values/<sweep>/values.yaml; raises BadInput where it is missing, broken or has a broken block."""
    shown = files.clone.relative(files.values)
    return parse(yamlfile.read_text(files.values, shown, files.clone.values), shown)


def parse(text: str, shown: str) -> ValuesFile:
    """Read the text of a values.yaml."""
    lines = text.split("\n")
    block = blocks.find(lines, shown)
    if block is None:
        return ValuesFile(text, shown, None, yamlfile.parse(text, shown))
    if block.edited:
        head = yamlfile.parse(text, shown)  # what people wrote may be any YAML
    else:
        cut = (block.first, block.last + 1 - block.first)
        head = yamlfile.parse("\n".join(lines[: block.first] + lines[block.last + 1 :]), shown, cut)
    keys = [(key.value, key.start_mark.line) for key, _ in head.root.value]
    above = [key for key, line in keys if line < block.first]
    if not above or above[-1] != "trials":
        raise BadInput(f"{shown}:{block.first + 1}: the block of expand is not below `trials:`; move it there")
    return ValuesFile(text, shown, block, head)


# ---- writing ----


def with_sections(values: ValuesFile, space: Space, sections: Sequence[Section]) -> str:
    """The text with `sections` as its block; all other bytes as they were. BadInput if there is no block for them."""
    lines, ending = values.text.split("\n"), "\r" if "\r\n" in values.text else ""
    if values.block:
        block = blocks.render(space.digest, sections, values.block.indent, ending)
        lines[values.block.first : values.block.last + 1] = block
        return "\n".join(lines)
    if "trials" in values.head.data:
        raise values.head.bad(("trials",), f"written by hand, with no block for expand; {ADVICE}, or remove space.yaml")
    gap = "" if values.text.endswith("\n") else ending + "\n"
    block = blocks.render(space.digest, sections, "  ", ending)
    return values.text + gap + "\n".join([f"trials:{ending}", *block, ""])


def with_section_added(values: ValuesFile, space: Space, section: Section) -> str:
    """The text with one more section at the end of the block. What was edited there stays, and so does that it was."""
    assert values.block
    if not values.block.edited:
        return with_sections(values, space, [*values.block.sections, section])
    lines, ending = values.text.split("\n"), "\r" if "\r\n" in values.text else ""
    lines[values.block.last : values.block.last] = [f"{values.block.indent}{line}{ending}" for line in section.lines]
    return "\n".join(lines)


def generate(sweep: str, space: Space, sections: Sequence[Section]) -> str:
    """A first values.yaml for `space`."""
    head = f"""\
# The sweep {sweep}: expand owns the marked block of trials, every other line is yours.
# What base.yaml sets may be overridden here, as `gpu` is.
sweep: {yamlfile.plain(sweep)}
objective: {yamlfile.plain(space.objective)}
hyperparameters: {yamlfile.flow(space.hyperparameters)}
{f"budget: {yamlfile.plain(space.budget)}{chr(10)}" if space.budget else ""}{
        f"stop: {yamlfile.flow(space.stop)}{chr(10)}" if space.stop else ""
    }command: [python, train.py]
limit_seconds: 600
gpu: {{count: 0}}  # GPUs of a trial; without this line what base.yaml says
retries: {{}}  # {{id: n}}, written by retry
trials:
"""
    return head + "\n".join([*blocks.render(space.digest, sections, "  ", ""), ""])


# ---- what belongs to the person ----


def check(values: ValuesFile, sweep: str, schema: dict[str, Any]) -> int:
    """Check what a person may have written, by the chart's schema and trial by trial; returns the number of trials.

    Raises BadInput with the line, also for a trial that repeats another. The chart checks all of it again, for those
    who use plain helm, but knows no lines.
    """
    head, fixed = values.head, values.head.value("hyperparameters") or {}
    check_secrets(values)
    schema_check(head, schema, partial=True)
    if head.data.get("sweep") != sweep:
        raise head.bad(("sweep",), f"is not the name of the folder; write `sweep: {sweep}`")
    lines: dict[str, int] = {}
    for line, trial in values.trials():
        first = lines.setdefault(same.of_line(fixed, trial), line)
        if first != line:
            raise BadInput(f"{values.shown}:{line}: trials: duplicate of the trial on line {first}; remove one")
    return len(lines)


def check_secrets(values: ValuesFile) -> None:
    """Raise BadInput where a value, a trial or a comment holds what looks like a secret."""
    rest = {name: value for name, value in values.head.data.items() if name != "trials"}
    lines, block = values.text.split("\n"), values.block
    if block and not block.edited:  # those lines are expand's, and looked at trial by trial
        lines[block.first : block.last + 1] = [""] * (block.last + 1 - block.first)
    secrets.check(replace(values.head, data=rest), "\n".join(lines))
    for line, trial in values.trials():
        for path, problem in secrets.find(trial):
            raise BadInput(f"{values.shown}:{line}: {'.'.join(map(str, ('trials', *path)))}: {problem}")


def edits(old: ValuesFile, new: ValuesFile) -> list[str]:
    """`+ line` and `- line` for what a person changed since `old`; what expand wrote does not count."""
    sides = []
    for values in (old, new):
        block = values.block.lines if values.block and new.block and new.block.edited else ()
        lines = values.text.split("\n")
        if values.block:
            lines[values.block.first : values.block.last + 1] = block
        sides.append(Counter(line.strip() for line in lines))
    before, after = sides
    return [f"- {line}" for line in (before - after).elements()] + [f"+ {line}" for line in (after - before).elements()]


def check_head(values: ValuesFile, space: Space) -> None:
    """Raise BadInput where the head of values.yaml, which is the person's, says something else than space.yaml."""
    data, derived = values.head.data, {"objective": space.objective, "hyperparameters": space.hyperparameters}
    whole: dict[str, Any] = {"budget": space.budget} if space.budget else {}
    whole |= {"stop": space.stop} if space.stop else {}
    if isinstance(space.objective, list):
        whole["objective"] = derived.pop("objective")
    for key, wanted in whole.items():
        _check_equal(values, space, (key,), data.get(key), wanted)
    for key, wanted in derived.items():
        there = data.get(key)
        there = there if isinstance(there, dict) else {}  # a list of objectives has nothing to do with the space's one
        for name in [*wanted, *(name for name in there if name not in wanted)]:
            _check_equal(values, space, (key, name), there.get(name), wanted.get(name))


def _check_equal(values: ValuesFile, space: Space, path: tuple[str, ...], given: Any, wanted: Any) -> None:
    shown, due = ("nothing" if value is None else yamlfile.flow(value) for value in (given, wanted))
    if shown != due:
        raise values.head.bad(path, f"{shown} here, {due} in {space.doc.where(*path)}; make them equal")


# ---- retries ----


def retries(values: ValuesFile) -> dict[str, int]:
    """Trial id -> how often it was retried."""
    return dict(values.head.value("retries") or {})


def with_retries(values: ValuesFile, changes: dict[str, int]) -> str:
    """The text with `changes` put into `retries`, which becomes one line; all other lines as they were."""
    head, lines = values.head, values.text.split("\n")
    new = f"retries: {yamlfile.flow(retries(values) | changes)}"
    if "retries" not in head.data:
        lines.insert(
            head.line("trials" if "trials" in head.data else next(iter(head.data), "")) - 1,
            new + ("\r" if "\r\n" in values.text else ""),
        )
        return "\n".join(lines)
    key, node = head.node("retries")
    first = head.line("retries") - 1
    if isinstance(head.data["retries"], dict):
        end = node.end_mark if node.flow_style else node.value[-1][1].end_mark  # a block ends where the next key begins
        last, column = first + end.line - key.start_mark.line, end.column
    else:  # nothing, or null
        last, column = first, node.end_mark.column if node.value else lines[first].index(":") + 1
    lines[first : last + 1] = [new + lines[last][column:]]
    return "\n".join(lines)
