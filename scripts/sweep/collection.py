"""Bringing a cluster's results here: through its API, or from where the store is mounted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from sweep.engines import reader, states
from sweep.engines.cluster import Patience
from sweep.records import results
from sweep.session import Session
from sweep.words import counted


def bring(session: Session, say: Callable[[str], None]) -> None:
    """Bring the store of a cluster up to date here; for other engines, and a mounted store, there is nothing to do."""
    if session.engine != "cluster" or session.mounted:
        return
    clone, cluster, mirror, trials = session.files.clone, session.cluster, session.files.mirror, session.rendered.trials
    patient = Patience(say)
    say(f"{session.name}: reading the result store in the cluster, through a Pod")
    try:
        brought = patient(lambda: reader.refresh(cluster, session.reader_manifest, clone.reader, mirror, trials))
        say(f"{session.name}: {brought.changed} trials have changed in the result store")
        for told in brought.unread:
            say(f"{session.name}: cannot be read in the cluster, and is left as it was: {told}")
    except reader.NoReader as error:
        pods = patient(lambda: cluster.list("Pod", states.trials_of(session.name)))
        found = reader.from_messages(pods, mirror, trials)
        say(
            f"{session.name}: the result store cannot be read through the cluster ({error}); "
            f"{found} results came from the Pods' last words instead, without histories or failures"
        )


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
