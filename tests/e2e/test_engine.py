"""The local engine keeps what every engine keeps: real helm, chart, runner and processes."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.engines.kinds import NAMES, named
from sweep.engines.kinds.local import LocalEngine
from tests.e2e.contract import EngineContract
from tests.e2e.support import ROOT, TestClone


class TestLocalEngine(EngineContract):
    kind = LocalEngine

    @pytest.fixture
    def sweep(self, clone: TestClone) -> TestClone:
        return clone

    def edit(self, sweep: TestClone, *trials: dict[str, Any], **head: Any) -> None:
        sweep.edit(*trials, **head)
        if not (sweep.root / "values" / "toy" / "code.yaml").exists():
            sweep.run("expand", "toy", "--code", "toy")

    def forget(self, sweep: TestClone) -> None:
        for state in (sweep.root / "out" / "toy" / "jobs").glob("*.json"):
            state.unlink()


def test_every_engine_is_held_to_it() -> None:
    tests = "\n".join(path.read_text() for path in sorted((ROOT / "tests").glob("*/test_engine*.py")))
    kinds = {name: named(name) for name in NAMES}
    assert {name: kind.NAME for name, kind in kinds.items()} == {name: name for name in NAMES}
    assert [kind.__name__ for kind in kinds.values() if f"    kind = {kind.__name__}\n" not in tests] == []
