"""Show what a submission would do, and refuse one that is above its budget. Changes nothing."""

from __future__ import annotations

import dataclasses

import cli
from sweep import environments, helm, local, plan, results, store
from sweep.layout import Clone
from sweep.session import Session, open_sweep


def make_plan(session: Session, read_store: bool) -> plan.Plan:
    """The plan of an opened sweep. The local engine's store is on this machine and always read."""
    trials = session.rendered.trials
    if read_store or session.engine == "local":
        found = store.read(session.store_folder, trials, session.files.store_cache)
        done = {trial for trial, stored in found.trials.items() if stored.result}
    else:
        done = {row.id for row in results.read(session.files.results) if row.status in store.FINAL}
    known = local.read_states(session.files.jobs) if session.engine == "local" else {}
    jobs = {state.name: (state.trial, state.condition) for state in known.values()}
    size = plan.release_bytes(session.rendered, session.files.clone.chart, session.values_text)
    return plan.make(trials, done, jobs, size)


def show(session: Session, made: plan.Plan) -> None:
    listed = len(session.rendered.trials)
    cli.say(f"{session.name}: {listed} trials on the {session.engine} engine")
    cli.say(f"  because {session.why}")
    for action, meaning in plan.ACTIONS.items():
        found = made.of(action)
        if found:
            names = f"  [{' '.join(found)}]" if action in ("failed", "replaced", "removed") and len(found) <= 5 else ""
            cli.say(f"  {len(found):5} {meaning}{names}")
    if made.to_run:
        cli.say(
            f"  ceiling: {made.to_run_hours:.2g} trial-hours, {made.to_run_gpu_hours:.2g} GPU-hours "
            f"(whole sweep: {made.ceiling_gpu_hours:.2g} GPU-hours)"
        )
    share = made.release_bytes / helm.SECRET_LIMIT_BYTES
    cli.say(f"  as a helm release about {made.release_bytes:,} bytes, {share:.0%} of what a Secret holds")
    lock = session.requirements
    if session.engine == "local" and lock and made.to_run and not environments.is_ready(lock):
        cli.say(f"  first installs {session.files.clone.relative(lock)}, once a machine")


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--store", action="store_true", help="read the result store too, not only results.csv")
    parser.add_argument("--json", action="store_true", help="the plan as JSON on stdout")
    args = parser.parse_args()
    session = open_sweep(Clone.here(), args.sweep, args.engine)
    made = make_plan(session, args.store)
    if args.json:
        cli.put(dataclasses.asdict(made) | {"engine": session.engine, "why": session.why})
    else:
        show(session, made)
    plan.check_budget(made, session.settings.get("budget_gpu_hours"))
    return 0


if __name__ == "__main__":
    cli.run(main)
