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
    parsed = spacefile.read(doc, SCHEMA)
    return repr(
        (parsed.digest, parsed.objective, parsed.sampler, parsed.hyperparameters, parsed.parameters, parsed.points)
    )


def values(data: bytes, folder: Path) -> str:
    (folder / "values.yaml").write_bytes(data)
    parsed = valuesfile.parse(
        yamlfile.read_text(folder / "values.yaml", "values/s/values.yaml"), "values/s/values.yaml"
    )
    block = parsed.block and (parsed.block.edited, parsed.block.rounds, parsed.block.titles)
    return repr((parsed.head.data, parsed.trials(), block))


def result(data: bytes, folder: Path) -> str:
    """As the result of a trial, and as the record of its attempt; twice each, for the second look is at a cache."""
    tables = []
    for name in ("result.json", f"attempts/{ATTEMPT}/attempt.json"):
        shutil.rmtree(folder / "store", ignore_errors=True)
        path = put_result(folder / "store", TRIAL, attempt=ATTEMPT).parent
        (path / name).write_bytes(data)
        os.utime(path / name, (1_767_323_045, 1_767_323_045))  # it is the attempt's last sign of life
        cache = folder / name.replace("/", "-")
        tables.append(_table(folder / "store", cache))
        again = _table(folder / "store", cache)
        assert again == tables[-1], f"from the cache it is {again}, and it was {tables[-1]}"
    if tables == [tables[0]] * 2 and "not JSON" in tables[0]:
        raise BadInput(tables[0])
    return repr(tables)


def _table(where: Path, cache: Path) -> str:
    """What is set aside of a store, and its table, which must come through results.csv as it is."""
    snapshot = store.read(where, [TRIAL], cache)
    rows = results.merge([], [TRIAL], snapshot, {}, "local")
    assert repr(_through_csv(rows)) == repr(rows), f"results.csv makes {_through_csv(rows)} of {rows}"
    return repr((snapshot.problems, rows))


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
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert all(path == "mirror" or path.startswith("mirror/") for path in written), (
        f"written beside the mirror: {written}"
    )
    return repr((written, _looked_at_once(store.read(mirror, [TRIAL]))))


def _looked_at_once(snapshot: store.Snapshot) -> list[Attempt]:
    """The attempts, less when they were looked at."""
    return [replace(attempt, seen_at=0) for stored in snapshot.trials.values() for attempt in stored.attempts]


def packed(data: bytes) -> list[bytes]:
    """The lines of a stream; {"records": […], "end": {…}} is packed as by the Pod, `end` over what it would say."""
    try:
        dump = json.loads(data)
        lines = [base64.b64encode(zlib.compress(json.dumps(record).encode())) for record in dump["records"]]
        digest = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
        end = {"left": 0, "unread": [], "now": 1e9, "lines": len(lines), "sha256": digest} | dump.get("end", {})
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
    reading = RUNNERS_READING.Reading(sources, [], FOLDERS.Folder(str(folder), "."))
    for path in ("f", "f.tfevents.1", "mlruns/0/1/meta.yaml", "mlruns/0/1/metrics/loss"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    for part in (data, b""):
        reading.hear(part)
    reading.look()
    return repr((reading.metrics(), reading.history(), reading.summary(), reading.lacks()))


READERS: dict[str, Reader] = {
    "space": space, "values": values, "result": result, "history": history, "stream": stream, "results": table,
    "metrics": metrics,
}  # fmt: skip
