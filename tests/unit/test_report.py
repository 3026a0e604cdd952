"""report.html: self-contained, safe with any text of a trial, complete, and not too large."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep import words
from sweep.errors import Unreachable
from sweep.layout import Clone
from sweep.ranking import stats
from sweep.records import results, store
from sweep.records.attempt import Attempt, seconds_between
from sweep.records.results import Objective, Row
from sweep.reports import report, vendor
from tests.unit.stores import END, START, put_attempt, put_result, row, trial

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "<!--<script>",
    "]]></style>",
    "\"'`{{7*7}}${1}",
    "&lt;b&gt;&amp;",
    "😀\u202e",
    "x" * 193,  # as long as the name of a metric may be, with the word that is put behind it
    "\x00\x1b[2J",
]
NOTHING = store.Snapshot({}, [], found=False)


class Page(HTMLParser):
    """Tags, attributes and text of a page, scripts and style apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.sources: dict[str, list[str]] = {"script": [], "style": []}
        self.open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in self.sources:
            self.open = tag
            self.sources[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.open:
            self.open = ""

    def handle_data(self, data: str) -> None:
        if self.open:
            self.sources[self.open][-1] += data
        else:
            self.text += data


def material(
    rows: list[Row], snapshot: store.Snapshot = NOTHING, folder: Path = Path("/none"), **changes: Any
) -> report.Material:
    choice = stats.choose(rows, Objective(changes.pop("metric", "val_accuracy"), "maximize"), "local")
    return replace(report.Material("demo", "local", rows, choice, snapshot, folder), **changes)


def page(*args: Any, charts: str = "var echarts;", **changes: Any) -> Page:
    return Page(report.html(material(*args, **changes), charts))


def data(page: Page) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(page.sources["script"][0])
    return loaded


def table(points: int = 8, seeds: int = 3) -> list[Row]:
    draw = np.random.default_rng(0)
    means = 0.9 + 0.01 * draw.standard_normal(points)
    return [
        row(
            {"lr": round(float(means[n]) * 7, 4), "n": n, "epochs": 3},
            s,
            float(means[n] + 0.001 * draw.standard_normal()),
        )
        for n in range(points)
        for s in range(seeds)
    ]


def test_nothing_comes_from_elsewhere() -> None:
    parsed = page(table())
    for tag, name, value in parsed.attributes:
        assert name not in ("src", "srcset", "action", "style"), (tag, name)
        assert not name.startswith("on"), (tag, name)
        assert name != "href" or value.startswith("#")
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(parsed.tags)
    assert "url(" not in parsed.sources["style"][0]
    assert "@import" not in parsed.sources["style"][0]


def test_the_policy_allows_exactly_what_is_inside() -> None:
    parsed = page(table())
    policy = next(value for tag, name, value in parsed.attributes if name == "content" and "default-src" in value)
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    for sources, directive in ((parsed.sources["script"][1:], "script-src"), (parsed.sources["style"], "style-src")):
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in sources]
        assert allowed[directive] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert "unsafe" not in policy
    assert len(parsed.sources["script"]) == 3


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_text_is_text_everywhere(tmp_path: Path, text: str) -> None:
    tame = page(*hostile(tmp_path / "tame", "tame"), folder=tmp_path / "tame")
    parsed = page(*hostile(tmp_path / "wild", text), folder=tmp_path / "wild")
    assert parsed.tags == tame.tags
    assert [name for _, name, _ in parsed.attributes] == [name for _, name, _ in tame.attributes]
    assert [words.shown(text)] in data(parsed)["hyperparameters"]
    assert parsed.text.count(words.shown(text)) >= 3  # reason, log, node
    assert all(char.isprintable() or char == "\n" for char in parsed.text + "".join(parsed.sources["script"][0]))


