"""Remove all releases of a sweep from its cluster. Collects first; the result store keeps every result."""

from __future__ import annotations

import guard

import cli
from sweep.engines.patience import Patience
from sweep.errors import SweepError
from sweep.records import results
from sweep.words import counted


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--force", action="store_true", help="do not collect first")
    parser.add_argument("--yes", action="store_true", help="do not ask before ending running trials")
    parser.add_argument(
        "--dry-run", action="store_true", help="show which releases would be removed, and change nothing"
    )
    args = parser.parse_args()
    session = cli.open_sweep(args)
    engine = session.engine
    installed = engine.installed(cli.say)
    if args.dry_run:
        cli.say(f"{session.name}: would uninstall {', '.join(installed) or 'nothing'}")
        return 0
    jobs = Patience(cli.say)(engine.states)
    running = [state for state in jobs.values() if state.condition == "Running"]
    if running and not args.yes:
        cli.confirm(f"{session.name}: this ends {counted(len(running), 'running trial')}")
    if not args.force:
        try:
            engine.fetch(session, cli.say)
            rows, _ = session.look(jobs)
            results.put(session.files.results, session.table(rows)[0])
        except SweepError as error:
            raise type(error)(f"{error}; nothing was removed: FORCE=1 removes without collecting") from error
    engine.remove(cli.say)
    return 0


if __name__ == "__main__":
    guard.run(main)
