"""The trial runner: runs the one command of a Pod and sees to it that its result is kept once, whole, and for good.

What to run is in the environment variable TRIAL; POD_NAME, POD_UID, NODE_NAME and SWEEP_ENGINE say where. With
REPRODUCTION=n it runs as if for the first time, and keeps all of it in reproductions/<id>/<n>. With --make it only
makes the folders of the store that a container is to mount: it is the init container `store` then. Exit codes:
0 done · 64 bad input, or metrics that are no result · 65 bad data · 66 time limit · 67 out of GPU memory on an
exclusive GPU · 70 a fault of the runner · 75 try again (the store, or a shared GPU) · 143 after SIGTERM · else the
command's own, or 128 + its signal.

Standard library only, Python >= 3.9. Every trial pays for the start: what is slow to import is imported where used.
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import re
import signal
import stat
import sys
import time
from contextlib import contextmanager, suppress
from datetime import datetime, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO, NoReturn

    from reading import Reading

# Its own folder, which `-I` leaves out: what stands beside it is imported where it is used.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

SCHEMA_VERSION = 1
FINAL = ("succeeded", "diverged", "pruned")
BAD_INPUT, TIME_LIMIT, GPU_MEMORY, INTERNAL, TRY_AGAIN, TERMINATED = 64, 66, 67, 70, 75, 143
USAGE = 2  # of the command: it was called in a way that it does not take
NOT_STARTED = {126: "cannot be executed", 127: "not found"}  # what exec, and every shell of a program, ends with
HEARTBEAT_SECONDS = 10
ALIVE_SECONDS = 60  # without a heartbeat for this long an attempt is dead
LIMIT_PATIENCE_SECONDS = 5  # between SIGTERM and SIGKILL at the time limit
LARGEST_RECORD_BYTES = 4 << 20  # of a result or an attempt, as readers of the store take them
LARGEST_METRICS_BYTES = 1 << 20
LARGEST_LOG_BYTES, LOG_HEAD_BYTES, LOG_TAIL_BYTES = 128 << 20, 64 << 20, 64 << 10  # of output.log; see Command._log
LARGEST_BUNDLE_BYTES = 16 << 20  # a ConfigMap has 1 MiB, and lies here as JSON
MOST_METRICS, LONGEST_NAME = 1000, 200
DEEPEST, MOST_DIGITS = 100, 1000  # of JSON: levels, and digits of a whole number; the largest float has 309
SHOWN_NAMES, SHOWN_CHARACTERS = 8, 60  # of metrics that are no result, in the one line about them
SHOWN_LINES, SHOWN_WIDTH = 20, 300  # of the output, where the metrics were not found in it
TERMINATION_LOG, TERMINATION_LOG_BYTES = "/dev/termination-log", 4096
LONGEST_REASON = 500
SHORTEST_SECRET = 6
ATTEMPT_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO)  # no process is to be had now
NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, 524)  # the last is what NFSv3 says, and has no name here


class Stop(Exception):
    """The end without a result. `reason` goes into attempt.json, `message` to people; `code` is the runner's own.

    `kept`: what was trained all the same, a result but for its objective.
    """

    kept: dict[str, Any] | None = None

    def __init__(self, code: int, reason: str, message: str = "", status: str = "failed", ended: int | None = None):
        self.code, self.status, self.ended, self.reason = code, status, ended, reason[:LONGEST_REASON]
        self.message = message or f"{status}: {self.reason}"


def say(text: str) -> None:
    """One line for people. That nobody listens is no reason to lose a trial."""
    text = " | ".join(text.splitlines())
    with suppress(OSError):
        os.write(2, f"trial.py: {text}\n".encode(errors="replace"))


def last_words(text: str) -> None:
    """What Kubernetes shows as the container's termination message; outside of a container there is no such file."""
    data = text.encode(errors="replace")
    if len(data) < TERMINATION_LOG_BYTES:
        with suppress(OSError), open(os.open(TERMINATION_LOG, os.O_WRONLY | os.O_TRUNC), "wb", 0) as log:
            log.write(data)


def in_words(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, "no errno")
    return f"{error.filename or 'a file'}: {error.strerror or error} ({name})"


def stop_of(error: Exception) -> Stop:
    """How an error ends the runner. One that nobody expects is told in a line, which is all that Kubernetes shows."""
    if isinstance(error, OSError):
        return Stop(TRY_AGAIN, in_words(error))
    fault = f"a fault of the runner: {type(error).__name__}: {error}"
    return error if isinstance(error, Stop) else Stop(INTERNAL, f"{fault}, {where(error)}; please report it")


def where(error: BaseException) -> str:
    """The lines that an error came through, outermost first: a traceback in a few words."""
    lines, frame = [], error.__traceback__
    while frame:
        lines.append(f"{frame.tb_frame.f_code.co_name}:{frame.tb_lineno}")
        frame = frame.tb_next
    return "by way of " + " ".join(lines[:3] + lines[-5:] if len(lines) > 8 else lines)


def utc(seconds: float) -> str:
    """Seconds of the epoch as results spell times: 2026-11-23T22:46:04.123Z."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ---- files in a store that others read and write at the same time ----------------------------------------------------

THROUGH_A_LINK = "is a link, and nothing here is read or written through one; remove it"


def read_file(path: str, most: int, folder: int | None = None) -> tuple[bytes, float]:
    """(the whole of a plain file, its mtime), without waiting for anybody and through no link at its end.

    `folder` is the handle of the folder that `path` is relative to. Raises ValueError for anything else than a plain
    file of at most `most` bytes, and OSError.
    """
    handle = open_file(path, folder)
    try:
        found, data = os.fstat(handle), b""
        while len(data) <= most:
            chunk = os.read(handle, most + 1 - len(data))
            if not chunk:
                return data, found.st_mtime
            data += chunk
        raise ValueError(f"has {found.st_size} bytes, more than {most} bytes")
    finally:
        os.close(handle)


def open_file(path: str, folder: int | None = None) -> int:
    """A handle of a plain file, as read_file() opens it. Raises ValueError for anything else, and OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        raise ValueError("is no file but a " + ("link" if error.errno == errno.ELOOP else "socket")) from None
    try:
        found = os.fstat(handle)
        need(stat.S_ISREG(found.st_mode), f"is no file but a {stat.filemode(found.st_mode)}")
        return handle
    except ValueError:
        os.close(handle)
        raise


