"""The verbs of the program. Each is a script in scripts/ and, but for `OWN`, a target of make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Verb:
    """A verb of the command line."""

    name: str
    help: str
    script: str = ""
    """Its module in scripts/, where the verb's name is taken: by the package sweep, by Python's own gc."""

    @property
    def module(self) -> str:
        return self.script or self.name


GROUPS = {
    "get started": [
        Verb("init", "make the current folder a project: writes values/base.yaml"),
        Verb("new", "create a sweep for a program: new NAME -- python train.py --lr {lr}"),
        Verb("check", "run one trial now, with the code as it is, and keep nothing"),
    ],
    "run a sweep": [
        Verb("sweep", "run everything from space.yaml to best.yaml, here or on a cluster; also called run", "drive"),
        Verb("expand", "write the trials of space.yaml into values.yaml, and commit them"),
        Verb("plan", "show what would run and what it may cost"),
        Verb("render", "print the Kubernetes objects of a sweep"),
        Verb("dataset", "prepare and verify the data set"),
        Verb("submit", "start the Jobs of a sweep, here or on a cluster"),
        Verb("watch", "follow a sweep until it ends"),
        Verb("status", "show the state of every trial"),
        Verb("logs", "print the output of a trial"),
        Verb("retry", "create new Jobs for failed trials"),
        Verb("stop", "suspend a sweep on a cluster"),
        Verb("resume", "resume a suspended sweep"),
        Verb("uninstall", "remove a sweep from its cluster; results stay"),
    ],
    "results": [
        Verb("collect", "collect results into values/NAME/results.csv, and commit it"),
        Verb("report", "show the ranking; write out/NAME/report.html and its charts"),
        Verb("best", "write the winner to values/NAME/best.yaml"),
        Verb("fetch", "copy the files a trial left in OUTPUT_DIR to this machine"),
    ],
    "provenance": [
        Verb("trace", "show where a result came from: line, commit, code, data, node"),
        Verb("reproduce", "run a trial again and compare"),
        Verb("replay", "recompute every round of a search, and show differences"),
        Verb("ledger", "show hours by sweep, commit, author and status"),
        Verb("gc", "list results that no values file in Git's history names; --yes removes them", "tidy"),
    ],
    "other": [
        Verb("doctor", "check what a sweep needs on this machine and on the cluster"),
        Verb("role", "print the RBAC rights that a user needs in a namespace"),
        Verb("completion", "print the completion script: completion bash|zsh|fish"),
    ],
}
VERBS = {verb.name: verb for group in GROUPS.values() for verb in group}
ALIASES = {"run": "sweep"}
OWN = {"init", "completion"}
"""Verbs that a clone does not need, so that make has no target for them."""

USAGE = """\
usage: helm-sweep [--project DIR] VERB …

Hyperparameter sweeps on Kubernetes, with nothing to install in the cluster.

{groups}

  --project DIR  the project is DIR, or the nearest folder above it that has values/base.yaml
  --version      show the versions of the program, its commit and its chart

`helm-sweep VERB --help` lists the options of a verb."""


def usage() -> str:
    """What `helm-sweep --help` prints."""
    width = max(map(len, VERBS)) + 2
    groups = (
        "\n".join([f"{title}:", *(f"  {verb.name:<{width}}{verb.help}" for verb in group)])
        for title, group in GROUPS.items()
    )
    return USAGE.format(groups="\n\n".join(groups))


def nearest(word: str) -> str:
    """The most similar verb; "" if none is."""
    return next(iter(get_close_matches(word, [*VERBS, *ALIASES], n=1)), "")


# ---- messages name targets and variables of make; the program rewrites them as its own commands ----

_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s`"',;:()]+)"""
_TARGET = re.compile(rf"\bmake ({'|'.join(VERBS)})\b((?: [A-Z_]+=(?:{_VALUE})?)*)")
_VARIABLE = re.compile(rf"\b([A-Z][A-Z_]+)=({_VALUE})?")
_FLAGS = ("ALLOW_DIRTY", "FORCE", "PUSH", "TAKEOVER", "YES")
_OPTIONS = ("CONTEXT", "ENGINE", "NAMESPACE", "QUORUM", "SLOTS", "TO", "UPLOAD", "USER")
_NAMES = ("SWEEP", "TRIAL")


def spelled(text: str) -> str:
    """A message with the commands of the program: `make retry SWEEP=x` is `helm-sweep retry x`."""
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
