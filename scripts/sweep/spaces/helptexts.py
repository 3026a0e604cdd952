"""What a --help says, as argparse, click, typer, tyro, absl, optparse, clap and Go's flag print it.

The options with their types and defaults, and how the program wants its words: with dashes, with `--no-x`.
"""

from __future__ import annotations

import re
from typing import Any

from sweep.spaces.offered import ProgramOption, value_of

OWN = {"help", "helpfull", "helpshort", "version", "install_completion", "show_completion", "print_config", "config"}
"""Options of the parsers themselves."""
FLAG = r"(?:\[no\])?(?!no-)([A-Za-z][\w.-]*)"
DEFAULT = re.compile(r"[(\[ ]default:? *([^)\]]*)[)\]]")
BRACKETS = re.compile(r"\s*[(\[](?:default|type).*")
CHOICES = re.compile(r"\{([^{}]*)\}|[<\[]([\w.-]+(?:\|[\w.-]+)+)[>\]]")
TYPE = re.compile(r"(<\w+>|[A-Z]+|float|int|string|uint|duration)(?=\s|$)")


def plain(text: str) -> str:
    """Without the boxes that some draw around it."""
    return re.sub(r"^[│|] ?(.*?)[│|]?$", r" \1", re.sub(r"^[╭╰┌└├].*$", "", text, flags=re.M), flags=re.M)


def of_help(text: str) -> list[ProgramOption]:
    """The options that it lists."""
    text = plain(text)
    dash = "--" if "--" in text else "-"  # Go's flag has one
    options = (_option(entry, dash) for entry in re.split(r"\n(?=\s{1,8}--?[A-Za-z[])", f"\n{text}")[1:])
    return [option for option in options if option]


def _option(entry: str, dash: str) -> ProgramOption | None:
    """That of the lines from one option up to the next; None for one of the parser's own."""
    head, *more = re.split(r"\s{2,}|\n", entry.strip(), maxsplit=1)
    flags, about = " ".join(head.split()), " ".join(" ".join(more).split())
    named = re.findall(rf"(?:^|[ ,]){dash}{FLAG}", flags)
    if not named or named[0].replace("-", "_") in OWN:
        return None
    about = re.sub(r"^--no-[\w.-]+ ?", "", about)
    kind = TYPE.match(about)
    takes_value = re.search(r"[ =](?:[A-Z{<\[]|float|int|string)", flags) or (kind and kind[1] != "<bool>")
    match, listed = DEFAULT.search(about), CHOICES.search(f"{flags} {about}")
    choices = tuple(map(value_of, re.split("[,|]", listed[1] or listed[2]))) if listed else ()
    default = _default(match[1], named[0]) if match else None if takes_value or choices else False
    help = about[kind.end() :].strip() if kind else f"{flags.partition(': ')[2]} {about}".strip()  # of absl, before
    return ProgramOption(named[0].replace("-", "_"), default, choices, BRACKETS.sub("", help))


def _default(text: str, name: str) -> Any:
    """A switch of click's says it by its name."""
    switch = {name: True, f"no-{name}": False}
    return switch.get(text, value_of(text))


def passing(text: str) -> dict[str, Any]:
    """What `passing` has to say for this program, beside what is so by default."""
    text = plain(text)
    names = re.findall(rf"^\s*(?:-\w[ ,][^-\n]*)?--?{FLAG}", text, re.M)
    dashed = any("-" in name for name in names) and not any("_" in name for name in names)
    booleans, single = _booleans(text), names and "--" not in text
    return {
        **({"dashes": True} if dashed else {}),
        **({"booleans": booleans} if booleans else {}),
        **({"style": "-n value"} if single else {}),
    }


def _booleans(text: str) -> str:
    """How a switch is set; "" for by a value."""
    if re.search(r"--[\w-]+(?:\.[\w-]+)*\.no-", text):
        return "inner switch"
    if "--no-" in text:
        return "switch"
    switches = [option for option in of_help(text) if isinstance(option.default, bool)]
    of_value = "--[no]" in text or any(option.choices for option in switches)
    return "flag" if switches and not of_value else ""
