"""The program: finds the verb, and has its script do the rest. `helm-sweep VERB --help` imports no more than that."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
SCRIPTS = next(folder for folder in (HERE / "scripts", HERE.parent / "scripts") if folder.is_dir())
"""Beside this file in a wheel, beside its folder in a clone."""


def main() -> NoReturn:
    """What the installed command calls."""
    sys.path[:0] = [str(SCRIPTS)]
    import guard

    guard.begin()
    guard.run(program)


def program() -> int:
    """Do what the words of the command line say; returns an exit code. Raises what its verb raises."""
    import guard

    from helm_sweep import verbs

    guard.spell = verbs.spelled
    if "_ARGCOMPLETE" in os.environ:
        from helm_sweep import completion

        sys.argv[1:] = completion.words()
    words, folder = _project(sys.argv[1:])
    word = words[0] if words else "--help"
    if word in ("-h", "--help", "help"):
        print(verbs.usage())
        return 0
    if word == "--version":
        from helm_sweep import version

        print(version.text())
        return 0
    if word == "completion":
        from helm_sweep import completion

        return completion.main(words[1:])
    verb = verbs.VERBS.get(verbs.ALIASES.get(word, word))
    from sweep import layout

    if verb is None:
        from sweep.errors import BadInput

        near = verbs.nearest(word)
        meant = f"did you mean `helm-sweep {near}`? " if near else ""
        raise BadInput(f"helm-sweep: no verb {word!r}; {meant}`helm-sweep --help` lists all")
    layout.look_from(Path(folder))
    sys.argv = [f"helm-sweep {word}", *words[1:]]
    code: int = import_module(verb.module).main()
    return code


def _project(words: list[str]) -> tuple[list[str], str]:
    """The words without a leading `--project DIR`, and DIR."""
    if words and words[0].startswith("--project="):
        return words[1:], words[0].partition("=")[2]
    if words[:1] == ["--project"]:
        return words[2:], (words[1:2] or [""])[0] or "."
    return words, "."


if __name__ == "__main__":
    main()
