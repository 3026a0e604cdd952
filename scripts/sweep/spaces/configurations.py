"""Settings of a program that stand in YAML: what Hydra prints below `== Config ==`, and files that a command names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweep import yamlfile
from sweep.errors import BadInput
from sweep.spaces.offered import PLACEHOLDER, ProgramOption, of_config

GROUP = re.compile(r"([A-Za-z_][\w./-]*): (.*)")
"""A configuration group of Hydra's, and its configurations."""


def of_hydra(text: str) -> list[ProgramOption]:
    """What Hydra's own --help lists: configuration groups as choices, then the settings with their defaults.

    A program that lays its help out in a way of its own (hydra.help.template) is none that is known here.
    """
    sections = dict(re.findall(r"^== ([^\n=]+) ==\n(.*?)(?=^== |\Z)", text, re.MULTILINE | re.DOTALL))
    groups = filter(None, map(GROUP.fullmatch, sections.get("Configuration groups", "").splitlines()))
    listed = [ProgramOption(group[1], choices=tuple(group[2].split(", "))) for group in groups]
    body = sections.get("Config", "").partition("\n")[2]  # below the line that says how to set them
    body = re.split(r"^(?:Powered by Hydra|Use --hydra-help)", body, maxsplit=1, flags=re.MULTILINE)[0]
    try:
        return [*of_config(yamlfile.parse(body, "--help", helm=False).data), *listed] if body.strip() else listed
    except BadInput:  # a word that YAML's readers take for different things, or no map at all
        return listed


def named_in(command: Sequence[str], folder: Path) -> Iterator[Path]:
    """The YAML files that words of the command name, `--config=conf/base.yaml` too, as paths in `folder`."""
    for word in command:
        path = word.rpartition("=")[2]
        if path.endswith((".yaml", ".yml")) and not PLACEHOLDER.search(path) and (folder / path).is_file():
            yield Path(path)
