"""Whole trials: what they write, how they end, and that an interrupted one ends as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import hardware
import knobs
import pytest
import torch
import train
from small import SMALL, Trial

import dataset

TIMES = ("images_per_second",)


def numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """The metrics that do not come from a clock."""
    return {name: value for name, value in metrics.items() if isinstance(value, float) and name not in TIMES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Trial:
    """The trial that was never interrupted."""
    trial = Trial(tmp_path_factory.mktemp("whole"), data, **SMALL)
    with pytest.MonkeyPatch.context() as patch:
        trial.train(patch)
    return trial


def assert_same_end(trial: Trial, whole: Trial) -> None:
    """Bit for bit: the weights, momenta and statistics, the history, the metrics."""
    ours, theirs = trial.weights(), whole.weights()
    assert len(ours) == len(theirs)
    assert all(map(torch.equal, ours, theirs))
    assert trial.history() == whole.history()
    assert numbers(trial.metrics()) == numbers(whole.metrics())


# ---- what a trial writes


def test_a_trial_writes_metrics_status_environment_and_durations(whole: Trial) -> None:
    metrics = whole.metrics()
    assert metrics["status"] == "succeeded"
    names = {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"}
    assert set(metrics) == names | {"images_per_second", "status", "environment", "durations"}
    assert all(0 <= metrics[name] <= 1 for name in names if name.endswith("accuracy"))
    assert metrics["images_per_second"] > 0
    assert set(metrics["durations"]) == {"setup_s", "train_s"}
    assert {"device", "precision", "torch", "python", "threads"} <= set(metrics["environment"])
    assert all(isinstance(value, (str, int)) for value in metrics["environment"].values())


def test_the_history_has_a_line_for_each_epoch(whole: Trial) -> None:
    rows = whole.history()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["learning_rate"] == 0
    assert {key: rows[-1][key] for key in ("train_loss", "val_loss")} == {
        key: whole.metrics()[key] for key in ("train_loss", "val_loss")
    }


def test_it_learns(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(tmp_path, data, **SMALL | {"epochs": 10, "data_aug_cutout_size": 0, "width": 8})
    assert trial.train(monkeypatch)["test_accuracy"] > 0.5  # 0.1 by chance


def test_without_validation_images_there_are_no_val_metrics(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.write(SMALL | {"validation_examples": 0, "epochs": 1})
    metrics = trial.train(monkeypatch)
    assert not [name for name in metrics if name.startswith("val_")]
    assert metrics["test_accuracy"] >= 0


@pytest.mark.parametrize(
    "given",
    [
        {"batch_norm": False},
        {"ema": 0.9, "test_time_flip": True, "label_smoothing": 0.1},
        {"data_aug_cutout_size": 32, "momentum": 0, "weight_decay": 0},
        {"peak_epoch": 0, "precision": "float32"},
        {"batch_size": 256, "deterministic": True},
    ],
    ids=str,
)
def test_every_knob_trains(given: dict[str, Any], trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.write(SMALL | given | {"epochs": 1})
    assert trial.train(monkeypatch)["status"] == "succeeded"
    hardware.choose_kernels(deterministic=False)


def test_history_and_checkpoints_are_optional(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.env |= {"HISTORY_FILE": "", "CHECKPOINT_DIR": "", "DATA_ID": "", "SEED": ""}
    assert trial.train(monkeypatch)["status"] == "succeeded"
    assert sorted(path.name for path in trial.folder.iterdir()) == ["hyperparameters.yaml", "metrics.json"]


def test_the_seed_decides_everything(whole: Trial, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same, other = Trial(tmp_path / "same", data, **SMALL), Trial(tmp_path / "other", data, **SMALL)
    torch.manual_seed(99)  # the global generator has no say
    same.train(monkeypatch)
    assert_same_end(same, whole)
    other.env["SEED"] = "4"
    other.train(monkeypatch)
    assert numbers(other.metrics()) != numbers(whole.metrics())


def test_deterministic_trials_are_bit_equal(tmp_path: Path, data: Path) -> None:
    trials = [Trial(tmp_path / name, data, **SMALL | {"deterministic": True}) for name in "ab"]
    for trial in trials:
        assert trial.run()[0] == 0
    assert_same_end(*trials)


def test_a_process_imports_neither_torchvision_nor_dynamo(trial: Trial) -> None:
    code = "import sys, train; train.main(); print(*sys.modules)"
    env = trial.env | {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(train.__file__).parent)}
    trial.write(SMALL | {"epochs": 1, "deterministic": True, "ema": 0.5})
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    loaded = {".".join(name.split(".")[:2]) for name in done.stdout.splitlines()[-1].split()}
    assert "torch.autograd" in loaded
    assert not loaded & {"torchvision", "torch._dynamo", "torch._inductor", "PIL", "sympy"}
    assert not [name for name in loaded if name.startswith("torchvision")]


# ---- how a trial ends


def test_a_loss_that_is_not_finite_is_diverged_and_no_failure(trial: Trial) -> None:
    trial.write(SMALL | {"max_learning_rate": 1e6, "batch_norm": False, "peak_epoch": 0})
    assert trial.run()[0] == 0
    metrics = trial.metrics()
    assert metrics["status"] == "diverged"
    names = ("train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy")
    assert [metrics[name] for name in names] == [None] * 5  # there, because the runner asks for the objective
    assert trial.history()[-1]["train_loss"] is None
    assert "NaN" not in trial.metrics_file.read_text() + trial.history_file.read_text()


def test_sigterm_ends_it_with_143_within_seconds(trial: Trial) -> None:
    trial.write(SMALL | {"epochs": 10_000})
    process = trial.start()
    wait_for(trial.history_file, process)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 143
    assert time.monotonic() - begun < 3
    assert stderr.splitlines()[-1].startswith("train: stopped by SIGTERM")


def wait_for(path: Path, process: subprocess.Popen[str], content: str = "\n") -> None:
    deadline = time.monotonic() + 40
    while not path.exists() or content not in path.read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.01)


def test_a_step_that_cannot_be_a_cuda_graph_runs_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("here it can")
    assert hardware.captured(print, torch.zeros(1)) is print
    assert capsys.readouterr().err.startswith("train: no CUDA graph, so a launch for every kernel: ")


def test_out_of_gpu_memory_exits_67_with_batch_size_and_memory(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(train, "train", full)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**29, 80 * 2**30))
    with pytest.raises(knobs.TrialError) as failed:
        trial.train(monkeypatch)
    message = "out of GPU memory with batch_size 32, width 4: 0.5 GiB of 80.0 GiB are free"
    assert (failed.value.code, str(failed.value)) == (67, message)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: (data / "manifest.json").unlink(), "manifest.json: no such file"),
        (lambda data: (data / "cifar10.bin").unlink(), "cifar10.bin: no such file"),
        (
            lambda data: os.truncate(data / "cifar10.bin", 1000),
            "cifar10.bin: 1,000 bytes, should be 1,290,660; remove it",
        ),
        (lambda data: (data / "manifest.json").write_text("{"), "manifest.json: not readable"),
        (lambda data: (data / "manifest.json").write_text("[]"), "manifest.json: not readable"),
        (lambda data: (data / "manifest.json").write_text('{"schema_version": 1}'), "manifest.json: not readable"),
    ],
)
def test_bad_data_is_refused(spoil: Any, message: str, tmp_path: Path, arrays: dataset.Arrays) -> None:
    folder = tmp_path / "data"
    dataset.write(folder, arrays, "made for tests")
    dataset.check(folder)
    spoil(folder)
    with pytest.raises(dataset.DatasetError) as refused:
        dataset.check(folder)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_data_of_another_id_exits_65_in_one_line(trial: Trial) -> None:
    trial.env["DATA_ID"] = "sha256:" + 64 * "0"
    code, stderr = trial.run()
    assert code == 65
    assert stderr.count("\n") == 1
    assert f"but the trial asks for sha256:{64 * '0'}" in stderr


def test_a_checkpoint_directory_that_cannot_be_is_one_line(trial: Trial) -> None:
    trial.checkpoints.write_text("a file")
    code, stderr = trial.run()
    assert code == 1
    assert stderr == f"train: error: FileExistsError: [Errno 17] File exists: '{trial.checkpoints}'\n"


def test_an_unexpected_failure_ends_with_one_line_after_its_traceback(trial: Trial, tmp_path: Path) -> None:
    trial.env["METRICS_FILE"] = str(tmp_path / "nowhere" / "metrics.json")
    trial.write(SMALL | {"epochs": 1})
    code, stderr = trial.run()
    assert code == 1
    assert stderr.splitlines()[-1].startswith("train: error: ")
    assert "No such file or directory" in stderr.splitlines()[-1]


# ---- interruption


class Killed(BaseException):
    """The end of a process, as far as the trainer can tell."""


def interrupt(after_steps: int) -> Any:
    """Let the next trial of this process die after so many steps; returns the patch to undo."""
    patch = pytest.MonkeyPatch()
    batches, count = train.Images.batches, iter(range(after_steps))

    def dying(self: train.Images, *epoch: Any) -> Any:
        for batch in batches(self, *epoch):
            if next(count, None) is None:
                raise Killed
            yield batch

    patch.setattr(train.Images, "batches", dying)
    return patch


@pytest.mark.parametrize("steps", [3, 8, 13, 16, 23])  # of 3 x 8: within each epoch and at each boundary
def test_an_interrupted_trial_ends_bit_for_bit_as_the_whole_one(
    steps: int, trial: Trial, whole: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = interrupt(steps)
    with pytest.raises(Killed):
        trial.train(monkeypatch)
    patch.undo()
    train.time.sleep(0.2)  # the last checkpoint is written behind its back
    assert len(list(trial.checkpoints.glob("epoch-*.pt"))) == min(steps // 8, 2)
    trial.history_file.unlink()  # the next attempt has a file of its own
    trial.train(monkeypatch)
    assert_same_end(trial, whole)


def test_a_process_killed_outright_twice_ends_as_the_whole_one(trial: Trial, whole: Trial) -> None:
    slow = {"PYTHONPATH": str(trial.folder), **trial.env}
    # Slow steps, so that the kill comes in the middle of an epoch.
    (trial.folder / "sitecustomize.py").write_text(SLOW)
    for epoch in (1, 2):
        trial.env = slow
        process = trial.start()
        wait_for(trial.history_file, process, f'"epoch": {epoch},')
        time.sleep(0.15)
        process.kill()
        process.communicate()
    assert trial.checkpoints.joinpath("epoch-0002.pt").exists() or trial.checkpoints.joinpath("epoch-0001.pt").exists()
    code, stderr = trial.run()
    assert code == 0
    assert "going on after epoch" in stderr
    assert_same_end(trial, whole)


SLOW = """
import sys, threading, time
def slow(frame, event, arg):
    if event == "call" and frame.f_code.co_name == "batches" and frame.f_code.co_filename.endswith("train.py"):
        time.sleep(0.05)
