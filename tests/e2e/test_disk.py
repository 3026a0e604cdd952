"""Every verb on a disk that refuses: at every call that touches a file, by every error; and state files cut anywhere.

A small real sweep on the local engine. The calls of a verb are counted by a run that is watched, then refused one after
the other, each by one of its errors in turn; with EVERY_POINT=1 by all of them. (The runner: tests/unit/
test_disk_runner.py.)
"""

from __future__ import annotations

import guard

import contextlib
import errno
import gc
import hashlib
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from helm_sweep import verbs
from sweep import helm, layout, locks
from sweep.engines.kinds import cluster
from sweep.layout import Clone
from sweep.records import store
from sweep.reports import plots, vendor
from sweep.session import Target, open_sweep
from tests.e2e import namespace
from tests.faults import EVERY, Faults, NothingRemoved, points
from tests.unit import odd_files

ROOT = Path(__file__).resolve().parents[2]
SHARED = (
    "chart",
    "schemas",
    "values/base.yaml",
    "web/package.json",
    "web/package-lock.json",
    "web/.npmrc",
    "web/entry.js",
)
SPACE = """objective: {metric: score, direction: maximize}
sampler: {name: grid}
space: {x: {type: int, choices: [1, 3]}}
"""
VALUES = """sweep: toy
objective: {metric: score, direction: maximize}
command: [sh, train.sh]
limit_seconds: 60
gpu: {count: 0}
data: {id: "", volume: null}
local: {requirements: null}
trials:
  # expanded from space.yaml: not yet
  # end
"""
FED = """sweep: fed
objective: {metric: score, direction: maximize}
command: [sh, train.sh]
limit_seconds: 60
gpu: {count: 0}
data: {id: some, volume: {nfs: null, hostPath: {path: DATA}}, prepare: [sh, fill.sh]}
code: {path: toy}
local: {requirements: null}
trials:
  - {"x": 1}
"""
FILL = "mkdir -p DATA && echo data >DATA/set\n"
TRAIN = """x=$(sed -n 's/.*"x": \\([0-9]*\\).*/\\1/p' "$HYPERPARAMETERS_FILE")
echo "$x" >>LOG
test "$x" = 3 && exit 64
echo "$x" >"$OUTPUT_DIR/model"
echo "{\\"score\\": $x}" >"$METRICS_FILE"
"""
read_file = io.open
LONGEST_SECONDS = 300
"""For a verb on a machine that is busy."""


