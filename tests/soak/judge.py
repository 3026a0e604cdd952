"""What must hold of a clone and its store, whatever went wrong: nothing lost, nothing twice, nothing mixed up.

The judge looks again and again, and remembers what there was. What each trial must have measured it knows itself.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from sweep.errors import BadInput
from sweep.records import results
from sweep.records.results import Row

KINDS = ("lost", "duplicate", "mixed up", "other")
ENDED = ("succeeded", "diverged", "pruned", "duplicate")
"""How an attempt ends that has trained to its end."""


def score(x: int) -> int:
    """What the trial of this x measures, and no other trial (x < 10007)."""
    return x * 7919 % 10007


class Judge:
    """Finds what must not be; each finding counts once."""

    def __init__(self, store: Path, tables: Mapping[str, Path], head: str = "") -> None:
        self.store, self.tables, self.head = store, tables, head
        """The tables that lie there, and the commit up to which the committed ones were judged."""
        self.findings: dict[str, str] = {}
        """What was found -> its kind."""
        self.results: dict[Path, bytes] = {}
        self.of: dict[int, Path] = {}
        """x -> folder of the trial that has its result."""
        self.rows: defaultdict[str, dict[str, Row]] = defaultdict(dict)

    def say(self, kind: str, what: str) -> None:
        assert kind in KINDS
        self.findings.setdefault(what, kind)

    # ---- while anything may be going on ----

    def look(self) -> None:
        """Compare what there is with what there was."""
        for path, before in self.results.items():
            if not path.exists():
                self.say("lost", f"{path.name} of {path.parent.name} is gone")
            elif path.read_bytes() != before:
                self.say("lost", f"{path.name} of {path.parent.name} has changed")
        for path in self.store.glob("trials/*/*/result.json"):
            if path not in self.results:
                self.results[path] = path.read_bytes()
                self._result(path, self.results[path])
        for path in self.store.glob("trials/*/*/result.json.*"):
            self.say("lost", f"{path.name} of {path.parent.name} was set aside")
        for sweep, path in self.tables.items():
            if path.exists():
                self.table(sweep, path.read_bytes())

    def _result(self, path: Path, data: bytes) -> None:
        try:
            record = json.loads(data)
            x, measured = record["identity"]["hyperparameters"]["x"], record["metrics"]["score"]
        except (ValueError, KeyError, TypeError) as error:
            self.say("other", f"result of {path.parent.name} cannot be read: {error}")
            return
        self.of[x] = path.parent
        if record["id"] != path.parent.name or measured != score(x):
            self.say("mixed up", f"result of {path.parent.name} (x={x}) says id {record['id']}, score {measured}")

    def table(self, sweep: str, data: bytes) -> None:
        """Compare a results.csv, as it lies there or as it was committed, with the one before it."""
        try:
            rows = results.from_csv(data)
        except BadInput as error:
            self.say("other", f"results.csv of {sweep}: {error}")
            return
        now = {row.id: row for row in rows}
        for name, count in Counter(row.id for row in rows).items():
            if count > 1:
                self.say("duplicate", f"results.csv of {sweep} has {count} rows of {name}")
        for row in rows:
            x = row.hyperparameters.get("x")
            if row.status == "succeeded" and (not isinstance(x, int) or row.objective != score(x)):
                self.say("mixed up", f"results.csv of {sweep}: {row.id} (x={x}) has {row.objective}")
        for row in self.rows[sweep].values():
            if row.id not in now or now[row.id].objective != row.objective:
                self.say("lost", f"results.csv of {sweep} has no longer what {row.id} measured")
        self.rows[sweep] |= {row.id: row for row in rows if row.status == "succeeded"}

    # ---- once all has ended well ----

    def end(self, listed: Mapping[str, Iterable[int]], ledger: str) -> None:
        """Judge what is left: every x of `listed` has its result, once; `ledger` is what the trials noted."""
        self.look()
        for sweep, wanted in listed.items():
            rows = {row.hyperparameters["x"]: row for row in self.rows[sweep].values()}
            for x in wanted:
                if x not in self.of or x not in rows or rows[x].store != "present":
                    where = "result" if x not in self.of else "row"
                    self.say("lost", f"x={x} of {sweep} has no {where} at the end")
        for line in ledger.splitlines():
            what, place, _ = line.split()
            if what == "again":
                self.say("duplicate", f"x={place} was trained although it had a result")
            if what == "foreign":
                self.say("mixed up", f"x={place} found another trial's checkpoint")
        for x, path in self.of.items():
            self._attempts(x, path)

    def _attempts(self, x: int, trial: Path) -> None:
        ended = 0
        for attempt in trial.glob("attempts/*"):
            try:
                ended += json.loads((attempt / "attempt.json").read_bytes())["status"] in ENDED
            except FileNotFoundError:
                pass  # killed before it wrote one
            except (ValueError, KeyError) as error:
                self.say("other", f"{attempt.name} of {trial.name} cannot be read: {error}")
            log = attempt / "output.log"
            others = set(re.findall(rb"x=(\d+)\n", log.read_bytes())) - {b"%d" % x} if log.exists() else set()
            if others:
                self.say("mixed up", f"output of {attempt.name} of {trial.name} (x={x}) has x={others}")
        if ended > 1:
            self.say("duplicate", f"x={x} was trained to its end {ended} times")