class Folder:
    """A folder of the store, by its path below `root`.

    Whatever is done in it is done by handles, each opened in the one above and through no link: what others put there
    must not lead elsewhere. Raises OSError with the whole path; ELOOP for a link on the way.
    """

    def __init__(self, root: str, path: str) -> None:
        self.root, self.path = root, path

    def __str__(self) -> str:
        return f"{self.root}/{self.path}"

    def below(self, name: str) -> Folder:
        return Folder(self.root, f"{self.path}/{name}")

    @contextmanager
    def handle(self, make: bool = False) -> Iterator[int]:
        """Opened; with `make` it and the folders above are made where they are missing, but for the root."""
        handle = open_folder(self.root, self.path, make)
        try:
            yield handle
        except OSError as error:
            if not str(error.filename or "").startswith(self.root):
                error.filename = f"{self}/{error.filename or ''}".rstrip("/")
            raise
        finally:
            os.close(handle)

    def look(self, name: str) -> tuple[bytes, float]:
        """(content of a record, its mtime). On NFS a file that another client replaced while it was open gives ESTALE:
        open it again. Raises ValueError for what is no plain file of the usual size.
        """
        for last in (False, False, False, False, True):
            try:
                with self.handle() as handle:
                    return read_file(name, LARGEST_RECORD_BYTES, handle)
            except OSError as error:
                if last or error.errno != errno.ESTALE:
                    raise
        raise AssertionError("the last round returns or raises")

    def open(self, name: str) -> BinaryIO:
        """A plain file to read. Raises ValueError for anything else."""
        with self.handle() as handle:
            return os.fdopen(open_file(name, handle), "rb")

    def names(self) -> list[str]:
        """What is in it, sorted; nothing where it is missing."""
        try:
            with self.handle() as handle:
                return sorted(os.listdir(handle))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def now(self) -> float:
        """Seconds of the epoch by the clock that gives files here their times, on NFS the server's: machines may differ
        by hours. Ours where nothing can be written."""
        probe = f".now.{os.urandom(4).hex()}"
        try:
            with self.handle() as folder:
                handle = create(probe, folder)
                try:
                    return os.fstat(handle).st_mtime
                finally:
                    os.close(handle)
                    os.unlink(probe, dir_fd=folder)
        except OSError:
            return time.time()

    def write_new(self, name: str, value: object) -> None:
        """JSON, or bytes, into a file that is not there yet, on disk when this returns."""
        with self.handle() as handle:
            write_in(handle, name, value)

    def write_atomic(self, name: str, value: object) -> None:
        """Replace a file that has one writer: readers see the old or the new one, also after a crash."""
        temporary = f".{name}.{os.urandom(4).hex()}"
        with self.handle() as handle:  # once: every attempt does this every 10 s, over NFS
            try:
                write_in(handle, temporary, value)
                os.rename(temporary, name, src_dir_fd=handle, dst_dir_fd=handle)
                sync_in(handle)
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=handle)

    def rename(self, old: str, new: str) -> None:
        with self.handle() as handle:
            os.rename(old, new, src_dir_fd=handle, dst_dir_fd=handle)

    def sync(self) -> None:
        """Make the names in it last, where the file system can."""
        with self.handle() as handle:
            sync_in(handle)

    def remove(self, name: str) -> None:
        """Remove a file or folder that may be gone already, or as far as it can be; of a link the link alone."""
        with suppress(OSError), self.handle() as handle:
            remove_in(handle, name)


def open_folder(root: str, path: str, make: bool) -> int:
    """A handle of the folder `path` below `root`, through no link."""
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in path.split("/"):
        above = handle
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=above)
            handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        except OSError as error:
            error.filename = f"{root}/{path}"
            if error.errno in (errno.ENOTDIR, errno.ELOOP) and is_link(part, above):
                raise OSError(errno.ELOOP, f"{part}: {THROUGH_A_LINK}", error.filename) from None
            raise
        finally:
            os.close(above)
    return handle


def is_link(name: str, folder: int) -> bool:
    with suppress(OSError):
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


def create(name: str, folder: int, flags: int = 0) -> int:
    """A handle to write to a file that was not there."""
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | flags, 0o666, dir_fd=folder)


