"""Programs of the chart as modules: where both sides of something go by one rule, it is spelled once, in the Pod's."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType


@cache
def module(path: Path) -> ModuleType:
    """What a program defines; it does nothing when it is not the one that runs."""
    spec = importlib.util.spec_from_file_location(f"helm_sweep_{path.stem}", path)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
