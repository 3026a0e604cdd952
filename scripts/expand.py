"""Expand values/<sweep>/space.yaml into the trials of values.yaml, freeze the code into code.yaml, and commit it.

Existing trials are kept unless space.yaml has changed, and the code is kept unless --repin. Lines outside of the
marked block are never changed. A search in rounds (tpe, halving), or a race, adds a round if results.csv allows it.
"""

from __future__ import annotations

import guard

import argparse
from dataclasses import dataclass, fields
from functools import partial
from json import loads
from pathlib import Path

import cli
from sweep import collection, commits, freezing, git, rehearsal, settings
from sweep.errors import BadInput
from sweep.files import write_atomic
from sweep.layout import Clone, SweepFiles
from sweep.session import Target, choose_engine, open_values
from sweep.settings import Settings
from sweep.spaces import basis, expansion, search, spacefile, strangers, valuesfile
from sweep.spaces.valuesfile import ValuesFile


@dataclass(frozen=True)
class ExpandOptions:
    """How to expand a sweep; the defaults are those of `make sweep`."""

    wish: expansion.Wish
    engine: str = "auto"
    """Of the results."""
    code: str | None = None
    """The folder to freeze."""
    repin: bool = False
    allow_dirty: bool = False
    commit: bool = True
    dry_run: bool = False
    json: bool = False


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("--dry-run", action="store_true", help="show what would be written, and write nothing")
    add("--no-commit", dest="commit", action="store_false", help="write the files, but do not commit them")
    add("--force", action="store_true", help="replace the block of trials even if it was edited, or a search has begun")
    add("--code", metavar="DIR", help="the folder to freeze; default: code.path, else trainer")
    add("--repin", action="store_true", help="freeze the code again, and commit it if it was edited")
    add("--allow-dirty", action="store_true", help="freeze uncommitted changes too; code.yaml marks them")
    add("--json", action="store_true", help="print what was done as JSON")
    cli.engine_argument(parser)
    cli.quorum_argument(parser)
    more = parser.add_argument_group("add trials, from the committed results.csv")
    kind = more.add_mutually_exclusive_group()
    kind.add_argument("--around", metavar="best|ID", help="new points around the best point, or around trial ID")
    kind.add_argument("--replicate-top", type=cli.count, metavar="K", help="more seeds for the K best points")
    kind.add_argument(
        "--race", type=cli.count, metavar="K", help="more seeds for the K best points, round by round, until one leads"
    )
    more.add_argument(
        "--shrink", type=cli.share, default=0.5, metavar="SHARE", help="--around: share of every range; default: 0.5"
    )
    more.add_argument("--n", type=cli.count, default=8, help="--around: number of points; default: 8")
    more.add_argument(
        "--replicates", type=cli.count, default=8, metavar="R", help="at most R seeds per point; default: 8"
    )
    return parser.parse_args(argv)


def wish(args: argparse.Namespace) -> expansion.Wish:
    section = ""
    if args.around:
        if not args.around.isalnum():
            raise BadInput(f"--around {args.around}: write `best`, or the id of a trial")
        section = f"around {args.around}, shrink {args.shrink:g}, n {args.n}"
    elif args.replicate_top:
        section = f"top {args.replicate_top}, {args.replicates} replicates each"
    elif args.race:
        section = f"race step 1, top {args.race}, at most {args.replicates} replicates"
    return expansion.Wish(section, args.force, args.quorum)


def read_settings(clone: Clone, values: ValuesFile | None) -> Settings:
    """What base.yaml and the sweep's values.yaml set, as far as they are there."""
    base = [valuesfile.base(clone)] if clone.has(clone.base) else []
    return settings.read(clone.chart, *base, *([values.head] if values else []))


