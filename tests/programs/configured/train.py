"""A program with a YAML file of settings: all of them are there, and it writes a folder a run with a summary."""

import json
import sys
from pathlib import Path

import yaml

settings = yaml.safe_load(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
x, values = settings["start"], []
for _ in range(settings["training"]["epochs"]):
    x -= settings["training"]["optimizer"]["lr"] * 2 * x
    values.append(x * x)
folder = Path("runs") / settings["name"]
folder.mkdir(parents=True)
(folder / "summary.json").write_text(json.dumps({"best": {"val_loss": min(values)}, "epochs": len(values)}))
