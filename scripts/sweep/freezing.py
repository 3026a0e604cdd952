"""Whether code.yaml is to be written, and with what: the code of a sweep is frozen once, and anew only when asked."""

from __future__ import annotations

from sweep import code, git, yamlfile
from sweep.errors import BadInput
from sweep.layout import SweepFiles
from sweep.spaces.valuesfile import ValuesFile


def text(
    files: SweepFiles, values: ValuesFile, folder: str | None, *, repin: bool, dirty_allowed: bool
) -> tuple[str | None, str]:
    """(text of a new code.yaml or None to leave it, what to say about it).

    `folder` is what a person names in place of the sweep's own. Raises BadInput for code with uncommitted changes.
    """
    clone, shown = files.clone, files.clone.relative(files.code)
    frozen = code.parse(yamlfile.read_text(files.code, shown, clone.values), shown) if clone.has(files.code) else None
    renew = repin or not clone.has(files.code)
    named = (clone.root / folder).resolve() if folder else None
    if named and not renew and (frozen is None or named != (clone.root / frozen.path).resolve()):
        raise BadInput(f"--code {folder}: {shown} exists; add --repin to freeze the code anew")
    source = values.head.said("code", "source") or (frozen.source if frozen else "bundle")
    url = str(values.head.said("code", "url") or getattr(frozen, "url", ""))
    if source == "image" or (frozen is None and not renew):
        return None, ""  # `code: {source: image}`, by hand in one of the two files
    if frozen and frozen.source != source and not renew:
        raise BadInput(f"{shown}: code.source: is {frozen.source}, and values.yaml says {source}; add --repin")
    default = frozen.path if frozen else clone.relative(clone.trainer)
    source_folder = clone.root / (folder or values.head.said("code", "path") or default)
    if not renew:
        assert frozen is not None
        try:
            changed = code.differences(frozen, code.take(clone.root, source_folder, source, url))
        except BadInput as error:
            return None, f"{error}; the sweep keeps its frozen code"
        said = f"{frozen.path} has changed since its code was frozen ({', '.join(changed)}); --repin renews it"
        return None, said if changed else ""
    bundle = code.take(clone.root, source_folder, source, url)
    if frozen and frozen.path == bundle.path and not code.differences(frozen, bundle):
        return None, ""
    dirty = git.dirty(clone.root, bundle.path)
    if dirty and not dirty_allowed:
        raise BadInput(f"{dirty[0]}: has uncommitted changes; commit them, or record them as such by --allow-dirty")
    return code.dump(bundle), f"code {bundle.told}"
