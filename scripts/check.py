"""Run one trial now, with the code as it is, and keep nothing: to see that it starts and that its metrics are read.

Takes the first trial with the smallest budget, from space.yaml or else values.yaml. Nothing needs to be committed.
"""

from __future__ import annotations

import guard

import argparse
import os
import re
from collections.abc import Mapping
from typing import Any

import cli
import expand
from sweep import leftovers, passing, words
from sweep.checking import Check, Checked
from sweep.errors import TrialsFailed
from sweep.files import open_handle
from sweep.jobs import JobState
from sweep.spaces.expansion import Wish

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> int:
    """Type of an argument: 90, 90s, 5m, 1h."""
    match = re.fullmatch("([1-9][0-9]{0,6})([smh]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"expected a time such as 60s, 5m or 1h, got {text!r}")
    return int(match[1]) * UNITS[match[2]]


class Follower:
    """Passes on what the program prints, and the steps of its learning curve, as they come."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.printed = self.steps = 0

    def __call__(self, known: Mapping[str, JobState]) -> None:
        del known  # there is one, and what it does is what is shown
        if self.check.log.exists():
            with os.fdopen(open_handle(self.check.log), "rb") as log:
                log.seek(self.printed)
                cli.pass_on(iter(lambda: log.readline(1 << 20), b""))
                self.printed = log.tell()
        lines = self.check.history()
        for line in lines[self.steps :]:
            cli.say(f"  read: {words.short(line)}")
        self.steps = max(self.steps, len(lines))


def show_end(name: str, checked: Checked, asked: int | None) -> None:
    """What came of it. Raises TrialsFailed."""
    if checked.was_stopped and asked:
        cli.say(f"{name}: stopped after {asked} s, as was asked; {words.counted(len(checked.history), 'step')} read")
    elif not checked.result:
        raise TrialsFailed(f"{name}: the program does not work as a trial yet: {checked.reason}")
    else:
        result: dict[str, Any] = checked.result
        cli.say(f"{name}: {result['status']} in {result['used_s']:.1f} s; metrics: {words.short(result['metrics'])}")
    for line in checked.advice:
        cli.say(f"  {line}")
    cli.say(f"{name}: nothing of this was kept; `make sweep SWEEP={name}` runs the sweep")


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--for", dest="seconds", type=seconds, metavar="TIME", help="stop the trial after TIME, such as 60s or 5m"
    )
    parser.add_argument("--code", metavar="DIR", help="folder of the code; default: code.path, else trainer")
    args = parser.parse_args()
    files = cli.project().sweep(args.sweep)
    draft = expand.draft(
        files, expand.ExpandOptions(Wish(), code=args.code, allow_dirty=True, commit=False, dry_run=True)
    )
    with leftovers.scratch() as scratch:
        check = Check(files, draft.values, args.code, scratch, args.seconds)
        for line in (*passing.passed(check.trial).lines, *passing.notes_of([check.trial])):
            cli.say(line)
        follow = Follower(check)
        checked = check.run(follow)
        follow({})
        show_end(files.name, checked, args.seconds)
    return 0


if __name__ == "__main__":
    guard.run(main)
