"""Read the result store into values/<sweep>/results.csv and commit it."""

from __future__ import annotations

import cli
from sweep import git, local, results, store
from sweep.layout import Clone
from sweep.session import Session, open_sweep


def collect(session: Session) -> tuple[list[results.Row], store.Snapshot]:
    """The table as of now; nothing is written."""
    trials = session.rendered.trials
    jobs = local.read_states(session.files.jobs) if session.engine == "local" else {}
    states = {trial.id: jobs[trial.job] for trial in trials if trial.job in jobs}
    snapshot = store.read(session.store, trials, session.files.store_cache)
    return results.merge(results.read(session.files.results), trials, snapshot, states, session.engine), snapshot


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--no-commit", action="store_true", help="write results.csv, but leave the commit to you")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be written")
    parser.add_argument("--json", action="store_true", help="counts and problems as JSON on stdout")
    args = parser.parse_args()
    session = open_sweep(Clone.here(), args.sweep, args.engine)
    clone, path = session.files.clone, session.files.results
    rows, snapshot = collect(session)
    if not snapshot.found:
        cli.say(f"{session.name}: no results in {clone.relative(session.store)}; what was collected before is kept")
    for problem in snapshot.problems:
        cli.say(f"{session.name}: set aside {clone.relative(session.store / problem.path)}: {problem.what}")
    changed = not args.dry_run and results.write(path, rows)
    summary = ", ".join(f"{count} {status}" for status, count in results.counts(rows).items())
    cli.say(f"{session.name}: {clone.relative(path)}: {summary}{'' if changed else ' (unchanged)'}")
    if not (args.no_commit or args.dry_run):
        made = git.commit(clone.root, [clone.relative(path)], f"{session.name}: results: {summary}")
        if made:
            cli.say(f"{session.name}: committed as {made.sha[:12]}")
    if args.json:
        problems = [{"path": problem.path, "what": problem.what} for problem in snapshot.problems]
        cli.put({"results": str(path), "counts": results.counts(rows), "changed": changed, "problems": problems})
    return 0


if __name__ == "__main__":
    cli.run(main)