def hostile(folder: Path, text: str) -> tuple[list[Row], store.Snapshot]:
    """A trial that won and one that failed, with `text` wherever a trial can bring its own."""
    won, failed = trial({"text": text, "same": text}), trial({"text": "other", "same": text})
    environment = {"engine": "local", "node": text, "gpu": text}
    put_result(folder, won, environment=environment, metrics={"val_accuracy": 0.9, text + "_metric": 1.0})
    put_attempt(folder, won, node=text, provenance={"commit": text}, history=json.dumps({"epoch": 1, text: 1.0}) + "\n")
    ended = {"status": "failed", "exit_code": 1, "reason": text, "node": text, "provenance": {"commit": text}}
    put_attempt(folder, failed, log=text + "\n", **ended)
    snapshot = store.read(folder, [won, failed])
    return results.merge([], [won, failed], snapshot, {}, "local"), snapshot


def test_one_shared_value_and_what_varies() -> None:
    parsed = page(table())
    assert data(parsed)["names"] == ["lr", "n"]
    assert "The same in all trials" in parsed.text
    assert "epochs" in parsed.text


def test_the_numbers_are_those_of_stats() -> None:
    rows = table()
    choice = material(rows).choice
    answer = data(page(rows))
    assert [point["mean"] for point in answer["points"]] == [point.mean for point in choice.points]
    assert [point["p"] for point in answer["points"]][: len(choice.p_best)] == list(choice.p_best)
    assert [[answer["trials"][at][0] for at in point["trials"]] for point in answer["points"]] == [
        [row.id for row in point.rows] for point in choice.points
    ]
    assert answer["trials"][0][answer["fields"].index("objective")] == rows[0].objective


def test_the_test_metric_is_told_once_and_kept_out_of_the_ranking() -> None:
    rows = [row({"lr": n}, metrics={"val_accuracy": n / 10, "test_accuracy": 0.7771}) for n in range(3)]
    parsed = page(rows)
    assert parsed.text.count("0.7771") == 1
    assert data(parsed)["metrics"] == []
    assert "on the test set" not in parsed.text
    chosen_on_test = page(rows, metric="test_accuracy")
    assert chosen_on_test.text.count("on the test set") >= 3
    assert "was chosen on the test set" in chosen_on_test.text


def test_learning_curves_of_the_best_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "CURVES", 2)
    trials = [trial({"lr": n}) for n in range(4)]
    for n, sample in enumerate(trials):
        put_result(tmp_path, sample, metrics={"val_accuracy": n / 10})
        lines = [
            {"epoch": e, "loss": float("nan") if e == 2 else 1 / 3, "val_accuracy": n / 10, "test_x": 1}
            for e in range(1, 4)
        ]
        put_attempt(tmp_path, sample, history="".join(json.dumps(line) + "\n" for line in lines))
    snapshot = store.read(tmp_path, trials)
    rows = results.merge([], trials, snapshot, {}, "local")
    answer = data(page(rows, snapshot, tmp_path))
    assert answer["curves"]["metrics"] == ["val_accuracy", "loss"]
    drawn = {rows[entry[0]].id: entry[1:] for entry in answer["curves"]["trials"]}
    assert drawn == {trials[n].id: [[1.0, 2.0, 3.0], [n / 10] * 3, [0.333333, None, 0.333333]] for n in (3, 2)}


def test_a_long_history_keeps_its_last_epoch(tmp_path: Path) -> None:
    sample = trial()
    put_result(tmp_path, sample)
    put_attempt(tmp_path, sample, history="".join(f'{{"epoch": {e}, "loss": {e}}}\n' for e in range(1, 1002)))
    snapshot = store.read(tmp_path, [sample])
    answer = data(page(results.merge([], [sample], snapshot, {}, "local"), snapshot, tmp_path))
    x = answer["curves"]["trials"][0][1]
    assert len(x) <= report.CURVE_STEPS
    assert x[-1] == 1001


