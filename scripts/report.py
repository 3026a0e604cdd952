"""Show the ranking, and write out/<sweep>/report.html: one file that opens from disk. Reads what collect wrote."""

from __future__ import annotations

import dataclasses
import shutil

import cli
from sweep import leaderboard, report, results, stats, store, vendor, verdict
from sweep.errors import BadInput, Unreachable
from sweep.files import write_atomic
from sweep.layout import Clone
from sweep.session import Session, open_sweep


def charts(clone: Clone) -> str:
    """Source of the chart library; "" where it cannot be had, for a report without charts is better than none."""
    try:
        return vendor.vendored_echarts(clone).read_text()
    except Unreachable as error:
        cli.say(f"report: without charts: {error}")
        return ""


def material(session: Session) -> report.Material:
    trials = session.rendered.trials
    rows = results.read(session.files.results)
    if not rows:
        raise BadInput(f"{session.files.clone.relative(session.files.results)}: has no rows; run `make collect` first")
    choice = stats.choose(rows, results.objectives(trials)[0], session.engine)
    snapshot = store.read(session.store_folder, trials, session.files.store_cache)
    return report.Material(session.name, session.engine, rows, choice, snapshot, session.store_folder)


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--top", type=int, default=10, metavar="K", help="rows of the ranking in the terminal")
    parser.add_argument("--dry-run", action="store_true", help="only show the ranking")
    parser.add_argument("--json", action="store_true", help="the ranking as JSON on stdout instead of as text")
    args = parser.parse_args()
    session = open_sweep(Clone.here(), args.sweep, args.engine)
    clone, path = session.files.clone, session.files.report
    made = material(session)
    if not args.dry_run:
        text = report.html(made, charts(clone))
        write_atomic(path, text.encode(errors="backslashreplace"))
    if args.json:
        cli.put(
            dataclasses.asdict(made.choice) | {"sentences": verdict.sentences(made.choice, verdict.varied(made.rows))}
        )
    else:
        width = min(120, shutil.get_terminal_size((80, 24)).columns)
        spent = report.spent(made.rows, made.snapshot)
        print(leaderboard.text(made.choice, made.rows, spent, max(1, args.top), width), end="")
    if not args.dry_run:
        cli.say(f"{session.name}: {clone.relative(path)} ({path.stat().st_size / 1e6:.1f} MB, opens from disk)")
    return 0


if __name__ == "__main__":
    cli.run(main)
