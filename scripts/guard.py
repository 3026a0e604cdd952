"""What stands around every verb, its imports included: whatever happens ends in one line and a documented exit code.

The first import of every verb, so it costs next to nothing, and acts only where a verb is the program that runs. A
Ctrl-C while the rest is imported ends at once, by the signal itself: nothing has begun that could be left half done.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum, which takes 5 ms more
import io
import os
import sys

INTERRUPTED, INTERNAL = 130, 70
HERE = os.path.dirname(os.path.abspath(__file__))

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


def as_it_is(text: str) -> str:
    return text


spell: Callable[[str], str] = as_it_is
"""How commands in messages are spelled: as for make, unless the program has set its own way."""


class Output(io.FileIO):
    """A standard stream whose reader may be gone. What nobody reads is no reason to stop half-way.

    A terminal that was closed (EIO) is a reader that is gone; a full disk behind `> file` is an error of data, and
    none of talk.
    """

    def __init__(self, handle: int, *, talk: bool) -> None:
        super().__init__(handle, "w", closefd=False)
        self.talk = talk

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)
        except OSError as error:
            if self.talk or self.isatty():
                return len(data)
            error.filename = "stdout"
            raise


def begin() -> None:
    """Before anything else is imported: streams that are there and take any text, and Python's last words are ours."""
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:  # as in the background of a shell
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    sys.excepthook = lambda kind, error, trace: _leave(last_words(error))  # noqa: ARG005
    sys.unraisablehook = _unraisable
    # A number that was closed would go to the next file that is opened, and what a child says would end in there.
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # File names, pipes and files are UTF-8, whatever the locale: one switch for all of them, but only at the start.
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    if "site" not in sys.modules:  # as make starts us (-S): the packages of .venv are found from here on
        import site

        site.main()
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = _stream(1, "surrogateescape", talk=False)
    sys.stderr = _stream(2, "backslashreplace", talk=True)


class EscapedOutput(io.TextIOWrapper):
    """A standard stream that takes text and nothing else: whatever could act on a terminal is shown escaped."""

    def write(self, text: str) -> int:
        return super().write(text if text == "\n" else shown(text))

    @property
    def painted(self) -> Painted:
        """For who paints on purpose."""
        return Painted(self)


class Painted:
    """The same stream for a painter (rich), whose own escape sequences are no text. See display.Console."""

    def __init__(self, lines: EscapedOutput) -> None:
        self.lines, self.encoding, self.errors = lines, lines.encoding, lines.errors
        self.flush, self.isatty, self.fileno = lines.flush, lines.isatty, lines.fileno

    def write(self, text: str) -> int:
        return io.TextIOWrapper.write(self.lines, text)


def shown(text: str) -> str:
    """words.shown, which is imported where it is needed first."""
    if text.isprintable():
        return text
    from sweep import words

    return words.shown(text)


def _stream(handle: int, errors: str, *, talk: bool) -> EscapedOutput:
    raw = Output(handle, talk=talk)
    lines = talk or raw.isatty()
    encoding = (sys.stderr and sys.stderr.encoding if talk else "") or "utf-8"  # data is the same everywhere
    return EscapedOutput(io.BufferedWriter(raw), encoding, errors, line_buffering=lines)


def run(main: Callable[[], int]) -> NoReturn:
    """Run a verb to its end, whichever that is."""
    try:
        if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        try:
            code = main()
        except SystemExit as end:  # of --help
            code = last_words(end)
        sys.stdout.flush()
    except BaseException as error:
        code = last_words(error)
    _leave(code)


def last_words(error: BaseException) -> int:
    """Say an error in one line; returns its exit code. Raises nothing."""
    try:
        if isinstance(error, SystemExit):
            return error.code if isinstance(error.code, int) else bool(error.code)
        text, code = in_words(error)
    except BaseException as worse:
        text, code = f"error: {type(error).__name__}, and {type(worse).__name__} while saying so", INTERNAL
    try:
        say(" | ".join(line.strip() for line in text.splitlines() if line.strip()))
    except BaseException:
        os.write(2, b"error: cannot even say which\n")
    return code


def say(text: str) -> None:
    """Talk, for people: one line on stderr."""
    text = spell(text)
    if not text.isprintable():
        from sweep import words

        text = words.line(text)
    if "@" in text or "=" in text:  # as git and helm quote an address
        text = masked(text)
    print(text, file=sys.stderr, flush=True)


def masked(text: str) -> str:
    """Without what looks like a secret, where the rest of us can be imported."""
    from contextlib import suppress

    with suppress(ImportError, OSError):
        from sweep import secrets

        return secrets.masked(text)
    return text


def in_words(error: BaseException) -> tuple[str, int]:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; the same command goes on from here", INTERRUPTED
    if isinstance(error, ModuleNotFoundError):
        known = "run `make setup`, and start the scripts by make or by .venv/bin/python"
        return f"error: {error} (Python {sys.version.split()[0]}); {known}", 3
    from sweep import errors

    expected = errors.of_machine(error)
    if expected:
        return f"error: {expected}", expected.exit_code
    kept = keep_traceback(error)
    what = str(error).strip() or "no more is known"
    return f"error: a fault of helm-sweep: {type(error).__name__}: {what}; please report it, with {kept}", INTERNAL


def keep_traceback(error: BaseException) -> str:
    """Write the traceback for a bug report: in out/errors, or where that cannot be written in a temporary folder.

    Returns the file's path, relative in the project; words where it could not be written anywhere.
    """
    import platform
    import tempfile
    import time
    import traceback

    root = project()
    text = f"{sys.argv}\nPython {sys.version} on {platform.platform()}\n{''.join(traceback.format_exception(error))}"
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-"
    for folder in (*([f"{root}/out/errors"] if root else []), f"helm-sweep-errors-{os.getuid()}"):
        try:
            if not os.path.isabs(folder):
                folder = os.path.join(os.path.abspath(tempfile.gettempdir()), folder)  # there may be no such place
            os.makedirs(folder, 0o700, exist_ok=True)
            if os.path.islink(folder) or os.stat(folder).st_uid != os.getuid():
                continue  # somebody else said where it leads
            handle, path = tempfile.mkstemp(".txt", name, folder)
            with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(shown(masked(text)))
        except OSError:
            continue
        return path.removeprefix(f"{root}/")
    return f"what follows: {' | '.join(text.splitlines())}"


def project() -> str:
    """The folder of the project that is worked on: of scripts that make starts, their clone; "" if there is none."""
    layout = sys.modules.get("sweep.layout")
    if not layout or not layout.is_told():
        return os.path.dirname(HERE)
    try:
        return str(layout.Clone.here().root)
    except Exception:
        return ""


def _unraisable(lost: Any) -> None:
    """An error that Python has nobody to give to, as in a destructor. A Ctrl-C among them comes again at once."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        _signal.signal(_signal.SIGALRM, _signal.default_int_handler)
        _signal.setitimer(_signal.ITIMER_REAL, 0.001)


def _leave(code: int) -> NoReturn:
    """End with a code: Python's own last flush of a stream that fails would add lines and change it."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


if os.path.dirname(os.path.abspath(getattr(sys.modules["__main__"], "__file__", None) or "")) == HERE:
    begin()
