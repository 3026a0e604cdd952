"""The verdicts of rules that lie in result stores, judged again.

A verdict has to follow from its own evidence, and its evidence has to be what its peers put into the store. Reads the
store itself, since neither a table nor what `collect` keeps in memory has the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.files import Tree
from sweep.records import store, verdicts
from sweep.records.strict import parse_object

FILE = re.compile(r"(stopped|audit)-([0-9a-f]{4,64})\.json")


@dataclass(frozen=True)
class Judged:
    """A verdict over a trial, judged again."""

    trial: str
    group: str
    is_check: bool
    """Whether the trial was left to run all the same."""
    path: str
    """Of its file, below the store."""
    cause: str
    reason: str
    rung: float | None
    """None for a verdict that needs none."""
    peers: int
    """In its evidence."""
    backed: int
    """Of these, how many the store has the value of at that rung."""
    flaw: str
    """Why it does not hold; "" if it does."""

    @property
    def finding(self) -> str:
        """What it comes to, in a line."""
        if self.flaw:
            return f"does not hold: {self.flaw}"
        if not self.peers:
            return "follows from its evidence"
        if self.backed == self.peers:
            return f"follows from its {self.peers} peers, which the store has as it quotes them"
        return f"follows from its {self.peers} peers, of which the store here has {self.backed}"


def judge(folders: Iterable[Path], trials: Iterable[str], group: str = "") -> list[Judged]:
    """All verdicts that the stores have of the trials, in their order, each once; of one group, or of all."""
    judged: dict[tuple[str, str], Judged] = {}
    wanted = list(trials)
    for folder in folders:
        with Tree(folder) as tree:
            for again in _judged(tree, wanted, group):
                known = judged.get((again.trial, again.path))
                if known is None or (again.backed, bool(again.flaw)) > (known.backed, bool(known.flaw)):
                    judged[again.trial, again.path] = again
    order = {trial: place for place, trial in enumerate(wanted)}
    return sorted(judged.values(), key=lambda again: (order[again.trial], again.path))


def _judged(tree: Tree, trials: Iterable[str], group: str) -> Iterator[Judged]:
    for trial in trials:
        base = store.path_of(trial)
        for name in tree.names(base):
            match = FILE.fullmatch(name)
            if match and group in ("", match[2]):
                yield _judge(tree, trial, f"{base}/{name}", match[2], is_check=match[1] == "audit")


def _judge(tree: Tree, trial: str, path: str, group: str, *, is_check: bool) -> Judged:
    verdict: Mapping[str, Any] = {}
    backed, flaw = 0, ""
    try:
        record = parse_object(tree.read(path, store.LARGEST_BYTES))
        kept = record.get("verdict")
        verdict = kept if isinstance(kept, dict) else {}
        flaw = "it is over another trial" if record.get("id") != trial else verdicts.flaw(record, trial)
        if not flaw and verdict["group"] != group:
            flaw = f"it is of the group {verdict['group']}"
        if not flaw and "peers" in verdict:
            backed, flaw = _evidence(tree, trial, verdict)
    except (OSError, ValueError) as error:
        flaw = f"cannot be read: {error}"
    peers = verdict.get("peers")
    return Judged(
        trial,
        group,
        is_check,
        path,
        str(verdict.get("cause", "")),
        str(verdict.get("reason", "")),
        verdict.get("rung") if verdicts.rules().is_finite(verdict.get("rung")) else None,
        len(peers) if isinstance(peers, list) else 0,
        backed,
        flaw,
    )


def _evidence(tree: Tree, trial: str, verdict: Mapping[str, Any]) -> tuple[int, str]:
    """How many of a sound verdict's peers the store has at its rung, and how they contradict it, "" if they agree.

    What is not there contradicts nothing: it was removed, or never brought to this machine.
    """
    place = f"rungs/{verdict['group']}/{verdicts.rules().folder_of(verdict['rung'])}"
    quoted = {name: (step, value) for name, step, value in verdict["peers"]}
    names = {name[: -len(".json")] for name in tree.names(place) if name.endswith(".json")}
    for name, given in {**quoted, trial: (verdict["step"], verdict["value"])}.items():
        if name in names:
            record = parse_object(tree.read(f"{place}/{name}.json", store.LARGEST_BYTES))
            stored = record.get("step"), record.get("value")
            if stored != given:
                what = f"{_point(*given)} in it, {_point(*stored)} in {place}/{name}.json"
                return 0, f"{name} has {what}"
    return len(quoted.keys() & names), ""


def _point(step: Any, value: Any) -> str:
    return f"{str(value)[:40]} at step {str(step)[:40]}"
