"""For all tests."""

from __future__ import annotations

import signal

from hypothesis import settings

# A shell that starts pytest in the background has it ignore SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the law holds.
settings.register_profile("untimed", deadline=None)
settings.register_profile("thousand", deadline=None, max_examples=1000)
settings.load_profile("untimed")
