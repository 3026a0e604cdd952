"""Every error a user can meet, as one tree.

SweepError              exit code
├── BadInput            2   a file, a key or an argument is wrong; nothing was changed
├── Unreachable         3   helm or the cluster did not answer
│   └── NotSetUp        3   there is none to ask
└── TrialsFailed        1   everything worked, but some trials did not succeed

A message is one line: what is wrong, where (file:line or key), what to do.
"""


class SweepError(Exception):
    """Base of all expected failures; `exit_code` is what the script ends with."""

    exit_code = 1


class TrialsFailed(SweepError):
    exit_code = 1


class BadInput(SweepError):
    exit_code = 2


class Unreachable(SweepError):
    exit_code = 3


class NotSetUp(Unreachable):
    """There is no cluster or helm to ask: asking again will not help."""
