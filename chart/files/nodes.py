"""An attempt of a trial on several nodes: which Pods belong together, how they begin, and that the end of one is all's.

Node 0 has the attempt as ever: its record, the time limit, the result. The others take seats in it, the folders
attempts/<name>/nodes/<rank>-<token>/, and write there about themselves alone; attempt.json names the seats with which
it began (`peers`). So every attempt is a rendezvous of its own, and nobody takes part who is not named. Node 0 watches
the seats, the others watch node 0, all through the store: it is what they share on any cluster.

Who ends too early says why. Node 0 then ends with the code of the node that was first, the others with PEER_ENDED,
which their Job does not count: of one attempt one failure is counted. The runner imports this only for several nodes.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import time
from contextlib import suppress

from checks import strict_object
from command import Command, absent_script, judge
from ending import FAIL_AT_ONCE, PEER_ENDED, TERMINATED, TIME_LIMIT, Stop, last_words, stop_of
from environment import prepare, secret_values, words_of
from identity import FINAL
from placing import place
from results import standing_result, stopped_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from arguments import Options
    from attempts import Attempt
    from folders import Folder


GATHER_SECONDS = 600  # for all to come; then the Pods give their GPUs back, and try again
LOOK_SECONDS = 1
BEAT_SECONDS = 5  # between two signs of life in a seat
BLAME_SECONDS = 20  # for the others to say why they ended, once node 0's command has failed
LOST_SECONDS = 120  # without a sign of life a node is gone
RECORD = "node.json"


def rank_of() -> int:
    """The place of this Pod in its attempt, by the variable that an Indexed Job sets."""
    return int(os.environ.get("JOB_COMPLETION_INDEX") or 0)


def variables(master: str, rank: int, count: int) -> dict[str, str]:
    """What the command finds: the names that torch.distributed reads, and those by which torchrun takes its options."""
    address, _, port = master.rpartition(":")
    own = {"MASTER_ADDR": address, "MASTER_PORT": port, "NODE_RANK": str(rank), "NNODES": str(count)}
    return {**own, "RANK": str(rank), "WORLD_SIZE": str(count), **{f"PET_{name}": own[name] for name in own}}


def told_to_end(signals: int, seconds: float) -> bool:
    """Whether SIGTERM or SIGINT comes within a time, which passes unless any signal comes."""
    ready, _, _ = select.select([signals], [], [], seconds)
    return bool(ready and {signal.SIGTERM, signal.SIGINT} & set(os.read(signals, 512)))


def preempted() -> Stop:
    return Stop(TERMINATED, "SIGTERM", status="preempted")


def judge_own(command: Command, code: int, options: Options, trial: dict[str, Any], absent: str) -> None:
    """As command.judge; a command that itself ends with the code that is ours has failed."""
    try:
        judge(command, code, options, trial, absent)
    except Stop as own:
        own.code = 1 if own.code == PEER_ENDED else own.code
        raise


def free_port() -> int:
    """One that nobody listens on: on one machine several trials may run at once."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def read(folder: Folder, name: str) -> tuple[dict[str, Any], float]:
    """(a record of another node, its mtime); ({}, 0.0) where there is none that can be read now."""
    with suppress(OSError, ValueError):
        data, written = folder.look(name)
        return strict_object(data), written
    return {}, 0.0


class Pulse:
    """How long nothing has changed that changes while somebody lives, by our own clock: nobody's is compared."""

    def __init__(self) -> None:
        self.seen: Any = None
        self.at = time.monotonic()

    def still_for(self, value: Any) -> float:
        if value != self.seen:
            self.seen, self.at = value, time.monotonic()
        return time.monotonic() - self.at


# ---- node 0 ----


