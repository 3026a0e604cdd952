"""Code and data where the command looks for them."""

from __future__ import annotations

import os
from contextlib import suppress

from checks import need, strict_object
from ending import BAD_INPUT, Stop, in_words
from folders import naming, read_bytes, remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from arguments import Options


LARGEST_BUNDLE_BYTES = 16 << 20  # a ConfigMap has 1 MiB, and lies here as JSON


def place(options: Options) -> str | None:
    """Lay out code and data for the command; the code's folder, None where there is none but the image's."""
    code_folder = os.path.abspath(f"{options.scratch}/code") if options.code else None
    if code_folder:
        unpack(options.code, code_folder)
    if options.data_at:
        place_data(os.path.abspath(options.data), code_folder or os.getcwd(), options.data_at)
    return code_folder


def unpack(bundle: str, folder: str) -> None:
    """Write the frozen code into an empty `folder`: a bundle, or what Git has put into a folder.

    Raises Stop for a bundle that is none, or would write elsewhere.
    """
    import base64

    remove(folder)
    if os.path.isdir(bundle):
        import shutil

        shutil.copytree(bundle, folder, symlinks=True, copy_function=shutil.copy)
        return
    os.makedirs(folder)
    name = ""
    try:
        for name, value in strict_object(read_bytes(bundle, LARGEST_BUNDLE_BYTES)).items():
            need(not {"", ".", ".."} & set(name.split("/")), "the path leads elsewhere")
            entry = {"text": value} if isinstance(value, str) else value
            need("text" in entry or "base64" in entry, "neither text nor base64")
            path = f"{folder}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with naming(path), open(path, "wb") as opened:
                text = entry.get("text")
                opened.write(base64.b64decode(entry["base64"], validate=True) if text is None else text.encode())
            if entry.get("executable"):
                os.chmod(path, os.stat(path).st_mode | 0o111)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Stop(BAD_INPUT, f"{bundle}: {name!r}: {error}; freeze the code again (expand --repin)") from None


def place_data(data: str, folder: str, at: str) -> None:
    """Have the data set at a path from the command's folder too, for a program that looks nowhere else. Raises Stop."""
    path = os.path.normpath(f"{folder}/{at}")
    with suppress(OSError):
        if os.readlink(path) == data:  # of an earlier attempt in the same scratch
            return
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(data, path)
    except FileExistsError:
        taken = "is taken by the code, or by the runner itself; take it out of the code, or name another path"
        raise Stop(BAD_INPUT, f"data.at: {at}: {taken}") from None
    except OSError as error:
        raise Stop(BAD_INPUT, f"data.at: {at}: {in_words(error)}; name a path that can be written") from None