def test_failures_by_class_with_the_ends_of_their_logs(tmp_path: Path) -> None:
    trials = [trial({"lr": n}) for n in range(6)]
    for n, entry in enumerate(trials[:4]):
        put_attempt(
            tmp_path,
            entry,
            status="failed",
            exit_code=1,
            reason=f"exit 1: KeyError: {n}",
            log=f"first\nlast line of {n}\n",
        )
    put_attempt(tmp_path, trials[4], status="failed", exit_code=67, reason="gpu out of memory")
    put_attempt(tmp_path, trials[5], status="preempted", exit_code=143, reason="SIGTERM")
    snapshot = store.read(tmp_path, trials)
    classes = report._failures(material([], snapshot, tmp_path))
    counts = [
        (entry["name"], entry["attempts"], entry["trials"], entry["hours"], len(entry["examples"])) for entry in classes
    ]
    assert counts == [("exit 1: KeyError: …", 4, 4, "0.067", 3), ("out of GPU memory", 1, 1, "0.017", 1)]
    text = page([row({"lr": 9})], snapshot, tmp_path).text
    assert "last line of 3" in text
    assert "exit 1: KeyError: …" in text


def test_an_attempt_that_is_not_ours_spoils_nothing(tmp_path: Path) -> None:
    sample = trial()
    put_attempt(tmp_path, sample, node={"a": 1}, status=[1], reason=1, gpus="x", exit_code={}, provenance=None)
    path = put_attempt(tmp_path, sample, "b") / "attempt.json"
    path.write_text('{"started_at": 1e999, "finished_at": [], "gpus": 1e999, "status": "failed", "reason": 1e999}')
    snapshot = store.read(tmp_path, [sample])
    assert len(data(page(results.merge([], [sample], snapshot, {}, "local"), snapshot, tmp_path))["attempts"]) == 2


def test_hours_by_cause(tmp_path: Path) -> None:
    first, second = trial(gpus=2), trial({"lr": 0.2})
    put_attempt(tmp_path, first, "a", status="failed")
    put_attempt(tmp_path, first, "b")
    put_attempt(tmp_path, second, "c", status="duplicate", finished_at="2026-01-02T04:04:05Z")
    snapshot = store.read(tmp_path, [first, second])
    hours = {
        line["cause"]: (line["attempts"], line["hours"], line["gpu_hours"])
        for line in report.hours_by_cause([], snapshot)
    }
    assert hours == {"useful": (1, "0.017", "0.033"), "failed": (1, "0.017", "0.033"), "duplicate": (1, "1.00", "1.00")}
    assert list(hours) == ["useful", "failed", "duplicate"]
    spent = report.spent([row({"lr": 0.1}, gpu_seconds=240.0), row({"lr": 99}, setup_s=10.0, train_s=50.0)], snapshot)
    assert (spent.trial_seconds, spent.gpu_seconds) == (120 + 3600 + 60.0, 240 + 3600 + 61.0)


def test_what_was_set_aside_is_listed() -> None:
    problems = [store.Problem(f"trials/{n}/result.json", "not JSON <b>") for n in range(150)]
    parsed = page(table(), store.Snapshot({}, problems, True))
    assert "trials/99/result.json: not JSON <b>" in parsed.text
    assert "trials/100/result.json" not in parsed.text
    assert "and 50 more" in parsed.text


def test_provenance_of_everything() -> None:
    parsed = page([row({"lr": 1}), row({"lr": 2}, commit="fffffff"), row({"lr": 3}, commit="unknown")])
    for text in (
        "abc1234",
        "git show fffffff:values/demo/values.yaml",
        "c0de",
        "sha256:1mage",
        "sha256:da7a",
        "n1",
        "H100",
    ):
        assert text in parsed.text
    assert "git show unknown" not in parsed.text


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row({})],
        [row({"lr": 1}, value=None, status="failed")],
        [row({"lr": 1}, value=None, status="pending", node="", commit="")],
        [row({"lr": 1}, engine="cluster")],
        [row({"lr": 1}), row({"other": [1, "a"]}, value=0.0)],
        [row({"lr": 1}, value=0.0), row({"lr": 2}, value=0.0)],
    ],
)
def test_a_poor_table_still_gives_a_report(rows: list[Row]) -> None:
    parsed = page(rows)
    assert len(data(parsed)["trials"]) == len(rows)
    assert "What won" in parsed.text