def write_in(folder: int, name: str, value: object) -> None:
    """JSON, or bytes, into a file that was not there, on disk when this returns."""
    data = value if isinstance(value, bytes) else json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"
    handle = create(name, folder)
    try:
        write_all(handle, data, name)
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_in(folder: int) -> None:
    """Make the names in a folder last, where the file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def remove_in(folder: int, name: str) -> None:
    """Remove a file, or a folder with all that is in it; what cannot be removed stays. Raises OSError for that."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=folder)
        return
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        for inner in os.listdir(handle):
            with suppress(OSError, RecursionError):
                remove_in(handle, inner)
    finally:
        os.close(handle)
    os.rmdir(name, dir_fd=folder)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """An OSError raised in here names `path`: of a write the operating system says the reason alone."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def write_all(handle: int, data: bytes, path: str) -> None:
    with naming(path):
        while data:
            data = data[os.write(handle, data) :]


def remove(path: str) -> None:
    """Remove a file or folder that may be gone already, or as far as it can be."""
    with suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def read_bytes(path: str, most: int) -> bytes:
    """A file outside of the store, at most so much of it: kubelet mounts ConfigMaps as links."""
    with open(path, "rb") as opened:
        data = opened.read(most + 1)
    need(len(data) <= most, f"has more than {most} bytes")
    return data


def not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def whole_number(digits: str) -> int:
    need(len(digits) <= MOST_DIGITS, f"a number of {len(digits)} digits")
    return int(digits)


def strict_object(data: bytes | str) -> dict[str, Any]:
    """JSON by the letter, no NaN, to an object; within bounds. Raises ValueError."""
    try:
        made = json.loads(data, parse_constant=not_json, parse_int=whole_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    need(isinstance(made, dict), "not a JSON object")
    check_depth(made)
    return made  # type: ignore[no-any-return]


def check_depth(value: Any) -> None:
    """Raises ValueError for lists and objects below more than DEEPEST others: whatever walks them would fail later."""
    level = [value]
    for _ in range(DEEPEST):
        inner = [one for some in level for one in (some.values() if isinstance(some, dict) else some)]
        level = [one for one in inner if isinstance(one, (dict, list))]
    need(not level, "nested too deeply")


# ---- TRIAL and results -----------------------------------------------------------------------------------------------


def need(good: object, what: str) -> None:
    if not good:
        raise ValueError(what)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """A number that a float can hold."""
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def parse_trial(text: str | None) -> dict[str, Any]:
    """TRIAL, checked before anything is touched, since its id names folders. Raises Stop."""
    try:
        need(text, "is not set")
        trial = strict_object(text or "")
        for key in ("id", "lineage"):
            need(re.fullmatch("[0-9a-f]{4,64}", str(trial.get(key))), f"{key}: not a hash")
        need(is_finite(trial.get("limit_seconds")) and trial["limit_seconds"] > 0, "limit_seconds: not above 0")
        need(all(isinstance(name, str) and name for name in objectives(trial)), "objective: names no metric")
        identity = trial.get("identity")
        for key, kind in (("hyperparameters", dict), ("seed", int), ("env", dict), ("command", list)):
            need(isinstance(identity, dict) and isinstance(identity.get(key), kind), f"identity.{key}: missing")
        command = trial["identity"]["command"]
        need(command and all(isinstance(word, str) for word in command), "identity.command: not a list of words")
        need(isinstance(identity.get("passing", {}), dict), "identity.passing: not an object")  # type: ignore[union-attr]
        for told in (trial["identity"].get("metrics", []), trial.get("steps", [])):
            need(isinstance(told, list), "metrics: not a list")
        return trial
    except ValueError as error:
        raise Stop(BAD_INPUT, f"TRIAL: {error}; render the chart again") from None


def objectives(trial: dict[str, Any]) -> list[Any]:
    """Names of the metrics that rank trials: TRIAL has one objective or a list."""
    told = trial.get("objective")
    listed = told if isinstance(told, list) and told else [told]
    return [one.get("metric") if isinstance(one, dict) else None for one in listed]


def valid_result(folder: Folder, name: str, trial: dict[str, Any]) -> dict[str, Any]:
    """The result in a file. Raises ValueError unless schema, id and the whole identity agree."""
    return checked(strict_object(folder.look(name)[0]), trial)


def checked(found: dict[str, Any], trial: dict[str, Any]) -> dict[str, Any]:
    """`found`, a valid result of `trial`. Raises ValueError with what is wrong else."""
    need(found.get("schema_version") == SCHEMA_VERSION, f"schema_version is not {SCHEMA_VERSION}")
    need(found.get("id") == trial["id"], "it is the result of another trial")
    # As text, since 1, 1.0 and True are equal in Python but not the same hyperparameter.
    theirs, ours = (json.dumps(one.get("identity"), sort_keys=True) for one in (found, trial))
    need(theirs == ours, "its identity is not that of the trial with this id")
    need(found.get("status") in FINAL, f"status is none of {', '.join(FINAL)}")
    for key, kind in (("metrics", dict), ("durations", dict), ("environment", dict), ("attempt", str)):
        need(isinstance(found.get(key), kind), f"{key}: missing")
    numbers = (*found["metrics"].values(), *found["durations"].values())
    need(all(one is None or is_finite(one) for one in numbers), "metrics and durations: not all numbers")
    return found


def backed(folder: Folder, found: dict[str, Any]) -> None:
    """Raises ValueError unless an attempt of the trial backs its result, so that nobody else can have made it: the one
    it names must be of this trial, and have ended with it, or not have lived to write that down.

    `make collect` judges by the same rule (scripts/sweep/records/attempt.py: doubt).
    """
    name = found["attempt"]
    try:
        need(re.fullmatch(ATTEMPT_NAME, name), "not a name")
        record = strict_object(folder.below(f"attempts/{name}").look("attempt.json")[0])
    except (ValueError, FileNotFoundError, NotADirectoryError):
        raise ValueError(f"its attempt {name[:100]!r} has no attempt.json that can be read") from None
    need(record.get("id") == found["id"], "its attempt is of another trial")
    status = record.get("status")
    # A store that fails between the result and the attempt's end leaves `failed`, but no exit code of the command; one
    # that kept its metrics for an objective that is mended is `failed` too; and one that did not recognise its own
    # result is a `duplicate` of itself.
    failed = status == "failed" and (record.get("exit_code") is None or isinstance(record.get("kept"), dict))
    need(
        status in (found["status"], None, "running", "duplicate") or failed,
        f"its attempt ended as {str(status)[:100]!r}",
    )


def standing_result(folder: Folder, trial: dict[str, Any]) -> dict[str, Any] | None:
    """The valid result of a trial, None if there is none. An invalid one is set aside, never deleted."""
    name = "result.json"
    try:
        found = valid_result(folder, name, trial)
        backed(folder, found)
        return found
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
    return standing_result(folder, trial)


def mended_result(folder: Folder, trial: dict[str, Any]) -> dict[str, Any] | None:
    """The result of an attempt that lacked the objective as it was named then, and has it as it is named now.

    It is published with the objective of today, and nothing is trained. None where no attempt kept such numbers.
    """
    attempts = folder.below("attempts")
    for record, _ in reversed(list(attempts_in(attempts))):
        kept = record.get("kept")
        try:
            need(isinstance(kept, dict) and record.get("status") == "failed", "nothing was kept")
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


def publish(folder: Folder, result: dict[str, Any], trial: dict[str, Any]) -> dict[str, Any]:
    """Keep exactly one result: returns the one that stands, `result` itself or that of an attempt that was first."""
    name = "result.json"
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
                standing = standing_result(folder, trial)
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


# ---- the attempt -----------------------------------------------------------------------------------------------------


class Attempt:
    """The folder of this attempt in the store, and the attempt.json in it."""

    def __init__(self, trial_folder: Folder, options: argparse.Namespace, trial: dict[str, Any]) -> None:
        """Raises OSError when the store cannot be written; nothing half-made is left then."""
        self.began = time.monotonic()
        now, environ, host = time.time(), os.environ, os.uname().nodename
        self.siblings = trial_folder.below("attempts")
        pod = environ.get("POD_NAME") or host
        stamp, pod_name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)), re.sub("[^A-Za-z0-9.-]", "-", pod)
        with self.siblings.handle(make=True) as handle:
            name = f"a{next_number(os.listdir(handle)):06}-{stamp}-{pod_name}"
            self.name = next(new for new in (name, *(f"{name}-{n}" for n in range(2, 99))) if is_new(new, handle))
        self.folder = self.siblings.below(self.name)
        self.history: tuple[int, ...] | None = ()  # what tells that history.jsonl is ours; None: it is the command's
        self.told = b""  # what is in it
        self.record: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION, "id": trial["id"], "attempt": self.name, "sweep": trial.get("sweep", ""),
            "status": "running", "exit_code": None, "reason": "", "started_at": utc(now), "finished_at": None,
            "used_s": 0.0,
            "engine": environ.get("SWEEP_ENGINE") or "cluster", "node": environ.get("NODE_NAME") or host,
            "pod": pod, "pod_uid": environ.get("POD_UID") or os.urandom(16).hex(), "gpus": options.gpus,
            "limit_seconds": trial["limit_seconds"], "provenance": read_provenance(options.provenance),
        }  # fmt: skip
        try:
            self.folder.write_atomic("attempt.json", self.record)
        except OSError:
            self.siblings.remove(self.name)
            raise

    def used_s(self) -> float:
        """Seconds since it began, by a clock that nobody sets and that stands still while the machine sleeps."""
        return round(time.monotonic() - self.began, 3)

    def heartbeat(self) -> None:
        """A sign of life, and how long it has run: that of an attempt that is killed counts up to here."""
        self.record["used_s"] = self.used_s()
        with suppress(OSError):  # a beat less costs nothing; a store that is really gone shows at the next write
            self.folder.write_atomic("attempt.json", self.record)

    def keep_alive(self) -> None:
        """A heartbeat, where one is due."""
        if self.used_s() - self.record["used_s"] >= HEARTBEAT_SECONDS:
            self.heartbeat()

    def finish(self, status: str, exit_code: int | None, reason: str, kept: dict[str, Any] | None = None) -> None:
        self.record.update(status=status, exit_code=exit_code, reason=reason, finished_at=utc(time.time()))
        self.record["used_s"] = self.used_s()
        self.record.update({"kept": kept} if kept else {})
        self.folder.write_atomic("attempt.json", self.record)

    def keep(self, name: str, data: bytes) -> None:
        """Keep a file beside attempt.json for people to look at, as far as it can be."""
        with suppress(OSError), self.folder.handle() as handle, open(create(name, handle), "wb") as opened:
            opened.write(data)

    def keep_history(self, data: bytes) -> None:
        """Have the learning curve so far in history.jsonl, unless the command writes that itself."""
        name = "history.jsonl"

        def sign() -> tuple[int, ...]:
            try:
                with self.folder.handle() as handle:
                    found = os.stat(name, dir_fd=handle, follow_symlinks=False)
            except FileNotFoundError:
                return ()
            return found.st_ino, found.st_size, found.st_mtime_ns

        with suppress(OSError):
            self.history = self.history if sign() == self.history else None
            if data != self.told and self.history is not None:
                self.folder.write_atomic(name, data)
                self.history, self.told = sign(), data

    def used_before(self, grace: float) -> tuple[float, int]:
        """Seconds that earlier attempts ran, and how many they were; one without an end ran to its last sign of life.

        After a result the count begins anew: if that one was invalid or deleted, the trial begins anew too. `grace`:
        seconds that an attempt may have had after its limit.
        """
        seconds, count = 0.0, 0
        for record, alive_at in attempts_in(self.siblings, but=self.name):
            if record.get("status") in (*FINAL, "duplicate"):
                seconds, count = 0.0, 0
                continue
            used = used_by(record, alive_at, grace)
            if used is not None:
                seconds, count = seconds + used, count + 1
        return seconds, count


def used_by(record: dict[str, Any], alive_at: float, grace: float) -> float | None:
    """Seconds that an attempt ran; None where its record does not tell.

    Runners before used_s left only wall times. Where those are further apart than its limit allows, and that was not
    why it ended, a clock was set in between, or the store hung: it did not train for so long, and counts nothing.
    """
    used: Any = record.get("used_s")
    if is_finite(used) and used >= 0:
        return float(used)
    try:
        start, end = (
            datetime.fromisoformat(told.replace("Z", "+00:00")).timestamp()
            for told in (record["started_at"], record["finished_at"] or utc(alive_at))
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        return None
    limit: Any = record.get("limit_seconds")
    if is_finite(limit) and end - start > limit + grace + ALIVE_SECONDS and record.get("reason") != "limit":
        return None
    return max(0.0, end - start)


def is_new(name: str, folder: int) -> bool:
    """Make a folder that was not there: a Pod's second start within one second needs another name."""
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
        return True
    return False


