"""What trials left in a cluster's store, read and removed there: a Pod of ours (chart/files/outputs.py) answers.

One request at a time, a line of JSON; the answer is lines of base64, and `.` or `!` with the reason at the end.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sweep.errors import BadInput, Unreachable


@dataclass(frozen=True)
class Channel:
    """The standard streams of that Pod."""

    send: Callable[[bytes], None]
    line: Callable[[], bytes]
    """The next line that it prints, without its end. Raises Unreachable."""

    def read(self, path: str, offset: int = 0) -> Answer:
        """A file of the store, from an offset on. What is not read of it is lost for the next request."""
        self._ask({"read": path, "offset": offset})
        return Answer(self)

    def remove(self, path: str) -> None:
        """Remove the outputs of an attempt, or their list; they may be gone. Raises BadInput."""
        self._ask({"remove": path})
        while self.chunk():
            pass

    def chunk(self) -> bytes:
        """The next part of an answer, b"" at its end. Raises BadInput with the reason where it was refused."""
        line = self.line()
        if line == b".":
            return b""
        if line[:1] == b"!":
            raise BadInput(line[1:].decode(errors="replace"))
        try:
            return base64.b64decode(line, validate=True)
        except binascii.Error as error:
            raise Unreachable("reader: its answer was cut on the way; type the same again") from error

    def _ask(self, request: dict[str, Any]) -> None:
        self.send(json.dumps(request).encode() + b"\n")


class Answer(io.RawIOBase):
    """An answer as a file to read."""

    def __init__(self, channel: Channel) -> None:
        self._channel, self._left, self._ended = channel, b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left and not self._ended:
            self._left = self._channel.chunk()
            self._ended = not self._left
        given = self._left[: len(buffer)]
        buffer[: len(given)] = given
        self._left = self._left[len(given) :]
        return len(given)
