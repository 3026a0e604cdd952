"""What trials left in a cluster's store, read and removed there: a Pod of ours (chart/files/outputs.py) answers.

One request at a time, a line of JSON; the answer is lines of base64, and `.` or `!` with the reason at the end.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from sweep.errors import BadInput, Unreachable
from sweep.records.artifacts import Gone

CHUNK_BYTES = 1 << 20
NOT_THERE = b"!No such file or directory"


@dataclass(frozen=True)
class Channel:
    """The standard streams of that Pod: an artifacts.Place."""

    send: Callable[[bytes], None]
    line: Callable[[], bytes]
    """The next line that it prints, without its end. Raises Unreachable."""

    @contextmanager
    def open(self, path: str, offset: int = 0) -> Iterator[BinaryIO]:
        """A file of the store, from an offset on."""
        self._ask({"read": path, "offset": offset})
        with io.BufferedReader(Answer(self), CHUNK_BYTES) as opened:
            yield opened
            while opened.read(CHUNK_BYTES):  # what is left of this answer would be taken for the next one
                pass

    def remove(self, path: str) -> bool:
        """Remove the outputs of an attempt, or their list; False where they are gone already."""
        self._ask({"remove": path})
        return bool(Answer(self).readall())

    def chunk(self) -> bytes:
        """The next part of an answer, b"" at its end. Raises BadInput with the reason where it was refused."""
        line = self.line()
        if line == b".":
            return b""
        if line == NOT_THERE:
            raise Gone("is not there")
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
