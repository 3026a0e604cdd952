"""The readers of what others wrote, as functions of bytes: what is made of them, or a SweepError.

What is accepted is given back as text that is the same whenever the same was read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep import yamlfile
from sweep.engines import reader
from sweep.engines import stream as engine_stream
from sweep.errors import BadInput
from sweep.layout import Kit
from sweep.records import outputs, results, store
from sweep.records.attempt import Attempt
from sweep.records.results import Row
from sweep.spaces import spacefile, valuesfile
from tests.unit.stores import put_attempt, put_result, trial
from tests.unit.trial_support import load

Reader = Callable[[bytes, Path], str]
"""(document, an empty folder) -> what was read, spelled. Raises SweepError for what it refuses."""
TRIAL = trial({"lr": 0.1, "name": "a"})
ATTEMPT = "20260102T030405Z-pod"
FOLDERS, RUNNERS_READING = load("folders"), load("reading")
SCHEMA = json.loads((Kit.here().schemas / "space.schema.json").read_text())


def space(data: bytes, folder: Path) -> str:
    (folder / "space.yaml").write_bytes(data)
    doc = yamlfile.load(folder / "space.yaml", "values/s/space.yaml", helm=False)
    made = spacefile.read(doc, SCHEMA)
    return repr((made.digest, made.objective, made.sampler, made.hyperparameters, made.parameters, made.points))


def values(data: bytes, folder: Path) -> str:
    (folder / "values.yaml").write_bytes(data)
    made = valuesfile.parse(yamlfile.read_text(folder / "values.yaml", "values/s/values.yaml"), "values/s/values.yaml")
    block = made.block and (made.block.edited, made.block.rounds, made.block.titles)
    return repr((made.head.data, made.trials(), block))


def result(data: bytes, folder: Path) -> str:
    """As the result of a trial, and as the record of its attempt; twice each, for the second look is at a cache."""
    told = []
    for name in ("result.json", f"attempts/{ATTEMPT}/attempt.json"):
        shutil.rmtree(folder / "store", ignore_errors=True)
        path = put_result(folder / "store", TRIAL, attempt=ATTEMPT).parent
        (path / name).write_bytes(data)
        os.utime(path / name, (1_767_323_045, 1_767_323_045))  # it is the attempt's last sign of life
        cache = folder / name.replace("/", "-")
        told.append(_table(folder / "store", cache))
        again = _table(folder / "store", cache)
        assert again == told[-1], f"from the cache it is {again}, and it was {told[-1]}"
    if told == [told[0]] * 2 and "not JSON" in told[0]:
        raise BadInput(told[0])
    return repr(told)


def _table(where: Path, cache: Path) -> str:
    """What is set aside of a store, and its table, which must come through results.csv as it is."""
    found = store.read(where, [TRIAL], cache)
    rows = results.merge([], [TRIAL], found, {}, "local")
    assert repr(_through_csv(rows)) == repr(rows), f"results.csv makes {_through_csv(rows)} of {rows}"
    return repr((found.problems, rows))


def _through_csv(rows: list[Row]) -> list[Row]:
    return results.from_csv(results.to_csv(rows))


def history(data: bytes, folder: Path) -> str:
    path = put_attempt(folder, TRIAL, ATTEMPT)
    (path / "history.jsonl").write_bytes(data)
    (path / "output.log").write_bytes(data)
    return repr((list(outputs.history(folder, TRIAL.id, ATTEMPT)), outputs.log_tail(folder, TRIAL.id, ATTEMPT)))


def stream(data: bytes, folder: Path) -> str:
    """What a reader Pod prints: taken apart, kept in a mirror, and read from there."""
    mirror = folder / "mirror"
    mirror.mkdir()
    for record in engine_stream.parse(packed(data)):
        if "trial" in record:
            reader.keep(store.folder(mirror, record["trial"]), record)
    made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert all(path == "mirror" or path.startswith("mirror/") for path in made), f"written beside the mirror: {made}"
    return repr((made, _looked_at_once(store.read(mirror, [TRIAL]))))


def _looked_at_once(found: store.Snapshot) -> list[Attempt]:
    """The attempts, less when they were looked at."""
    return [replace(one, seen_at=0) for stored in found.trials.values() for one in stored.attempts]


def packed(data: bytes) -> list[bytes]:
    """The lines of a stream; {"records": […], "end": {…}} is packed as by the Pod, `end` over what it would say."""
    try:
        told = json.loads(data)
        lines = [base64.b64encode(zlib.compress(json.dumps(one).encode())) for one in told["records"]]
        digest = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
        end = {"left": 0, "unread": [], "now": 1e9, "lines": len(lines), "sha256": digest} | told.get("end", {})
        return [*lines, json.dumps(end).encode()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return data.split(b"\n")


def table(data: bytes, _: Path) -> str:
    rows = results.from_csv(data)
    written = results.to_csv(rows)
    again = results.to_csv(_through_csv(rows))
    assert again == written, f"written, read and written again it is {again!r}, and it was {written!r}"
    return repr(rows)


def metrics(data: bytes, folder: Path) -> str:
    """What a program prints and writes of itself, as each of the sources that there are."""
    paths = {"csv": "f", "json": "f", "jsonl": "f"}
    sources: list[dict[str, Any]] = [
        {"from": "file", "path": path, "format": form, "take": {"max": "loss"}} for form, path in paths.items()
    ]
    sources += [{"from": "output", "format": form} for form in ("name=value", "name: value", "json")]
    sources += [{"from": "output", "pattern": r"epoch (?P<epoch>\d+).*loss (?P<loss>\S+)", "take": {"min": "loss"}}]
    sources += [{"from": "tensorboard", "path": "*", "take": {"min": "loss"}}]
    sources += [{"from": "mlflow", "path": path, "take": "first"} for path in ("f", "mlruns")]
    made = RUNNERS_READING.Reading(sources, [], FOLDERS.Folder(str(folder), "."))
    for path in ("f", "f.tfevents.1", "mlruns/0/1/meta.yaml", "mlruns/0/1/metrics/loss"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    for part in (data, b""):
        made.hear(part)
    made.look()
    return repr((made.metrics(), made.history(), made.summary(), made.lacks()))


READERS: dict[str, Reader] = {
    "space": space, "values": values, "result": result, "history": history, "stream": stream, "results": table,
    "metrics": metrics,
}  # fmt: skip