def next_number(names: list[str]) -> int:
    """The number of an attempt that begins beside these: higher than all it can see.

    So an attempt that begins after another stands after it, by whatever clocks; two that begin at once may have one
    number, and their order means nothing. Names without a number are older runners': digits sort before letters.
    """
    numbers = (re.match("a([0-9]{6})-", name) for name in names)
    return 1 + max((int(number[1]) for number in numbers if number), default=0)


def attempts_in(folder: Folder, but: str = "") -> Iterator[tuple[dict[str, Any], float]]:
    """(attempt.json, time of the last sign of life) of the attempts that can be read, oldest first."""
    for name in folder.names():
        if name != but:
            with suppress(OSError, ValueError):
                data, alive_at = folder.below(name).look("attempt.json")
                yield strict_object(data), alive_at


def read_provenance(path: str | None) -> dict[str, Any]:
    """What the chart's provenance ConfigMap says, which is optional."""
    try:
        return {"commit": "unknown", **(strict_object(read_bytes(path, LARGEST_RECORD_BYTES)) if path else {})}
    except (OSError, ValueError) as error:
        if not isinstance(error, FileNotFoundError):
            say(f"{path}: {error}; booked as commit unknown")
        return {"commit": "unknown"}


# ---- what the command finds ------------------------------------------------------------------------------------------


def unpack(bundle: str, folder: str) -> None:
    """Write the frozen code into an empty `folder`: a bundle, or what Git has put into a folder.

    Raises Stop for a bundle that is none, or would write elsewhere.
    """
    import base64

    remove(folder)
    if os.path.isdir(bundle):
        import shutil

        shutil.copytree(bundle, folder, symlinks=True, copy_function=shutil.copy)
        return
    os.makedirs(folder)
    name = ""
    try:
        for name, value in strict_object(read_bytes(bundle, LARGEST_BUNDLE_BYTES)).items():
            need(not {"", ".", ".."} & set(name.split("/")), "the path leads elsewhere")
            entry = {"text": value} if isinstance(value, str) else value
            need("text" in entry or "base64" in entry, "neither text nor base64")
            path = f"{folder}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with naming(path), open(path, "wb") as opened:
                text = entry.get("text")
                opened.write(base64.b64decode(entry["base64"], validate=True) if text is None else text.encode())
            if entry.get("executable"):
                os.chmod(path, os.stat(path).st_mode | 0o111)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Stop(BAD_INPUT, f"{bundle}: {name!r}: {error}; freeze the code again (expand --repin)") from None


def place_data(data: str, folder: str, at: str) -> None:
    """Have the data set at a path from the command's folder too, for a program that looks nowhere else. Raises Stop."""
    path = os.path.normpath(f"{folder}/{at}")
    with suppress(OSError):
        if os.readlink(path) == data:  # of an earlier attempt in the same scratch
            return
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(data, path)
    except FileExistsError:
        taken = "is taken by the code, or by the runner itself; take it out of the code, or name another path"
        raise Stop(BAD_INPUT, f"data.at: {at}: {taken}") from None
    except OSError as error:
        raise Stop(BAD_INPUT, f"data.at: {at}: {in_words(error)}; name a path that can be written") from None


def spell(value: Any) -> str:
    """JSON that YAML 1.1 (PyYAML) and YAML 1.2 (ruamel) read alike."""
    if isinstance(value, float):
        return repr(value) if "." in repr(value) else repr(value).replace("e", ".0e")
    if isinstance(value, list):
        return "[" + ", ".join(map(spell, value)) + "]"
    # Not ensure_ascii, since YAML has no surrogate pairs; escaped is what it calls unprintable or a line break.
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]", lambda one: f"\\u{ord(one[0]):04x}", text)


def hyperparameters_text(hyperparameters: dict[str, Any]) -> str:
    """hyperparameters.yaml, one to a line."""
    return "{\n" + ",\n".join(f"  {spell(key)}: {spell(value)}" for key, value in hyperparameters.items()) + "\n}\n"


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


def prepare(options: argparse.Namespace, trial: dict[str, Any], attempt: Attempt) -> dict[str, str]:
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
    return {**{name: value for name, value in os.environ.items() if name != "DATA_DIR"}, **usual, **given}


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


# ---- the command -----------------------------------------------------------------------------------------------------


def listen() -> int:
    """From now on signals are bytes in a pipe, whose reading end this returns: they interrupt nothing half-way.

    And SIGTERM counts at all: the kernel drops signals that process 1 of a container does not handle.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reading


def system_call() -> Any:
    """prctl; None where there is none: not Linux, or a Python without ctypes."""
    try:
        import ctypes

        return ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None


def die_with_parent() -> Callable[[], None] | None:
    """For the child, between fork and exec: SIGKILL when this process dies, so that no training outlives its runner."""
    prctl, parent = system_call(), os.getpid()
    if prctl is None:
        return None  # a container takes its processes along anyway

    def arm() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the signal was armed
            os._exit(137)

    return arm


def adopt_orphans() -> bool:
    """What the command's processes leave behind becomes our child, in whatever session it is, as in a container."""
    prctl = system_call()
    return prctl is not None and prctl(PR_SET_CHILD_SUBREAPER, 1) == 0


def children() -> set[int]:
    """Process ids of our children, the dead ones too that were not waited for. Raises OSError without /proc."""
    own = os.getpid()
    return {int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(name) == own}


def parent_of(pid: str) -> int:
    """0 for a process that is gone."""
    with suppress(OSError, ValueError):
        return int(read_bytes(f"/proc/{pid}/stat", LARGEST_RECORD_BYTES).rpartition(b")")[2].split()[1])
    return 0


def end_children() -> None:
    """End all that is below us. Whoever dies hands its own children on to us, so that is done when there are none."""
    others: set[int] = set()
    with suppress(OSError):  # no child left, or no /proc to look into
        while True:
            left = children() - others
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except PermissionError:  # it is another user's by now (sudo): only that user can end it
                    others.add(pid)
            if left <= others:
                return
            os.waitpid(-1, 0)


def secret_values(given: dict[str, Any]) -> list[bytes]:
    """Values of the variables that come from Secrets, the longest first; none of a few letters."""
    names = (name for name, value in given.items() if isinstance(value, dict))
    values = {value.strip() for name in names for value in (os.environb.get(name.encode(), b""),)}
    return sorted((value for value in values if len(value) >= SHORTEST_SECRET), key=len, reverse=True)


