"""Create a sweep for a program: values/<sweep>/space.yaml and values.yaml, ready to run and to edit.

    new mine -- python train.py --lr {lr} --epochs 3

{name} is replaced by that hyperparameter, {hyperparameters} by all of them. Their names, types and defaults are read
from the program's --help and source (it is not imported), or from the file that --config names.
"""

from __future__ import annotations

import guard

import argparse
import difflib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cli
from sweep import yamlfile
from sweep.errors import BadInput
from sweep.files import holds, read, remove_left, write_atomic
from sweep.layout import Clone, SweepFiles
from sweep.spaces import configurations, helptexts, offered
from sweep.words import ended

SCRIPT = re.compile(r"(?!-)[\w.-]+(/[\w.-]+)*\.(py|sh|bash|[rR]|jl|pl|rb|js|lua|awk|m)")
"""A word of a command that names the script which some interpreter is to run; the runner has the same."""
LARGEST_BYTES = 16 << 20
PATIENCE_SECONDS = 60
"""For --help, of a program that imports torch first."""
EXAMPLE = """\
# yaml-language-server: $schema=../../schemas/space.schema.json
# The search space of {name}. `make sweep SWEEP={name}` expands it into trials, commits them and runs them.

# The metric that ranks trials, as the command writes it to METRICS_FILE.
objective: {{metric: val_accuracy, direction: maximize}}

# grid: every point of a finite space. random: n points, none twice; a larger n keeps those that are there.
# Also sobol, lhs, explicit, and in rounds tpe and halving: docs/search.md says which to take.
# `replicates: 3` trains each point with the seeds 0, 1 and 2.
sampler: {{name: random, n: 8, seed: 0}}

# The same in all trials.
hyperparameters: {{epochs: 3, width: 8, train_examples: 10000}}

# What is searched. Also: {{type: bool}}, {{type: choice, choices: [a, b]}}, {{type: int, low: 1, high: 64, log: true}},
# {{type: float, low: 0.0, high: 1.0, step: 0.1}}.
space:
  max_learning_rate: {{type: float, low: 0.05, high: 1.0, log: true}}
  batch_size: {{type: int, choices: [128, 512]}}
  momentum: {{type: float, low: 0.8, high: 0.98}}
"""


def asked(call: Sequence[str], folder: Path) -> str:
    """What a program prints of itself; "" where it does not, and why is said."""
    env = os.environ | {"COLUMNS": "1000"}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        process = subprocess.Popen(call, cwd=folder, env=env, start_new_session=True, **streams)  # type: ignore[call-overload]
    except OSError as error:
        cli.say(f"{call[0]}: cannot be asked for its options: {error.strerror}")
        return ""
    try:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        cli.say(f"{' '.join(call)}: took more than {PATIENCE_SECONDS} s, and was ended")
        return ""
    listed: str = (out or err).decode(errors="replace")
    if process.returncode and not helptexts.of_help(listed):  # absl ends with 1, Go's flag with 2
        last = (err or out).decode(errors="replace").strip().splitlines() or [ended(process.returncode)]
        cli.say(f"{' '.join(call)}: {last[-1]}; its options are not known")
        return ""
    return listed


def check_words(command: list[str], folder: Path) -> None:
    """Raises BadInput for a command that no shell has taken apart, and for a script that is not there."""
    if len(command) == 1 and " " in command[0].strip():
        raise BadInput(f"new: the command is one word, {command[0]!r}; write it without the quotes around it")
    scripts = [word for word in command[:8] if SCRIPT.fullmatch(word)]
    if scripts and not (folder / scripts[0]).exists():
        there = sorted(path.name for path in folder.iterdir() if path.suffix == Path(scripts[0]).suffix)
        near = difflib.get_close_matches(scripts[0], there, 1)
        advice = f"did you mean {near[0]}?" if near else "the path is from the folder you are in"
        raise BadInput(f"new: {scripts[0]}: no such file in {folder}; {advice}")


def source_of(command: list[str], folder: Path) -> str:
    """The text of the Python script that the command starts; "" where it starts another program."""
    scripts = [folder / word for word in command[:4] if word.endswith(".py") and (folder / word).is_file()]
    return read(scripts[0], LARGEST_BYTES).decode(errors="replace") if scripts else ""


