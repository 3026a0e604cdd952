"""What others wrote stands there as text, and does nothing: on a terminal, in a line, to the readers of a page."""

from __future__ import annotations

import ast
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep import words
from tests.unit.test_structure import ROOT, VERBS

NO_TEXT = ("Cc", "Cf", "Cs", "Zl", "Zp")
HOSTILE = "\x1b]0;title\x07\x1b[2J\x1b[31mred\u202egnp\u2066\u200b\u2028next\r\x9b1m \ud800 [blink]m[/blink] :bomb:"
SHOWN = r"\x1b]0;title\x07\x1b[2J\x1b[31mred\u202egnp\u2066\u200b\u2028next\r\x9b1m \ud800 [blink]m[/blink] :bomb:"


def test_whatever_unicode_calls_no_text_is_shown_escaped() -> None:
    for char in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(char) in NO_TEXT and char not in "\n\t":
            assert words.shown(char).startswith("\\"), hex(ord(char))
            assert words.shown(char).isascii()
    assert words.shown("ok é 名前 🚀\tx\n") == "ok é 名前 🚀\tx\n"
    assert words.shown(HOSTILE) == SHOWN


@given(st.text())
def test_text_that_was_shown_stays_as_it_is_and_a_line_is_one(text: str) -> None:
    assert words.shown(words.shown(text)) == words.shown(text)
    assert words.line(text) == words.line(words.shown(text))
    assert words.line(text).isprintable()
    assert len(words.line(text).splitlines()) <= 1


# ---- every way that words leave a verb ----

EDGES = {
    "say": "cli.say(TEXT)",
    "show": "cli.show(TEXT)",
    "page": "cli.show_page(TEXT + '\\n')",
    "pass_on": "cli.pass_on([TEXT.encode(errors='surrogatepass') + b'\\n'])",
    "print": "print(TEXT)",
    "stderr": "sys.stderr.write(TEXT + '\\n')",
    "error": "raise BadInput(TEXT)",
    "fault": "raise RuntimeError(TEXT)",
    "arguments": "cli.parser('doc').parse_args(['a', TEXT])",
    "help": "cli.parser(TEXT).parse_args(['--help'])",
    "console": "Console().print(TEXT)",
    "text": "Console(stderr=True).print(Text(TEXT))",
    "cell": "t = Table(TEXT); t.add_row(TEXT); Console(stderr=True).print(t)",
    "watcher": "Display(Path('/none'), [], [], Objective('m', 'maximize'), float).say(TEXT)",
    "live": """\
from tests.unit.stores import trial
one = trial()
with Display(Path('/none'), [one], ['lr'], Objective('m', 'maximize'), float) as watcher:
    watcher({})
    cli.say(TEXT)
    watcher({one.job: JobState(one.job, one.id, 'Failed', reason=TEXT)})
    watcher({one.job: JobState(one.job, one.id, 'Pending', 'image', TEXT)})
""",
}


def on_a_terminal(code: str, columns: int = 400) -> bytes:
    """What a terminal gets of a verb that does this."""
    program = "\n".join(
        [
            "import sys, io",
            f"sys.path[:0] = [{str(ROOT / 'scripts')!r}, {str(ROOT)!r}]",
            f"sys.modules['__main__'].__file__ = {str(ROOT / 'scripts' / 'none.py')!r}",
            "import guard, cli",
            "from pathlib import Path",
            "from display import Console, Display",
            "from rich.table import Table",
            "from rich.text import Text",
            "from sweep.engines import states",
            "from sweep.errors import BadInput",
            "from sweep.jobs import JobState",
            "from sweep.records.results import Objective",
            f"TEXT = {HOSTILE!r}",
            "def main():",
            *(f"    {line}" for line in code.splitlines()),
            "    return 0",
            "guard.run(main)",
        ]
    )
    master, slave = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "TMPDIR": "/dev/null/none"}
    child = subprocess.Popen([sys.executable, "-c", program], stdout=slave, stderr=slave, stdin=slave, env=env)
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:
        pass  # EIO: all have closed it
    finally:
        os.close(master)
        child.wait()
    return seen


def test_what_runs_is_named_in_full_on_80_columns() -> None:
    """Of a line that is too long the point gets shorter, never the id or how far the trial is."""
    seen = on_a_terminal(
        """\
from tests.unit.stores import trial
names = [name * 12 for name in "ghijkl"]
one = trial(dict.fromkeys(names, 0.123456789))
with Display(Path('/none'), [one], names, Objective('accuracy', 'maximize'), lambda: 99.0) as shown:
    shown({one.job: JobState(one.job, one.id, 'Running', since=39.0)})
print(one.id)
""",
        columns=80,
    )
    ids = re.findall(rb"[0-9a-f]{12}", seen)
    assert len(ids) >= 2, seen
    assert set(ids) == {ids[-1]}
    assert b"for 1 min" in seen
    assert "…".encode() in seen


@pytest.mark.parametrize("edge", EDGES)
def test_nothing_acts_on_the_terminal(edge: str) -> None:
    seen = on_a_terminal(EDGES[edge])
    assert rb"\x1b]0;title" in seen
    assert rb"\x1b[2J\x1b[31mred\u202egnp\u2066\u200b" in seen
    assert b"[blink]m[/blink] :bomb:" in seen
    assert b"\x1b]0" not in seen
    assert b"\x1b[2J" not in seen
    assert b"\x1b[31m" not in seen
    for char in "\x07\x9b\u202e\u2066\u200b\u2028":
        assert char.encode() not in seen


def test_only_the_edge_prints() -> None:
    """Else a verb would have to think of what it prints."""
    for verb in VERBS:
        tree = ast.parse((ROOT / "scripts" / f"{verb}.py").read_text())
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not called & {"print", "sys.stdout.write", "sys.stdout.buffer.write", "rich.console.Console"}, verb
        imports = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert not imports & {"rich.console.Console", "rich.print", "rich.markup.render"}, verb


@pytest.mark.parametrize("piped", [True, False])
def test_a_log_goes_as_it_is_into_a_pipe_alone(tmp_path: Path, piped: bool) -> None:
    raw = b"\x1b[31mred\x1b[0m 50 %\r100 %\r\n\xff\n"
    log = tmp_path / "log"
    log.write_bytes(raw)
    code = f"cli.pass_on(open({str(log)!r}, 'rb'))"
    if piped:
        program = f"import sys; sys.path[:0] = [{str(ROOT / 'scripts')!r}]; import cli; {code}"
        assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == raw
    else:
        assert (
            on_a_terminal(code).replace(b"\r\n", b"\n")
            == rb"""\x1b[31mred\x1b[0m 50 %
100 %
\xff
"""
        )


# ---- figures for people ----


@pytest.mark.parametrize("power", range(-10, 15))
@pytest.mark.parametrize("digits", [2, 6])
def test_a_figure_for_people_has_no_exponent(power: int, digits: int) -> None:
    for value in (10.0**power, -1.7 * 10.0**power, 9.99 * 10.0**power):
        text = words.figure(value, digits)
        assert "e" not in text
        assert float(text.replace(",", "")) == pytest.approx(value, rel=0.5 * 10.0 ** (1 - digits))


def test_figures_as_they_stand_in_a_plan() -> None:
    shown = {170.3: "170", 1234.5: "1,234", 12: "12", 1.25: "1.2", 0.5: "0.5", 0.00123: "0.0012", 0: "0"}
    assert {value: words.figure(value) for value in shown} == shown
    assert [words.figure(value) for value in (float("nan"), float("inf"), 1e300)] == ["nan", "inf", "1e+300"]
    assert words.hours(0.1) == "0.000028"
