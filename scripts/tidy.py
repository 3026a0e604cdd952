"""List results that no values file in Git's history names; --yes removes them. In doubt, a result is kept."""

from __future__ import annotations

import guard

import cli
from sweep.audit import garbage

SHOWN = 20


def size(count: int) -> str:
    """Bytes for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000  # type: ignore[assignment]
    return f"{count:.1f} TB"


def show(search: garbage.Search) -> None:
    pieces = sorted(search.garbage, key=lambda piece: piece.size, reverse=True)
    for piece in pieces[:SHOWN]:
        cli.show(f"{size(piece.size):>9}  {piece.path}")
    if len(pieces) > SHOWN:
        cli.show(
            f"{size(sum(piece.size for piece in pieces[SHOWN:])):>9}  {len(pieces) - SHOWN} more; --json lists them"
        )
    for kind in garbage.KINDS:
        some = [piece for piece in pieces if piece.kind == kind]
        if some:
            cli.show(f"{size(sum(piece.size for piece in some)):>9}  in {len(some)} folders of {kind}")
    for why, count in search.kept.items():
        cli.say(f"gc: {count} folders are not named either, but stay: {why}")


def main() -> int:
    parser = cli.parser(__doc__, sweep=False)
    parser.add_argument("--yes", action="store_true", help="remove what is listed")
    parser.add_argument(
        "--unknown-commits",
        action="store_true",
        help="also list results of commits that this clone does not have; fetch everybody's branches first",
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    args = parser.parse_args()
    search = garbage.find(cli.project(), unknown=args.unknown_commits)
    if args.json:
        listed = [
            {"path": str(folder.path), "kind": folder.kind, "id": folder.id, "bytes": folder.size}
            for folder in search.garbage
        ]
        cli.put({"garbage": listed, "kept": dict(search.kept)})
    else:
        show(search)
    if not args.yes:
        cli.say(
            f"gc: {len(search.garbage)} folders that nothing names{'; YES=1 removes them' if search.garbage else ''}"
        )
        return 0
    left = {piece.path: why for piece in search.garbage if (why := garbage.remove(piece))}
    for path, why in left.items():
        cli.say(f"gc: {path} stays: {why}")
    cli.say(f"gc: removed {len(search.garbage) - len(left)} folders")
    return 1 if left else 0


if __name__ == "__main__":
    guard.run(main)
