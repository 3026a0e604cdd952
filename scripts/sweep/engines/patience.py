"""Patience with a cluster that is away for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sweep.engines.cluster import Refused
from sweep.errors import NotSetUp, Unreachable

PATIENCE_SECONDS = 300
"""How long a cluster may be away in the middle of something: the upgrade of a control plane."""

Result = TypeVar("Result")


@dataclass
class Patience:
    """Bridges the time a cluster is away: calls again, with a growing delay, for `seconds` from the first failure."""

    say: Callable[[str], None]
    seconds: float = PATIENCE_SECONDS
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def __call__(self, call: Callable[[], Result]) -> Result:
        """The result of `call`. Raises its last Unreachable when the patience is at its end."""
        since, delay = None, 1.0
        while True:
            try:
                result = call()
            except (Unreachable, Refused) as error:
                # An API server that has just come back refuses everybody until it has read its rules.
                starting = isinstance(error, Refused) and since is not None and error.status in (401, 403)
                if isinstance(error, NotSetUp) or (isinstance(error, Refused) and not starting):
                    raise
                if since is None:
                    since = self.clock()
                    self.say(f"{error}; trying again for {self.seconds:.0f} s")
                if self.clock() - since > self.seconds:
                    raise
                self.sleep(delay)
                delay = min(30.0, delay * 1.5)
            else:
                if since is not None:
                    self.say("cluster: answers again")
                return result
