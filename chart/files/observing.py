"""What a running command tells of itself, as it comes: its output for the metrics, its curve for a stop rule."""

from __future__ import annotations

import attempts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from attempts import Attempt
    from nodes import Peers
    from reading import Reading
    from stopping import Watch

WATCH_SECONDS = 1  # between two looks at the learning curve of a trial that a rule may stop


class Observer:
    """`reading`: what reads the metrics, `watch`: what may stop the trial, `peers`: its other nodes; None where the
    sweep has no such thing."""

    def __init__(
        self, attempt: Attempt, reading: Reading | None, watch: Watch | None, peers: Peers | None = None
    ) -> None:
        self.attempt, self.reading, self.watch, self.peers = attempt, reading, watch, peers
        self.every = WATCH_SECONDS if watch or peers else attempts.HEARTBEAT_SECONDS

    def hear(self, chunk: bytes) -> None:
        """What the command prints; b"" is the end."""
        if self.reading:
            self.reading.hear(chunk)
        if self.watch:
            self.watch.hear(chunk)

    def look(self) -> None:
        if self.reading:
            self.reading.look(live=True)
            self.attempt.keep_history(self.reading.history())
            self.attempt.keep_taken(self.reading.record())
        if self.watch:
            self.watch.look()

    def tell(self, ending: str) -> None:
        """Why the command is about to be ended."""
        if self.peers:
            self.peers.tell(ending)

    def beat(self) -> str:
        """A sign of life; returns why the command is to be ended, "" if it goes on."""
        if self.peers and self.peers.trouble():
            return "peer"
        if self.watch or self.peers:
            self.attempt.keep_alive()
        else:
            self.attempt.heartbeat()
        self.look()
        return self.watch.decide() if self.watch else ""
