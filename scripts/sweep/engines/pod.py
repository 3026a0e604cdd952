"""A rendered Pod as a local process: what the kubelet would set up, mapped onto directories and an environment.

Pure but for `PodProcess.prepare`: volumes become directories, mount paths in words are rewritten to them, `$(NAME)` and
`$$` are expanded as Kubernetes does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep import secrets
from sweep.errors import BadInput, naming
from sweep.render import Object, container_of

_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")
KEPT = (
    *("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *(f"{name}_proxy" for name in ("http", "https", "all", "no")),
    *(f"{name}_PROXY" for name in ("HTTP", "HTTPS", "ALL", "NO")),
)
"""Variables of a person's that a local process has too."""
RUNNER = "runner"
"""The volume that holds the trial runner."""
HOST_MOUNTS = frozenset({"/dev/shm"})
"""Mount paths that every host has: a local process uses the host's own."""


@dataclass(frozen=True)
class PodProcess:
    """One attempt of a Job's Pod, ready to start on this machine."""

    argv: list[str]
    env: dict[str, str]
    folders: list[Path]
    """Directories to make, empty."""
    files: dict[Path, str]
    """Files of the mounted ConfigMaps."""
    runner: dict[Path, str]
    """Files that all attempts share: the first one writes them, and so Python compiles them once."""

    def prepare(self) -> None:
        """Make the directories and write the files. Raises FileExistsError where another attempt has been."""
        for folder in self.folders:
            folder.mkdir(parents=True)
        for path, text in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, text)
        for path, text in self.runner.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, text)


def _write(path: Path, text: str) -> None:
    with naming(path):
        path.write_text(text, encoding="utf-8")


def process(
    job: Object,
    config_maps: Mapping[str, Mapping[str, str]],
    *,
    work: Path,
    pod: Mapping[str, str],
    host: Mapping[str, str],
    container: Mapping[str, Any] | None = None,
    programs: Path | None = None,
) -> PodProcess:
    """The process that stands for a Pod of `job`, or for one `container` of it (default: the trial's).

    `work` is this attempt's own directory; `pod` gives `metadata.name`, `metadata.uid` and `spec.nodeName`; `host` is
    what the machine adds to the environment (PATH and the like). A variable from a Secret is taken from the person's
    own environment. `programs`: where the runner lies that all attempts share; each has its own without. Raises
    BadInput for a volume or variable that a local process cannot have.
    """
    spec = job["spec"]["template"]["spec"]
    container = container or container_of(job)
    folders: list[Path] = []
    files: dict[Path, str] = {}
    runner: dict[Path, str] = {}
    sources: dict[str, Path] = {}
    for volume in spec["volumes"]:
        shared = programs if volume["name"] == RUNNER else None
        place = sources[volume["name"]] = shared / volume["configMap"]["name"] if shared else _place(volume, work)
        (runner if shared else files).update(_texts(volume, place, config_maps))
        if place.is_relative_to(work):
            folders.append(place)
    mounts = {
        mount["mountPath"]: str(sources[mount["name"]] / mount.get("subPath", ""))
        for mount in container["volumeMounts"]
        if mount["mountPath"] not in HOST_MOUNTS
    }
    own = _variables(container["env"], pod, mounts)
    words = [*container["command"], *container.get("args", [])]
    return PodProcess([remap(expand(word, own), mounts) for word in words], {**host, **own}, folders, files, runner)


def _texts(volume: Object, place: Path, config_maps: Mapping[str, Mapping[str, str]]) -> dict[Path, str]:
    """The files that a volume brings, at `place`. Raises BadInput for a ConfigMap that is not there and has to be."""
    if "configMap" not in volume:
        return {}
    config_map = config_maps.get(volume["configMap"]["name"])
    if config_map is None and not volume["configMap"].get("optional"):
        raise BadInput(f"volume {volume['name']}: no ConfigMap {volume['configMap']['name']} was rendered")
    return {place / key: text for key, text in (config_map or {}).items()}


def host_environment(path: Sequence[Path]) -> dict[str, str]:
    """Of this machine's environment only what a container would have too, and one thread a trial.

    How the network is reached counts among that, as long as no password is in it. `path`: what comes before PATH.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ and not secrets.in_text(os.environ[name])}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    words = [*map(str, path), os.environ.get("PATH", os.defpath)]
    return kept | threads | {"PATH": os.pathsep.join(words), "SWEEP_ENGINE": "local"}


def environment(values: Mapping[str, Any], path: Sequence[Path]) -> dict[str, str]:
    """What a trial's command gets of this machine and of the value `env`, for a command that is no trial's.

    Raises BadInput where a variable that comes from a Secret is not in the person's environment.
    """
    listed = [{"name": name, **_as_variable(value)} for name, value in sorted(values.items()) if value is not None]
    return host_environment(path) | _variables(listed, {}, {})


def _as_variable(value: Any) -> dict[str, Any]:
    """An entry of the value `env` as the chart writes it into a container."""
    if isinstance(value, Mapping):
        return {"valueFrom": {"secretKeyRef": {"name": value.get("secret"), "key": value.get("key")}}}
    return {"value": str(value)}


def _variables(
    listed: Sequence[Mapping[str, Any]], pod: Mapping[str, str], mounts: Mapping[str, str]
) -> dict[str, str]:
    """A container's `env` as its process has it."""
    own: dict[str, str] = {}
    for variable in listed:
        name = variable["name"]
        value = _value(variable, pod)
        if "value" in variable:
            value = expand(value, own)
        # TRIAL is the identity and stays to the letter; elsewhere a mount path means the directory mounted there.
        own[name] = value if name == "TRIAL" else remap(value, mounts)
    return own


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Kubernetes' expansion of env values, command and args: `$(NAME)` if known, `$$` to `$`, all else as it stands."""

    def replaced(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return _REFERENCE.sub(replaced, text)


def remap(word: str, mounts: Mapping[str, str]) -> str:
    """Rewrite every mount path that stands as a path in `word` to its directory, the longest first."""
    if not mounts:
        return word
    paths = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True))
    return re.sub(rf"(?<![\w./-])({paths})(?![\w.-])", lambda match: mounts[match[1]], word)


def _place(volume: Mapping[str, Any], work: Path) -> Path:
    if "hostPath" in volume:
        return Path(volume["hostPath"]["path"])
    # No Secret is here, so its folder stays empty: code is fetched with the person's own access.
    if "configMap" in volume or "emptyDir" in volume or "secret" in volume:
        return work / "volumes" / str(volume["name"])
    kind: str = next(key for key in volume if key != "name")
    raise BadInput(
        f"volume {volume['name']}: the local engine cannot mount {kind}; use a hostPath in this sweep's values, "
        "or run it with ENGINE=cluster"
    )


def _value(variable: Mapping[str, Any], pod: Mapping[str, str]) -> str:
    source = variable.get("valueFrom")
    if source is None:
        return str(variable.get("value", ""))
    if "fieldRef" in source:
        return str(pod[source["fieldRef"]["fieldPath"]])
    secret, name = source["secretKeyRef"], variable["name"]
    if name not in os.environ:
        raise BadInput(
            f"env.{name}: comes from the Secret {secret['name']}, which the local engine does not have; "
            f"export {name} in your shell"
        )
    return os.environ[name]
