"""What a program offers to be searched, and a first space.yaml and values.yaml for it.

Known from its own --help, from its source where that calls argparse's add_argument, read and never imported, and from a
configuration file. What it is called with is the person's command; a range is a guess around the default.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweep import yamlfile

PLACEHOLDER = re.compile(r"(?<![{$])\{([A-Za-z_][\w.-]*)\??\}")
GIVEN = {"seed", "trial", "data_dir", "checkpoint_dir", "output_dir", "file"}
"""Placeholders that are no hyperparameters."""
ALL = "hyperparameters"
"""The word that stands for all of them."""
PARSERS = re.compile(
    r"argparse|click|typer|fire|absl|tyro|jsonargparse|LightningCLI|hydra|simple_parsing|HfArgumentParser|docopt|plac\b"
)
"""What in a script's text says that it knows --help; any other might begin to train."""
RATES = re.compile(r"(^|[._-])(lr|learning[._-]?rate)$")


@dataclass(frozen=True)
class ProgramOption:
    """A setting of a program."""

    name: str
    """As a hyperparameter: `learning_rate`, `optimizer.lr`."""
    default: Any = None
    """None: not known."""
    choices: tuple[Any, ...] = ()
    help: str = ""
    known: bool = True
    """Whether the program was seen to have it."""


def of_source(text: str) -> list[ProgramOption]:
    """The options that a Python source adds to a parser of argparse, as far as they are literals."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    added = (call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument")
    return [option for call in added if (option := _added(call))]


def _added(call: ast.Call) -> ProgramOption | None:
    """The option of a call of add_argument; None for a positional argument."""
    flags = [word.value for word in call.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    named = [flag.removeprefix("--").replace("-", "_") for flag in flags if flag.startswith("--")]
    if not named:
        return None
    given = {word.arg: _literal(word.value) for word in call.keywords if word.arg}
    choices = given.get("choices")
    listed = tuple(choices) if isinstance(choices, list | tuple) else ()
    return ProgramOption(named[0], _default(call, given), listed, str(given.get("help") or ""))


def _default(call: ast.Call, given: Mapping[str, Any]) -> Any:
    """What the option is where nobody sets it; of the type that the call names."""
    default = False if given.get("action") == "store_true" else given.get("default")
    kind = next((word.value.id for word in call.keywords if _is_type(word)), "")  # type: ignore[attr-defined]
    return float(default) if kind == "float" and type(default) is int else default


def _is_type(word: ast.keyword) -> bool:
    return word.arg == "type" and isinstance(word.value, ast.Name)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def of_config(data: Mapping[str, Any], above: str = "") -> list[ProgramOption]:
    """The scalars of a configuration file, nested keys with dots."""
    options = []
    for key, value in data.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            options += of_config(value, f"{name}.")
        elif isinstance(value, bool | int | float | str) and re.fullmatch(r"[A-Za-z_][\w.-]{0,62}", name):
            options.append(ProgramOption(name, value))
    return options


def value_of(text: str) -> Any:
    """A default as a help text spells it."""
    text = text.strip().strip("'\"")
    if text in ("None", "", "null"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"[+-]?\d{1,15}", text):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE):
        return float(text)
    return text


def merged(*sources: Iterable[ProgramOption]) -> list[ProgramOption]:
    """Options by name, in the order they were first seen in; what one source does not know a later one tells."""
    options: dict[str, ProgramOption] = {}
    for option in (item for source in sources for item in source):
        before = options.get(option.name)
        options[option.name] = option if before is None else replace(
            before,
            default=option.default if before.default is None or isinstance(option.default, float) else before.default,
            choices=before.choices or option.choices,
            help=before.help or option.help,
        )  # fmt: skip
    return list(options.values())


def placeholders(command: Sequence[str]) -> dict[str, str]:
    """Hyperparameter that a word of the command asks for -> the option that it is given to, as far as that is seen."""
    flags = {}
    for before, word in zip(["", *command], command, strict=False):
        for match in PLACEHOLDER.finditer(word):
            flag = word[: match.start()].rstrip("=") or (before if before.startswith("-") else "")
            if match[1] not in GIVEN | {ALL}:
                flags[match[1]] = flag.lstrip("-+").replace("-", "_")
    return flags


def asking_help(command: Sequence[str]) -> list[str]:
    """The command that prints the program's help: without what is filled in, and without options that it was for."""
    kept: list[str] = []
    for word in command:
        if not PLACEHOLDER.search(word):
            kept.append(word)
        elif PLACEHOLDER.fullmatch(word) and kept[1:] and kept[-1].startswith("-"):
            kept.pop()
    return [*kept, "--help"]


# ---- a first search space ----


