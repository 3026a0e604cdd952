"""What expand writes into values.yaml: the text, and why it is so. What a person wrote there stays."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sweep import git, passing, secrets, settings, words
from sweep.errors import BadInput
from sweep.layout import SweepFiles
from sweep.records import same
from sweep.settings import Settings
from sweep.spaces import basis, search, valuesfile
from sweep.spaces.block import Block, Section
from sweep.spaces.space import Line, Space
from sweep.spaces.valuesfile import ValuesFile

Committed = Callable[[], basis.Basis | None]
"""Gives the committed results that count."""


@dataclass(frozen=True)
class Wish:
    """What a person asks expand for, beside what the space says."""

    section: str = ""
    """Trials to add: `top 5, 8 replicates each`, say; see search.derive."""
    force: bool = False
    """Replace the block, whatever was edited or begun."""
    quorum: float = 1
    """The share of the last round that must have ended before the next; 1: every trial there is."""


@dataclass(frozen=True)
class Draft:
    """What the files of a sweep are to hold, and what there is to say about it."""

    files: SweepFiles
    domain: Space | None
    values: ValuesFile
    trials: int
    by_hand: list[str]
    """What a person changed in values.yaml since it was committed."""
    note: str
    """Why a search does not go on, or what is dropped."""
    code_note: str
    pending: dict[Path, str]
    """The new text of the files that change."""

    @property
    def paths(self) -> list[str]:
        """What of the sweep is committed, by names within the clone."""
        files = self.files
        own = (files.space, files.values, files.code)
        return [files.clone.relative(path) for path in own if files.clone.has(path) or path in self.pending]

    @property
    def origin(self) -> str:
        """How the trials came about: `random, n=8, seed=0; 1 by hand`."""
        own, block = len(self.values.head.value("trials") or []), self.values.block
        done, rounds = block.rounds if block else 0, search.rounds(self.domain) if self.domain else 0
        added = search.added(block)
        parts = [
            self.domain.sampled if self.domain else "",
            f"round {done} of {rounds}" if rounds else "",
            f"{sum(len(section.trials) for section in added[:-1])} added before" if added[1:] else "",
            f"{len(added[-1].trials)} added: {added[-1].what}" if added else "",
            f"{own} by hand" if own else "",
        ]
        return "; ".join(filter(None, parts))

    @property
    def summary(self) -> str:
        return f"{words.counted(self.trials, 'trial')} ({self.origin})"

    @property
    def message(self) -> str:
        """Of the commit: what the sweep is now, what that was made from, what was edited by hand, the code if new."""
        by_hand_alone = self.by_hand and self.files.values not in self.pending
        subject = f"{words.counted(self.trials, 'trial')}, edited by hand" if by_hand_alone else self.summary
        committed = git.show(self.files.clone.root, "HEAD", self.files.clone.relative(self.files.values)) or b""
        made_from = evidence(self.files, self.domain, self.values, committed.decode(errors="replace"))
        edits = [*self.by_hand[:20], *(["…"] if len(self.by_hand) > 20 else [])]
        body = ["By hand in values.yaml:", *edits] if edits else []
        code = [self.code_note] if self.files.code in self.pending else []
        lines = map(words.line, [f"{self.files.name}: {subject}", "", *made_from, *body, *code])
        # The line that takes a secret out again has it too.
        return "\n".join(secrets.masked(line, yaml=True) for line in lines).strip()


def text(
    files: SweepFiles, space: Space | None, values: ValuesFile | None, wish: Wish, committed: Committed
) -> tuple[str, str]:
    """(the text that values.yaml should have, what to say about it: why a search does not go on, what is dropped).

    `committed` gives the results that count; it is asked only where results do. Raises BadInput where expand would
    overwrite what a person wrote, and TrialsFailed where a search has nothing to go on with.
    """
    if space is None:
        if values is None:
            folder = files.clone.relative(files.folder)
            raise BadInput(f"{folder}: no space.yaml and no values.yaml; `make new SWEEP={files.name}` starts a sweep")
        if wish.section:
            raise BadInput(f"{values.shown}: {wish.section}: needs a space.yaml beside it; write one")
        return values.text, ""
    if values is None:
        return valuesfile.generate(files.name, space, [search.first(space)]), ""
    block = values.block
    if block and block.space == space.digest:
        return _grown(space, values, block, wish, committed)
    if block:
        _check_replaceable(values, block, wish)
    valuesfile.check_head(values, space)
    added = [] if block and block.edited else search.added(block)
    first = search.first(space)
    first = replace(first, trials=search.without(space, first.trials, added))
    return valuesfile.with_sections(values, space, [first, *added]), _dropped(block, [first, *added])


def _dropped(block: Block | None, sections: list[Section]) -> str:
    """How many trials the block had that it has no longer."""
    before = {line.strip() for line in block.lines if line.lstrip().startswith("- ")} if block else set()
    left = before.difference(*(section.lines for section in sections))
    return f"{len(left)} of the {len(before)} trials that were there are not listed any more" if left else ""


def _check_replaceable(values: ValuesFile, block: Block, wish: Wish) -> None:
    """Raise BadInput where a changed space would throw away what is not expand's alone."""
    where = f"{values.shown}:{block.first + 1}"
    if wish.section:
        raise BadInput(f"{where}: space.yaml is not expanded yet as it is; `make expand` first, then {wish.section}")
    if block.edited and not wish.force:
        raise BadInput(
            f"{where}: space.yaml has changed, and so have trials in its block; "
            "move your trials below `# end`, or replace the block by expand --force"
        )
    if block.rounds and not wish.force:
        raise BadInput(
            f"{where}: space.yaml has changed under a search that has begun; change it back (only `rounds` may grow), "
            "or begin anew by expand --force"
        )


