"""One self-contained report.html: no request leaves it, no text of a trial can act in it.

Numbers and words are made here, tables and charts by templates/report.js in the browser from one embedded JSON value.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sweep import prices, secrets, words
from sweep.ranking.pareto import Front
from sweep.ranking.stats import Choice, is_test_metric
from sweep.ranking.stopped import Stopped
from sweep.records import booking, outputs, results
from sweep.records.attempt import Attempt
from sweep.records.booking import Booked
from sweep.records.exits import EXITS
from sweep.records.results import Row
from sweep.records.store import Snapshot, Stored
from sweep.records.strict import is_number
from sweep.reports import earlier, figures, outlook, verdict
from sweep.reports.importance import LEAST
from sweep.reports.live import Now
from sweep.reports.outlook import SearchSoFar
from sweep.words import number
from sweep.yamlfile import plain

TEMPLATES = Path(__file__).with_name("templates")
CURVES, CURVE_STEPS, CURVE_METRICS = 100, 100, 4
"""Learning curves of at most so many trials, the best first; epochs and metrics of each."""
EXAMPLES, LOG_LINES, LOG_WIDTH = 3, 15, 300
"""Failed attempts shown with the end of their log, of each class."""
CAUSES = {
    "useful": "attempts whose result stands, or that are under way",
    "failed": "attempts that failed, or were killed without a word",
    "preempted": "attempts that were ended to go on elsewhere",
    "duplicate": "attempts that another one's result made superfluous",
}


NO_SEARCH = SearchSoFar()


@dataclass(frozen=True)
class Material:
    """What a report is made of."""

    sweep: str
    engine: str
    rows: Sequence[Row]
    """The whole table; rows of the other engine are listed as such and not ranked."""
    choice: Choice
    snapshot: Snapshot
    store: Path
    front: Front | None = None
    """Of a sweep with several objectives."""
    budget: str = ""
    """The hyperparameter that says for how long a trial trains, of a sweep that has one."""
    command: str = ""
    """What to type for the seeds that would settle the choice; "" where none would, or there is no space.yaml."""
    stopped: Stopped | None = None
    """What a stop rule did, of a sweep where one did anything."""
    spell: Callable[[str], str] = str
    """How commands are spelled where the report is made, of `make` or `helm-sweep`."""
    search: SearchSoFar = NO_SEARCH
    """What space.yaml and the rounds in values.yaml say."""
    older: Sequence[Row] = ()
    """Rows of code that the sweep has no longer."""

    @cached_property
    def importance(self) -> dict[str, Any] | None:
        return figures.importance(self.choice, verdict.varied(self.rows))

    @cached_property
    def outlook(self) -> list[str]:
        """What to make of it for the next round, and what was before."""
        of_earlier_code = earlier.sentences(self.older, self.choice.objective)
        return [*outlook.sentences(self.choice, self.importance, self.search), *of_earlier_code]


def spent(rows: Sequence[Row], snapshot: Snapshot) -> verdict.Spent:
    """Over all attempts; a trial whose attempts are gone counts with what its row remembers."""
    booked = _booked(rows, snapshot)
    return verdict.Spent(
        sum(entry.milliseconds for entry in booked) / 1000,
        sum(entry.gpu_milliseconds for entry in booked) / 1000,
        prices.total(entry.money for entry in booked),
        booking.unpriced(booked) / 1000,
    )


def _booked(rows: Sequence[Row], snapshot: Snapshot) -> list[Booked]:
    """What all trials took: those in the table, and those that have begun since."""
    known = {row.id: row for row in rows}
    ids = dict.fromkeys([*known, *snapshot.trials])
    return [entry for id in ids for entry in results.booked(known.get(id), snapshot.trials.get(id, Stored()))]


def html(material: Material, charts: str = "", data: dict[str, Any] | None = None, live: Now | None = None) -> str:
    """The report as text. `charts` is the source of ECharts; without it the report has its tables and words only.

    `data` is what `embedded` gave, where that is known already; `live` what runs now, of a page that is served.
    """
    rows, choice = material.rows, material.choice
    names = verdict.varied(rows)
    data = data or embedded(material)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else words.everywhere(value),
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {
        "plain": plain,
        "decimals": verdict.decimals,
        "number": number,
        "hours": words.hours,
        "chance": verdict.chance,
        "percent": figures.percent,
    }
    scripts = [charts, "".join((TEMPLATES / name).read_text() for name in ("charts.js", "report.js"))]
    scripts += [(TEMPLATES / "live.js").read_text()] if live else []
    style = (TEMPLATES / "report.css").read_text()
    policy = {
        "default-src": "'none'",
        "script-src": " ".join(map(_source_hash, scripts)),
        "style-src": _source_hash(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    } | ({"connect-src": "'self'"} if live else {})
    return environment.get_template("report.html.j2").render(
        sweep=material.sweep,
        live=live,
        engine=material.engine,
        choice=choice,
        count=len(rows),
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        style=style,
        scripts=scripts,
        data=data,
        names=names,
        least_points=LEAST,
        best=choice.points[0] if choice.points else None,
        best_value=verdict.value(choice, choice.points[0]) if choice.points else "",
        fixed=_fixed(rows, names),
        sentences=[*verdict.sentences(choice, names), *verdict.on_stops(material.stopped), *material.outlook],
        stopped=material.stopped,
        command=material.spell(material.command),
        again=material.spell("make sweep"),
        replicates=verdict.replicate_lines(choice),
        rounds=max(material.search.rounds.values(), default=0) > 1,
        following=material.search.following,
        on_test=is_test_metric(choice.objective.metric),
        spent=spent(rows, material.snapshot),
        status_line=verdict.status_line(rows),
        failures=list(_failures(material)),
        ledger=list(hours_by_cause(rows, material.snapshot)),
        problems=material.snapshot.problems,
        provenance=_provenance(rows),
    )


def _source_hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _fixed(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """The hyperparameters that all trials share."""
    return {name: value for name, value in (rows[0].hyperparameters if rows else {}).items() if name not in names}


def embedded(material: Material) -> dict[str, Any]:
    """What charts.js draws, all its text shown: trials as arrays in the order of `fields`, points by their index."""
    shown: dict[str, Any] = words.everywhere(_embedded(material))
    return shown


def _embedded(material: Material) -> dict[str, Any]:
    rows, choice = material.rows, material.choice
    names = verdict.varied(rows)
    metrics = sorted(
        {name for row in rows for name in row.metrics if not is_test_metric(name)} - {choice.objective.metric}
    )
    index = {row.id: place for place, row in enumerate(rows)}
    fields = ["id", "status", "engine", "store", "objective", "seed", "attempts", "queued_s", "setup_s", "train_s"]
    fields += ["gpu_seconds", "node", "gpu", "commit", "reason"]
    return {
        "sweep": material.sweep,
        "objective": {"metric": choice.objective.metric, "sign": choice.objective.sign},
        "decimals": verdict.places(choice),
        "engine": material.engine,
        "names": names,
        "scales": outlook.scales(material.search),
        "metrics": metrics,
        "fields": fields,
        "trials": [[getattr(row, field) for field in fields] for row in rows],
        "hyperparameters": [[row.hyperparameters.get(name) for name in names] for row in rows],
        "values": [[row.metrics.get(name) for name in metrics] for row in rows],
        "points": _points(choice, index),
        "adjusted": verdict.is_adjusted(choice, choice.points),
        "importance": material.importance,
        "front": figures.front(choice, material.front),
        "rungs": figures.rungs(rows, choice, material.engine, material.budget),
        "progress": figures.progress(choice, material.snapshot, material.search.rounds, index),
        "curves": (curves := _curves(material, index)),
        "thresholds": figures.thresholds(curves, _succeeded(rows), choice.objective.metric, choice.objective.sign),
        "attempts": [
            [index[trial], attempt.text("started_at"), round(attempt.seconds, 1), attempt.status, attempt.text("node")]
            for trial, attempt in _attempts(material)
            if trial in index
        ],
    }


def _succeeded(rows: Sequence[Row]) -> set[int]:
    return {place for place, row in enumerate(rows) if row.status == "succeeded"}


def _points(choice: Choice, index: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "rank": choice.places[place] if place < len(choice.places) else None,
            "mean": point.mean,
            "adjusted": point.adjusted,
            "half": verdict.half_width(choice, point),
            "p": verdict.probability(choice, place),
            "diverged": point.diverged,
            "trials": [index[row.id] for row in point.rows],
        }
        for place, point in enumerate([*choice.points, *choice.outgrown])
    ]


def _attempts(material: Material) -> Iterator[tuple[str, Attempt]]:
    for trial, stored in material.snapshot.trials.items():
        for attempt in stored.attempts:
            yield trial, attempt


def _curves(material: Material, index: dict[str, int]) -> dict[str, Any]:
    """Histories of the best trials, and of those that have no value to rank by after them: {metrics, x, trials}."""
    metrics: list[str] = []
    trials = []
    for trial, entries in islice(_histories(material), CURVES):
        metrics = metrics or _curve_metrics(entries, material.choice.objective.metric)
        step = -(-len(entries) // CURVE_STEPS)
        kept = entries[::-step][::-1]  # the last epoch is always among them
        x = [_finite(entry.get("epoch", place)) for place, entry in enumerate(kept, 1)]
        trials.append([index[trial], x, *([_finite(entry.get(name)) for entry in kept] for name in metrics)])
    return {"metrics": metrics, "trials": trials}


def _histories(material: Material) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(trial, its entries) of those that have any, the best first."""
    ranked = [row.id for point in material.choice.points for row in point.rows]
    for trial in dict.fromkeys([*ranked, *(row.id for row in material.rows)]):
        stored = material.snapshot.trials.get(trial, Stored())
        attempts = [attempt.name for attempt in stored.attempts]
        attempt = stored.result["attempt"] if stored.result else next(reversed(attempts), "")
        entries = outputs.history(material.store, trial, attempt) if attempt else []
        if entries:
            yield trial, entries


