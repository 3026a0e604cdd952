"""Where everything lies: the one module that spells a path of the kit, a project, the cache or a sweep.

The kit is what helm-sweep brings: chart, schemas, scripts; in a wheel or in a clone, by the same names. A project is
the folder of the person's Git repository that has values/base.yaml. A clone of helm-sweep is both.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sweep.errors import BadInput
from sweep.files import check_folders, exists, read
from sweep.words import CONTROL

SWEEP_NAME = re.compile(r"[a-z]([-a-z0-9]{0,30}[a-z0-9])?")
OUR_CHART = re.compile(r"^name: helm-sweep$", re.MULTILINE)
LARGEST_BYTES = 1 << 20
"""Of a Chart.yaml."""
BASE = Path("values", "base.yaml")
"""What makes a folder a project."""

_named: list[Path] = []
"""The folder from which the project is looked for, where the program was told one; see `look_from`."""


def cache_dir() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/helm-sweep`: data sets, tools and local environments, shared by clones."""
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "helm-sweep"
    if not (home := home_dir()):
        raise BadInput("HOME: is not set, and the system names no home of this user; set HOME or XDG_CACHE_HOME")
    return home / ".cache" / "helm-sweep"


def home_dir() -> Path | None:
    """The user's home; None where neither HOME nor the list of users names one, as in many containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


@dataclass(frozen=True)
class Kit:
    """What helm-sweep brings, and no project changes."""

    root: Path

    @classmethod
    def here(cls) -> Kit:
        """The kit that these scripts are of."""
        return cls(Path(__file__).resolve().parents[2])

    @property
    def chart(self) -> Path:
        return self.root / "chart"

    @property
    def schemas(self) -> Path:
        return self.root / "schemas"

    @property
    def role(self) -> Path:
        """The rights that a person needs in a namespace."""
        return self.root / "deploy" / "role.yaml"

    @property
    def commit(self) -> Path:
        """In a wheel: which commit it was built from."""
        return self.root / "COMMIT"

    @property
    def web(self) -> Path:
        """Where the report's chart library is pinned; in a wheel it is built in there too."""
        return self.root / "web"


def look_from(folder: Path) -> None:
    """From now on the project is looked for from `folder` upward, as the program does it.

    Scripts that are started by themselves, as make does, are of the clone they lie in.
    """
    _named[:] = [folder]


def is_told() -> bool:
    """Whether the project is looked for."""
    return bool(_named)


def start() -> Path:
    """Where the project is looked for: as told, else where these scripts lie."""
    return _named[0].absolute() if _named else Kit.here().root


def project_above(folder: Path) -> Path | None:
    """The nearest folder from `folder` upward that is a project, within one work tree of git; None if there is none.

    A work tree ends where `.git` lies: a folder in a clone, a file in a submodule or another work tree.
    """
    project = None
    for place in (folder, *folder.parents):
        if not project and (place / BASE).is_file():
            project = place
        if (place / ".git").exists():
            return project
    return None


