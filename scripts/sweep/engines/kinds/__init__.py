"""The engines: each a file with its class, as ENGINE, and its name here. Only those that are used are imported."""

from __future__ import annotations

from importlib import import_module

from sweep.engines.engine import Engine

NAMES = (
    "local",
    "cluster",
)


def named(name: str) -> type[Engine]:
    """The class of one of NAMES."""
    kind: type[Engine] = import_module(f"{__name__}.{name}").ENGINE
    return kind
