"""The engines: each a file, and a line here. ENGINE=, plan and gc follow from their classes."""

from __future__ import annotations

from sweep.engines.engine import Engine
from sweep.engines.kinds.cluster import ClusterEngine
from sweep.engines.kinds.local import LocalEngine

ENGINES: dict[str, type[Engine]] = {
    kind.NAME: kind
    for kind in (
        LocalEngine,
        ClusterEngine,
    )
}
