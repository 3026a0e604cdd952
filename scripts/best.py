"""Write the winning trial as a values file of its own, values/<sweep>/best.yaml, and commit it."""

from __future__ import annotations

import guard

from pathlib import Path
from typing import TYPE_CHECKING

import cli
from sweep import collection, git, render
from sweep.errors import BadInput, SweepError, of_machine
from sweep.files import holds, write_atomic
from sweep.records import artifacts, results, store
from sweep.records.same import ASKED
from sweep.session import Session
from sweep.spaces import valuesfile
from sweep.words import counted

if TYPE_CHECKING:
    from sweep.ranking import stats


def check(session: Session, text: str, rows: list[results.Row]) -> None:
    """Have helm render a best.yaml to the ids it should have. Raises BadInput."""
    from sweep.reports import best

    files = session.files
    draft = files.out / files.best.name
    write_atomic(draft, text)
    used = session.values_with({files.values: draft})
    best.check(render.render(files.clone.chart, session.name, used, root=files.clone.root).trials, rows)


def write(path: Path, text: str) -> bool:
    """Write best.yaml; False if it is so already."""
    if holds(path, text.encode(), path.parents[1]):
        return False
    write_atomic(path, text, path.parents[1])
    return True


def keep_best(session: Session, choice: stats.Choice, rows: list[results.Row], chosen: list[results.Row]) -> None:
    """Remove from the store what `outputs.keep` does not ask for, once the sweep is over; of `chosen` nothing.

    It only saves room: where it cannot be done now, it is said, and the next time does it.
    """
    from sweep.audit import retention

    try:
        removed = retention.apply(session, choice, rows, {row.id for row in chosen}, cli.say)
    except (SweepError, OSError) as error:
        cli.say(f"{session.name}: the outputs of the other trials stay for now: {of_machine(error)}")
        return
    if removed:
        size = sum(outputs.size for outputs in removed)
        trials, keep = counted(len(removed), "trial"), f"outputs: {{keep: {session.settings.outputs.keep}}}"
        cli.say(f"{session.name}: removed the outputs of {trials} ({size / 1e6:.1f} MB), as `{keep}` says")


def describe(session: Session, choice: stats.Choice, rows: list[results.Row], chosen: list[results.Row]) -> str:
    """The text of best.yaml."""
    from sweep.reports import best, verdict

    sentences = verdict.sentences(choice, verdict.varied(rows)) if chosen[0] == choice.points[0].trial else []
    stored = store.read(session.engine.store_folder, [row.id for row in chosen]).trials
    left = [trial for trial, kept in stored.items() if artifacts.named(trial, kept.result)]
    pairs = zip(session.rendered.trials, session.lines, strict=True)
    # What no row has: what a line says null of, and what it asks for itself.
    unseen = {
        trial.id: {name: value for name, value in line.items() if value is None or name in ASKED}
        for trial, line in pairs
    }
    text = best.values(valuesfile.load(session.files).head.data, chosen, sentences, left, unseen)
    lines = text.splitlines(keepends=True)
    return "".join(guard.spell(line) if line.lstrip().startswith("#") else line for line in lines)


def run(
    session: Session,
    began: git.Position,
    *,
    top: int = 1,
    max_cost: float | None = None,
    commit: bool = True,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Write the best of an opened sweep; `began`: where HEAD was before that was opened."""
    if top < 1:
        raise BadInput(f"--top {top}: ask for at least 1")
    from sweep.reports import best  # with numpy, which takes long to import

    rows, choice = collection.choose(session)
    chosen = [point.trial for point in best.winners(choice, top, max_cost)]
    text = describe(session, choice, rows, chosen)
    if dry_run:
        cli.show_page(text)
        return 0
    if not holds(session.files.best, text.encode(), session.files.clone.values):
        check(session, text, chosen)
    with cli.turn(session, session.files.best, began, wanted=commit) as turn:
        changed = write(session.files.best, text)
        if turn:
            turn.commit(f"{session.name}: best: {', '.join(row.id for row in chosen)}")
    keep_best(session, choice, rows, chosen)
    path = session.files.clone.relative(session.files.best)
    cli.say(f"{session.name}: {path}: trial {', '.join(row.id for row in chosen)}{'' if changed else ' (unchanged)'}")
    if json:
        cli.put([{"id": row.id, "seed": row.seed, "hyperparameters": row.hyperparameters} for row in chosen])
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--top", type=int, default=1, metavar="K", help="write the K best points; default: 1")
    parser.add_argument(
        "--max-cost", type=float, metavar="SECONDS", help="only points whose training takes at most SECONDS"
    )
    parser.add_argument("--no-commit", action="store_true", help="write best.yaml, but do not commit it")
    parser.add_argument("--dry-run", action="store_true", help="print best.yaml and write nothing")
    parser.add_argument("--json", action="store_true", help="print the winning trials as JSON")
    args = parser.parse_args(argv)
    began = git.position(cli.project().root)
    return run(
        cli.open_sweep(args),
        began,
        top=args.top,
        max_cost=args.max_cost,
        commit=not args.no_commit,
        dry_run=args.dry_run,
        json=args.json,
    )


if __name__ == "__main__":
    guard.run(main)
