"""The one result of a trial: which file is a valid one, and how exactly one is kept."""

from __future__ import annotations

import errno
import json
import os
import re
import time

from attempts import ATTEMPT_NAME, attempts_in
from checks import is_finite, need, strict_object
from ending import say
from identity import FINAL, SCHEMA_VERSION, objectives

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from folders import Folder


RESULT = "result.json"
NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, 524)  # the last is what NFSv3 says, and has no name here


def valid_result(folder: Folder, name: str, trial: dict[str, Any]) -> dict[str, Any]:
    """The result in a file. Raises ValueError unless schema, id and the whole identity agree, and of what stands where
    a rule has stopped the trial, unless its verdict follows from its evidence."""
    result = checked(strict_object(folder.look(name)[0]), trial)
    if name.startswith(RESULT):
        need("verdict" not in result, "it is the verdict of a rule, and no whole result")
    else:
        import rules

        flaw = rules.flaw(result.get("verdict"), trial["id"], **trial["stop"])
        need(not flaw, f"its verdict is not sound: {flaw}")
    return result


def stopped_name(trial: dict[str, Any]) -> str:
    """Of the file that stands in the place of a result where the rule of this sweep has stopped the trial."""
    return f"stopped-{trial['stop']['group']}.json"


def checked(result: dict[str, Any], trial: dict[str, Any]) -> dict[str, Any]:
    """`result`, a valid result of `trial`. Raises ValueError with what is wrong else.

    One of a newer schema is not trained again: a field that it lacks is unknown, and any status is an end.
    """
    given = result.get("schema_version")
    version = given if type(given) is int else 0
    need(version >= SCHEMA_VERSION, f"schema_version: expected a number from {SCHEMA_VERSION}")
    newer = version > SCHEMA_VERSION
    need(result.get("id") == trial["id"], "it is the result of another trial")
    # As text, since 1, 1.0 and True are equal in Python but not the same hyperparameter.
    theirs, ours = (json.dumps(record.get("identity"), sort_keys=True) for record in (result, trial))
    need(theirs == ours, "its identity is not that of the trial with this id")
    status = result.get("status")
    need(status in FINAL or (newer and isinstance(status, str)), f"status is none of {', '.join(FINAL)}")
    for key, kind in (("metrics", dict), ("durations", dict), ("environment", dict), ("attempt", str)):
        unknown = newer and key in ("durations", "environment") and key not in result
        need(unknown or isinstance(result.get(key), kind), f"{key}: missing")
    numbers = (*result["metrics"].values(), *result.get("durations", {}).values())
    need(all(value is None or is_finite(value) for value in numbers), "metrics and durations: not all numbers")
    return result


def backed(folder: Folder, result: dict[str, Any]) -> None:
    """Raises ValueError unless an attempt of the trial backs its result, so that nobody else can have made it: the one
    it names must be of this trial, and have ended with it, or not have lived to write that down.

    `make collect` judges by the same rule (scripts/sweep/records/attempt.py: doubt).
    """
    name = result["attempt"]
    try:
        need(re.fullmatch(ATTEMPT_NAME, name), "not a name")
        record = strict_object(folder.below(f"attempts/{name}").look("attempt.json")[0])
    except (ValueError, FileNotFoundError, NotADirectoryError):
        raise ValueError(f"its attempt {name[:100]!r} has no attempt.json that can be read") from None
    need(record.get("id") == result["id"], "its attempt is of another trial")
    status = record.get("status")
    # A store that fails between the result and the attempt's end leaves `failed`, but no exit code of the command; one
    # that kept its metrics for an objective that is mended is `failed` too; and one that did not recognise its own
    # result is a `duplicate` of itself.
    failed = status == "failed" and (record.get("exit_code") is None or isinstance(record.get("kept"), dict))
    need(
        status in (result["status"], None, "running", "duplicate") or failed,
        f"its attempt ended as {str(status)[:100]!r}",
    )


