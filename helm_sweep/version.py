"""Which helm-sweep this is."""

from __future__ import annotations

import helm_sweep
from sweep import kit


def text() -> str:
    """The line of --version."""
    about = kit.about()
    return f"helm-sweep {helm_sweep.__version__} (commit {about.commit}, chart {about.chart})"
