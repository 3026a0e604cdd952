"""Print what the result store has of some trials, as far as the one who asks does not know it yet. Read-only.

    python3 -I -S -c "$(cat reader.py)" STORE BYTES ID:FINGERPRINT ...

One line a trial that has changed: base64 of zlib of JSON {"trial", "attempts": [name], "files": {path: {"mtime_ns",
"size", "data"}}}, where `data` is base64 of the file, or of its end where `size` is larger. The last line is JSON
{"left": how many ids were not looked at because BYTES were reached, "unread": [what could not be read, and why], "now":
seconds of the epoch at the start, "lines", "sha256": of all lines before}: a log that the kubelet has rotated, or cut,
is told by it. Standard library only, Python 3.9.
"""

import base64
import errno
import hashlib
import json
import os
import sys
import time
import zlib

HISTORY_BYTES = 262_144
LOG_BYTES = 16_384
RECORD_BYTES = 4 * 1024 * 1024
STALE_RETRIES = 5
MOST_UNREAD = 20


def there(look, path):
    """look(path), None where nothing is at `path`. Every other error is one: what cannot be read is not gone.

    On NFS a file that another client replaced while it was open gives ESTALE: open it again.
    """
    left = STALE_RETRIES
    while True:
        try:
            return look(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno != errno.ESTALE or not left:
                raise
            left -= 1


def folders(path):
    """Names of the folders in a folder, sorted."""
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def attempts(trial):
    """Names of a trial's attempts, oldest first."""
    return there(folders, f"{trial}/attempts") or []


def fingerprint(trial):
    """12 hex digits over the names, sizes and times of a trial's result and attempts: what changes when they do."""
    told = []
    for name in ["result.json", *(f"attempts/{attempt}/attempt.json" for attempt in attempts(trial))]:
        stat = there(os.stat, f"{trial}/{name}")
        told.append(f"{name} {stat.st_size} {stat.st_mtime_ns}" if stat else f"{name} -")
    return hashlib.sha256("\n".join(told).encode(errors="surrogateescape")).hexdigest()[:12]


def read(path, most):
    """A file as the record of it, its end where it is larger than `most`; None if it is not there."""

    def look(path):
        with open(path, "rb") as opened:
            stat = os.fstat(opened.fileno())
            opened.seek(max(0, stat.st_size - most))
            data = opened.read(most)
        return {"mtime_ns": stat.st_mtime_ns, "size": stat.st_size, "data": base64.b64encode(data).decode()}

    return there(look, path)


def record(store, trial):
    """All that is told of a trial; the output of its newest attempt only.

    A trial writes what an attempt.json or a result.json sums up before it; so those are read first, to be no newer. And
    the result before its attempts are listed: the one that backs it must be among them.
    """
    folder = f"{store}/trials/{trial[:2]}/{trial}"
    files = {"result.json": read(f"{folder}/result.json", RECORD_BYTES)}
    wanted, names = {}, attempts(folder)
    for name in names:
        wanted[f"attempts/{name}/attempt.json"] = RECORD_BYTES
        wanted[f"attempts/{name}/history.jsonl"] = HISTORY_BYTES
    if names:
        wanted[f"attempts/{names[-1]}/output.log"] = LOG_BYTES
    files.update({name: read(f"{folder}/{name}", most) for name, most in wanted.items()})
    return {"trial": trial, "attempts": names, "files": {name: told for name, told in files.items() if told}}


def main(store, most, known):
    if not os.path.isdir(store):
        sys.exit(f"reader: {store}: no such folder; the volume is not mounted")
    now, printed, lines, digest, unread = time.time(), 0, 0, hashlib.sha256(), []
    for at, told in enumerate(known):
        trial, _, before = told.partition(":")
        try:
            if fingerprint(f"{store}/trials/{trial[:2]}/{trial}") == before:
                continue
            found = record(store, trial)
        except OSError as error:
            unread.append(f"{error.filename or trial}: {error.strerror}")
            continue
        line = base64.b64encode(zlib.compress(json.dumps(found).encode())) + b"\n"
        sys.stdout.buffer.write(line)
        digest.update(line)
        printed, lines = printed + len(line), lines + 1
        if printed >= int(most):
            left = len(known) - at - 1
            break
    else:
        left = 0
    end = {"left": left, "unread": unread[:MOST_UNREAD], "now": now, "lines": lines, "sha256": digest.hexdigest()}
    print(json.dumps(end), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