def standing_result(folder: Folder, trial: dict[str, Any], name: str = RESULT) -> dict[str, Any] | None:
    """The valid result of a trial, None if there is none. An invalid one is set aside, never deleted."""
    try:
        result = valid_result(folder, name, trial)
        backed(folder, result)
        return result
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        why = error
    aside = f"{name}.invalid-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(2).hex()}"
    try:
        folder.rename(name, aside)
        # Between the look and the rename another attempt may have put a valid one there: that one goes back.
        backed(folder, valid_result(folder, aside, trial))
        link(folder, aside, name)
        folder.remove(aside)
    except ValueError:
        say(f"{folder}/{name}: set aside as {aside}: {why}")
    except (FileNotFoundError, FileExistsError):
        pass  # another attempt was as quick
    return standing_result(folder, trial, name)


def stopped_result(folder: Folder, trial: dict[str, Any]) -> dict[str, Any] | None:
    """What stands in the place of a result where the sweep's rule has stopped the trial; None if it has not."""
    return standing_result(folder, trial, stopped_name(trial)) if trial.get("stop") else None


def mended_result(folder: Folder, trial: dict[str, Any]) -> dict[str, Any] | None:
    """The result of an attempt that lacked the objective as it was named then, and has it as it is named now.

    It is published with the objective of today, and nothing is trained. None where no attempt kept such numbers.
    """
    attempts = folder.below("attempts")
    for record, _ in reversed(list(attempts_in(attempts))):
        kept = record.get("kept")
        try:
            need(isinstance(kept, dict) and record.get("status") == "failed", "nothing was kept")
            need(kept.get("schema_version") == SCHEMA_VERSION, "what is published is known whole")
            result = checked({**kept, "objective": trial["objective"]}, trial)
            need(all(name in result["metrics"] for name in objectives(trial)), "it lacks the objective still")
            name = result["attempt"]
            need(re.fullmatch(ATTEMPT_NAME, name) and name in attempts.names(), "no attempt has this name")
        except ValueError:
            continue
        result["status"] = status_of(result, trial)
        say(f"{trial['id']}: has what attempt {name} trained, by the objective of today")
        return publish(folder, result, trial)
    return None


def publish(folder: Folder, result: dict[str, Any], trial: dict[str, Any], name: str = RESULT) -> dict[str, Any]:
    """Keep exactly one result: returns the one that stands, `result` itself or that of an attempt that was first."""
    temporary = f".{name}.{result['attempt']}.{os.urandom(4).hex()}"
    try:
        folder.write_new(temporary, result)
        for _ in range(10):
            try:
                link(folder, temporary, name)
                folder.sync()
                return result
            except FileExistsError:
                # Over NFS an answer may be lost and the call repeated: the link in the way is then our own. Opened to
                # look, for until then a client believes what it remembers.
                with folder.handle() as handle, open(temporary, "rb", opener=in_folder(handle)) as opened:
                    if os.fstat(opened.fileno()).st_nlink == 2:
                        return result
                standing = standing_result(folder, trial, name)
                if standing:
                    return standing
        raise OSError(errno.EEXIST, "others keep writing invalid results", f"{folder}/{name}")
    finally:
        folder.remove(temporary)


def in_folder(handle: int) -> Callable[[str, int], int]:
    """Opener of open() for names in a folder."""
    return lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)


def link(folder: Folder, complete: str, name: str) -> None:
    """Give a complete file its name. Raises FileExistsError if the name is taken.

    Some file systems have no hard links (exFAT, SMB, some FUSE ones). There it is a look and a rename: a result is
    still never seen half, and one stays; but of two attempts that finish in the same instant both may count as first.
    """
    with folder.handle() as handle:
        try:
            os.link(complete, name, src_dir_fd=handle, dst_dir_fd=handle, follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            if name in os.listdir(handle):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
            os.rename(complete, name, src_dir_fd=handle, dst_dir_fd=handle)


def status_of(result: dict[str, Any], trial: dict[str, Any]) -> str:
    """The status of a result by its own word, unless an objective is not finite."""
    known = all(is_finite(result["metrics"][name]) for name in objectives(trial))
    return str(result["status"]) if known else "diverged"
