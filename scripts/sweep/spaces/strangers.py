"""Hyperparameters of a trial added by hand that nothing else of the sweep names: misspelt, or new on purpose.

A misspelt one that the program does not know is not passed to it, or passed and ignored: the trial then trains with a
default and stands in the table under a value that it never had. So what is spelled almost like a name of the sweep is
refused, and what is like none is only mentioned.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sweep import passing
from sweep.errors import BadInput
from sweep.records.same import OF_A_TRIAL
from sweep.settings import Settings
from sweep.spaces.space import Space
from sweep.spaces.valuesfile import ValuesFile
from sweep.words import counted


@dataclass(frozen=True)
class Stranger:
    """A name that a trial by hand sets, and that nothing else of the sweep has."""

    line: int
    name: str
    meant: str
    """The name that it is probably for; "" where it is like none."""


def notes(values: ValuesFile, space: Space | None, settings: Settings) -> list[str]:
    """What is new in trials by hand, a line each. Raises BadInput with the place of a name that looks misspelt."""
    unknown = list(strangers(values, space, settings))
    for stranger in unknown:
        if stranger.meant:
            raise BadInput(
                f"{values.shown}:{stranger.line}: trials: {stranger.name} is not a hyperparameter of this sweep; did "
                f"you mean {stranger.meant}? One that is new on purpose is named by `hyperparameters: "
                f"{{{stranger.name}: null}}`"
            )
    lines: dict[str, list[int]] = {}
    for stranger in unknown:
        lines.setdefault(stranger.name, []).append(stranger.line)
    return [
        f"{values.shown}:{at[0]}: {name} is set by {counted(len(at), 'trial')} by hand, by nothing else of the sweep"
        for name, at in lines.items()
    ]


def strangers(values: ValuesFile, space: Space | None, settings: Settings) -> Iterator[Stranger]:
    """Those of trials by hand, in the order of the file.

    Without a space the trials speak for each other: a name is a stranger where one trial alone has it, or where it is
    spelled almost like a name that more trials have.
    """
    expanded = values.block.trials if values.block and not values.block.edited else []
    by_hand = values.trials()[len(expanded) :]
    known = _declared(space, settings).union(*(trial for _, trial in expanded))
    having = Counter(name for _, trial in by_hand for name in trial)
    alone = 1 if len(by_hand) > 1 else 0
    for line, trial in by_hand:
        for name in filter(lambda name: name not in known, trial):
            meant = nearest(name, (known | _had_by_more(having, name)) - trial.keys())
            if meant or space or having[name] == alone:
                yield Stranger(line, name, meant)


def _had_by_more(having: Counter[str], name: str) -> set[str]:
    """The names that more trials have than this one."""
    return {other for other, trials in having.items() if trials > having[name]}


def _declared(space: Space | None, settings: Settings) -> set[str]:
    """Names that the sweep has beside those of its trials."""
    names = {*OF_A_TRIAL, *settings.hyperparameters}
    names |= passing.asked_for(settings.command)
    if space:
        names.update(space.hyperparameters, space.order, *space.points)
    return names


def nearest(name: str, others: Iterable[str]) -> str:
    """Which of `others` the name is probably a misspelling of; "" for none.

    That is one or two slips of the fingers away (two in six letters or more), where separators and case do not count.
    Names that differ in their digits alone, as beta1 and beta2, are two names.
    """
    close = []
    for other in sorted(set(others)):
        mine, theirs = _plain(name), _plain(other)
        if re.sub(r"\d", "#", mine) == re.sub(r"\d", "#", theirs) and mine != theirs:
            continue
        away, length = slips(mine, theirs), max(len(mine), len(theirs))
        if away == 0 or (away == 1 and length > 2) or (away == 2 and length > 5):
            close.append((away, other))
    return min(close, default=(0, ""))[1]


def _plain(name: str) -> str:
    return re.sub("[-_.]", "", name).casefold()


def slips(word: str, other: str) -> int:
    """How many letters were left out, added, mistaken for another or swapped with the next one, at the least."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        older, before, row = before, row, [i]
        for j, due in enumerate(other, 1):
            away = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != due))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == due:
                away = min(away, older[j - 2] + 1)
            row.append(away)
    return row[-1]
