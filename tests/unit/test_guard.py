"""Whatever happens to a verb ends in one line and a documented exit code: never in a traceback, never in silence."""

from __future__ import annotations

import guard

import ast
import builtins
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweep import layout
from sweep.engines import kubeconfig
from sweep.errors import BadInput, naming, of_machine
from tests.unit.test_structure import ROOT, VERBS

CODES = {0, 1, 2, 3, 4, 70, 130}
"""What docs/design.md says of scripts."""
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"}
BARE = {"PATH": os.environ["PATH"]}
NO_SWEEP = {"role": ["--no-such-word"], "ledger": ["--no-such-word"], "tidy": ["--no-such-word"]}
TRIALS = {"logs": ["Ünbekannt", "abcd"], "trace": ["äh"], "reproduce": ["äh"]}


def one_line(text: str) -> str:
    assert "Traceback" not in text
    assert "Exception ignored" not in text
    assert len(text.splitlines()) == 1, text
    return text.strip()


# ---- every error that Python or the operating system has ----


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of scripts beside the place where tracebacks go."""
    folder = tmp_path / "scripts"
    (folder / "sweep").mkdir(parents=True)
    for name in ("guard.py", "sweep/__init__.py", "sweep/errors.py", "sweep/words.py"):
        shutil.copy(ROOT / "scripts" / name, folder / name)
    monkeypatch.setattr(guard, "HERE", str(folder))
    return folder


def instances() -> list[BaseException]:
    kinds = [kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, BaseException)]
    special: dict[type, Any] = {
        UnicodeDecodeError: lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid\nbyte"),
        UnicodeEncodeError: lambda: UnicodeEncodeError("ascii", "é", 0, 1, "not\nASCII"),
        UnicodeTranslateError: lambda: UnicodeTranslateError("é", 0, 1, "no"),
        BaseExceptionGroup: lambda: BaseExceptionGroup("two\nlines", [KeyError("x")]),
        ExceptionGroup: lambda: ExceptionGroup("two\nlines", [KeyError("x")]),
    }
    raised = [special.get(kind, lambda kind=kind: kind("two\nlines"))() for kind in kinds if kind is not SystemExit]
    return [*raised, *(OSError(number, "two\nlines", name) for number in errno.errorcode for name in ("a\nfile", None))]


@pytest.mark.usefixtures("scripts")
def test_every_error_of_python_is_one_line_with_a_documented_code(capsys: pytest.CaptureFixture[str]) -> None:
    for error in instances():
        code = guard.last_words(error)
        line = one_line(capsys.readouterr().err)
        assert code in CODES - {0, 1}, line
        assert line.startswith("interrupted" if code == 130 else "error: ")
        if code == 70:
            assert "please report it, with out/errors/" in line


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EACCES", "EPERM", "EMFILE", "ENFILE", "ESTALE"])
def test_what_the_machine_refuses_names_file_reason_and_cure(name: str) -> None:
    number = getattr(errno, name)
    with pytest.raises(OSError) as caught, naming("values/demo/values.yaml"):  # noqa: PT011
        raise OSError(number, os.strerror(number))
    fault = of_machine(caught.value)
    assert fault is not None
    assert fault.exit_code == 4
    assert str(fault).startswith(f"values/demo/values.yaml: {os.strerror(number)} ({name}); ")
    assert str(fault).endswith("and run the same command again")


@pytest.mark.parametrize("kind", [BadInput, KeyError])
def test_an_address_is_said_without_its_password(
    kind: type[Exception], scripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind("git push: unable to access 'https://ann:hunter2@git.example.org/code?token=hunter2': 403")
    guard.last_words(error)
    output = capsys.readouterr().err
    assert "https://***@git.example.org/code?token=***" in one_line(output)
    kept = [path.read_text() for path in (scripts.parent / "out").rglob("*.txt")]
    assert len(kept) == (kind is KeyError)
    assert not [text for text in (output, *kept) if "hunter2" in text]


def test_a_traceback_is_kept_for_the_report(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def deep() -> None:
        deep()

    with pytest.raises(RecursionError) as caught:
        deep()
    assert guard.last_words(caught.value) == 70
    line = one_line(capsys.readouterr().err)
    path = scripts.parent / line.rpartition(" ")[2]
    assert "in deep" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_traceback_goes_elsewhere_where_the_clone_cannot_be_written(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scripts.parent / "out").write_text("a file where a folder is due")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    kept = guard.keep_traceback(KeyError("x"))
    assert kept.startswith("temporary/helm-sweep-errors-")
    assert "KeyError: 'x'" in (tmp_path / kept).read_text()
    monkeypatch.setattr("tempfile.tempdir", str(scripts / "guard.py"))
    assert "KeyError: 'x'" in guard.keep_traceback(KeyError("x"))


def test_a_traceback_goes_through_no_link(scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder is everybody's: whoever makes the folder in it first must not say where it leads."""
    elsewhere, temporary = tmp_path / "elsewhere", tmp_path / "temporary"
    for folder in (elsewhere, temporary, scripts.parent / "out"):
        folder.mkdir()
    for link in (scripts.parent / "out" / "errors", temporary / f"helm-sweep-errors-{os.getuid()}"):
        link.symlink_to(elsewhere)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert guard.keep_traceback(KeyError("x")).startswith("what follows: ")
    assert list(elsewhere.iterdir()) == []


