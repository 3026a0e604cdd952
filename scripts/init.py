"""Make the current folder a project: write values/base.yaml and add to .gitignore, and commit both.

Fills in what it can detect: the image from a Dockerfile, kubectl's current context and namespace, claims in that
namespace (if the cluster answers within seconds), a lock file, and whether there is a GPU. Existing files are kept.
"""

from __future__ import annotations

import guard

import shutil
import threading
from pathlib import Path

import cli
from sweep import basefile, commits, git, leftovers
from sweep.basefile import Facts
from sweep.errors import SweepError
from sweep.files import check_folders, holds, read, write_atomic
from sweep.layout import BASE, Clone, Kit, start

PATIENCE_SECONDS = 4
LARGEST_BYTES = 16 << 20
IGNORED = ("out", "results")
"""Folders of a project that are no part of its history."""


def claims(context: str, namespace: str) -> tuple[str, ...] | None:
    """The namespace's claims that many Pods may write; None where the cluster does not answer in time, or says no."""
    from sweep.engines.cluster import Cluster

    answers: list[tuple[str, ...]] = []

    def ask() -> None:
        try:
            answers.append(basefile.shared(Cluster(context, namespace or "default").list("PersistentVolumeClaim")))
        except SweepError as error:
            cli.say(f"cluster: {context}: {error}")

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE_SECONDS)
    return answers[0] if answers else None


def text_of(path: Path) -> str:
    """A file of the person's."""
    return read(path, LARGEST_BYTES).decode(errors="surrogateescape")


def look(root: Path) -> Facts:
    """What there is to know about a project in this folder."""
    from sweep.engines import kubeconfig

    top = git.root(root)
    places = dict.fromkeys(place / name for place in (root, top) for name in ("Dockerfile", "docker/Dockerfile"))
    dockerfile = next((path for path in places if path.is_file()), None)
    image = basefile.image(text_of(dockerfile)) if dockerfile else ""
    locks = [path for path in sorted(root.glob("requirements*.*")) if path.suffix in (".txt", ".lock")]
    lock = next((path.name for path in locks if basefile.is_lock(text_of(path))), "")
    context = kubeconfig.current_context()
    namespace = kubeconfig.namespace_of(context)
    return Facts(
        image=image,
        dockerfile=str(dockerfile.relative_to(top)) if dockerfile and image else "",
        lock=lock,
        context=context,
        namespace=namespace,
        claims=claims(context, namespace) if context else None,
        gpu=Path("/dev/nvidia0").exists(),
    )


def ignore(clone: Clone) -> str:
    """The text that .gitignore should have; "" where git ignores what it has to."""
    missing = [f"/{name}/" for name in IGNORED if not git.is_ignored(clone.root, f"{name}/x")]
    path = clone.root / ".gitignore"
    before = text_of(path) if path.exists() else ""
    if not missing:
        return before if was_cut_off(clone, before) else ""
    gap = "\n" if before and not before.endswith("\n") else ""
    return before + gap + "".join(f"{line}\n" for line in missing)


def was_cut_off(clone: Clone, text: str) -> bool:
    """Whether what .gitignore has beyond its committed text is what an earlier `init` wrote, and could not commit; or
    it did, and was cut off before the index knew of it."""
    committed = (git.show(clone.root, "HEAD", ".gitignore") or b"").decode(errors="surrogateescape")
    if text == committed:
        return bool(git.dirty(clone.root, ".gitignore"))
    added = set(text.removeprefix(committed).split())
    return text.startswith(committed) and bool(added) and added <= {f"/{name}/" for name in IGNORED}


def is_written(clone: Clone, wanted: dict[Path, str], path: Path) -> bool:
    """Whether the file is there as it is wanted: an earlier `init` was cut off before its commit."""
    return path in wanted and holds(path, wanted[path].encode(errors="surrogateescape"), clone.root)


def vendor(clone: Clone) -> None:
    """Copy the chart into the project, for plain helm; from then on the project's own is used."""
    target = clone.root / "chart"
    if target.exists():
        cli.say(f"{clone.relative(target)}: exists already; left as it is")
        return
    draft = target.with_name(leftovers.temporary(target.name))
    try:
        shutil.copytree(Kit.here().chart, draft, ignore=shutil.ignore_patterns("__pycache__"))
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    cli.say(f"{clone.relative(target)}: the chart, for plain helm; commit it")


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__, sweep=False)
    parser.add_argument("--no-commit", action="store_true", help="write the files, but do not commit them")
    parser.add_argument("--vendor", action="store_true", help="also copy the chart into the project, for plain helm")
    args = parser.parse_args(argv)
    clone = cli.project(Clone(start().resolve()))
    git.root(clone.root)  # raises where there is no repository
    check_folders(clone.root, clone.base.parent)
    began = git.position(clone.root)
    wanted: dict[Path, str] = {}
    if not clone.base.exists() or git.dirty(clone.root, str(BASE)):
        wanted[clone.base] = basefile.text(look(clone.root))
    if clone.base.exists() and not is_written(clone, wanted, clone.base):
        wanted.pop(clone.base, None)
        cli.say(f"{BASE}: exists already; left as it is")
    if ignored := ignore(clone):
        wanted[clone.root / ".gitignore"] = ignored
    clean = [
        clone.relative(path)
        for path in wanted
        if not git.dirty(clone.root, clone.relative(path)) or is_written(clone, wanted, path)
    ]
    for path, text in wanted.items():
        write_atomic(path, text.encode(errors="surrogateescape"), path.parent)
        cli.say(f"{clone.relative(path)}: written")
    if clean and not args.no_commit:
        commit = commits.commit(clone.root, clean, "Make a project for helm-sweep\n", cli.say)
        commits.check_branch(clone.root, began)
        cli.say(f"committed {commit.sha[:12]}" if commit else "nothing to commit")
    if args.vendor:
        vendor(clone)
    cli.say(
        "next: `helm-sweep new NAME -- python train.py --lr {lr}`, with your own program, then `helm-sweep run NAME`"
    )
    return 0


if __name__ == "__main__":
    guard.run(main)
