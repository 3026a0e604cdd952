"""Fill a sweep's data folder with its data set, by the command the values call data.prepare, and check it."""

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
    parser.add_argument("--upload", type=Path, help="cluster: send this folder, where the cluster has no way out")
    parser.add_argument("words", nargs="*", help="further words for data.prepare, after --")
    args = parser.parse_args(argv)
    return run(cli.open_sweep(args), args.words, args.upload)


if __name__ == "__main__":
    guard.run(main)
