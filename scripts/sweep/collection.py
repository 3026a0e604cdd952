"""What a table tells of the sweep as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sweep.records import results
from sweep.words import counted


def mixed_images(rows: Iterable[results.Row]) -> str:
    """A warning where one tag stood for several images within a sweep; "" if it did not."""
    pulled: dict[str, Counter[str]] = {}
    for row in rows:
        if row.image_id and "@sha256:" in row.image_id:
            pulled.setdefault(row.image, Counter())[row.image_id.rpartition("@")[2]] += 1
    for image, found in pulled.items():
        if len(found) > 1:
            told = ", ".join(f"{counted(count, 'trial')} ran {digest[:19]}…" for digest, count in found.most_common())
            return f"{image}: one tag, several images: {told}; pin one by image.digest"
    return ""
