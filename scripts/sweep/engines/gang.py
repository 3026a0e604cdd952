"""Starts the nodes of one attempt as processes beside each other, and ends as the attempt does: a program, run by path.

    python -I -S gang.py FILE       FILE: JSON, a list of {argv, env, log}; the first is node 0, which has our output

SIGTERM goes to all. What ends the attempt as a whole is the runners' own affair (chart/files/nodes.py); the exit code
is node 0's, but of another node where that ended by itself and node 0 because of it. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PEER_ENDED = 69
"""Of a node that ended because another did."""
LAST_WORDS = 4096
"""Bytes of the log of the node that decides."""


def deciding(codes: list[int]) -> int:
    """The place of the node whose exit code is the attempt's."""
    others = [place for place, code in enumerate(codes) if place and code not in (0, PEER_ENDED)]
    return others[0] if codes[0] == PEER_ENDED and others else 0


def main(path: str) -> int:
    nodes: list[dict[str, Any]] = json.loads(Path(path).read_text(encoding="utf-8"))
    children: list[subprocess.Popen[bytes]] = []
    asked = False

    def end(*_: object) -> None:
        nonlocal asked
        asked = True
        for child in children:
            child.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    logs: list[int | None] = []  # kept open: what lies at their paths later is the trial's to say
    for place, node in enumerate(nodes):
        log = os.open(node["log"], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666) if place else None
        # All inherit the handle by which this attempt holds its trial.
        start = {"env": node["env"], "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "close_fds": False}
        children.append(subprocess.Popen(node["argv"], **start))
        logs.append(log)
    if asked:
        end()
    codes = [128 - code if (code := child.wait()) < 0 else code for child in children]
    decides = deciding(codes)
    if (log := logs[decides]) is not None:
        at = max(0, os.fstat(log).st_size - LAST_WORDS)
        sys.stdout.buffer.write(os.pread(log, LAST_WORDS, at))
        sys.stdout.buffer.flush()
    return codes[decides]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