class Command:
    """The user's command: a process group of its own, its output teed to ours and to the attempt's output.log."""

    def __init__(
        self,
        words: list[str],
        env: dict[str, str],
        cwd: str | None,
        folder: Folder,
        secret: list[bytes],
        hear: Callable[[bytes], None] | None = None,
    ) -> None:
        """`secret`: what is `***` wherever the command prints it. `hear` is given it less that; b"" is the end.

        Raises Stop with a shell's exit code when there is no such program, OSError where none can be started now.
        """
        from subprocess import DEVNULL, PIPE, STDOUT, Popen

        self.tail, self.ending, self.kill_at, self.stdout_open, self.output_open = b"", "", math.inf, True, True
        self.log_path = f"{folder}/output.log"
        self.secret, self.held, self.hear = secret, b"", hear
        self.printed = self.logged = 0  # bytes of the command, and of output.log
        with folder.handle() as handle:
            self.log = create("output.log", handle, os.O_APPEND)
        self.adopts = adopt_orphans()
        try:
            self.child = Popen(
                words, cwd=cwd, env=env, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, bufsize=0,
                start_new_session=True, preexec_fn=die_with_parent(),
            )  # fmt: skip
        except OSError as error:
            if error.errno in NO_ROOM:
                error.filename = f"command {words[0]}"
                raise
            code = 127 if isinstance(error, FileNotFoundError) else 126
            where = "" if "/" in words[0] else f" in PATH {env.get('PATH', os.defpath)}"
            reason = f"command {words[0]}: {error.strerror}{where}; mend `command` or the image"
            raise Stop(BAD_INPUT, reason, ended=code) from None
        except ValueError as error:
            raise Stop(BAD_INPUT, f"command: {error}; mend `command`") from None
        assert self.child.stdout
        self.output = self.child.stdout.fileno()
        os.set_blocking(self.output, False)

    def run(self, signals: int, deadline: float, patience: float, heartbeat: Callable[[], None]) -> int:
        """Until the command ends, or was ended: `ending` is then `limit` or `preempted`. Returns its exit code.

        `deadline` is the time limit by the monotonic clock; `patience` are the seconds between SIGTERM and SIGKILL.
        """
        import selectors

        beat_at = time.monotonic() + HEARTBEAT_SECONDS
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(signals, selectors.EVENT_READ)
                selector.register(self.output, selectors.EVENT_READ)
                # Told to end, a shell is gone before what it started has saved its work: that holds the output open.
                while not self._is_over() or (self.ending and self.output_open and self.kill_at < math.inf):
                    until = min(beat_at, self.kill_at if self.ending else deadline)
                    ready = {key.fd for key, _ in selector.select(max(0.0, until - time.monotonic()))}
                    if self.output in ready and self._tee() == b"":
                        self.output_open = False
                        selector.unregister(self.output)
                    told_to_end = signals in ready and {signal.SIGTERM, signal.SIGINT} & set(os.read(signals, 512))
                    self._end_in_time(bool(told_to_end), deadline, patience)
                    if time.monotonic() >= beat_at:
                        heartbeat()
                        beat_at = time.monotonic() + HEARTBEAT_SECONDS
            self._drain()
        finally:
            self._signal(signal.SIGKILL)  # what is left of the process group, whose number is ours until the wait
            code = self.child.wait()
            if self.adopts:
                end_children()
        return code

    def _end_in_time(self, told_to_end: bool, deadline: float, patience: float) -> None:
        """End the command where it is time, and kill it where that took too long."""
        if told_to_end:
            self._end("preempted", patience)
        if time.monotonic() >= deadline:
            self._end("limit", min(patience, LIMIT_PATIENCE_SECONDS))
        if time.monotonic() >= self.kill_at:
            self._signal(signal.SIGKILL)
            self.kill_at = math.inf

    def _drain(self) -> None:
        """Take what is left in the pipe, and have output.log on its disk."""
        for _ in range(100):  # not for ever: what the command left behind may go on talking
            if not self._tee():
                break
        self._pass_on(b"")
        with naming(self.log_path):
            os.fsync(self.log)

    def last_line(self) -> str:
        """The last line of the output that says something, at most 300 characters."""
        text = re.sub(r"://[^\s/@:]{0,64}:[^\s/@]{1,256}@", "://***@", self.tail[-4096:].decode(errors="replace"))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", lines[-1])[:300] if lines else "no output"

    def last_lines(self) -> list[str]:
        """The last lines of the output, of a progress bar its last state."""
        lines = self.tail.decode(errors="replace").replace("\r\n", "\n").split("\n")
        shown = [re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", line.rstrip("\r").rpartition("\r")[2]) for line in lines]
        return [line[:SHOWN_WIDTH] for line in shown if line.strip()][-SHOWN_LINES:]

    def _is_over(self) -> bool:
        """Whether the command is gone. It stays a zombie for now, so that its process group keeps its number."""
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid == self.child.pid:
                return ended is not None
            os.waitpid(ended.si_pid, 0)  # an orphan, of which nobody asks

    def _tee(self) -> bytes | None:
        """Pass on what there is: None when there is nothing now, b"" when there never will be again."""
        try:
            chunk = os.read(self.output, 65536)
        except BlockingIOError:
            return None
        self._pass_on(chunk)
        return chunk

    def _pass_on(self, chunk: bytes) -> None:
        """The output goes on, less what is secret: the beginning of that waits for its rest. b"" is the end."""
        data = self.held + chunk
        for value in self.secret:
            data = data.replace(value, b"***")
        begun = (size for value in self.secret for size in range(1, len(value)) if data.endswith(value[:size]))
        kept = max(begun, default=0) if chunk else 0
        data, self.held = data[: len(data) - kept], data[len(data) - kept :]
        self.tail = (self.tail + data)[-LOG_TAIL_BYTES:]
        self.printed += len(data)
        if self.hear and (data or not chunk):
            self.hear(data)
        try:
            write_all(1, data if self.stdout_open else b"", "stdout")
            if self.stdout_open and self.printed > LOG_HEAD_BYTES and stat.S_ISREG(os.fstat(1).st_mode):
                self.stdout_open = False  # a file on this machine; in a Pod it is a pipe, whose log the kubelet rotates
                write_all(1, f"\n[trial.py: what follows is in {self.log_path} alone]\n".encode(), "stdout")
        except OSError:
            self.stdout_open = False  # nobody reads along any more; the log in the store goes on
        self._log(data)

    def _log(self, data: bytes) -> None:
        """Add to output.log. Of one that gets too long the head stays, and the newest of the rest: a trial that prints
        without an end must not fill the store for all."""
        write_all(self.log, data, self.log_path)
        self.logged += len(data)
        if self.logged <= LARGEST_LOG_BYTES:
            return
        newest = self.tail.partition(b"\n")[2] or self.tail  # whole lines, where there are any
        gone = self.printed - LOG_HEAD_BYTES - len(newest)
        bound = f"output.log holds at most {LARGEST_LOG_BYTES} bytes"
        data = f"\n[trial.py: {gone} bytes of output are left out here: {bound}]\n".encode() + newest
        with naming(self.log_path):
            os.ftruncate(self.log, LOG_HEAD_BYTES)
        write_all(self.log, data, self.log_path)
        self.logged = LOG_HEAD_BYTES + len(data)

    def _end(self, ending: str, patience: float) -> None:
        if not self.ending:
            self.ending, self.kill_at = ending, time.monotonic() + patience
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with suppress(OSError):  # none left
            os.killpg(self.child.pid, number)


def judge(command: Command, code: int, options: argparse.Namespace, trial: dict[str, Any]) -> None:
    """Raises Stop unless the command ended by itself and well. Negative codes are signals."""
    shown = 128 - code if code < 0 else code
    if command.ending == "preempted":
        raise Stop(TERMINATED, "SIGTERM", status="preempted", ended=shown)
    if command.ending == "limit":
        message = f"limit: the {trial['limit_seconds']:g} s of all attempts are used up; raise limit_seconds to go on"
        raise Stop(TIME_LIMIT, "limit", message, ended=shown)
    if code == GPU_MEMORY:
        # A shared GPU may have room again; on an exclusive one the same trial fails the same way.
        raise Stop(TRY_AGAIN if options.gpu_shared else code, "gpu out of memory", ended=code)
    if code == USAGE and re.search(rb"^usage: ", command.tail, re.IGNORECASE | re.MULTILINE):
        # What argparse, click, getopt's users … say to words that they do not take: the same words fail the same way.
        said = command.last_line()
        cure = "mend `command` or the hyperparameters"
        for name in re.findall(r"--(\w+_\w+)", said):
            dashed = "--" + name.replace("_", "-")
            if re.search(rf"{dashed}(?![\w-])".encode(), command.tail):
                cure = f"it has {dashed}: set `passing: {{dashes: true}}`"
        raise Stop(BAD_INPUT, f"usage: {said}; {cure}", ended=code)
    if code in NOT_STARTED:  # by a shell or a wrapper of the command: there is no such program the next time either
        reason = f"exit {code} ({NOT_STARTED[code]}): {command.last_line()}; mend `command`, the code or the image"
        raise Stop(BAD_INPUT, reason, ended=code)
    if code:
        said = "killed (out of memory?)" if shown == 128 + signal.SIGKILL else command.last_line()
        raise Stop(shown, f"signal {-code}: {said}" if code < 0 else f"exit {code}: {said}", ended=shown)


def read_told(path: str) -> bytes:
    """What the command wrote into METRICS_FILE. Raises ValueError where that is no file of a bearable size."""
    try:
        return read_file(path, LARGEST_METRICS_BYTES)[0]
    except FileNotFoundError:
        raise ValueError("the command did not write it") from None
    except PermissionError as error:
        raise ValueError(f"is no file that can be read: {error.strerror}") from None


def read_metrics(data: bytes, wanted: list[str], read: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the command tells, as it stands in result.json; `wanted` are the objectives, `read` what was read of it
    elsewhere, over which METRICS_FILE wins.

    Raises ValueError with the reason when it cannot.
    """
    told = object_of(data)
    status = told.pop("status", "succeeded")
    environment, durations = told.pop("environment", {}), told.pop("durations", {})
    need(status in FINAL, f"status {str(status)[:SHOWN_CHARACTERS]!r} is none of {', '.join(FINAL)}")
    need(isinstance(environment, dict) and isinstance(durations, dict), "environment and durations must be objects")
    told = {**(read or {}), **told}
    # null is how a writer that keeps to the letter of JSON, as result.json does, spells a number that is not finite.
    metrics = {name: value for name, value in told.items() if value is None or is_number(value)}
    within = fitting(metrics, wanted)
    kept = {"environment": facts(environment), "durations": seconds_of(durations)}
    if [metrics, *kept.values()] != [told, environment, durations]:
        say("METRICS_FILE: left out what is neither a number nor a reserved key")  # no trial is lost over it
    finite = {name: value if is_finite(value) else None for name, value in metrics.items() if name in within}
    other = {name: value for name, value in told.items() if name not in metrics}
    return {"status": status, "metrics": finite, **kept, "other": other}


def facts(environment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in environment.items() if isinstance(value, str) or is_finite(value)}


def seconds_of(durations: dict[str, Any]) -> dict[str, Any]:
    return {name: durations[name] for name in ("setup_s", "train_s") if is_finite(durations.get(name))}


def object_of(data: bytes) -> dict[str, Any]:
    """The JSON object that the command wrote. Raises ValueError with its beginning where it is none."""
    try:
        # NaN and Infinity are welcome here, and a number beyond all floats is as infinite.
        told = json.loads(data, parse_int=lambda digits: int(digits) if len(digits) <= MOST_DIGITS else math.inf)
        need(isinstance(told, dict), "not a JSON object")
        check_depth(told)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        text = data[: 4 * SHOWN_CHARACTERS].decode(errors="replace")
        raise ValueError(f"{error}; it begins with {json.dumps(text[:SHOWN_CHARACTERS])}") from None
    return dict(told)


def fitting(metrics: dict[str, Any], wanted: list[str]) -> set[str]:
    """Names of the metrics that a result has room for: the objectives, then the first."""
    named = sorted(metrics, key=lambda name: name not in wanted)
    within = set([name for name in named if len(name) <= LONGEST_NAME or name in wanted][:MOST_METRICS])
    if len(within) < len(metrics):
        bounds = f"the first {MOST_METRICS} are kept, with names of at most {LONGEST_NAME} characters"
        say(f"METRICS_FILE: has {len(metrics)} metrics: {bounds}; HISTORY_FILE has room")
    return within


def lack(told: dict[str, Any], wanted: list[str], mend: str = "mend the trainer") -> str:
    """Why what the command tells is no result, with the names that come nearest; "" if it is one."""
    for name in wanted:
        if name in told["other"]:
            found = json.dumps(told["other"][name])[:SHOWN_CHARACTERS]
            return f"the objective {name!r} is not a number but {found}; {mend}"
        if name not in told["metrics"]:
            from difflib import SequenceMatcher

            names = sorted(told["metrics"], key=lambda one: -SequenceMatcher(None, name, one[:500]).ratio())
            shown = ", ".join(repr(one[:SHOWN_CHARACTERS]) for one in names[:SHOWN_NAMES]) or "no metric"
            more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            cure = "; name one of those in `objective` and submit again: they are kept, nothing trains anew"
            return f"lacks the objective {name!r}; it has {shown}{more}{cure if names else f'; {mend}'}"
    return ""


def status_of(result: dict[str, Any], trial: dict[str, Any]) -> str:
    """The status of a result by its own word, unless an objective is not finite."""
    known = all(is_finite(result["metrics"][name]) for name in objectives(trial))
    return str(result["status"]) if known else "diverged"


# ---- after the result ------------------------------------------------------------------------------------------------


def keep_outputs(options: argparse.Namespace, trial: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
    """What the command left in OUTPUT_DIR, as the result's field `outputs`; its newest checkpoint, copied there, where
    it left nothing. {} for nothing at all. What cannot be kept is said and left out: no result is lost over it.
    """
    if options.outputs == "none":
        return {}
    folder = attempt.folder.below("outputs")
    try:
        with folder.handle() as handle:
            own = os.listdir(handle)
            if own or (options.checkpoints == "auto" and checkpoint_folder(options, trial).names()):
                return list_outputs(options, trial, attempt, handle, bool(own))
    except (OSError, ValueError) as error:
        reason = in_words(error) if isinstance(error, OSError) else f"{error}; raise outputs.max"
        say(f"OUTPUT_DIR: not kept: {reason}")
        attempt.folder.remove("outputs")
        return {"outputs": {"files": 0, "bytes": 0, "left_out": reason[:LONGEST_REASON]}}
    attempt.folder.remove("outputs")
    return {}


def list_outputs(
    options: argparse.Namespace, trial: dict[str, Any], attempt: Attempt, handle: int, own: bool
) -> dict[str, Any]:
    """As keep_outputs; `handle` is of the folder, `own`: the command left something there. Raises ValueError for more
    than is kept, and OSError.
    """
    import outputs

    most = outputs.quantity(options.outputs)
    if not own:
        copy_checkpoint(options, trial, attempt, most)
    files, other = outputs.listed(handle, most, attempt.keep_alive)
    if other:
        say(f"OUTPUT_DIR: left out what is no plain file: {' '.join(other[:SHOWN_NAMES])[:LONGEST_REASON]}")
    if not files:
        attempt.folder.remove("outputs")
        return {}
    attempt.folder.write_atomic("outputs.json", {"schema_version": SCHEMA_VERSION, "id": trial["id"], "files": files})
    total = sum(file["bytes"] for file in files.values())
    return {"outputs": {"files": len(files), "bytes": total, "sha256": outputs.digest_of(files)}}


def copy_checkpoint(options: argparse.Namespace, trial: dict[str, Any], attempt: Attempt, most: int) -> None:
    """The model of a program that knows of checkpoints alone, which are removed once its result stands. As above."""
    import outputs

    budget = trial["identity"]["hyperparameters"].get(options.budget)
    with checkpoint_folder(options, trial).handle() as folder:
        newest = outputs.newest_checkpoint(folder, budget if is_number(budget) else None)
        if newest:
            outputs.check_size(folder, newest, most)
            with attempt.folder.below("outputs/checkpoint").handle(make=True) as below:
                outputs.copy(folder, newest, below, attempt.keep_alive)


def checkpoint_folder(options: argparse.Namespace, trial: dict[str, Any]) -> Folder:
    return Folder(options.results, f"{options.within}checkpoints/{trial['lineage'][:2]}/{trial['lineage']}")


def clean_checkpoints(options: argparse.Namespace, trial: dict[str, Any], siblings: Folder, own: str = "") -> None:
    """Remove the checkpoints that nobody needs once a valid result stands, even while another Pod still trains.

    Without a budget only attempts of this trial use them, and those end as duplicates or, begun again, exit at once:
    the files go, the folder stays while another attempt shows signs of life, lest its next checkpoint fail.
    With a budget other trials share them and may be training: the newest epoch stays, and so does what has no epoch in
    its name or is being written (`.*`, `*tmp*`). `drop` empties the folder all the same, but only after a training.
    """
    folder, shared = checkpoint_folder(options, trial), options.budget in trial["identity"]["hyperparameters"]
    if options.checkpoints == "keep" or (options.checkpoints == "drop" and shared and not own):
        return
    names = folder.names()
    for name in superseded(names) if shared and options.checkpoints == "auto" else names:
        folder.remove(name)
    if not shared and not another_lives(siblings, own):
        remove_empty(folder)


def superseded(names: list[str]) -> list[str]:
    """Those of checkpoints whose epoch, the first number in the name, is not the newest."""
    import outputs

    epochs = outputs.epochs_of(names)
    return [name for name, epoch in epochs.items() if epoch < max(epochs.values())]


def another_lives(siblings: Folder, own: str) -> bool:
    """Whether an attempt of the trial other than `own` has shown a sign of life of late."""
    now = siblings.now()
    return any(
        record.get("status") == "running" and now - alive_at < ALIVE_SECONDS
        for record, alive_at in attempts_in(siblings, but=own)
    )


def remove_empty(folder: Folder) -> None:
    """Remove a folder in which nothing is, as far as it can go."""
    above, _, name = folder.path.rpartition("/")
    try:
        with Folder(folder.root, above).handle() as handle:
            os.rmdir(name, dir_fd=handle)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EROFS):  # mounted alone it cannot go; empty it costs nothing
            raise


# ---- all of it -------------------------------------------------------------------------------------------------------


def reading_of(trial: dict[str, Any], *folders: Folder) -> Reading | None:
    """What reads the metrics where the values say how; None where the command writes METRICS_FILE. Raises Stop."""
    sources = trial["identity"].get("metrics")
    if not sources:
        return None
    import reading

    try:
        return reading.Reading(sources, trial.get("steps", []), *folders)
    except ValueError as error:
        raise Stop(BAD_INPUT, f"{error}; mend it in the values", ended=None) from None


def read_all(
    reading: Reading, trial: dict[str, Any], attempt: Attempt, signals: int, patience: float, secret: list[bytes]
) -> tuple[dict[str, Any], str]:
    """(metrics that the values say how to read, what was not found) of a command that has ended.

    Told to end, it still has `patience`: mostly it is done in no time, and the training is not lost. Raises Stop.
    """
    until = math.inf

    def tick() -> None:
        nonlocal until
        with suppress(BlockingIOError):
            if {signal.SIGTERM, signal.SIGINT} & set(os.read(signals, 512)):
                until = min(until, time.monotonic() + patience)
        if time.monotonic() > until:
            raise Stop(TERMINATED, "SIGTERM", status="preempted", ended=0)
        attempt.keep_alive()

    def masked(text: str) -> str:
        for value in secret:
            text = text.replace(value.decode(errors="replace"), "***")
        return text

    reading.look(tick)
    attempt.keep_history(reading.history())
    for line in reading.told():
        say(f"{trial['id']}: {masked(line)}")
    return reading.metrics(), masked("".join(f"{one}; " for one in reading.lacks()))


def seconds_left(options: argparse.Namespace, trial: dict[str, Any], attempt: Attempt) -> float:
    """Of limit_seconds. Raises Stop where earlier attempts have used them up."""
    used, count = attempt.used_before(options.grace)
    left: float = trial["limit_seconds"] - used
    if left <= 0:
        limit = f"limit_seconds is {trial['limit_seconds']:g}; raise it to go on"
        raise Stop(TIME_LIMIT, "limit", f"limit: earlier attempts ({count}) used {used:.0f} s, {limit}")
    return left


def place(options: argparse.Namespace) -> str | None:
    """Lay out code and data for the command; the code's folder, None where there is none but the image's."""
    code_folder = os.path.abspath(f"{options.scratch}/code") if options.code else None
    if code_folder:
        unpack(options.code, code_folder)
    if options.data_at:
        place_data(os.path.abspath(options.data), code_folder or os.getcwd(), options.data_at)
    return code_folder


def metrics_of(path: str, trial: dict[str, Any], attempt: Attempt, read: dict[str, Any] | None) -> dict[str, Any]:
    """What the command tells in METRICS_FILE, over what was `read` elsewhere; None: nothing was to be. Raises Stop."""
    data = b""
    try:
        data = read_told(path) if read is None or os.path.lexists(path) else b"{}"
        return read_metrics(data, objectives(trial), read)
    except ValueError as error:
        attempt.keep("metrics.txt", data)
        raise Stop(BAD_INPUT, f"METRICS_FILE: {error}", ended=0) from None


def train(options: argparse.Namespace, trial: dict[str, Any], attempt: Attempt, signals: int) -> dict[str, Any]:
    """Run the command; returns its result. Raises Stop."""
    left = seconds_left(options, trial, attempt)
    env = prepare(options, trial, attempt)
    code_folder = place(options)
    here, scratch = code_folder or os.getcwd(), os.path.abspath(options.scratch)
    words = words_of(trial["identity"], trial["id"], env, here, scratch)
    secret = secret_values(trial["identity"]["env"])
    reading = reading_of(trial, Folder(here, "."), Folder(env["OUTPUT_DIR"], "."))

    def look() -> None:
        if reading:
            reading.look(live=True)
            attempt.keep_history(reading.history())

    def beat() -> None:
        attempt.heartbeat()
        look()

    command = Command(words, env, code_folder, attempt.folder, secret, reading.hear if reading else None)
    patience = max(options.grace - 5, options.grace / 2)
    code = command.run(signals, attempt.began + left, patience, beat)
    look()  # what it printed last belongs to its learning curve, however it ended
    judge(command, code, options, trial)
    # The same command would write the same again: what is no result now is none at the next start either.
    read, lacks = None, ""
    if reading:
        read, lacks = read_all(reading, trial, attempt, signals, patience, secret)
    told = metrics_of(env["METRICS_FILE"], trial, attempt, read)
    record = attempt.record
    result = {
        "schema_version": SCHEMA_VERSION, "id": trial["id"], "status": told["status"], "identity": trial["identity"],
        "metrics": told["metrics"], "objective": trial["objective"], "attempt": attempt.name,
        "started_at": record["started_at"], "finished_at": utc(time.time()), "used_s": attempt.used_s(),
        "durations": told["durations"],
        "environment": {**told["environment"], "engine": record["engine"], "node": record["node"]},
        **keep_outputs(options, trial, attempt),
    }  # fmt: skip
    flaw = lack(told, objectives(trial), "mend `metrics`" if reading else "mend the trainer")
    if flaw:
        for line in command.last_lines() if reading else ():
            say(f"  | {line}")
        stop = Stop(BAD_INPUT, f"{'metrics' if reading else 'METRICS_FILE'}: {lacks}{flaw}", ended=0)
        stop.kept = result
        raise stop
    return {**result, "status": status_of(result, trial)}


def store_of_reproduction(results: str, trial: dict[str, Any], number: str) -> str:
    """A store of its own, below the result store: neither the result that stands nor its checkpoints are in there.

    Returns its path there, with a slash at the end.
    """
    if not re.fullmatch("[0-9]{1,12}", number):
        raise Stop(BAD_INPUT, f"REPRODUCTION: {number!r} is not a number; let `make reproduce` render the Job")
    os.listdir(results)  # never made here: a store that is not mounted must not become a folder
    folder = Folder(results, f"reproductions/{trial['id']}/{number}")
    with folder.handle(make=True):
        return f"{folder.path}/"


def not_writable(results: str, error: OSError) -> Stop:
    who = f"not writable by {os.getuid()}:{os.getgid()} (uid:gid)"
    advice = "free space there, or set what its export asks for (values: security)"
    return Stop(TRY_AGAIN, f"result store {results}: {who}: {in_words(error)}; {advice}")


def make_folders(options: argparse.Namespace) -> None:
    """All that an init container does: make the folders of the store that the trial's own container mounts alone, which
    would else be root's, and see that files can be written there. Raises Stop."""
    try:
        os.listdir(options.results)  # never made here: a store that is not mounted must not become a folder
        for path in options.make:
            probe = f".probe.{os.urandom(4).hex()}"
            with Folder(options.results, path).handle(make=True) as handle:
                os.close(create(probe, handle))
                os.unlink(probe, dir_fd=handle)
    except OSError as error:
        raise not_writable(options.results, error) from None


def run(options: argparse.Namespace, trial: dict[str, Any], signals: int) -> None:
    """One attempt, unless a valid result stands. Raises Stop."""
    folder = Folder(options.results, f"{options.within}trials/{trial['id'][:2]}/{trial['id']}")
    standing = standing_result(folder, trial) or mended_result(folder, trial)
    if standing:
        say(f"{trial['id']}: done already: {standing['status']} in attempt {standing['attempt']}")
        end_well(standing, options, trial, folder.below("attempts"))
        return
    try:
        os.listdir(options.results)  # as above
        attempt = Attempt(folder, options, trial)
    except OSError as error:
        raise not_writable(options.results, error) from None
    try:
        result = train(options, trial, attempt, signals)
        standing = publish(folder, result, trial)
        status, reason = result["status"], ""
        if standing["attempt"] != attempt.name:
            status, reason = "duplicate", f"attempt {standing['attempt']} was first"
            attempt.folder.remove("outputs")
        attempt.finish(status, 0, reason)
    except Exception as error:
        stop = stop_of(error)
        with suppress(OSError), attempt.folder.handle() as handle:
            os.rmdir("outputs", dir_fd=handle)  # what is in there of a trial that failed stays, apart from any result
        with suppress(OSError):
            attempt.finish(stop.status, stop.ended, stop.reason, stop.kept)
        raise stop from None
    say(f"{trial['id']}: {status}{reason and ': '}{reason}")
    # Only now that attempt.json has its end: of two attempts that finish together, the later sees no other alive.
    end_well(standing, options, trial, attempt.siblings, attempt.name)


def end_well(
    standing: dict[str, Any], options: argparse.Namespace, trial: dict[str, Any], siblings: Folder, own: str = ""
) -> None:
    """What is left to do where a valid result stands; none of it may turn the trial into a failed one."""
    last_words(json.dumps(standing))
    try:
        clean_checkpoints(options, trial, siblings, own)
    except OSError as error:
        say(f"{trial['id']}: checkpoints stay: {in_words(error)}")


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Stop(BAD_INPUT, f"arguments: {message}; render the chart again")


def parse_arguments(words: list[str] | None) -> argparse.Namespace:
    """Raises Stop."""
    # A width, or argparse imports shutil to ask for the terminal's.
    style = lambda prog: argparse.HelpFormatter(prog, width=120)  # noqa: E731
    parser = Parser(description="Run one attempt of the trial in TRIAL.", allow_abbrev=False, formatter_class=style)
    add = parser.add_argument
    add("--results", required=True, metavar="DIR", help="the result store")
    add("--data", metavar="DIR", help="the data set; without it there is no DATA_DIR")
    add("--data-at", metavar="PATH", help="where the command finds the data set too, from its folder")
    add("--code", metavar="PATH", help="files.json or folder of the frozen code; without it the code is in the image")
    add("--provenance", metavar="FILE", help="provenance.json; may be missing")
    add("--make", action="append", metavar="PATH", help="make this folder of the store, and run nothing")
    add("--scratch", required=True, metavar="DIR", help="a writable folder for this attempt alone")
    add("--gpus", type=int, default=0, metavar="N", help="GPUs of this Pod, for the record")
    add("--grace", type=float, default=30, metavar="SECONDS", help="time between SIGTERM and SIGKILL from outside")
    add("--checkpoints", choices=("auto", "keep", "drop"), default="auto", help="what becomes of them after the result")
    add("--outputs", default="none", metavar="SIZE", help="keep OUTPUT_DIR with the result, up to so many bytes")
    add("--budget", default="", metavar="NAME", help="hyperparameter whose trials share checkpoints")
    add("--gpu-shared", action="store_true", help="out of GPU memory is tried again")
    options = parser.parse_args(words)
    options.within = ""  # path below the store of the one that is used, with a slash at its end
    return options


def main(words: list[str] | None = None) -> int:
    trial: dict[str, Any] = {}
    try:
        signals = listen()
        options = parse_arguments(words)
        if options.make:
            make_folders(options)
            return 0
        # UTF-8, whatever the locale of the image: a letter read in another way would be another identity.
        trial = parse_trial(os.environb[b"TRIAL"].decode(errors="replace") if b"TRIAL" in os.environb else None)
        if os.environ.get("REPRODUCTION"):
            options.within = store_of_reproduction(options.results, trial, os.environ["REPRODUCTION"])
        run(options, trial, signals)
        return 0
    except Exception as error:
        stop = stop_of(error)
    say(f"{trial['id']}: {stop.message}" if trial else stop.message)
    last_words(stop.message)
    return stop.code


if __name__ == "__main__":
    sys.exit(main())
