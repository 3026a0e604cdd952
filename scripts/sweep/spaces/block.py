"""The marked block of values.yaml, which is expand's: one JSON object a line, in sections with a title each.

      # expanded from space.yaml sha256:<space's digest> (16 trials, sha256:<digest of the lines that follow>)
      # round 1 of 2 by numpy 2.4.6, optuna 5.0.0, scipy 1.17.1
      - {"lr": 0.1, "batch_size": 512}
      # round 2 of 2 from results.csv <git's hash of it> on local by numpy 2.4.6, optuna 5.0.0, scipy 1.17.1
      - {"lr": 0.2, "batch_size": 128}
      # end

A title says what its trials were made from, so that they can be made again. `# expanded from space.yaml: not yet` is an
empty block. Digests are 16 hex digits; ruamel would take a second per 1,000 lines, json reads 10,000 in 20 ms.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweep import yamlfile
from sweep.errors import BadInput
from sweep.spaces.space import Line
from sweep.words import counted

BEGIN = re.compile(
    r"( *)# expanded from space\.yaml"
    r"(?:: not yet| sha256:([0-9a-f]{16}) \([0-9]+ trials?, sha256:([0-9a-f]{16})\))[ \t]*\r?"
)
BEGIN_LIKE = re.compile(r"\s*# expanded from space\.yaml\b.*")
END = re.compile(r"\s*# end\s*")
TITLE = re.compile(r"# (.*?)(?: from results\.csv ([0-9a-f]+) on (\w+))? by (\w+ [\w.+]+(?:, \w+ [\w.+]+)*)")
ROUND = re.compile(r"round ([0-9]{1,9}) of [0-9]+")
READER = json.JSONDecoder()
ADVICE = "write `# expanded from space.yaml: not yet` and `# end` as two indented lines below `trials:`"


@dataclass(frozen=True)
class Section:
    """Trials that were made together. `what` is "" where the space alone, without scipy, says what they are."""

    what: str
    trials: tuple[Line, ...]
    blob: str = ""
    """Git's hash of the results.csv they were made from."""
    engine: str = ""
    """Whose results those were."""
    versions: str = ""
    """Of the libraries that had a part in it."""

    @property
    def title(self) -> str:
        source = f" from results.csv {self.blob} on {self.engine}" if self.blob else ""
        return f"# {self.what}{source} by {self.versions}"

    @property
    def lines(self) -> list[str]:
        return [*([self.title] if self.what else []), *(f"- {yamlfile.flow(trial)}" for trial in self.trials)]


@dataclass(frozen=True)
class Block:
    """Where the block is, what it says of itself, and its lines."""

    first: int  # 0-based line of the opening marker
    last: int  # and of the closing one
    indent: str
    space: str | None  # digest of the space it was expanded from; None: not yet
    digest: str | None  # digest of its lines when they were written
    lines: tuple[str, ...]

    @cached_property
    def edited(self) -> bool:
        """Whether the lines were changed by hand since expand wrote them, or are not what expand would write."""
        if self.digest is None:
            return bool(self.lines)
        return digest(self.lines) != self.digest or self._as_written is None

    @cached_property
    def _as_written(self) -> list[tuple[int, Line]] | None:
        """The trials with their 1-based lines; None unless each line is spelled as expand spells it.

        A digest can be made by anybody, and JSON is not YAML: of `{"a": 1, "a": 2}`, `1e5`, `NaN` or a U+2028 Helm and
        json may make different things. What expand writes all readers take alike.
        """
        lines = []
        for number, line in enumerate(self.lines, self.first + 2):
            text = line.strip(" \t\r")
            if text.startswith("- "):
                try:
                    trial = _trial(json.loads(text[2:]))
                    if text != f"- {yamlfile.flow(trial)}":
                        return None
                except (ValueError, RecursionError):
                    return None
                lines.append((number, trial))
            elif (text and not text.startswith("# ")) or yamlfile.UNSAFE.search(text):
                return None
        return lines

    @cached_property
    def sections(self) -> list[Section]:
        """What expand wrote, and what people added to it if it is JSON; BadInput if it is not."""
        try:
            return sections(self.lines)
        except (ValueError, RecursionError):
            raise BadInput(
                f"values.yaml:{self.first + 1}: a trial in the block of expand is not one line of JSON any more; "
                "move it below `# end`"
            ) from None

    @cached_property
    def titles(self) -> list[Section]:
        """The sections without their trials, whatever was edited."""
        return sections(line for line in self.lines if line.lstrip().startswith("# "))

    @property
    def trials(self) -> list[tuple[int, Line]]:
        """The trials with their 1-based lines; not of an edited block."""
        return self._as_written or []

    @property
    def rounds(self) -> int:
        """How many rounds of an adaptive search it holds."""
        return max((int(match[1]) for title in self.titles if (match := ROUND.fullmatch(title.what))), default=0)


def _trial(value: Any) -> Line:
    if isinstance(value, dict):
        return value
    raise ValueError("a trial is a map")


def sections(lines: Iterable[str]) -> list[Section]:
    """Read the lines of a block, comments after a trial left out; raises ValueError for a trial that is no JSON."""
    parts: list[tuple[list[str], list[Line]]] = []
    for line in (line.strip() for line in lines):
        if title := TITLE.fullmatch(line):
            parts.append(([part or "" for part in title.groups()], []))
        elif line.startswith("- "):
            if not parts:
                parts.append((["", "", "", ""], []))
            parts[-1][1].append(_trial(READER.raw_decode(line[2:])[0]))
    return [Section(what, tuple(trials), *rest) for (what, *rest), trials in parts]


def find(lines: Sequence[str], shown: str) -> Block | None:
    """The block in the lines of a values file; raises BadInput for a broken one."""
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


def digest(lines: Iterable[str]) -> str:
    """16 hex digits over the lines of a block; indentation and line ends do not count."""
    return hashlib.sha256("\n".join(line.strip() for line in lines).encode()).hexdigest()[:16]


def render(space: str, sections: Iterable[Section], indent: str, ending: str) -> list[str]:
    """The lines of a block, markers and all; `space` is the digest of the space."""
    lines = [line for section in sections for line in section.lines]
    count = sum(line.startswith("- ") for line in lines)
    begin = f"# expanded from space.yaml sha256:{space} ({counted(count, 'trial')}, sha256:{digest(lines)})"
    return [f"{indent}{line}{ending}" for line in (begin, *lines, "# end")]
