"""Fill the data volume: unpack the code, take in what is sent, and become the values' data.prepare.

    prepare.py --data DIR --scratch DIR [--code PATH] [--upload] [--given NAME]... -- COMMAND ...

--upload reads a tar from stdin into a folder of its own, and appends `--source folder THAT` to the command. DATA_ID is
in the environment. Ends as the command does; before it begins with 65 for a tar that is none or leads elsewhere, 75
for one that was cut off, 64 for a broken bundle. Standard library only, Python 3.9.
"""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, NoReturn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # python -I leaves it out
sys.dont_write_bytecode = True  # the folder is a chart, or cannot be written
from ending import BAD_INPUT, TRY_AGAIN, Stop, in_words, say
from environment import usual_environment
from folders import remove
from placing import unpack

BAD_DATA = 65
BLOCK = 1 << 20


def receive(stream: BinaryIO, folder: str) -> int:
    """Unpack a tar into an empty `folder`, block by block; returns the number of files. Raises Stop."""
    import shutil
    import tarfile

    remove(folder)
    os.makedirs(folder)
    count = 0
    try:
        with tarfile.open(fileobj=stream, mode="r|*", bufsize=BLOCK) as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it keeps every one in memory
                parts = member.name.rstrip("/").split("/")
                if {"", ".."} & set(parts) or not (member.isreg() or member.isdir()):
                    raise Stop(BAD_DATA, f"upload: {member.name!r}: leads elsewhere or is not a file; send plain files")
                path = os.path.join(folder, *parts)
                os.makedirs(path if member.isdir() else os.path.dirname(path), exist_ok=True)
                content = archive.extractfile(member)
                if content:
                    with open(path, "wb") as opened:
                        shutil.copyfileobj(content, opened, BLOCK)
                    count += 1
    except (tarfile.ReadError, EOFError) as error:
        cut = count or "unexpected end" in str(error)
        reason = "was cut off" if cut else "is not a tar archive"
        raise Stop(TRY_AGAIN if cut else BAD_DATA, f"upload: {reason} ({error}); send it again") from None
    if not count:
        raise Stop(BAD_DATA, "upload: holds no file; send the folder of the data set")
    return count


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Stop(BAD_INPUT, f"arguments: {message}; render the chart again")


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Raises Stop."""
    parser = Parser(description="Fill the data volume.", allow_abbrev=False)
    add = parser.add_argument
    add("--data", required=True, metavar="DIR", help="the data volume")
    add("--scratch", required=True, metavar="DIR", help="a writable folder")
    add("--code", metavar="PATH", help="files.json or folder of the frozen code; without it the code is in the image")
    add("--upload", action="store_true", help="a tar of the source comes through stdin")
    add("--given", action="append", default=[], metavar="NAME", help="variable of the values' env, which stays")
    add("command", nargs="+", metavar="COMMAND", help="data.prepare of the values")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Returns only where the command could not be started."""
    try:
        options = arguments(words)
        scratch, command = os.path.abspath(options.scratch), options.command
        if options.code:
            unpack(options.code, f"{scratch}/code")
        if options.upload:
            count = receive(sys.stdin.buffer, f"{scratch}/upload")
            say(f"upload: {count} files")
            command = [*command, "--source", "folder", f"{scratch}/upload"]
        usual = usual_environment(scratch)
        usual = {name: value for name, value in usual.items() if name not in options.given}
        env = {**os.environ, **usual, "DATA_DIR": os.path.abspath(options.data)}
        if options.code:
            os.chdir(f"{scratch}/code")
        try:
            os.execvpe(command[0], command, env)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise Stop(127, f"data.prepare: {command[0]}: {reason}; mend it, or the image") from None
    except (Stop, OSError) as error:
        stop = error if isinstance(error, Stop) else Stop(TRY_AGAIN, in_words(error))
    say(stop.message)
    return stop.code


if __name__ == "__main__":
    sys.exit(main())
