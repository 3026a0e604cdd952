"""What all verbs share: arguments, messages on stderr, data on stdout. guard.py turns errors into exit codes."""

from __future__ import annotations

import guard
from guard import say as say  # the same for last words and all others

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn

from sweep import commits, git, leftovers, locks, words
from sweep.engines.engine import Person, Watcher
from sweep.engines.kinds import NAMES
from sweep.errors import BadInput
from sweep.jobs import JobState
from sweep.layout import Clone, look_from
from sweep.records import results
from sweep.render import varying_names
from sweep.session import Session, Target
from sweep.session import open_sweep as open_session

FLAGS = {
    "allow-dirty": "submit uncommitted changes too; results record it",
    "push": "push the current branch before trials start",
    "takeover": "cluster: replace a release whose commit is not in the history of HEAD",
    "yes": "cluster: do not ask before ending running trials",
}
"""Flags of a submission; each is also a variable of make."""


Looker = Callable[[Mapping[str, JobState]], None]
"""Called with the states of the Jobs, each time they were read."""


class Project(argparse.Action):
    """`--project DIR`: sets where layout.py looks for the project."""

    def __call__(self, _parser: Any, _namespace: Any, value: Any, _option: str | None = None) -> None:
        look_from(Path(value))


def names_of_sweeps(**_: Any) -> list[str]:
    """Completes names of sweeps."""
    return Clone.here().sweeps


class Parser(argparse.ArgumentParser):
    """A parser that raises BadInput, for an error of one line."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
            import argcomplete

            argcomplete.autocomplete(self)
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{self.prog}: {message}; see --help")


def parser(doc: str | None, *, sweep: bool = True, prog: str = "") -> argparse.ArgumentParser:
    """A parser that shows the verb's docstring; `sweep` adds the sweep's name as the positional argument."""
    prog = prog or Path(sys.argv[0]).name
    arguments = Parser(prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--project", metavar="DIR", action=Project, help="the project is DIR, or the nearest project above it"
    )
    if sweep:
        sweep_argument(arguments)
    return arguments


def sweep_argument(arguments: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """The sweep's name, as positional argument."""
    name = arguments.add_argument("sweep", nargs=nargs, help="name of the sweep, that is of the folder values/<sweep>")
    name.completer = names_of_sweeps  # type: ignore[attr-defined]


def engine_argument(arguments: argparse.ArgumentParser) -> None:
    """Where the sweep runs; `open_sweep` reads it."""
    arguments.add_argument("--engine", default="auto", help=f"auto (the default), {' or '.join(NAMES)}")
    arguments.add_argument(
        "--context", default="", help="kubectl context; default: cluster.context, then the current one"
    )
    arguments.add_argument("--namespace", default="", help="namespace; default: cluster.namespace, then the context's")


def trial_argument(arguments: argparse.ArgumentParser) -> None:
    """A trial of any sweep, by its id or the first digits of it."""
    arguments.add_argument("trial", type=hex_digits, help="id of the trial, or its first digits")


def is_beginning(text: str) -> bool:
    """Whether this can be an id, or the first digits of one."""
    return bool(re.fullmatch("[0-9a-f]{4,64}", text))


def hex_digits(text: str) -> str:
    """Type of an argument: an id, or its first digits."""
    if not is_beginning(text):
        raise argparse.ArgumentTypeError("write TRIAL=id: at least four of its hex digits, as in TRIAL=fa77f959c6e3")
    return text


def project(clone: Clone | None = None) -> Clone:
    """The project that is worked on, without what commands of ours have left in it that could not remove it."""
    clone = clone or Clone.here()
    locks.clear(clone.root)
    leftovers.clear(Path(leftovers.place()), *clone.written)
    return clone


def open_sweep(args: argparse.Namespace) -> Session:
    """The sweep and engine that the arguments name."""
    return open_session(project(), args.sweep, Target(args.engine, args.context, args.namespace))


def switch(doc: str | None, *, suspend: bool) -> int:
    """Suspend or resume the sweep that the arguments name; `doc` is the verb's own. Returns the exit code."""
    done = "suspended" if suspend else "resumed"
    arguments = parser(doc)
    engine_argument(arguments)
    shown = f"show how many Jobs would be {done}, and change nothing"
    arguments.add_argument("--dry-run", action="store_true", help=shown)
    args = arguments.parse_args()
    session = open_sweep(args)
    count = session.engine.suspend(suspend, args.dry_run)
    would = "would be " if args.dry_run else ""
    hint = f"; `make resume SWEEP={session.name}` lets them go on" if suspend and count and not args.dry_run else ""
    say(f"{session.name}: {count} Jobs {would}{done}{hint}")
    return 0


def submit_arguments(arguments: argparse.ArgumentParser) -> None:
    """The options of a submission, by itself or as a step of `make sweep`."""
    engine_argument(arguments)
    arguments.add_argument(
        "--slots", type=count, help="local: how many trials run at once; default: one per core, or per GPU set"
    )
    for name, meaning in FLAGS.items():
        arguments.add_argument(f"--{name}", action="store_true", help=meaning)


def quorum_argument(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--quorum",
        type=share,
        default=1.0,
        help="share of trials that must have ended before the next round; default: 1.0",
    )


def share(text: str) -> float:
    """Type of an argument: above 0, at most 1."""
    with suppress(ValueError):
        if 0 < float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a share above 0, and at most 1, such as 0.9, got {text!r}")


def count(text: str) -> int:
    """Type of an argument: a whole number, at least 1."""
    with suppress(ValueError):
        if int(text) > 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")


def turn(
    session: Session, path: Path, since: git.Position, *, wanted: bool
) -> AbstractContextManager[commits.Turn | None]:
    """The turn to write a file of a sweep and commit it on the branch of `since`; does nothing unless `wanted`."""
    clone = session.files.clone
    return commits.turn(clone.root, [clone.relative(path)], say, since) if wanted else nullcontext()


def confirm(what: str) -> None:
    """Ask before something that cannot be undone. Raises BadInput for anything but a yes."""
    if not sys.stdin.isatty():
        raise BadInput(f"{what}; say YES=1 to do it")
    say(what)
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise BadInput("left as it was")


def person(session: Session, *, yes: bool, look: Looker = lambda _: None) -> Person:
    """The person at the terminal, for an engine; `yes`: agrees to everything. `look` is called with states of Jobs."""

    def watcher() -> Watcher:
        import display  # with rich, which takes a tenth of a second to import

        trials = session.rendered.trials
        objective = results.objectives(trials)[0]
        return display.Display(
            session.engine.store_folder, trials, varying_names(trials), objective, session.engine.now, look
        )

    return Person(say, (lambda _: None) if yes else confirm, watcher)


def put(data: Any) -> None:
    """Data, for programs: one JSON document on stdout."""
    print(json.dumps(data, indent=2))


def show(text: str) -> None:
    """Data, for people: one line on stdout."""
    print(words.line(guard.spell(text)))


def show_page(text: str) -> None:
    """Data, for people: some lines on stdout, the last one ended."""
    print(words.shown(guard.spell(text)), end="")


def pass_on(lines: Iterable[bytes]) -> None:
    """Write what others wrote to stdout: escaped on a terminal, byte for byte elsewhere."""
    for line in lines:
        if sys.stdout.isatty():
            show_page(line.decode(errors="backslashreplace").replace("\r\n", "\n").replace("\r", "\n"))
        else:
            sys.stdout.buffer.write(line)
