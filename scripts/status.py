"""Show where every trial of a sweep stands, from its Jobs and the result store."""

from __future__ import annotations

import guard

import dataclasses

import cli
from sweep.records import results
from sweep.render import varying_names
from sweep.words import number, short


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON list, a row a trial")
    args = parser.parse_args()
    session = cli.open_sweep(args)
    trials = session.rendered.trials
    jobs = session.engine.states()
    rows, _ = session.look(jobs)
    why = {state.trial: state.reason for state in jobs.values() if not state.finished}
    rows = [dataclasses.replace(row, reason=row.reason or why.get(row.id, "")) for row in rows]
    if args.json:
        cli.put([dataclasses.asdict(row) for row in rows])
        return 0
    names = varying_names(trials)
    metric = results.objectives(trials)[0].metric
    for row in rows:
        value = f"{metric}={number(row.objective, 4)}" if row.objective is not None else row.reason
        point = short({name: row.hyperparameters.get(name) for name in names})
        cli.show(f"{row.id}  {row.status:9}  {point}  {value}")
    counted = ", ".join(f"{count} {status}" for status, count in results.counts(rows).items())
    cli.say(f"{session.name}: {counted}; engine {session.engine.NAME} ({session.why})")
    return 0


if __name__ == "__main__":
    guard.run(main)
