"""What becomes of a Job whose attempt has ended on this machine, by the Job's own podFailurePolicy and backoffLimit."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.engines.attempt import LocalPod
from sweep.files import open_handle
from sweep.jobs import JobState


def after(state: JobState, ended: LocalPod, code: int) -> JobState:
    """The state of a Job whose attempt has ended with an exit code."""
    if code == 0:
        return replace(state, condition="Complete")
    spec = ended.job["spec"]
    action = _policy(spec, code)
    if action == "Ignore":
        return replace(state, condition="Pending")
    # The runner's last line says why, in its own words; anything else ended before it could.
    line, own = _last_line(ended.log), f"trial.py: {state.trial}: failed: "
    reason = line.removeprefix(own) if line.startswith(own) else f"exit {code}: {line}"
    failed = state.failed + (action == "Count")
    state = replace(state, failed=failed, failure=reason, failed_s=time.monotonic() - ended.began)
    if action != "FailJob" and failed <= spec["backoffLimit"]:
        return replace(state, condition="Pending", cause="retrying", reason=f"retrying: after {reason}")
    return replace(state, condition="Failed", reason=reason)


def _policy(spec: Mapping[str, Any], code: int) -> str:
    """What podFailurePolicy says of an exit code: Ignore, FailJob or Count. No local Pod is ever disrupted."""
    for rule in spec.get("podFailurePolicy", {}).get("rules", []):
        codes = rule.get("onExitCodes")
        if codes and (code in codes["values"]) == (codes["operator"] == "In"):
            return str(rule["action"])
    return "Count"


def _last_line(log: Path) -> str:
    """The last words of a log, at most 200 characters."""
    try:
        with os.fdopen(open_handle(log), "rb") as opened:
            opened.seek(max(0, opened.seek(0, os.SEEK_END) - 4096))
            lines = opened.read().decode(errors="replace").strip().splitlines()
    except OSError as error:
        return f"{log}: {error.strerror}"
    return lines[-1].strip()[:200] if lines else "no output"
