"""What expand writes next: the first trials of a space, the next round of a search, or what a person asks for.

Everything but the first trials is made from one committed results.csv, which the title of the new section names. So
`derive`, a pure function of the space and that file, makes every section again: that is what replay does.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sweep.errors import BadInput, TrialsFailed
from sweep.records import same
from sweep.records.results import Row
from sweep.spaces import domain, history, sampling
from sweep.spaces.basis import Basis
from sweep.spaces.block import ROUND, Block, Section
from sweep.spaces.sampler import Sampler
from sweep.spaces.samplers import SAMPLERS, sobol
from sweep.spaces.space import MAX_TRIALS, Line, Space, too_many
from sweep.yamlfile import flow

AROUND = re.compile(r"around (\w+), shrink ([0-9.e-]+), n ([0-9]+)")
TOP = re.compile(r"top ([0-9]+), ([0-9]+) replicates each")
RACE = re.compile(r"race step ([0-9]+), top ([0-9]+), at most ([0-9]+) replicates")
RULES = 2
"""How results turn into trials, here; in titles as `search 2`. A title without is of the rules 1: points by their bare
means, equals by the text of their hyperparameters, numbers in a list of `type: choice` without order."""


def sampler(space: Space) -> Sampler:
    """The record of the sampler that space.yaml names."""
    return SAMPLERS[space.sampler]


def rounds(space: Space) -> int:
    """How many rounds the search has; 0 for a sampler that needs no results."""
    return len(_sizes(space))


def most_trials(space: Space) -> int:
    """How many trials all rounds have together."""
    return sum(_sizes(space)) * space.replicates


def _sizes(space: Space) -> list[int]:
    sizes = sampler(space).sizes
    return sizes(space) if sizes else []


def first(space: Space) -> Section:
    """The trials that the space alone says, or the first round."""
    by = sampler(space)
    if by.adaptive:
        what = f"round 1 of {rounds(space)}"
        return Section(what, derive(space, what, [], (), ""), versions=by.versions)
    return Section(by.name if by.libraries else "", tuple(expand(space)), versions=by.versions)


def expand(space: Space) -> list[Line]:
    """All trials: each point with the seeds 0 … replicates-1 (0 is not written); BadInput if too few points exist."""
    n = space.options.get("n")
    most = MAX_TRIALS // space.replicates + 1 if n is None else n
    points = [*space.points, *itertools.islice(sampler(space).ask(space), most)]
    drawn = len(points) - len(space.points)
    if n is not None and drawn < n:
        different = f"only {drawn} different ones were found" if drawn else "none was found"
        problem = f"expected {n} points, {different}{sampling.why_few(space)}; widen the space"
        raise space.doc.bad(("sampler", "n"), problem)
    if not points:
        raise space.doc.bad(("space",), f"no point is left{sampling.why_few(space)}; loosen them")
    if len(points) * space.replicates > MAX_TRIALS:
        raise too_many(space, len(points) * space.replicates)
    return sampling.replicated(space, points)


def following(space: Space, sections: Sequence[Section]) -> str:
    """What comes next by itself: the next round, or step of a race; "" for nothing."""
    if sections and (step := RACE.fullmatch(sections[-1].what)):
        return f"race step {int(step[1]) + 1}, top {step[2]}, at most {step[3]} replicates"
    return next_round(space, sections)


def next_round(space: Space, sections: Sequence[Section]) -> str:
    """The next round, whatever was added between; "" after the last."""
    done = max((int(match[1]) for section in sections if (match := ROUND.fullmatch(section.what))), default=0)
    return f"round {done + 1} of {rounds(space)}" if done < rounds(space) else ""


def is_added(section: Section) -> bool:
    """Whether it stands beside what the space says, and so stays when the space changes."""
    return any(pattern.fullmatch(section.what) for pattern in (AROUND, TOP, RACE))


def added(block: Block | None) -> list[Section]:
    """The sections of a block that stand beside what the space says."""
    if block is None or not any(map(is_added, block.titles)):
        return []  # at once, whatever the number of trials
    return [section for section in block.sections if is_added(section)]


def make(space: Space, what: str, before: Sequence[Section], basis: Basis) -> Section | None:
    """The section `what`, made from `basis`; None where a race is over. Raises TrialsFailed if nothing is left."""
    trials = derive(space, what, before, basis.rows, basis.engine)
    if trials:
        return Section(what, trials, basis.blob, basis.engine, versions(space, what))
    if RACE.fullmatch(what):
        return None
    raise TrialsFailed(f"{what}: the space has no further point; widen it, or be content")


def versions(space: Space, what: str) -> str:
    """Of the libraries that have a part in a section, as they are installed here, and of our rules, where it learns."""
    adds = is_added(Section(what, ()))
    libraries = (sobol.SAMPLER if adds else sampler(space)).versions
    number = ROUND.fullmatch(what)
    return f"{libraries}, search {RULES}" if adds or (number and int(number[1]) > 1) else libraries


def rules(section: Section) -> int:
    """By which rules it was made."""
    match = re.search(r"\bsearch ([0-9]+)$", section.versions)
    return int(match[1]) if match else 1


def without(space: Space, trials: Sequence[Line], others: Sequence[Section]) -> tuple[Line, ...]:
    """`trials` less those that stand in one of the sections `others`."""
    seen = {_identity(space, trial) for other in others for trial in other.trials}
    return tuple(trial for trial in trials if not seen or _identity(space, trial) not in seen)


def _identity(space: Space, trial: Mapping[str, Any]) -> str:
    return same.of_line(space.hyperparameters, trial)


def derive(
    space: Space, what: str, before: Sequence[Section], rows: Sequence[Row], engine: str, rules: int = RULES
) -> tuple[Line, ...]:
    """The trials of the section `what`, from the sections `before` it and the rows of results.csv.

    A round is made by the `rules` of its time. What a person asked for beside rounds is ranked as it is today.
    """
    if what in ("", *SAMPLERS):
        return tuple(expand(space))
    if rules < 2:
        space = replace(space, parameters=tuple(map(domain.of_rules_1, space.parameters)))
    if match := ROUND.fullmatch(what):
        number, observations = int(match[1]), history.read(space, rows, engine, compared=rules > 1)
        points = sampler(space).ask(space, observations, number, _listed(before) if rules > 1 else ())
        return tuple(sampling.replicated(space, points))
    from sweep.spaces import refine  # scipy and numpy take half a second to import

    if match := AROUND.fullmatch(what):
        return tuple(refine.around(space, rows, engine, match[1], float(match[2]), int(match[3])))
    if match := TOP.fullmatch(what):
        return tuple(refine.top(space, rows, engine, int(match[1]), int(match[2])))
    if RACE.fullmatch(what):
        step, count, most = _numbers(what)
        return tuple(refine.race(space, rows, engine, step, count, most, _steps(before, step)))
    raise BadInput(f"`# {what}`: not a title that expand writes; restore it from git")


def _listed(sections: Sequence[Section]) -> list[Line]:
    return [trial for section in sections for trial in section.trials]


def _steps(before: Sequence[Section], step: int) -> list[tuple[Line, ...]]:
    """The trials of each step of a race before its step `step`."""
    return [section.trials for section in before[max(0, len(before) + 1 - step) :] if RACE.fullmatch(section.what)]


def _numbers(what: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", what)]


# ---- may it go on? ----


def waiting(
    space: Space,
    trials: Sequence[Mapping[str, Any]],
    latest: Sequence[Mapping[str, Any]],
    basis: Basis | None,
    quorum: float,
) -> str:
    """Why the next section cannot be made yet, "" if it can.

    Every one of `trials` needs a row, and an end as well; with a `quorum` below 1 that share of the `latest` will do.
    """
    rows = {
        same.trial(row.hyperparameters, row.seed): row
        for row in (basis.rows if basis else ())
        if basis and row.engine == basis.engine
    }
    lost = sum(_identity(space, trial) not in rows for trial in trials)
    if lost:
        return f"{lost} of {len(trials)} trials are not in results.csv; `make sweep` runs them"
    due = trials if quorum == 1 else latest
    left = sum(
        row is None or row.status not in history.ENDED
        for row in (rows.get(_identity(space, pending)) for pending in due)
    )
    needed = math.ceil(quorum * len(due))
    if len(due) - left < needed:
        if quorum < 1:
            return f"{left} of the last {len(due)} trials have not ended; {needed} that have are enough"
        return f"{left} of {len(due)} trials have not ended; --quorum 0.9 goes on without the last tenth of a round"
    return ""


def quorum_of(sections: Sequence[Section], fixed: Mapping[str, Any], quorum: float) -> tuple[set[str], int]:
    """The trials of the last section, as same.trial tells them apart, and how many of them must have ended."""
    latest = sections[-1].trials if sections else ()
    return {same.of_line(fixed, trial) for trial in latest}, math.ceil(quorum * len(latest))


# ---- the evidence, for the commit message ----


def evidence(space: Space, what: str, before: Sequence[Section], basis: Basis) -> list[str]:
    """What a section was made from, in lines for people: who was eliminated, who went on, what the sampler was told."""
    observations = history.read(space, basis.rows, basis.engine)
    lines = [f"{what}: from results.csv {basis.blob[:12]} on {basis.engine}"]
    number = ROUND.fullmatch(what)
    explain = sampler(space).evidence
    if number and explain:
        return lines + explain(space, observations, int(number[1]), _listed(before))
    if RACE.fullmatch(what):
        from sweep.spaces import refine

        step, count, _ = _numbers(what)
        _, out = refine.contest(space, basis.rows, basis.engine, count, _steps(before, step))
        return [*lines, *(f"out: {point.mean:.6g} {flow(point.hyperparameters)}" for point in out)]
    return lines


def outcome(space: Space, what: str, before: Sequence[Section], basis: Basis) -> str:
    """How a race ended whose next step would be `what`: who was not dropped."""
    from sweep.spaces import refine

    step, count, _ = _numbers(what)
    left, _out = refine.contest(space, basis.rows, basis.engine, count, _steps(before, step))
    names = "; ".join(flow(history.own(space, point.trial)) for point in left)
    return f"{len(left)} of {count} left, {names}"
