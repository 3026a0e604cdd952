"""Watches the learning curve of a trial that a rule may stop, and keeps what was decided, with its evidence.

    <results>/rungs/<group>/<rung>/<id>.json  what each trial had there: written once, read by its peers
    <results>/trials/<id[:2]>/<id>/stopped-<group>.json  a result as far as the trial came, with the verdict over it
                                   audit-<group>.json    the verdict over a trial that is left to run as a check

All of it stands as it was written first, so neither a second attempt nor a later start changes it. What cannot be read
or written here never fails a trial: it goes on. The runner imports this only for trials with a rule.
"""

from __future__ import annotations

import json
import math
import os
import re
import time

import rules
from attempts import utc
from checks import is_finite, is_number, need, strict_object
from ending import in_words, say
from folders import Folder, read_file
from identity import SCHEMA_VERSION, objectives
from metrics import fitting
from results import link, publish, standing_result, stopped_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from arguments import Options
    from attempts import Attempt

JUDGE_SECONDS = 30  # between two looks at the peers, unless a rung is reached
LARGEST_RUNG_BYTES = 4096
READ_BYTES, LONGEST_ROW = 4 << 20, 1 << 20  # of HISTORY_FILE: at one look, and a line of it
RUNG_FILE = re.compile(r"([0-9a-f]{4,64})\.json")


class Tail:
    """The lines that a file gained since the last look; of one that was replaced, all of them."""

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder, self.name = folder, name
        self.inode, self.at, self.begun = 0, 0, b""

    def lines(self) -> list[bytes]:
        try:
            with self.folder.open(self.name) as opened:
                status = os.fstat(opened.fileno())
                if status.st_ino != self.inode or status.st_size < self.at:
                    self.inode, self.at, self.begun = status.st_ino, 0, b""
                opened.seek(self.at)
                data = opened.read(READ_BYTES)
        except (OSError, ValueError):
            return []
        self.at += len(data)
        *lines, begun = (self.begun + data).split(b"\n")
        self.begun = begun[:LONGEST_ROW]
        return lines


