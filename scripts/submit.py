"""Give a sweep's Jobs to the engine. The local engine runs them here and now, and ends when they have ended."""

from __future__ import annotations

import cli
import display
from sweep import environments, git, local, results, store
from sweep.errors import BadInput, TrialsFailed
from sweep.layout import Clone
from sweep.session import Session, open_sweep


def provenance(session: Session, allow_dirty: bool) -> dict[str, object]:
    """Commit and author for <release>-provenance. Raises BadInput for uncommitted changes in what all sweeps share."""
    clone, files = session.files.clone, session.files
    dirty = git.dirty(clone.root, *clone.shared_sources)
    if dirty and not allow_dirty:
        more = f" and {len(dirty) - 1} more" if len(dirty) > 1 else ""
        raise BadInput(
            f"{dirty[0]}{more}: has uncommitted changes; commit them, or record them as such by ALLOW_DIRTY=1"
        )
    unsaved = git.dirty(clone.root, clone.relative(files.values), clone.relative(files.code))
    commit = git.head(clone.root)
    if not commit:
        raise BadInput("git: no commit yet; a result is traced to a commit, so make one")
    return {"commit": commit, "author": git.author(clone.root, commit), "dirty": bool(dirty or unsaved)}


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


def run_locally(session: Session, slots: int | None) -> dict[str, local.JobState]:
    rendered = session.rendered
    ready(session)
    path = [environments.ensure(session.requirements)] if session.requirements else []
    places = local.slots_for(max(trial.gpus for trial in rendered.trials), slots)
    objective = results.objectives(rendered.trials)[0]
    with local.only_one(session.files.jobs, session.name):
        watcher = display.Watcher(
            session.store_folder, rendered.trials, display.varying_names(rendered.trials), objective
        )
        found = store.read(session.store_folder, rendered.trials, session.files.store_cache).trials
        done = {trial for trial, stored in found.items() if stored.result}
        engine = local.LocalEngine(rendered, session.files.jobs, places, path, done=done, on_tick=watcher)
        to_run = sum(not state.finished for state in engine.states.values())
        if to_run:
            kind = "GPU slots" if places[0] else "cores, one thread each"
            cli.say(
                f"{session.name}: running {to_run} Job{'s' * (to_run != 1)} as local processes on {len(places)} {kind}"
            )
        with watcher:
            return engine.run()


def main() -> int:
    parser = cli.parser(__doc__)
    cli.submit_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="check everything, run nothing")
    args = parser.parse_args()
    session = open_sweep(Clone.here(), args.sweep, args.engine)
    if session.engine == "cluster":
        raise BadInput(
            "ENGINE=cluster: the scripts cannot submit to a cluster yet; "
            f"plain helm can: helm upgrade --install {session.name} chart "
            + " ".join(f"-f {session.files.clone.relative(path)}" for path in session.values_files)
        )
    if args.dry_run:
        session.rendered  # noqa: B018 - refuses what the chart refuses
        cli.say(f"{session.name}: would run on the local engine; `make plan SWEEP={session.name}` says what")
        return 0
    session.write_provenance(provenance(session, args.allow_dirty))
    publish(session, args.push)
    states = run_locally(session, args.slots)
    failed = [state for state in states.values() if state.condition == "Failed"]
    if failed:
        raise TrialsFailed(
            f"{len(failed)} of {len(states)} trials failed, the first {failed[0].trial}: {failed[0].reason}; see "
            f"`make logs SWEEP={session.name} TRIAL={failed[0].trial}`; `make retry SWEEP={session.name}` starts over"
        )
    return 0


if __name__ == "__main__":
    cli.run(main)
