"""Expand values/<sweep>/space.yaml into the trials of values.yaml, freeze the code into code.yaml, and commit it.

What exists is kept: the block of trials unless space.yaml has changed, the code unless --repin, all else always. A
search in rounds (tpe, halving) goes on by one round if the committed results.csv allows; so does a race.
"""

from __future__ import annotations

import guard

import argparse
import json
from pathlib import Path

import cli
from sweep import commits, freezing, git, settings
from sweep.errors import BadInput
from sweep.files import write_atomic
from sweep.layout import Clone
from sweep.session import choose_engine
from sweep.settings import Settings
from sweep.spaces import expansion, search, spacefile, valuesfile
from sweep.spaces.valuesfile import ValuesFile


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    add = parser.add_argument
    add("--dry-run", action="store_true", help="say what would be written, and write nothing")
    add("--no-commit", action="store_true", help="write the files, and leave the commit to you")
    add("--force", action="store_true", help="replace the block of trials though it was edited, or a search has begun")
    add("--code", metavar="DIR", help="the folder to freeze; default: code.path, else trainer")
    add("--repin", action="store_true", help="freeze the code anew")
    add("--allow-dirty", action="store_true", help="freeze code with uncommitted changes")
    add("--json", action="store_true", help="what was done, as JSON on stdout")
    cli.engine_argument(parser)
    cli.quorum_argument(parser)
    more = parser.add_argument_group("more trials, made from the committed results.csv")
    kind = more.add_mutually_exclusive_group()
    kind.add_argument("--around", metavar="best|ID", help="new points around the best one, or around a trial")
    kind.add_argument("--replicate-top", type=_positive, metavar="K", help="more seeds for the best K points")
    kind.add_argument("--race", type=_positive, metavar="K", help="seeds for the best K points, step by step")
    more.add_argument("--shrink", type=cli.share, default=0.5, metavar="SHARE", help="--around: of every range (0.5)")
    more.add_argument("--n", type=_positive, default=8, help="--around: how many points (8)")
    more.add_argument("--replicates", type=_positive, default=8, metavar="R", help="seeds of a point at most (8)")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("write at least 1")
    return int(text)


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


def draft(args: argparse.Namespace, clone: Clone) -> expansion.Draft:
    """What there is to write, and nothing written yet. Raises BadInput."""
    files = clone.sweep(args.sweep)
    schema = json.loads((clone.chart / "values.schema.json").read_text())
    domain = spacefile.load(files) if clone.has(files.space) else None
    before = valuesfile.load(files) if clone.has(files.values) else None
    if before:
        valuesfile.check(before, args.sweep, schema)

    def engine() -> str:
        return choose_engine(args.engine, read_settings(clone, before))[0]

    text, note = expansion.text(files, domain, before, wish(args), engine)
    values = before if before and before.text == text else valuesfile.parse(text, clone.relative(files.values))
    trials = valuesfile.check(values, args.sweep, schema) if values is not before else len(values.trials())
    if not trials:
        raise values.head.bad(("trials",), "no trials; write one below `trials:`, or a space.yaml to expand")
    unsaved = args.allow_dirty or args.no_commit or args.dry_run
    code, code_note = freezing.text(files, values, args.code, repin=args.repin, dirty_allowed=unsaved)
    pending = ({files.values: text} if values is not before else {}) | ({files.code: code} if code is not None else {})
    return expansion.Draft(files, domain, values, trials, expansion.by_hand(files, before), note, code_note, pending)


def write(args: argparse.Namespace, clone: Clone, pending: dict[Path, str]) -> None:
    """Write the files, or only say so."""
    for path, text in pending.items():
        if not args.dry_run:
            write_atomic(path, text, clone.values)
        cli.say(f"{clone.relative(path)}: {'would be ' if args.dry_run else ''}written")


def save(args: argparse.Namespace, clone: Clone, new: expansion.Draft, began: git.Position) -> commits.Commit | None:
    """Write and commit the files of the sweep, those that a person changed too."""
    own = (new.files.space, new.files.values, new.files.code)
    paths = [clone.relative(path) for path in own if clone.has(path) or path in new.pending]
    message = new.message
    with commits.turn(clone.root, paths, cli.say, began) as turn:
        write(args, clone, new.pending)
        commit = turn.commit(message)
    if commit:
        author = f" as {commits.NAME} <{commits.EMAIL}>, for git knows no user.name and user.email"
        cli.say(f"{args.sweep}: committed {commit.sha[:12]}{author if commit.own_identity else ''}")
    return commit


def main(argv: list[str] | None = None, clone: Clone | None = None) -> int:
    args, clone = arguments(argv), clone or Clone.here()
    began = git.position(clone.root)
    new = draft(args, clone)
    most = search.most_trials(new.domain) if new.domain else 0
    given = read_settings(clone, new.values)
    cli.say(f"{args.sweep}: {new.summary}{expansion.limits(given, new.trials, most)}")
    for line in filter(None, (new.note, new.code_note, *expansion.passing_notes(given, new.values))):
        cli.say(f"{args.sweep}: {line}")
    commit = None
    if args.dry_run or args.no_commit:
        write(args, clone, new.pending)
    else:
        commit = save(args, clone, new, began)
    if args.json:
        cli.put(
            {
                "sweep": args.sweep,
                "trials": new.trials,
                "sampler": new.made,
                "written": [clone.relative(path) for path in new.pending],
                "by_hand": new.by_hand,
                "note": new.note,
                "commit": commit.sha if commit else None,
            }
        )
    return 0


if __name__ == "__main__":
    guard.run(main)