def _curve_metrics(entries: list[dict[str, Any]], objective: str) -> list[str]:
    """Those with numbers that are no test metrics, the objective first."""
    names = dict.fromkeys(name for entry in entries for name in entry if name != "epoch" and not is_test_metric(name))
    usable = [name for name in names if any(is_number(entry.get(name)) for entry in entries)]
    return sorted(usable, key=lambda name: name != objective)[:CURVE_METRICS]


def _finite(value: Any) -> float | None:
    """At most six digits, which is more than a curve can show; None leaves a gap in it."""
    return float(f"{value:.6g}") if is_number(value) else None


def _failures(material: Material) -> Iterator[dict[str, Any]]:
    """Attempts that failed, by class, the most frequent first; each class with examples and the ends of their logs."""
    classes: dict[str, list[tuple[str, Attempt]]] = {}
    for trial, attempt in _attempts(material):
        if attempt.status == "failed":
            classes.setdefault(failure_class(attempt), []).append((trial, attempt))
    for name, attempts in sorted(classes.items(), key=lambda item: (-len(item[1]), item[0])):
        yield {
            "name": name,
            "attempts": len(attempts),
            "trials": len({trial for trial, _ in attempts}),
            "hours": words.hours(sum(attempt.seconds for _, attempt in attempts)),
            "examples": [
                {
                    "trial": trial,
                    "attempt": attempt.name,
                    "reason": attempt.text("reason"),
                    "log": [
                        secrets.masked(line[:LOG_WIDTH])
                        for line in outputs.log_tail(material.store, trial, attempt.name, LOG_LINES)
                    ],
                }
                for trial, attempt in attempts[-EXAMPLES:]
            ],
        }


