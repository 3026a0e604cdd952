"""What every verb shares at its edge: arguments, talk on stderr, data on stdout, one-line errors, exit codes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from sweep.errors import SweepError


def parser(doc: str | None, *, sweep: bool = True) -> argparse.ArgumentParser:
    """A parser that shows the verb's docstring; `sweep` adds the sweep's name as the positional argument."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if sweep:
        made.add_argument("sweep", help="name of the sweep: the folder values/<sweep>")
    return made


def engine_argument(made: argparse.ArgumentParser) -> None:
    made.add_argument("--engine", default="auto", help="auto (the default), local or cluster")


def submit_arguments(made: argparse.ArgumentParser) -> None:
    """What a submission can be told, by itself or as a step of `make sweep`."""
    engine_argument(made)
    made.add_argument("--slots", type=int, help="local: how many trials at once; default: one a core, or a GPU set")
    made.add_argument("--allow-dirty", action="store_true", help="submit uncommitted changes, recorded as such")
    made.add_argument("--push", action="store_true", help="push the current branch before trials start")


def say(text: str) -> None:
    """Talk, for people: stderr."""
    print(text, file=sys.stderr, flush=True)


def put(data: Any) -> None:
    """Data, for programs: one JSON document on stdout."""
    print(json.dumps(data, indent=2))


def run(main: Callable[[], int]) -> NoReturn:
    """Run a verb: an expected failure becomes one line on stderr and its exit code."""
    try:
        sys.exit(main())
    except SweepError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
