"""Run the verbs of `make sweep` in turn: from space.yaml to a picked winner. Any of them may be run by itself.

A search in rounds, or a race, is expanded, submitted and collected until expand has nothing to add.
"""

from __future__ import annotations

import guard

from importlib import import_module

import cli
from sweep import commits, git
from sweep.errors import SweepError
from sweep.layout import Clone, SweepFiles
from sweep.spaces import search, spacefile, valuesfile


def verb(name: str, *words: str) -> int:
    """Run one verb as if it had been typed; returns 0, or 1 where trials failed. Any other failure is raised."""
    try:
        code: int = import_module(name).main(list(words))
    except SweepError as error:
        if error.exit_code != 1:
            raise
        cli.say(f"error: {error}")
        return 1
    return code


def goes_on(files: SweepFiles) -> bool:
    """Whether expand may have more to add once there are results."""
    block = valuesfile.load(files).block if files.clone.has(files.space) else None
    return block is not None and search.following(spacefile.load(files), block.titles) != ""


def main() -> int:
    parser = cli.parser(__doc__)
    cli.submit_arguments(parser)
    cli.quorum_argument(parser)
    args = parser.parse_args()
    target, files = cli.target_words(args), Clone.here().sweep(args.sweep)
    slots = ["--slots", str(args.slots)] if args.slots else []
    expand = [*target, "--quorum", str(args.quorum), *(["--allow-dirty"] if args.allow_dirty else [])]
    if args.quorum < 1 and files.clone.has(files.results):
        verb("collect", args.sweep, *target)
    before, failed, began = "", 0, git.position(files.clone.root)
    while True:
        stuck = verb("expand", args.sweep, *expand)
        now = valuesfile.load(files).text
        if now == before:
            failed |= stuck
            break
        before = now
        session = cli.open_sweep(args)
        if session.engine == "local" and session.data_folder:
            verb("dataset", args.sweep, *target)
        verb("plan", args.sweep, *target)
        failed = verb("submit", args.sweep, *target, *slots, *cli.flag_words(args))
        if session.engine == "cluster":
            quorum = ["--quorum", str(args.quorum)] if goes_on(files) else []  # the last round is for all to end
            failed = verb("watch", args.sweep, *target, *quorum)
        commits.check_branch(files.clone.root, began)
        verb("collect", args.sweep, *target)
        if not goes_on(files):
            break
    for step in ("report", "best"):
        verb(step, args.sweep, *target)
    return failed


if __name__ == "__main__":
    guard.run(main)