class Peers:
    """The other nodes of an attempt, as its node 0 sees them."""

    def __init__(self, attempt: Attempt, count: int) -> None:
        self.attempt, self.count = attempt, count
        self.folder = attempt.folder.below("nodes")
        self.seats: dict[int, str] = {}
        self.records: dict[int, dict[str, Any]] = {}
        self.ended_at: dict[int, float] = {}  # by the store's clock
        self.pulses = {rank: Pulse() for rank in range(1, count)}
        self.first: tuple[int, dict[str, Any]] | None = None  # who ended the attempt, and how

    def gather(self, signals: int) -> None:
        """Wait until all are there, and begin. It uses up no limit. Raises Stop."""
        began = beat_at = time.monotonic()
        while len(seats := self._waiting()) < self.count - 1:
            self.attempt.began = time.monotonic()
            if self.attempt.began >= beat_at:
                self.attempt.heartbeat()
                beat_at += 2 * BEAT_SECONDS
            if self.attempt.began - began >= GATHER_SECONDS:
                missing = ", ".join(str(rank) for rank in self.pulses if rank not in seats)
                raise Stop(
                    PEER_ENDED, f"node {missing} did not come within {GATHER_SECONDS} s; a queue admits all at once"
                )
            if told_to_end(signals, LOOK_SECONDS):
                raise preempted()
        self.attempt.began = time.monotonic()
        self.seats = {rank: str(record["seat"]) for rank, record in seats.items()}
        self.records = dict(seats)
        named = ("rank", "node", "pod", "seat")
        address = os.environ.get("POD_IP") or "127.0.0.1"
        self.attempt.record["peers"] = [{name: seats[rank].get(name) for name in named} for rank in sorted(seats)]
        self.attempt.record["master"] = f"{address}:{free_port()}"
        self.attempt.variables = variables(self.attempt.record["master"], 0, self.count)
        self.attempt.folder.write_atomic("attempt.json", self.attempt.record)

    def tell(self, ending: str) -> None:
        """The command is about to be ended, and so are those of the others: all save what they have at one time."""
        self.attempt.record["ending"] = ending
        self.attempt.heartbeat()

    def trouble(self) -> bool:
        """Whether another node has ended too early, or is gone."""
        taken = set(self.folder.names())
        for rank, seat in self.seats.items():
            record, written = read(self.folder.below(seat), RECORD)
            self.records[rank] = record or self.records[rank]
            status = self.records[rank].get("status")
            if status in ("failed", "preempted", "ended"):
                self.ended_at[rank] = written
            elif status != "done":
                again = any(name.startswith(f"{rank}-") and name != seat and self._later(name, seat) for name in taken)
                if again or self.pulses[rank].still_for(record.get("beat")) >= LOST_SECONDS:
                    self.records[rank] = {**self.records[rank], "status": "gone", "reason": "it is gone"}
                    self.ended_at[rank] = math.inf
        if self.ended_at and not self.first:
            rank = min(self.ended_at, key=lambda rank: self.ended_at[rank])
            self.first = rank, self.records[rank]
        return bool(self.ended_at)

    def stop(self) -> Stop:
        """The end of the attempt, as the first that ended makes it."""
        assert self.first
        rank, record = self.first
        reason = f"node {rank} ({record.get('pod')}): {record.get('reason')}"
        if record.get("status") == "failed":
            code = record.get("code")
            return Stop(code if type(code) is int and 0 < code < 256 else 1, reason, ended=record.get("exit_code"))
        return Stop(PEER_ENDED, reason, status="preempted" if record.get("status") == "preempted" else "failed")

    def judge(self, command: Command, code: int, options: Options, trial: dict[str, Any], absent: str) -> None:
        """As command.judge, for all nodes: where another's end was the cause of this one, that is the reason."""
        if command.ending == "peer":
            raise self.stop()
        try:
            judge_own(command, code, options, trial, absent)
        except Stop as own:
            if not command.ending and own.code not in FAIL_AT_ONCE:
                self._blame()
            if not self.first:
                raise
        if self.first:
            raise self.stop()

    def wait(self, signals: int, deadline: float, trial: dict[str, Any]) -> None:
        """Until the commands of all nodes have ended well. Raises Stop."""
        while True:
            if self.trouble():
                raise self.stop()
            if all(record.get("status") == "done" for record in self.records.values()):
                return
            if time.monotonic() >= deadline:
                limit = f"limit: node 0 has ended, not all others; limit_seconds is {trial['limit_seconds']:g}"
                raise Stop(TIME_LIMIT, "limit", limit)
            self.attempt.keep_alive()
            if told_to_end(signals, LOOK_SECONDS):
                raise preempted()

    def _blame(self) -> None:
        """Node 0's command has failed by itself. A preempted node is the cause whenever it says so, any other if it was
        first; who says nothing and shows no sign of life meanwhile is gone, and was the cause too."""
        now, until = self.folder.now(), time.monotonic() + BLAME_SECONDS
        before = {rank: (record.get("status"), record.get("beat")) for rank, record in self.records.items()}
        silent = self._silent(before)
        while silent and time.monotonic() < until:
            time.sleep(LOOK_SECONDS / 5)
            self.trouble()
            silent = self._silent(before)
        ends = sorted((at, rank) for rank, at in self.ended_at.items())
        asked = [rank for _, rank in ends if self.records[rank].get("status") == "preempted"]
        causes = [*asked, *silent, *(rank for at, rank in ends if at < now)]
        for rank in silent:
            self.records[rank].update(status="gone", reason="it is gone")
        self.first = (causes[0], self.records[causes[0]]) if causes else None

    def _silent(self, before: dict[int, Any]) -> list[int]:
        """Who has not said a word since, and is neither done nor known to have ended."""
        return [
            rank
            for rank, record in self.records.items()
            if rank not in self.ended_at and before[rank] == (record.get("status"), record.get("beat"))
            if record.get("status") != "done"
        ]

    def _waiting(self) -> dict[int, dict[str, Any]]:
        """The seats that were taken, by rank; of two the one that gave the later sign of life."""
        seats: dict[int, tuple[float, dict[str, Any]]] = {}
        for name in self.folder.names():
            record, written = read(self.folder.below(name), RECORD)
            rank: Any = record.get("rank")
            if record.get("status") == "waiting" and rank in self.pulses and record.get("seat") == name:
                seats[rank] = max((written, record), seats.get(rank, (0.0, {})), key=lambda pair: pair[0])
        return {rank: record for rank, (_, record) in seats.items()}

    def _later(self, other: str, seat: str) -> bool:
        """Whether somebody sat down in `other` after this attempt had begun with `seat`."""
        record, written = read(self.folder.below(other), RECORD)
        return record.get("status") == "waiting" and written > read(self.folder.below(seat), RECORD)[1]


