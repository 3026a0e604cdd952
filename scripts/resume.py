"""Resume a suspended sweep on a cluster, from the checkpoints of its trials."""

from __future__ import annotations

import guard

import cli


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="show how many Jobs would be resumed, and change nothing"
    )
    args = parser.parse_args()
    session = cli.open_sweep(args)
    resumed = session.engine.suspend(False, args.dry_run)
    cli.say(f"{session.name}: {resumed} Jobs {'would be ' if args.dry_run else ''}resumed")
    return 0


if __name__ == "__main__":
    guard.run(main)
