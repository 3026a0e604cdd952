"""A first values/base.yaml, from what can be found out: in the repository, on this machine and in its namespace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep import yamlfile

Claim = dict[str, Any]
"""A PersistentVolumeClaim as its API has it."""

DEFAULT_IMAGE = "pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime"
SHARED = "ReadWriteMany"


@dataclass(frozen=True)
class Facts:
    """What is known before anybody is asked."""

    image: str
    """`repository:tag` or `repository@digest`; "" for none found."""
    dockerfile: str
    """Where from."""
    lock: str
    """A lock file with hashes, for the environment of local trials; "" for none."""
    context: str
    namespace: str
    claims: tuple[str, ...] | None
    """Those of the namespace that many Pods may write; None: no cluster answered."""
    gpu: bool
    """Whether this machine has one."""


def image(dockerfile: str) -> str:
    """The image that the last stage of a Dockerfile begins with, through stages and defaults of ARG; "" for none."""
    arguments: dict[str, str] = {}
    stages: dict[str, str] = {}
    last = ""
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        word, *rest = line.split() or [""]
        if word.upper() == "ARG" and rest and not stages:
            name, _, value = rest[0].partition("=")
            arguments[name] = value.strip("\"'")
        elif word.upper() == "FROM":
            names = [part for part in rest if not part.startswith("--")] or ["$"]
            named = _filled_in(names[0], arguments)
            last = stages.get(named.lower(), named)
            if [part.upper() for part in names[1:2]] == ["AS"]:
                stages[names[2].lower()] = last
            stages[f"stage {len(stages)}"] = last
    return "" if "$" in last or last == "scratch" else last


def _filled_in(text: str, arguments: Mapping[str, str]) -> str:
    """`$NAME`, `${NAME}` and `${NAME:-default}` by their values; what has none keeps a `$`."""
    variables = re.compile(r"\$\{?(\w+)(?::-([^}]*))?\}?")
    return variables.sub(lambda variable: arguments.get(variable[1]) or variable[2] or "$", text)


def is_lock(text: str) -> bool:
    """Whether pip would install every line of this requirements file by its hash, as `local.requirements` wants it."""
    pinned = re.findall(r"^[A-Za-z0-9][\w.-]*==", text, re.MULTILINE)
    return bool(pinned) and text.count("--hash=") >= len(pinned)


def shared(claims: Iterable[Claim]) -> tuple[str, ...]:
    """Names of the claims that Pods on several nodes may write."""
    return tuple(
        sorted(claim["metadata"]["name"] for claim in claims if SHARED in (claim["spec"].get("accessModes") or []))
    )


def parts(image: str) -> dict[str, str]:
    """An image as the chart takes it."""
    repository, _, digest = image.partition("@")
    host, slash, name = repository.rpartition("/")
    name, _, tag = name.partition(":")
    named = {"repository": f"{host}{slash}{name}"}
    return named | ({"digest": digest} if digest else {"tag": tag or "latest"})


def text(facts: Facts) -> str:
    """The file. What was not found is there as a comment to fill in."""
    why = f"from {facts.dockerfile}" if facts.image else "no Dockerfile here says which; any image with python3 will do"
    claims = facts.claims or ()
    results = _claim(claims, "result", "sweep", "output") or (claims[0] if len(claims) == 1 else "")
    data = _claim(tuple(name for name in claims if name != results), "data")
    return "\n".join(
        [
            "# What all sweeps of this project share; a sweep's values.yaml may override anything here.",
            "",
            f"# The image of the trials on a cluster: {why}.",
            f"image: {yamlfile.flow(parts(facts.image or DEFAULT_IMAGE))}",
            "",
            *_volume("results", "Where results are kept, on a cluster", results, claims),
            *_volume("data", "Where the data set lies, on a cluster", data, claims),
            "# GPUs of a trial, and what else it needs; 0 for none.",
            f"gpu: {{count: {int(facts.gpu or facts.claims is not None)}}}",
            "# resources: {requests: {cpu: \"2\", memory: 4Gi}, limits: {memory: 16Gi}}",
            "",
            *_cluster(facts),
            "",
            "# The Python packages of trials on this machine: a lock file with hashes. null: what your PATH has.",
            f"local: {{requirements: {yamlfile.flow(facts.lock or None)}}}",
            "",
        ]
    )  # fmt: skip


def _claim(claims: Sequence[str], *words: str) -> str:
    """The claim that is named like this; "" unless there is exactly one."""
    named = [name for name in claims if any(word in name for word in words)]
    return named[0] if len(named) == 1 else ""


def _volume(key: str, what: str, claim: str, claims: Sequence[str]) -> list[str]:
    others = f"; claims here: {', '.join(claims)}" if claims else ""
    kinds = "nfs: {server: …, path: …} | pvc: {claimName: …} | hostPath: {path: …}"
    value = f"{key}: {{volume: {{pvc: {{claimName: {yamlfile.flow(claim)}}}}}}}"
    if key == "data":
        value = value.replace("{volume", "{id: my-data, volume")
    shown = value if claim and key == "results" else f"# {key}: {{volume: {{{kinds}}}}}"
    hint = [f"# {value}"] if claim and key == "data" else []
    return [f"# {what}{others}.", *hint, *([] if hint else [shown]), ""]


def _cluster(facts: Facts) -> list[str]:
    value = f"cluster: {{context: {yamlfile.flow(facts.context)}, namespace: {yamlfile.flow(facts.namespace)}}}"
    if facts.claims is None:
        why = f"{facts.context} did not answer" if facts.context else "kubectl has no current context"
        return [
            f"# The cluster to run on, where it is kubectl's current context; {why}, so sweeps run here.",
            f"# {value}",
        ]
    return ["# The cluster to run on, where it is kubectl's current context. Without this, sweeps run here.", value]
