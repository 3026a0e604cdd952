"""Damaged documents for every reader of what others wrote: `make fuzz`.

The law: whatever the document, a reader gives back what it made of it or one of our own errors, in bounded time and
memory, and what it accepts it reads in the same way twice. What breaks it is made small, and kept in corpus/<reader>,
from which every run begins, the short one in CI too. Exit code 1 where something was found.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sweep.errors import SweepError
from tests.fuzz.mutate import mutated
from tests.fuzz.readers import READERS, Reader

CORPUS = Path(__file__).parent / "corpus"
MEMORY = Path("/dev/shm")
"""Where fsync costs nothing."""
CPU_SECONDS = 10.0
"""For one document of at most LARGEST bytes, read twice, on a slow machine."""
MEMORY_BYTES = 500_000_000
"""That reading may take beyond what the process has at its start."""
SMALLER_SECONDS = 10.0
"""For making small what was found."""
REFUSED = "refused: "


class TooSlow(BaseException):
    """No reader can catch it by `except Exception`."""


@dataclass
class Findings:
    """Where it broke -> the document, made small, and what was raised."""

    documents: int = 0
    accepted: int = 0
    broken: dict[str, tuple[bytes, str]] = field(default_factory=dict)


@contextmanager
def bounded() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TooSlow(f"more than {CPU_SECONDS:g} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # of this process: how busy the machine is does not matter
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def broken(read: Reader, data: bytes, count: Findings | None = None) -> tuple[str, str] | None:
    """Where the reader breaks the law with a document, and how; None where it keeps it."""
    try:
        with bounded():
            readings = [_read(read, data) for _ in range(2)]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/scripts/" in frame.filename] or frames
        place = f"{type(error).__name__} in {Path(ours[-1].filename).name}:{ours[-1].name}"
        return place, "".join(traceback.format_exception(error))[-3000:]
    if count:
        count.documents += 1
        count.accepted += not readings[0].startswith(REFUSED)
    return None if readings[0] == readings[1] else ("read in two ways", f"{readings[0][:1000]}\n{readings[1][:1000]}")


def _read(read: Reader, data: bytes) -> str:
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        try:
            return read(data, Path(folder))
        except SweepError as error:
            words = str(error)
            assert words, "an error without a word"
            assert "\n" not in words, f"an error of several lines: {words}"
            return f"{REFUSED}{words}".replace(folder, "")


def smaller(read: Reader, data: bytes, place: str) -> bytes:
    """The document with all taken out that it does not need to break the reader there."""
    end, size = time.monotonic() + SMALLER_SECONDS, max(1, len(data) // 2)
    while size and time.monotonic() < end:
        start = 0
        while start < len(data) and time.monotonic() < end:
            tried = data[:start] + data[start + size :]
            finding = broken(read, tried)
            if finding and finding[0] == place:
                data = tried
            else:
                start += size
        size //= 2
    return data


def hunt(read: Reader, corpus: Sequence[bytes], seconds: float, seed: int) -> Findings:
    """Read the corpus, then documents made of it, for so long."""
    chance, findings, corpus = random.Random(seed), Findings(), list(corpus)
    end, waiting = time.monotonic() + seconds, list(corpus)
    while waiting or time.monotonic() < end:
        data = waiting.pop(0) if waiting else mutated(chance.choice(corpus), corpus, chance)
        finding = broken(read, data, findings)
        if finding and finding[0] not in findings.broken:
            findings.broken[finding[0]] = smaller(read, data, finding[0]), finding[1]
    return findings


def documents(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def main(words: Sequence[str] | None = None, say: Callable[[str], None] = print) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for each reader (default: 60)")
    parser.add_argument("--seed", type=int, default=None, help="which documents are made")
    parser.add_argument("readers", nargs="*", help=f"some of {', '.join(READERS)}; default: all")
    args = parser.parse_args(words)
    seed, failed = args.seed if args.seed is not None else random.randrange(10**6), 0
    before = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (before + MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    for name in args.readers or READERS:
        findings = hunt(READERS[name], documents(name), args.seconds, seed)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        counts = f"{findings.documents} documents, {findings.accepted} accepted, at most {memory} MiB"
        say(f"fuzz: {name}: seed {seed}, {counts}, {len(findings.broken)} broken")
        for number, (place, (data, problem)) in enumerate(findings.broken.items()):
            path = CORPUS / name / f"found-{seed}-{number}"
            path.write_bytes(data)
            say(f"fuzz: {name}: {place}; kept as {path.relative_to(CORPUS.parent)}\n{problem}")
            failed = 1
    if failed:
        say(f"fuzz: the same documents again: make fuzz SECONDS={args.seconds:g} SEED={seed}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