@dataclass(frozen=True)
class Clone:
    """A project: a clone of helm-sweep, or a folder of somebody's own repository that has values/base.yaml."""

    root: Path

    @classmethod
    def here(cls) -> Clone:
        """The project that is worked on. Raises BadInput for none, and for a path that no manifest could hold."""
        kit = Kit.here().root
        root = project_above(start().resolve()) if _named else kit
        if root is None:
            raise BadInput(
                f"{start()}: no project here: neither it nor a folder above it in its Git repository has {BASE}; "
                "`helm-sweep init` makes one, and --project DIR names another folder"
            )
        if unwritable := CONTROL.search(str(root)):
            raise BadInput(
                f"{str(root)!a}: the clone's path holds {unwritable[0]!a}, which is no text that YAML can "
                "carry; rename that folder"
            )
        return cls(root)

    @cached_property
    def chart(self) -> Path:
        """The project's own copy of the chart, where it has one; else that of the kit."""
        own = self.root / "chart"
        about = own / "Chart.yaml"
        if exists(about, self.root) and OUR_CHART.search(
            read(about, LARGEST_BYTES, self.root).decode(errors="replace")
        ):
            return own
        return Kit.here().chart

    @property
    def trainer(self) -> Path:
        return self.root / "trainer"

    @property
    def code(self) -> Path:
        """The folder whose code is frozen where a sweep names none."""
        return self.trainer if self.trainer.is_dir() else self.root

    @property
    def base(self) -> Path:
        return self.root / BASE

    @property
    def shared_sources(self) -> list[str]:
        """What every sweep rests on, as git spells it: an uncommitted change here makes a submission dirty."""
        ours = (self.chart, self.trainer) if self.chart.is_relative_to(self.root) else ()
        return [self.relative(path) for path in (*ours, self.base)]

    @property
    def reader(self) -> Path:
        """The program that reads a result store in the cluster."""
        return self.chart / "files" / "reader.py"

    @property
    def store(self) -> Path:
        """The result store of the local engine."""
        return self.root / "results"

    @property
    def sweeps(self) -> list[str]:
        """Names of the sweeps that have a values.yaml."""
        return sorted(path.parent.name for path in (self.root / "values").glob("*/values.yaml"))

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def values(self) -> Path:
        """What is committed; a link in there may lead to another file in there."""
        return self.root / "values"

    @property
    def written(self) -> list[Path]:
        """The folders in which files are replaced, and a writer that was killed leaves temporary ones."""
        sweeps = [folder for top in (self.values, self.out) for folder in top.glob("*")]
        parts = (folder / part for folder in sweeps for part in ("", "jobs", "store"))
        return [self.root, self.values, self.out, *parts]

    def has(self, path: Path) -> bool:
        """Whether there is such a file of values/ or out/. Raises BadInput for a link that leads out of there, and for
        what is no file.
        """
        return exists(path, self.root / path.relative_to(self.root).parts[0])

    def relative(self, path: Path) -> str:
        """`path` as a person in the project's folder would write it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def sweep(self, name: str) -> SweepFiles:
        """The files of sweep `name`.

        Raises BadInput for a name that Kubernetes or the chart would refuse, and for folders that lie elsewhere.
        """
        if not SWEEP_NAME.fullmatch(name):
            raise BadInput(
                f"SWEEP={name}: not a sweep name; use at most 32 of a-z, 0-9 and '-', "
                "starting with a letter and not ending with '-'"
            )
        files = SweepFiles(self, name)
        check_folders(self.root, files.folder, files.attempts, files.plots, files.shards, files.mirror / "trials")
        return files


@dataclass(frozen=True)
class Checkout(Clone):
    """A commit of a project, checked out elsewhere. Its results go where those of the clone go."""

    home: Clone

    @property
    def store(self) -> Path:
        return self.home.store


@dataclass(frozen=True)
class SweepFiles:
    """Every file of one sweep: those under values/ are committed, those under out/ are not."""

    clone: Clone
    name: str

    @property
    def folder(self) -> Path:
        return self.clone.root / "values" / self.name

    @property
    def space(self) -> Path:
        return self.folder / "space.yaml"

    @property
    def values(self) -> Path:
        return self.folder / "values.yaml"

    @property
    def code(self) -> Path:
        return self.folder / "code.yaml"

    @property
    def results(self) -> Path:
        return self.folder / "results.csv"

    @property
    def best(self) -> Path:
        return self.folder / "best.yaml"

    @property
    def out(self) -> Path:
        return self.clone.out / self.name

    @property
    def report(self) -> Path:
        return self.out / "report.html"

    @property
    def plots(self) -> Path:
        """The report's charts as SVG."""
        return self.out / "plots"

    def engine_values(self, engine: str) -> Path:
        """What an engine adds to the values."""
        return self.out / f"{engine}.yaml"

    @property
    def provenance(self) -> Path:
        return self.out / "provenance.yaml"

    @property
    def admitted(self) -> Path:
        """What Jobs that have started keep of their queue."""
        return self.out / "admitted.yaml"

    @property
    def store_cache(self) -> Path:
        """What was read of the result store; may be deleted at any time."""
        return self.out / "store-cache.json"

    @property
    def mirror(self) -> Path:
        """What was brought here of a cluster's result store."""
        return self.out / "store"

    @property
    def shards(self) -> Path:
        """The trials of each release, where a sweep has several."""
        return self.out / "shards"

    @property
    def releases(self) -> Path:
        """Their names, for rendering all at once."""
        return self.out / "releases.yaml"

    def asked(self, template: str) -> Path:
        """What is asked of an object that no release holds."""
        return self.out / f"{template}.yaml"

    @property
    def jobs(self) -> Path:
        """Job states of the local engine, one JSON file a Job."""
        return self.out / "jobs"

    @property
    def attempts(self) -> Path:
        """Folders of the local attempts that run."""
        return self.jobs / "attempts"
