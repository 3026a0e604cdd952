"""Write what follows from the samplers' records: `sampler` in schemas/space.schema.json, a table in docs/search.md."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from sweep.spaces.sampler import Option  # noqa: E402
from sweep.spaces.samplers import SAMPLERS  # noqa: E402

WIDTH = 120
HEAD = "| you have | take | because |\n|---|---|---|\n"


def options() -> dict[str, list[tuple[str, Option]]]:
    """Every option, with the names of the samplers that take it."""
    by_key: dict[str, list[tuple[str, Option]]] = {}
    for sampler in SAMPLERS.values():
        for key, option in sampler.options.items():
            by_key.setdefault(key, []).append((sampler.name, option))
    return by_key


def properties(replicates: Any) -> dict[str, Any]:
    """The schema's properties of `sampler`; `replicates` is every sampler's, and stays as it is."""
    summaries = " ".join(f"{sampler.name}: {sampler.summary}." for sampler in SAMPLERS.values())
    name = {"description": f"{summaries} docs/search.md says which to take.", "enum": list(SAMPLERS)}
    properties: dict[str, Any] = {"name": name, "replicates": replicates}
    for key, takers in options().items():
        names, option = ", ".join(name for name, _ in takers), takers[0][1]
        properties[key] = {"description": f"{names}: {option.description}", **option.schema}
    return properties


def text(data: Any, indent: int = 0, room: int = WIDTH) -> str:
    """JSON as a person lays it out: a list on one line where it fits, an object over several, unless a reference."""
    flat = json.dumps(data, ensure_ascii=False)
    deeper = " " * (indent + 2)
    if isinstance(data, dict) and data and list(data) != ["$ref"]:
        parts = [f"{deeper}{json.dumps(key)}: {text(part, indent + 2)}" for key, part in data.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    if isinstance(data, list) and len(flat) > room - indent:
        return "[\n" + ",\n".join(deeper + text(part, indent + 2) for part in data) + "\n" + " " * indent + "]"
    return flat


def main() -> None:
    schema_file, page_file = ROOT / "schemas/space.schema.json", ROOT / "docs/search.md"
    schema = json.loads(schema_file.read_text())
    sampler = schema["properties"]["sampler"]
    sampler["properties"] = properties(sampler["properties"]["replicates"])
    schema_file.write_text(text(schema) + "\n")
    before, _, rest = page_file.read_text().partition(HEAD)
    after = rest[rest.index("\n\n") :]
    rows = "\n".join(f"| {each.fits} | `{each.name}` | {each.because} |" for each in SAMPLERS.values())
    page_file.write_text(before + HEAD + rows + after)


if __name__ == "__main__":
    main()
