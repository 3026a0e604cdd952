"""values/<sweep>/values.yaml: one marked block of trials is expand's, every other byte is the person's.

The block lies below `trials:`, one JSON object a line, and is read by json, for ruamel takes a second per 1,000 lines:

      # expanded from space.yaml sha256:<space's digest> (8 trials, sha256:<digest of the lines that follow>)
      - {"lr": 0.1, "batch_size": 512}
      # end

`# expanded from space.yaml: not yet` is an empty block. Digests are 16 hex digits.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from ruamel.yaml.nodes import MappingNode

from sweep import yamlfile
from sweep.errors import BadInput
from sweep.layout import SweepFiles
from sweep.schema import check as schema_check
from sweep.space import Space, as_helm_sees
from sweep.yamlfile import Document

BEGIN = re.compile(
    r"( *)# expanded from space\.yaml"
    r"(?:: not yet| sha256:([0-9a-f]{16}) \([0-9]+ trials?, sha256:([0-9a-f]{16})\))[ \t]*\r?"
)
BEGIN_LIKE = re.compile(r"\s*# expanded from space\.yaml\b.*")
END = re.compile(r"\s*# end\s*")
ADVICE = "write `# expanded from space.yaml: not yet` and `# end` as two indented lines below `trials:`"


@dataclass(frozen=True)
class Block:
    """The marked block: where it is, what it says of itself, and its lines."""

    first: int  # 0-based line of the opening marker
    last: int  # and of the closing one
    indent: str
    space: str | None  # digest of the space it was expanded from; None: not yet
    digest: str | None  # digest of its lines when they were written
    lines: tuple[str, ...]

    @property
    def edited(self) -> bool:
        """Whether the lines were changed by hand since expand wrote them."""
        return bool(self.lines) if self.digest is None else digest(self.lines) != self.digest


@dataclass(frozen=True)
class ValuesFile:
    """A values.yaml: its exact text, its block, and as `head` all the rest (with the block, where that was edited)."""

    text: str
    shown: str
    block: Block | None
    head: Document

    def trials(self) -> list[tuple[int, dict[str, Any]]]:
        """All trials with their 1-based lines, expanded and hand-written."""
        block = self.block if self.block and not self.block.edited else None
        made = [json.loads(line.lstrip().removeprefix("- ")) for line in block.lines] if block else []
        own = self.head.data.get("trials") or []
        found = list(enumerate(made, block.first + 2 if block else 0))
        return found + [(self.head.line("trials", index), trial) for index, trial in enumerate(own)]


def load(files: SweepFiles) -> ValuesFile:
    """Read values/<sweep>/values.yaml; raises BadInput where it is missing, broken or has a broken block."""
    shown = files.clone.relative(files.values)
    return parse(yamlfile.read_text(files.values, shown), shown)


def parse(text: str, shown: str) -> ValuesFile:
    """Read the text of a values.yaml."""
    lines = text.split("\n")
    block = _find(lines, shown)
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


def _find(lines: list[str], shown: str) -> Block | None:
    begins = [number for number, line in enumerate(lines) if BEGIN_LIKE.fullmatch(line)]
    if not begins:
        return None
    first = begins[0]
    if len(begins) > 1:
        raise BadInput(f"{shown}:{begins[1] + 1}: a second block of expand (the first: line {first + 1}); remove one")
    if not (match := BEGIN.fullmatch(lines[first])):
        raise BadInput(f"{shown}:{first + 1}: the marker of expand is damaged; restore it from git, or {ADVICE}")
    ends = [number for number, line in enumerate(lines) if number > first and END.fullmatch(line)]
    if not ends:
        raise BadInput(f"{shown}:{first + 1}: the block of expand has no end; write `# end` below its last trial")
    return Block(first, ends[0], match[1], match[2], match[3], tuple(lines[first + 1 : ends[0]]))


def digest(lines: tuple[str, ...]) -> str:
    """16 hex digits over the lines of a block; indentation and line ends do not count."""
    return hashlib.sha256("\n".join(line.strip() for line in lines).encode()).hexdigest()[:16]


# ---- writing ----


def with_trials(values: ValuesFile, space: Space, trials: list[dict[str, Any]]) -> str:
    """The text with `trials` as its block; all other bytes as they were. BadInput if there is no block for them."""
    lines, ending = values.text.split("\n"), "\r" if "\r\n" in values.text else ""
    if values.block:
        block = _block(space, trials, values.block.indent, ending)
        lines[values.block.first : values.block.last + 1] = block
        return "\n".join(lines)
    if "trials" in values.head.data:
        raise values.head.bad(("trials",), f"written by hand, with no block for expand; {ADVICE}, or remove space.yaml")
    gap = "" if values.text.endswith("\n") else ending + "\n"
    return values.text + gap + "\n".join([f"trials:{ending}", *_block(space, trials, "  ", ending), ""])


def _block(space: Space, trials: list[dict[str, Any]], indent: str, ending: str) -> list[str]:
    lines = tuple(f"- {yamlfile.flow(trial)}" for trial in trials)
    count = f"{len(lines)} trial{'s' if len(lines) != 1 else ''}"
    begin = f"# expanded from space.yaml sha256:{space.digest} ({count}, sha256:{digest(lines)})"
    return [f"{indent}{line}{ending}" for line in (begin, *lines, "# end")]


def generate(sweep: str, space: Space, trials: list[dict[str, Any]]) -> str:
    """A first values.yaml for `space`."""
    head = f"""\
