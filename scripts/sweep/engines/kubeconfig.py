"""What kubectl's own configuration says: which context is the current one, and its namespace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sweep import yamlfile
from sweep.layout import home_dir


def current_context() -> str:
    """`current-context` of the first kubeconfig that has one; empty if there is none."""
    return next((str(config["current-context"]) for config in _configs() if config.get("current-context")), "")


def namespace_of(context: str) -> str:
    """The namespace that kubectl takes in a context ("": the current one); empty if none is said."""
    context = context or current_context()
    listed = [entry for config in _configs() for entry in config.get("contexts") or [] if entry.get("name") == context]
    return str((listed[0].get("context") or {}).get("namespace") or "") if listed else ""


def _configs() -> list[dict[str, Any]]:
    home = home_dir()
    listed = os.environ.get("KUBECONFIG") or (str(home / ".kube" / "config") if home else "")
    return [yamlfile.load(path, str(path)).data for path in map(Path, listed.split(os.pathsep)) if path.is_file()]
