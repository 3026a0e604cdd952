"""The command of a trial under its limits: its output, how it is ended, and what its end means."""

from __future__ import annotations

import math
import os
import re
import signal
import stat
import time
from contextlib import suppress

from ending import BAD_INPUT, GPU_MEMORY, NO_ROOM, TERMINATED, TIME_LIMIT, TRY_AGAIN, Stop
from folders import create, naming, write_all
from processes import adopt_orphans, die_with_parent, end_children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from arguments import Options
    from folders import Folder


USAGE = 2  # of the command: it was called in a way that it does not take
NOT_STARTED = {126: "cannot be executed", 127: "not found"}  # what exec, and every shell of a program, ends with
SCRIPT = re.compile(r"(?!-)[\w.-]+(/[\w.-]+)*\.(py|sh|bash|[rR]|jl|pl|rb|js|lua|awk|m)")
LIMIT_PATIENCE_SECONDS = 5  # between SIGTERM and SIGKILL at the time limit
LARGEST_LOG_BYTES, LOG_HEAD_BYTES, LOG_TAIL_BYTES = 128 << 20, 64 << 20, 64 << 10  # of output.log; see Command._log
SHOWN_LINES, SHOWN_WIDTH = 20, 300  # of the output, where the metrics were not found in it


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
        self.tell: Callable[[str], None] = lambda _: None  # given `ending`, before the command is told to end
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
            where = "" if "/" in words[0] else f" (PATH is {env.get('PATH', os.defpath)})"
            reason = f"command {words[0]}: {error.strerror}; mend `command` or the image{where}"
            raise Stop(BAD_INPUT, reason, ended=code) from None
        except ValueError as error:
            raise Stop(BAD_INPUT, f"command: {error}; mend `command`") from None
        assert self.child.stdout
        self.output = self.child.stdout.fileno()
        os.set_blocking(self.output, False)

    def run(
        self,
        signals: int,
        deadline: float,
        patience: float,
        heartbeat: Callable[[], str],
        every: float,
    ) -> int:
        """Until the command ends, or was ended: `ending` is then `limit`, `preempted` or what a heartbeat said. Returns
        its exit code.

        `deadline` is the time limit by the monotonic clock; `patience` are the seconds between SIGTERM and SIGKILL. A
        heartbeat is due `every` so many seconds; what it returns ends the command.
        """
        import selectors

        beat_at = time.monotonic() + every
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
                        self._end(heartbeat(), patience)
                        beat_at = time.monotonic() + every
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
        if ending and not self.ending:
            self.ending, self.kill_at = ending, time.monotonic() + patience
            self.tell(ending)
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with suppress(OSError):  # none left
            os.killpg(self.child.pid, number)


def judge_ending(ending: str, shown: int, trial: dict[str, Any]) -> None:
    """Raises Stop where the command was ended."""
    if ending == "preempted":
        raise Stop(TERMINATED, "SIGTERM", status="preempted", ended=shown)
    if ending == "stuck":
        # It hangs, which says nothing against the trial: the next attempt goes on from its checkpoint.
        raise Stop(TRY_AGAIN, "stuck: no line and no row for as long as stop.stuck says", ended=shown)
    if ending == "limit":
        message = f"limit: the {trial['limit_seconds']:g} s of all attempts are used up; raise limit_seconds to go on"
        raise Stop(TIME_LIMIT, "limit", message, ended=shown)


def absent_script(words: list[str], folder: str) -> str:
    """The script that the words have some program run, where it is not in the folder that it runs in; "" if it is."""
    named = [word for word in words[:8] if SCRIPT.fullmatch(word)]
    return "" if not named or os.path.exists(os.path.join(folder, named[0])) else named[0]


def judge(command: Command, code: int, options: Options, trial: dict[str, Any], absent: str = "") -> None:
    """Raises Stop unless the command ended by itself and well. Negative codes are signals; `absent` is a script that
    is not there."""
    shown = 128 - code if code < 0 else code
    judge_ending(command.ending, shown, trial)
    if code == GPU_MEMORY:
        # A shared GPU may have room again; on an exclusive one the same trial fails the same way.
        raise Stop(TRY_AGAIN if options.gpu_shared else code, "gpu out of memory", ended=code)
    if code == USAGE and re.search(rb"^usage: ", command.tail, re.IGNORECASE | re.MULTILINE):
        # What argparse, click, getopt's users … say to words that they do not take: the same words fail the same way.
        last_words = command.last_line()
        cure = "mend `command` or the hyperparameters"
        for name in re.findall(r"--(\w+_\w+)", last_words):
            dashed = "--" + name.replace("_", "-")
            if re.search(rf"{dashed}(?![\w-])".encode(), command.tail):
                cure = f"it has {dashed}: set `passing: {{dashes: true}}`"
        raise Stop(BAD_INPUT, f"usage: {last_words}; {cure}", ended=code)
    if code > 0 and absent:  # each interpreter has a code and words of its own for it
        reason = f"command {absent}: not in the code; mend `command`, or `code: {{path: …}}`: {command.last_line()}"
        raise Stop(BAD_INPUT, reason, ended=code)
    if code in NOT_STARTED:  # by a shell or a wrapper of the command: there is no such program the next time either
        reason = f"exit {code} ({NOT_STARTED[code]}): {command.last_line()}; mend `command`, the code or the image"
        raise Stop(BAD_INPUT, reason, ended=code)
    if code:
        last_words = "killed (out of memory?)" if shown == 128 + signal.SIGKILL else command.last_line()
        raise Stop(shown, f"signal {-code}: {last_words}" if code < 0 else f"exit {code}: {last_words}", ended=shown)
