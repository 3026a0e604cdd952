"""What the command says of its training: METRICS_FILE, and what the values say how to read."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from contextlib import suppress

from checks import MOST_DIGITS, check_depth, is_finite, is_number, need
from ending import BAD_INPUT, TERMINATED, Stop, say
from folders import read_file
from identity import FINAL, objectives

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from attempts import Attempt
    from folders import Folder
    from reading import Reading


LARGEST_METRICS_BYTES = 1 << 20
MOST_METRICS, LONGEST_NAME = 1000, 200
SHOWN_NAMES, SHOWN_CHARACTERS = 8, 60  # of metrics that are no result, in the one line about them


def reading_of(trial: dict[str, Any], attempt: Attempt, *folders: Folder) -> Reading | None:
    """What reads the metrics where the values say how, as attempts before have left them; None where the command writes
    METRICS_FILE. Raises Stop."""
    sources = trial["identity"].get("metrics")
    if not sources:
        return None
    import reading

    try:
        reader = reading.Reading(sources, trial.get("steps", []), *folders)
    except ValueError as error:
        raise Stop(BAD_INPUT, f"{error}; mend it in the values", ended=None) from None
    reader.go_on_from(attempt.before())
    return reader


def read_all(
    reading: Reading, trial: dict[str, Any], attempt: Attempt, signals: int, patience: float, secret: list[bytes]
) -> tuple[dict[str, Any], str]:
    """(metrics that the values say how to read, what was not found) of a command that has ended.

    Told to end, it still has `patience`: mostly it is done in no time, and the training is not lost. Raises Stop.
    """
    until = math.inf

    def tick() -> None:
        nonlocal until
        with suppress(BlockingIOError):
            if {signal.SIGTERM, signal.SIGINT} & set(os.read(signals, 512)):
                until = min(until, time.monotonic() + patience)
        if time.monotonic() > until:
            raise Stop(TERMINATED, "SIGTERM", status="preempted", ended=0)
        attempt.keep_alive()

    def masked(text: str) -> str:
        for value in secret:
            text = text.replace(value.decode(errors="replace"), "***")
        return text

    reading.look(tick)
    attempt.keep_history(reading.history())
    attempt.keep_taken(reading.record())
    for line in reading.summary():
        say(f"{trial['id']}: {masked(line)}")
    return reading.metrics(), masked("".join(f"; {flaw}" for flaw in reading.lacks()))


def metrics_of(path: str, trial: dict[str, Any], attempt: Attempt, read: dict[str, Any] | None) -> dict[str, Any]:
    """What the command tells in METRICS_FILE, over what was `read` elsewhere; None: nothing was to be. Raises Stop."""
    data = b""
    try:
        data = read_metrics_file(path) if read is None or os.path.lexists(path) else b"{}"
        return read_metrics(data, objectives(trial), read)
    except ValueError as error:
        attempt.keep("metrics.txt", data)
        raise Stop(BAD_INPUT, f"METRICS_FILE: {error}", ended=0) from None


def read_metrics_file(path: str) -> bytes:
    """What the command wrote into METRICS_FILE. Raises ValueError where that is no file of a bearable size."""
    try:
        return read_file(path, LARGEST_METRICS_BYTES)[0]
    except FileNotFoundError:
        raise ValueError("the command did not write it") from None
    except PermissionError as error:
        raise ValueError(f"is no file that can be read: {error.strerror}") from None


def read_metrics(data: bytes, wanted: list[str], read: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the command tells, as it stands in result.json; `wanted` are the objectives, `read` what was read of it
    elsewhere, over which METRICS_FILE wins.

    Raises ValueError with the reason when it cannot.
    """
    values = object_of(data)
    status = values.pop("status", "succeeded")
    environment, durations = values.pop("environment", {}), values.pop("durations", {})
    need(status in FINAL, f"status {str(status)[:SHOWN_CHARACTERS]!r} is none of {', '.join(FINAL)}")
    need(isinstance(environment, dict) and isinstance(durations, dict), "environment and durations must be objects")
    values = {**(read or {}), **values}
    # null is how a writer that keeps to the letter of JSON, as result.json does, spells a number that is not finite.
    metrics = {name: value for name, value in values.items() if value is None or is_number(value)}
    within = fitting(metrics, wanted)
    kept = {"environment": facts(environment), "durations": seconds_of(durations)}
    if [metrics, *kept.values()] != [values, environment, durations]:
        say("METRICS_FILE: left out what is neither a number nor a reserved key")  # no trial is lost over it
    finite = {name: value if is_finite(value) else None for name, value in metrics.items() if name in within}
    other = {name: value for name, value in values.items() if name not in metrics}
    return {"status": status, "metrics": finite, **kept, "other": other}


def facts(environment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in environment.items() if isinstance(value, str) or is_finite(value)}


def seconds_of(durations: dict[str, Any]) -> dict[str, Any]:
    return {name: durations[name] for name in ("setup_s", "train_s") if is_finite(durations.get(name))}


def object_of(data: bytes) -> dict[str, Any]:
    """The JSON object that the command wrote. Raises ValueError with its beginning where it is none."""
    try:
        # NaN and Infinity are welcome here, and a number beyond all floats is as infinite.
        value = json.loads(data, parse_int=lambda digits: int(digits) if len(digits) <= MOST_DIGITS else math.inf)
        need(isinstance(value, dict), "not a JSON object")
        check_depth(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        text = data[: 4 * SHOWN_CHARACTERS].decode(errors="replace")
        raise ValueError(f"{error}; it begins with {json.dumps(text[:SHOWN_CHARACTERS])}") from None
    return dict(value)


def fitting(metrics: dict[str, Any], wanted: list[str]) -> set[str]:
    """Names of the metrics that a result has room for: the objectives, then the first."""
    named = sorted(metrics, key=lambda name: name not in wanted)
    within = set([name for name in named if len(name) <= LONGEST_NAME or name in wanted][:MOST_METRICS])
    if len(within) < len(metrics):
        bounds = f"the first {MOST_METRICS} are kept, with names of at most {LONGEST_NAME} characters"
        say(f"METRICS_FILE: has {len(metrics)} metrics: {bounds}; HISTORY_FILE has room")
    return within


def lack(report: dict[str, Any], wanted: list[str], mend: str = "mend the trainer") -> str:
    """Why what the command tells is no result, with the names that come nearest; "" if it is one."""
    for name in wanted:
        if name in report["other"]:
            shown_value = json.dumps(report["other"][name])[:SHOWN_CHARACTERS]
            return f"the objective {name!r} is not a number but {shown_value}; {mend}"
        if name not in report["metrics"]:
            from difflib import SequenceMatcher

            names = sorted(report["metrics"], key=lambda near: -SequenceMatcher(None, name, near[:500]).ratio())
            shown = ", ".join(repr(near[:SHOWN_CHARACTERS]) for near in names[:SHOWN_NAMES]) or "no metric"
            more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            cure = "; name one of those in `objective` and submit again: they are kept, nothing trains anew"
            return f"lacks the objective {name!r}; it has {shown}{more}{cure if names else f'; {mend}'}"
    return ""