# ---- a verb that runs ----


def run_verb(scripts: Path, body: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a verb with this `main`; `early` is what it does while it imports."""
    early = more.pop("early", "")
    (scripts / "verb.py").write_text(
        f"import guard\n{early}\nimport os, signal, sys\ndef main():\n{body}\n"
        "if __name__ == '__main__':\n    guard.run(main)\n"
    )
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.run(
        [sys.executable, str(scripts / "verb.py")], encoding="utf-8", errors="replace", check=False, **given
    )


@pytest.mark.parametrize(
    ("early", "code", "line"),
    [
        ("1 / 0", 70, "error: a fault of helm-sweep: ZeroDivisionError: division by zero; please report it, with out/"),
        ("import no_such_package", 3, "error: No module named 'no_such_package' (Python "),
        ("raise OSError(28, 'No space left on device', 'f')", 4, "error: f: No space left on device (ENOSPC); free "),
        ("raise KeyboardInterrupt", 130, "interrupted; the same command goes on from here"),
    ],
)
def test_an_error_while_a_verb_imports_is_one_line(scripts: Path, early: str, code: int, line: str) -> None:
    done = run_verb(scripts, "    return 0", early=early)
    assert (done.returncode, done.stdout) == (code, "")
    assert one_line(done.stderr).startswith(line)


def test_ctrl_c_ends_a_verb_with_one_line(scripts: Path) -> None:
    done = run_verb(scripts, "    os.kill(os.getpid(), signal.SIGINT)")
    assert (done.returncode, done.stderr) == (130, "interrupted; the same command goes on from here\n")


def test_ctrl_c_that_reaches_a_destructor_is_not_lost(scripts: Path) -> None:
    body = (
        "    class Held:\n        def __del__(self): os.kill(os.getpid(), signal.SIGINT); [None for _ in range(9)]\n"
        "    held = Held(); del held\n    for _ in range(10**9): pass"
    )
    done = run_verb(scripts, body)
    assert (done.returncode, done.stderr) == (130, "interrupted; the same command goes on from here\n")


def test_ctrl_c_stays_ignored_in_the_background_of_a_shell(scripts: Path) -> None:
    done = run_verb(
        scripts,
        "    os.kill(os.getpid(), signal.SIGINT)\n    return 0",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_has_left_stops_nothing_half_way(scripts: Path, tmp_path: Path) -> None:
    """`make sweep 2>&1 | head -1` must not end the sweep, and with exit code 0 at that."""
    reading, writing = os.pipe()
    os.close(reading)
    body = (
        f"    print('x' * 100_000); guard.say('talk')\n    open({str(tmp_path / 'end')!r}, 'w').close()\n    return 1"
    )
    assert run_verb(scripts, body, stdout=writing, stderr=writing).returncode == 1
    os.close(writing)
    assert (tmp_path / "end").exists()


def test_data_that_cannot_be_written_is_an_error(scripts: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run_verb(scripts, "    print('data')\n    return 0", stdout=full)
    assert done.returncode == 4
    assert one_line(done.stderr).startswith("error: stdout: No space left on device (ENOSPC); free space there")


def test_closed_streams_do_not_get_into_files(scripts: Path, tmp_path: Path) -> None:
    """A number that is free goes to the next file: what is printed must not end in it, nor what a child says."""
    body = (
        f"    opened = open({str(tmp_path / 'file')!r}, 'w')\n    print('data'); guard.say('talk')\n"
        "    os.system('echo child; echo child >&2')\n    opened.write('content')\n    return 0"
    )
    close = lambda: [os.close(handle) for handle in range(3)]  # noqa: E731
    done = run_verb(scripts, body, stdin=None, stdout=None, stderr=None, preexec_fn=close)
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == "content"


def test_any_text_can_be_said_and_read_in_any_locale(scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "größe").write_text("é", encoding="utf-8")
    body = f"    print(open({str(tmp_path / 'größe')!r}).read()); guard.say('ü \\ud800')\n    return 0"
    done = run_verb(scripts, body, env=BARE | ASCII)
    assert (done.returncode, done.stdout, done.stderr) == (0, "é\n", "\\xfc \\ud800\n")


# ---- every verb ----


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_guarded_from_its_first_import_to_its_end(verb: str) -> None:
    tree = ast.parse((ROOT / "scripts" / f"{verb}.py").read_text())
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports[:2] == ["from __future__ import annotations", "import guard"]
    assert ast.unparse(tree.body[-1]) == "if __name__ == '__main__':\n    guard.run(main)"


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_says_one_line_without_home_locale_and_streams(verb: str) -> None:
    """Bad input in an environment that has nothing: no HOME, no UTF-8, stdin and stdout closed."""
    words = NO_SWEEP.get(verb) or TRIALS.get(verb) or ["Ünbekannt"]
    done = subprocess.run(
        [sys.executable, "-S", ROOT / "scripts" / f"{verb}.py", *words],
        env=BARE | ASCII,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: (os.close(0), os.close(1)),
        check=False,
    )
    line = one_line(done.stderr)
    assert done.returncode == 2, line
    assert line.startswith("error: ")


INTERRUPT = """
import os, signal, sys
left = int(os.environ["AFTER"])
def count(event, words):
    global left
    if event == "import" and "guard" in sys.modules:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(count)
"""


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_ctrl_c_while_a_verb_imports_ends_it_at_once(verb: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT)
    after = 1 + 7 * sorted(VERBS).index(verb)  # of some 300 imports: another moment of each verb
    done = subprocess.run(
        [sys.executable, "-S", ROOT / "scripts" / f"{verb}.py", "Ünbekannt"],
        env=BARE | {"AFTER": str(after), "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", ""), after


def test_every_code_is_in_the_design() -> None:
    design = (ROOT / "docs" / "design.md").read_text()
    (paragraph,) = [" ".join(text.split()) for text in design.split("\n\n") if text.startswith("Scripts exit 0 ok")]
    for code in CODES:
        assert f" {code} " in paragraph


# ---- a machine without a home ----


def test_without_home_the_cache_is_refused_and_no_cluster_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home")))
    assert kubeconfig.current_context() == ""
    with pytest.raises(BadInput, match=r"^HOME: is not set, .*; set HOME or XDG_CACHE_HOME$"):
        layout.cache_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert layout.cache_dir() == Path("/cache/helm-sweep")


def test_version_of_python_is_named_where_packages_are_missing(scripts: Path) -> None:
    done = run_verb(scripts, "    import no_such_package")
    assert done.returncode == 3
    assert json.dumps(sys.version.split()[0])[1:-1] in one_line(done.stderr)