class Watch:
    """What one attempt of a trial knows of its learning curve, its rungs and its peers."""

    def __init__(self, options: Options, trial: dict[str, Any], attempt: Attempt) -> None:
        """Raises ValueError for a rule that is none."""
        self.trial, self.attempt = trial, attempt
        self.folder = Folder(options.results, f"trials/{trial['id'][:2]}/{trial['id']}")
        self.complaints = set[str]()
        self.rule, self.group = trial["stop"]["rule"], trial["stop"]["group"]
        self.rungs = Folder(options.results, f"rungs/{self.group}")
        self.patience = rules.seconds(self.rule["stuck"]) if "stuck" in self.rule else math.inf
        rules.by_wall(self.rule, 0)
        self.used_before = attempt.used_before(options.grace)[0] if "max_wall" in self.rule else 0.0
        self.tail = Tail(attempt.folder, "history.jsonl")
        self.step = -math.inf  # of the newest row that has the metric
        self.row: dict[str, Any] = {}
        self.rung: float | None = None  # the highest that was reached
        self.own: dict[float, dict[str, Any]] = {}  # rung -> what stands there of this trial
        self.rows: dict[float, tuple[float, dict[str, Any]]] = {}  # rung -> step and row that reached it here
        self.unkept: set[float] = set()  # rungs whose file could not be written yet
        self.peers: dict[tuple[float, str], Any] = {}  # (rung, trial) -> what stands there; None: nothing that counts
        self.judge_at, self.heard_at = 0.0, time.monotonic()
        self.verdict: dict[str, Any] | None = None  # of nan, as soon as it is seen
        self.stands: dict[str, Any] | None = None
        """The record of the verdict that ended the attempt."""
        self.audited = self._audit()

    def hear(self, chunk: bytes) -> None:
        """That the program has printed something."""
        if chunk:
            self.heard_at = time.monotonic()

    # ---- the learning curve ----

    def look(self) -> None:
        """Take in the rows that history.jsonl gained, and keep what the trial had at each rung that they reach."""
        for line in self.tail.lines():
            self.heard_at = time.monotonic()
            try:
                row = json.loads(line) if len(line) <= LONGEST_ROW else None
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                self._take(row)

    def _take(self, row: dict[str, Any]) -> None:
        lowered = {name.lower(): value for name, value in row.items()}
        step = next((lowered[name] for name in ("epoch", "step") if is_finite(lowered.get(name))), None)
        value = row.get(self.rule["metric"], "")
        if step is None or step <= self.step or not (value is None or is_number(value)):
            return
        self.step, self.row = step, row
        value = value if is_finite(value) else None
        if value is None and self.rule["nan"] and not self.verdict:
            self.verdict = rules.by_nan(self.rule, step)
        rung = rules.rung_at(self.rule, step)
        if rung is not None and rung != self.rung:
            self.rung, self.rows[rung], self.judge_at = rung, (step, row), 0.0
            self.own[rung] = {
                "schema_version": SCHEMA_VERSION, "group": self.group, "id": self.trial["id"], "rung": rung,
                "step": step, "value": value, "audited": bool(self.audited),
            }  # fmt: skip
            self.unkept.add(rung)
            self._keep_rungs()

    def _keep_rungs(self) -> None:
        """Write what is not written yet; what was there before, from an earlier or another attempt, stands."""
        for rung in sorted(self.unkept):
            try:
                self.own[rung] = self._keep(self.rungs.below(rules.folder_of(rung)), self.own[rung])
                self.unkept.discard(rung)
            except OSError as error:
                self._complain(f"rung {rung:g} is not kept, and peers do not see it: {in_words(error)}")

    def _keep(self, folder: Folder, record: dict[str, Any]) -> dict[str, Any]:
        name, temporary = f"{record['id']}.json", f".{record['id']}.{os.urandom(4).hex()}"
        with folder.handle(make=True):
            pass
        try:
            folder.write_new(temporary, json.dumps(record, allow_nan=False).encode() + b"\n")
            link(folder, temporary, name)
            return record
        except FileExistsError:
            with folder.handle() as handle:
                return self._read(handle, name, record["rung"]) or record
        finally:
            folder.remove(temporary)

    def _read(self, handle: int, name: str, rung: float) -> dict[str, Any] | None:
        """What stands in a file of a rung; None for what no runner has written."""
        try:
            record = strict_object(read_file(name, LARGEST_RUNG_BYTES, handle)[0])
            need(record.get("group") == self.group and record.get("id") == name[: -len(".json")], "of another")
            need(
                record.get("rung") == rung and is_finite(record.get("step")) and record["step"] >= rung, "not its rung"
            )
            need("value" in record and (record["value"] is None or is_finite(record["value"])), "no value")
            return record
        except ValueError:
            return None

    # ---- the decision ----

    def decide(self) -> str:
        """`stopped` once a verdict stands, `stuck` where the attempt hangs, else nothing."""
        now = time.monotonic()
        if now - self.heard_at > self.patience:
            return "stuck"
        if self.verdict or rules.by_wall(self.rule, self.used_before + self.attempt.used_s()) or now >= self.judge_at:
            self.judge_at = now + JUDGE_SECONDS
            self._keep_rungs()
            try:
                self.stands = standing_result(self.folder, self.trial, stopped_name(self.trial)) or self._judged()
            except OSError as error:
                self._complain(f"goes on, though it may be one to stop: {in_words(error)}")
        return "stopped" if self.stands else ""

    def _judged(self) -> dict[str, Any] | None:
        """The record of the verdict that stands from now on; None if the trial goes on. Raises OSError."""
        verdict, row = self.verdict or rules.by_wall(self.rule, self.used_before + self.attempt.used_s()), self.row
        if not verdict and self.rung is not None and not self.audited:
            own = self.own[self.rung]
            there = (self.rung, own["step"], own["value"])
            verdict = rules.by_rung(self.rule, there, self._comparable(own["step"]))
            # What stands may be an earlier attempt's, of which no more than the value is known.
            at, row = self.rows[self.rung]
            row = {**(row if at == own["step"] else {}), self.rule["metric"]: own["value"]}
            if verdict and rules.is_audited(self.rule, self.trial["id"]):
                self.audited = self._audit({"group": self.group, **verdict})
                return None
        return self._publish({"group": self.group, **verdict}, row) if verdict else None

    def _comparable(self, step: float) -> list[list[Any]]:
        """The peers at the highest rung that the trial may be compared with; none for a rule that asks for none."""
        if self.rung is None or self.rule.get("rule") not in rules.BY_RANK:
            return []
        self._look_at_peers(self.rung)
        records = [record for (rung, _), record in self.peers.items() if rung == self.rung and record]
        peers = ((record["id"], record["step"], record["value"]) for record in records if not record.get("audited"))
        return rules.comparable(self.trial["id"], step, peers)

    def _look_at_peers(self, rung: float) -> None:
        """Read the files of a rung that are new: what stands never changes. Those that cannot be read are none."""
        try:
            with self.rungs.below(rules.folder_of(rung)).handle() as handle:
                names = sorted(name for name in os.listdir(handle) if RUNG_FILE.fullmatch(name))
                for name in names[: rules.MOST_PEERS]:
                    if (rung, name) not in self.peers:
                        self.peers[rung, name] = self._read(handle, name, rung)
        except OSError as error:
            self._complain(f"does not see all of its peers at rung {rung:g}: {in_words(error)}")

    def _publish(self, verdict: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
        """Keep the verdict, with what the trial had there: the record that stands. Raises OSError."""
        numbers = {name: value for name, value in row.items() if value is None or is_number(value)}
        within = fitting(numbers, objectives(self.trial))
        about = self.attempt.record
        record = {
            "schema_version": SCHEMA_VERSION, "id": self.trial["id"],
            "status": "diverged" if verdict["cause"] == "nan" else "pruned", "identity": self.trial["identity"],
            "metrics": {name: value if is_finite(value) else None for name, value in numbers.items() if name in within},
            "objective": self.trial["objective"], "attempt": self.attempt.name, "started_at": about["started_at"],
            "finished_at": utc(time.time()), "used_s": self.attempt.used_s(), "durations": {},
            "environment": {"engine": about["engine"], "node": about["node"]}, "verdict": verdict,
        }  # fmt: skip
        return publish(self.folder, record, self.trial, stopped_name(self.trial))

    def _audit(self, verdict: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The verdict over a trial that is left to run as a check: the one that stands, else `verdict`, kept."""
        name, temporary = f"audit-{self.group}.json", f".audit-{self.group}.{os.urandom(4).hex()}"
        try:
            if verdict:
                self.folder.write_new(temporary, {"id": self.trial["id"], "verdict": verdict})
                link(self.folder, temporary, name)
        except FileExistsError:
            pass
        except OSError as error:
            self._complain(f"its verdict, which is left as a check, is not kept: {in_words(error)}")
            return None
        finally:
            if verdict:
                self.folder.remove(temporary)
        try:
            verdict = strict_object(self.folder.look(name)[0])["verdict"]
            need(not rules.flaw(verdict, self.trial["id"], self.group, self.rule), "it does not follow")
        except (OSError, ValueError, KeyError):
            return None
        if verdict:
            self.attempt.record["audited"] = {"group": self.group, "rung": verdict["rung"]}
            say(f"{self.trial['id']}: left to run as a check: {verdict['reason']}")
        return verdict

    def _complain(self, what: str) -> None:
        """Once: a store that is full stays so for a while."""
        if what not in self.complaints:
            self.complaints.add(what)
            say(f"{self.trial['id']}: stop: {what}")
