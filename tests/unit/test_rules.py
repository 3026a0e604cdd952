"""The stop rules by their definitions: whatever values, however many peers, in whatever order they come."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import bench_stopping
from sweep.records import verdicts

rules = verdicts.rules()
GROUP, OWN = "abcdefabcdef", "f" * 12


def rule(name: str = "asha", **more: Any) -> dict[str, Any]:
    fields = {"rule": name, "metric": "m", "direction": "maximize", "nan": True, "min": 1, "eta": 3, "min_peers": 0}
    return fields | more


values = st.one_of(st.none(), st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False))
directions = st.sampled_from(["maximize", "minimize"])
etas = st.integers(2, 5)


def worth(value: float | None, direction: str) -> float:
    """What is ranked: more is better, and what is not finite is worst."""
    return -math.inf if value is None else value if direction == "maximize" else -value


@given(values, st.lists(values, max_size=30), directions, etas)
def test_asha_lets_the_best_share_of_those_at_the_rung_go_on(
    own: float | None, peers: list[float | None], direction: str, eta: int
) -> None:
    ranked = sorted((worth(value, direction) for value in [own, *peers]), reverse=True)
    best = ranked[: max(1, len(ranked) // eta)]
    stopped = bool(rules.judge(rule(eta=eta, direction=direction), 1, own, peers))
    assert stopped == (worth(own, direction) < best[-1])


@given(values, st.lists(values, min_size=1, max_size=30), directions)
def test_median_stops_who_is_worse_than_more_than_half(
    own: float | None, peers: list[float | None], direction: str
) -> None:
    better = [value for value in peers if worth(value, direction) > worth(own, direction)]
    stopped = bool(rules.judge(rule("median", direction=direction), 1, own, peers))
    assert stopped == (2 * len(better) > len(peers))


@given(values, st.floats(-5, 5), directions)
def test_a_threshold_has_to_be_reached(own: float | None, bound: float, direction: str) -> None:
    by = rule("threshold", at={"3": bound}, direction=direction)
    assert bool(rules.judge(by, 3, own, [])) == (worth(own, direction) < worth(bound, direction))


@given(values, st.lists(values, max_size=20), st.data(), directions, st.sampled_from(["asha", "median"]), etas)
def test_who_is_missing_only_keeps_a_trial_running(
    own: float | None, peers: list[float | None], data: st.DataObject, direction: str, name: str, eta: int
) -> None:
    """With as many min_peers as there are others, a trial that some of them stop is stopped by all of them too: no
    order of arrival, no late or dead peer makes a verdict that all together would not have made."""
    by = rule(name, min_peers=len(peers), direction=direction, eta=eta)
    some = [peer for peer in peers if data.draw(st.booleans())]
    if rules.judge(by, 1, own, some):
        assert rules.judge(by, 1, own, peers)


@given(values, st.lists(values, min_size=1, max_size=20), st.data(), st.integers(0, 20), directions)
def test_a_better_peer_that_is_missing_never_stops_a_trial(
    own: float | None, peers: list[float | None], data: st.DataObject, least: int, direction: str
) -> None:
    """Whatever min_peers says."""
    by = rule(data.draw(st.sampled_from(["asha", "median"])), min_peers=least, direction=direction)
    better = [place for place, peer in enumerate(peers) if worth(peer, direction) > worth(own, direction)]
    if better and not rules.judge(by, 1, own, peers):
        gone = data.draw(st.sampled_from(better))
        assert not rules.judge(by, 1, own, [*peers[:gone], *peers[gone + 1 :]])


@given(st.integers(1, 9), etas, st.integers(2, 10**6), st.integers(0, 10**7))
def test_rungs_are_powers_of_eta_below_max(least: int, eta: int, most: int, step: int) -> None:
    every = [least * eta**power for power in range(30) if least * eta**power < most]
    assert rules.rung_at(rule(min=least, eta=eta, max=most), step) == max(
        (rung for rung in every if rung <= step), default=None
    )


@pytest.mark.parametrize(
    ("given", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("1d", 86400), (90, 90), (0.5, 0.5)]
)
def test_durations(given: Any, seconds: float) -> None:
    assert rules.seconds(given) == seconds


@pytest.mark.parametrize("given", ["", "10", "0s", "ten m", -1, 0, True, None, math.inf, "1w"])
def test_what_is_no_duration_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        rules.seconds(given)


def test_the_audit_takes_its_share_and_always_the_same_trials() -> None:
    ids = [f"{number:012x}" for number in range(5000)]
    taken = [trial for trial in ids if rules.is_audited(rule(audit=0.1), trial)]
    assert 400 < len(taken) < 600
    assert set(taken) < {trial for trial in ids if rules.is_audited(rule(audit=0.2), trial)}
    assert not any(rules.is_audited(rule(), trial) for trial in ids)


# ---- verdicts ----

peers_of = st.lists(
    st.tuples(st.integers(0, 99).map("{:012x}".format), st.integers(1, 6), values),
    max_size=12,
    unique_by=lambda peer: peer[0],
)


def ahead(count: int) -> list[tuple[str, int, float]]:
    """Enough peers that are better to stop a trial."""
    return [(f"b{number:011x}", 1, 5.0) for number in range(count + 1)]


def verdict_of(by: dict[str, Any], step: int, own: float | None, peers: Any) -> dict[str, Any] | None:
    rung = rules.rung_at(by, step)
    verdict = rules.by_rung(by, (rung, step, own), rules.comparable(OWN, step, peers))
    return verdict and json.loads(json.dumps({"group": GROUP, **verdict}))


@given(st.sampled_from(["asha", "median"]), st.integers(1, 9), values, peers_of, directions)
def test_a_verdict_follows_from_its_own_evidence(
    name: str, step: int, own: float | None, peers: Any, direction: str
) -> None:
    by = rule(name, direction=direction)
    verdict = verdict_of(by, step, own, peers)
    if verdict:
        assert rules.flaw(verdict, OWN, GROUP, by) == ""
        assert all(at <= step for _, at, _ in verdict["peers"])


@given(st.data(), st.integers(1, 9), peers_of)
def test_a_verdict_that_was_tampered_with_is_a_finding(data: st.DataObject, step: int, peers: Any) -> None:
    verdict = verdict_of(rule(), step, None, [*peers, *ahead(len(peers))])
    assert verdict
    changes = {
        "value": 1e9,
        "peers": [],
        "rung": verdict["rung"] * 3,
        "step": verdict["step"] * 100,
        "reason": "because",
        "cause": data.draw(st.sampled_from(["median", "max_wall", "nan", "nothing"])),
        "group": "0" * 12,
        "rule": verdict["rule"] | {"eta": 2},
    }
    name = data.draw(st.sampled_from(sorted(changes)))
    assert rules.flaw({**verdict, name: changes[name]}, OWN, GROUP, rule())


@given(peers_of)
def test_one_peer_twice_or_with_more_training_is_a_finding(peers: Any) -> None:
    verdict = verdict_of(rule(), 1, None, [*peers, *ahead(len(peers))])
    assert verdict
    for more in (verdict["peers"][:1], [["e" * 12, 2, 7.0]], [[OWN, 1, 7.0]]):
        assert rules.flaw({**verdict, "peers": [*verdict["peers"], *more]}, OWN, GROUP, rule())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(json_values, st.sampled_from(["group", "rule", "cause", "reason", "rung", "step", "value", "peers"]))
def test_whatever_stands_in_a_verdict_is_judged_and_raises_nothing(junk: Any, name: str) -> None:
    verdict = verdict_of(rule(), 1, 0.0, [("0" * 11 + "a", 1, 5.0)])
    assert verdict
    assert isinstance(rules.flaw({**verdict, name: junk}, OWN, GROUP, rule()), str)
    assert rules.flaw(junk, OWN, GROUP, rule())


def test_the_verdicts_of_nan_and_of_time_follow_from_theirs() -> None:
    by = rule(max_wall="2m")
    for verdict, broken in (
        (rules.by_nan(by, 3), {"step": None}),
        (rules.by_wall(by, 121.5), {"used_s": 119}),
    ):
        assert rules.flaw({"group": GROUP, **verdict}, OWN, GROUP, by) == ""
        assert rules.flaw({"group": GROUP, **verdict, **broken}, OWN, GROUP, by)
    assert rules.by_wall(by, 119) is None
    assert rules.by_wall(rule(), 1e9) is None


def made_up(order: list[int]) -> bench_stopping.Curves:
    """Curves that never cross: the later in the order, the better."""
    rank = {trial: place for place, trial in enumerate(order)}
    curves = [[rank[trial] + epoch / 100 for epoch in range(bench_stopping.EPOCHS)] for trial in range(81)]
    return bench_stopping.Curves(curves, [1.0 + trial % 3 for trial in range(81)])


@given(st.permutations(range(81)), st.permutations(range(81)))
@settings(max_examples=20)
def test_the_bench_plays_rules_as_their_definitions_have_it(merit: list[int], order: list[int]) -> None:
    """The small form of `make bench-stopping`, whose table is in docs/search.md."""
    curves = made_up(merit)
    whole = bench_stopping.play(curves, bench_stopping.Whole(), order)
    rounds = bench_stopping.halving(curves, order)
    assert set(whole.reached) == {27}
    assert sorted(rounds.reached) == [1] * 54 + [3] * 18 + [9] * 6 + [27] * 3
    for peers in (0, 9, 80):
        played = bench_stopping.play(curves, bench_stopping.Ours("asha", peers), order)
        assert bench_stopping.regret(curves, played) == 0, "the best is never stopped where no curves cross"
        if peers == 80:
            assert all(ours >= theirs for ours, theirs in zip(played.reached, rounds.reached, strict=True))
