"""The verdict of a rule that stopped a trial: which file holds it, and whether it follows from its evidence.

A trial that was stopped has a record like a result in `stopped-<group>.json`, of what it had come to, with the verdict.
Only a sweep with the same rule takes it for its end. The rules themselves are the chart's (files/rules.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

from sweep import chartfiles
from sweep.layout import Kit

FILE = re.compile(r"stopped-[0-9a-f]{4,64}\.json")
KEPT = ("group", "cause", "reason", "rung", "step")
"""What is kept of a verdict in a table of many trials: not its evidence."""


def name_of(group: str) -> str:
    """Of the file in a trial's folder."""
    return f"stopped-{group}.json"


@cache
def rules() -> ModuleType:
    return chartfiles.module(Kit.here().chart / "files" / "rules.py")


def flaw(record: Mapping[str, Any], trial: str, stop: Mapping[str, Any] | None = None) -> str:
    """Why a record's verdict over a trial is none that follows from its evidence, "" if it is sound.

    `stop`: {group, rule} that it must be by; None: whichever it names.
    """
    verdict = record.get("verdict")
    if not isinstance(verdict, dict):
        return "has no verdict"
    group, rule = (stop["group"], stop["rule"]) if stop else (verdict.get("group"), verdict.get("rule"))
    problem: str = rules().flaw(verdict, trial, group, rule)
    return f"its verdict is not sound: {problem}" if problem else ""


def brief(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict less its evidence."""
    return {name: verdict[name] for name in KEPT if name in verdict}
