"""The store's mirror: the real program of the reader Pod on one side, the mirror on the other, and all that may happen
between them."""

from __future__ import annotations

import ast
import base64
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep import chartfiles
from sweep.engines import reader, stream
from sweep.engines.cluster import Cluster, Refused
from sweep.engines.reader import Brought, NoReader
from sweep.errors import BadInput, Unreachable
from sweep.files import Tree
from sweep.layout import Clone
from sweep.records import attempt, outputs, store, strict
from sweep.render import Object
from tests.unit import odd_files
from tests.unit.kube_objects import at, ended, pod, waiting
from tests.unit.kube_objects import job as a_job
from tests.unit.stores import folder, put_attempt, put_result, result, trial
from tests.unit.trial_support import load

SCRIPT = Clone.here().reader
PROGRAM: Any = chartfiles.module(SCRIPT)
TRIALS = [trial({"lr": n}) for n in range(3)]
SUCCEEDED = {"status": {"phase": "Succeeded"}}


def printed(where: Path, *words: str, within: float | None = None, memory: int | None = None) -> list[bytes]:
    """The lines of a reader Pod on the store `where`, run as in the Pod: within so many seconds and bytes."""
    command = [sys.executable, "-I", "-S", "-c", SCRIPT.read_text(), str(where), *words]
    if memory:
        command = ["sh", "-c", f'ulimit -v {memory >> 10}; exec "$@"', "sh", *command]
    return subprocess.run(command, capture_output=True, check=True, timeout=within).stdout.splitlines()


def in_process(where: Path, most: int, known: list[str], capture: Callable[[], bytes]) -> list[bytes]:
    PROGRAM.main(str(where), most, known)
    return capture().splitlines()


class Pods(Cluster):
    """A namespace whose only Pods are readers of the store `where`: a Pod has succeeded as soon as it is created."""

    def __init__(self, where: Path) -> None:
        super().__init__("", "ns")
        self.where = where
        self.pods: dict[str, Object] = {}
        self.count = 0
        self.cut: int | None = None
        """Lines of a log that arrive."""
        self.end: Object | None = SUCCEEDED
        self.listed: list[Object] = []

    def list(self, kind: str, labels: str = "", fields: str = "", *, brief: bool = False) -> list[Object]:
        assert (kind, fields, brief) == ("Pod", "", True)
        assert labels == "helm-sweep/part=reader,app.kubernetes.io/name=helm-sweep"
        return self.listed

    def get(self, kind: str, name: str) -> Object | None:
        if kind == "ConfigMap":
            return {"metadata": {"name": name, "uid": "u1"}} if name == "toy-provenance" else None
        return self.end if name in self.pods else None

    def create(self, item: Object, *, dry_run: bool = False) -> Object:
        assert not dry_run
        self.count += 1
        name = f"toy-reader-{self.count}"
        self.pods[name] = item
        return {"metadata": {"name": name}}

    def delete(self, kind: str, name: str, *, grace_seconds: int | None = None) -> None:
        assert (kind, grace_seconds) == ("Pod", 0)
        self.pods.pop(name, None)
        self.listed = [entry for entry in self.listed if entry["metadata"]["name"] != name]

    def log(self, pod: str, container: str, *, tail: int | None = None) -> Iterator[bytes]:
        assert (container, tail) == ("reader", None)
        lines = printed(self.where, *self.pods[pod]["args"])
        yield from lines[: self.cut]


def render(wanted: dict[str, Any]) -> str:
    """As the chart's reader.yaml, with the arguments where they are easily found."""
    about = {"generateName": "toy-reader-"}
    return f"kind: Pod\nmetadata: {json.dumps(about)}\nargs: {json.dumps([str(wanted['bytes']), *wanted['known']])}\n"


def refresh(cluster: Pods, mirror: Path) -> Brought:
    return reader.refresh(cluster, render, SCRIPT, mirror, TRIALS)


