"""Prepare the data set of a sweep by the command in `data.prepare`, and verify it."""

from __future__ import annotations

import guard

from collections.abc import Sequence
from pathlib import Path

import cli
from sweep.session import Session


def run(session: Session, words: Sequence[str] = (), upload: Path | None = None) -> int:
    """Fill the data set of an opened sweep where its engine has that."""
    session.engine.fill_data(session, words, upload, cli.say)
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--upload", type=Path, metavar="DIR", help="cluster: upload DIR instead of downloading")
    parser.add_argument("words", nargs="*", help="after --: further arguments of data.prepare")
    args = parser.parse_args(argv)
    return run(cli.open_sweep(args), args.words, args.upload)


if __name__ == "__main__":
    guard.run(main)
