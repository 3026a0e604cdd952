"""The report while a sweep runs: what stands above it, and a server for the browsers of this machine alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from sweep.errors import BadInput
from sweep.records.progress import Progress
from sweep.records.results import Row
from sweep.words import short

HOST = "127.0.0.1"
MOST_RUNNING = 50
"""Rows of those that run; of more it is said how many there are."""


@dataclass(frozen=True)
class Now:
    """What runs and what waits."""

    stamp: str
    """Another one tells a browser that the page has changed."""
    looked_at: str
    running: Sequence[tuple[str, str, str]]
    """(trial, its point, how far it is)."""
    more: int
    """That run, and are not among these."""
    waiting: Sequence[tuple[int, str]]
    """(how many trials, why), the most frequent first."""


def now(rows: Sequence[Row], running: Mapping[str, Progress], metric: str, names: Sequence[str]) -> Now:
    """`metric`: the objective, `names` of the hyperparameters in which trials differ."""
    points = {row.id: short({name: row.hyperparameters.get(name) for name in names}) for row in rows}
    listed = [(trial, points.get(trial, ""), far.words(metric)) for trial, far in running.items()]
    waits = Counter(row.reason or "for its turn" for row in rows if row.status in ("pending", "missing"))
    at = time.strftime("%H:%M:%S")
    return Now(str(time.time_ns()), at, listed[:MOST_RUNNING], len(listed[MOST_RUNNING:]), _pairs(waits))


def _pairs(waits: Counter[str]) -> list[tuple[int, str]]:
    return [(count, why) for why, count in waits.most_common(10)]


@dataclass
class Page:
    """What is served now."""

    stamp: str = ""
    html: bytes = b""


@contextmanager
def served(page: Page, port: int) -> Iterator[str]:
    """Serve a page to this machine until the end of the context, and yield its address. 0: any free port.

    Raises BadInput where the port cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A page of another host that has its name point here is not to read this one.
            if self.headers.get("Host", "").partition(":")[0] not in (HOST, "localhost"):
                self.send_error(403)
            elif self.path == "/":
                self._send(page.html, "text/html; charset=utf-8")
            elif self.path == "/stamp":
                self._send(page.stamp.encode(), "text/plain; charset=utf-8")
            else:
                self.send_error(404)

        def _send(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Who looks at a page is no news."""

    try:
        server = ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise BadInput(f"--port {port}: {getattr(error, 'strerror', None) or error}; write another, or 0") from None
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
