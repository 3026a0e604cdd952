"""For all tests."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# A shell that starts pytest in the background has it ignore SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What `make test` gives to its children, and would be as if typed at every make that a test runs.
for _name in ("SWEEP", "ENGINE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(_name, None)

# How long an example takes says how busy the machine is, not whether the law holds.
settings.register_profile("untimed", deadline=None)
settings.register_profile("thousand", deadline=None, max_examples=1000)
settings.load_profile("untimed")