def options(
    command: list[str], folder: Path, source: str, config: Path | None
) -> tuple[list[offered.ProgramOption], dict[str, Any]]:
    """(what the program offers, how it wants its words), from all that may be read."""
    files = [config] if config else list(configurations.named_in(command, folder))
    named = [option for path in files for option in offered.of_config(yamlfile.load(folder / path, str(path)).data)]
    if source and not offered.PARSERS.search(source):
        return offered.merged(named), {}  # asked for help it might begin to train
    text = asked(offered.asking_help(command), folder)
    if "== Config ==" in text:
        return offered.merged(named, configurations.of_hydra(text)), {"style": "name=value"}
    return offered.merged(named, helptexts.of_help(text), offered.of_source(source)), helptexts.passing(text)


def passing(command: list[str], ways: dict[str, Any]) -> str:
    """The value of that name: of a command for all hyperparameters, as its own other words are, or as its help says."""
    if f"{{{offered.ALL}}}" not in command:
        return ""
    as_words = any("=" in word.split("{")[0] and word[0] != "-" for word in command if "{" in word)
    settings = {"style": "name=value"} if as_words else ways
    return yamlfile.plain(settings) if settings else ""


def objective(text: str) -> dict[str, str]:
    """Type of an argument: `val_loss:minimize`."""
    metric, _, direction = text.partition(":")
    if not metric or direction not in ("minimize", "maximize"):
        raise argparse.ArgumentTypeError("write NAME:minimize or NAME:maximize, as in val_loss:minimize")
    return {"metric": metric, "direction": direction}


def texts(args: argparse.Namespace, command: list[str], files: SweepFiles) -> dict[Path, str]:
    """The files of the new sweep."""
    clone = files.clone
    if not command:
        if clone.trainer.is_dir():
            return {files.space: EXAMPLE.format(name=args.sweep)}
        raise BadInput(f"new: names no program; write `helm-sweep new {args.sweep} -- python train.py --lr {{lr}}`")
    here = Path.cwd()
    folder = here if here.is_relative_to(clone.root) else clone.root
    check_words(command, folder)
    names = {*offered.placeholders(command)} | {offered.ALL for word in command if f"{{{offered.ALL}}}" in word}
    if not names:
        raise BadInput(
            "new: the command has no hyperparameter; put {name} where the program takes one, as in --lr {lr}"
        )
    source = source_of(command, folder)
    hyperparameters, ways = options(command, folder, source, args.config)
    if names == {offered.ALL} and not hyperparameters:
        raise BadInput("new: nothing is known of the program's options; name some as {name}, or a file by --config")
    values = offered.values_text(
        args.sweep,
        command,
        str(folder.relative_to(clone.root)),
        args.objective,
        passing=passing(command, ways),
        metrics=offered.reading(source),
    )
    return {files.space: offered.space_text(args.sweep, command, hyperparameters, args.objective), files.values: values}


def main(argv: list[str] | None = None, clone: Clone | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    at = words.index("--") if "--" in words else len(words)
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML file with the program's settings; default: the one that the command names",
    )
    default = {"metric": "val_loss", "direction": "minimize"}
    parser.add_argument(
        "--objective",
        type=objective,
        default=default,
        metavar="METRIC:DIRECTION",
        help="minimize or maximize a metric; default: val_loss:minimize",
    )
    parser.epilog = "After -- follows the command, as you type it in a shell."
    try:
        args = parser.parse_args(words[:at])
    except BadInput as error:
        if "--" in words or "unrecognized arguments: -" in str(error):
            raise
        raise BadInput(f"{error}; the command comes after --, as in -- python train.py --lr {{lr}}") from None
    clone = cli.project(clone)
    files = clone.sweep(args.sweep)
    new = texts(args, words[at + 1 :], files)
    there = [path for path in (files.space, files.values) if clone.has(path)]
    # What is as it was made is of a call that was cut off, perhaps.
    if any(path not in new or not holds(path, new[path].encode(), clone.values) for path in there):
        raise BadInput(f"{clone.relative(there[0])}: exists already; choose another name, or edit it")
    for path, text in new.items():
        write_atomic(path, text, clone.values)
    remove_left(new)
    them, then = "it", ""
    if files.values in new:
        them, then = "them", f"`make check SWEEP={args.sweep}` tries one trial, "
    cli.say(f"{' and '.join(map(clone.relative, new))}: edit {them}, {then}then `make sweep SWEEP={args.sweep}`")
    return 0


if __name__ == "__main__":
    guard.run(main)
