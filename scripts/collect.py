"""Read the result store into values/<sweep>/results.csv and commit it."""

from __future__ import annotations

import guard

import cli
from sweep import collection, git
from sweep.engines.patience import Patience
from sweep.records import results
from sweep.session import Session


def run(
    session: Session, began: git.Position, *, commit: bool = True, dry_run: bool = False, json: bool = False
) -> int:
    """Collect an opened sweep; `began`: where HEAD was before that was opened."""
    clone, path, store = session.files.clone, session.files.results, session.engine.store_folder
    session.engine.fetch(session, cli.say)
    rows, snapshot = session.look(Patience(cli.say)(session.engine.states))
    if not snapshot.found:
        cli.say(f"{session.name}: no results in {clone.relative(store)}; what was collected before is kept")
    for problem in snapshot.problems:
        cli.say(f"{session.name}: set aside {clone.relative(store / problem.path)}: {problem.what}")
    mixed = collection.mixed_images(rows)
    if mixed:
        cli.say(f"{session.name}: {mixed}")
    table, left = session.table(rows)
    if left:
        cli.say(f"{session.name}: {clone.relative(path)}: {left}")
    summary = ", ".join(f"{count} {status}" for status, count in results.counts(rows).items())
    with cli.turn(session, path, began, wanted=commit and not dry_run) as turn:
        changed = not dry_run and results.put(path, table)
        committed = turn.commit(f"{session.name}: results: {summary}") if turn else None
    cli.say(f"{session.name}: {clone.relative(path)}: {summary}{'' if changed else ' (unchanged)'}")
    if committed:
        cli.say(f"{session.name}: committed as {committed.sha[:12]}")
    if json:
        problems = [{"path": problem.path, "what": problem.what} for problem in snapshot.problems]
        cli.put({"results": str(path), "counts": results.counts(rows), "changed": changed, "problems": problems})
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--no-commit", action="store_true", help="write results.csv, but do not commit it")
    parser.add_argument("--dry-run", action="store_true", help="show what would be written, and write nothing")
    parser.add_argument("--json", action="store_true", help="print counts and problems as JSON")
    args = parser.parse_args(argv)
    began = git.position(cli.project().root)
    return run(cli.open_sweep(args), began, commit=not args.no_commit, dry_run=args.dry_run, json=args.json)


if __name__ == "__main__":
    guard.run(main)