def same(mirror: Path, where: Path) -> None:
    """Fail unless the mirror is read as the store is, and needs nothing more of it."""
    for sample in TRIALS:
        assert PROGRAM.fingerprint(str(mirror), sample.id) == PROGRAM.fingerprint(str(where), sample.id)
        newest = store.newest_attempt(where, sample.id)
        assert store.newest_attempt(mirror, sample.id) == newest
        with Tree(where) as tree:
            names = store.attempt_names(tree, sample.id)
        for name in names:
            assert outputs.history(mirror, sample.id, name) == outputs.history(where, sample.id, name)
        if newest:
            assert outputs.log_tail(mirror, sample.id, newest) == outputs.log_tail(where, sample.id, newest)
    here, there = store.read(mirror, TRIALS), store.read(where, TRIALS)
    assert (here.trials, here.problems) == (there.trials, there.problems)


# ---- any store, any interruption ----

ATTEMPTS = [f"2026010{day}T030405Z-pod" for day in range(1, 4)]
CONTENT = st.sampled_from(['{"epoch": 1}\n', "no JSON", "", '{"epoch": 1, "loss": NaN}\n{"epo', "ä\x00\n"])
CHANGES = st.one_of(
    st.tuples(st.just("result"), st.sampled_from(TRIALS), st.integers(0, 3)),
    st.tuples(st.just("no result"), st.sampled_from(TRIALS)),
    st.tuples(st.just("garbage"), st.sampled_from(TRIALS), CONTENT),
    st.tuples(st.just("attempt"), st.sampled_from(TRIALS), st.sampled_from(ATTEMPTS), CONTENT, CONTENT),
    st.tuples(st.just("empty attempt"), st.sampled_from(TRIALS), st.sampled_from(ATTEMPTS)),
    st.tuples(st.just("only a log"), st.sampled_from(TRIALS), st.sampled_from(ATTEMPTS), CONTENT),
    st.tuples(st.just("no attempt"), st.sampled_from(TRIALS), st.sampled_from(ATTEMPTS)),
)


def change(where: Path, clock: int, what: str, of: Any, *more: Any) -> None:
    """Something that a trial, or a person, does to the store; every write has a time of its own, as in life."""
    base = folder(where, of)
    if what == "result":
        put_result(where, of, metrics={"val_accuracy": more[0]})
    elif what == "no result":
        (base / "result.json").unlink(missing_ok=True)
    elif what == "garbage":
        put_result(where, of).write_text(more[0])
    elif what == "attempt":
        put_attempt(where, of, more[0], log=more[1], history=more[2])
    elif what == "empty attempt":
        (base / "attempts" / more[0]).mkdir(parents=True, exist_ok=True)
    elif what == "only a log":
        if not (base / "attempts" / more[0]).exists():
            (base / "attempts" / more[0]).mkdir(parents=True)
            (base / "attempts" / more[0] / "output.log").write_text(more[1])
    else:
        shutil.rmtree(base / "attempts" / more[0], ignore_errors=True)
    for path in base.rglob("*.json"):
        if path.stat().st_mtime_ns > 1_750_000_000_000_000_000:  # written just now
            os.utime(path, ns=(clock, clock))


class Killed(BaseException):
    """The process ends here."""


