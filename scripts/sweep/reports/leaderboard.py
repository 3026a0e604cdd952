"""The ranking as text for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.ranking.pareto import Front
from sweep.ranking.stats import Choice, MeasuredPoint, is_test_metric
from sweep.ranking.stopped import Stopped
from sweep.records.results import Row
from sweep.reports import verdict
from sweep.words import number
from sweep.yamlfile import plain

Column = tuple[str, list[str]]
"""Header and cells."""
WIDEST = 24
"""Cells of a hyperparameter's column; a longer value is cut with an ellipsis."""


def text(
    choice: Choice,
    rows: Sequence[Row],
    spent: verdict.Spent,
    top: int = 10,
    width: int = 80,
    front: Front | None = None,
    command: str = "",
    stopped: Stopped | None = None,
    outlook: Sequence[str] = (),
) -> str:
    """The `top` points and what can be said about them, at most `width` cells wide, with a newline at the end.

    Of a sweep with several objectives the Pareto front comes first, all of it. `command` is what would settle the
    choice, on a line of its own that is never broken.

    `rows` is the whole table. Nothing of a trial can act on the terminal: values are quoted as in values.yaml.
    """
    engine = choice.points[0].trial.engine if choice.points else None
    ranked = [row for row in rows if engine in (None, row.engine)]
    names = verdict.varied(ranked)
    sentences = [*verdict.sentences(choice, names), *verdict.on_stops(stopped), *outlook]
    if len(ranked) < len(rows):
        others = len(rows) - len(ranked)
        sentences.append(f"{others} trials of the other engine are not ranked with these; results.csv has them.")
    sentences.append(f"{verdict.status_line(ranked)}. Spent: {spent}.")
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, force_terminal=False)
    if front and front.points:
        console.print(Text(_caption(front)))
        console.print(_front(front, names, width), "", sep="\n")
    if choice.points:
        table, notes = _table(choice, names, top, width, front)
        console.print(table)
        console.print(*map(Text, notes), "", sep="\n")
    for sentence in sentences:
        console.print(Text(sentence))
    text = "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
    return f"{text}More seeds for the best, which `make sweep` then runs:\n  {command}\n" if command else text


def _caption(front: Front) -> str:
    named = ", ".join(f"{plain(objective.metric)} ({objective.direction})" for objective in front.objectives)
    count = f"{len(front.points)} point{'s are' if len(front.points) != 1 else ' is'}"
    return f"Pareto front of {named}: {count} beaten by no other in all of them."


def _front(front: Front, names: Sequence[str], width: int) -> Table:
    """A row a point of the front, by the first objective; hyperparameters as far as there is room."""
    points = [best.point for best in front.points]
    columns = [
        (plain(objective.metric), [f"{best.values[place]:.6g}" for best in front.points])
        for place, objective in enumerate(front.objectives)
    ]
    columns.append(("trial", [point.trial.id for point in points]))
    return _grid(_with_hyperparameters(columns, points, names, width)[0])


def _table(choice: Choice, names: Sequence[str], top: int, width: int, front: Front | None) -> tuple[Table, list[str]]:
    """The table, and what it leaves out."""
    shown = choice.points[:top]
    columns, hidden = _with_hyperparameters([*_columns(choice, shown, front)], shown, names, width)
    left = len(choice.points) - len(shown)
    notes = [f"(no room for {', '.join(hidden)})" if hidden else "", f"({left} more)" if left else ""]
    return _grid(columns), [note for note in notes if note]


def _columns(choice: Choice, shown: Sequence[MeasuredPoint], front: Front | None) -> Iterator[Column]:
    """What is known of the points, without columns that would say nothing."""
    yield "#", [str(place) for place in choice.places[: len(shown)]]
    yield _header(choice.objective.metric), [verdict.value(choice, point) for point in shown]
    if verdict.is_adjusted(choice, shown):
        yield "adjusted", [number(point.adjusted, verdict.places(choice)) for point in shown]
    yield from _other_objectives(front, shown)
    if any(point.n > 1 or point.diverged for point in shown):
        yield "seeds", [_seeds(point) for point in shown]
    if choice.p_best:
        chances = [verdict.probability(choice, place) for place in range(len(shown))]
        yield "best?", ["" if chance is None else verdict.chance(chance) for chance in chances]
    yield "trial", [point.trial.id for point in shown]


def _other_objectives(front: Front | None, shown: Sequence[MeasuredPoint]) -> Iterator[Column]:
    """A column for each objective that does not rank; empty for a point that took no part in the front."""
    if not front:
        return
    values = [front.values_of(point) for point in shown]
    for place, other in enumerate(front.objectives[1:], 1):
        yield _header(other.metric), [f"{value[place]:.6g}" if value else "" for value in values]


def _header(metric: str) -> str:
    return plain(metric) + (" (test set!)" if is_test_metric(metric) else "")


def _seeds(point: MeasuredPoint) -> str:
    return f"{point.n} ({point.diverged} diverged)" if point.diverged else str(point.n)


def _with_hyperparameters(
    columns: list[Column], points: Sequence[MeasuredPoint], names: Sequence[str], width: int
) -> tuple[list[Column], list[str]]:
    """The columns with one for each hyperparameter, and the names of those there is no room for."""
    hidden = []
    for name in names:
        cells = [plain(point.hyperparameters[name]) if name in point.hyperparameters else "" for point in points]
        if _width([*columns, (name, cells)]) <= width:
            columns = [*columns, (name, cells)]
        else:
            hidden.append(name)
    return columns, hidden


def _grid(columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for header, _ in columns:
        table.add_column(Text(header), no_wrap=True, overflow="ellipsis", max_width=max(WIDEST, cell_len(header)))
    for place in range(len(columns[0][1])):
        table.add_row(*(Text(cells[place]) for _, cells in columns))
    return table


def _width(columns: Sequence[Column]) -> int:
    widths = (max(min(WIDEST, max(map(cell_len, cells), default=0)), cell_len(header)) for header, cells in columns)
    return sum(width + 2 for width in widths)