class Machine:
    """A clone that always lies in the same place, and what is beside it; its states are kept, and put back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.log = folder, folder / "here" / "clone", folder / "trainings"
        self.cache, self.temporary = folder / "here" / "cache", folder / "here" / "tmp"
        self.helm = folder / "helm"
        self.trial = ""
        """The one that succeeds here."""
        for place in (self.cache, self.temporary, self.helm):
            place.mkdir(parents=True)
        self.calls: list[str] = []

    def git(self, *words: str) -> str:
        return subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True, check=True).stdout

    def keep(self, name: str) -> None:
        shutil.copytree(self.folder / "here", self.folder / name, symlinks=True)

    def back(self, name: str) -> None:
        put_back(self.folder / name, self.folder / "here")
        self.log.write_text("")
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(self.folder / "namespace.kept", self.folder / "namespace")

    def run(self, verb: str, *words: str, faults: Faults | None = None) -> tuple[int, str, list[str]]:
        """Run a verb in a process of its own: (exit code, stdout, lines of stderr)."""
        faults = faults or Faults([str(self.folder / "here")])
        out, err, calls = (self.folder / name for name in ("out", "err", "calls"))
        if child := os.fork():
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            self.calls = calls.read_text().splitlines()
            return code, out.read_text(), err.read_text().splitlines()
        code: Any = 99
        try:
            for handle, path in ((0, Path(os.devnull)), (1, out), (2, err)):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), handle)
            sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
            sys.stdout = guard._stream(1, "surrogateescape", talk=False)
            sys.stderr = guard._stream(2, "backslashreplace", talk=True)
            sys.argv = [verb, *words]
            os.chdir(self.root)
            layout.look_from(self.root)
            signal.alarm(LONGEST_SECONDS)  # nobody waits for a FIFO
            sys.modules.pop(verb, None)  # another test's: the trainer has a module `dataset` too
            main = import_module(verb).main
            faults.install()
            guard.run(main)
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            os.write(2, f"not caught: {error!r}\n".encode())
        finally:
            handle = os.open(calls, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.write(handle, "\n".join(faults.calls).encode())
            os._exit(code)

    def committed(self) -> list[Path]:
        """What verbs write that is committed."""
        paths = [*self.root.glob("values/**/*"), *self.root.glob(".*")]
        return [path for path in paths if path.is_file() and not path.is_symlink()]

    def state(self) -> dict[str, Any]:
        """What a verb leaves behind that anybody reads again."""
        files = {str(path.relative_to(self.root)): kept(path) for path in self.committed()}
        trials = store.read(self.root / "results", store.ids(self.root / "results")).trials
        git_folder = self.root / ".git"
        return {
            "values": files,
            "tree": [line for line in self.git("ls-tree", "-r", "HEAD").splitlines() if "results.csv" not in line],
            "status": self.git("status", "--porcelain"),
            "locks": [*git_folder.rglob("*.lock"), *git_folder.glob("helm-sweep*")],
            "results": {trial: stored.result and stored.result["metrics"] for trial, stored in trials.items()},
            "out": sorted(str(path.relative_to(self.root)) for path in self.root.glob("out/**/*") if is_wanted(path)),
            "kept": sorted(path.name for path in self.root.glob("results/*/*/*") if path.parts[-3] != "reproductions"),
            "temporary": list(self.temporary.iterdir()),
        }


def put_back(old: Path, place: Path) -> None:
    """Make a folder what it was, by copying what has another time, size or kind: most is as it was."""
    before, now = looked(old), looked(place)
    for name in now.keys() - before.keys() | {
        name for name in now.keys() & before.keys() if now[name][0] != before[name][0]
    }:
        path = place / name
        (shutil.rmtree if stat.S_ISDIR(now.pop(name)[0]) else os.unlink)(path)
    for name, (kind, *stamp) in before.items():
        if stat.S_ISDIR(kind):
            (place / name).mkdir(exist_ok=True)
            put_back(old / name, place / name)
            shutil.copystat(old / name, place / name)
        elif name not in now or stat.S_ISLNK(kind) or now[name] != (kind, *stamp):
            (place / name).unlink(missing_ok=True)
            shutil.copy2(old / name, place / name, follow_symlinks=False)


def looked(folder: Path) -> dict[str, tuple[int, ...]]:
    """(mode, size, time) of everything in a folder."""
    with os.scandir(folder) as entries:
        every = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    return {name: (status.st_mode, status.st_size, status.st_mtime_ns) for name, status in every.items()}


def kept(path: Path) -> bytes:
    """What a file holds; of a table the columns that are no times."""
    data = path.read_bytes()
    return b"\n".join(b",".join(line.split(b",")[:4]) for line in data.splitlines()) if path.suffix == ".csv" else data


def is_wanted(path: Path) -> bool:
    """Whether a file below out/ has to be there in the end; the cache comes with the first look at a result, and what
    attempts shared is there until the next run."""
    return path.is_file() and path.name != "store-cache.json" and "attempts" not in path.parts


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with the states `new`, `expanded`, `ran` and `collected` of a sweep."""
    folder = tmp_path_factory.mktemp("disk").resolve()
    machine = Machine(folder)
    with pytest.MonkeyPatch.context() as patch:
        config = folder / "gitconfig"
        config.write_text("[user]\n name = Ada\n email = ada@example.org\n[init]\n defaultBranch = main\n")
        env = {"GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_NOSYSTEM": 1, "HOME": folder, "TMPDIR": machine.temporary}
        env["KUBECONFIG"] = folder / "none"
        for key, value in (env | {"XDG_CACHE_HOME": machine.cache}).items():
            patch.setenv(key, str(value))
        patch.setattr("tempfile.tempdir", None)
        patch.setattr(Clone, "here", lambda: Clone(machine.root))
        patch.setattr(guard, "HERE", str(machine.root / "scripts"))
        patch.setattr(locks, "STALE_SECONDS", 0.0)
        patch.setattr(helm, "run_program", remembering(helm.run_program, machine))
        patch.setattr(vendor, "_run", lambda folder, *_: Path(folder, "echarts.min.js").write_text("// charts"))
        patch.setattr(plots, "svgs", lambda *_: {"curves": "<svg/>", "timeline": "<svg/>"})
        patch.setattr(cluster, "Cluster", namespace.Namespace)
        patch.setattr(namespace.Namespace, "file", folder / "namespace", raising=False)
        patch.setattr(namespace.Namespace, "store", folder / "cluster-store", raising=False)
        modules = {verb.module for name, verb in verbs.VERBS.items() if name in ROWS}
        for name in (*modules, "jsonschema", "numpy", "scipy.stats", "rich.table"):
            import_module(name)  # once, and not in every process that is made

        gc.freeze()
        prepare(machine)
        yield machine
        gc.unfreeze()


