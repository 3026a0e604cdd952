"""A sweep's sections made again from what their titles name, and compared with what stands in values.yaml."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass

from sweep import git, yamlfile
from sweep.errors import BadInput
from sweep.layout import Kit, SweepFiles
from sweep.spaces import basis, search, spacefile, valuesfile, warmstart
from sweep.spaces.space import Space


@dataclass(frozen=True)
class Again:
    """One section, made again."""

    what: str
    trials: int
    source: str
    """`, from results.csv 3f2a… on local`; "" for what is made from the space alone."""
    difference: tuple[str, ...]
    """Lines of a diff from values.yaml to what was made; none if they are equal."""
    versions: tuple[str, str] | None
    """(recorded, here), where they are not the same."""


def is_expanded(files: SweepFiles) -> bool:
    """Whether values.yaml has anything that was expanded from a space. Raises BadInput where it cannot be read."""
    block = valuesfile.load(files).block
    return bool(block and block.space)


def replay(files: SweepFiles) -> list[Again]:
    """Every section of the block in values.yaml. Raises BadInput where the space or a results.csv is not to be had."""
    values = valuesfile.load(files)
    if not values.block or not values.block.space:
        raise BadInput(f"{values.shown}: nothing was expanded yet; `make expand` does it")
    space = _space(files, values.block.space)
    sections = values.block.sections
    replayed = []
    for index, section in enumerate(sections):
        rows = basis.at(files, section.blob, section.engine).rows if section.blob else ()
        trials = search.derive(space, section.what, sections[:index], rows, section.engine, search.rules(section))
        kept = search.without(space, trials, [later for later in sections[1:] if not index])
        given, again = ([f"- {yamlfile.flow(trial)}" for trial in part] for part in (section.trials, kept))
        changes = [
            line for line in difflib.unified_diff(given, again, lineterm="", n=0) if line[:3] not in ("---", "+++")
        ]
        here = search.versions(space, section.what)
        evidence = f", from results.csv {section.blob[:12]} on {section.engine}" if section.blob else ""
        differ = (section.versions, here) if section.versions != here else None
        replayed.append(Again(section.what or space.sampled, len(section.trials), evidence, tuple(changes), differ))
    return replayed


def _space(files: SweepFiles, digest: str) -> Space:
    """The space with this digest: the one that lies there, or else one in Git's history."""
    repo, shown = files.clone.root, files.clone.relative(files.space)
    schema = json.loads((Kit.here().schemas / "space.schema.json").read_text())
    texts = (
        [yamlfile.read_text(files.space, shown, files.clone.values).encode()] if files.clone.has(files.space) else []
    )
    texts += [text for commit in git.commits(repo, shown) if (text := git.show(repo, commit, shown))]
    for text in texts:
        try:
            space = spacefile.read(yamlfile.parse(text.decode(), shown, helm=False), schema, warmstart.of(repo))
        except (BadInput, UnicodeDecodeError):
            continue  # a version that was broken made no trials
        if space.digest == digest:
            return space
    raise BadInput(
        f"{shown}: no version in Git is sha256:{digest}, which the block was expanded from; fetch its history"
    )
