"""The rules by which a running trial is stopped: pure functions of what it and its peers had at a rung.

A rung is a step (epoch) at which trials are compared: `min`, `min` x `eta`, … below `max`. Everything is decided by how
many peers were better there, and peers that are not there count as worse; so a value that comes late, or never, only
keeps a trial running. The runner decides by this, and the scripts compute the verdict again by the same functions.
Standard library only, Python >= 3.9.
"""

from __future__ import annotations

import math
import re
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BY_RANK = ("asha", "median")  # rules that need peers
MOST_PEERS = 10_000  # that are compared with


def seconds(duration: Any) -> float:
    """90 or `90s`, `10m`, `2h`, `1d` in seconds. Raises ValueError."""
    if is_finite(duration) and duration > 0:
        return float(duration)
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd])", str(duration))
    if not match or not float(match[1]):
        raise ValueError(f"expected a duration such as 90s, 10m, 2h or 1d, got {str(duration)[:40]!r}")
    return float(match[1]) * SECONDS[match[2]]


def is_finite(value: Any) -> bool:
    """A number that a float can hold."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def rung_at(rule: Mapping[str, Any], step: float) -> float | None:
    """The highest rung that a trial has reached at a step; None below the first."""
    if rule.get("rule") not in BY_RANK:
        return max((rung for rung in thresholds(rule) if rung <= step), default=None)
    rung, reached = rule["min"], None
    while rung <= step and rung < rule.get("max", math.inf):
        rung, reached = rung * rule["eta"], rung
    return reached


def folder_of(rung: float) -> str:
    """Name of the folder in which trials put what they had at a rung."""
    return str(int(rung)) if float(rung).is_integer() else repr(float(rung))


def thresholds(rule: Mapping[str, Any]) -> dict[float, float]:
    """Rung -> the value that a trial has to reach there; none for another rule. Raises ValueError."""
    return {float(step): float(value) for step, value in rule.get("at", {}).items()}


def is_better(value: float | None, other: float | None, direction: str) -> bool:
    """Whether a value is strictly better than another; None, one that is not finite, is worse than all others."""
    if value is None or other is None:
        return value is not None and other is None
    return value < other if direction == "minimize" else value > other


def quota(rule: Mapping[str, Any], peers: int) -> int:
    """How many of so many peers have to be better for a trial to be stopped.

    asha: as many as would go on, the best 1/eta of all and at least one. median: more than half.
    """
    peers = max(peers, rule["min_peers"])
    return max(1, (peers + 1) // int(rule["eta"])) if rule["rule"] == "asha" else peers // 2 + 1


def judge(rule: Mapping[str, Any], rung: float, value: float | None, peers: Sequence[float | None]) -> str:
    """Why a trial that had `value` at a rung is to be stopped, given what its peers had there; "" if it goes on."""
    direction, named = rule["direction"], f"{rule['metric']} {spelled(value)} at rung {rung:g}"
    if rule["rule"] == "threshold":
        bound = thresholds(rule)[float(rung)]
        side = "below" if direction == "maximize" else "above"
        return f"{named} is {side} {bound:g}" if is_better(bound, value, direction) else ""
    better = sum(is_better(other, value, direction) for other in peers)
    if better < quota(rule, len(peers)):
        return ""
    return f"{named}: {better} of {len(peers)} peers had a better one, and {quota(rule, len(peers))} are enough"


def spelled(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.6g}"


def is_audited(rule: Mapping[str, Any], trial: str) -> bool:
    """Whether a trial is one of those that are left to run although the rule says stop: by a hash of its id, so that
    every attempt and everybody who computes it again says the same."""
    share = int(sha256(f"audit {trial}".encode()).hexdigest()[:8], 16) / 16**8
    return bool(share < rule.get("audit", 0))


# ---- verdicts --------------------------------------------------------------------------------------------------------
# {"group", "rule": the settings, "cause": asha | median | threshold | nan | max_wall, "reason", and the evidence:
# "rung", "step", "value" of the trial, "peers": [[id, step, value], …]; of nan "step", of max_wall "used_s"}


def comparable(trial: str, step: float, peers: Iterable[tuple[str, float, float | None]]) -> list[list[Any]]:
    """The peers that a trial may be compared with: others, which had not trained for longer at the rung than it has."""
    return sorted([name, at, value] for name, at, value in peers if name != trial and at <= step)


def by_rung(
    rule: Mapping[str, Any], own: tuple[float, float, float | None], peers: list[list[Any]]
) -> dict[str, Any] | None:
    """The verdict over a trial that is to be stopped by its rung; None if it goes on.

    `own`: rung, step and value; `peers` as comparable() gives them.
    """
    rung, step, value = own
    reason = judge(rule, rung, value, [peer[2] for peer in peers])
    return (
        {
            "rule": dict(rule),
            "cause": rule["rule"],
            "reason": reason,
            "rung": rung,
            "step": step,
            "value": value,
            "peers": peers,
        }
        if reason
        else None
    )


def by_nan(rule: Mapping[str, Any], step: float) -> dict[str, Any]:
    reason = f"{rule['metric']} is not finite at step {step:g}"
    return {"rule": dict(rule), "cause": "nan", "reason": reason, "step": step, "value": None}


def by_wall(rule: Mapping[str, Any], used_s: float) -> dict[str, Any] | None:
    """None if there is no `max_wall`, or the trial has time left."""
    if "max_wall" not in rule or used_s < seconds(rule["max_wall"]):
        return None
    reason = f"max_wall: it has trained for {used_s:.0f} s, of {seconds(rule['max_wall']):g} s"
    return {"rule": dict(rule), "cause": "max_wall", "reason": reason, "used_s": used_s}


def flaw(verdict: Any, trial: str, group: str, rule: Mapping[str, Any]) -> str:
    """Why a verdict over a trial does not follow from its evidence, or is by another rule; "" if it is sound."""
    try:
        return _flaw(verdict, trial, group, rule)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        return f"its evidence cannot be read: {type(error).__name__}: {str(error)[:100]}"


def _flaw(verdict: Any, trial: str, group: str, rule: Mapping[str, Any]) -> str:
    if verdict["group"] != group or verdict["rule"] != rule:
        return "it is by another rule, or of another group"
    again = _again(verdict, trial)
    if again is None:
        return f"by {verdict['cause']} the trial goes on, given this evidence"
    differing = [name for name in again if again[name] != verdict.get(name)]
    return f"computed again its {differing[0]} is {str(again[differing[0]])[:200]}" if differing else ""


def _again(verdict: Mapping[str, Any], trial: str) -> dict[str, Any] | None:
    """The verdict that its own evidence leads to; None if that is to go on. Raises ValueError where it is none."""
    rule, cause = verdict["rule"], verdict["cause"]
    if cause == "max_wall":
        return by_wall(rule, verdict["used_s"])
    if cause == "nan" and rule.get("nan"):
        return by_nan(rule, verdict["step"])
    if cause != rule.get("rule"):
        raise ValueError(f"the rule has no {cause}")
    if not all(is_finite(verdict[name]) for name in ("rung", "step")):
        raise ValueError("rung and step: not numbers")
    if rung_at(rule, verdict["step"]) != verdict["rung"]:
        raise ValueError(f"step {verdict['step']:g} is not at rung {verdict['rung']:g}")
    peers = [(name, step, value) for name, step, value in verdict["peers"]]
    if len({name for name, _, _ in peers}) < len(peers):
        raise ValueError("a peer is counted twice")
    if not all(value is None or is_finite(value) for _, _, value in [*peers, ("", 0, verdict["value"])]):
        raise ValueError("a value is not a number")
    own = (verdict["rung"], verdict["step"], verdict["value"])
    return by_rung(rule, own, comparable(trial, verdict["step"], peers))