@given(
    st.lists(st.tuples(st.lists(CHANGES, max_size=4), st.integers(0, 30)), min_size=1, max_size=4),
)
def test_in_the_end_the_mirror_is_the_store_whatever_was_cut_off_before(rounds: list[tuple[list[Any], int]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        where, mirror = Path(temporary) / "store", Path(temporary) / "mirror"
        where.mkdir()
        clock, gone = 1_700_000_000_000_000_000, set[tuple[str, str]]()
        for changes, until in rounds:
            for edit in changes:
                clock += 1
                what, of, name = (*edit, "")[:3]
                if "attempt" in what or what == "only a log":
                    if (of.id, name) in gone:
                        continue  # an attempt's name holds its start and its Pod: it does not come back
                    if what == "no attempt":
                        gone.add((of.id, name))
                change(where, clock, *edit)
            bring(where, mirror, until)
        bring(where, mirror, None)
        same(mirror, where)
        assert bring(where, mirror, None) == 0


def bring(where: Path, mirror: Path, until: int | None) -> int:
    """One collect, in this process, killed at its step `until`; the number of trials that came."""
    known = [(sample.id, PROGRAM.fingerprint(str(mirror), sample.id)) for sample in TRIALS]
    changed = [id for id, before in known if PROGRAM.fingerprint(str(where), id) != before]
    steps = iter(range(1_000))

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*words: Any, **named: Any) -> Any:
            if next(steps) == until:
                raise Killed
            return step(*words, **named)

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for of, name in [(Path, "write_bytes"), (Path, "rename"), (Path, "mkdir"), (os, "utime"), (shutil, "rmtree")]:
            patch.setattr(of, name, counted(getattr(of, name)))
        try:
            for id in changed:
                reader.keep(store.folder(mirror, id), stream.of_trial(PROGRAM.record(str(where), id)))
        except Killed:
            pass
    return len(changed)


# ---- what travels ----


def filled(where: Path) -> Path:
    for n, sample in enumerate(TRIALS):
        put_attempt(where, sample, log=f"log of {n}\n", history='{"epoch": 1}\n')
        put_result(where, sample, metrics={"val_accuracy": n})
    return where


def test_a_refresh_brings_what_has_changed_and_nothing_else(tmp_path: Path) -> None:
    where, mirror = filled(tmp_path / "store"), tmp_path / "mirror"
    cluster = Pods(where)
    assert refresh(cluster, mirror) == Brought(3)
    same(mirror, where)
    assert refresh(cluster, mirror) == Brought(0)
    put_result(where, TRIALS[1], metrics={"val_accuracy": 7})
    assert refresh(cluster, mirror) == Brought(1)
    same(mirror, where)
    assert (cluster.count, cluster.pods) == (3, {})


def test_an_empty_store_is_found_and_empty(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    assert refresh(Pods(tmp_path / "store"), tmp_path / "mirror") == Brought(0)
    assert store.read(tmp_path / "mirror", TRIALS).found


def test_one_pod_prints_no_more_than_it_may_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, mirror = filled(tmp_path / "store"), tmp_path / "mirror"
    monkeypatch.setattr(reader, "PASS_BYTES", 1)
    cluster = Pods(where)
    assert refresh(cluster, mirror) == Brought(3)
    assert cluster.count == 3
    monkeypatch.setattr(reader, "PASS_TRIALS", 2)
    monkeypatch.setattr(reader, "PASS_BYTES", 10**6)
    assert refresh(cluster, mirror) == Brought(0)
    assert cluster.count == 3 + 2
    same(mirror, where)


def test_a_pod_goes_with_the_release_and_is_deleted_whatever_happens(tmp_path: Path) -> None:
    owners = []

    class Kept(Pods):
        def delete(self, kind: str, name: str, *, grace_seconds: int | None = None) -> None:
            owners.append(self.pods[name]["metadata"]["ownerReferences"])
            super().delete(kind, name, grace_seconds=grace_seconds)

    cluster = Kept(filled(tmp_path / "store"))
    cluster.cut = 1
    with pytest.raises(Unreachable, match="broke off after 1 records"):
        refresh(cluster, tmp_path / "mirror")
    assert cluster.pods == {}
    assert owners == [[{"apiVersion": "v1", "kind": "ConfigMap", "name": "toy-provenance", "uid": "u1"}]]
    cluster.cut = None
    assert refresh(cluster, tmp_path / "mirror") == Brought(2)  # what had arrived stays


def test_only_readers_that_cannot_be_anybodys_any_more_are_removed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    cluster = Pods(tmp_path / "store")
    hour = reader.STALE_SECONDS
    now = time.time()
    names = {"theirs": hour - 60, "left": hour + 60}
    cluster.listed = [{"metadata": {"name": name, "creationTimestamp": _utc(now - age)}} for name, age in names.items()]
    refresh(cluster, tmp_path / "mirror")
    assert [entry["metadata"]["name"] for entry in cluster.listed] == ["theirs"]


def _utc(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def test_a_pod_that_somebody_deletes_before_its_log_is_read_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()

    class Gone(Pods):
        def log(self, pod: str, container: str, *, tail: int | None = None) -> Iterator[bytes]:
            raise Refused(404, f'pods "{pod}" not found: {container} {tail}')

    with pytest.raises(Unreachable, match="somebody deleted its Pod; try again"):
        refresh(Gone(tmp_path / "store"), tmp_path / "mirror")


STARTS: dict[str, tuple[Object | None, str]] = {
    "failed": (
        {
            "status": {
                "phase": "Failed",
                "containerStatuses": [{"name": "reader", "state": ended(1, "reader: /x: no store")}],
            }
        },
        "reader: /x: no store",
    ),
    "no image": (
        {
            "status": {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [{"name": "reader", "state": waiting("ErrImagePull", "not found")}],
            }
        },
        "image: ErrImagePull: not found",
    ),
    "deleted": (None, "its Pod was deleted"),
    "no room": ({"status": {"phase": "Pending"}}, "its Pod has not started in -1 s: for the scheduler"),
}


@pytest.mark.parametrize("kind", STARTS)
def test_a_pod_that_cannot_run_is_no_reader_with_its_reason(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "START_SECONDS", -1)
    cluster = Pods(tmp_path)
    cluster.end, reason = STARTS[kind]
    with pytest.raises(NoReader) as raised:
        refresh(cluster, tmp_path / "mirror")
    assert str(raised.value) == reason
    assert cluster.pods == {}


def test_a_pod_that_the_api_refuses_is_no_reader_with_its_reason(tmp_path: Path) -> None:
    class Refusing(Pods):
        def create(self, item: Object, *, dry_run: bool = False) -> Object:
            raise Refused(403, f"cluster: exceeded quota {item['kind']} {dry_run}")

    with pytest.raises(NoReader, match="exceeded quota"):
        refresh(Refusing(tmp_path), tmp_path / "mirror")


# ---- a log that did not arrive whole ----


def test_a_log_cut_anywhere_is_refused_and_what_it_told_is_right(tmp_path: Path) -> None:
    where = filled(tmp_path / "store")
    whole = b"\n".join(printed(where, "1000000", *(f"{trial.id}:x" for trial in TRIALS)))
    records = [*stream.parse(whole.split(b"\n"))]
    assert [record.get("trial") for record in records] == [*(trial.id for trial in TRIALS), None]
    for cut in range(len(whole)):
        before: list[dict[str, Any]] = []
        with pytest.raises(Unreachable, match="try again"):
            before.extend(_each(whole[:cut], before))
        assert before == records[: len(before)]
    for cut in range(1, len(whole)):
        if whole[cut:].startswith(b"{"):
            break
        with pytest.raises(Unreachable, match="try again"):
            [*stream.parse(whole[cut:].split(b"\n"))]


def _each(log: bytes, into: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in stream.parse(log.split(b"\n")):
        into.append(record)
    yield from ()


@given(st.data())
def test_a_log_with_a_byte_changed_is_refused(data: st.DataObject) -> None:
    whole = LOG
    place = data.draw(st.integers(0, len(whole) - 1))
    wrong = (
        whole[:place]
        + bytes([data.draw(st.integers(32, 126).filter(lambda byte: byte != whole[place]))])
        + whole[place + 1 :]
    )
    records: list[dict[str, Any]] = []
    try:
        [*_each(wrong, records)]
    except Unreachable:
        pass
    else:  # a change in the end's own words that leaves its sum
        assert records[:-1] == RECORDS[:-1]
    assert records[: len(RECORDS) - 1] == RECORDS[: len(records)][: len(RECORDS) - 1]


@pytest.mark.parametrize("key", [b"left", b"unread", b'"now', b"lines", b"sha256"])
def test_a_last_record_without_one_of_its_words_is_refused(key: bytes) -> None:
    assert LOG.count(key) == 1
    with pytest.raises(Unreachable, match="last record arrived damaged"):
        [*stream.parse(LOG.replace(key, key[:1] + b"other").split(b"\n"))]


def test_records_out_of_order_or_missing_are_refused() -> None:
    first, second, third, end = LOG.split(b"\n")
    for lines in ([second, first, third, end], [first, third, end], [first, first, second, third, end], [end], []):
        with pytest.raises(Unreachable):
            [*stream.parse(lines)]


def stream_of(*records: Any) -> list[bytes]:
    """Records as a Pod would print them that may print anything."""
    lines = [base64.b64encode(zlib.compress(json.dumps(record).encode())) for record in records]
    digest = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    return [*lines, json.dumps({"left": 0, "unread": [], "now": 1e9, "lines": len(lines), "sha256": digest}).encode()]


def test_a_stream_names_no_file_but_those_of_a_trial_that_was_asked_for(tmp_path: Path) -> None:
    data = {"data": "eA==", "size": 1, "mtime_ns": 0}
    good = f"attempts/{ATTEMPTS[0]}/output.log"
    bad = ["../x", "/x", "x", "result.json/x", f"attempts/{ATTEMPTS[1]}/output.log", f"attempts/{ATTEMPTS[0]}/x", ""]
    names = [ATTEMPTS[0], "..", ".x", "a/b", "", "\ud800", "a\nb", "x" * 300]
    record = {"trial": TRIALS[0].id, "attempts": names, "files": dict.fromkeys([good, *bad], data)}
    parsed, _ = stream.parse(stream_of(record))
    assert (parsed["attempts"], [*parsed["files"]]) == ([ATTEMPTS[0]], [good])

    class Told(Pods):
        def log(self, pod: str, container: str, *, tail: int | None = None) -> Iterator[bytes]:  # noqa: ARG002
            yield from stream_of(record | {"trial": "0123456789ab"})

    with pytest.raises(Unreachable, match="0123456789ab, which nobody asked for"):
        refresh(Told(tmp_path / "store"), tmp_path / "mirror")
    assert not (tmp_path / "mirror").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"trial": "../../x"},
        {"trial": 1},
        {"attempts": None},
        {"files": []},
        {"files": {"result.json": None}},
        {"files": {"result.json": {"data": 1, "size": 1, "mtime_ns": 0}}},
        {"files": {"result.json": {"data": "eA==", "size": 0, "mtime_ns": 0}}},
        {"files": {"result.json": {"data": "eA==", "size": 2**60, "mtime_ns": 0}}},
        {"files": {"result.json": {"data": "eA==", "size": 1, "mtime_ns": 2**70}}},
    ],
)
def test_a_record_of_wrong_types_is_refused(change: dict[str, Any]) -> None:
    record = {"trial": TRIALS[0].id, "attempts": [], "files": {}}
    assert next(stream.parse(stream_of(record))) == record
    with pytest.raises(Unreachable, match="a record arrived damaged"):
        [*stream.parse(stream_of(record | change))]


def test_a_record_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LARGEST_BYTES", 1000)
    with pytest.raises(Unreachable, match="more than 0 MiB"):
        [*stream.parse(stream_of({"trial": TRIALS[0].id, "attempts": [" " * 10_000], "files": {}}))]


def _log() -> bytes:
    with tempfile.TemporaryDirectory() as temporary:
        return b"\n".join(printed(filled(Path(temporary)), "1000000", *(f"{trial.id}:x" for trial in TRIALS)))


LOG = _log()
RECORDS = [*stream.parse(LOG.split(b"\n"))]


# ---- what cannot be read, or is too much ----


def test_what_cannot_be_read_is_told_and_stays_as_it_was(tmp_path: Path, capfdbinary: Any, monkeypatch: Any) -> None:
    where, mirror = filled(tmp_path / "store"), tmp_path / "mirror"
    refresh(Pods(where), mirror)
    before = store.read(mirror, TRIALS)
    broken = str(folder(where, TRIALS[1]) / "result.json")
    real = os.stat

    def stat(path: Any, *words: Any, **named: Any) -> Any:
        above = Path(f"/proc/self/fd/{named.get('dir_fd')}")
        if os.path.lexists(above) and f"{above.readlink()}/{path}" == broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return real(path, *words, **named)

    monkeypatch.setattr(os, "stat", stat)
    capfdbinary.readouterr()
    lines = in_process(where, 10**6, [f"{trial.id}:x" for trial in TRIALS], lambda: capfdbinary.readouterr().out)
    *records, end = stream.parse(lines)
    assert [record["trial"] for record in records] == [TRIALS[0].id, TRIALS[2].id]
    assert end["unread"] == [f"{broken}: Input/output error"]
    monkeypatch.undo()
    assert store.read(mirror, TRIALS).trials == before.trials


@pytest.mark.parametrize("failures", [1, 5])
def test_a_stale_handle_is_opened_again_and_one_that_stays_stale_is_an_error(tmp_path: Path, failures: int) -> None:
    folder(tmp_path, TRIALS[0]).mkdir(parents=True)
    left = [errno.ESTALE] * failures

    def look(_: int, name: str) -> str:
        if left:
            raise OSError(left.pop(), "stale")
        return name

    with PROGRAM.opened(str(tmp_path), TRIALS[0].id) as handle:
        assert PROGRAM.there(look, handle, "x") == "x"
        left += [errno.ESTALE] * (PROGRAM.STALE_RETRIES + 1)
        with pytest.raises(OSError, match="stale"):
            PROGRAM.there(look, handle, "x")


def test_a_file_that_is_too_large_comes_as_its_end_and_is_read_as_the_original(tmp_path: Path) -> None:
    where, mirror = tmp_path / "store", tmp_path / "mirror"
    lines = "".join(f'{{"epoch": {n}, "loss": 0.123456789}}\n' for n in range(20_000))
    log = "".join(f"line {n}\n" for n in range(5_000))
    put_attempt(where, TRIALS[0], "20260101T000000Z-a", log=log)
    put_attempt(where, TRIALS[0], "20260102T000000Z-b", log=log, history=lines)
    put_result(where, TRIALS[1]).write_bytes(b"x" * (PROGRAM.RECORD_BYTES + 1))
    cluster = Pods(where)
    assert refresh(cluster, mirror) == Brought(2)
    assert refresh(cluster, mirror) == Brought(0)
    assert store.read(mirror, TRIALS).problems == store.read(where, TRIALS).problems
    newest = folder(mirror, TRIALS[0]) / "attempts" / "20260102T000000Z-b"
    assert (newest / "output.log").stat().st_size == PROGRAM.LOG_BYTES
    assert (newest / "history.jsonl").stat().st_size == PROGRAM.HISTORY_BYTES
    assert outputs.history(mirror, TRIALS[0].id, newest.name)[-1]["epoch"] == 19_999
    assert not (newest.with_name("20260101T000000Z-a") / "output.log").exists()


# ---- what may lie in the store of the Pod ----

RECORDS_OF_ONE = ("", "result.json", "attempts", "attempts/a", "attempts/a/attempt.json")
OUTPUTS_OF_ONE = ("attempts/a/output.log", "attempts/a/history.jsonl")
SIZED = ("file of 4 GB",)


@pytest.mark.parametrize("place", [*RECORDS_OF_ONE, *OUTPUTS_OF_ONE, "above"])
@pytest.mark.parametrize("kind", odd_files.KINDS)
def test_whatever_lies_in_a_store_the_pod_waits_for_nobody_and_reads_nothing_elsewhere(
    tmp_path: Path, kind: str, place: str
) -> None:
    where, (first, other, _) = filled(tmp_path / "store"), TRIALS
    put_result(where, first, attempt="a")
    elsewhere = tmp_path / "elsewhere"
    odd_files.make_elsewhere(elsewhere)
    put_result(elsewhere, first, attempt="a")  # a link to a whole trial is none either
    before = odd_files.state(elsewhere)
    odd = folder(where, first) / place.removeprefix("above")
    odd_files.put(odd.parent if place == "above" else odd, kind, elsewhere)
    *parsed, end = stream.parse(printed(where, "1000000", f"{first.id}:x", f"{other.id}:x", within=10))
    records = {record["trial"]: record for record in parsed}
    assert records[other.id]["files"]["result.json"]["size"] > 0
    assert odd_files.SECRET not in str(parsed)
    assert odd_files.state(elsewhere) == before
    files = records[first.id]["files"] if first.id in records else None
    assert [path.split(": ")[0] for path in end["unread"]] == ([] if files is not None else [str(odd)])
    if place in OUTPUTS_OF_ONE:
        assert files is not None
        assert (place in files) == (kind in SIZED)
        assert "result.json" in files
    elif "link" in kind and place != "attempts/a":
        assert files is None
        assert "link" in end["unread"][0] or "not a file but a l" in end["unread"][0]
    elif place.endswith(".json") and kind not in SIZED:
        assert files is None
        assert "is not a file but a" in end["unread"][0]


def test_a_trial_of_many_large_files_is_told_within_a_bound(tmp_path: Path) -> None:
    """Noise, which nothing makes smaller: the line must fit below the size at which a kubelet rotates a log."""
    where, first = filled(tmp_path / "store"), TRIALS[0]
    for number in range(PROGRAM.MOST_ATTEMPTS + 200):
        path = put_attempt(where, first, f"a{number:06}-x")
        if number >= PROGRAM.MOST_ATTEMPTS:
            (path / "history.jsonl").write_bytes(os.urandom(PROGRAM.HISTORY_BYTES + 10))
            (path / "output.log").write_bytes(os.urandom(PROGRAM.LOG_BYTES + 10))
    lines = printed(where, "1", f"{first.id}:x", within=60, memory=200 << 20)
    assert len(lines[0]) < 6_000_000
    (record, end) = stream.parse(lines)
    assert (len(record["attempts"]), record["attempts"][-1], end["unread"]) == (1000, "a001199-x", [])
    assert sum(len(parsed["data"]) for parsed in record["files"].values()) <= PROGRAM.TRIAL_BYTES + 2
    assert sum(path.endswith("attempt.json") for path in record["files"]) == 1000
    assert len(record["files"]["attempts/a001199-x/history.jsonl"]["data"]) == PROGRAM.HISTORY_BYTES
    assert refresh(Pods(where), tmp_path / "mirror") == Brought(3)
    assert refresh(Pods(where), tmp_path / "mirror") == Brought(0)


def test_a_trial_whose_records_alone_are_too_much_is_named(tmp_path: Path) -> None:
    where, first = filled(tmp_path / "store"), TRIALS[0]
    for number in range(5):
        put_attempt(where, first, f"a{number:06}-x", more="m" * 10**6)
    *parsed, end = stream.parse(printed(where, "1000000", f"{first.id}:x", f"{TRIALS[1].id}:x", memory=200 << 20))
    assert [record["trial"] for record in parsed] == [TRIALS[1].id]
    what = "its result.json and attempt.json have more than 4194304 bytes; remove what is no record"
    assert end["unread"] == [f"{folder(where, first)}: {what}"]


def test_a_file_that_grows_while_it_is_read_is_told_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, first = filled(tmp_path / "store"), TRIALS[0]
    log = folder(where, first) / "attempts" / "20260102T030405Z-pod" / "output.log"
    size, real = log.stat().st_size, os.fstat

    def growing(handle: int) -> os.stat_result:
        status = real(handle)
        with log.open("ab") as opened:
            opened.write(b"more\n")
        return status

    monkeypatch.setattr(os, "fstat", growing)
    record = PROGRAM.record(str(where), first.id)
    monkeypatch.undo()
    file = stream.of_trial(record)["files"][f"attempts/{log.parent.name}/output.log"]
    assert len(file["data"]) == file["size"]
    assert file["size"] >= size


def test_a_store_that_is_not_mounted_is_said_and_not_read_as_empty(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        printed(tmp_path / "nothing", "1")
    assert b"no such folder; the volume is not mounted" in raised.value.stderr


def test_the_program_needs_the_standard_library_alone_and_writes_nothing() -> None:
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 9))
    names = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not names & {"unlink", "remove", "rename", "replace", "mkdir", "makedirs", "rmtree", "utime", "chmod"}
    modes = [node.args[1] for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "open"]
    assert [ast.literal_eval(mode) for mode in modes] == ["rb"]
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= sys.stdlib_module_names