# ---- the other nodes ----


class Seat:
    """The place of another node in an attempt: what it says about itself, and what it sees of node 0."""

    def __init__(self, attempts: Folder, attempt: str, rank: int) -> None:
        self.attempts, self.attempt = attempts, attempts.below(attempt)
        name = f"{rank}-{os.urandom(4).hex()}"
        self.folder = self.attempt.below(f"nodes/{name}")
        host = os.uname().nodename
        self.record: dict[str, Any] = {
            "rank": rank, "seat": name, "status": "waiting", "code": None, "exit_code": None, "reason": "", "beat": 0,
            "pod": os.environ.get("POD_NAME") or host, "node": os.environ.get("NODE_NAME") or host,
        }  # fmt: skip
        self.pulse, self.beat_at = Pulse(), 0.0
        self.variables: dict[str, str] = {}  # by which the command finds the other nodes
        with self.folder.handle(make=True):
            pass
        self.beat()

    def beat(self) -> None:
        if time.monotonic() >= self.beat_at:
            self.beat_at = time.monotonic() + BEAT_SECONDS
            self.record["beat"] += 1
            with suppress(OSError):  # one less costs nothing
                self.folder.write_atomic(RECORD, self.record)

    def say(self, **what: Any) -> None:
        self.record.update(what)
        self.folder.write_atomic(RECORD, self.record)

    def begins(self) -> str:
        """Where node 0 is met, once the attempt has begun with this seat, and be it over; "" while it has not."""
        record, _ = read(self.attempt, "attempt.json")
        seats = [peer.get("seat") for peer in record.get("peers") or ()]
        return str(record.get("master")) if self.record["seat"] in seats else ""

    def over(self) -> str:
        """Why the attempt is over, "" while it goes on."""
        record, _ = read(self.attempt, "attempt.json")
        if record and (record.get("ending") or record.get("status") != "running"):
            return f"node 0 ended: {record.get('reason') or record.get('ending') or record.get('status')}"
        if self.attempts.names()[-1:] != [self.attempt.path.rpartition("/")[2]]:
            return "node 0 has begun anew"
        return "node 0 is gone" if self.pulse.still_for(record.get("used_s")) >= LOST_SECONDS else ""

    def tell(self, ending: str) -> None:
        """The command is about to be ended: where it was preempted, node 0 is told before it feels it."""
        if ending == "preempted":
            with suppress(OSError):
                self.say(status=ending, reason="SIGTERM")

    def look(self) -> str:
        """A sign of life; "peer" where the command is to end."""
        self.beat()
        return "peer" if self.over() else ""


