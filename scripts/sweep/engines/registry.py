"""The engines there are. Another one is its file, and its line here."""

from __future__ import annotations

from sweep.engines.cluster_engine import ClusterEngine
from sweep.engines.engine import Engine
from sweep.engines.local_engine import LocalEngine

ENGINES: dict[str, type[Engine]] = {
    made.NAME: made
    for made in (
        LocalEngine,
        ClusterEngine,
    )
}
