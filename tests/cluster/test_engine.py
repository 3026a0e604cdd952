"""The cluster engine keeps what every engine keeps: a real API server, kubelet and containers."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.engines.kinds.cluster import ClusterEngine
from tests.cluster.sweeps import ClusterSweep
from tests.e2e.contract import EngineContract
from tests.e2e.support import TestClone


@pytest.mark.one_helm
class TestClusterEngine(EngineContract):
    kind = ClusterEngine

    @pytest.fixture(autouse=True)
    def rights(self, sweep: ClusterSweep, monkeypatch: pytest.MonkeyPatch) -> None:
        """Act in this process as the user whose verbs the sweep runs."""
        for name, value in sweep.env.items():
            monkeypatch.setenv(name, value)

    def edit(self, sweep: TestClone, *trials: dict[str, Any], **head: Any) -> None:
        sweep.edit(*trials, **head)

    def forget(self, sweep: TestClone) -> None:
        assert isinstance(sweep, ClusterSweep)
        sweep.kubectl("delete", "secret", "-l", "owner=helm")
