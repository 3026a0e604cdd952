"""Which kind of GPU a Pod was sent to, as far as the Pod itself says it."""

from __future__ import annotations

import json

from sweep.render import Object

FLAVORS = "helm-sweep/flavors"
"""Annotation of a Pod: `gpu.flavors`, as JSON."""


def of(pod: Object) -> str:
    """One of those that its annotation names; "" where nothing tells.

    Kueue writes the labels of the flavor it takes into the Pod's nodeSelector. Without Kueue the one kind that there is
    to choose from is known, and of several none: labels of nodes are not ours to read.
    """
    try:
        flavors = json.loads(pod["metadata"].get("annotations", {}).get(FLAVORS, "{}"))
        asked = dict(pod["spec"].get("nodeSelector", ())).items()
        sent = [name for name, labels in flavors.items() if labels.items() <= asked]
        fits = sent or list(flavors)
        return str(max(fits, key=lambda name: len(flavors[name]))) if sent or len(fits) == 1 else ""
    except (ValueError, AttributeError, TypeError):  # a person's own annotation
        return ""
