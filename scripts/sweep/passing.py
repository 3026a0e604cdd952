"""What a trial's program is started with, before it is: by the module that passes it on in the Pod, the kit's own."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sweep import chartfiles
from sweep.errors import BadInput
from sweep.layout import Kit
from sweep.render import Trial


@dataclass(frozen=True)
class Passed:
    """What the command of a trial gets."""

    trial: str
    argv: list[str]
    """The folders of the Pod stand there by their variables: `$DATA_DIR/train`."""
    environment: dict[str, str]
    """Variables beside the usual ones."""
    file: str = ""
    """Path of the file that is written for it; "" for none."""
    into: str = ""
    """The file of the program's own that it is merged into."""
    text: str = ""
    """What is written, or merged."""

    @property
    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"trial {self.trial}: {shlex.join(self.argv)}"
        if self.environment:
            yield "  with " + " ".join(f"{name}={shlex.quote(value)}" for name, value in self.environment.items())
        if self.file:
            yield f"  with {self.file}: " + (f"{self.into}, and over it" if self.into else "")
            yield from (f"    {line}" for line in self.text.splitlines())


def runner_module() -> ModuleType:
    return chartfiles.module(Kit.here().chart / "files" / "passing.py")


def passed(trial: Trial) -> Passed:
    """Raises BadInput where the runner would refuse to start it."""
    identity = trial.identity
    if "passing" not in identity:
        return Passed(trial.id, list(identity["command"]), {})
    module, file = runner_module(), identity["passing"].get("file") or {}
    path = module.file_path(identity, "", "/tmp")
    places = {name: f"${name.upper()}" for name in module.DIRECTORIES}
    places |= {"seed": str(identity["seed"]), "trial": trial.id}
    try:
        argv, environment = module.argv(identity, {**places, "file": path}), module.environment(identity)
        text = module.file_text(identity, places=places) if path else ""
    except module.Refused as error:
        raise BadInput(f"passing: trial {trial.id}: {error}") from None
    return Passed(trial.id, argv, environment, path or "", file.get("merge", ""), text)


def asked_for(command: Sequence[str]) -> set[str]:
    """The names in the placeholders of a command."""
    module = runner_module()
    return {name for word in command for name, _ in module.placeholders(word)}


def notes(command: Sequence[str], settings: Mapping[str, Any] | None, names: Collection[str]) -> list[str]:
    """What a person may not have meant, a line each. `settings` is the value `passing`, `names` are hyperparameters."""
    module, given = runner_module(), settings or {}
    written = _lines_of_file(given)
    named = {name: word for word in (*command, *written) for name, _ in module.placeholders(word)}
    if settings is None and module.ALL not in command and not set(named) & set(names):
        return [_as_it_stands(name, word, names) for name, word in named.items()]
    if module.ALL in command or given.get("environment") is not None or (given.get("file") and not written):
        return []
    return _idle([name for name in names if name not in named], module.ALL)


def _idle(names: Sequence[str], all_of_them: str) -> list[str]:
    """Of hyperparameters that nothing passes on."""
    if not names:
        return []
    cure = f"put {{{names[0]}}} or {all_of_them} into `command`"
    return [f"{', '.join(names)}: the program is not passed it, but by HYPERPARAMETERS_FILE; {cure}"]


def notes_of(trials: Sequence[Trial]) -> list[str]:
    """The same of rendered trials, which have one command and one `passing`. Raises BadInput as `passed` does."""
    for trial in trials:
        passed(trial)
    names = dict.fromkeys(name for trial in trials for name in trial.identity["hyperparameters"])
    first = trials[0].identity
    return notes(first["command"], first.get("passing"), names)


def _lines_of_file(settings: Mapping[str, Any]) -> list[str]:
    """Of the text that a file is made from."""
    file: Mapping[str, Any] = settings.get("file") or {}
    return str(file.get("text") or "").splitlines()


def _as_it_stands(name: str, word: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, names, 1, 0.3)
    cure = f"; did you mean {{{near[0]}}}?" if near else "; `passing: {}` has it replaced" if _is_ours(name) else ""
    return f"command: {{{name}}} in `{word}` names no hyperparameter and is passed as it stands{cure}"


def _is_ours(name: str) -> bool:
    return re.fullmatch("seed|trial|file|(data|checkpoint|output)_dir", name) is not None
