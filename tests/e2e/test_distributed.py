"""Trials of several processes: PyTorch's own launcher on this machine, with the sweep and the code of examples/."""

from __future__ import annotations

import json
import os
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import TestClone
from tests.e2e.test_local_sweep import none_lives
from tests.waiting import until

SWEEP = "example-distributed"
GPUS = b"CUDA_VISIBLE_DEVICES="


def edit(clone: TestClone, epochs: int, **head: Any) -> None:
    """One trial of so many epochs, with these changes of the sweep's head."""
    path = clone.root / "values" / SWEEP / "values.yaml"
    changed = {"hyperparameters": {"epochs": epochs, "width": 32}, "gpu": {"count": 2}, **head}
    lines = path.read_text().partition("trials:\n")[0].splitlines()
    lines = [line for line in lines if line.partition(":")[0] not in changed]
    lines += [f"{key}: {json.dumps(value)}" for key, value in changed.items()]
    path.write_text("\n".join([*lines, "trials:", '  - {"learning_rate": 0.03}', ""]))
    (clone.root / "values" / SWEEP / "space.yaml").unlink(missing_ok=True)
    if not (path.parent / "code.yaml").exists():
        clone.run("expand", SWEEP, "--code", "examples/distributed")
    clone.git("add", "--all")
    clone.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=edit")


def processes_in(folder: Path) -> list[int]:
    """Ids of the processes of attempts below a folder, by the mark in their environment."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if b"SWEEP_ATTEMPT=" in environment and os.fsencode(folder) in environment:
            pids.append(int(process.name))
    return pids


def attempts_of(clone: TestClone) -> list[dict[str, Any]]:
    paths = sorted((clone.root / "results/trials").glob("*/*/attempts/*/attempt.json"))
    return [json.loads(path.read_text()) for path in paths]


ONE = {"gpu": {"count": 2}}
TWO = {"gpu": {"count": 1}, "nodes": 2, "command": ["torchrun", "--nproc-per-node=1", "train.py"]}


@pytest.mark.parametrize(("head", "gpus"), [(ONE, {"1,4"}), (TWO, {"1", "4"})], ids=["one node", "two nodes"])
def test_torchrun_is_preempted_as_a_whole_and_goes_on_from_its_checkpoint(
    clone: TestClone, monkeypatch: pytest.MonkeyPatch, head: dict[str, Any], gpus: set[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,4,6")
    edit(clone, epochs=300, **head)
    launcher = clone.start("submit", SWEEP)
    until(lambda: list((clone.root / "results/checkpoints").glob("*/*/newest.pt")), "a checkpoint is there")
    running = processes_in(clone.root)
    assert len(running) >= 4, "runner, torchrun and two processes"
    environments = [Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in running]
    seen = {word.decode().partition("=")[2] for words in environments for word in words if word.startswith(GPUS)}
    assert seen == gpus
    launcher.send_signal(signal.SIGINT)
    launcher.communicate(timeout=60)
    until(partial(none_lives, running), "no process lives on")

    clone.run("submit", SWEEP)
    attempts = attempts_of(clone)
    assert [attempt["status"] for attempt in attempts] == ["preempted", "succeeded"]
    assert [attempt["gpus"] for attempt in attempts] == [2, 2]
    (result,) = (clone.root / "results/trials").glob("*/*/result.json")
    assert json.loads(result.read_text())["environment"]["processes"] == 2
    log = (result.parent / "attempts" / attempts[1]["attempt"] / "output.log").read_text()
    log += "".join(
        path.read_text() for path in result.parent.glob(f"attempts/{attempts[1]['attempt']}/nodes/*/output.log")
    )
    assert sorted(re.findall(r"process (\d) of 2 goes on after epoch \d+", log)) == ["0", "1"]


def test_too_few_gpus_are_said_before_anything_is_installed(
    clone: TestClone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(clone, epochs=1, gpu={"count": 8})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    message = clone.run("submit", SWEEP, code=2, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "gpu.count: a trial asks for 8 and this machine has 3; set" in message
    assert not (tmp_path / "cache" / "helm-sweep" / "envs").exists()
