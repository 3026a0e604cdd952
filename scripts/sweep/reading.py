"""What the values say of how metrics are read, as far as it can be told before anything runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.render import Trial

Source = Mapping[str, Any]


def flaw(source: Source) -> str:
    """Why its pattern is none by the rules of Python, which neither helm nor a schema knows; "" if it is one."""
    try:
        re.compile(source.get("pattern", ""))
    except (re.error, RecursionError, OverflowError) as error:
        return f"is not a regular expression of Python's: {error}; mend it"
    return ""


def names(source: Source) -> list[str] | None:
    """The metrics that a source gives; None where only the program knows."""
    if source.get("names"):
        return list(source["names"])
    return list(re.compile(source["pattern"]).groupindex) if "pattern" in source else None


def notes(sources: Sequence[Source] | None, objectives: Sequence[str]) -> list[str]:
    """What a person may not have meant: a line for each objective that no source gives."""
    given = [names(source) for source in sources or ()]
    known = [name for some in given for name in some or ()]
    if not sources or None in given:
        return []
    return [f"objective {name}: {_instead(name, known)}" for name in objectives if name not in known]


def notes_of(trials: Sequence[Trial]) -> list[str]:
    """The same of rendered trials, which have one `metrics` and one `objective`."""
    objective = trials[0].objective
    listed = objective if isinstance(objective, list) else [objective]
    return notes(trials[0].identity.get("metrics"), [entry["metric"] for entry in listed])


def _instead(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    cure = f"did you mean {near[0]}?" if near else "name one of those, or add a source"
    return f"no source in `metrics` gives it, they give {', '.join(known)}; {cure}"
