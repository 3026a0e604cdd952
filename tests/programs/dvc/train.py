"""A stand-in for a stage of a DVC pipeline: settings in params.yaml, metrics in metrics.json, nested both."""

import json
from pathlib import Path

import yaml

settings = yaml.safe_load(Path("params.yaml").read_text())["train"]
x = 1.0
for _ in range(settings["epochs"]):
    x -= settings["lr"] * x
Path("metrics.json").write_text(json.dumps({"train": {"loss": x}, "eval": {"loss": x + 0.1, "name": "iris"}}))