sys.setprofile(slow)
"""


@pytest.mark.parametrize("spoil", ["truncate", "flip", "empty"])
def test_a_corrupt_checkpoint_falls_back_to_the_one_before(
    spoil: str, trial: Trial, whole: Trial, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.train(monkeypatch)
    newest = trial.checkpoints / "epoch-0003.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes({"truncate": content[:5000], "flip": content, "empty": b""}[spoil])
    capsys.readouterr()
    trial.train(monkeypatch)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"train: checkpoint {newest} is not usable, going back to the one before: ")
    assert lines[1].startswith("train: going on after epoch 2,")
    assert_same_end(trial, whole)


def test_with_no_usable_checkpoint_it_begins_again(
    trial: Trial, whole: Trial, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.checkpoints.mkdir()
    (trial.checkpoints / "epoch-0001.pt").write_bytes(b"rubbish")
    (trial.checkpoints / "epoch-0002.pt").write_bytes(b"")
    (trial.checkpoints / "notes.txt").write_text("not a checkpoint")
    trial.train(monkeypatch)
    assert capsys.readouterr().err.count("is not usable") == 2
    assert whole.history() == trial.history()


def test_a_checkpoint_of_another_trial_is_not_taken(
    trial: Trial, whole: Trial, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.write(SMALL | {"momentum": 0.5})
    trial.train(monkeypatch)
    trial.write(SMALL)
    trial.train(monkeypatch)
    assert "is of other hyperparameters, seed or data" in capsys.readouterr().err
    assert_same_end(trial, whole)


def test_only_the_newest_two_checkpoints_stay(whole: Trial) -> None:
    assert sorted(path.name for path in whole.checkpoints.iterdir()) == ["epoch-0002.pt", "epoch-0003.pt"]


def test_a_finished_trial_trains_nothing_more(trial: Trial, whole: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.train(monkeypatch)
    interrupt_at_once = interrupt(0)
    trial.train(monkeypatch)
    interrupt_at_once.undo()
    assert_same_end(trial, whole)


def test_a_prefix_then_the_rest_equals_the_straight_trial(
    trial: Trial, whole: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stop in (1, 2, 3):
        trial.write(SMALL | {"stop_epoch": stop})
        trial.train(monkeypatch)
        assert trial.history() == whole.history()[:stop]
        assert trial.metrics()["val_loss"] == whole.history()[stop - 1]["val_loss"]
    assert_same_end(trial, whole)


def test_a_shorter_trial_leaves_the_checkpoints_of_a_longer_one(
    trial: Trial, whole: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.train(monkeypatch)
    before = trial.weights()
    trial.write(SMALL | {"stop_epoch": 1})
    trial.train(monkeypatch)
    assert trial.history() == whole.history()[:1]
    assert all(map(torch.equal, trial.weights(), before))


def test_history_is_rewritten_from_the_checkpoint(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.write(SMALL | {"stop_epoch": 2})
    trial.train(monkeypatch)
    first = [json.loads(line) for line in trial.history_file.read_text().splitlines()]
    trial.env["HISTORY_FILE"] = str(trial.folder / "second.jsonl")
    trial.write(SMALL)
    trial.train(monkeypatch)
    second = [json.loads(line) for line in (trial.folder / "second.jsonl").read_text().splitlines()]
    assert second[:2] == first
    assert len(second) == 3
