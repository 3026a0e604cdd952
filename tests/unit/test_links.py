"""Links, pipes, devices and huge files in values/, out/ and the store: nobody waits for them, or follows them out."""

from __future__ import annotations

import ast
import json
import os
import resource
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from sweep import files
from sweep.audit import garbage
from sweep.engines import reader
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.records import outputs, results, store
from sweep.spaces import spacefile, valuesfile
from sweep.yamlfile import read_text, write_generated
from tests.unit import odd_files
from tests.unit.odd_files import KINDS, SECRET
from tests.unit.stores import folder, put_attempt, put_result, trial

ROOT = Clone.here().root
SMALL = [kind for kind in KINDS if kind != "file of 4 GB"]
ONE = trial()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder_ = tmp_path / "elsewhere"
    odd_files.make_elsewhere(folder_)
    return folder_


# ---- values/ and out/ ----

USES: dict[str, Callable[[Clone, Path], object]] = {
    "is it there": lambda clone, path: clone.has(path),
    "read": lambda _, path: files.read(path, 1 << 20),
    "read YAML": lambda clone, path: read_text(path, path.name, clone.values),
    "compare": lambda _, path: files.holds(path, b"text"),
    "write": lambda clone, path: files.write_atomic(path, "text", clone.values),
    "write what is generated": lambda _, path: write_generated(path, "what", {"a": 1}),
    "append": lambda _, path: os.close(files.open_handle(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)),
    "read the table": lambda _, path: results.read(path),
    "write the table": lambda _, path: results.write(path, []),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", SMALL)
def test_what_is_no_file_is_named_and_nothing_elsewhere_is_read_or_changed(
    tmp_path: Path, elsewhere: Path, kind: str, use: str
) -> None:
    clone = Clone(tmp_path)
    path = clone.sweep("demo").values
    odd_files.put(path, kind, elsewhere)
    before = odd_files.state(elsewhere)
    with pytest.raises((BadInput, OSError)) as caught:
        USES[use](clone, path)
    assert SECRET not in str(caught.value)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert odd_files.state(elsewhere) == before
    assert not list(path.parent.glob(".*"))


@pytest.mark.parametrize("at", ["values/demo", "out/demo", "out/demo/jobs", "out/demo/plots", "out/demo/store", "out"])
def test_a_folder_that_lies_elsewhere_is_named_before_anything_is_done(
    tmp_path: Path, elsewhere: Path, at: str
) -> None:
    odd_files.put(tmp_path / at, "link to a folder elsewhere", elsewhere)
    with pytest.raises(BadInput, match=f"{at}: is a link to .*elsewhere, which lies outside of {at.split('/')[0]}/"):
        Clone(tmp_path).sweep("demo")


def test_a_link_that_stays_within_values_is_read_and_kept(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    shared, link = clone.sweep("first").space, clone.sweep("second").space
    files.write_atomic(shared, "a: 1\n")
    link.parent.mkdir()
    link.symlink_to("../first/space.yaml")
    assert clone.has(link)
    assert read_text(link, "space", clone.values) == "a: 1\n"
    files.write_atomic(link, "a: 2\n", clone.values)
    assert link.is_symlink()
    assert shared.read_text() == "a: 2\n"


def test_a_dangling_link_is_not_as_if_there_were_no_file(tmp_path: Path) -> None:
    """expand would write through it."""
    clone = Clone(tmp_path)
    files_of = clone.sweep("evil")
    files_of.folder.mkdir(parents=True)
    files_of.code.symlink_to(tmp_path / ".bash_aliases")
    with pytest.raises(BadInput, match=r"values/evil/code.yaml: is a link to .*\.bash_aliases, which lies outside of"):
        clone.has(files_of.code)
    with pytest.raises(BadInput):
        files.write_atomic(files_of.code, "touch", clone.values)
    assert not (tmp_path / ".bash_aliases").exists()


@pytest.mark.parametrize("read", [spacefile.load, valuesfile.load], ids=["space", "values"])
def test_a_huge_file_is_refused_without_being_read(tmp_path: Path, read: Callable[..., object]) -> None:
    files_of = Clone(tmp_path).sweep("demo")
    for path in (files_of.space, files_of.values):
        odd_files.put(path, "file of 4 GB", tmp_path)
    with pytest.raises(BadInput, match="more than 32 MiB"):
        read(files_of)


# ---- the store ----

PLACES = ("", "/result.json", "/attempts", "/attempts/a", "/attempts/a/attempt.json")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_lies_in_a_store_it_is_read_without_leaving_it(
    tmp_path: Path, elsewhere: Path, kind: str, place: str
) -> None:
    put_result(tmp_path / "store", ONE, attempt="a")
    odd_files.put(Path(f"{folder(tmp_path / 'store', ONE)}{place}"), kind, elsewhere)
    before = odd_files.state(elsewhere)
    snapshot = store.read(tmp_path / "store", [ONE], tmp_path / "cache.json")
    assert snapshot.trials[ONE.id].result is None
    assert SECRET not in str(snapshot)
    if "link" in kind:
        assert any("is a link" in problem.what for problem in snapshot.problems) == (place != "/attempts/a"), snapshot
    assert store.ids(tmp_path / "store") == [ONE.id]
    assert odd_files.state(elsewhere) == before


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("place", ["", "attempts", "attempts/a", "attempts/a/output.log", "attempts/a/history.jsonl"])
def test_logs_and_histories_that_are_none_are_empty(tmp_path: Path, elsewhere: Path, kind: str, place: str) -> None:
    put_attempt(tmp_path / "store", ONE, "a", log="line", history='{"epoch": 1}')
    odd_files.put(folder(tmp_path / "store", ONE) / place, kind, elsewhere)
    contents = [outputs.log_tail(tmp_path / "store", ONE.id, "a"), outputs.history(tmp_path / "store", ONE.id, "a")]
    assert [] in contents
    assert SECRET not in str(contents)


@pytest.mark.parametrize("attempt", ["..", ".", "", "../a", "a/../../a", "../../../../elsewhere", "a\0"])
def test_the_name_of_an_attempt_leads_nowhere_else(tmp_path: Path, attempt: str) -> None:
    put_attempt(tmp_path, ONE, "a", log="line", history='{"epoch": 1}')
    assert outputs.log_tail(tmp_path, ONE.id, attempt) == []
    assert outputs.history(tmp_path, ONE.id, attempt) == []


def measured(call: Callable[[], object]) -> int:
    """MB that a call takes at most, in a process of its own."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        try:
            call()
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        except BaseException:
            most = 10**6
        os.write(writing, str(most).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return int(pipe.read())


def history_of_short_lines(path: Path) -> None:
    path.write_bytes(b'{"a":1}\n' * 2_000_000)


def history_of_long_lines(path: Path) -> None:
    line = json.dumps({f"{number:040}": number for number in range(1000)}).encode() + b"\n"
    path.write_bytes(line * 4000)


def history_of_wide_lines(path: Path) -> None:
    path.write_bytes((b'{"' + b"n" * 60_000 + b'": 1}\n') * 2000)


@pytest.mark.parametrize("make", [history_of_short_lines, history_of_long_lines, history_of_wide_lines])
def test_a_long_history_is_thinned_in_bounded_memory(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(put_attempt(tmp_path, ONE, "a") / "history.jsonl")
    assert len(outputs.history(tmp_path, ONE.id, "a")) <= 2 * outputs.HISTORY_LINES + 1
    assert measured(lambda: outputs.history(tmp_path, ONE.id, "a")) < 500


def test_a_thinned_history_spans_the_whole_and_has_the_last_line(tmp_path: Path) -> None:
    lines = [json.dumps({"epoch": number, "more": "x" * 100}) for number in range(200_000)]
    put_attempt(tmp_path, ONE, "a", history="\n".join(lines) + "\n")
    epochs = [entry["epoch"] for entry in outputs.history(tmp_path, ONE.id, "a")]
    assert epochs == sorted(set(epochs))
    assert (epochs[0], epochs[-1]) == (0, 199_999)
    assert max(after - before for before, after in pairwise(epochs)) < 2000


def test_a_store_of_hostile_records_is_read_in_bounded_memory(tmp_path: Path) -> None:
    metrics = {f"{number:0180}": number for number in range(15_000)}
    put_result(tmp_path, ONE, attempt="a", metrics=metrics, more=[[]] * 100_000, environment={"node": "n" * 10**5})
    for number in range(40):
        put_attempt(tmp_path, ONE, f"b{number}", reason="r" * 10**6, more="m" * 10**6)
        odd_files.sparse(folder(tmp_path, ONE) / "attempts" / f"b{number}" / "output.log", 4 << 30)
    snapshot = store.read(tmp_path, [ONE])
    result = snapshot.trials[ONE.id].result
    assert result is not None
    assert len(result["metrics"]) == 1000
    assert [problem.what for problem in snapshot.problems] == ["15000 metrics, of which 1000 are read"]
    assert len(json.dumps([attempt.record for attempt in snapshot.trials[ONE.id].attempts])) < 200_000
    assert measured(lambda: store.read(tmp_path, [ONE])) < 500


@pytest.mark.parametrize("depth", [101, 900, 970, 990, 100_000])
def test_a_deep_identity_is_set_aside(tmp_path: Path, depth: int) -> None:
    path = put_result(tmp_path, ONE, attempt="a", identity="@")
    path.write_text(path.read_text().replace('"@"', "[" * depth + "]" * depth))
    assert [problem.what for problem in store.read(tmp_path, [ONE]).problems] == ["nested too deeply"]


# ---- what gc removes, and what a mirror takes along ----

ID = "0123456789ab"
BELOW = {"checkpoints": f"checkpoints/01/{ID}", "reproductions": f"reproductions/{ID}"}
LINKED = [(kind, depth) for kind, path in BELOW.items() for depth in range(1, path.count("/") + 2)]


def pieces(where: Path) -> list[garbage.Piece]:
    """What gc would look at in a store of which nobody knows anything."""
    return [*garbage._pieces(where, garbage._Names(Clone(where)), dict.fromkeys(store.ids(where), ""))]


def relink(where: Path, elsewhere: Path, kind: str, depth: int) -> None:
    """Move a folder of a store elsewhere, and put a link in its place."""
    path = where.joinpath(*BELOW[kind].split("/")[:depth])
    path.rename(elsewhere / "moved")
    path.symlink_to(elsewhere / "moved")


@pytest.mark.parametrize(("kind", "depth"), LINKED)
def test_gc_removes_nothing_behind_a_link(tmp_path: Path, elsewhere: Path, kind: str, depth: int) -> None:
    where = tmp_path / "store"
    (where / BELOW[kind]).mkdir(parents=True)
    (where / BELOW[kind] / "file").write_text(SECRET)
    (piece,) = pieces(where)
    relink(where, elsewhere, kind, depth)
    before = odd_files.state(elsewhere)
    for named in (piece, *pieces(where)):  # a link may also come after it was found
        assert garbage.remove(named) == "it lies behind a link now"
    assert odd_files.state(elsewhere) == before


@pytest.mark.parametrize("kind", KINDS)
def test_gc_removes_a_folder_with_whatever_lies_in_it_and_nothing_elsewhere(
    tmp_path: Path, elsewhere: Path, kind: str
) -> None:
    odd_files.put(tmp_path / "store" / BELOW["checkpoints"] / "odd", kind, elsewhere)
    before = odd_files.state(elsewhere)
    (piece,) = pieces(tmp_path / "store")
    assert garbage.remove(piece) == ""
    assert not piece.path.exists()
    assert odd_files.state(elsewhere) == before


@pytest.mark.parametrize("place", ["", "attempts", "attempts/a", "attempts/a/output.log"])
@pytest.mark.parametrize("kind", SMALL)
def test_a_mirror_takes_no_log_along_through_a_link(tmp_path: Path, elsewhere: Path, kind: str, place: str) -> None:
    mirror = tmp_path / "mirror"
    put_attempt(mirror, ONE, "a", log="line")
    put_attempt(elsewhere, ONE, "a", log=SECRET)
    for path in ("a/output.log", "attempts/a/output.log"):  # what a linked folder would hold
        (elsewhere / path).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / path).write_text(SECRET)
    odd_files.put(folder(mirror, ONE) / place, kind, elsewhere)
    before = odd_files.state(elsewhere)
    for _ in range(2):
        reader.keep(folder(mirror, ONE), {"attempts": ["a", "b"], "files": {}})
    assert sorted(path.name for path in (folder(mirror, ONE) / "attempts").iterdir()) == ["a", "b"]
    assert not [path for path in folder(mirror, ONE).rglob("*") if path.is_file() and SECRET in path.read_text()]
    assert odd_files.state(elsewhere) == before


# ---- nobody opens them in another way ----

MODULES = ("files", "yamlfile", "self", "tree", "os", "pod", "session")
OPENING = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "copy2", "copyfile", "copytree"}
ELSEWHERE = {
    "files.py": "the place where it is done",
    "guard.py": "streams, and files with a name that nobody had before",
    "code.py": "code of the clone, which is to be run",
    "checking.py": "a folder that nobody had before",
    "commits.py": "git's own folder",
    "locks.py": "git's own folder, and /proc",
    "processes.py": "/proc",
    "attempt.py": "a folder that nobody had before",
    "gang.py": "what attempt.py wrote, before any of the trial runs",
    "environments.py": "the cache, and requirements of the clone",
    "init.py": "the chart, into a place where nothing is",
    "kit.py": "what is installed",
    "local.py": "the schema",
    "artifacts.py": "the folder that a person fetches to",
    "vendor.py": "the cache, and web/ of the clone",
    "plan.py": "the chart",
    "plots.py": "the templates",
    "report.py": "the templates and the cache",
    "settings.py": "the schema",
    "session.py": "the schema",
    "registry.py": "what a registry answers",
    "expand.py": "the schema",
    "spacefile.py": "the schema",
    "replaying.py": "the schema",
    "tracing.py": "the schema",
    "release.py": "/proc",
    "reader.py": "folders of the mirror that nobody had before",
    "dataset_job.py": "what is to be sent",
    "secrets.py": "the chart",
    "pod.py": "a folder that nobody had before",
}


def test_nobody_opens_files_of_others_in_another_way() -> None:
    names = set()
    for path in sorted((ROOT / "scripts").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", "open" if getattr(node.func, "id", "") == "open" else "")
                of = getattr(getattr(node.func, "value", None), "id", "")
                if name in OPENING and of not in MODULES:
                    names.add(path.name)
    assert names - ELSEWHERE.keys() == set()
