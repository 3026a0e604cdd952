"""The trial runner: runs the one command of a Pod and sees to it that its result is kept once, whole, and for good.

What to run is in the environment variable TRIAL; POD_NAME, POD_UID, NODE_NAME and SWEEP_ENGINE say where. With
REPRODUCTION=n it runs as if for the first time, and keeps all of it in reproductions/<id>/<n>. With --make it only
makes the folders of the store that a container is to mount: it is the init container `store` then. Exit codes:
0 done · 64 bad input, or metrics that are no result · 65 bad data · 66 time limit · 67 out of GPU memory on an
exclusive GPU · 69 another node of the attempt ended · 70 a fault of the runner · 75 try again (the store, or a shared
GPU) · 143 after SIGTERM · else the command's own, or 128 + its signal.

Standard library only, Python >= 3.9. Every trial pays for the start: what is slow to import is imported where used.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from arguments import Options
    from nodes import Peers
    from stopping import Watch

# Its own folder, which `-I` leaves out: what stands beside it is imported from there.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from arguments import parse_arguments
from attempts import Attempt, utc
from command import Command, absent_script, judge
from ending import BAD_INPUT, TIME_LIMIT, TRY_AGAIN, Stop, in_words, last_words, say, stop_of
from environment import prepare, secret_values, words_of
from folders import Folder, create
from identity import SCHEMA_VERSION, objectives, parse_trial
from keeping import keep_outputs
from lineage import clean_checkpoints
from metrics import lack, metrics_of, read_all, reading_of
from observing import Observer
from placing import place
from processes import listen
from results import mended_result, publish, standing_result, status_of, stopped_result

SLOT = "SWEEP_SLOT"  # a handle of the local engine's, for give_back_slot


def main(words: list[str] | None = None) -> int:
    trial: dict[str, Any] = {}
    try:
        signals = listen()
        options = parse_arguments(sys.argv[1:] if words is None else words)
        if options.make:
            make_folders(options)
            return 0
        # UTF-8, whatever the locale of the image: a letter read in another way would be another identity.
        trial = parse_trial(os.environb[b"TRIAL"].decode(errors="replace") if b"TRIAL" in os.environb else None)
        if os.environ.get("REPRODUCTION"):
            options.within = store_of_reproduction(options.results, trial, os.environ["REPRODUCTION"])
            trial.pop("stop", None)  # it is to be the whole once more, and no peer of anybody
        run(options, trial, signals)
        return 0
    except Exception as error:
        stop = stop_of(error)
    say(f"{trial['id']}: {stop.message}" if trial else stop.message)
    last_words(stop.message)
    return stop.code


def run(options: Options, trial: dict[str, Any], signals: int) -> None:
    """One attempt, unless a valid result stands. Raises Stop."""
    folder = Folder(options.results, f"{options.within}trials/{trial['id'][:2]}/{trial['id']}")
    standing = standing_result(folder, trial) or mended_result(folder, trial) or stopped_result(folder, trial)
    if standing:
        say(f"{trial['id']}: done already: {standing['status']} in attempt {standing['attempt']}")
        end_well(standing, options, trial, folder.below("attempts"))
        return
    if options.nodes > 1:
        import nodes

        if nodes.rank_of():
            nodes.follow(options, trial, folder, signals)
            return
    try:
        os.listdir(options.results)  # never made here: a store that is not mounted must not become a folder
        attempt = Attempt(folder, options, trial)
    except OSError as error:
        raise not_writable(options.results, error) from None
    try:
        result = train(options, trial, attempt, signals)
        give_back_slot()
        stopped = "verdict" in result
        standing = result if stopped else publish(folder, result, trial)
        status, reason = result["status"], result["verdict"]["reason"] if stopped else ""
        if standing["attempt"] != attempt.name:
            status, reason = "duplicate", f"attempt {standing['attempt']} was first"
            attempt.folder.remove("outputs")
        attempt.finish(status, 0, reason)
    except Exception as error:
        stop = stop_of(error)
        with suppress(OSError), attempt.folder.handle() as handle:
            os.rmdir("outputs", dir_fd=handle)  # what is in there of a trial that failed stays, apart from any result
        with suppress(OSError):
            attempt.finish(stop.status, stop.ended, stop.reason, stop.kept)
        raise stop from None
    say(f"{trial['id']}: {status}{reason and ': '}{reason}")
    # Only now that attempt.json has its end: of two attempts that finish together, the later sees no other alive.
    end_well(standing, options, trial, attempt.siblings, attempt.name)


def train(options: Options, trial: dict[str, Any], attempt: Attempt, signals: int) -> dict[str, Any]:
    """Run the command; returns its result. Raises Stop."""
    peers = gather(options, attempt, signals)
    left = seconds_left(options, trial, attempt)
    env = prepare(options, trial, attempt)
    code_folder = place(options)
    here, scratch = code_folder or os.getcwd(), os.path.abspath(options.scratch)
    words = words_of(trial["identity"], trial["id"], env, here, scratch)
    secret = secret_values(trial["identity"]["env"])
    reading = reading_of(trial, attempt, Folder(here, "."), Folder(env["OUTPUT_DIR"], "."))

    watch = watch_of(options, trial, attempt)
    observer = Observer(attempt, reading, watch, peers)
    hear = observer.hear if reading or watch else None
    command = Command(words, env, code_folder, attempt.folder, secret, hear)
    command.tell = observer.tell
    attempt.settle()
    patience = max(options.grace - 5, options.grace / 2)
    code = command.run(signals, attempt.began + left, patience, observer.beat, observer.every)
    observer.look()  # what it printed last belongs to its learning curve, however it ended
    if watch and watch.stands and command.ending == "stopped":
        attempt.folder.remove("outputs")
        return watch.stands
    if peers:
        peers.judge(command, code, options, trial, absent_script(words, here))
        peers.wait(signals, attempt.began + left, trial)
    else:
        judge(command, code, options, trial, absent_script(words, here))
    # The same command would write the same again: what is no result now is none at the next start either.
    read, lacks = None, ""
    if reading:
        read, lacks = read_all(reading, trial, attempt, signals, patience, secret)
    report = metrics_of(env["METRICS_FILE"], trial, attempt, read)
    record = attempt.record
    result = {
        "schema_version": SCHEMA_VERSION, "id": trial["id"], "status": report["status"], "identity": trial["identity"],
        "metrics": report["metrics"], "objective": trial["objective"], "attempt": attempt.name,
        "started_at": record["started_at"], "finished_at": utc(time.time()), "used_s": attempt.used_s(),
        "durations": report["durations"],
        "environment": {**report["environment"], "engine": record["engine"], "node": record["node"]},
        **keep_outputs(options, trial, attempt),
    }  # fmt: skip
    flaw = lack(report, objectives(trial), "mend `metrics`" if reading else "mend the trainer")
    if flaw:
        for line in command.last_lines() if reading else ():
            say(f"  | {line}")
        stop = Stop(BAD_INPUT, f"{'metrics' if reading else 'METRICS_FILE'}: {flaw}{lacks}", ended=0)
        stop.kept = result
        raise stop
    return {**result, "status": status_of(result, trial)}


def gather(options: Options, attempt: Attempt, signals: int) -> Peers | None:
    """The other nodes of the attempt, once all are there; None for one node. Raises Stop."""
    if options.nodes == 1:
        return None
    import nodes

    peers = nodes.Peers(attempt, options.nodes)
    peers.gather(signals)
    return peers


def watch_of(options: Options, trial: dict[str, Any], attempt: Attempt) -> Watch | None:
    """What may stop the trial; None where the sweep has no rule. Raises Stop."""
    if "stop" not in trial:
        return None
    import stopping

    try:
        return stopping.Watch(options, trial, attempt)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Stop(BAD_INPUT, f"stop: {error}; mend it in the values") from None


def seconds_left(options: Options, trial: dict[str, Any], attempt: Attempt) -> float:
    """Of limit_seconds. Raises Stop where earlier attempts have used them up."""
    used, count = attempt.used_before(options.grace)
    left: float = trial["limit_seconds"] - used
    if left <= 0:
        limit = f"limit_seconds is {trial['limit_seconds']:g}; raise it to go on"
        raise Stop(TIME_LIMIT, "limit", f"limit: earlier attempts ({count}) used {used:.0f} s, {limit}")
    return left


def give_back_slot() -> None:
    """Tell the local engine, where that asks for it, that the command is gone and has its numbers: what is left to do
    is to keep them, for which the next trial need not wait."""
    with suppress(OSError, ValueError):
        os.write(int(os.environ.get(SLOT, "")), b"1")


def end_well(
    standing: dict[str, Any], options: Options, trial: dict[str, Any], siblings: Folder, own: str = ""
) -> None:
    """What is left to do where a valid result stands; none of it may turn the trial into a failed one."""
    last_words(json.dumps(standing))
    try:
        clean_checkpoints(options, trial, siblings, own, "verdict" in standing)
    except OSError as error:
        say(f"{trial['id']}: checkpoints stay: {in_words(error)}")


def store_of_reproduction(results: str, trial: dict[str, Any], number: str) -> str:
    """A store of its own, below the result store: neither the result that stands nor its checkpoints are in there.

    Returns its path there, with a slash at the end.
    """
    if not re.fullmatch("[0-9]{1,12}", number):
        raise Stop(BAD_INPUT, f"REPRODUCTION: {number!r} is not a number; let `make reproduce` render the Job")
    os.listdir(results)  # never made here: a store that is not mounted must not become a folder
    folder = Folder(results, f"reproductions/{trial['id']}/{number}")
    with folder.handle(make=True):
        return f"{folder.path}/"


def not_writable(results: str, error: OSError) -> Stop:
    who = f"not writable by {os.getuid()}:{os.getgid()} (uid:gid)"
    advice = "free space there, or set what its export asks for (values: security)"
    return Stop(TRY_AGAIN, f"result store {results}: {who}: {in_words(error)}; {advice}")


def make_folders(options: Options) -> None:
    """All that an init container does: make the folders of the store that the trial's own container mounts alone, which
    would else be root's, and see that files can be written there. Raises Stop."""
    try:
        os.listdir(options.results)  # never made here: a store that is not mounted must not become a folder
        for path in options.make:
            probe = f".probe.{os.urandom(4).hex()}"
            with Folder(options.results, path).handle(make=True) as handle:
                os.close(create(probe, handle))
                os.unlink(probe, dir_fd=handle)
    except OSError as error:
        raise not_writable(options.results, error) from None


if __name__ == "__main__":
    sys.exit(main())