def draft(files: SweepFiles, options: ExpandOptions) -> expansion.Draft:
    """What there is to write, and nothing written yet. Raises BadInput."""
    clone, sweep = files.clone, files.name
    schema = loads((clone.chart / "values.schema.json").read_text())
    domain = spacefile.load(files) if clone.has(files.space) else None
    before = valuesfile.load(files) if clone.has(files.values) else None
    if before:
        valuesfile.check(before, sweep, schema)

    unsaved = options.allow_dirty or options.dry_run or not options.commit

    freeze = partial(freezing.text, files, folder=options.code, repin=options.repin, dirty_allowed=unsaved)

    def committed() -> basis.Basis | None:
        engine = choose_engine(options.engine, read_settings(clone, before))[0]
        return collection.committed(files, engine, lambda: freeze(valuesfile.load(files))[0] is not None)

    text, note = expansion.text(files, domain, before, options.wish, committed)
    values = before if before and before.text == text else valuesfile.parse(text, clone.relative(files.values))
    trials = valuesfile.check(values, sweep, schema) if values is not before else len(values.trials())
    if not trials:
        raise values.head.bad(("trials",), "no trials; write one below `trials:`, or a space.yaml to expand")
    strangers.notes(values, domain, read_settings(clone, values))
    code, code_note = freeze(values)
    pending = ({files.values: text} if values is not before else {}) | ({files.code: code} if code is not None else {})
    return expansion.Draft(files, domain, values, trials, expansion.by_hand(files, before), note, code_note, pending)


def write(clone: Clone, pending: dict[Path, str], *, dry_run: bool = False) -> None:
    """Write the files, or only say so."""
    for path, text in pending.items():
        if not dry_run:
            write_atomic(path, text, clone.values)
        cli.say(f"{clone.relative(path)}: {'would be ' if dry_run else ''}written")


def save(new: expansion.Draft, began: git.Position) -> commits.Commit | None:
    """Write and commit the files of the sweep, those that a person changed too."""
    clone = new.files.clone
    message = new.message
    with commits.turn(clone.root, new.paths, cli.say, began) as turn:
        write(clone, new.pending)
        commit = turn.commit(message)
    if commit:
        author = f" as {commits.NAME} <{commits.EMAIL}>, for git knows no user.name and user.email"
        cli.say(f"{new.files.name}: committed {commit.sha[:12]}{author if commit.own_identity else ''}")
    return commit


def run(files: SweepFiles, options: ExpandOptions) -> int:
    """Expand a sweep, and commit what that changes; code that was edited and is frozen now, too."""
    clone, sweep = files.clone, files.name
    if options.commit and not options.dry_run and not options.allow_dirty:
        freezing.save(files, options.code, repin=options.repin, say=cli.say)
    began = git.position(clone.root)
    new = draft(files, options)
    most = search.most_trials(new.domain) if new.domain else 0
    given = read_settings(clone, new.values)
    cli.say(f"{sweep}: {new.summary}{expansion.limits(given, [trial for _, trial in new.values.trials()], most)}")
    for line in filter(None, (new.note, new.code_note, *expansion.passing_notes(given, new.values))):
        cli.say(f"{sweep}: {line}")
    commit = None
    if options.dry_run or not options.commit:
        write(clone, new.pending, dry_run=options.dry_run)
    else:
        if new.pending or git.dirty(clone.root, *new.paths):
            session = open_values(files, new.values, Target(options.engine))
            rehearsal.check(session, new.values, new.pending.get(files.code))
        commit = save(new, began)
    if options.json:
        cli.put(
            {
                "sweep": sweep,
                "trials": new.trials,
                "sampler": new.origin,
                "written": [clone.relative(path) for path in new.pending],
                "by_hand": new.by_hand,
                "note": new.note,
                "commit": commit.sha if commit else None,
            }
        )
    return 0


def main(argv: list[str] | None = None, clone: Clone | None = None) -> int:
    args = arguments(argv)
    given = {each.name: getattr(args, each.name) for each in fields(ExpandOptions) if hasattr(args, each.name)}
    return run(cli.project(clone).sweep(args.sweep), ExpandOptions(wish(args), **given))


if __name__ == "__main__":
    guard.run(main)
