"""Give a sweep's Jobs to the engine. The local engine runs them here and now, and ends when they have ended."""

from __future__ import annotations

import guard

from collections.abc import Mapping

import cli
from sweep import collection, git, submission
from sweep.engines import environments, holding, local, states
from sweep.engines.cluster import Patience
from sweep.engines.jobfiles import JobState
from sweep.errors import BadInput, TrialsFailed
from sweep.records import results, store
from sweep.render import varying_names
from sweep.session import Session
from sweep.words import counted


def publish(session: Session, push: bool) -> None:
    """A result is traced to a commit, which others can only see on a remote: push it, or say that it is on none."""
    clone = session.files.clone
    commit = git.head(clone.root)
    if push:
        git.push(clone.root)
    elif commit and git.has_remote(clone.root) and not git.is_on_remote(clone.root, commit):
        cli.say(f"{session.name}: commit {commit[:12]} is on no remote yet; PUSH=1 pushes it")


def ready(session: Session) -> None:
    """What local trials need beside the clone: their data set. Raises BadInput where it is missing."""
    data = session.data_folder
    if data and not data.is_dir():
        raise BadInput(f"data: {data} is not there; `make dataset SWEEP={session.name}` fills it")
    session.store_folder.mkdir(parents=True, exist_ok=True)


def run_locally(session: Session, slots: int | None) -> dict[str, JobState]:
    rendered = session.rendered
    ready(session)
    path = [environments.ensure(session.requirements)] if session.requirements else []
    objective = results.objectives(rendered.trials)[0]
    with holding.only_one(session.files.jobs, session.name, cli.say):
        import display  # with rich, which takes a tenth of a second to import

        watcher = display.Watcher(session.store_folder, rendered.trials, varying_names(rendered.trials), objective)
        found = store.read(session.store_folder, rendered.trials, session.files.store_cache).trials
        done = {trial for trial, stored in found.items() if stored.result}
        gpus = max((trial.gpus for trial in rendered.trials if trial.id not in done), default=0)
        places = local.slots_for(gpus, slots)
        engine = local.LocalEngine(
            rendered,
            session.files.jobs,
            places,
            path,
            done=done,
            on_tick=watcher,
            say=lambda text: watcher.say(f"{session.name}: {text}"),
            store=session.store_folder,
        )
        to_run = sum(not state.finished for state in engine.states.values())
        if to_run:
            kind = "GPU slots" if places[0] else "cores, one thread each"
            cli.say(f"{session.name}: running {counted(to_run, 'Job')} as local processes on {len(places)} {kind}")
        with watcher:
            return engine.run()


def check_failed(session: Session, found: Mapping[str, JobState]) -> None:
    failed = [state for state in found.values() if state.condition == "Failed"]
    if failed:
        raise TrialsFailed(
            f"{len(failed)} of {len(found)} trials failed, the first {failed[0].trial}: {failed[0].reason}; see "
            f"`make logs SWEEP={session.name} TRIAL={failed[0].trial}`; `make retry SWEEP={session.name}` starts over"
        )


def to_cluster(session: Session, *, takeover: bool, yes: bool, dry_run: bool) -> None:
    """Ask everything, keep what is there, then install. Raises BadInput with nothing changed, Unreachable."""
    submission.check(session, takeover=takeover, say=cli.say)
    found = Patience(cli.say)(lambda: states.look(session.cluster, session.name))
    if dry_run:
        cli.say(f"{session.name}: the cluster would take it; `make plan SWEEP={session.name}` says what would run")
        return
    ending = submission.to_stop(session, found)
    if ending and not yes:
        more = " …" if len(ending) > 5 else ""
        them = counted(len(ending), "running trial")
        cli.confirm(f"{session.name}: this ends the Pods of {them}: {' '.join(ending[:5])}{more}")
    if any(state.condition == "Failed" for state in found.values()):
        collection.bring(session, cli.say)  # before the Pods of failed Jobs go, and what they can tell with them
    submission.install(session, cli.say)


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    cli.submit_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="check everything, run nothing")
    args = parser.parse_args(argv)
    session = cli.open_sweep(args)
    if args.dry_run and session.engine == "local":
        session.rendered  # noqa: B018 - refuses what the chart refuses
        cli.say(f"{session.name}: would run on the local engine; `make plan SWEEP={session.name}` says what")
        return 0
    provenance = submission.provenance(session, args.allow_dirty)
    session.write_provenance(provenance)
    submission.check_provenance(session, provenance)
    if session.engine == "cluster":
        if not args.dry_run:
            publish(session, args.push)
        to_cluster(session, takeover=args.takeover, yes=args.yes, dry_run=args.dry_run)
        return 0
    publish(session, args.push)
    check_failed(session, run_locally(session, args.slots))
    return 0


if __name__ == "__main__":
    guard.run(main)