def domain(option: ProgramOption) -> str:
    """A range around the default, as space.yaml spells it."""
    value = option.default
    if isinstance(value, bool):
        return "{type: bool}"
    if option.choices:
        kinds = {type(choice) for choice in option.choices}
        kind = {"int": "int", "float": "float"}.get(kinds.pop().__name__, "choice") if len(kinds) == 1 else "choice"
        return f"{{type: {kind}, choices: {yamlfile.plain(list(option.choices))}}}"
    if isinstance(value, int) and value > 0:
        return f"{{type: int, low: {max(1, value // 4)}, high: {value * 4}, log: true}}"
    if isinstance(value, float) and 0.5 <= value < 0.9999:  # momentum, gamma, a share to keep
        low, high = max(0.0, 1 - 5 * (1 - value)), 1 - (1 - value) / 5
        return f"{{type: float, low: {_round(low)}, high: {_round(high)}}}"
    if isinstance(value, float) and value > 1e-300:
        return f"{{type: float, low: {_round(value / 10)}, high: {_round(value * 10)}, log: true}}"
    if isinstance(value, str) and value.isprintable():
        return f"{{type: choice, choices: {yamlfile.plain([value])}}}"
    return "{type: float, low: 0.0, high: 1.0}" if value == 0 else "{type: float, low: 0.0001, high: 1.0, log: true}"


def _round(value: float) -> str:
    return yamlfile.flow(float(f"{value:.5g}"))


def space_text(
    name: str, command: Sequence[str], options: Sequence[ProgramOption], objective: Mapping[str, str]
) -> str:
    """A space.yaml that is ready to run: the command's placeholders; what else the program offers is commented out."""
    in_file = any(f"{{{ALL}}}" in word for word in command)
    wanted, others = _shared_out(placeholders(command), options, in_file=in_file)
    lines = [
        f"# The search space of {name}: `helm-sweep run {name}` expands it into trials, commits them and runs them.",
        "",
        "# The metric that ranks trials, by the name that the program gives it.",
        f"objective: {yamlfile.plain(dict(objective))}",
        "",
        "# random: n points, none twice. Also grid, sobol, lhs, explicit, and in rounds tpe and halving.",
        "sampler: {name: random, n: 8, seed: 0}",
        "",
        "# What is searched. Also {type: bool}, {type: choice, choices: [a, b]}, {type: int, low: 1, high: 8}.",
        "space:",
        *(f"  {_entry(option)}" for option in wanted),
    ]
    if others:
        way = "" if in_file else ", with {name} in the command of values.yaml"
        lines += ["", f"  # The program has these too: take the # away{way}."]
        lines += [f"  # {_entry(option)}" for option in others]
    return "\n".join([*lines, ""])


def _shared_out(
    asked: Mapping[str, str], options: Sequence[ProgramOption], *, in_file: bool
) -> tuple[list[ProgramOption], list[ProgramOption]]:
    """(what is searched, what else there is): what the command has a place for, or else the most likely one."""
    by_name = {option.name: option for option in options}
    wanted = [replace(_of(flag, key, by_name), name=key) for key, flag in asked.items()]
    others = [option for option in options if option.name not in {*asked, *asked.values(), *GIVEN}]
    if not in_file:
        return wanted, others
    rates = [option for option in others if RATES.search(option.name)]
    likely = [*rates, *filter(_number, others), *others][:1]
    return wanted + likely, [option for option in others if option not in likely]


def _of(flag: str, key: str, by_name: Mapping[str, ProgramOption]) -> ProgramOption:
    return by_name.get(flag) or by_name.get(key) or ProgramOption(key, known=False)


def _number(option: ProgramOption) -> bool:
    return isinstance(option.default, int | float) and not isinstance(option.default, bool)


def _entry(option: ProgramOption) -> str:
    """A line of the space, with what is known of the option behind it."""
    if not option.known:
        about = "no default is known: set the range"
    else:
        about = "; ".join(
            filter(
                None,
                [option.help, "no default" if option.default is None else f"default {yamlfile.plain(option.default)}"],
            )
        )
    return f"{yamlfile.plain(option.name)}: {domain(option)}  # {' '.join(about.split())[:100]}"


def reading(source: str) -> str:
    """Where metrics are read, as values.yaml says it: from what is printed; "" of a program that knows of us."""
    if "METRICS_FILE" in source:
        return ""
    return yamlfile.plain([{"from": "output", "format": style} for style in ("name=value", "name: value")])


def values_text(
    name: str, command: Sequence[str], folder: str, objective: Mapping[str, str], *, passing: str, metrics: str
) -> str:
    """A values.yaml with its head written and its block empty."""
    read = f"metrics: {metrics}  # as it prints them; other ways: docs/programs.md"
    lines = [
        f"# The sweep {name}: expand owns the marked block of trials, every other line is yours.",
        "# What base.yaml sets may be overridden here.",
        f"sweep: {yamlfile.plain(name)}",
        f"objective: {yamlfile.plain(dict(objective))}",
        "hyperparameters: {}  # the same in all trials",
        f"command: {yamlfile.flow(list(command))}  # {{name}} is the hyperparameter of that name",
        *([f"passing: {passing}"] if passing else []),
        *([read] if metrics else []),
        f"code: {{path: {yamlfile.flow(folder)}}}  # the folder that is frozen, and in which the command runs",
        "limit_seconds: 3600",
        "retries: {}  # {id: n}, written by retry",
        "trials:",
        "  # expanded from space.yaml: not yet",
        "  # end",
    ]
    return "\n".join([*lines, ""])
