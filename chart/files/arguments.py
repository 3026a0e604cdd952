"""The words that the chart starts the runner with."""

from __future__ import annotations

import argparse

from ending import BAD_INPUT, Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Stop(BAD_INPUT, f"arguments: {message}; render the chart again")


def parse_arguments(words: list[str] | None) -> argparse.Namespace:
    """Raises Stop."""
    # A width, or argparse imports shutil to ask for the terminal's.
    style = lambda prog: argparse.HelpFormatter(prog, width=120)  # noqa: E731
    parser = Parser(description="Run one attempt of the trial in TRIAL.", allow_abbrev=False, formatter_class=style)
    add = parser.add_argument
    add("--results", required=True, metavar="DIR", help="the result store")
    add("--data", metavar="DIR", help="the data set; without it there is no DATA_DIR")
    add("--data-at", metavar="PATH", help="where the command finds the data set too, from its folder")
    add("--code", metavar="PATH", help="files.json or folder of the frozen code; without it the code is in the image")
    add("--provenance", metavar="FILE", help="provenance.json; may be missing")
    add("--make", action="append", metavar="PATH", help="make this folder of the store, and run nothing")
    add("--scratch", required=True, metavar="DIR", help="a writable folder for this attempt alone")
    add("--gpus", type=int, default=0, metavar="N", help="GPUs of this Pod, for the record")
    add("--grace", type=float, default=30, metavar="SECONDS", help="time between SIGTERM and SIGKILL from outside")
    add("--checkpoints", choices=("auto", "keep", "drop"), default="auto", help="what becomes of them after the result")
    add("--outputs", default="none", metavar="SIZE", help="keep OUTPUT_DIR with the result, up to so many bytes")
    add("--budget", default="", metavar="NAME", help="hyperparameter whose trials share checkpoints")
    add("--gpu-shared", action="store_true", help="out of GPU memory is tried again")
    options = parser.parse_args(words)
    options.within = ""  # path below the store of the one that is used, with a slash at its end
    return options
