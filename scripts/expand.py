"""Expand values/<sweep>/space.yaml into the trials of values.yaml, freeze the code into code.yaml, and commit it.

What exists is kept: the block of trials unless space.yaml has changed, the code unless --repin, all else always. A
search in rounds (tpe, halving) goes on by one round if the committed results.csv allows; so does a race.
"""

from __future__ import annotations

import guard

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import cli
from sweep import commits, freezing, git, settings
from sweep.errors import BadInput
from sweep.files import write_atomic
from sweep.layout import Clone
from sweep.session import choose_engine
from sweep.settings import Settings
from sweep.spaces import expansion, search, space, spacefile, valuesfile
from sweep.spaces.valuesfile import ValuesFile
from sweep.words import counted


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


def limits(given: Settings, trials: int, most: int) -> str:
    """What the trials may cost; `most`: those of all rounds."""
    seconds, gpus = given.limit_seconds, given.gpu.count

    def cost(count: int) -> str:
        hours = count * seconds / 3600
        return f"{hours:.1f} h" + (f", {hours * gpus:.1f} GPU-hours" if gpus else "")

    rounds = f"; with all rounds at most {most} trials, {cost(most)}" if most > trials else ""
    return f"; each at most {seconds} s, {cost(trials)} in all{rounds}"


def summary(domain: space.Space | None, final: ValuesFile, trials: int) -> str:
    """`9 trials (random, n=8, seed=0; 1 by hand)`."""
    own = len(final.head.said("trials") or [])
    done, rounds = final.block.rounds if final.block else 0, search.rounds(domain) if domain else 0
    added = search.added(final.block)
    parts = [
        *([domain.sampled] if domain else []),
        *([f"round {done} of {rounds}"] if rounds else []),
        *([f"{sum(len(one.trials) for one in added[:-1])} added before"] if added[1:] else []),
        *([f"{len(added[-1].trials)} added: {added[-1].what}"] if added else []),
        *([f"{own} by hand"] if own else []),
    ]
    return f"{counted(trials, 'trial')} ({'; '.join(parts)})"


def write(args: argparse.Namespace, clone: Clone, pending: Sequence[tuple[Path, str]]) -> None:
    """Write the files, or only say so."""
    for path, new in pending:
        if not args.dry_run:
            write_atomic(path, new, clone.values)
        cli.say(f"{clone.relative(path)}: {'would be ' if args.dry_run else ''}written")


def main(argv: list[str] | None = None, clone: Clone | None = None) -> int:
    args, clone = arguments(argv), clone or Clone.here()
    files = clone.sweep(args.sweep)
    if git.root(clone.root).resolve() != clone.root.resolve():
        raise BadInput(f"{clone.root}: lies inside another git repository; a clone of its own is needed")
    began = git.position(clone.root)
    schema = json.loads((clone.chart / "values.schema.json").read_text())
    domain = spacefile.load(files) if clone.has(files.space) else None
    values = valuesfile.load(files) if clone.has(files.values) else None
    if values:
        valuesfile.check(values, args.sweep, schema)
    given = read_settings(clone, values)
    text, note = expansion.text(files, domain, values, wish(args), lambda: choose_engine(args.engine, given)[0])
    final = values if values and values.text == text else valuesfile.parse(text, clone.relative(files.values))
    trials = valuesfile.check(final, args.sweep, schema) if final is not values else len(final.trials())
    if not trials:
        raise final.head.bad(("trials",), "no trials; write one below `trials:`, or a space.yaml to expand")
    unsaved = args.allow_dirty or args.no_commit or args.dry_run
    code_text, said = freezing.text(files, final, args.code, repin=args.repin, dirty_allowed=unsaved)
    edited = expansion.by_hand(files, values)
    counted = summary(domain, final, trials)
    most = search.most_trials(domain) if domain else 0
    if final is not values:
        given = read_settings(clone, final)
    cli.say(f"{args.sweep}: {counted}{limits(given, trials, most)}")
    for line in filter(None, (note, said)):
        cli.say(f"{args.sweep}: {line}")
    pending = [(path, new) for path, new in ((files.values, text), (files.code, code_text)) if new is not None]
    pending = [(path, new) for path, new in pending if path != files.values or final is not values]
    if args.dry_run or args.no_commit:
        write(args, clone, pending)
        commit = None
    else:
        hand_alone = edited and files.values not in dict(pending)
        subject = f"{counted.partition(' (')[0]}, edited by hand" if hand_alone else counted
        message = expansion.message(files, domain, final, subject, edited, [said] if code_text else [])
        own = (files.space, files.values, files.code)
        paths = [clone.relative(path) for path in own if clone.has(path) or path in dict(pending)]
        with commits.turn(clone.root, paths, cli.say, began) as turn:
            write(args, clone, pending)
            commit = turn.commit(message)
    if commit:
        author = f" as {commits.NAME} <{commits.EMAIL}>, for git knows no user.name and user.email"
        cli.say(f"{args.sweep}: committed {commit.sha[:12]}{author if commit.own_identity else ''}")
    if args.json:
        done = {
            "sweep": args.sweep,
            "trials": trials,
            "sampler": counted.partition(" (")[2][:-1],
            "written": [clone.relative(path) for path, _ in pending],
        }
        cli.put(done | {"by_hand": edited, "note": note, "commit": commit.sha if commit else None})
    return 0


if __name__ == "__main__":
    guard.run(main)
