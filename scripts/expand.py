"""Expand values/<sweep>/space.yaml into the trials of values.yaml, freeze the code into code.yaml, and commit it.

What exists is kept: the block of trials unless space.yaml has changed, the code unless --repin, all else always.
"""

from __future__ import annotations

import argparse
import json

import cli
from sweep import code, git, samplers, space, valuesfile, yamlfile
from sweep.errors import BadInput
from sweep.files import write_atomic
from sweep.layout import Clone, SweepFiles
from sweep.valuesfile import ValuesFile


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.add_argument("--no-commit", action="store_true", help="write the files, and leave the commit to you")
    parser.add_argument(
        "--force", action="store_true", help="replace the block of trials even if it was edited by hand"
    )
    parser.add_argument("--code", metavar="DIR", help="the folder to freeze; default: code.path, else trainer")
    parser.add_argument("--repin", action="store_true", help="freeze the code anew")
    parser.add_argument("--allow-dirty", action="store_true", help="freeze code with uncommitted changes")
    parser.add_argument("--json", action="store_true", help="what was done, as JSON on stdout")
    return parser.parse_args(argv)


def new_values(files: SweepFiles, domain: space.Space | None, values: ValuesFile | None, force: bool) -> str:
    """The text that values.yaml should have. Raises BadInput where expand would overwrite what a person wrote."""
    if domain is None:
        if values is None:
            folder = files.clone.relative(files.folder)
            raise BadInput(f"{folder}: no space.yaml and no values.yaml; `make new SWEEP={files.name}` starts a sweep")
        return values.text
    if values is None:
        return valuesfile.generate(files.name, domain, samplers.expand(domain))
    block = values.block
    if block and block.space == domain.digest:
        return values.text
    if block and block.edited and not force:
        raise BadInput(
            f"{values.shown}:{block.first + 1}: space.yaml has changed, and so have trials in its block; "
            "move your trials below `# end`, or replace the block by expand --force"
        )
    valuesfile.check_head(values, domain)
    return valuesfile.with_trials(values, domain, samplers.expand(domain))


def new_code(files: SweepFiles, args: argparse.Namespace, values: ValuesFile) -> tuple[str | None, str]:
    """(text of a new code.yaml or None to leave it, what to say about it)."""
    clone, shown = files.clone, files.clone.relative(files.code)
    frozen = code.parse(yamlfile.read_text(files.code, shown), shown) if files.code.exists() else None
    renew = args.repin or not files.code.exists()
    if args.code and not renew:
        raise BadInput(f"--code {args.code}: {shown} exists; add --repin to freeze the code anew")
    wanted = values.head.data.get("code") or {}
    source = wanted.get("source", "bundle")
    if source != "bundle" or (frozen is None and not renew):
        return None, ""  # `code: {source: image}`, by hand in one of the two files
    default = frozen.path if frozen else clone.relative(clone.trainer)
    folder = clone.root / (args.code or wanted.get("path") or default)
    if not renew:
        assert frozen is not None
        try:
            changed = code.differences(frozen, code.freeze(clone.root, folder))
        except BadInput as error:
            return None, f"{error}; the sweep keeps its frozen code"
        said = f"{frozen.path} has changed since its code was frozen ({', '.join(changed)}); --repin renews it"
        return None, said if changed else ""
    bundle = code.freeze(clone.root, folder)
    if frozen and frozen.path == bundle.path and not code.differences(frozen, bundle):
        return None, ""
    dirty = git.dirty(clone.root, bundle.path)
    if dirty and not (args.allow_dirty or args.no_commit or args.dry_run):
        raise BadInput(f"{dirty[0]}: has uncommitted changes; commit them, or record them as such by --allow-dirty")
    return code.dump(bundle), f"code frozen from {bundle.path} ({plural(len(bundle.files), 'file')})"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def by_hand(files: SweepFiles, values: ValuesFile | None) -> list[str]:
    """What a person changed in values.yaml since it was committed, as `+ line` and `- line`."""
    shown = files.clone.relative(files.values)
    committed = git.show(files.clone.root, "HEAD", shown)
    if values is None or committed is None:
        return []
    try:
        return valuesfile.edits(valuesfile.parse(committed.decode(errors="replace"), shown), values)
    except BadInput:
        return []  # what was committed was broken; the commit's own diff shows how it was mended


def limits(values: ValuesFile, trials: int) -> str:
    """What the trials may cost at most, where the sweep sets a limit."""
    seconds = values.head.data.get("limit_seconds")
    return f"; each at most {seconds} s, {trials * seconds / 3600:.1f} h in all" if seconds else ""


def main(argv: list[str] | None = None, clone: Clone | None = None) -> int:
    args, clone = arguments(argv), clone or Clone.here()
    files = clone.sweep(args.sweep)
    if git.root(clone.root).resolve() != clone.root.resolve():
        raise BadInput(f"{clone.root}: lies inside another git repository; a clone of its own is needed")
    if not args.dry_run and not args.no_commit:
        git.check_ready(clone.root)
    schema = json.loads((clone.chart / "values.schema.json").read_text())
    domain = space.load(files) if files.space.exists() else None
    values = valuesfile.load(files) if files.values.exists() else None
    if values:
        valuesfile.check(values, args.sweep, schema)
    text = new_values(files, domain, values, args.force)
    final = values if values and values.text == text else valuesfile.parse(text, clone.relative(files.values))
    trials = valuesfile.check(final, args.sweep, schema) if final is not values else len(final.trials())
    if not trials:
        raise BadInput(f"{final.shown}: no trials; write one below `trials:`, or a space.yaml to expand")
    code_text, said = new_code(files, args, final)
    edited = by_hand(files, values)
    own = len(final.head.data.get("trials") or [])
    sampled = "; ".join([*([str(domain.sampler)] if domain else []), *([f"{own} by hand"] if own else [])])
    counted = f"{plural(trials, 'trial')} ({sampled})"
    cli.say(f"{args.sweep}: {counted}{limits(final, trials)}")
    if said:
        cli.say(f"{args.sweep}: {said}")
    pending = [(path, new) for path, new in ((files.values, text), (files.code, code_text)) if new is not None]
    pending = [(path, new) for path, new in pending if path != files.values or final is not values]
    written = [clone.relative(path) for path, _ in pending]
    if not args.dry_run:
        for path, new in pending:
            write_atomic(path, new)
    for shown in written:
        cli.say(f"{shown}: {'would be ' if args.dry_run else ''}written")
    commit = None
    if not args.dry_run and not args.no_commit:
        subject = (
            counted if files.values in dict(pending) or not edited else f"{plural(trials, 'trial')}, edited by hand"
        )
        body = ["By hand in values.yaml:", *edited[:20], *(["…"] if len(edited) > 20 else [])] if edited else []
        message = "\n".join([f"{args.sweep}: {subject}", "", *body, *([said] if code_text else [])]).strip()
        paths = [clone.relative(path) for path in (files.space, files.values, files.code) if path.exists()]
        commit = git.commit(clone.root, paths, message)
        if commit:
            author = f" as {git.NAME} <{git.EMAIL}>, for git knows no user.name and user.email"
            cli.say(f"{args.sweep}: committed {commit.sha[:12]}{author if commit.own_identity else ''}")
    if args.json:
        done = {"sweep": args.sweep, "trials": trials, "sampler": sampled, "written": written, "by_hand": edited}
        cli.put(done | {"commit": commit.sha if commit else None})
    return 0


if __name__ == "__main__":
    cli.run(main)
