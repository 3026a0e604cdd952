"""What the trainer refuses to train, in one line and with exit code 64."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import knobs
import pytest
import train
from small import SMALL, TRAINER, Trial

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"momentun": 0.9}, "momentun: unknown hyperparameter; did you mean momentum?"),
    ({"wombat": 1}, "wombat: unknown hyperparameter"),
    ({"batch_size": "512"}, 'batch_size: "512" is a str, should be a int'),
    ({"batch_size": 512.0}, "batch_size: 512.0 is a float, should be a int"),
    ({"batch_size": True}, "batch_size: true is a bool, should be a int"),
    ({"batch_size": 0}, "batch_size: 0 is not between 1 and 50,000"),
    ({"batch_size": None}, "batch_size: null is a NoneType, should be a int"),
    ({"max_learning_rate": "1e-4"}, 'max_learning_rate: "1e-4" is a str, should be a float'),
    ({"max_learning_rate": False}, "max_learning_rate: false is a bool, should be a float"),
    ({"max_learning_rate": -0.1}, "max_learning_rate: -0.1 is not between 0 and 1,000,000.0"),
    ({"max_learning_rate": float("nan")}, "max_learning_rate: nan is not between 0 and 1,000,000.0"),
    ({"max_learning_rate": [0.1]}, "max_learning_rate: [0.1] is a list, should be a float"),
    ({"momentum": 1}, "momentum: 1 is not between 0 and 0.9999"),
    ({"batch_norm": "off"}, 'batch_norm: "off" is a str, should be a bool'),
    ({"batch_norm": 0}, "batch_norm: 0 is a int, should be a bool"),
    ({"data_aug_cutout_size": 33}, "data_aug_cutout_size: 33 is not between 0 and 32"),
    ({"precision": "half"}, "precision: 'half' is not one of auto, float32, bfloat16, float16"),
    ({"epochs": 0}, "epochs: 0 is not between 1 and 10,000"),
    ({"epochs": 3, "stop_epoch": 4}, "stop_epoch: 4 is more than epochs (3)"),
    ({"epochs": 3, "peak_epoch": 3.5}, "peak_epoch: 3.5 is more than epochs (3)"),
    (
        {"epochs": 0, "momentum": "a"},
        'epochs: 0 is not between 1 and 10,000; momentum: "a" is a str, should be a float',
    ),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_bad_hyperparameter_is_refused_with_its_name(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.yaml"
    path.write_text(json.dumps(given))
    with pytest.raises(knobs.TrialError) as refused:
        knobs.read(path, train.Hyperparameters)
    assert (refused.value.code, str(refused.value)) == (64, message)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"epochs"', "[[1, 2, 3]]"])
def test_what_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.yaml"
    path.write_text(text)
    with pytest.raises(knobs.TrialError) as refused:
        knobs.read(path, train.Hyperparameters)
    assert refused.value.code == 64
    assert str(refused.value).startswith(f"{path}: ")


TOO_MANY = "train_examples: {} asked for, but {} of 320 images are left beside validation_examples ({})"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train_examples": 257}, TOO_MANY.format(257, 256, 64)),
        ({"validation_examples": 320}, TOO_MANY.format(1, 0, 320)),
        ({"validation_examples": 400}, TOO_MANY.format(1, 0, 400)),
        ({"batch_size": 257}, "batch_size: 257 is more than 256 training images"),
        ({"train_examples": 31}, "batch_size: 32 is more than 31 training images"),
    ],
)
def test_more_images_than_there_are_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(knobs.TrialError) as refused:
        train.split(train.Hyperparameters(**{**SMALL, **given}), 320)
    assert (refused.value.code, str(refused.value)) == (64, message)


def test_a_refusal_exits_64_at_once_in_one_line(trial: Trial) -> None:
    trial.write({"momentun": 0.9})
    assert trial.run() == (64, "train: error: momentun: unknown hyperparameter; did you mean momentum?\n")
    assert not trial.metrics_file.exists()


@pytest.mark.parametrize(
    ("name", "value", "code", "message"),
    [
        ("SEED", "1.5", 64, "SEED: '1.5' is not a whole number from 0 on"),
        ("SEED", "-1", 64, "SEED: '-1' is not a whole number from 0 on"),
        ("HYPERPARAMETERS_FILE", "", 64, "HYPERPARAMETERS_FILE is not set in the environment"),
        ("DATA_DIR", "", 65, "DATA_DIR is not set in the environment"),
        ("METRICS_FILE", "", 1, "METRICS_FILE is not set in the environment"),
    ],
)
def test_a_bad_environment_is_refused(trial: Trial, name: str, value: str, code: int, message: str) -> None:
    trial.env[name] = value
    assert trial.run() == (code, f"train: error: {message}\n")


def test_defaults_are_the_original_recipe(tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.yaml"
    path.write_text("{}")
    hp = dataclasses.asdict(knobs.read(path, train.Hyperparameters))
    recipe = {"epochs": 24, "stop_epoch": 24, "max_learning_rate": 0.4, "peak_epoch": 5, "batch_size": 512}
    recipe |= {"momentum": 0.9, "weight_decay": 5e-4, "data_aug_cutout_size": 8, "batch_norm": True, "width": 64}
    recipe |= {"classifier_scale": 0.125, "label_smoothing": 0, "ema": 0, "test_time_flip": False}
    assert {name: hp[name] for name in recipe} == recipe


@pytest.mark.parametrize(("epochs", "peak"), [(3, 0.625), (24, 5), (60, 5)])
def test_the_peak_comes_at_epoch_5_and_earlier_in_shorter_schedules(epochs: int, peak: float, tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.yaml"
    path.write_text(json.dumps({"epochs": epochs}))
    assert knobs.read(path, train.Hyperparameters).peak_epoch == peak


def test_a_whole_number_is_a_float_and_a_dotted_exponent_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hyperparameters.yaml"
    path.write_text('{"max_learning_rate": 1, "weight_decay": 5.0e-05, "ema": 0}')
    hp = knobs.read(path, train.Hyperparameters)
    assert repr((hp.max_learning_rate, hp.weight_decay, hp.ema)) == "(1.0, 5e-05, 0.0)"


def test_every_hyperparameter_says_what_it_means() -> None:
    declared = [field.metadata for field in dataclasses.fields(train.Hyperparameters)]
    assert all(knob["is"] and (knob["choices"] or knob["bounds"]) for knob in declared)


def test_refusing_needs_no_torch() -> None:
    code = "import sys, train; print(any(name.partition('.')[0] == 'torch' for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=TRAINER, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_validation_images_are_the_same_for_every_seed_and_size() -> None:
    small, large = (train.Hyperparameters(train_examples=n, batch_size=16) for n in (16, 45_000))
    validation, training = train.split(small, 50_000)
    again, rest = train.split(large, 50_000)
    assert validation.equal(again)
    assert rest[:16].equal(training)
    assert sorted([*again.tolist(), *rest.tolist()]) == list(range(50_000))
    assert validation[:5].tolist() == [11841, 19602, 45519, 25747, 42642]  # never to change: results would not compare
