"""figures and plots: what the charts of front and rungs draw, and the same charts as SVG without a browser."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import Unreachable
from sweep.ranking import pareto, stats
from sweep.records import store
from sweep.records.results import Objective, Row
from sweep.reports import figures, plots, report, vendor, verdict
from sweep.reports.outlook import Axis, SearchSoFar
from tests.unit.stores import put_attempt, row, trial

ERROR, COST = Objective("error", "minimize"), Objective("cost", "minimize")
HOSTILE = "</text><script>alert(1)</script>\"'&\x00\x1b😀\ufffe" + "x" * 300


def two(width: int, error: float, cost: float, seed: int = 0, **changes: Any) -> Row:
    return row({"width": width}, seed, None, metrics={"error": error, "cost": cost}, objective=error, **changes)


def front_of(rows: list[Row]) -> dict[str, Any] | None:
    return figures.front(stats.choose(rows, ERROR, "local"), pareto.front(rows, [ERROR, COST], "local"))


def test_the_front_goes_by_places_in_the_ranking() -> None:
    rows = [two(1, 0.1, 9), two(1, 0.3, 9, seed=1), two(2, 0.5, 1), two(3, 0.6, 2), two(4, 0.4, 5)]
    figure = front_of(rows)
    assert figure
    assert figure["metrics"] == [{"metric": "error", "sign": -1}, {"metric": "cost", "sign": -1}]
    assert [[round(value, 6) for value in pair] for pair in figure["values"]] == [
        [0.2, 9],
        [0.4, 5],
        [0.5, 1],
        [0.6, 2],
    ]
    assert figure["on"] == [0, 1, 2]


def test_a_point_that_lacks_an_objective_or_diverged_is_not_drawn() -> None:
    lacking = row({"width": 5}, value=None, metrics={"error": 0.05}, objective=0.05)
    diverged = replace(two(1, 0.1, 9, seed=1), status="diverged", metrics={})
    figure = front_of([lacking, two(1, 0.1, 9), diverged, two(2, 0.5, 1)])
    assert figure
    assert figure["values"] == [None, [0.5, 1], None]
    assert figure["on"] == [1]


def test_one_objective_has_no_front() -> None:
    assert figures.front(stats.choose([two(1, 0.1, 9)], ERROR, "local"), None) is None


def rung_rows() -> list[Row]:
    """Four at one epoch, one of them diverged; two of them at three, of which one failed there; one at nine."""
    losses = {("a", 1): 0.5, ("b", 1): 0.6, ("c", 1): 0.9, ("a", 3): 0.4, ("a", 9): 0.3}
    rows = [row({"lr": lr, "stop_epoch": epoch}, value=loss) for (lr, epoch), loss in losses.items()]
    rows.append(row({"lr": "d", "stop_epoch": 1}, value=None, status="diverged"))
    return [*rows, row({"lr": "b", "stop_epoch": 3}, value=None, status="failed")]


def rungs_of(rows: list[Row], budget: str = "stop_epoch") -> dict[str, Any] | None:
    choice = stats.choose(rows, Objective("val_accuracy", "minimize"), "local")
    return figures.rungs(rows, choice, "local", budget)


def test_rungs_and_who_went_on() -> None:
    figure = rungs_of(rung_rows())
    assert figure
    assert figure["budget"] == "stop_epoch"
    assert figure["rungs"] == [
        {"budget": 1, "points": 4, "ended": 3, "survivors": 2, "best": 0.5},
        {"budget": 3, "points": 2, "ended": 1, "survivors": 1, "best": 0.4},
        {"budget": 9, "points": 1, "ended": 1, "survivors": 0, "best": 0.3},
    ]
    assert sorted(figure["lines"], key=str) == sorted([[2, 1, 0], [3, None, None], [4, None, None]], key=str)


def test_importance_is_learnt_among_points_of_one_budget() -> None:
    """All 18 had one epoch, six went on: there `lr` still tells, and the budget itself is not a hyperparameter."""
    rows = [row({"lr": n, "stop_epoch": 1}, value=n / 18) for n in range(18)]
    rows += [row({"lr": n, "stop_epoch": 9}, value=9 - n / 18) for n in range(6)]
    choice = stats.choose(rows, Objective("val_accuracy", "minimize"), "local", "stop_epoch")
    figure = figures.importance(choice, ["lr", "stop_epoch"])
    assert figure
    assert (figure["points"], figure["budget"]) == (18, 1)
    assert figure["shares"][0][0] == "lr"


def test_a_rung_has_the_points_that_went_on_too() -> None:
    rows = rung_rows()
    choice = stats.choose(rows, Objective("val_accuracy", "minimize"), "local", "stop_epoch")
    figure = figures.rungs(rows, choice, "local", "stop_epoch")
    points = [*choice.points, *choice.outgrown]
    assert figure
    lines = [[None if at is None else points[at].mean for at in line] for line in figure["lines"]]
    assert sorted(lines, key=str) == sorted([[0.5, 0.4, 0.3], [0.6, None, None], [0.9, None, None]], key=str)


@pytest.mark.parametrize("budget", ["", "lr", "nothing"])
def test_without_a_budget_that_varies_there_are_no_rungs(budget: str) -> None:
    assert rungs_of(rung_rows(), budget) is None


def test_one_budget_is_no_ladder_and_the_other_engine_no_rung() -> None:
    rows = [entry for entry in rung_rows() if entry.hyperparameters["stop_epoch"] == 1]
    assert rungs_of([*rows, row({"lr": "a", "stop_epoch": 3}, engine="cluster")]) is None


def test_shares_as_words() -> None:
    assert [figures.percent(share) for share in (0.414, -0.001, -0.2, 1)] == ["41 %", "0 %", "-20 %", "100 %"]


# ---- plots ----


def material(rows: list[Row], **changes: Any) -> report.Material:
    choice = stats.choose(rows, Objective("val_accuracy", "maximize"), "local")
    material = report.Material("demo", "local", rows, choice, store.Snapshot({}, [], found=False), Path("/none"))
    return replace(material, **changes)


def test_every_chart_as_svg_with_hostile_text_as_text() -> None:
    rows = [
        row({"lr": n / 7, HOSTILE: [HOSTILE, "b"][n % 2], "stop_epoch": 1 + 2 * (n % 3)}, value=n % 5 / 10)
        for n in range(24)
    ]
    rows = [replace(line, metrics=line.metrics | {HOSTILE: float(n)}) for n, line in enumerate(rows)]
    front = pareto.front(rows, [Objective("val_accuracy", "maximize"), Objective(HOSTILE, "minimize")], "local")
    data = report.embedded(material(rows, front=front, budget="stop_epoch"))
    svgs = plots.svgs(data, vendor.vendored_echarts())
    numbered = {f"hyperparameter-{n}" for n in (1, 2, 3)}
    assert set(svgs) == {"parallel", "pair", "importance", "front", "rungs", *numbered}
    tags, texts = set(), ""
    for svg in svgs.values():
        tree = ElementTree.fromstring(svg)
        tags |= {node.tag.rpartition("}")[2] for node in tree.iter()}
        texts += "".join(tree.itertext())
        assert "NaN" not in svg
    drawn = {"svg", "g", "defs", "style", "clipPath", "rect", "path", "circle", "polygon", "polyline", "text"}
    assert tags <= drawn | {"linearGradient", "stop"}
    assert "</text><script>" in texts
    assert all(plots.OWN.fullmatch(name) for name in svgs)


@pytest.mark.parametrize(
    "values",
    [
        [1.7e308, -1.7e308, 1e200, 0.5],
        [1e200, 2e200, 0.5, 0.51],
        [5e-324, -5e-324, 1e-310, 0.0],
        [1e308, 1e308, 1e308, 1e308],
        [1e-200, 2e-200, 3e-200, 4e-200],
    ],
)
def test_every_finite_value_can_be_drawn_and_told(values: list[float]) -> None:
    rows = [
        row({"lr": n / 7, "kind": "ab"[n % 2], "epochs": 1 + 8 * (n % 3 == 0)}, seed, values[(n + seed) % 4])
        for n in range(16)
        for seed in range(2)
    ]
    rows = [replace(ranked, metrics=ranked.metrics | {"cost": -ranked.metrics["val_accuracy"]}) for ranked in rows]
    goals = [Objective("val_accuracy", "maximize"), Objective("cost", "minimize")]
    for budget in ("", "epochs"):
        choice = stats.choose(rows, goals[0], "local", budget)
        front = material(rows, choice=choice, budget=budget, front=pareto.front(rows, goals, "local", budget))
        data = report.embedded(front)
        for svg in plots.svgs(data, vendor.vendored_echarts()).values():
            assert not re.search(r"NaN|Infinity|undefined", svg)
        assert not re.search(
            r"\b(nan|inf|NaN|Infinity)\b", re.sub(r"<style.*?</style>", "", report.html(front, "", data))
        )
        assert verdict.sentences(choice, ["lr"])


def test_plots_of_an_earlier_state_go_and_a_persons_pictures_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.svg").touch()
    plots.write(tmp_path, {"pair": "<svg/>", "hyperparameter-12": "<svg/>"})
    plots.write(tmp_path, {"pair": "<svg />"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"mine.svg": "", "pair.svg": "<svg />\n"}


@pytest.mark.parametrize("rows", [[], [row({"lr": 1})], [row({"lr": 1}, value=None, status="failed")]])
def test_a_poor_table_has_few_plots(rows: list[Row]) -> None:
    assert not plots.svgs(report.embedded(material(rows)), vendor.vendored_echarts()).keys() - {"parallel"}


def ticks(svg: str) -> set[str]:
    return set(re.findall(r">([0-9.]+)</text>", svg))


def test_axes_follow_the_space() -> None:
    rows = [row({"lr": 0.002 + 0.001 * n, "depth": 2 + n % 9 / 4}, value=0.9 + n / 1000) for n in range(19)]

    def across(**axes: Axis) -> list[set[str]]:
        svgs = plots.svgs(report.embedded(material(rows, search=SearchSoFar(axes))), vendor.vendored_echarts())
        return [ticks(svgs[f"hyperparameter-{place}"]) for place in (1, 2)]  # depth, lr

    depth, lr = across(lr=Axis(0.002, 0.02, log=True), depth=Axis(2, 4, whole=True))
    assert {"2", "3", "4"} <= depth
    assert "2.5" not in depth
    assert {"0.002", "0.01", "0.02"} <= lr
    assert "0.015" not in lr
    depth, lr = across()
    assert "2.5" in depth
    assert "0.015" in lr


def test_progress_is_by_the_hours_until_a_trial_ended_and_what_failed_costs_too(tmp_path: Path) -> None:
    good, bad, later = (trial({"lr": lr}) for lr in (0.1, 0.2, 0.3))
    put_attempt(tmp_path, later, started_at="2026-01-02T05:00:00Z", finished_at="2026-01-02T06:00:00Z")
    put_attempt(tmp_path, good, started_at="2026-01-02T01:00:00Z", finished_at="2026-01-02T02:00:00Z")
    put_attempt(tmp_path, bad, status="failed", started_at="2026-01-02T02:00:00Z", finished_at="2026-01-02T02:30:00Z")
    rows = [row({"lr": 0.3}), row({"lr": 0.1})]
    choice = stats.choose(rows, Objective("val_accuracy", "maximize"), "local")
    index = {later.id: 0, good.id: 1, bad.id: 2}
    snapshot = store.read(tmp_path, [good, bad, later])
    assert figures.progress(choice, snapshot, {later.id: 2, good.id: 1}, index) == [[1.0, 1, 1], [2.5, 0, 2]]


def test_colours_are_those_of_the_report() -> None:
    assert plots.colours()["page"] == "#ffffff"
    assert {"text", "dim", "line", "blue", "orange", "scale-0", "scale-3"} <= plots.colours().keys()


def test_without_node_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = vendor.vendored_echarts()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable, match="node: not found"):
        plots.svgs(report.embedded(material([])), library)


def test_nodes_error_is_one_line(tmp_path: Path) -> None:
    library = tmp_path / "broken.js"
    library.write_text("throw new TypeError('no echarts here')")
    with pytest.raises(Unreachable, match=r"^node: TypeError: no echarts here; the report has the same charts$"):
        plots.svgs(report.embedded(material([])), library)
