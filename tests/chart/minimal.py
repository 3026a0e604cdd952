"""The least that a sweep's values hold, and what plain helm says of them with changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sweep import render
from sweep.errors import BadInput
from sweep.layout import Clone

CHART = Clone.here().chart
VALUES: dict[str, Any] = {
    "sweep": "demo",
    "objective": {"metric": "accuracy", "direction": "maximize"},
    "command": ["python", "train.py"],
    "image": {"repository": "pytorch/pytorch", "tag": "2.9"},
    "results": {"volume": {"pvc": {"claimName": "results"}}},
    "trials": [{"lr": 0.5}],
}


def refusal(folder: Path, **changes: Any) -> str:
    """The one line with which plain helm refuses these values; "" where it does not."""
    path = folder / "values.yaml"
    path.write_text(json.dumps(VALUES | changes))
    try:
        render.render(CHART, "demo", [path])
    except BadInput as error:
        return str(error)
    return ""
