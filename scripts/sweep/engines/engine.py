"""What an engine is: what runs a sweep's rendered Jobs, and all that the verbs ask of it.

An engine is one class below `Engine` and its name in `kinds/__init__.py`. It is made for one sweep, from its files and
settings alone; what takes what helm renders is given the opened sweep. Whatever it cannot do, it says in `CANNOT`.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from sweep.engines import kubeconfig
from sweep.errors import BadInput
from sweep.jobs import JobState
from sweep.layout import Clone, SweepFiles
from sweep.records.artifacts import Here, Place
from sweep.render import Object, Release, Rendered, Trial
from sweep.settings import Settings
from sweep.words import Say


@dataclass(frozen=True)
class Target:
    """Where a person wants a sweep to run; what is left empty is decided by values/base.yaml."""

    engine: str = "auto"
    context: str = ""
    namespace: str = ""

    def context_by(self, settings: Settings) -> str:
        """Of kubectl's configuration; "" for the current one."""
        return self.context or settings.cluster.context

    def namespace_by(self, settings: Settings) -> str:
        """As told, else as base.yaml says, else as the kubeconfig's context does."""
        named = self.namespace or settings.cluster.namespace
        return named or kubeconfig.namespace_of(self.context_by(settings)) or "default"


@dataclass(frozen=True)
class Options:
    """What a submission can be told. An engine reads what concerns it."""

    slots: int | None = None
    """How many trials at once."""
    takeover: bool = False
    """Submit over what comes from a commit that HEAD does not contain."""
    meanwhile: Callable[[], None] = lambda: None
    """What may be done once, while trials run and this process waits: what comes after them is sooner done then."""


class Watcher(Protocol):
    """Shows the states of Jobs (by name) as they change, from its beginning to its end as a context."""

    def __enter__(self) -> Watcher: ...
    def __exit__(self, *error: object) -> None: ...
    def __call__(self, known: Mapping[str, JobState]) -> None: ...
    def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class Person:
    """Who asked: how to tell them something, ask them, and show them what runs."""

    say: Say
    confirm: Callable[[str], None]
    """Ask before something that cannot be taken back. Raises BadInput for anything but a yes."""
    watcher: Callable[[], Watcher]


class Sweep(Protocol):
    """An opened sweep (session.Session), as an engine sees it."""

    @property
    def name(self) -> str: ...
    @property
    def code_folder(self) -> Path: ...
    @property
    def rendered(self) -> Rendered: ...
    @property
    def releases(self) -> list[Release]: ...
    def manifest(self, template: str, wanted: Mapping[str, Any]) -> str: ...


class Engine(Protocol):
    """What runs the Jobs of one sweep."""

    NAME: ClassVar[str]
    """As ENGINE= takes it, and as results say it."""
    CANNOT: ClassVar[Mapping[str, str]] = {}
    """Verb -> why this engine has no part in it."""
    RUNS_ON: ClassVar[bool]
    """Whether Jobs go on when `submit` has returned, so that there is something to watch."""
    FILLS_DATA: ClassVar[bool]
    """Whether `make sweep` fills the data set by itself; elsewhere that is a step of its own."""

    files: SweepFiles
    settings: Settings
    target: Target

    def __init__(self, files: SweepFiles, settings: Settings, target: Target) -> None: ...

    # ---- what helm is given ----

    @property
    def values(self) -> Mapping[str, Any]:
        """What the chart is told over the sweep's own values; {} for nothing."""
        return {}

    @property
    def shards(self) -> int:
        """Into how many releases the Jobs are divided."""
        return 1

    @property
    def namespace(self) -> str:
        return self.target.namespace_by(self.settings)

    # ---- what is on this machine ----

    @property
    @abstractmethod
    def store_folder(self) -> Path:
        """The result store, or what was brought here of it."""

    @property
    @abstractmethod
    def has_store_here(self) -> bool:
        """Whether `store_folder` is the store itself."""

    def notes(self) -> list[str]:
        """What else a plan of Jobs to run should say, a line each."""
        return []

    # ---- running ----

    @abstractmethod
    def states(self) -> Mapping[str, JobState]:
        """Job name -> state, of all Jobs that the engine has of this sweep. Raises Unreachable."""

    def now(self) -> float:
        """Seconds of the epoch, by the clock that `since` of a state is by."""
        return time.time()

    @abstractmethod
    def check(self, sweep: Sweep, options: Options, say: Say) -> None:
        """All that can be wrong with a submission, before anything is changed. Raises BadInput, Unreachable."""

    @abstractmethod
    def submit(self, sweep: Sweep, options: Options, person: Person) -> Mapping[str, JobState]:
        """Give the Jobs to the engine, and end those that are rendered no more. May be killed and called again.

        Returns the states of the Jobs that have ended by then: all of them where nothing RUNS_ON. Raises TrialsFailed
        where nothing RUNS_ON and the rest was held back, since the first trials failed alike.
        """

    def looks(self, jobs: Sequence[str], say: Say) -> Iterator[Mapping[str, JobState]]:
        """The states of these Jobs, again and again, until all have ended."""
        raise self.cannot("watch")

    def has_queue(self) -> bool:
        """Whether what is listed and has no state yet waits for its turn, in a submission that is under way."""
        return False

    def suspend(self, stop: bool, dry_run: bool, jobs: Collection[str] | None = None, why: str = "") -> int:
        """Let Jobs (by name; None: all) wait, or go on without `stop`; how many were, or would be, changed.

        `why`: the limit of the sweep for which they wait, "" for another reason.
        """
        raise self.cannot("stop")

    def installed(self, say: Say) -> list[str]:
        """Names of what `remove` would remove."""
        raise self.cannot("uninstall")

    def remove(self, say: Say) -> None:
        """Remove everything of the sweep but its results."""
        raise self.cannot("uninstall")

    def cannot(self, verb: str) -> BadInput:
        return BadInput(f"{verb}: {self.CANNOT.get(verb) or f'the {self.NAME} engine cannot do this'}")

    # ---- what Jobs need, and what comes of them ----

    @abstractmethod
    def fill_data(self, sweep: Sweep, words: Sequence[str], upload: Path | None, say: Say) -> None:
        """Make the data set, by the command data.prepare and more `words` for it."""

    def fetch(self, sweep: Sweep, say: Say) -> None:
        """Bring `store_folder` up to date, where it is not the store itself."""
        assert self.has_store_here, "what is elsewhere has to be brought"

    def outputs(self, sweep: Sweep, say: Say, *, write: bool = False) -> AbstractContextManager[Place]:
        """The result store itself, for what trials left in OUTPUT_DIR; with `write` it can be removed there."""
        return nullcontext(Here(self.store_folder))

    @abstractmethod
    def log(self, trial: Trial, say: Say) -> Iterator[bytes] | None:
        """The lines of a trial's output that its attempts' own logs do not have (yet); None if there are none."""

    # ---- once more ----

    @abstractmethod
    def take_number(self, trial: str) -> int:
        """A number for a reproduction of a trial, that no other has."""

    @abstractmethod
    def run_once(self, sweep: Sweep, rendered: Rendered, number: int, say: Say) -> Object:
        """Run the one Job of a reproduction to its result. Raises TrialsFailed, BadInput, Unreachable."""

    # ---- years later ----

    @classmethod
    @abstractmethod
    def busy(cls, clone: Clone, opened: Sequence[Self]) -> set[str]:
        """Trials of a clone whose Job runs or waits, as far as this machine can know; `opened`: of its sweeps."""
