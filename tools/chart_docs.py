"""Write chart/values.yaml and chart/README.md from chart/values.schema.json, the one place that describes a value."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

CHART = Path(__file__).resolve().parents[1] / "chart"
Schema = dict[str, Any]

README_HEAD = """\
# helm-sweep

One GPU Job per trial of a hyperparameter sweep, rendered from a values file that lists the trials.

    helm upgrade --install S chart -f values/base.yaml -f values/S/code.yaml -f values/S/values.yaml
    helm uninstall S

Needs `batch/v1` on Kubernetes 1.31 or newer, helm 3 or 4, and nothing installed in the cluster. Every trial's id is a
hash of what it computes; [docs/design.md](../docs/design.md) says of what. Values that are no part of the identity can
change without a trial being run again.

`null` takes away what is set below it, the default too. A value whose default is empty is then empty; any other must be
there, so its null is refused.

This page and `values.yaml` are generated from `values.schema.json` by `make docs`.

| value | type | default | meaning |
|---|---|---|---|
"""


def default_of(schema: Schema) -> Any:
    """The default a schema states, or for an object those of its properties."""
    if "default" in schema:
        return schema["default"]
    return {key: default_of(part) for key, part in schema.get("properties", {}).items()}


def resolve(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    return root["definitions"][reference.rsplit("/", 1)[1]] if reference else schema


def type_of(schema: Schema) -> str:
    """Its kinds; null is one to tell only where it is the default, or where there is none."""
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return " or ".join(kind for kind in kinds if kind != "null" or schema.get("default") is None)


def values_lines(properties: Schema, root: Schema, indent: int = 0) -> list[str]:
    lines: list[str] = []
    pad = " " * indent
    for key, raw in properties.items():
        schema = resolve(raw, root)
        if not indent and lines:
            lines.append("")
        comment = textwrap.wrap(schema["description"], 118 - indent)
        lines += [f"{pad}# {line}" for line in comment]
        if "properties" in schema and "default" not in schema:
            lines += [f"{pad}{key}:", *values_lines(schema["properties"], root, indent + 2)]
        elif "default" in schema:
            lines.append(f"{pad}{key}: {json.dumps(schema['default'], ensure_ascii=False)}")
        else:
            lines.append(f"{pad}# {key}:")
    return lines


def table_rows(properties: Schema, root: Schema, prefix: str = "") -> list[str]:
    rows: list[str] = []
    for key, raw in properties.items():
        schema = resolve(raw, root)
        shown = json.dumps(default_of(schema), ensure_ascii=False) if "default" in schema else ""
        description = schema["description"].replace("|", "\\|")
        rows.append(f"| `{prefix}{key}` | {type_of(schema)} | {f'`{shown}`' if shown else ''} | {description} |")
        if "properties" in schema:
            rows += table_rows(schema["properties"], root, f"{prefix}{key}.")
    return rows


def main() -> None:
    root = json.loads((CHART / "values.schema.json").read_text())
    properties = {key: value for key, value in root["properties"].items() if key != "global"}
    head = "# Generated from values.schema.json by `make docs`: every value, what it means, and its default."
    (CHART / "values.yaml").write_text("\n".join([head, "", *values_lines(properties, root)]) + "\n")
    (CHART / "README.md").write_text(README_HEAD + "\n".join(table_rows(properties, root)) + "\n")


if __name__ == "__main__":
    main()