def prepare(machine: Machine) -> None:
    root = machine.root
    for name in SHARED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, root / name)
    for name, text in {
        "values/toy/space.yaml": SPACE,
        "values/toy/values.yaml": VALUES,
        "values/fed/values.yaml": FED.replace("DATA", str(machine.folder / "here" / "data")),
        "toy/train.sh": TRAIN.replace("LOG", str(machine.log)),
        "toy/fill.sh": FILL.replace("DATA", str(machine.folder / "here" / "data")),
        ".gitignore": "/out/\n/results/\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    machine.git("init", "--quiet")
    machine.git("add", "--all")
    machine.git("commit", "--quiet", "--message=start")
    machine.keep("new")
    for verb, words, code, after in (
        ("expand", ["--code", "toy"], 0, "expanded"),
        ("submit", ["--slots", "1"], 1, "ran"),
        ("collect", [], 0, "collected"),
    ):
        ended, _, lines = machine.run(verb, "toy", *words)
        assert ended == code, lines
        machine.keep(after)
    (machine.trial,) = (name for name, result in machine.state()["results"].items() if result)
    rendered = open_sweep(Clone(root), "toy", Target("cluster")).rendered
    objects = namespace.contents(rendered.trials, machine.folder / "cluster-store")
    (machine.folder / "namespace.kept").write_text(json.dumps(objects))
    for name in ("trials/00/000000000000/attempts", "checkpoints/00/000000000000"):
        (root / "results" / name).mkdir(parents=True)
        (root / "results" / name / "file").write_text("what nothing names")
    machine.keep("littered")
    machine.back("new")
    machine.git("rm", "-r", "--quiet", "values", ".gitignore")
    machine.git("commit", "--quiet", "--message=no project yet")
    machine.keep("bare")


def remembering(run: Callable[..., str], machine: Machine) -> Callable[..., str]:
    """Helm, asked once for the same: it changes nothing here, and takes most of the time."""

    def asked(program: str, *words: str, folder: Path | None = None) -> str:
        if words[0] == "uninstall":
            return ""
        digest = hashlib.sha256(repr(words).encode())
        for before, word in pairwise(words):
            if before == "-f":
                with read_file(os.path.join(folder or "", word.strip('"')), "rb") as values:  # noqa: PTH118
                    digest.update(values.read())
        kept = str(machine.helm / digest.hexdigest())
        if not os.path.exists(kept):  # noqa: PTH110
            text = run(program, *words, folder=folder)
            with read_file(kept, "w") as new:
                new.write(text)
        with read_file(kept) as known:
            return known.read()

    return asked


def refuse(machine: Machine, name: str, row: Row) -> None:
    """Refuse every call of a verb in turn, and look: one line and exit code 4, or nothing that matters; every file is
    the old one or the new one; and the same again ends as if nothing had been (in a short run every third time)."""
    verb = verbs.VERBS[name]
    words = [machine.trial if word == "TRIAL" else word for word in row.words.split()]
    machine.back(row.before)
    old = machine.state()["values"]
    usual, _, usually = machine.run(verb.module, *words)
    assert usual == row.code, usually
    assert len(machine.calls) > 1
    calls, after = machine.calls, machine.state()
    refused = [*points(calls, row.only, row.once, reading=row.reading)][:: 1 if EVERY else row.step]
    assert refused, calls
    for place, (at, number, lasting) in enumerate(refused):
        machine.back(row.before)
        faults = Faults([str(machine.folder / "here")], at, number, lasting=lasting)
        code, _, lines = machine.run(verb.module, *words, faults=faults)
        case = (name, at, calls[at - 1], errno.errorcode[number], lasting, code, lines)
        assert code in (usual, 4), case
        check_message(code, lines, usually, number, case)
        check_files(machine, old, after["values"], case, lasting=lasting)
        if EVERY or place % 3 == 0:
            code, _, lines = machine.run(verb.module, *words)
            assert code == usual, (case, lines)
            check_end(machine, after, case)


def check_message(code: int, lines: list[str], usual: list[str], number: int, case: tuple[object, ...]) -> None:
    """One line where anything is wrong, beside what is said as usual: what, and why."""
    errors = [line for line in lines if line.startswith("error: ") and line not in usual]
    assert len(errors) == (code == 4), case
    if code == 4:
        assert lines[-1] == errors[0], case
        assert os.strerror(number) in errors[0], case
        assert "this machine" not in errors[0], case
    assert not re.search("Traceback|not caught|Exception ignored", "\n".join(lines)), case


def check_files(
    machine: Machine, old: dict[str, bytes], new: dict[str, bytes], case: tuple[object, ...], *, lasting: bool
) -> None:
    """Every file of values/ is the old one or the new one."""
    for path in machine.committed():
        name = str(path.relative_to(machine.root))
        if name in old or name in new:
            assert kept(path) in (old.get(name), new.get(name)), (name, case)
        else:
            assert lasting, (name, case)  # a temporary file that could not be removed either


def check_end(machine: Machine, after: dict[str, Any], case: tuple[object, ...]) -> None:
    """All is as it would have been without a fault; what could not be removed then is gone too."""
    ended = machine.state()
    differing = {name: (ended[name], after[name]) for name in after if ended[name] != after[name]}
    assert not differing, (case, str(differing)[:2000])


BESIDE_GIT = r"^(?!.*/\.git/)"
"""Commits are the same for all verbs."""


@dataclass(frozen=True)
class Row:
    """A verb as it is typed in a state of the sweep, how it ends, and which of its calls are refused (tests.faults)."""

    before: str
    words: str = ""
    code: int = 0
    only: str = BESIDE_GIT
    once: str = ""
    reading: bool = False
    step: int = 1
    """Of what is made of other verbs a short run takes every so many."""


ROWS = {
    "init": Row("bare", only="", once="/objects/"),
    "new": Row("new", "fresh -- printf {x}"),
    "check": Row("expanded", "toy --code toy", once=".", step=8),
    "sweep": Row("expanded", "toy --slots 1", code=1, once=".", step=24),
    "expand": Row("new", "toy --code toy", only=""),
    "plan": Row("expanded", "toy", reading=True, once=".", step=3),
    "render": Row("expanded", "toy", reading=True, once="."),
    "dataset": Row("new", "fed", reading=True, once="."),
    "submit": Row("expanded", "toy --slots 1", code=1, only="", once="/attempts/"),
    "watch": Row("collected", "toy --engine cluster", code=1, reading=True, once="."),
    "status": Row("ran", "toy", reading=True, once="."),
    "logs": Row("ran", "toy TRIAL", reading=True),
    "retry": Row("ran", "toy", reading=True, once="."),
    "stop": Row("collected", "toy --engine cluster", reading=True, once="."),
    "resume": Row("collected", "toy --engine cluster", reading=True, once="."),
    "uninstall": Row("collected", "toy --engine cluster --yes", once=".", step=4),
    "collect": Row("ran", "toy", reading=True, once="."),
    "report": Row("collected", "toy", reading=True, once=".", step=2),
    "best": Row("collected", "toy", reading=True, once="."),
    "fetch": Row("collected", "toy TRIAL", reading=True, once="."),
    "trace": Row("collected", "TRIAL", reading=True, once="."),
    "reproduce": Row("collected", "TRIAL", once=".", step=8),
    "replay": Row("collected", "toy", reading=True, once="."),
    "ledger": Row("collected", reading=True, once="."),
    "gc": Row("littered", "--yes --unknown-commits", reading=True, once="."),
    "doctor": Row("expanded", reading=True, once="."),
}
TOUCH_NOTHING = {"role", "completion"}
"""They read what is installed, and print it."""


def test_every_verb_of_the_program_is_refused() -> None:
    assert ROWS.keys() | TOUCH_NOTHING == verbs.VERBS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_a_verb_may_be_refused_at_every_call(machine: Machine, name: str) -> None:
    refuse(machine, name, ROWS[name])


@pytest.mark.parametrize("name", ROWS)
def test_what_a_verb_may_not_remove_the_next_command_removes(machine: Machine, name: str) -> None:
    """Locks, temporary files and folders of ours."""
    verb, row = verbs.VERBS[name], ROWS[name]
    words = [machine.trial if word == "TRIAL" else word for word in row.words.split()]
    machine.back(row.before)
    machine.run(verb.module, *words)
    after = machine.state()
    machine.back(row.before)
    machine.run(verb.module, *words, faults=NothingRemoved([str(machine.folder / "here")]))
    code, _, lines = machine.run(verb.module, *words)
    assert code == row.code, lines
    check_end(machine, after, (name, lines))


def test_what_comes_from_a_cluster_may_be_refused_at_every_call(machine: Machine) -> None:
    refuse(machine, "collect", Row("collected", "toy --engine cluster", once="."))


# ---- links and what is no file, in the place of what verbs read and write ----

LINKED = ("link to a private file", "link to a folder elsewhere", "fifo", "link to a device")
PLACE = re.compile(r"(?!.*/jobs/attempts/|.*\(deleted\)|\.git$)((values|out)(/|$)|results/|\.\w+$)")
"""What verbs read and write beside code; a folder of results may lie on another disk, and those of attempts are new."""
MOST_PLACES = 16
"""Of a verb, in a short run."""
TEMPORARY = re.compile(r"\.([^/]+)\.[0-9]+-[0-9a-f]{8}\.tmp$")


def places(machine: Machine, row: Row, module: str, words: list[str]) -> tuple[list[str], list[str]]:
    """What a verb touches whenever it is run in this state, files by their last names, and the folders of them all;
    and what it says."""
    looks = []
    output: list[str] = []
    for _ in range(2):  # what has another name each time is nothing that somebody could have put there before
        machine.back(row.before)
        code, _, output = machine.run(module, *words)
        assert code == row.code, output
        paths = [Path(call.partition(" ")[2]) for call in machine.calls]
        inside = [path.relative_to(machine.root) for path in paths if path.is_relative_to(machine.root)]
        looks.append({TEMPORARY.sub(r"\1", str(name)) for path in inside for name in (path, *path.parents)})
    return sorted(filter(PLACE.match, looks[0] & looks[1])), output


@pytest.mark.parametrize("name", ROWS)
def test_a_verb_leaves_and_shows_nothing_through_what_is_no_file(machine: Machine, name: str) -> None:
    """Each verb of the program meets, at places that it touches, each kind in turn; with EVERY_POINT=1 all at all."""
    verb, row = verbs.VERBS[name], ROWS[name]
    words = [machine.trial if word == "TRIAL" else word for word in row.words.split()]
    offset = zlib.crc32(name.encode())
    touched, usual = places(machine, row, verb.module, words)
    assert touched, name
    step = 1 if EVERY else max(row.step, -(-len(touched) // MOST_PLACES))
    for number, place in enumerate(touched[offset % step :: step]):
        for kind in LINKED if EVERY else (LINKED[(number + offset) % len(LINKED)],):
            machine.back(row.before)
            elsewhere = machine.folder / "elsewhere"
            shutil.rmtree(elsewhere, ignore_errors=True)
            odd_files.make_elsewhere(elsewhere)
            odd_files.put(machine.root / place, kind, elsewhere)
            before = odd_files.state(elsewhere)
            code, out, output = machine.run(verb.module, *words)
            case = (name, place, kind, code, output)
            assert code in (0, 1, 2, 4), case
            assert odd_files.state(elsewhere) == before, case
            assert odd_files.SECRET not in out + "".join(output), case
            assert not [path for path in machine.committed() if has_secret(path, machine.root)], case
            errors = [line for line in output if line.startswith("error: ") and line not in usual]
            assert len(errors) == (code in (2, 4)) or code == 1, case
            assert "Traceback" not in "".join(output), case


def has_secret(path: Path, root: Path) -> bool:
    """Whether a file that lies below a folder itself holds what nobody should have read."""
    return path.resolve().is_relative_to(root) and odd_files.SECRET.encode() in path.read_bytes()


# ---- what a disk that was full has left, or a newer version has written ----


def damaged(data: bytes) -> Iterator[bytes]:
    """A file empty, cut, overwritten, of a newer version."""
    yield from (data[:at] for at in (range(len(data)) if EVERY else (0, len(data) // 2)))
    yield b"\0" * len(data)
    yield data.replace(b'{"', b'{"from the future": {"version": 99}, "', 1).replace(b"\n1,", b"\n99,")
    yield data.replace(b": 1", b': "one"').replace(b": 0", b": null")


def test_a_state_file_that_is_none_holds_nobody_up(machine: Machine) -> None:
    """Whatever lies in out/ can be made again, so nothing that it holds is an error."""
    machine.back("collected")
    paths = (path.relative_to(machine.root) for path in machine.root.glob("out/toy/**/*"))
    names = [name for name in paths if name.suffix in (".json", ".yaml") or name.name == ".lock"]
    assert len(names) == 6
    for name in names:
        for data in damaged((machine.root / name).read_bytes()):
            machine.back("collected")
            (machine.root / name).write_bytes(data)
            code, _, lines = machine.run("submit", "toy")
            assert code == 1, (name, data, lines)
            assert lines[-1].startswith("error: 1 of 2 trials failed"), (name, data, lines)
            code, out, lines = machine.run("status", "toy", "--json")
            assert code == 0, (name, data, lines)
            assert out.count('"succeeded"') == out.count('"failed"') == 1, (name, data, out)


def test_a_committed_file_that_is_cut_is_named_and_taken_back(machine: Machine) -> None:
    machine.back("collected")
    for name in ("space.yaml", "values.yaml", "code.yaml", "results.csv"):
        path = machine.root / "values" / "toy" / name
        for data in damaged(path.read_bytes()):
            path.write_bytes(data)
            for verb, *words in (["plan", "toy"], ["report", "toy", "--dry-run"], ["expand", "toy", "--dry-run"]):
                code, _, lines = machine.run(verb, *words)
                assert code in (0, 2), (name, data, verb, lines)
                errors = [line for line in lines if line.startswith("error: ")]
                assert len(errors) == (code != 0), (name, data, verb, lines)
                assert not code or lines[-1].startswith("error: "), (name, data, verb, lines)
            machine.git("checkout", "--quiet", "values/toy")
    assert machine.run("plan", "toy")[0] == 0
