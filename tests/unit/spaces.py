"""A space.yaml from its parts, for tests."""

from __future__ import annotations

import json

from sweep import yamlfile
from sweep.layout import Kit
from sweep.spaces import space, spacefile
from sweep.spaces.domain import BITS, Parameter

SCHEMA = json.loads((Kit.here().schemas / "space.schema.json").read_text())
LAST = 2**BITS - 1


def read(parameters: str, sampler: str = "{name: random, n: 1}", fixed: str = "{}", more: str = "") -> space.Space:
    """The space with these parts; the objective may be in `more`."""
    objective = "" if "objective:" in more else "objective: {metric: m, direction: minimize}\n"
    text = f"{objective}sampler: {sampler}\nhyperparameters: {fixed}\nspace: {parameters}\n{more}"
    return spacefile.read(yamlfile.parse(text, "space.yaml", helm=False), SCHEMA)


def only(domain: str) -> Parameter:
    """The one hyperparameter of a space, of this domain."""
    (parameter,) = read(f"{{p: {domain}}}").parameters
    return parameter