def standing(folder: Folder, trial: dict[str, Any]) -> dict[str, Any] | None:
    return standing_result(folder, trial) or stopped_result(folder, trial)


def follow(options: Options, trial: dict[str, Any], folder: Folder, signals: int) -> None:
    """What a node runs that is not node 0. Returns once a valid result stands. Raises Stop."""
    seats: list[Seat] = []
    try:
        result = take_seat(seats, options.nodes, trial, folder, signals)
        result = result or train_along(options, trial, seats[-1], folder, signals)
    except Exception as error:
        stop = stop_of(error)
        for seat in seats[-1:]:
            if seat.record["status"] != "done":
                with suppress(OSError):
                    seat.say(status=stop.status, code=stop.code, exit_code=stop.ended, reason=stop.reason)
        ended = standing(folder, trial)
        if ended is None:
            code = stop.code if stop.code == TERMINATED or not seats else PEER_ENDED
            raise Stop(code, f"node {rank_of()}: {stop.reason}", f"node {rank_of()}: {stop.message}") from None
        result = ended
    last_words(json.dumps(result))


def take_seat(
    seats: list[Seat], count: int, trial: dict[str, Any], folder: Folder, signals: int
) -> dict[str, Any] | None:
    """Wait until an attempt begins with a seat of ours, the last of `seats` then; returns a result that stands."""
    attempts, until = folder.below("attempts"), time.monotonic() + GATHER_SECONDS
    while time.monotonic() < until:
        if result := standing(folder, trial):
            return result
        for newest in attempts.names()[-1:]:
            record, _ = read(attempts.below(newest), "attempt.json")
            taken = seats and str(seats[-1].attempt) == str(attempts.below(newest))
            if record.get("status") == "running" and "peers" in record and not taken:
                seats.append(Seat(attempts, newest, rank_of()))
        for seat in seats[-1:]:
            seat.beat()
            if master := seat.begins():
                seat.variables = variables(master, rank_of(), count)
                return None
        if told_to_end(signals, LOOK_SECONDS):
            raise preempted()
    raise Stop(PEER_ENDED, f"no attempt has begun within {GATHER_SECONDS} s; a queue admits all nodes at once")


def train_along(options: Options, trial: dict[str, Any], seat: Seat, folder: Folder, signals: int) -> dict[str, Any]:
    """Run the command beside node 0's, and wait for the result of all. Raises Stop."""
    seat.say(status="running")
    options.outputs = "none"  # what is kept is node 0's
    env = prepare(options, trial, seat)
    code_folder = place(options)
    here = code_folder or os.getcwd()
    words = words_of(trial["identity"], trial["id"], env, here, os.path.abspath(options.scratch))
    command = Command(words, env, code_folder, seat.folder, secret_values(trial["identity"]["env"]))
    command.tell = seat.tell
    # No limit of its own: node 0 ends in time, and with it all.
    code = command.run(signals, math.inf, max(options.grace - 5, options.grace / 2), seat.look, LOOK_SECONDS)
    if command.ending == "peer":
        raise Stop(PEER_ENDED, seat.over(), status="ended")
    judge_own(command, code, options, trial, absent_script(words, here))
    seat.say(status="done", exit_code=0)
    until = math.inf
    while not (result := standing(folder, trial)):
        why = seat.over()
        if why:
            until = min(until, time.monotonic() + (LOST_SECONDS if ended_well(seat) else 0))
        if time.monotonic() >= until:
            raise Stop(PEER_ENDED, why, status="ended")
        if told_to_end(signals, LOOK_SECONDS):
            raise preempted()
    return result


def ended_well(seat: Seat) -> bool:
    """Whether node 0 has ended with a result, which other machines may see a little later."""
    return read(seat.attempt, "attempt.json")[0].get("status") in (*FINAL, "duplicate")
