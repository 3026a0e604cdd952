"""Show what a submission would run and what it may cost, and fail if that exceeds the budget. Changes nothing."""

from __future__ import annotations

import guard

import dataclasses
from collections.abc import Mapping

import cli
from sweep import helm, passing, plan, prices, reading
from sweep.engines import release
from sweep.errors import BadInput, Unreachable
from sweep.jobs import JobState
from sweep.records import results, store
from sweep.session import Session
from sweep.words import counted, figure


def known_jobs(session: Session) -> Mapping[str, JobState]:
    """What the engine has of the sweep. A plan is worth having without the cluster too, and says so."""
    try:
        return session.engine.states()
    except Unreachable as error:
        cli.say(f"{error}; planning without it, as if the cluster had no Job of the sweep")
        return {}


def make_plan(session: Session, read_store: bool) -> plan.Plan:
    """The plan of an opened sweep. A store that is on this machine is always read."""
    trials = session.rendered.trials
    if read_store or session.engine.has_store_here:
        snapshot = store.read(session.engine.store_folder, trials, session.files.store_cache)
        done = {trial for trial, stored in snapshot.trials.items() if stored.result}
    else:
        listed = {trial.id: trial for trial in trials}
        ended = (row for row in results.read_whole(session.files.results) if row.status in store.FINAL)
        done = {row.id for row in ended if row.id in listed and results.counts_for(row, listed[row.id])}
    known = known_jobs(session)
    jobs = {state.name: (state.trial, state.condition) for state in known.values()}
    size = max(release.sizes(session.releases, session.files.clone.chart))
    return plan.make(trials, done, jobs, size, session.rendered.price)


def passed(session: Session, wanted: str | None) -> passing.Passed:
    """What the trial whose id begins so is started with; None: the first."""
    matches = [trial for trial in session.rendered.trials if trial.id.startswith(wanted or "")]
    if not matches:
        raise BadInput(f"--trial {wanted}: no trial of {session.name} begins so; `make status` lists them")
    return passing.passed(matches[0])


def show(session: Session, planned: plan.Plan) -> None:
    listed = len(session.rendered.trials)
    cli.say(f"{session.name}: {counted(listed, 'trial')} on the {session.engine.NAME} engine")
    cli.say(f"  because {session.why}")
    for action, meaning in plan.ACTIONS.items():
        trials = planned.of(action)
        if trials:
            names = (
                f"  [{' '.join(trials)}]" if action in ("failed", "replaced", "removed") and len(trials) <= 5 else ""
            )
            cli.say(f"  {len(trials):5} {meaning}{names}")
    for line in ceiling_of(session, planned) if planned.to_run else ():
        cli.say(f"  {line}")
    share = planned.release_bytes / helm.SECRET_LIMIT_BYTES
    parts = f"{len(session.releases)} helm releases, the largest" if len(session.releases) > 1 else "a helm release"
    cli.say(f"  as {parts} about {planned.release_bytes:,} bytes, {share:.0%} of what a Secret holds")
    for note in session.engine.notes() if planned.to_run else ():
        cli.say(f"  {note}")
    for line in limits_of(session):
        cli.say(f"  {line}")


def ceiling_of(session: Session, planned: plan.Plan) -> list[str]:
    """The most that it may take, in hours and where there is a price in money."""
    run, whole = (cost(planned, hours) for hours in (planned.to_run_gpu_hours, planned.ceiling_gpu_hours))
    lines = [f"ceiling: {figure(planned.to_run_hours)} trial-hours, {run} (whole sweep: {whole})"]
    if session.settings.prices and session.engine.RUNS_ON and planned.ceiling_gpu_hours and not planned.price:
        lines.append("prices.nodes: none of them fits nodeSelector, so nothing is said of money")
    return lines


def cost(planned: plan.Plan, gpu_hours: float) -> str:
    money = planned.money(gpu_hours)
    return f"{figure(gpu_hours)} GPU-hours" + (f", {prices.text(money)}" if money else "")


def limits_of(session: Session) -> list[str]:
    """What ends the sweep before its trials have, and whether it does already."""
    tally = session.tally()
    reached = tally({}, session.engine.now()) if tally.limits else ""
    if reached:
        return [f"{reached}: nothing is started"]
    lost = tally.limits.gpu_hours and not any(trial.gpus for trial in session.rendered.trials)
    return [*tally.limits.lines, *(["spend.gpu_hours: no trial uses a GPU; write `trial_hours`"] if lost else [])]


def run(session: Session, *, read_store: bool = False, trial: str | None = None, json: bool = False) -> int:
    """Show the plan of an opened sweep, and how a trial starts. Raises BadInput above its budget."""
    new = session.check_names()  # knows lines, and more of names than the chart does
    trials = session.rendered.trials
    planned, start = make_plan(session, read_store), passed(session, trial)
    notes = [*new, *passing.notes_of(trials), *reading.notes_of(trials)]
    if json:
        more = {"engine": session.engine.NAME, "why": session.why, "passed": dataclasses.asdict(start), "notes": notes}
        cli.put(dataclasses.asdict(planned) | more)
    else:
        show(session, planned)
        shown = start.lines if trial or "passing" in session.rendered.trials[0].identity else ()
        for line in (*shown, *notes):
            cli.say(f"  {line}")
    plan.check_budget(planned, session.settings.budget_gpu_hours)
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--store", action="store_true", help="also read the result store, not only results.csv")
    parser.add_argument(
        "--trial", type=cli.hex_digits, metavar="ID", help="show the command, environment and resources of this trial"
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    args = parser.parse_args(argv)
    return run(cli.open_sweep(args), read_store=args.store, trial=args.trial, json=args.json)


if __name__ == "__main__":
    guard.run(main)