# The sweep {sweep}: expand owns the marked block of trials, every other line is yours.
# What base.yaml sets may be overridden here, as `gpu` is.
sweep: {sweep}
objective: {yamlfile.plain(space.objective)}
hyperparameters: {yamlfile.flow(space.hyperparameters)}
command: [python, train.py]
limit_seconds: 600
gpu: {{count: 0}}  # GPUs of a trial; without this line what base.yaml says
retries: {{}}  # {{id: n}}, written by retry
trials:
"""
    return head + "\n".join([*_block(space, trials, "  ", ""), ""])


# ---- what belongs to the person ----


def check(values: ValuesFile, sweep: str, schema: dict[str, Any]) -> int:
    """Check what a person may have written, by the chart's schema and trial by trial; returns the number of trials.

    Raises BadInput with the line, also for a trial that repeats another. The chart checks all of it again, for those
    who use plain helm, but knows no lines.
    """
    head, fixed = values.head, values.head.data.get("hyperparameters")
    # A null removes what a lower file sets, so it is no value to check; but a hyperparameter cannot be null.
    kept = {name: head.data[name] for name in ("hyperparameters", "trials") if head.data.get(name) is not None}
    schema_check(replace(head, data=_without_null(head.data) | kept), schema, partial=True)
    if head.data.get("sweep") != sweep:
        raise head.bad(("sweep",), f"is not the name of the folder; write `sweep: {sweep}`")
    lines: dict[str, int] = {}
    for line, trial in values.trials():
        whole = {"seed": 0} | (fixed or {}) | trial
        first = lines.setdefault(",".join(f"{name}={as_helm_sees(whole[name])}" for name in sorted(whole)), line)
        if first != line:
            raise BadInput(f"{values.shown}:{line}: trials: the same trial as on line {first}; remove one")
    return len(lines)


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return value


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
    for key, wanted in (("objective", space.objective), ("hyperparameters", space.hyperparameters)):
        there = values.head.data.get(key)
        there = there if isinstance(there, dict) else {}  # a list of objectives has nothing to do with the space's one
        names = [*wanted, *(name for name in there if name not in wanted)]
        for name in names:
            here, given = (yamlfile.flow(part[name]) if name in part else "nothing" for part in (wanted, there))
            if here != given:
                problem = f"{given} here, {here} in {space.doc.where(key, name)}; make them equal"
                raise values.head.bad((key, name), problem)


# ---- retries ----


def retries(values: ValuesFile) -> dict[str, int]:
    """Trial id -> how often it was retried."""
    return dict(values.head.data.get("retries") or {})


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
    if isinstance(node, MappingNode):
        end = node.end_mark if node.flow_style else node.value[-1][1].end_mark  # a block ends where the next key begins
        last, column = first + end.line - key.start_mark.line, end.column
    else:  # nothing, or null
        last, column = first, node.end_mark.column if node.value else lines[first].index(":") + 1
    lines[first : last + 1] = [new + lines[last][column:]]
    return "\n".join(lines)