# ---- without a reader ----


def test_last_words_are_kept_where_they_are_a_valid_result(tmp_path: Path) -> None:
    first, second, third = TRIALS
    put_result(tmp_path, third, metrics={"val_accuracy": 0.5})

    def last(of: Any, message: str) -> Object:
        return pod("Succeeded", ended(0, message), job=a_job(trial=of.id), age=0)

    pods = [
        pod("Running", {"running": {"startedAt": at(1)}}, job=a_job(trial=first.id)),
        last(first, json.dumps(result(first))),
        last(second, json.dumps(result(first))),
        last(second, json.dumps(result(second))[:-1]),
        last(third, json.dumps(result(third))),
        last(trial({"lr": 99}), json.dumps(result(trial({"lr": 99})))),
    ]
    assert reader.from_messages(pods, tmp_path, TRIALS) == 1
    assert reader.from_messages(pods, tmp_path, TRIALS) == 0
    kept = store.read(tmp_path, TRIALS).trials
    assert kept[first.id].result is not None
    assert kept[second.id].result is None
    mine = kept[third.id].result
    assert mine is not None
    assert mine["metrics"] == {"val_accuracy": 0.5}  # what came from the store is not replaced


def test_the_runner_the_reader_and_collect_have_the_same_bounds() -> None:
    """Each of the three travels without the others, so what they agree on stands in each."""
    attempts, checks, folders, metrics = map(load, ("attempts", "checks", "folders", "metrics"))
    assert (checks.DEEPEST, checks.MOST_DIGITS) == (strict.DEEPEST, strict.MOST_DIGITS)
    assert (metrics.MOST_METRICS, metrics.LONGEST_NAME) == (strict.MOST_METRICS, strict.LONGEST_NAME)
    assert folders.LARGEST_RECORD_BYTES == PROGRAM.RECORD_BYTES == store.LARGEST_BYTES
    assert PROGRAM.MOST_ATTEMPTS == store.MOST_ATTEMPTS
    assert attempts.ATTEMPT_NAME == PROGRAM.ATTEMPT_NAME.pattern == attempt.NAME.pattern


def test_the_time_of_a_mirror_is_set_through_no_link(tmp_path: Path) -> None:
    elsewhere, mirror = tmp_path / "elsewhere", tmp_path / "mirror"
    odd_files.make_elsewhere(elsewhere)
    for name in ("private", "nothing"):
        mirror.mkdir(exist_ok=True)
        (mirror / store.LOOKED).unlink(missing_ok=True)
        (mirror / store.LOOKED).symlink_to(elsewhere / name)
        before = odd_files.state(elsewhere)
        with pytest.raises(BadInput, match="is a link to"):
            refresh(Pods(tmp_path), mirror)
        assert odd_files.state(elsewhere) == before
