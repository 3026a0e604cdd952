"""Programs that know nothing of helm-sweep, swept by a values file alone, as their authors wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.support import TestClone

FLAGS = """\
import argparse, json, os, random
parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, required=True)
parser.add_argument("--layers", type=int, nargs="+", default=[])
parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=None)
parser.add_argument("--name", default="none")
parser.add_argument("--seed", type=int)
args = parser.parse_args()
print("told", json.dumps(vars(args)))
json.dump({"score": args.learning_rate}, open(os.environ["METRICS_FILE"], "w"))
"""
HYDRA = """\
import json, os, sys
tree = {}
for word in sys.argv[1:]:
    name, _, value = word.partition("=")
    *above, last = name.split(".")
    place = tree
    for key in above:
        place = place.setdefault(key, {})
    place[last] = json.loads(value)
print("told", json.dumps(tree))
json.dump({"score": tree["model"]["lr"]}, open(os.environ["METRICS_FILE"], "w"))
"""
SHELL = """\
while getopts c:g: option; do eval "$option=\\$OPTARG"; done
file=$(tr '\\n"' ';.' < conf/t.toml)
printf 'told {"c": "%s", "g": "%s", "variable": "%s", "file": "%s"}' "$c" "$g" "$HP_c" "$file"
echo "{\\"score\\": $c}" > "$METRICS_FILE"
"""
THEIRS = 'c = 1\n[x]\nname = "y"\n'
PROGRAMS: list[tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]] = [
    (
        {
            "command": ["python3", "flags.py", "--name={name?}", "{hyperparameters}"],
            "passing": {
                "style": "--name value",
                "dashes": True,
                "lists": "words",
                "booleans": "switch",
                "seed": "seed",
            },
        },
        [
            {"learning_rate": -5e-05, "layers": [8, 4], "amp": False, "seed": 2},
            {"learning_rate": 0.1, "name": "$(date) `date` {x} 'a b'"},
        ],
        [
            {"learning_rate": -5e-05, "layers": [8, 4], "amp": False, "name": "none", "seed": 2},
            {"learning_rate": 0.1, "layers": [], "amp": None, "name": "$(date) `date` {x} 'a b'", "seed": 0},
        ],
    ),
    (
        {"command": ["python3", "hydra.py", "{hyperparameters}"], "passing": {"style": "name=value"}},
        [{"model.lr": 1e-07, "model.widths": [8, 4], "amp": True}],
        [{"amp": True, "model": {"lr": 1e-07, "widths": [8, 4]}}],
    ),
    (
        {
            "command": ["sh", "svm.sh", "{hyperparameters}"],
            "passing": {
                "style": "-n value",
                "environment": "HP_",
                "file": {"path": "conf/t.toml", "format": "toml", "merge": "base.toml"},
            },
        },
        [{"c": 4, "g": 0.1}],
        [{"c": "4", "g": "0.1", "variable": "4", "file": "c = 4;g = 0.1;[x];name = .y.;"}],
    ),
]


def test_programs_are_swept_as_they_are(clone: TestClone) -> None:
    folder = clone.root / "toy"
    for name, text in {"flags.py": FLAGS, "hydra.py": HYDRA, "svm.sh": SHELL, "base.toml": THEIRS}.items():
        (folder / name).write_text(text)
    clone.git("add", "--all")
    clone.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message=programs")
    seen: set[Path] = set()
    for head, trials, expected in PROGRAMS:
        clone.edit(*trials, hyperparameters={}, **head)
        if not seen:
            clone.run("expand", "toy", "--code", "toy")
        clone.run("submit", "toy", "--engine", "local", "--allow-dirty")
        logs = set(clone.root.glob("results/trials/*/*/attempts/*/output.log")) - seen
        received = [json.loads(log.read_text().removeprefix("told ")) for log in logs]
        assert sorted(map(str, received)) == sorted(map(str, expected))
        seen |= logs
    assert len(list(clone.root.glob("results/trials/*/*/result.json"))) == len(seen) == 4


def test_plan_shows_what_a_trial_is_started_with(clone: TestClone) -> None:
    clone.edit(
        {"lr": 5e-05, "model.width": 8},
        {"lr": 0.1, "model.width": 8},
        hyperparameters={},
        command=["python3", "train.py", "--lr={lr}", "--to", "{checkpoint_dir}/x y"],
        passing={"environment": "HP_", "file": {"format": "yaml", "path": "t.yaml", "merge": "base.yaml"}},
    )
    clone.run("expand", "toy", "--code", "toy")
    out, _ = clone.start("plan", "toy", "--engine", "local", "--json").communicate()
    record = json.loads(out)
    first, second = record["actions"]
    assert record["passed"] == {
        "trial": first,
        "argv": ["python3", "train.py", "--lr=5.0e-05", "--to", "$CHECKPOINT_DIR/x y"],
        "environment": {"HP_lr": "5.0e-05", "HP_model_width": "8"},
        "file": "t.yaml",
        "into": "base.yaml",
        "text": '"lr": 5.0e-05\n"model":\n  "width": 8\n',
    }
    output = clone.run("plan", "toy", "--engine", "local", "--trial", second[:6])
    assert (
        f"  trial {second}: python3 train.py --lr=0.1 --to '$CHECKPOINT_DIR/x y'\n"
        "    with HP_lr=0.1 HP_model_width=8\n"
        "    with t.yaml: base.yaml, and over it\n"
        '      "lr": 0.1\n      "model":\n        "width": 8\n'
    ) in output
    line = "error: --trial ffff: no trial of toy begins so; `make status` lists them"
    assert line in clone.run("plan", "toy", "--engine", "local", "--trial", "ffff", code=2)


def test_what_cannot_be_passed_or_is_not_is_named_by_plan(clone: TestClone) -> None:
    clone.edit({"lr": 5e-05, "width": 8}, hyperparameters={}, command=["python3", "train.py", "--lr={lr}"])
    line = "width: the program is not passed it, but by HYPERPARAMETERS_FILE; put {width} or {hyperparameters} into"
    assert line in clone.run("expand", "toy", "--code", "toy")
    assert line in clone.run("plan", "toy", "--engine", "local")
    clone.edit({"learning_rate": 5e-05}, hyperparameters={}, command=["python3", "train.py", "--lr={learnin_rate}"])
    line = (
        "learning_rate is not a hyperparameter of this sweep; did you mean learnin_rate?"  # the command has the other
    )
    assert line in clone.run("plan", "toy", "--engine", "local", code=2)
    clone.edit({"a.b": 1, "a": 2}, hyperparameters={}, passing={"file": {"format": "json"}})
    line = "a.b: a has a value of its own; rename one"
    assert line in clone.run("plan", "toy", "--engine", "local", code=2)
    clone.edit({"lr": 1}, hyperparameters={}, command=["p", "{lr}", "{momentun}"])
    line = "error: values/toy/values.yaml:4: command: {momentun} in `{momentun}` names no hyperparameter of trials[0]"
    assert line in clone.run("plan", "toy", "--engine", "local", code=2)
