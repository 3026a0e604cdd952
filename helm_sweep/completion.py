"""Completion on the command line, by argcomplete: verbs, their options, and the names of sweeps.

The shell runs the program with the line so far in COMP_LINE; the parser of the verb completes its arguments.
"""

from __future__ import annotations

import argparse
import os

from helm_sweep import verbs

SHELLS = ("bash", "zsh", "fish")


def main(words: list[str]) -> int:
    """Print the completion script of a shell, for `eval "$(helm-sweep completion bash)"`."""
    import cli

    parser = cli.parser(main.__doc__, sweep=False, prog="helm-sweep completion")
    parser.add_argument("shell", choices=SHELLS)
    shell = parser.parse_args(words).shell
    from argcomplete import shell_integration

    cli.show_page(shell_integration.shellcode(["helm-sweep"], shell=shell) + "\n")
    return 0


def words() -> list[str]:
    """The words after `helm-sweep` up to its verb, of a shell that asks; answers itself where there is no verb yet."""
    import argcomplete
    from argcomplete import lexers

    line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    # In bytes for a shell: as argcomplete does it.
    before = lexers.split_line(line, len(os.fsencode(line)[:point].decode(errors="replace")))[3]
    at = next((place for place, word in enumerate(before[1:], 1) if word in {*verbs.VERBS, *verbs.ALIASES}), 0)
    if not at:
        parser = argparse.ArgumentParser("helm-sweep")
        parser.add_argument("--project", metavar="DIR")
        parser.add_argument("--version", action="store_true")
        parser.add_argument("verb", choices=[*verbs.VERBS, *verbs.ALIASES])
        argcomplete.autocomplete(parser)
    os.environ["_ARGCOMPLETE"] = str(at + 1)
    return before[1 : at + 1]
