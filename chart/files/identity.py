"""The environment variable TRIAL: what is to run, and the metrics that rank it."""

from __future__ import annotations

import re

from checks import is_finite, need, strict_object
from ending import BAD_INPUT, Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


SCHEMA_VERSION = 1
FINAL = ("succeeded", "diverged", "pruned")


def parse_trial(text: str | None) -> dict[str, Any]:
    """TRIAL, checked before anything is touched, since its id names folders. Raises Stop."""
    try:
        need(text, "is not set")
        trial = strict_object(text or "")
        for key in ("id", "lineage"):
            need(re.fullmatch("[0-9a-f]{4,64}", str(trial.get(key))), f"{key}: not a hash")
        need(is_finite(trial.get("limit_seconds")) and trial["limit_seconds"] > 0, "limit_seconds: not above 0")
        need(all(isinstance(name, str) and name for name in objectives(trial)), "objective: names no metric")
        identity = trial.get("identity")
        for key, kind in (("hyperparameters", dict), ("seed", int), ("env", dict), ("command", list)):
            need(isinstance(identity, dict) and isinstance(identity.get(key), kind), f"identity.{key}: missing")
        command = trial["identity"]["command"]
        need(command and all(isinstance(word, str) for word in command), "identity.command: not a list of words")
        need(isinstance(identity.get("passing", {}), dict), "identity.passing: not an object")  # type: ignore[union-attr]
        for listed in (trial["identity"].get("metrics", []), trial.get("steps", [])):
            need(isinstance(listed, list), "metrics: not a list")
        if "stop" in trial:
            stop = trial["stop"]
            need(isinstance(stop, dict) and isinstance(stop.get("rule"), dict), "stop: no rule")
            need(re.fullmatch("[0-9a-f]{4,64}", str(stop.get("group"))), "stop.group: not a hash")
        return trial
    except ValueError as error:
        raise Stop(BAD_INPUT, f"TRIAL: {error}; render the chart again") from None


def objectives(trial: dict[str, Any]) -> list[Any]:
    """Names of the metrics that rank trials: TRIAL has one objective or a list."""
    given = trial.get("objective")
    listed = given if isinstance(given, list) and given else [given]
    return [objective.get("metric") if isinstance(objective, dict) else None for objective in listed]
