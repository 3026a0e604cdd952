"""Run a whole sweep, from space.yaml to best.yaml: expand, plan, submit, watch, collect, report and best in turn.

A search in rounds, or a race, repeats these until no trials are left to add.
"""

from __future__ import annotations

import guard

import argparse
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

import best
import cli
import collect
import dataset
import expand
import plan
import report
import submit
import watch
from sweep import commits, failfast, git, notify, submission
from sweep.engines.engine import Options
from sweep.errors import BadInput, TrialsFailed
from sweep.jobs import JobState
from sweep.layout import SweepFiles
from sweep.notify import Ending, Notifier
from sweep.records import results
from sweep.session import Session
from sweep.spaces import search, spacefile, valuesfile
from sweep.spaces.expansion import Wish


def step(verb: Callable[[], int]) -> int:
    """Run a verb; returns 0, or 1 where trials failed. Any other failure is raised."""
    try:
        return verb()
    except TrialsFailed as error:
        cli.say(f"error: {error}")
        return 1


def goes_on(files: SweepFiles) -> bool:
    """Whether expand may have more to add once there are results."""
    block = valuesfile.load(files).block if files.clone.has(files.space) else None
    return block is not None and search.following(spacefile.load(files), block.titles) != ""


def further_round_is_late(files: SweepFiles, args: argparse.Namespace) -> str:
    """Which limit of the sweep is reached, of a search that has begun and goes on by rounds; "" where it may."""
    if not files.clone.has(files.results) or not files.clone.has(files.values) or not goes_on(files):
        return ""
    return cli.open_sweep(args).reached()


class Alarm:
    """Tells a notifier of the first attempt that fails while this command runs, and sees to that notifier."""

    def __init__(self, notifier: Notifier, files: SweepFiles) -> None:
        self.notifier = notifier
        self.files = files
        self.is_due = True
        self.ended = failfast.Ended()

    def __call__(self, known: Mapping[str, JobState]) -> None:
        self.notifier.look()
        failed = failfast.failures(self.ended(known)) if self.is_due else []
        if failed:
            self.is_due = False
            state = failed[0]
            message = guard.masked(f"trial {state.trial}: {state.failure or state.reason}")
            self.notifier.start(Ending(self.files.name, "failing", None, message))


def run_round(session: Session, args: argparse.Namespace, began: git.Position, look: cli.Looker) -> int:
    """Plan, run and collect what an opened sweep lists: it is rendered once for all of that."""
    files, engine = session.files, session.engine
    if engine.FILLS_DATA and session.settings.data.volume:
        dataset.run(session)
    provenance = submission.record(session, args.allow_dirty)
    plan.run(session)
    options = Options(args.slots, args.takeover, report.prepare)
    failed = step(lambda: submit.run(session, provenance, options, push=args.push, yes=args.yes, look=look))
    if engine.RUNS_ON:
        quorum = args.quorum if goes_on(files) else 1.0  # the last round is for all to end
        failed = step(lambda: watch.run(session, quorum=quorum, look=look))
    commits.check_branch(files.clone.root, began)
    collect.run(session, git.position(files.clone.root))
    return failed


def sweep(files: SweepFiles, args: argparse.Namespace, look: cli.Looker = lambda _: None) -> int:
    """All rounds of a sweep, and its winner; returns 0, or 1 where trials failed."""
    root = files.clone.root
    how = expand.ExpandOptions(Wish(quorum=args.quorum), args.engine, allow_dirty=args.allow_dirty, repin=args.repin)
    if args.quorum < 1 and files.clone.has(files.results):
        collect.run(cli.open_sweep(args), git.position(root))
    before, failed, began = "", 0, git.position(root)
    session: Session | None = None
    while True:
        if reached := further_round_is_late(files, args):
            cli.say(f"{files.name}: {reached}; no further round")
            break
        stuck = step(partial(expand.run, files, how))
        how = replace(how, repin=False)  # the rounds of a search have one code
        now = valuesfile.load(files).text
        if now == before:
            failed |= stuck
            break
        before = now
        session = cli.open_sweep(args)
        failed = run_round(session, args, began, look)
        if not goes_on(files):
            break
    session = session or cli.open_sweep(args)
    report.run(session)
    best.run(session, git.position(root))
    return failed


def tell(notifier: Notifier, files: SweepFiles, outcome: str, code: int, message: str) -> None:
    """Tell the notifier how it has ended; an unreadable table is no reason not to."""
    counts: dict[str, int] = {}
    with suppress(BadInput, OSError):
        counts = results.counts(results.read(files.results))
    report_there = str(files.report) if files.report.is_file() else ""
    notifier.start(Ending(files.name, outcome, code, message, counts, report_there))
    notifier.finish()


def main() -> int:
    parser = cli.parser(__doc__)
    cli.submit_arguments(parser)
    cli.quorum_argument(parser)
    parser.add_argument(
        "--repin", action="store_true", help="run the code as it is now: freeze it again, and commit it"
    )
    parser.add_argument("--notify", metavar="CMD", help="run CMD at the first failure and at the end; see docs/faq.md")
    args = parser.parse_args()
    argv = notify.parsed(args.notify) if args.notify is not None else None
    files = cli.project().sweep(args.sweep)
    if argv is None:
        return sweep(files, args)
    notifier = Notifier(argv, cli.say)
    try:
        code = sweep(files, args, Alarm(notifier, files))
    except BaseException as error:
        message, code = guard.in_words(error)
        interrupted = isinstance(error, KeyboardInterrupt)
        outcome = "interrupted" if interrupted else "failed" if isinstance(error, TrialsFailed) else "error"
        tell(notifier, files, outcome, code, guard.masked(message))
        raise
    tell(notifier, files, "failed" if code else "done", code, "some trials failed" if code else "")
    return code


if __name__ == "__main__":
    guard.run(main)
