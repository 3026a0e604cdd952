"""What ruamel makes of YAML text: its nodes, and a refusal where a file asks for too much of this machine."""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode

__all__ = ["MarkedYAMLError", "RefusedYAML", "YAMLError", "compose"]

MAX_VALUES = 200_000
"""Values and keys that ruamel may read: it takes 0.75 KB and 0.1 ms for each; expanded trials do not count."""
MAX_DEPTH = 60
"""Levels of maps and lists. The deepest of a Pod spec has about 12."""

_TABBED = re.compile(r" *\t[ \t]*:")


def compose(text: str) -> Any:
    """The root node of a YAML document, None for an empty one; raises YAMLError, of which RefusedYAML is ours."""

    class OfText(_Composer):
        whole = text

    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = OfText
    return yaml.compose(text)


class RefusedYAML(MarkedYAMLError):
    """YAML that every reader reads, and that is refused here: too much of it, or a tag."""


class _Composer(Composer):
    """Counts what it makes, so that a file asks for seconds and megabytes at most."""

    whole = ""
    """The text that is read."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # the later one holds, for Helm too
        self.count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        self.count += 1
        if self.count > MAX_VALUES:
            problem = f"more than {MAX_VALUES:,} values; let space.yaml and expand make the trials"
            raise RefusedYAML(None, None, problem, event.start_mark)
        if self.depth >= MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} levels deep; a few are all that is needed"
            raise RefusedYAML(None, None, problem, event.start_mark)
        tag = getattr(event, "tag", None)
        if tag == "!":
            problem = "unknown tag !; remove it, and quote what is a string"
            raise RefusedYAML(None, None, problem, event.start_mark)
        node = super().compose_node(parent, index)
        if isinstance(node, ScalarNode) and not node.style and _TABBED.match(self.whole, node.end_mark.index):
            problem = "a tab between a word and a colon, part of a word to some readers; use spaces"
            raise RefusedYAML(None, None, problem, node.start_mark)
        if tag and isinstance(node, ScalarNode):
            node.style = "!"  # not a plain word any more: its kind was said
        return node
