"""What the command finds: its words, variables, files and folders."""

from __future__ import annotations

import errno
import json
import os
import re

from ending import BAD_INPUT, NO_ROOM, TRY_AGAIN, Stop, in_words
from folders import naming, remove
from lineage import checkpoint_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from arguments import Options
    from attempts import Attempt
    from nodes import Seat


SHORTEST_SECRET = 6
NOT_PASSED = ("DATA_DIR", "SWEEP_SLOT")  # what only the runner's own environment has


def prepare(options: Options, trial: dict[str, Any], attempt: Attempt | Seat) -> dict[str, str]:
    """Make the files and folders that the command finds; returns its environment. Raises Stop."""
    identity, scratch = trial["identity"], os.path.abspath(options.scratch)
    claim(scratch)
    checkpoints = checkpoint_folder(options, trial)
    given = {
        "HYPERPARAMETERS_FILE": f"{scratch}/hyperparameters.yaml",
        "METRICS_FILE": f"{scratch}/metrics.json",
        "HISTORY_FILE": os.path.abspath(f"{attempt.folder}/history.jsonl"),
        "CHECKPOINT_DIR": os.path.abspath(str(checkpoints)),
        "OUTPUT_DIR": f"{scratch}/outputs"
        if options.outputs == "none"
        else os.path.abspath(f"{attempt.folder}/outputs"),
        "SEED": str(identity["seed"]),
        "DATA_ID": str(identity.get("data") or ""),
        **({"DATA_DIR": os.path.abspath(options.data)} if options.data else {}),
    }
    with checkpoints.handle(make=True):
        pass
    if options.outputs != "none":
        with attempt.folder.below("outputs").handle(make=True):
            pass
    usual = usual_environment(scratch)
    for name in ("METRICS_FILE", "HYPERPARAMETERS_FILE"):
        remove(given[name])  # of an earlier attempt in the same scratch
    if options.outputs == "none":
        remove(given["OUTPUT_DIR"])
        os.makedirs(given["OUTPUT_DIR"])
    path = given["HYPERPARAMETERS_FILE"]
    with naming(path), open(path, "x", encoding="utf-8") as opened:
        opened.write(hyperparameters_text(identity["hyperparameters"]))
    usual = {name: value for name, value in usual.items() if name not in identity["env"]}
    return {
        **{name: value for name, value in os.environ.items() if name not in NOT_PASSED},
        **usual,
        **given,
        **attempt.variables,
    }


def usual_environment(scratch: str) -> dict[str, str]:
    """What programs ask for that a container may lack; makes the folders it names."""
    # Only /tmp can be written and the uid may have no passwd entry, where torch would ask for a home and a user name.
    caches = {"HOME": "home", "TMPDIR": "tmp", "TORCHINDUCTOR_CACHE_DIR": "torchinductor", "TRITON_CACHE_DIR": "triton"}
    usual = {name: f"{scratch}/{folder}" for name, folder in caches.items()}
    for folder in usual.values():
        os.makedirs(folder, exist_ok=True)
    # An interpreter that is killed must not take its last words along in a buffer.
    return {**usual, "USER": "trial", "LOGNAME": "trial", "PYTHONUNBUFFERED": "1"}


def claim(scratch: str) -> None:
    """Have a folder for this process alone, as long as it lives: in there are its code and its metrics. Raises Stop."""
    import fcntl

    os.makedirs(scratch, exist_ok=True)
    try:
        fcntl.flock(os.open(scratch, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)  # never closed
    except BlockingIOError:
        raise Stop(TRY_AGAIN, f"--scratch {scratch}: another runner has it; each needs a folder of its own") from None
    except OSError:
        pass  # a file system that cannot lock folders, as NFS


def spell(value: Any) -> str:
    """JSON that YAML 1.1 (PyYAML) and YAML 1.2 (ruamel) read alike."""
    if isinstance(value, float):
        return repr(value) if "." in repr(value) else repr(value).replace("e", ".0e")
    if isinstance(value, list):
        return "[" + ", ".join(map(spell, value)) + "]"
    # Not ensure_ascii, since YAML has no surrogate pairs; escaped is what it calls unprintable or a line break.
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(
        "[\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", text
    )


def hyperparameters_text(hyperparameters: dict[str, Any]) -> str:
    """hyperparameters.yaml, one to a line."""
    return "{\n" + ",\n".join(f"  {spell(key)}: {spell(value)}" for key, value in hyperparameters.items()) + "\n}\n"


def words_of(identity: dict[str, Any], trial: str, env: dict[str, str], folder: str, scratch: str) -> list[str]:
    """The words of the command, which runs in `folder`. Where the sweep says how hyperparameters are passed they are in
    there, and in `env` and a file as it asks for. Raises Stop."""
    if "passing" not in identity:
        return list(identity["command"])
    import passing

    try:
        return passing.pass_on(identity, trial, env, folder, scratch)
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in (*NO_ROOM, errno.ENOSPC, errno.EDQUOT):
            raise
        why = in_words(error) if isinstance(error, OSError) else error
        raise Stop(BAD_INPUT, f"passing: {why}") from None


def secret_values(given: dict[str, Any]) -> list[bytes]:
    """Values of the variables that come from Secrets, the longest first; none of a few letters."""
    names = (name for name, value in given.items() if isinstance(value, dict))
    values = {value.strip() for name in names for value in (os.environb.get(name.encode(), b""),)}
    return sorted((value for value in values if len(value) >= SHORTEST_SECRET), key=len, reverse=True)