def failure_class(attempt: Attempt) -> str:
    """What failures have in common: the meaning of the exit code, else the reason without its numbers."""
    code = attempt.record.get("exit_code")
    if isinstance(code, int) and code in EXITS:
        return EXITS[code].meaning
    reason = attempt.text("reason") or f"exit {code}"
    head, _, rest = reason.partition(": ")
    return f"{head}: {re.sub(r'0x[0-9a-f]+|[0-9]+', '…', rest)}"[:120] if rest else head[:120]


def hours_by_cause(rows: Sequence[Row], snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Where the time went: attempts, trial-hours and GPU-hours by cause."""
    booked = _booked(rows, snapshot)
    attempts = booking.by_cause(booked, lambda entry: entry.attempts)
    spent = booking.by_cause(booked, lambda entry: entry.milliseconds)
    gpus = booking.by_cause(booked, lambda entry: entry.gpu_milliseconds)
    for cause in booking.CAUSES:
        if attempts[cause] or gpus[cause]:
            yield {
                "cause": cause,
                "meaning": CAUSES[cause],
                "attempts": attempts[cause],
                "hours": words.hours(spent[cause] / 1000),
                "gpu_hours": words.hours(gpus[cause] / 1000),
                "cost": prices.amount(prices.total(entry.money for entry in booked if entry.cause == cause)),
            }


def _provenance(rows: Sequence[Row]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Everything the results rest on, each value with its number of trials."""
    fields = {"Commit": "commit", "Code": "code", "Image": "image", "Data": "data", "Engine": "engine", "Node": "node"}
    counters = [
        (title, Counter(getattr(row, name) for row in rows)) for title, name in (*fields.items(), ("Device", "gpu"))
    ]
    return [
        (title, [(value, n) for value, n in counter.most_common() if value])
        for title, counter in counters
        if any(counter)
    ]
