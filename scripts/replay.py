"""Make every round of a sweep again, from the results.csv in Git that it names, and show whether it is the same.

Ends with 1 where a round differs: its trials were edited, or libraries of other versions sample other points.
"""

from __future__ import annotations

import guard

import cli
from sweep.layout import Clone
from sweep.spaces import replaying
from sweep.words import counted


def main(argv: list[str] | None = None, clone: Clone | None = None) -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--json", action="store_true", help="the rounds as JSON on stdout")
    args = parser.parse_args(argv)
    files = (clone or Clone.here()).sweep(args.sweep)
    replayed = replaying.replay(files)
    for again in replayed:
        same = "equal" if not again.difference else "differs"
        cli.say(f"{args.sweep}: {again.what}: {same} ({counted(again.trials, 'trial')}{again.source})")
        if again.difference and again.versions:
            cli.say(f"  made by {again.versions[0]}, here are {again.versions[1]}")
        for line in again.difference:
            cli.say(f"  {line}")
    if args.json:
        cli.put([{"what": again.what, "trials": again.trials, "difference": again.difference} for again in replayed])
    return int(any(again.difference for again in replayed))


if __name__ == "__main__":
    guard.run(main)
