"""Show the ranking, and write out/<sweep>/report.html and its charts, plots/*.svg. Reads what collect wrote."""

from __future__ import annotations

import guard

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cli
from sweep import standing
from sweep.errors import BadInput, Unreachable, of_machine
from sweep.files import write_atomic
from sweep.records import results, same, store, superseded
from sweep.records.results import Row
from sweep.render import varying_names
from sweep.reports import plots, vendor
from sweep.session import Session
from sweep.spaces.block import ROUND

if TYPE_CHECKING:
    from sweep.reports.outlook import SearchSoFar
    from sweep.reports.report import Material


def charts() -> Path | None:
    """The chart library; None where it cannot be had, for a report without charts is better than none."""
    try:
        return vendor.vendored_echarts()
    except (Unreachable, OSError) as error:
        cli.say(f"report: without charts: {of_machine(error)}")
        return None


def draw(data: dict[str, Any], library: Path, folder: Path) -> None:
    """Write the plots, where they can be drawn."""
    try:
        plots.write(folder, plots.svgs(data, library))
    except Unreachable as error:
        cli.say(f"report: without plots: {error}")


def material(session: Session, now: standing.Situation | None = None) -> Material:
    """What there is to report on: the table as it was collected, or a sweep as it stands `now`."""
    from sweep.ranking import pareto, stats, stopped
    from sweep.reports import verdict
    from sweep.reports.report import Material

    trials = session.rendered.trials
    table, is_older = results.read_whole(session.files.results), superseded.older_than(trials)
    older = [row for row in table if is_older(row)]
    rows = now.rows if now else [row for row in table if not is_older(row)]
    if not rows:
        raise BadInput(f"{session.files.clone.relative(session.files.results)}: has no rows; run `make collect` first")
    objectives = results.objectives(trials)
    budget = session.settings.budget
    choice = stats.choose(rows, objectives[0], session.engine.NAME, budget)
    snapshot = now.snapshot if now else store.read(session.engine.store_folder, trials, session.files.store_cache)
    front = pareto.front(rows, objectives, session.engine.NAME, budget) if len(objectives) > 1 else None
    command = verdict.settle_command(choice, session.name) if session.files.clone.has(session.files.space) else ""
    store_folder = session.engine.store_folder
    ended = stopped.of(rows, objectives[0], snapshot, session.engine.NAME)
    return Material(
        session.name,
        session.engine.NAME,
        rows,
        choice,
        snapshot,
        store_folder,
        front,
        budget,
        command,
        ended,
        guard.spell,
        search_of(session, rows),
        older,
    )


def search_of(session: Session, rows: Sequence[Row]) -> SearchSoFar:
    """What space.yaml and the rounds in values.yaml say; nothing without them, or where one is broken."""
    from sweep.reports.outlook import Axis, SearchSoFar
    from sweep.spaces import search, spacefile, valuesfile
    from sweep.spaces.domain import Range

    if not session.files.clone.has(session.files.space):
        return SearchSoFar()
    try:
        space, block = spacefile.load(session.files), valuesfile.load(session.files).block
        sections = block.sections if block else []
        following = search.next_round(space, sections) if search.rounds(space) else ""
    except BadInput:
        return SearchSoFar()
    axes = {
        parameter.name: Axis(float(parameter.low), float(parameter.high), parameter.log, parameter.whole)
        for parameter in space.parameters
        if isinstance(parameter, Range)
    }
    numbers = {
        same.of_line(space.hyperparameters, line): int(match[1])
        for section in sections
        if (match := ROUND.fullmatch(section.what))
        for line in section.trials
    }
    rounds = {row.id: numbers.get(same.trial(row.hyperparameters, row.seed), 0) for row in rows}
    return SearchSoFar(axes, {id: number for id, number in rounds.items() if number}, following)


def prepare() -> None:
    """Import what `run` will need, ahead of it. Where that fails, `run` says why."""
    with suppress(Exception):
        from sweep.reports import leaderboard, report  # noqa: F401


def run(
    session: Session, *, top: int = 10, plot_folder: Path | None = None, dry_run: bool = False, json: bool = False
) -> int:
    """Report on an opened sweep, from its table and store."""
    from sweep.reports import leaderboard, report, verdict  # with numpy, which takes long to import

    clone, path = session.files.clone, session.files.report
    whole = material(session)
    if not dry_run:
        library = charts()
        data = report.embedded(whole)
        text = report.html(whole, library.read_text() if library else "", data)
        write_atomic(path, text.encode(errors="backslashreplace"), clone.out)
        if library:
            draw(data, library, plot_folder or session.files.plots)
    if json:
        cli.put(
            dataclasses.asdict(whole.choice)
            | {"sentences": verdict.sentences(whole.choice, verdict.varied(whole.rows)), "outlook": whole.outlook}
        )
    else:
        width = min(120, shutil.get_terminal_size((80, 24)).columns)
        spent = report.spent(whole.rows, whole.snapshot)
        cli.show_page(
            leaderboard.text(
                whole.choice,
                whole.rows,
                spent,
                max(1, top),
                width,
                whole.front,
                whole.command,
                whole.stopped,
                whole.outlook,
            )
        )
    if not dry_run:
        cli.say(f"{session.name}: {clone.relative(path)} ({path.stat().st_size / 1e6:.1f} MB, opens from disk)")
    return 0


def live(opened: Callable[[], Session], port: int) -> int:
    """Serve the report of a sweep as it stands, again and again, until Ctrl-C."""
    from sweep.reports import live, report

    library = charts()
    source = library.read_text() if library else ""
    page, before = live.Page(), None
    with live.served(page, port) as address:
        for session, now in standing.looks(opened, cli.say):
            if now.mark == before:
                continue
            trials = session.rendered.trials
            shown = live.now(now.rows, now.running, results.objectives(trials)[0].metric, varying_names(trials))
            text = report.html(material(session, now), source, live=shown)
            page.html, page.stamp = text.encode(errors="backslashreplace"), shown.stamp
            if before is None:
                cli.say(f"{session.name}: {address} shows it as it goes on; Ctrl-C ends that")
            before = now.mark
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument(
        "--top", type=int, default=10, metavar="K", help="show the K best rows of the ranking; default: 10"
    )
    parser.add_argument("--plots", type=Path, metavar="DIR", help="folder for the charts; default: out/<sweep>/plots")
    parser.add_argument(
        "--live", action="store_true", help="serve the report on this machine, updated as the sweep runs"
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="--live: the port; default: any free one")
    parser.add_argument("--dry-run", action="store_true", help="show the ranking, and write nothing")
    parser.add_argument("--json", action="store_true", help="print the ranking as JSON")
    args = parser.parse_args(argv)
    if args.live:
        return live(partial(cli.open_sweep, args), args.port)
    session = cli.open_sweep(args)
    return run(session, top=args.top, plot_folder=args.plots, dry_run=args.dry_run, json=args.json)


if __name__ == "__main__":
    guard.run(main)
