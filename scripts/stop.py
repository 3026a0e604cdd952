"""Suspend a sweep on a cluster: its Pods end, its Jobs wait. `make resume` lets it go on, from its checkpoints."""

from __future__ import annotations

import guard

import cli


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--resume", action="store_true", help="let the sweep go on")
    parser.add_argument("--dry-run", action="store_true", help="only say how many Jobs that would be")
    args = parser.parse_args()
    session = cli.open_sweep(args)
    changed = session.engine.suspend(not args.resume, args.dry_run)
    verb = "would be " if args.dry_run else ""
    after = f"; `make resume SWEEP={session.name}` lets them go on" if changed and not args.resume else ""
    cli.say(f"{session.name}: {changed} Jobs {verb}{'resumed' if args.resume else 'suspended'}{after}")
    return 0


if __name__ == "__main__":
    guard.run(main)