def _grown(space: Space, values: ValuesFile, block: Block, wish: Wish, committed: Committed) -> tuple[str, str]:
    """The text with the next section, if there is one and the results for it."""
    what = wish.section or search.following(space, block.titles)
    if not what:
        return values.text, ""
    valuesfile.check_head(values, space)
    read = committed()
    trials = [trial for _, trial in values.trials()]
    latest = block.sections[-1].trials if block.sections and not wish.section else ()
    reason = search.waiting(space, trials, latest, read, 0 if wish.section else wish.quorum)
    if reason and wish.section:
        raise BadInput(f"{what}: {reason}")
    if reason or read is None:
        return values.text, f"{what} waits: {reason}"
    section, note = _next_section(space, block, what, read, wish)
    return (valuesfile.with_section_added(values, space, section) if section else values.text), note


def _next_section(
    space: Space, block: Block, what: str, committed: basis.Basis, wish: Wish
) -> tuple[Section | None, str]:
    """(the section `what`, ""); after the end of a race (the next round, where there is one, what the race came to)."""
    section = search.make(space, what, block.sections, committed)
    if section:
        return section, ""
    following = "" if wish.section else search.next_round(space, block.titles)
    section = search.make(space, following, block.sections, committed) if following else None
    return section, f"the race is over: {search.outcome(space, what, block.sections, committed)}"


def evidence(files: SweepFiles, space: Space | None, final: ValuesFile, before: str) -> list[str]:
    """What the sections that `before`, the committed text, has not yet were made from, in lines for people."""
    lines: list[str] = []
    block = final.block
    if space and block and block.space == space.digest:
        for index, section in enumerate(block.titles):
            if section.blob and section.title not in before:
                read = basis.at(files, section.blob, section.engine)
                lines += search.evidence(space, section.what, block.sections[:index], read)
    return lines


def passing_notes(given: Settings, values: ValuesFile) -> list[str]:
    """What a person may not have meant by how hyperparameters are passed, a line each."""
    own = (name for _, trial in values.trials() for name in trial if name not in same.OF_A_TRIAL)
    return passing.notes(given.command, given.passing, dict.fromkeys((*given.hyperparameters, *own)))


def limits(given: Settings, trials: Sequence[Line], most: int) -> str:
    """What the trials may cost; `most`: those of all rounds, each of the rest as dear as the dearest."""
    each = [settings.of_trial(given, trial) for trial in trials]
    seconds, gpus = [own.limit_seconds for own in each], [own.gpu.count * own.nodes for own in each]
    longest, largest = max(seconds, default=given.limit_seconds), max(gpus, default=given.gpu.count * given.nodes)

    def cost(more: int) -> str:
        hours = (sum(seconds) + more * longest) / 3600
        gpu_hours = (sum(map(operator.mul, seconds, gpus)) + more * longest * largest) / 3600
        return f"{hours:.1f} h" + (f", {gpu_hours:.1f} GPU-hours" if largest else "")

    more = most - len(trials)
    rounds = f"; with all rounds at most {most} trials, {cost(more)}" if more > 0 else ""
    return f"; each at most {longest} s, {cost(0)} in all{rounds}"


def by_hand(files: SweepFiles, values: ValuesFile | None) -> list[str]:
    """What a person changed in values.yaml since it was committed, as `+ line` and `- line`."""
    shown = files.clone.relative(files.values)
    committed = git.show(files.clone.root, "HEAD", shown)
    if values is None or committed is None:
        return []
    try:
        return valuesfile.edits(valuesfile.parse(committed.decode(errors="replace"), shown), values)
    except BadInput:
        return []  # what was committed was broken; the commit's own diff shows how it was mended
