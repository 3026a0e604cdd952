"""A sweep with a stop rule, whole: real processes that print their learning curves and know nothing of it."""

from __future__ import annotations

import json

from tests.e2e.curves import PROGRAM, RULE, SWEEP, rows_of
from tests.e2e.support import TestClone


def test_the_worse_are_stopped_and_another_rule_trains_them_whole(clone: TestClone) -> None:
    (clone.root / "toy" / "train.py").write_text(PROGRAM)
    clone.git("add", "toy")
    clone.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=toy")
    rates = [0.9, 0.8, 0.1, 0.2]
    clone.edit(*({"rate": rate} for rate in rates), **SWEEP, stop=RULE)
    clone.run("expand", "toy", "--code", "toy")
    clone.run("drive", "toy")
    rows = rows_of(clone.root)
    assert {rate: rows[rate]["status"] for rate in (0.9, 0.1, 0.2)} == {0.9: "succeeded", 0.1: "pruned", 0.2: "pruned"}
    assert "rung" in rows[0.1]["reason"]
    assert (rows[0.1]["objective"], len(rows[0.1]["stop"])) == ("0.1", 12)
    clone.run("drive", "toy")
    assert rows_of(clone.root) == rows

    assert "judged again: all hold" in clone.run("replay", "toy")
    traced = clone.run("trace", rows[0.1]["id"])
    assert "by asha: accuracy 0.1 at rung" in traced
    assert "which the store has as it quotes them" in traced
    refusal = clone.run("reproduce", rows[0.1]["id"], code=2)
    assert "was stopped early, so its metrics are not those of a whole training" in refusal
    (verdict,) = (clone.root / "results").glob(f"trials/*/{rows[0.1]['id']}/stopped-*.json")
    rung = f"{json.loads(verdict.read_text())['verdict']['rung']:g}"
    (peer,) = (clone.root / "results").glob(f"rungs/*/{rung}/{rows[0.9]['id']}.json")
    before = peer.read_text()
    peer.write_text(before.replace("0.9", "0.05"))
    assert f"{rows[0.9]['id']} has 0.9 at step {rung} in it, 0.05 at step {rung} in rungs/" in clone.run(
        "replay", "toy", code=1
    )
    peer.write_text(before)

    whole = {rate: row["id"] for rate, row in rows.items()}
    clone.edit(
        {"rate": 0.8},
        {"rate": 0.1},
        **SWEEP,
        stop={"rule": "threshold", "at": {"3": 0.05}},
    )
    clone.run("drive", "toy")
    rows = rows_of(clone.root)
    assert (rows[0.1]["status"], rows[0.1]["id"], rows[0.1].get("stop", "")) == ("succeeded", whole[0.1], "")
    stopped = list((clone.root / "results" / "trials").glob("*/*/stopped-*.json"))
    assert {json.loads(file.read_text())["verdict"]["cause"] for file in stopped} == {"asha"}