def test_without_charts_it_is_still_a_report() -> None:
    parsed = page(table(), charts="")
    assert len(parsed.sources["script"]) == 2


def test_a_thousand_trials_take_three_megabytes_at_most(tmp_path: Path) -> None:
    trials = [trial({f"hyperparameter_{k}": (n * 7919 * (k + 1)) % 10007 / 7 for k in range(8)}) for n in range(1000)]
    epochs = [
        {"epoch": e, "train_loss": 1 / (e + 1 / 7), "val_loss": 2 / (e + 1 / 7), "val_accuracy": 1 - 1 / (e + 9 / 7)}
        for e in range(100)
    ]
    history = "".join(json.dumps(line) + "\n" for line in epochs)
    for n, sample in enumerate(trials):
        put_result(tmp_path, sample, metrics={f"metric_{k}": n / 7 + k for k in range(5)} | {"val_accuracy": n / 1007})
        put_attempt(tmp_path, sample, history=history)
    snapshot = store.read(tmp_path, trials)
    rows = results.merge([], trials, snapshot, {}, "local")
    text = report.html(material(rows, snapshot, tmp_path), vendor.vendored_echarts().read_text())
    assert len(text.encode()) < 3_000_000


def test_ten_thousand_trials_are_all_on_the_page() -> None:
    rows = [row({"lr": n / 7, "momentum": n % 13 / 13}, value=n / 1e4) for n in range(10_000)]
    assert len(data(page(rows))["trials"]) == 10_000


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"exit_code": 64, "reason": "exit 64: lr: unknown"}, "bad hyperparameters"),
        ({"exit_code": 66, "reason": "limit"}, "time limit"),
        ({"exit_code": 1, "reason": "exit 1: at 0x7f00ab line 12"}, "exit 1: at … line …"),
        ({"exit_code": 139, "reason": "signal 11: Segmentation fault"}, "signal 11: Segmentation fault"),
        ({"exit_code": 3}, "exit 3"),
        ({"exit_code": [1], "reason": None}, "exit [1]"),
        ({}, "exit None"),
        ({"reason": "x" * 500}, "x" * 120),
    ],
)
def test_failure_classes(record: dict[str, Any], name: str) -> None:
    assert report.failure_class(Attempt("a", record)) == name


# ---- the chart library ----


@pytest.mark.parametrize("folder", ["web", "tests/browser"])
def test_the_lock_file_has_digests_and_no_addresses(folder: str) -> None:
    packages = json.loads((Clone.here().root / folder / "package-lock.json").read_text())["packages"]
    for name, package in packages.items():
        assert "resolved" not in package
        assert name == "" or package["integrity"].startswith("sha512-"), name


def test_the_bundle_cannot_end_its_script_element() -> None:
    source = vendor.vendored_echarts().read_text()
    assert "</script" not in source.lower()
    assert "<!--" not in source
    assert "\r" not in source


def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None) -> None:
    """An npm of our own as the only thing on PATH, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    if script is not None:
        (tmp_path / "bin" / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / "npm").chmod(0o755)


def test_without_npm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm(tmp_path, monkeypatch, None)
    with pytest.raises(Unreachable, match="npm: not found"):
        vendor.vendored_echarts()


def test_npms_error_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm(tmp_path, monkeypatch, "echo 'npm error code ENOTFOUND' >&2; echo 'npm error more' >&2; exit 1")
    with pytest.raises(Unreachable) as caught:
        vendor.vendored_echarts()
    assert str(caught.value).startswith("npm ci: npm error code ENOTFOUND; is the npm registry reachable?")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/**/echarts*.js"))


def test_the_bundle_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm(tmp_path, monkeypatch, f'echo "$1" >> {tmp_path}/calls; test "$1" = ci || echo built > echarts.min.js')
    first = vendor.vendored_echarts()
    assert first.read_text() == "built\n"
    assert vendor.vendored_echarts() == first
    assert (tmp_path / "calls").read_text().split() == ["ci", "run"]


def test_times_of_the_fixtures_are_a_minute_apart() -> None:
    assert seconds_between(START, END) == 60
