"""Suspend a sweep on a cluster: its Pods end, its Jobs wait. `make resume` lets it go on, from its checkpoints."""

from __future__ import annotations

import guard

import cli
from sweep.engines import states
from sweep.errors import BadInput
from sweep.session import Session


def suspend(session: Session, stop: bool, dry_run: bool) -> int:
    """Set `suspend` of every Job that has not ended; the number that was (or would be) changed."""
    if session.engine != "cluster":
        raise BadInput(
            "stop: the local engine is stopped by Ctrl-C, and `make sweep` goes on; this is for ENGINE=cluster"
        )
    if session.settings.queue:
        raise BadInput("queue: Kueue decides when these Jobs run; hold its LocalQueue by `stopPolicy: HoldAndDrain`")
    changed = 0
    for name, state in states.look(session.cluster, session.name).items():
        if not state.finished and (state.condition == "Suspended") != stop:
            if not dry_run:
                session.cluster.patch("Job", name, {"spec": {"suspend": stop}})
            changed += 1
    return changed


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--resume", action="store_true", help="let the sweep go on")
    parser.add_argument("--dry-run", action="store_true", help="only say how many Jobs that would be")
    args = parser.parse_args()
    session = cli.open_sweep(args)
    changed = suspend(session, not args.resume, args.dry_run)
    verb = "would be " if args.dry_run else ""
    after = f"; `make resume SWEEP={session.name}` lets them go on" if changed and not args.resume else ""
    cli.say(f"{session.name}: {changed} Jobs {verb}{'resumed' if args.resume else 'suspended'}{after}")
    return 0


if __name__ == "__main__":
    guard.run(main)
