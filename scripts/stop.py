"""Suspend the Jobs of a sweep on a cluster; their Pods end. `make resume` continues from the checkpoints."""

from __future__ import annotations

import guard

import cli


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="show how many Jobs would be suspended, and change nothing"
    )
    args = parser.parse_args()
    session = cli.open_sweep(args)
    suspended = session.engine.suspend(True, args.dry_run)
    if args.dry_run:
        cli.say(f"{session.name}: {suspended} Jobs would be suspended")
        return 0
    hint = f"; `make resume SWEEP={session.name}` lets them go on" if suspended else ""
    cli.say(f"{session.name}: {suspended} Jobs suspended{hint}")
    return 0


if __name__ == "__main__":
    guard.run(main)
