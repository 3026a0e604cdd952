"""A trial's Job as of one look, on whatever engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONDITIONS = ("Pending", "Running", "Suspended", "Complete", "Failed")
HELD_BACK = "held back"
"""The cause of a wait that ends by itself once a limit of the sweep is raised: see limits.py."""


@dataclass(frozen=True)
class JobState:
    """What an engine knows of a Job. What it cannot know stays empty."""

    name: str
    trial: str
    condition: str = "Pending"
    """One of CONDITIONS."""
    cause: str = ""
    """One or two words: queued, image, config, mount, unschedulable, quota, refused, stuck, starting, retrying, ending,
    suspended, held back; when it has failed OOM, limit, evicted, bad input, bad data, exit 1 …"""
    reason: str = ""
    """For people, one line: the cause and what Kubernetes or the runner said of it."""
    since: float = 0.0
    """Seconds of the epoch: when it began to wait like this. 0: unknown."""
    queued_s: float | None = None
    """Seconds that it waited for its first start."""
    attempts: int = 0
    """Pods that it has or had, as far as its status tells."""
    failed: int = 0
    """Of these, the ones that count against backoffLimit."""
    failure: str = ""
    """Why the newest attempt failed of those that count against it, as `reason` says it of a Job that has failed."""
    failed_s: float | None = None
    """Seconds that this attempt ran."""
    ran_s: float = 0.0
    """Seconds that its Pods ran, of those that have ended and are still there."""
    pods: tuple[str, ...] = ()
    """Names of its Pods that are still there, oldest first."""
    message: str = ""
    """What the newest Pod's trial left as its last words: a small enough result, as JSON."""
    node: str = ""
    image_id: str = ""
    """What was really pulled, as `name@sha256:…`."""
    flavors: Mapping[str, str] = field(default_factory=dict)
    """Name of a Pod -> the kind of GPU of `gpu.flavors` on which it ran, where that is known."""

    @property
    def finished(self) -> bool:
        return self.condition in ("Complete", "Failed")

    @property
    def stuck(self) -> bool:
        """Whether it waits for nothing that will come: a new Job is what mends it."""
        return self.cause == "stuck"
