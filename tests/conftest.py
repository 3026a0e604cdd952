"""For all tests."""

from __future__ import annotations

import signal

# A shell that starts pytest in the background has it ignore SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
