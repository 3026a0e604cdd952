"""Verdicts in a store, judged again: whatever is changed in one, or in what it quotes, is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.audit import stops
from sweep.records import store, verdicts

rules = verdicts.rules()
TRIAL, GROUP = "f" * 12, "abcdefabcdef"
RULE = {"rule": "asha", "metric": "m", "direction": "maximize", "nan": True, "min": 1, "eta": 3, "min_peers": 0}
PEERS = [(f"{number:012x}", 3, number / 10) for number in range(4, 8)]


def verdict() -> dict[str, Any]:
    by = rules.by_rung(RULE, (3, 3, 0.1), rules.comparable(TRIAL, 3, PEERS))
    return {"group": GROUP, **by}


def rung(folder: Path, trial: str) -> Path:
    return folder / "rungs" / GROUP / "3" / f"{trial}.json"


def put(folder: Path, record: Any, kind: str = "stopped") -> None:
    path = store.folder(folder, TRIAL) / f"{kind}-{GROUP}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record if isinstance(record, str) else json.dumps(record))


def put_rungs(folder: Path) -> None:
    for name, step, value in [*PEERS, (TRIAL, 3, 0.1)]:
        path = rung(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"step": step, "value": value}))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    put(tmp_path, {"id": TRIAL, "verdict": verdict()})
    put_rungs(tmp_path)
    return tmp_path


def judged(folder: Path) -> stops.Judged:
    (again,) = stops.judge([folder], [TRIAL])
    return again


def test_a_verdict_that_the_store_backs_holds(kept: Path) -> None:
    again = judged(kept)
    assert (again.flaw, again.peers, again.backed, again.rung, again.is_check) == ("", 4, 4, 3, False)
    assert again.finding == "follows from its 4 peers, which the store has as it quotes them"


def test_peers_that_are_gone_contradict_nothing(kept: Path) -> None:
    rung(kept, PEERS[0][0]).unlink()
    assert judged(kept).finding == "follows from its 4 peers, of which the store here has 3"


def test_of_several_stores_the_one_counts_that_has_the_most_of_its_evidence(kept: Path, tmp_path: Path) -> None:
    bare = tmp_path / "mirror"
    put(bare, {"id": TRIAL, "verdict": verdict()})
    for folders in ([kept, bare], [bare, kept]):
        assert [again.backed for again in stops.judge(folders, [TRIAL])] == [4]


def test_a_trial_that_is_left_to_run_is_judged_as_well(kept: Path) -> None:
    put(kept, {"id": TRIAL, "verdict": verdict()}, "audit")
    assert [(again.is_check, again.flaw) for again in stops.judge([kept], [TRIAL])] == [(True, ""), (False, "")]
    assert stops.judge([kept], [TRIAL], "0123456789ab") == []


@pytest.mark.parametrize("who", [*(name for name, _, _ in PEERS), TRIAL])
@pytest.mark.parametrize("change", [{"value": 0.05}, {"value": None}, {"step": 2}, {"step": "3"}, {"value": {}}])
def test_whoever_had_something_else_at_the_rung_is_named(kept: Path, who: str, change: dict[str, Any]) -> None:
    path = rung(kept, who)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    again = judged(kept)
    assert who in again.flaw
    assert again.finding.startswith("does not hold: ")


@pytest.mark.parametrize(
    "record",
    ["", "[]", "{", "null", '{"id": 1}', {"id": TRIAL}, {"id": TRIAL, "verdict": []}, {"id": "0" * 12, "verdict": {}}],
)
def test_what_is_no_verdict_is_a_finding(kept: Path, record: Any) -> None:
    put(kept, record)
    assert judged(kept).flaw


def test_a_verdict_of_another_group_or_trial_is_a_finding(kept: Path) -> None:
    put(kept, {"id": "0" * 12, "verdict": verdict()})
    assert "another trial" in judged(kept).flaw
    put(kept, {"id": TRIAL, "verdict": verdict() | {"group": "0" * 12}})
    assert "group" in judged(kept).flaw


@settings(max_examples=200)
@given(st.data())
def test_a_changed_field_is_found(data: st.DataObject) -> None:
    sound = verdict()
    others = {"group", "step"}  # whether it had that step at the rung, its rung's file says
    name = data.draw(st.sampled_from(sorted(set(sound) - others)))
    nested = st.sampled_from([[], [["a", 1, 9]]])
    value = data.draw(st.one_of(st.none(), st.integers(-9, 9), st.text(max_size=3), nested))
    changed = sound | {name: value}
    if changed != sound and not (name == "rung" and value == 3):
        assert verdicts.flaw({"verdict": changed}, TRIAL)
