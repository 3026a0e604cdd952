"""The verbs of the program. Each is a script of scripts/ and, but for what only the program needs, a target of make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Verb:
    """A verb as a person types it."""

    name: str
    help: str
    script: str = ""
    """Its module in scripts/, where that has another name."""
    words: tuple[str, ...] = ()
    """What the script is told beside what a person writes."""

    @property
    def module(self) -> str:
        return self.script or self.name


GROUPS = {
    "start": [
        Verb("init", "make a project of the folder you are in: values/base.yaml"),
        Verb("new", "start a sweep of a program: new NAME -- python train.py --lr {lr}"),
        Verb("check", "run one trial now, from the code as it lies here, and keep nothing"),
    ],
    "run a sweep": [
        Verb("sweep", "from space.yaml to a picked winner, here or on a cluster; also called run", "drive"),
        Verb("expand", "write the trials of space.yaml into values.yaml, and commit them"),
        Verb("plan", "show what would run and what it may cost"),
        Verb("render", "print the Jobs"),
        Verb("dataset", "fill and check the data set"),
        Verb("submit", "give the Jobs to the engine"),
        Verb("watch", "look on until a sweep has ended"),
        Verb("status", "where every trial stands"),
        Verb("logs", "what a trial printed"),
        Verb("retry", "give failed trials new Jobs"),
        Verb("stop", "suspend a sweep on a cluster"),
        Verb("resume", "let it go on", "stop", ("--resume",)),
        Verb("uninstall", "remove a sweep from its cluster; results stay"),
    ],
    "look at results": [
        Verb("collect", "gather results into values/NAME/results.csv, and commit it"),
        Verb("report", "leaderboard, out/NAME/report.html, and its charts as SVG"),
        Verb("best", "write the winner to values/NAME/best.yaml"),
        Verb("fetch", "copy what a trial left in OUTPUT_DIR to here"),
    ],
    "years later": [
        Verb("trace", "everything a result came from"),
        Verb("reproduce", "run a trial once more, and compare"),
        Verb("replay", "make every round of a search again, and show what differs"),
        Verb("ledger", "hours by sweep, commit, author and status, and what was wasted"),
        Verb("gc", "list, or remove, what no values file in Git's history names", "tidy"),
    ],
    "around it": [
        Verb("doctor", "what a sweep needs here and on the cluster: there, or what to do"),
        Verb("role", "the rights that are needed in a namespace"),
        Verb("completion", "completion for a shell: completion bash|zsh|fish"),
    ],
}
VERBS = {verb.name: verb for group in GROUPS.values() for verb in group}
ALIASES = {"run": "sweep"}
OWN = {"init", "completion"}
"""Verbs that a clone has no use for, so make has not."""

USAGE = """\
usage: helm-sweep [--project DIR] VERB …

Hyperparameter sweeps on Kubernetes, with nothing to install in the cluster.

{groups}

  --project DIR  the project: the nearest folder from DIR upward that has values/base.yaml
  --version      versions of the program, of its commit and of its chart

`helm-sweep VERB --help` says what a verb takes."""


def usage() -> str:
    """What `helm-sweep --help` prints."""
    width = max(map(len, VERBS)) + 2
    groups = (
        "\n".join([f"{title}:", *(f"  {verb.name:<{width}}{verb.help}" for verb in group)])
        for title, group in GROUPS.items()
    )
    return USAGE.format(groups="\n\n".join(groups))


def nearest(word: str) -> str:
    """The verb that was perhaps meant; "" if none is near."""
    return next(iter(get_close_matches(word, [*VERBS, *ALIASES], n=1)), "")


# ---- messages name targets and variables of make; the program has them spelled as it is called itself ----

_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s`"',;:()]+)"""
_TARGET = re.compile(rf"\bmake ({'|'.join(VERBS)})\b((?: [A-Z_]+=(?:{_VALUE})?)*)")
_VARIABLE = re.compile(rf"\b([A-Z][A-Z_]+)=({_VALUE})?")
_FLAGS = ("ALLOW_DIRTY", "FORCE", "PUSH", "TAKEOVER", "YES")
_OPTIONS = ("CONTEXT", "ENGINE", "NAMESPACE", "QUORUM", "SLOTS", "TO", "UPLOAD", "USER")
_NAMES = ("SWEEP", "TRIAL")


def spelled(text: str) -> str:
    """A message with its commands as they are typed here: `make retry SWEEP=x` is `helm-sweep retry x`."""
    text = text.replace("run `make setup`", "install helm-sweep again")
    shortest = {target: alias for alias, target in ALIASES.items()}
    text = _TARGET.sub(lambda match: f"helm-sweep {shortest.get(match[1], match[1])}{match[2]}", text)
    return _VARIABLE.sub(_variable, text)


def _variable(match: re.Match[str]) -> str:
    name, value = match[1], match[2] or ""
    if name in _FLAGS:
        return f"--{name.lower().replace('_', '-')}"
    if name in _OPTIONS:
        return f"--{name.lower()} {value}".rstrip()
    if name in _NAMES:
        return value or name.lower()
    return value.strip("\"'") if name == "ARGS" else match[0]
